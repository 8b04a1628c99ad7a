//! The init segment: what a player needs before the first part.

use bytes::Bytes;
use live::{AudioCodec, AudioFormat, Format, VideoCodec, VideoFormat};
use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor, Esds, SLConfig};
use mp4_atom::{
    Atom, Audio, Av01, Av1c, Avc1, Codec, Dinf, Dops, Dref, Encode, FourCC, Ftyp, Hdlr, Hvc1, Hvcc, Mdhd, Mdia, Minf,
    Moov, Mp4a, Mvex, Mvhd, Opus, Smhd, Stbl, Stco, Stsd, Tkhd, Trak, Trex, Url, Visual, Vmhd,
};

use super::{AUDIO_TRACK, VIDEO_TIMESCALE, VIDEO_TRACK};

/// Timescale of the movie header; the tracks have their own.
const MOVIE_TIMESCALE: u32 = 1000;

/// A format that no init segment can be written for.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The format has no track at all.
    #[error("format has neither video nor audio")]
    Empty,
    /// The configuration record of a track does not parse.
    #[error("{track} configuration record: {source}")]
    Record { track: &'static str, source: mp4_atom::Error },
    /// OpusHead (RFC 7845 section 5.1) is short, of another version, or maps channels in a way `dOps` here cannot carry.
    #[error("OpusHead of {0} bytes is not usable")]
    OpusHead(usize),
}

/// An init segment with what it was made of.
#[derive(Clone, Debug)]
pub struct Init {
    /// Names the bytes: a hash of them, so that every node gives the same init segment the same URL.
    pub name: u64,
    pub body: Bytes,
    pub format: Format,
}

impl Init {
    pub fn new(format: &Format) -> Result<Self, InitError> {
        if *format == Format::default() {
            return Err(InitError::Empty);
        }
        let mut trak = Vec::new();
        if let Some(video) = &format.video {
            trak.push(video_track(video)?);
        }
        if let Some(audio) = &format.audio {
            trak.push(audio_track(audio)?);
        }
        let trex = trak.iter().map(|track| Trex {
            track_id: track.tkhd.track_id,
            default_sample_description_index: 1,
            ..Default::default()
        });
        let mvex = Mvex { mehd: None, trex: trex.collect() };
        let mvhd = Mvhd {
            timescale: MOVIE_TIMESCALE,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: 3,
            ..Default::default()
        };
        let moov = Moov { mvhd, mvex: Some(mvex), trak, ..Default::default() };
        let ftyp = Ftyp {
            major_brand: FourCC::new(b"iso6"),
            minor_version: 1,
            compatible_brands: [b"iso6", b"mp41", b"hlsf"].map(FourCC::new).into(),
        };
        let mut body = Vec::with_capacity(1024);
        ftyp.encode(&mut body).and_then(|()| moov.encode(&mut body)).map_err(record("movie"))?;
        Ok(Self { name: fnv1a(&body), body: body.into(), format: format.clone() })
    }

    /// The file name, relative to the playlists.
    pub fn uri(&self) -> String {
        format!("init-{:016x}.mp4", self.name)
    }

    /// RFC 6381 codec strings for the multivariant playlist.
    pub fn codecs(&self) -> String {
        let video = self.format.video.as_ref().map(|video| video.codec_string.as_str());
        let audio = self.format.audio.as_ref().map(|audio| audio.codec_string.as_str());
        [video, audio].into_iter().flatten().collect::<Vec<_>>().join(",")
    }
}

fn record(track: &'static str) -> impl Fn(mp4_atom::Error) -> InitError {
    move |source| InitError::Record { track, source }
}

fn video_track(format: &VideoFormat) -> Result<Trak, InitError> {
    let visual = Visual {
        data_reference_index: 1,
        width: dimension(format.width),
        height: dimension(format.height),
        ..Default::default()
    };
    let codec: Codec = match format.codec {
        VideoCodec::H264 => Avc1 { visual, avcc: body("H.264", &format.description)?, ..Default::default() }.into(),
        VideoCodec::Hevc => {
            Hvc1 { visual, hvcc: body::<Hvcc>("HEVC", &format.description)?, ..Default::default() }.into()
        }
        VideoCodec::Av1 => {
            Av01 { visual, av1c: body::<Av1c>("AV1", &format.description)?, ..Default::default() }.into()
        }
    };
    let minf = Minf { vmhd: Some(Vmhd::default()), dinf: here(), stbl: empty_table(codec), ..Default::default() };
    let tkhd = Tkhd {
        width: dimension(format.width).into(),
        height: dimension(format.height).into(),
        ..track_header(VIDEO_TRACK)
    };
    Ok(track(tkhd, VIDEO_TIMESCALE, b"vide", "video", minf))
}

fn audio_track(format: &AudioFormat) -> Result<Trak, InitError> {
    let audio = Audio {
        data_reference_index: 1,
        channel_count: format.channels as u16,
        sample_size: 16,
        // 16.16 fixed point: higher rates are only in the codec's own record.
        sample_rate: u16::try_from(format.rate).unwrap_or(0).into(),
    };
    let codec: Codec = match format.codec {
        AudioCodec::Aac => Mp4a { audio, esds: esds(&format.description), btrt: None, taic: None }.into(),
        AudioCodec::Opus => Opus { audio, dops: dops(&format.description)?, btrt: None }.into(),
    };
    let minf = Minf { smhd: Some(Smhd::default()), dinf: here(), stbl: empty_table(codec), ..Default::default() };
    let tkhd = Tkhd { volume: 1.into(), alternate_group: 1, ..track_header(AUDIO_TRACK) };
    Ok(track(tkhd, format.rate, b"soun", "audio", minf))
}

