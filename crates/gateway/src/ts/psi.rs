//! Program association and map tables: which PID carries what.
//!
//! ```text
//! payload:  pointer | ... section
//! section:  table id | syntax, length (12) | program or stream id (16) | version (5), current | number | last | body | CRC (4)
//! PAT body: (program (16) | PID (13)) ...
//! PMT body: PCR PID (13) | length (12) | descriptors | (type | PID (13) | length (12) | descriptors) ...
//! ```

use live::{AudioCodec, VideoCodec};

const PAT: u8 = 0;
const PMT: u8 = 2;

/// Programs and streams that are looked at; a broadcast has one program with a few streams.
const MOST_PROGRAMS: usize = 16;
pub(super) const MOST_STREAMS: usize = 32;

/// Puts sections together out of packets. Sections of other tables and damaged ones come out as nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Sections {
    section: Vec<u8>,
    open: bool,
}

impl Sections {
    /// Takes a packet's payload; gives the sections that it completes.
    pub fn push(&mut self, starts: bool, lost: bool, payload: &[u8], mut found: impl FnMut(&[u8])) {
        if lost {
            self.open = false;
        }
        let mut rest = payload;
        if starts {
            let Some((&pointer, after)) = payload.split_first() else { return };
            let Some((end, begin)) = after.split_at_checked(pointer.into()) else { return };
            self.extend(end, &mut found);
            self.section.clear();
            self.open = true;
            rest = begin;
        }
        while self.open && !rest.is_empty() {
            rest = self.extend(rest, &mut found);
            // Another section follows at once, unless stuffing does.
            self.open |= rest.first().is_some_and(|table| *table != 0xff);
        }
    }

    /// Takes what belongs to the section that is open; gives the rest.
    fn extend<'a>(&mut self, bytes: &'a [u8], found: &mut impl FnMut(&[u8])) -> &'a [u8] {
        if !self.open {
            return &[];
        }
        let mut rest = bytes;
        for wanted in [3, usize::MAX] {
            let wanted = match wanted {
                usize::MAX => 3 + usize::from(u16::from_be_bytes([self.section[1] & 0x0f, self.section[2]])),
                header => header,
            };
            let missing = wanted.saturating_sub(self.section.len());
            let (taken, after) = rest.split_at(missing.min(rest.len()));
            self.section.extend_from_slice(taken);
            rest = after;
            if self.section.len() < wanted {
                return &[];
            }
        }
        if crc(&self.section) == 0 {
            found(&self.section);
        }
        self.section.clear();
        self.open = false;
        rest
    }
}

/// CRC-32/MPEG-2; 0 over a whole section that is undamaged.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| crc << 1 ^ if crc >> 31 == 1 { 0x04c1_1db7 } else { 0 })
    })
}

/// The body of a section in force with this table id, without its CRC.
fn body(section: &[u8], table: u8) -> Option<&[u8]> {
    let current = section.get(5)? & 1 == 1;
    (section[0] == table && current).then(|| section.get(8..section.len().checked_sub(4)?))?
}

/// PIDs of the program map tables, from a program association section.
pub(super) fn pat(section: &[u8]) -> Option<Vec<u16>> {
    let entries = body(section, PAT)?.chunks_exact(4);
    let maps = entries.filter(|entry| entry[..2] != [0, 0]).map(|entry| pid(&entry[2..]));
    Some(maps.take(MOST_PROGRAMS).collect())
}

/// What a stream of a program carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carries {
    Video(VideoCodec),
    Audio(AudioCodec),
    /// Video or audio in a codec that is not taken: its name.
    Foreign {
        video: bool,
        name: String,
    },
    /// Subtitles, data, advertisement marks.
    Other,
}

/// One stream of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stream {
    pub pid: u16,
    pub carries: Carries,
    /// Channel configuration code of Opus (ETSI TS 103 491), when there is one.
    pub opus_channels: Option<u8>,
}

/// The streams of a program, from a program map section.
pub(super) fn pmt(section: &[u8]) -> Option<Vec<Stream>> {
    let body = body(section, PMT)?;
    let mut rest = body.get(4 + length(body.get(2..4)?)..)?;
    let mut streams = Vec::new();
    while let [kind, a, b, c, d, after @ ..] = rest {
        let descriptors = after.get(..length(&[*c, *d]))?;
        rest = &after[descriptors.len()..];
        if streams.len() < MOST_STREAMS {
            streams.push(stream(*kind, pid(&[*a, *b]), descriptors));
        }
    }
    Some(streams)
}

