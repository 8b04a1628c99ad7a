//! What a player of a replay asks for: the file name, and which bytes of it. Pure.

use crate::hls::{between, hash, number};

/// A request for one file of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// `index.m3u8`: the multivariant playlist.
    Index,
    /// `media.m3u8`: all segments.
    Media,
    /// `dvr.m3u8`: the last segments of a broadcast that goes on.
    Dvr,
    /// `init-NAME.mp4`, the name as 16 hexadecimal digits.
    Init(u64),
    /// `seg-N.m4s`.
    Segment(u64),
    /// All of it as one MP4 file.
    Download,
}

impl Request {
    /// Parses the last component of the path.
    pub fn parse(file: &str) -> Option<Self> {
        match file {
            "index.m3u8" => return Some(Self::Index),
            "media.m3u8" => return Some(Self::Media),
            "dvr.m3u8" => return Some(Self::Dvr),
            _ => {}
        }
        let init = between(file, "init-", ".mp4").and_then(hash).map(Self::Init);
        init.or_else(|| between(file, "seg-", ".m4s").and_then(number).map(Self::Segment))
    }
}

/// The bytes of a file that a `Range` header asks for (RFC 9110 section 14).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Range {
    /// Everything: no range, several, or a header that is not one, which a server may take for none.
    Whole,
    Part(std::ops::Range<u64>),
    /// None of the bytes there are.
    Unsatisfiable,
}

impl Range {
    /// Parses a header for a file of `size` bytes.
    pub fn parse(header: &[u8], size: u64) -> Self {
        let text = std::str::from_utf8(header).unwrap_or_default().trim();
        let Some((first, last)) = text.strip_prefix("bytes=").and_then(|set| set.split_once('-')) else {
            return Self::Whole;
        };
        let range = match (decimal(first), decimal(last)) {
            (Some(first), None) if last.is_empty() => first..size,
            (Some(first), Some(last)) if first <= last => first..last.saturating_add(1).min(size),
            (None, Some(suffix)) if first.is_empty() => size.saturating_sub(suffix)..size,
            _ => return Self::Whole,
        };
        if range.is_empty() { Self::Unsatisfiable } else { Self::Part(range) }
    }
}

fn decimal(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_one_name() {
        assert_eq!(Request::parse("index.m3u8"), Some(Request::Index));
        assert_eq!(Request::parse("dvr.m3u8"), Some(Request::Dvr));
        assert_eq!(Request::parse("seg-12.m4s"), Some(Request::Segment(12)));
        assert_eq!(Request::parse("init-00000000000000ff.mp4"), Some(Request::Init(255)));
        for name in ["", "seg-01.m4s", "seg--1.m4s", "init-FF.mp4", "index-000000.jsonl", "../x"] {
            assert_eq!(Request::parse(name), None, "{name}");
        }
    }

    #[test]
    fn ranges_stay_within_the_file() {
        let part = |header: &str| Range::parse(header.as_bytes(), 1000);
        assert_eq!(part("bytes=0-"), Range::Part(0..1000));
        assert_eq!(part("bytes=0-0"), Range::Part(0..1));
        assert_eq!(part("bytes=10-5000"), Range::Part(10..1000));
        assert_eq!(part("bytes=-10"), Range::Part(990..1000));
        assert_eq!(part("bytes=-5000"), Range::Part(0..1000));
        for header in ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=1000-18446744073709551615"] {
            assert_eq!(part(header), Range::Unsatisfiable, "{header}");
        }
        for header in
            ["", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=0-1,5-6", "bytes=a-b", "bytes=+1-2", "items=0-1"]
        {
            assert_eq!(part(header), Range::Whole, "{header}");
        }
        assert_eq!(Range::parse(b"bytes=18446744073709551616-", 1000), Range::Whole);
        assert_eq!(Range::parse(b"bytes=0-", 0), Range::Unsatisfiable);
    }
}