fn track(tkhd: Tkhd, timescale: u32, handler: &[u8; 4], name: &str, minf: Minf) -> Trak {
    let mdhd = Mdhd { timescale, language: "und".into(), ..Default::default() };
    let hdlr = Hdlr { handler: FourCC::new(handler), name: name.into() };
    Trak { tkhd, mdia: Mdia { mdhd, hdlr, minf }, ..Default::default() }
}

fn track_header(track_id: u32) -> Tkhd {
    Tkhd { track_id, enabled: true, in_movie: true, ..Default::default() }
}

/// "The media is in this very file."
fn here() -> Dinf {
    Dinf { dref: Dref { urls: vec![Url::default()] } }
}

/// A sample table without samples: they are all in fragments.
fn empty_table(codec: Codec) -> Stbl {
    Stbl { stsd: Stsd { codecs: vec![codec] }, stco: Some(Stco::default()), ..Default::default() }
}

fn dimension(pixels: u32) -> u16 {
    u16::try_from(pixels).unwrap_or(u16::MAX)
}

fn body<T: Atom>(track: &'static str, description: &[u8]) -> Result<T, InitError> {
    let mut bytes = description;
    T::decode_body(&mut bytes).map_err(record(track))
}

/// The descriptor tree around an AudioSpecificConfig (ISO/IEC 14496-1 section 7.2.6, 14496-14 section 3.1).
fn esds(asc: &[u8]) -> Esds {
    let dec_specific = DecoderSpecific { raw: asc.to_vec(), ..Default::default() };
    let dec_config = DecoderConfig {
        object_type_indication: 0x40, // MPEG-4 audio
        stream_type: 5,               // audio stream
        dec_specific: Some(dec_specific),
        ..Default::default()
    };
    Esds { es_desc: EsDescriptor { es_id: 0, dec_config, sl_config: SLConfig::default() } }
}

/// `dOps` from OpusHead: the same fields, the other byte order.
///
/// ```text
/// "OpusHead" version:u8 channels:u8 pre_skip:u16le rate:u32le gain:i16le family:u8
/// ```
fn dops(head: &[u8]) -> Result<Dops, InitError> {
    let refused = || InitError::OpusHead(head.len());
    let fields: &[u8; 11] = head.strip_prefix(b"OpusHead").and_then(|rest| rest.first_chunk()).ok_or_else(refused)?;
    let [version, channels, skip0, skip1, rate0, rate1, rate2, rate3, gain0, gain1, family] = *fields;
    if version >> 4 != 0 || family != 0 {
        return Err(refused());
    }
    Ok(Dops {
        output_channel_count: channels,
        pre_skip: u16::from_le_bytes([skip0, skip1]),
        input_sample_rate: u32::from_le_bytes([rate0, rate1, rate2, rate3]),
        output_gain: i16::from_le_bytes([gain0, gain1]),
    })
}

/// FNV-1a, 64 bits: a stable name, not a defence.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Reads an init segment back: what tests and the validator of files look at.
#[cfg(test)]
pub(in crate::hls) fn movie(mut init: &[u8]) -> Moov {
    use mp4_atom::Decode;

    Ftyp::decode(&mut init).expect("ftyp first");
    Moov::decode(&mut init).expect("moov second")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::hls::tests::media;

    #[test]
    fn each_combination_of_tracks_has_its_own_name() {
        let both = media::format(true, true);
        let video = Format { audio: None, ..both.clone() };
        let audio = Format { video: None, ..both.clone() };
        let names = [&both, &video, &audio].map(|format| Init::new(format).expect("usable").name);
        assert!(names[0] != names[1] && names[1] != names[2] && names[0] != names[2]);
        assert!(matches!(Init::new(&Format::default()), Err(InitError::Empty)));
    }

    #[test]
    fn the_tracks_keep_their_ids_and_timescales() {
        let init = Init::new(&media::format(true, true)).expect("usable");
        let moov = movie(&init.body);
        let tracks: Vec<_> = moov.trak.iter().map(|trak| (trak.tkhd.track_id, trak.mdia.mdhd.timescale)).collect();
        assert_eq!(tracks, [(VIDEO_TRACK, VIDEO_TIMESCALE), (AUDIO_TRACK, 48_000)]);
        // A download is made of what passes there.
        let moov = &init.body[init.body.windows(4).position(|name| name == b"moov").expect("has one") - 4..];
        assert_eq!(crate::mp4::sieve(moov).as_deref(), Ok(moov));
    }

    #[test]
    fn opus_fields_change_byte_order() {
        let head = b"OpusHead\x01\x02\x38\x01\x80\xbb\x00\x00\x00\x00\x00";
        let dops = dops(head).expect("usable");
        assert_eq!((dops.output_channel_count, dops.pre_skip, dops.input_sample_rate), (2, 312, 48_000));
        assert!(super::dops(&head[..12]).is_err());
    }

    #[test]
    fn garbage_for_a_record_is_an_error() {
        let mut format = media::format(true, false);
        let video = VideoFormat {
            description: Bytes::from_static(b"\x01\x02"),
            ..(**format.video.as_ref().expect("video")).clone()
        };
        format.video = Some(Arc::new(video));
        assert!(matches!(Init::new(&format), Err(InitError::Record { track: "H.264", .. })));
    }
}
