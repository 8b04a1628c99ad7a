//! What of a `moov` or a `moof` is handed to the library that reads it.
//!
//! The library reads every box that it knows wherever one stands: boxes inside boxes until the stack is full, and lists that
//! say how long they are without having the bytes for it. So it gets only what is needed here.

use super::fragment::MOST_SAMPLES;

/// `moov trak mdia minf stbl stsd avc1 avcC`.
const DEEPEST: usize = 8;

/// Descriptors stand inside one another without end, too; those of real encoders have some 50 bytes.
const LARGEST_DESCRIPTORS: usize = 1024;

/// A sample entry that is in nobody's way.
const NEITHER: &[u8; 4] = b"none";

/// What is wrong with the boxes inside a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("a box is cut short")]
    Short,
    #[error("boxes inside boxes inside boxes")]
    Deep,
    #[error("descriptors of {0} bytes")]
    Descriptors(usize),
    #[error("a fragment of more than {MOST_SAMPLES} samples")]
    Samples,
}

enum Kind {
    /// Has boxes inside, after so many bytes.
    Holds(usize),
    Plain,
    Descriptors,
    Run,
}

/// `None`: not needed.
fn kind(name: &[u8; 4], body: &[u8]) -> Option<Kind> {
    Some(match name {
        b"moov" | b"trak" | b"mdia" | b"minf" | b"stbl" | b"mvex" | b"edts" | b"dinf" | b"moof" | b"traf" => {
            Kind::Holds(0)
        }
        b"stsd" => Kind::Holds(8),
        b"avc1" | b"hvc1" | b"hev1" | b"av01" | b"vp08" | b"vp09" => Kind::Holds(78),
        // QuickTime has longer versions of the sound entry.
        b"mp4a" | b"Opus" | b"fLaC" | b"ac-3" | b"ec-3" => Kind::Holds(match body.get(8..10) {
            Some([0, 1]) => 44,
            Some([0, 2]) => 64,
            _ => 28,
        }),
        b"mvhd" | b"tkhd" | b"mdhd" | b"hdlr" | b"elst" | b"vmhd" | b"smhd" | b"dref" => Kind::Plain,
        b"stts" | b"stsc" | b"stsz" | b"stco" | b"mehd" | b"trex" | b"mfhd" | b"tfhd" | b"tfdt" => Kind::Plain,
        b"avcC" | b"hvcC" | b"av1C" | b"dOps" | b"vpcC" | b"dfLa" | b"dac3" | b"dec3" => Kind::Plain,
        b"esds" | b"wave" => Kind::Descriptors,
        b"trun" => Kind::Run,
        _ => return None,
    })
}

/// Boxes with their headers, without those that are not needed.
pub fn sieve(boxes: &[u8]) -> Result<Vec<u8>, Wrong> {
    let mut sieve = Sieve { out: Vec::new(), samples: 0 };
    sieve.boxes(boxes, b"file", 0)?;
    Ok(sieve.out)
}

struct Sieve {
    out: Vec<u8>,
    samples: usize,
}

impl Sieve {
    /// Takes the boxes that follow one another inside `parent`.
    fn boxes(&mut self, mut bytes: &[u8], parent: &[u8; 4], depth: usize) -> Result<(), Wrong> {
        if depth > DEEPEST {
            return Err(Wrong::Deep);
        }
        // Less than a header is padding.
        while let Some((name, header, size)) = head(bytes)? {
            let (whole, rest) = bytes.split_at(size);
            self.take(&name, &whole[header..], parent, depth)?;
            bytes = rest;
        }
        Ok(())
    }

    fn take(&mut self, name: &[u8; 4], body: &[u8], parent: &[u8; 4], depth: usize) -> Result<(), Wrong> {
        let Some(kind) = kind(name, body) else {
            if parent == b"stsd" {
                // Their number was said before them. These are named to the broadcaster.
                let known = matches!(name, b"avc3" | b"mp4v" | b".mp3" | b"vvc1");
                self.put(if known { name } else { NEITHER }, &[]);
            }
            return Ok(());
        };
        match kind {
            Kind::Holds(before) => {
                let (before, boxes) = body.split_at_checked(before).ok_or(Wrong::Short)?;
                let begin = self.out.len();
                self.put(name, before);
                self.boxes(boxes, name, depth + 1)?;
                let size = (self.out.len() - begin) as u32;
                self.out[begin..begin + 4].copy_from_slice(&size.to_be_bytes());
                return Ok(());
            }
            Kind::Descriptors if body.len() > LARGEST_DESCRIPTORS => return Err(Wrong::Descriptors(body.len())),
            Kind::Run => {
                let count = body.get(4..8).and_then(|count| count.first_chunk()).ok_or(Wrong::Short)?;
                self.samples = self.samples.saturating_add(u32::from_be_bytes(*count) as usize);
                if self.samples > MOST_SAMPLES {
                    return Err(Wrong::Samples);
                }
            }
            Kind::Plain | Kind::Descriptors => {}
        }
        self.put(name, body);
        Ok(())
    }

