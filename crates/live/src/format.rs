//! How a track is coded: what a decoder needs before the first frame.
//!
//! Built from the codec's own configuration record, which every protocol carries in some wrapping.

use std::sync::Arc;

use bytes::Bytes;
use h264_reader::nal::sps::{PicOrderCntType, SeqParameterSet};
use hang::catalog::{AudioConfig, VideoConfig};

/// Frames a decoder may hold back when the bitstream does not say how many.
///
/// H.264 without VUI allows up to 16; real encoders that stay silent use at most 2 to 4. Too many costs a constant delay in
/// decode time stamps only, too few breaks their order.
const UNKNOWN_REORDER: u8 = 4;

/// The largest reorder depth H.264 and HEVC allow (max_dec_frame_buffering).
const MAX_REORDER: u64 = 16;

/// The longest picture side any H.264 level allows, and more than any encoder sends, pixels.
const LARGEST_SIDE: u32 = 16_384;

/// Frame rates that are believed.
const FPS: std::ops::RangeInclusive<f64> = 1.0..=1000.0;

/// A video codec Oriel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoCodec {
    H264,
    Hevc,
    Av1,
}

/// An audio codec Oriel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioCodec {
    Aac,
    Opus,
}

/// Everything a video decoder needs to start.
#[derive(Clone, Debug, PartialEq)]
pub struct VideoFormat {
    pub codec: VideoCodec,
    /// The configuration record: avcC, hvcC (ISO/IEC 14496-15) or av1C.
    pub description: Bytes,
    /// Picture width in pixels, 0 when the record does not say (av1C).
    pub width: u32,
    /// Picture height in pixels, 0 when the record does not say.
    pub height: u32,
    /// Frames per second, when the bitstream declares a fixed rate.
    pub fps: Option<f64>,
    /// How many frames may be decoded before a frame that is shown before them. 0 means no B-frames.
    pub reorder: u8,
    /// RFC 6381 codec string, such as `avc1.64001f`.
    pub codec_string: String,
}

/// Everything an audio decoder needs to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    pub codec: AudioCodec,
    /// AudioSpecificConfig (ISO/IEC 14496-3) or OpusHead (RFC 7845 section 5.1).
    pub description: Bytes,
    /// Samples per second. Always 48000 for Opus.
    pub rate: u32,
    pub channels: u32,
    /// Samples one coded frame decodes to: 1024 for AAC-LC, 960 assumed for Opus.
    pub samples_per_frame: u32,
    /// RFC 6381 codec string, such as `mp4a.40.2`.
    pub codec_string: String,
}

/// The tracks of a broadcast at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Format {
    pub video: Option<Arc<VideoFormat>>,
    pub audio: Option<Arc<AudioFormat>>,
}

/// A configuration record that no decoder could use.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The video configuration record does not parse.
    #[error("{codec:?} configuration record is not usable: {reason}")]
    Video { codec: VideoCodec, reason: String },
    /// The audio configuration record does not parse.
    #[error("{codec:?} configuration record is not usable: {reason}")]
    Audio { codec: AudioCodec, reason: String },
}

impl VideoFormat {
    /// From an AVCDecoderConfigurationRecord.
    pub fn h264(avcc: &[u8]) -> Result<Self, FormatError> {
        let fail = |reason: String| FormatError::Video { codec: VideoCodec::H264, reason };
        let sps = h264_sps(avcc).ok_or_else(|| fail("its sequence parameter set does not parse".into()))?;
        let (width, height) = sps.pixel_dimensions().map_err(|err| fail(format!("{err:?}")))?;
        if !(1..=LARGEST_SIDE).contains(&width) || !(1..=LARGEST_SIDE).contains(&height) {
            return Err(fail(format!("picture of {width} x {height}")));
        }
        let codec_string = format!("avc1.{:02x}{:02x}{:02x}", avcc[1], avcc[2], avcc[3]);
        Ok(Self {
            codec: VideoCodec::H264,
            description: Bytes::copy_from_slice(avcc),
            width,
            height,
            fps: sps.fps().filter(|fps| FPS.contains(fps)),
            reorder: h264_reorder(&sps),
            codec_string,
        })
    }

    /// From an HEVCDecoderConfigurationRecord.
    pub fn hevc(hvcc: &[u8]) -> Result<Self, FormatError> {
        let config = parsed(|| moq_mux::codec::h265::config(hvcc)).map_err(|err| video_error(VideoCodec::Hevc, err))?;
        let reorder = parsed(|| Ok::<_, String>(hevc_reorder(hvcc))).unwrap_or(UNKNOWN_REORDER);
        Ok(Self::from_config(VideoCodec::Hevc, &config, reorder))
    }

