//! One HLS segment as a transport stream, for players that know nothing else. H.264 and AAC only.
//!
//! Pure: the same segment gives the same bytes on every node. Its continuity counters begin at 0 and each PID has a multiple
//! of sixteen packets, so that they run on from segment to segment though no segment knows of another.

use std::ops::Range;

use bytes::{BufMut, Bytes};
use live::{AudioCodec, AudioFormat, SourceFrame, VideoCodec, VideoFormat};

use super::packet::{PACKET, SYNC};
use super::psi;

const PAT: Lane = Lane(0);
const PMT: Lane = Lane(1);
const VIDEO: Lane = Lane(2);
const AUDIO: Lane = Lane(3);
const PIDS: [u16; 4] = [0, 0x1000, 0x100, 0x101];

/// Packets after which a continuity counter is where it began.
const ROUND: usize = 16;

/// How far the program clock is behind decode times, 90 kHz: what a player may buffer.
const CLOCK_LAG: i64 = 9_000;

/// Sounds in one PES packet: about 100 ms, so that they fill their transport packets.
const SOUNDS: usize = 5;

const PAYLOAD: usize = PACKET - 4;
const START_CODE: [u8; 4] = [0, 0, 0, 1];
const DELIMITER: [u8; 6] = [0, 0, 0, 1, 9, 0xf0];

#[derive(Clone, Copy, PartialEq, Eq)]
struct Lane(usize);

/// How the video is written.
struct Video {
    /// Bytes of a NAL unit's length.
    prefix: usize,
    /// The parameter sets, with start codes.
    sets: Vec<u8>,
}

/// ADTS fields.
struct Audio {
    profile: u8,
    rate: u8,
    channels: u8,
}

/// A PES packet on its way.
struct Unit {
    lane: Lane,
    dts: i64,
    keyframe: bool,
    bytes: Vec<u8>,
}

/// Writes the frames of one segment, in any order of tracks. `None`: a transport stream of ours cannot carry the codecs.
pub(crate) fn segment(
    video: Option<&VideoFormat>,
    audio: Option<&AudioFormat>,
    pictures: &[SourceFrame],
    sounds: &[SourceFrame],
) -> Option<Bytes> {
    let video = video.map(Video::new).map_or(Some(None), |video| video.map(Some))?;
    let audio = audio.map(Audio::new).map_or(Some(None), |audio| audio.map(Some))?;
    let mut units = Vec::with_capacity(pictures.len() + sounds.len());
    if let Some(video) = &video {
        units.extend(pictures.iter().map(|frame| video.unit(frame)));
    }
    if let Some(audio) = &audio {
        units.extend(sounds.chunks(SOUNDS).map(|frames| audio.unit(frames)));
    }
    // By decode time; a stable sort keeps a picture before the sound of the same moment.
    units.sort_by_key(|unit| unit.dts);
    let mut writer = Writer::new(video.is_some(), audio.is_some());
    for (at, unit) in units.iter().enumerate() {
        writer.tables(1 + (ROUND - 1) * at / units.len());
        let last = !units[at + 1..].iter().any(|other| other.lane == unit.lane);
        writer.unit(unit, last);
    }
    writer.tables(ROUND);
    Some(writer.out.into())
}

