//! Media playlists from text: as much as the rules look at. Lenient: what is wrong is for the rules to say.

/// A media playlist as a player reads it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Playlist {
    pub version: u64,
    pub target_duration_s: Option<u64>,
    pub part_target_us: Option<i64>,
    pub part_hold_back_us: Option<i64>,
    pub can_skip_until_us: Option<i64>,
    pub can_block: bool,
    pub media_sequence: u64,
    pub discontinuity_sequence: u64,
    pub independent_segments: bool,
    /// Segments left out of a delta update; `None` without EXT-X-SKIP.
    pub skipped: Option<u64>,
    pub segments: Vec<Segment>,
    /// URI of the part that comes next.
    pub hint: Option<String>,
    pub reports: Vec<Report>,
    pub ended: bool,
    /// Lines that could not be read.
    pub errors: Vec<String>,
}

/// A segment, or the parts of one that is not complete.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    pub msn: u64,
    /// Discontinuities before its media, its own included.
    pub discontinuities: u64,
    pub discontinuity: bool,
    /// The init segment in force.
    pub map: Option<String>,
    /// Wall time, milliseconds since 1970.
    pub date_ms: Option<i64>,
    pub parts: Vec<Part>,
    /// Duration and URI once complete.
    pub whole: Option<(i64, String)>,
    /// A DISCONTINUITY, MAP or PROGRAM-DATE-TIME came after the segment's first part.
    pub late_tags: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub duration_us: i64,
    pub uri: String,
    pub independent: bool,
    pub gap: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub uri: String,
    pub last_msn: Option<u64>,
    pub last_part: Option<u64>,
}

/// Numbers and seconds from here on are not read: no broadcast comes so far, and sums of smaller ones cannot overflow.
const LARGEST: u64 = 1_000_000_000;

/// State while lines are read.
#[derive(Default)]
struct Reader {
    list: Playlist,
    open: Segment,
    duration_us: Option<i64>,
    map: Option<String>,
}

impl Playlist {
    pub fn parse(text: &str) -> Self {
        let mut reader = Reader::default();
        let mut lines = text.lines();
        if lines.next() != Some("#EXTM3U") {
            reader.list.errors.push("does not begin with #EXTM3U".into());
        }
        for line in lines.filter(|line| !line.is_empty()) {
            if reader.line(line).is_none() {
                reader.list.errors.push(format!("cannot be read: {line}"));
            }
        }
        reader.finish()
    }

    /// End of the newest media of the playlist, from the start of its first listed segment.
    pub fn duration_us(&self) -> i64 {
        self.segments.iter().map(Segment::duration_us).sum()
    }
}

impl Segment {
    pub fn duration_us(&self) -> i64 {
        self.whole.as_ref().map_or_else(|| self.parts.iter().map(|part| part.duration_us).sum(), |(us, _)| *us)
    }

    fn empty(&self) -> bool {
        self.parts.is_empty() && self.whole.is_none()
    }
}

impl Reader {
    fn line(&mut self, line: &str) -> Option<()> {
        if !line.starts_with('#') {
            self.open.whole = Some((self.duration_us.take()?, line.to_owned()));
            self.push();
            return Some(());
        }
        let (tag, value) = line.split_once(':').unwrap_or((line, ""));
        match tag {
            "#EXT-X-VERSION" => self.list.version = whole(value)?,
            "#EXT-X-TARGETDURATION" => self.list.target_duration_s = Some(whole(value)?),
            "#EXT-X-SERVER-CONTROL" => {
                self.list.can_block = attribute(value, "CAN-BLOCK-RELOAD") == Some("YES");
                self.list.part_hold_back_us = attribute(value, "PART-HOLD-BACK").and_then(seconds);
                self.list.can_skip_until_us = attribute(value, "CAN-SKIP-UNTIL").and_then(seconds);
            }
            "#EXT-X-PART-INF" => self.list.part_target_us = Some(seconds(attribute(value, "PART-TARGET")?)?),
            "#EXT-X-MEDIA-SEQUENCE" => self.list.media_sequence = whole(value)?,
            "#EXT-X-DISCONTINUITY-SEQUENCE" => self.list.discontinuity_sequence = whole(value)?,
            "#EXT-X-INDEPENDENT-SEGMENTS" => self.list.independent_segments = true,
            "#EXT-X-SKIP" => self.list.skipped = Some(whole(attribute(value, "SKIPPED-SEGMENTS")?)?),
            "#EXT-X-PRELOAD-HINT" => self.list.hint = Some(attribute(value, "URI")?.to_owned()),
            "#EXT-X-RENDITION-REPORT" => self.list.reports.push(Report {
                uri: attribute(value, "URI")?.to_owned(),
                last_msn: attribute(value, "LAST-MSN").and_then(whole),
                last_part: attribute(value, "LAST-PART").and_then(whole),
            }),
            "#EXT-X-ENDLIST" => self.list.ended = true,
            _ => return self.segment_line(tag, value),
        }
        Some(())
    }