    /// From the parameter sets that H.264 and HEVC byte streams carry among their pictures: whole NAL units, without start
    /// codes. `None` while one that a decoder needs is missing.
    pub fn from_parameter_sets(codec: VideoCodec, sets: &[Bytes]) -> Result<Option<Self>, FormatError> {
        let mut stream = Vec::new();
        for set in sets {
            stream.extend_from_slice(&[0, 0, 0, 1]);
            stream.extend_from_slice(set);
        }
        let stream = Bytes::from(stream);
        let record = parsed(|| match codec {
            VideoCodec::H264 => {
                let mut record = moq_mux::codec::h264::Avc1::new();
                record.transform(stream).map_err(|err| err.to_string())?;
                Ok(record.avcc().cloned())
            }
            VideoCodec::Hevc => {
                let mut record = moq_mux::codec::h265::Hvc1::new();
                record.transform(stream).map_err(|err| err.to_string())?;
                Ok(record.hvcc().cloned())
            }
            VideoCodec::Av1 => Err("it has no parameter sets".to_owned()),
        });
        let record = record.map_err(|reason| FormatError::Video { codec, reason })?;
        let format = record.map(|record| match codec {
            VideoCodec::H264 => Self::h264(&record),
            _ => Self::hevc(&record),
        });
        format.transpose()
    }

    /// From an AV1CodecConfigurationRecord, whose size comes from the sequence header it carries, when it carries one.
    pub fn av1(av1c: &[u8]) -> Result<Self, FormatError> {
        let fail = |reason: String| FormatError::Video { codec: VideoCodec::Av1, reason };
        let mut cursor = std::io::Cursor::new(Bytes::copy_from_slice(av1c));
        let record = parsed(|| scuffle_av1::AV1CodecConfigurationRecord::demux(&mut cursor)).map_err(fail)?;
        let size = parsed(|| Ok::<_, String>(av1_size(&record.config_obu))).unwrap_or_default();
        let depth = match (record.twelve_bit, record.high_bitdepth) {
            (true, _) => 12,
            (false, true) => 10,
            (false, false) => 8,
        };
        let tier = if record.seq_tier_0 { 'H' } else { 'M' };
        Ok(Self {
            codec: VideoCodec::Av1,
            description: Bytes::copy_from_slice(av1c),
            width: size.0,
            height: size.1,
            fps: None,
            reorder: 0,
            codec_string: format!("av01.{}.{:02}{tier}.{depth:02}", record.seq_profile, record.seq_level_idx_0),
        })
    }

    /// From a catalog entry written by [`VideoFormat::to_config`], on whatever node.
    pub(crate) fn from_catalog(config: &VideoConfig) -> Result<Self, FormatError> {
        let record = config.description.as_deref().unwrap_or_default();
        match &config.codec {
            hang::catalog::VideoCodec::H264(_) => Self::h264(record),
            hang::catalog::VideoCodec::H265(_) => Self::hevc(record),
            hang::catalog::VideoCodec::AV1(_) => Self::av1(record),
            other => Err(FormatError::Video { codec: VideoCodec::H264, reason: format!("catalog names {other}") }),
        }
    }

    /// The catalog entry @moq/watch and other nodes configure their decoders from.
    pub(crate) fn to_config(&self) -> Result<VideoConfig, FormatError> {
        let codec: hang::catalog::VideoCodec = self
            .codec_string
            .parse()
            .map_err(|err| FormatError::Video { codec: self.codec, reason: format!("{err}") })?;
        let mut config = VideoConfig::new(codec);
        config.framerate = self.fps;
        config.coded_width = Some(self.width).filter(|w| *w > 0);
        config.coded_height = Some(self.height).filter(|h| *h > 0);
        config.description = Some(self.description.clone());
        Ok(config)
    }

    fn from_config(codec: VideoCodec, config: &VideoConfig, reorder: u8) -> Self {
        Self {
            codec,
            description: config.description.clone().unwrap_or_default(),
            width: config.coded_width.unwrap_or(0),
            height: config.coded_height.unwrap_or(0),
            fps: config.framerate.filter(|fps| FPS.contains(fps)),
            reorder,
            codec_string: config.codec.to_string(),
        }
    }
}

impl AudioFormat {
    /// From an AudioSpecificConfig.
    pub fn aac(asc: &[u8]) -> Result<Self, FormatError> {
        let config = parsed(|| moq_mux::codec::aac::config(asc)).map_err(|err| audio_error(AudioCodec::Aac, err))?;
        Self::check(Self::from_config(AudioCodec::Aac, &config, 1024))
    }

    /// From an OpusHead.
    pub fn opus(head: &[u8]) -> Result<Self, FormatError> {
        let config = parsed(|| moq_mux::codec::opus::config(head)).map_err(|err| audio_error(AudioCodec::Opus, err))?;
        let mut format = Self::from_config(AudioCodec::Opus, &config, 960);
        format.rate = 48_000;
        format.description = Bytes::copy_from_slice(head);
        Self::check(format)
    }