impl Video {
    fn new(format: &VideoFormat) -> Option<Self> {
        let record = &format.description;
        if format.codec != VideoCodec::H264 || record.len() < 7 {
            return None;
        }
        // avcC: 5 bytes, then how many SPS (5 bits) and each with its length, the same for PPS.
        let mut sets = Vec::new();
        let mut rest = &record[5..];
        for mask in [0x1f, 0xff] {
            let (&count, after) = rest.split_first()?;
            rest = after;
            for _ in 0..count & mask {
                let (length, after) = rest.split_first_chunk::<2>()?;
                let (set, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
                sets.extend_from_slice(&START_CODE);
                sets.extend_from_slice(set);
                rest = after;
            }
        }
        Some(Self { prefix: usize::from(record[4] & 3) + 1, sets })
    }

    fn unit(&self, frame: &SourceFrame) -> Unit {
        let (pts, dts) = (ticks(frame.pts_us), ticks(frame.dts_us));
        let mut bytes = header(0xe0, pts, dts, None);
        bytes.extend_from_slice(&DELIMITER);
        if frame.keyframe {
            bytes.extend_from_slice(&self.sets);
        }
        let mut rest = &frame.payload[..];
        while let Some((length, after)) = rest.split_at_checked(self.prefix) {
            let length = length.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
            let Some((nal, after)) = after.split_at_checked(length) else { break };
            rest = after;
            // Parameter sets and delimiters of its own would come twice.
            if !nal.first().is_none_or(|header| matches!(header & 0x1f, 7..=9)) {
                bytes.extend_from_slice(&START_CODE);
                bytes.extend_from_slice(nal);
            }
        }
        Unit { lane: VIDEO, dts, keyframe: frame.keyframe, bytes }
    }
}

impl Audio {
    fn new(format: &AudioFormat) -> Option<Self> {
        let &[a, b, ..] = &format.description[..] else { return None };
        let (object, rate, channels) = (a >> 3, (a & 7) << 1 | b >> 7, b >> 3 & 0x0f);
        if format.codec != AudioCodec::Aac || rate > 12 || !(1..=7).contains(&channels) {
            return None;
        }
        // What ADTS cannot name is AAC-LC with additions that decoders find by themselves.
        Some(Self { profile: if (1..=4).contains(&object) { object - 1 } else { 1 }, rate, channels })
    }

    fn unit(&self, frames: &[SourceFrame]) -> Unit {
        let time = ticks(frames[0].pts_us);
        let length = frames.iter().map(|frame| frame.payload.len() + 7).sum();
        let mut bytes = header(0xc0, time, time, Some(length));
        for frame in frames {
            let size = frame.payload.len() + 7;
            bytes.extend_from_slice(&[
                0xff,
                0xf1,
                self.profile << 6 | self.rate << 2 | self.channels >> 2,
                (self.channels & 3) << 6 | (size >> 11 & 3) as u8,
                (size >> 3) as u8,
                (size << 5) as u8 | 0x1f,
                0xfc,
            ]);
            bytes.extend_from_slice(&frame.payload);
        }
        Unit { lane: AUDIO, dts: time, keyframe: true, bytes }
    }
}

/// The header of a PES packet; with a length where the packet is short enough to say it.
fn header(stream: u8, pts: i64, dts: i64, length: Option<usize>) -> Vec<u8> {
    let both = dts != pts;
    let fields = if both { 10 } else { 5 };
    let length = length.and_then(|length| u16::try_from(3 + fields + length).ok()).unwrap_or(0);
    let mut bytes = vec![0, 0, 1, stream];
    bytes.put_u16(length);
    bytes.extend_from_slice(&[0x84, if both { 0xc0 } else { 0x80 }, fields as u8]);
    stamp(&mut bytes, if both { 3 } else { 2 }, pts);
    if both {
        stamp(&mut bytes, 1, dts);
    }
    bytes
}

fn stamp(bytes: &mut Vec<u8>, mark: u8, time: i64) {
    let time = time as u64;
    bytes.extend_from_slice(&[
        mark << 4 | (time >> 29 & 0x0e) as u8 | 1,
        (time >> 22) as u8,
        (time >> 14) as u8 | 1,
        (time >> 7) as u8,
        (time << 1) as u8 | 1,
    ]);
}

/// Microseconds to 90 kHz, to the nearest.
fn ticks(us: i64) -> i64 {
    (us * 9 + 50).div_euclid(100)
}

struct Writer {
    out: Vec<u8>,
    packets: [usize; 4],
    tables: [Vec<u8>; 2],
    clock: Lane,
}

impl Writer {
    fn new(video: bool, audio: bool) -> Self {
        let clock = if video { VIDEO } else { AUDIO };
        let pid = |lane: Lane| PIDS[lane.0].to_be_bytes();
        let [pmt, clocked] = [pid(PMT), pid(clock)];
        let mut streams = vec![0xe0 | clocked[0], clocked[1], 0xf0, 0];
        for (there, kind, lane) in [(video, 0x1b, VIDEO), (audio, 0x0f, AUDIO)] {
            let pid = pid(lane);
            if there {
                streams.extend_from_slice(&[kind, 0xe0 | pid[0], pid[1], 0xf0, 0]);
            }
        }
        let tables = [section(0, &[0, 1, 0xe0 | pmt[0], pmt[1]]), section(2, &streams)];
        Self { out: Vec::new(), packets: [0; 4], tables, clock }
    }