    fn put(&mut self, name: &[u8; 4], body: &[u8]) {
        self.out.extend_from_slice(&(8 + body.len() as u32).to_be_bytes());
        self.out.extend_from_slice(name);
        self.out.extend_from_slice(body);
    }
}

/// Name, bytes of the header, and size with it. A size of 0 goes to the end.
fn head(bytes: &[u8]) -> Result<Option<([u8; 4], usize, usize)>, Wrong> {
    let Some(&[a, b, c, d, name @ ..]) = bytes.first_chunk::<8>() else { return Ok(None) };
    let (header, size) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (8, bytes.len() as u64),
        1 => {
            let size = bytes.get(8..).and_then(|rest| rest.first_chunk::<8>()).ok_or(Wrong::Short)?;
            (16, u64::from_be_bytes(*size))
        }
        size => (8, size.into()),
    };
    let size = usize::try_from(size).ok().filter(|size| (header..=bytes.len()).contains(size)).ok_or(Wrong::Short)?;
    Ok(Some((name, header, size)))
}

#[cfg(test)]
mod tests {
    use mp4_atom::{Decode as _, Moof};

    use super::*;

    fn boxed(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(8 + body.len() as u32).to_be_bytes()[..], name, body].concat()
    }

    #[test]
    fn boxes_inside_one_another_do_not_fill_the_stack() {
        for name in [b"moof", b"moov", b"stbl"] {
            let mut bytes: Vec<u8> = Vec::new();
            for level in (1..=100_000_u32).rev() {
                bytes.extend_from_slice(&(8 * level).to_be_bytes());
                bytes.extend_from_slice(name);
            }
            assert_eq!(sieve(&bytes), Err(Wrong::Deep));
        }
        assert_eq!(sieve(&boxed(b"moov", &boxed(b"esds", &[3; 2000]))), Err(Wrong::Descriptors(2000)));
    }

    #[test]
    fn lists_longer_than_their_bytes_do_not_fill_the_memory() {
        // Sample groups of a kind that the library does not know: 2^32 of them, each of no bytes.
        let groups = [&[1, 0, 0, 0][..], b"xxxx", &[0, 0, 0, 1], &[0xff; 4]].concat();
        let moof =
            [boxed(b"mfhd", &[0; 8]), boxed(b"traf", &[boxed(b"tfhd", &[0; 8]), boxed(b"sgpd", &groups)].concat())];
        let kept = sieve(&boxed(b"moof", &moof.concat())).unwrap();
        assert!(!kept.windows(4).any(|name| name == b"sgpd"));
        assert_eq!(Moof::decode(&mut &kept[..]).unwrap().traf.len(), 1);

        let run = boxed(b"trun", &[0, 0, 0, 0, 0, 0, 16, 0]);
        assert!(sieve(&boxed(b"moof", &run.repeat(4))).is_ok());
        assert_eq!(sieve(&boxed(b"moof", &run.repeat(5))), Err(Wrong::Samples));
    }

    #[test]
    fn sizes_and_padding_are_as_boxes_have_them() {
        let long = [&[0, 0, 0, 1][..], b"mfhd", &20_u64.to_be_bytes(), &[7; 4]].concat();
        let to_the_end = [&[0, 0, 0, 0][..], b"tfdt", &[8; 3]].concat();
        let whole = boxed(b"moof", &[&long[..], &boxed(b"free", b"xyz"), &to_the_end].concat());
        let expected = boxed(b"moof", &[boxed(b"mfhd", &[7; 4]), boxed(b"tfdt", &[8; 3])].concat());
        assert_eq!(sieve(&whole), Ok(expected));
        assert_eq!(sieve(&boxed(b"moof", &[0; 4])), Ok(boxed(b"moof", &[])));
        for size in [2, 7, 17] {
            assert_eq!(sieve(&boxed(b"moof", &[&[0, 0, 0, size][..], b"mfhdabcd"].concat())), Err(Wrong::Short));
        }
    }

    #[test]
    fn a_sample_entry_that_is_dropped_still_counts() {
        let entries = [boxed(b"tx3g", b"abc"), boxed(b"avc3", b"abc")].concat();
        let before = [0, 0, 0, 0, 0, 0, 0, 2];
        let kept = sieve(&boxed(b"stsd", &[&before[..], &entries].concat())).unwrap();
        let expected = [&before[..], &boxed(NEITHER, &[]), &boxed(b"avc3", &[])].concat();
        assert_eq!(kept, boxed(b"stsd", &expected));
    }
}