    pub(crate) fn from_catalog(config: &AudioConfig) -> Result<Self, FormatError> {
        let record = config.description.as_deref().unwrap_or_default();
        match &config.codec {
            hang::catalog::AudioCodec::AAC(_) => Self::aac(record),
            hang::catalog::AudioCodec::Opus => Self::opus(record),
            other => Err(FormatError::Audio { codec: AudioCodec::Aac, reason: format!("catalog names {other}") }),
        }
    }

    pub(crate) fn to_config(&self) -> Result<AudioConfig, FormatError> {
        let mut config = match self.codec {
            AudioCodec::Aac => moq_mux::codec::aac::config(&self.description),
            AudioCodec::Opus => moq_mux::codec::opus::config(&self.description),
        }
        .map_err(|err| audio_error(self.codec, err))?;
        config.description = Some(self.description.clone());
        Ok(config)
    }

    fn from_config(codec: AudioCodec, config: &AudioConfig, samples_per_frame: u32) -> Self {
        Self {
            codec,
            description: config.description.clone().unwrap_or_default(),
            rate: config.sample_rate,
            channels: config.channel_count,
            samples_per_frame,
            codec_string: config.codec.to_string(),
        }
    }

    /// Refuses rates and channel counts that no arithmetic downstream should have to survive.
    fn check(self) -> Result<Self, FormatError> {
        match (8_000..=192_000).contains(&self.rate) && (1..=8).contains(&self.channels) {
            true => Ok(self),
            false => Err(FormatError::Audio {
                codec: self.codec,
                reason: format!("{} Hz, {} channels", self.rate, self.channels),
            }),
        }
    }
}

fn video_error(codec: VideoCodec, err: impl std::fmt::Display) -> FormatError {
    FormatError::Video { codec, reason: err.to_string() }
}

fn audio_error(codec: AudioCodec, err: impl std::fmt::Display) -> FormatError {
    FormatError::Audio { codec, reason: err.to_string() }
}

/// Runs a parser of others over bytes from outside. Some of them take an overflow for a bug of ours and panic; to us it is one
/// more record that cannot be used.
fn parsed<T, E: std::fmt::Display>(parse: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(parse)) {
        Ok(result) => result.map_err(|err| err.to_string()),
        Err(_) => Err("it contradicts itself".into()),
    }
}

/// The picture size in a sequence header OBU; zeros when there is none.
fn av1_size(obu: &Bytes) -> (u32, u32) {
    let mut cursor = std::io::Cursor::new(obu.clone());
    scuffle_av1::ObuHeader::parse(&mut cursor)
        .and_then(|header| scuffle_av1::seq::SequenceHeaderObu::parse(header, &mut cursor))
        .map(|sequence| (sequence.max_frame_width as u32, sequence.max_frame_height as u32))
        .unwrap_or_default()
}

/// The first SPS of an avcC.
fn h264_sps(avcc: &[u8]) -> Option<SeqParameterSet> {
    let record = h264_reader::avcc::AvcDecoderConfigurationRecord::try_from(avcc).ok()?;
    let nal = record.sequence_parameter_sets().next()?.ok()?;
    let rbsp = h264_reader::rbsp::decode_nal(nal).ok()?;
    SeqParameterSet::from_bits(h264_reader::rbsp::BitReader::new(&rbsp[..])).ok()
}

/// Reorder depth of an SPS: what the VUI says, 0 where the profile rules reordering out, else a safe guess.
fn h264_reorder(sps: &SeqParameterSet) -> u8 {
    let declared = sps.vui_parameters.as_ref().and_then(|vui| vui.bitstream_restrictions.as_ref());
    if let Some(restrictions) = declared {
        return u64::from(restrictions.max_num_reorder_frames).min(MAX_REORDER) as u8;
    }
    let baseline = sps.profile_idc == 66.into();
    let display_is_decode_order = matches!(sps.pic_order_cnt, PicOrderCntType::TypeTwo);
    if baseline || display_is_decode_order || sps.max_num_ref_frames == 0 { 0 } else { UNKNOWN_REORDER }
}

/// Reorder depth from the SPS of an hvcC, of its highest sub-layer.
fn hevc_reorder(hvcc: &[u8]) -> u8 {
    scuffle_h265::HEVCDecoderConfigurationRecord::demux(&mut std::io::Cursor::new(Bytes::copy_from_slice(hvcc)))
        .ok()
        .and_then(|record| {
            let array = record.arrays.iter().find(|array| array.nal_unit_type == scuffle_h265::NALUnitType::SpsNut)?;
            let sps = scuffle_h265::SpsNALUnit::parse(&mut array.nalus.first()?.as_ref()).ok()?;
            sps.rbsp.sub_layer_ordering_info.sps_max_num_reorder_pics.last().copied()
        })
        .map_or(UNKNOWN_REORDER, |depth| depth.min(MAX_REORDER) as u8)
}