    /// Writes the tables until they were written `times`.
    fn tables(&mut self, times: usize) {
        while self.packets[PAT.0] < times {
            for lane in [PAT, PMT] {
                let mut payload = [0xff; PAYLOAD];
                let section = &self.tables[lane.0];
                payload[0] = 0;
                payload[1..=section.len()].copy_from_slice(section);
                self.packet(lane, true, &[], &payload);
            }
        }
    }

    /// Writes a PES packet; the `last` of its PID in so many packets that the count comes out even.
    fn unit(&mut self, unit: &Unit, last: bool) {
        let clock = (unit.lane == self.clock).then(|| unit.dts - CLOCK_LAG);
        let begin = adaptation(clock, unit.keyframe);
        let room = PAYLOAD - begin.len();
        let packets = 1 + unit.bytes.len().saturating_sub(room).div_ceil(PAYLOAD);
        let odd = if last { (self.packets[unit.lane.0] + packets).wrapping_neg() % ROUND } else { 0 };
        for (at, part) in parts(unit.bytes.len(), room, packets, odd).into_iter().enumerate() {
            let fields: &[u8] = if at == 0 { &begin } else { &[] };
            self.packet(unit.lane, at == 0, fields, &unit.bytes[part]);
        }
    }

    /// One packet, filled up by its adaptation field.
    fn packet(&mut self, lane: Lane, starts: bool, adaptation: &[u8], payload: &[u8]) {
        let pid = PIDS[lane.0].to_be_bytes();
        let counter = (self.packets[lane.0] % ROUND) as u8;
        self.packets[lane.0] += 1;
        let stuffing = PAYLOAD - adaptation.len() - payload.len();
        let fields = if adaptation.is_empty() && stuffing == 0 { 0x10 } else { 0x30 };
        self.out.extend_from_slice(&[SYNC, u8::from(starts) << 6 | pid[0], pid[1], fields | counter]);
        let begin = self.out.len();
        self.out.extend_from_slice(adaptation);
        if fields == 0x30 {
            // A field of nothing but stuffing has flags too, unless it is its length alone.
            if adaptation.is_empty() && stuffing > 1 {
                self.out.extend_from_slice(&[0, 0]);
            } else if adaptation.is_empty() {
                self.out.push(0);
            }
            self.out.resize(begin + adaptation.len() + stuffing, 0xff);
            self.out[begin] = (adaptation.len() + stuffing - 1) as u8;
        }
        self.out.extend_from_slice(payload);
    }
}

/// An adaptation field with the program clock and whether decoding can begin here; empty when it would say nothing.
fn adaptation(clock: Option<i64>, random_access: bool) -> Vec<u8> {
    let access = u8::from(random_access) << 6;
    match clock {
        Some(clock) => {
            let base = clock as u64 & ((1 << 33) - 1);
            let mut field = vec![0, access | 0x10];
            field.put_u32((base >> 1) as u32);
            field.extend_from_slice(&[(base as u8) << 7 | 0x7e, 0]);
            field
        }
        None if random_access => vec![0, access],
        None => Vec::new(),
    }
}

/// How `length` bytes are spread over `packets` and `odd` more. The first packet holds at most `room`.
fn parts(length: usize, room: usize, packets: usize, odd: usize) -> Vec<Range<usize>> {
    let total = packets + odd;
    let mut parts = Vec::with_capacity(total);
    let mut at = 0;
    for left in (1..=total).rev() {
        let most = if at == 0 { room } else { PAYLOAD };
        // As full as may be, as long as each packet after it has a byte.
        let size = most.min((length - at).saturating_sub(left - 1));
        parts.push(at..at + size);
        at += size;
    }
    parts
}

/// A section with its CRC.
fn section(table: u8, body: &[u8]) -> Vec<u8> {
    let length = body.len() + 9;
    let mut section = vec![table, 0xb0, length as u8, 0, 1, 0xc1, 0, 0];
    section.extend_from_slice(body);
    section.extend_from_slice(&psi::crc(&section).to_be_bytes());
    section
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Media;
    use crate::ts::Demuxer;

    const SETS: [&[u8]; 2] = [
        &[
            0x67, 0x42, 0xc0, 0x0a, 0xd9, 0x04, 0x26, 0xc0, 0x44, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00,
            0xf0, 0x3c, 0x48, 0x99, 0x20,
        ],
        &[0x68, 0xcb, 0x83, 0xcb, 0x20],
    ];

    fn formats() -> (VideoFormat, AudioFormat) {
        let sets = SETS.map(Bytes::from_static);
        let video = VideoFormat::from_parameter_sets(VideoCodec::H264, &sets).unwrap().unwrap();
        (video, AudioFormat::aac(&[0x11, 0x90]).unwrap())
    }

    fn picture(n: i64, size: usize) -> SourceFrame {
        let mut payload = (size as u32 + 1).to_be_bytes().to_vec();
        payload.push(if n == 0 { 0x65 } else { 0x41 });
        payload.resize(size + 5, 0xab);
        let dts_us = 10_000_000 + n * 33_333;
        SourceFrame { pts_us: dts_us + 66_666, dts_us, keyframe: n == 0, payload: payload.into() }
    }

    fn sound(n: i64, size: usize) -> SourceFrame {
        let pts_us = 10_000_000 + n * 21_333;
        SourceFrame { pts_us, dts_us: pts_us, keyframe: true, payload: vec![7; size].into() }
    }

    #[test]
    fn what_is_written_is_read_again_and_counters_run_on_over_segments() {
        let (video, audio) = formats();
        for sizes in [1usize, 40, 170, 184, 1000, 70_000] {
            let pictures: Vec<SourceFrame> = (0..20).map(|n| picture(n, sizes + n as usize)).collect();
            let sounds: Vec<SourceFrame> = (0..33).map(|n| sound(n, 6 + sizes % 700)).collect();
            let bytes = segment(Some(&video), Some(&audio), &pictures, &sounds).unwrap();
            let mut counts = std::collections::HashMap::new();
            for packet in bytes.chunks(PACKET) {
                assert_eq!((packet.len(), packet[0]), (PACKET, SYNC));
                *counts.entry(u16::from_be_bytes([packet[1] & 0x1f, packet[2]])).or_insert(0) += 1;
            }
            assert_eq!(counts.len(), 4);
            assert!(counts.values().all(|count| count % ROUND == 0), "{sizes}: {counts:?}");

            // Twice in a row, as two segments are: nothing is lost between them.
            let (mut demuxer, mut found) = (Demuxer::new(), Vec::new());
            demuxer.push(&bytes, &mut found).unwrap();
            demuxer.push(&bytes, &mut found).unwrap();
            demuxer.finish(&mut found).unwrap();
            assert_eq!(demuxer.lost(), 0);
            let read: Vec<&SourceFrame> =
                found.iter().filter_map(|m| if let Media::Video(frame) = m { Some(frame) } else { None }).collect();
            assert_eq!(read.len(), 40);
            for (read, written) in read.iter().zip(&pictures) {
                assert_eq!(read.payload, written.payload);
                assert!((read.pts_us - written.pts_us).abs() <= 11 && (read.dts_us - written.dts_us).abs() <= 11);
                assert_eq!(read.keyframe, written.keyframe);
            }
            let heard = found.iter().filter(|media| matches!(media, Media::Audio(_))).count();
            assert_eq!(heard, 66);
        }
    }

    #[test]
    fn sound_alone_carries_the_clock() {
        let (_, audio) = formats();
        let sounds: Vec<SourceFrame> = (0..94).map(|n| sound(n, 200)).collect();
        let bytes = segment(None, Some(&audio), &[], &sounds).unwrap();
        let clocks =
            bytes.chunks(PACKET).filter(|packet| packet[3] & 0x20 != 0 && packet[4] > 0 && packet[5] & 0x10 != 0);
        assert_eq!(clocks.count(), 94usize.div_ceil(SOUNDS));
    }

    #[test]
    fn codecs_that_old_players_do_not_know_are_none() {
        let (video, audio) = formats();
        let opus = AudioFormat { codec: AudioCodec::Opus, ..audio };
        assert!(segment(Some(&video), Some(&opus), &[], &[]).is_none());
    }
}