    fn segment_line(&mut self, tag: &str, value: &str) -> Option<()> {
        let before_media = matches!(tag, "#EXT-X-DISCONTINUITY" | "#EXT-X-MAP" | "#EXT-X-PROGRAM-DATE-TIME");
        self.open.late_tags |= before_media && !self.open.parts.is_empty();
        match tag {
            "#EXT-X-DISCONTINUITY" => self.open.discontinuity = true,
            "#EXT-X-MAP" => self.map = Some(attribute(value, "URI")?.to_owned()),
            "#EXT-X-PROGRAM-DATE-TIME" => self.open.date_ms = Some(date_ms(value)?),
            "#EXTINF" => self.duration_us = Some(seconds(value.split(',').next()?)?),
            "#EXT-X-PART" => self.open.parts.push(Part {
                duration_us: seconds(attribute(value, "DURATION")?)?,
                uri: attribute(value, "URI")?.to_owned(),
                independent: attribute(value, "INDEPENDENT") == Some("YES"),
                gap: attribute(value, "GAP") == Some("YES"),
            }),
            _ => {}
        }
        Some(())
    }

    fn push(&mut self) {
        let mut segment = std::mem::take(&mut self.open);
        let before = self.list.segments.last().map_or(self.list.discontinuity_sequence, |last| last.discontinuities);
        segment.discontinuities = before + u64::from(segment.discontinuity);
        segment.msn = self.list.media_sequence + self.list.skipped.unwrap_or(0) + self.list.segments.len() as u64;
        segment.map = self.map.clone();
        self.list.segments.push(segment);
    }

    fn finish(mut self) -> Playlist {
        if !self.open.empty() {
            self.push();
        }
        self.list
    }
}

/// The value of an attribute, without its quotes.
fn attribute<'a>(mut list: &'a str, name: &str) -> Option<&'a str> {
    while !list.is_empty() {
        let (key, rest) = list.split_once('=')?;
        let (value, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => rest.split_at(rest.find(',').unwrap_or(rest.len())),
        };
        if key == name {
            return Some(value);
        }
        list = rest.strip_prefix(',').unwrap_or(rest);
    }
    None
}

/// A number without a fraction.
fn whole(text: &str) -> Option<u64> {
    text.parse().ok().filter(|value| *value < LARGEST)
}

/// Decimal seconds as microseconds.
fn seconds(text: &str) -> Option<i64> {
    let value: f64 = text.parse().ok()?;
    (0.0..LARGEST as f64).contains(&value).then(|| (value * 1e6).round() as i64)
}

/// `2026-11-21T11:00:15.123Z` as milliseconds since 1970; milliseconds and the zone are required.
fn date_ms(text: &str) -> Option<i64> {
    let text = text.strip_suffix('Z').or_else(|| text.strip_suffix("+00:00"))?;
    let (date, time) = text.split_once('T')?;
    let digits = |n: &str| n.parse::<i64>().ok().filter(|_| n.len() <= 4);
    let mut date = date.split('-').map(digits);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (time, milli) = time.split_once('.').filter(|(_, milli)| milli.len() == 3)?;
    let mut time = time.split(':').map(digits);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let march_year = if month <= 2 { year - 1 } else { year };
    let days = 365 * march_year + march_year.div_euclid(4) - march_year.div_euclid(100)
        + march_year.div_euclid(400)
        + (153 * ((month + 9) % 12) + 2) / 5
        + day
        - 719_469;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + milli.parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_keep_commas_in_quotes() {
        let list = "DURATION=0.2,URI=\"a,b=c.m4s\",INDEPENDENT=YES";
        assert_eq!(attribute(list, "URI"), Some("a,b=c.m4s"));
        assert_eq!(attribute(list, "INDEPENDENT"), Some("YES"));
        assert_eq!(attribute(list, "GAP"), None);
    }

    #[test]
    fn numbers_that_no_broadcast_reaches_are_errors() {
        let list = "#EXTM3U\n#EXT-X-TARGETDURATION:18446744073709551615\n#EXT-X-MEDIA-SEQUENCE:18446744073709551615\n\
                    #EXT-X-DISCONTINUITY-SEQUENCE:18446744073709551615\n#EXT-X-SKIP:SKIPPED-SEGMENTS=18446744073709551615\n\
                    #EXT-X-PROGRAM-DATE-TIME:9223372036854775807-01-01T00:00:00.000Z\n#EXTINF:1e300,\ns.m4s\n";
        assert_eq!(Playlist::parse(list).errors.len(), 7);
    }

    #[test]
    fn dates_are_read_as_they_are_written() {
        for us in [0_i64, 951_782_400_123_000, 1_795_258_815_001_000] {
            assert_eq!(date_ms(&crate::hls::timing::DateTime(us).to_string()), Some(us / 1000));
        }
        assert_eq!(date_ms("2026-11-21T11:00:15Z"), None);
        assert_eq!(date_ms("2026-11-21T11:00:15.123"), None);
    }
}
