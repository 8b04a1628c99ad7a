//! Which container a stream is, by its first bytes. What a sender says about it is not asked: programs guess it wrong.

use crate::ts;

/// A container that is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    Flv,
    Ts,
    Mp4,
    Matroska,
}

/// What the bytes so far tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sniffed {
    Is(Container),
    /// Not enough bytes.
    More,
    /// None of ours: what it looks like.
    Other(String),
}

/// Bytes that are enough for every container: three transport packets' sync bytes after as much rubbish as is tolerated.
pub const ENOUGH: usize = 4 * ts::PACKET;

/// MP4 boxes that begin a file or a stream.
const FIRST_BOXES: [&[u8; 4]; 8] = [b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"sidx"];

/// Beginnings of what people send by mistake, and its name.
const OTHERS: [(&[u8], &str); 10] = [
    (b"OggS", "Ogg"),
    (b"RIFF", "RIFF (AVI or WAV)"),
    (b"ID3", "MP3"),
    (b"#EXTM3U", "an HLS playlist"),
    (b"\x00\x00\x00\x01", "a bare H.264 or HEVC byte stream"),
    (b"\x00\x00\x01\xba", "an MPEG program stream"),
    (b"\xff\xf1", "bare AAC (ADTS)"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"\x89PNG", "a PNG picture"),
    (b"{", "JSON"),
];

/// Tells a container by the `first` bytes of a stream.
pub fn sniff(first: &[u8]) -> Sniffed {
    if first.len() < 8 {
        return Sniffed::More;
    }
    if first.starts_with(b"FLV\x01") {
        return Sniffed::Is(Container::Flv);
    }
    if first.starts_with(&[0x1a, 0x45, 0xdf, 0xa3]) {
        return Sniffed::Is(Container::Matroska);
    }
    if FIRST_BOXES.iter().any(|name| first[4..8] == name[..]) {
        return Sniffed::Is(Container::Mp4);
    }
    if ts::find_sync(first).is_some() {
        return Sniffed::Is(Container::Ts);
    }
    if let Some((_, name)) = OTHERS.iter().find(|(magic, _)| first.starts_with(magic)) {
        return Sniffed::Other((*name).to_owned());
    }
    if first.len() < ENOUGH {
        return Sniffed::More;
    }
    Sniffed::Other(unknown(first))
}

/// In words, for bytes that are none of ours.
pub fn unknown(first: &[u8]) -> String {
    let shown: Vec<String> = first.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    match shown.is_empty() {
        true => "an empty body".to_owned(),
        false => format!("no container known here (it begins with {})", shown.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_container_is_told_by_its_first_bytes() {
        let mut packets = vec![0u8; 3 * ts::PACKET];
        for packet in packets.chunks_mut(ts::PACKET) {
            packet[0] = 0x47;
        }
        for (bytes, container) in [
            (&b"FLV\x01\x05\0\0\0\x09"[..], Container::Flv),
            (b"\x1a\x45\xdf\xa3\x01\0\0\0", Container::Matroska),
            (b"\0\0\0\x1cftypiso5", Container::Mp4),
            (&packets, Container::Ts),
        ] {
            assert_eq!(sniff(bytes), Sniffed::Is(container));
        }
        assert_eq!(sniff(&packets[..200]), Sniffed::More);
        assert_eq!(sniff(b"FLV"), Sniffed::More);
    }

    #[test]
    fn a_stranger_is_named() {
        assert_eq!(sniff(b"OggS\0\x02\0\0"), Sniffed::Other("Ogg".into()));
        let Sniffed::Other(what) = sniff(&[0xab; ENOUGH]) else { panic!("known") };
        assert!(what.contains("ab ab"), "{what}");
        assert!(unknown(b"").contains("empty"));
    }
}
