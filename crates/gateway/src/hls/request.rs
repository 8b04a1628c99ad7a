//! What a player asks for: the file name and the delivery directives of a request. Pure.

/// A request for one file of a broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `index.m3u8`: the multivariant playlist of the low-latency stream.
    Index,
    /// `plain.m3u8`: the multivariant playlist of the stream without parts.
    Plain,
    /// `media.m3u8`: the playlist with parts.
    Media(Directives),
    /// `media-plain.m3u8`: the playlist of whole segments.
    MediaPlain,
    /// `ts.m3u8`: the playlist of whole segments as transport streams.
    Ts,
    /// `seg-MSN.ts`.
    TsSegment(u64),
    /// `init-NAME.mp4`, the name as 16 hexadecimal digits.
    Init(u64),
    /// `seg-MSN.m4s`.
    Segment(u64),
    /// `part-MSN-INDEX.m4s`.
    Part { msn: u64, part: usize },
}

/// The delivery directives of a playlist request (draft-pantos-hls-rfc8216bis section 6.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// `_HLS_msn`: wait until this segment is listed, or its part.
    pub msn: Option<u64>,
    /// `_HLS_part`: wait until this part of the segment is listed.
    pub part: Option<usize>,
    /// `_HLS_skip`: leave out what the player knows.
    pub skip: bool,
}

/// A request that asks for nothing there can be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// No file of a broadcast has such a name.
    #[error("no file of a broadcast is named {0:?}")]
    File(String),
    /// A delivery directive has a value that does not parse, or comes twice.
    #[error("{0} is not usable")]
    Directive(&'static str),
    /// A part was asked for without its segment.
    #[error("_HLS_part needs _HLS_msn")]
    PartAlone,
    /// The segment asked for is further ahead than a player could know of.
    #[error("_HLS_msn {asked} is beyond {last} by more than two")]
    TooFar { asked: u64, last: u64 },
}

impl Request {
    /// Parses the last component of the path, and the query without its `?`. Parameters that are not ours are let be.
    pub fn parse(file: &str, query: Option<&str>) -> Result<Self, BadRequest> {
        let unknown = || BadRequest::File(file.chars().take(64).collect());
        match file {
            "index.m3u8" => return Ok(Self::Index),
            "plain.m3u8" => return Ok(Self::Plain),
            "media.m3u8" => return Ok(Self::Media(Directives::parse(query.unwrap_or_default())?)),
            "ts.m3u8" => return Ok(Self::Ts),
            "media-plain.m3u8" => return Ok(Self::MediaPlain),
            _ => {}
        }
        if let Some(name) = between(file, "init-", ".mp4") {
            return hash(name).map(Self::Init).ok_or_else(unknown);
        }
        if let Some(msn) = between(file, "seg-", ".m4s") {
            return number(msn).map(Self::Segment).ok_or_else(unknown);
        }
        if let Some(msn) = between(file, "seg-", ".ts") {
            return number(msn).map(Self::TsSegment).ok_or_else(unknown);
        }
        let (msn, part) = between(file, "part-", ".m4s").and_then(|name| name.split_once('-')).ok_or_else(unknown)?;
        let part = number(part).and_then(|part| usize::try_from(part).ok());
        number(msn).zip(part).map(|(msn, part)| Self::Part { msn, part }).ok_or_else(unknown)
    }
}

impl Directives {
    fn parse(query: &str) -> Result<Self, BadRequest> {
        let mut directives = Self::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key {
                "_HLS_msn" => set(&mut directives.msn, number(value), "_HLS_msn")?,
                "_HLS_part" => {
                    let part = number(value).and_then(|part| usize::try_from(part).ok());
                    set(&mut directives.part, part, "_HLS_part")?;
                }
                "_HLS_skip" if !directives.skip && matches!(value, "YES" | "v2") => directives.skip = true,
                "_HLS_skip" => return Err(BadRequest::Directive("_HLS_skip")),
                _ => {}
            }
        }
        if directives.part.is_some() && directives.msn.is_none() {
            return Err(BadRequest::PartAlone);
        }
        Ok(directives)
    }
}

fn set<T>(place: &mut Option<T>, value: Option<T>, name: &'static str) -> Result<(), BadRequest> {
    if place.is_some() || value.is_none() {
        return Err(BadRequest::Directive(name));
    }
    *place = value;
    Ok(())
}

pub(crate) fn between<'a>(name: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    name.strip_prefix(prefix)?.strip_suffix(suffix)
}

/// The hash that names an init segment: 16 hexadecimal digits.
pub(crate) fn hash(name: &str) -> Option<u64> {
    let hex = name.len() == 16 && name.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    u64::from_str_radix(name, 16).ok().filter(|_| hex)
}

/// A decimal number as playlists write it: one spelling each, so that caches hold one copy.
pub(crate) fn number(digits: &str) -> Option<u64> {
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn media(query: &str) -> Result<Request, BadRequest> {
        Request::parse("media.m3u8", Some(query))
    }

    #[test]
    fn every_file_has_a_name() {
        assert_eq!(Request::parse("index.m3u8", None), Ok(Request::Index));
        assert_eq!(Request::parse("plain.m3u8", Some("token=x")), Ok(Request::Plain));
        assert_eq!(Request::parse("media-plain.m3u8", None), Ok(Request::MediaPlain));
        assert_eq!(Request::parse("seg-12.m4s", None), Ok(Request::Segment(12)));
        assert_eq!(Request::parse("ts.m3u8", None), Ok(Request::Ts));
        assert_eq!(Request::parse("seg-12.ts", None), Ok(Request::TsSegment(12)));
        assert_eq!(Request::parse("part-12-3.m4s", None), Ok(Request::Part { msn: 12, part: 3 }));
        assert_eq!(Request::parse("init-00000000000000ff.mp4", None), Ok(Request::Init(255)));
    }

    #[test]
    fn other_names_and_other_spellings_are_unknown() {
        for name in
            ["", "seg-.m4s", "seg-01.m4s", "seg-+1.m4s", "part-1.m4s", "part-1-.m4s", "init-FF.mp4", "../index.m3u8"]
        {
            assert_eq!(Request::parse(name, None), Err(BadRequest::File(name.into())), "{name}");
        }
        assert!(Request::parse("seg-18446744073709551616.m4s", None).is_err());
    }

    #[test]
    fn directives_parse_and_strangers_pass() {
        let wanted = Directives { msn: Some(7), part: Some(0), skip: true };
        assert_eq!(media("token=a%3D&_HLS_msn=7&_HLS_part=0&_HLS_skip=YES"), Ok(Request::Media(wanted)));
        assert_eq!(media(""), Ok(Request::Media(Directives::default())));
    }

    #[test]
    fn a_part_without_its_segment_is_refused() {
        assert_eq!(media("_HLS_part=1"), Err(BadRequest::PartAlone));
    }

    #[test]
    fn a_directive_that_makes_no_sense_is_refused() {
        for query in ["_HLS_msn=", "_HLS_msn=-1", "_HLS_msn=1&_HLS_msn=2", "_HLS_msn=1&_HLS_part=x", "_HLS_skip=NO"] {
            assert!(matches!(media(query), Err(BadRequest::Directive(_))), "{query}");
        }
    }
}