fn stream(kind: u8, pid: u16, descriptors: &[u8]) -> Stream {
    let registered = descriptor(descriptors, 0x05).and_then(|data| data.first_chunk::<4>().copied());
    let has = |tag| descriptor(descriptors, tag).is_some();
    let foreign = |video, name: &str| Carries::Foreign { video, name: name.to_owned() };
    let carries = match (kind, registered.as_ref()) {
        (0x1b, _) => Carries::Video(VideoCodec::H264),
        (0x24, _) => Carries::Video(VideoCodec::Hevc),
        (0x0f, _) => Carries::Audio(AudioCodec::Aac),
        (0x06, Some(b"Opus")) => Carries::Audio(AudioCodec::Opus),
        (0x06, Some(b"HEVC")) => Carries::Video(VideoCodec::Hevc),
        (0x06, Some(b"AV01")) => foreign(true, "AV1 in MPEG-TS"),
        (0x06, Some(b"AC-3")) | (0x81, _) => foreign(false, "AC-3"),
        (0x06, _) if has(0x6a) => foreign(false, "AC-3"),
        (0x06, _) if has(0x7a) => foreign(false, "E-AC-3"),
        (0x01, _) => foreign(true, "MPEG-1 video"),
        (0x02, _) => foreign(true, "MPEG-2 video"),
        (0x10, _) => foreign(true, "MPEG-4 part 2 video"),
        (0x33, _) => foreign(true, "VVC"),
        (0x03 | 0x04, _) => foreign(false, "MPEG audio (MP2 or MP3)"),
        (0x11, _) => foreign(false, "AAC in LATM; send it in ADTS"),
        (0x87, _) => foreign(false, "E-AC-3"),
        (0x82 | 0x85 | 0x8a, _) => foreign(false, "DTS"),
        _ => Carries::Other,
    };
    // The descriptor's extension 0x80 is the channel configuration.
    let opus_channels = descriptor(descriptors, 0x7f).and_then(|data| match data {
        [0x80, code, ..] => Some(*code),
        _ => None,
    });
    Stream { pid, carries, opus_channels }
}

fn descriptor(mut descriptors: &[u8], wanted: u8) -> Option<&[u8]> {
    while let [tag, size, after @ ..] = descriptors {
        let data = after.get(..usize::from(*size))?;
        if *tag == wanted {
            return Some(data);
        }
        descriptors = &after[data.len()..];
    }
    None
}

fn pid(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0] & 0x1f, bytes[1]])
}

fn length(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[0] & 0x0f, bytes[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(table: u8, body: &[u8]) -> Vec<u8> {
        let length = body.len() + 9;
        let mut section = vec![table, 0xb0 | (length >> 8) as u8, length as u8, 0, 1, 0xc1, 0, 0];
        section.extend_from_slice(body);
        section.extend_from_slice(&crc(&section).to_be_bytes());
        section
    }

    fn read(sections: &mut Sections, starts: bool, payload: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        sections.push(starts, false, payload, |section| found.push(section.to_vec()));
        found
    }

    #[test]
    fn tables_name_the_streams() {
        let pat_section = section(PAT, &[0, 0, 0xe0, 16, 0, 1, 0xf0, 0]);
        assert_eq!(pat(&pat_section), Some(vec![0x1000]));
        let body = [
            &[0xe1, 0, 0xf0, 0][..],
            &[0x1b, 0xe1, 0, 0xf0, 0],
            &[0x06, 0xe1, 1, 0xf0, 10, 5, 4, b'O', b'p', b'u', b's', 0x7f, 2, 0x80, 2],
            &[0x81, 0xe1, 2, 0xf0, 0],
            &[0x15, 0xe1, 3, 0xf0, 0],
        ];
        let streams = pmt(&section(PMT, &body.concat())).unwrap();
        assert_eq!(streams[0], Stream { pid: 256, carries: Carries::Video(VideoCodec::H264), opus_channels: None });
        assert_eq!(streams[1], Stream { pid: 257, carries: Carries::Audio(AudioCodec::Opus), opus_channels: Some(2) });
        assert!(matches!(&streams[2].carries, Carries::Foreign { name, .. } if name == "AC-3"));
        assert_eq!(streams[3].carries, Carries::Other);
    }

    #[test]
    fn sections_span_packets_and_damage_is_left_out() {
        let whole = section(PMT, &[0xe1, 0, 0xf0, 0, 0x1b, 0xe1, 0, 0xf0, 0]);
        let mut sections = Sections::default();
        let first = [&[0][..], &whole[..7]].concat();
        assert!(read(&mut sections, true, &first).is_empty());
        let second = [&whole[7..], &[0xff; 20]].concat();
        assert_eq!(read(&mut sections, false, &second), std::slice::from_ref(&whole));

        let mut damaged = whole.clone();
        damaged[9] ^= 1;
        assert!(read(&mut sections, true, &[&[0][..], &damaged].concat()).is_empty());
        let two = [&[0][..], &whole, &whole, &[0xff; 9]].concat();
        assert_eq!(read(&mut sections, true, &two).len(), 2);
    }

    #[test]
    fn the_end_of_a_section_may_stand_before_the_pointer() {
        let whole = section(PAT, &[0, 1, 0xf0, 0]);
        let mut sections = Sections::default();
        assert!(read(&mut sections, true, &[&[0][..], &whole[..5]].concat()).is_empty());
        let end = &whole[5..];
        let next = [&[end.len() as u8][..], end, &whole].concat();
        assert_eq!(read(&mut sections, true, &next).len(), 2);
    }
}
