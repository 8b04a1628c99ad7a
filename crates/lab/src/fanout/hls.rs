//! What a low-latency HLS player does, without I/O: which playlist to ask for and which parts to fetch. As hls.js: blocking
//! reload for the next part, delta updates, the parts themselves one after the other on a second connection; the preload
//! hint is not used.

/// A part that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    msn: u64,
    index: u64,
    uri: String,
    independent: bool,
}

/// A player's knowledge of one media playlist.
#[derive(Debug, Default)]
pub struct Player {
    /// The media playlist's path.
    path: String,
    /// The first part not yet handed out.
    next: Option<(u64, u64)>,
    /// What the next reload is to wait for.
    edge: (u64, u64),
    can_skip: bool,
}

/// The first variant of a multivariant playlist at `path`.
pub fn first_variant(playlist: &str, path: &str) -> Option<String> {
    playlist.lines().find(|line| !line.is_empty() && !line.starts_with('#')).map(|uri| resolve(path, uri))
}

impl Player {
    pub fn new(path: String) -> Self {
        Self { path, ..Self::default() }
    }

    /// The playlist to ask for next: the plain one first, then the one that has the next part.
    pub fn reload(&self) -> String {
        if self.next.is_none() {
            return self.path.clone();
        }
        let skip = if self.can_skip { "&_HLS_skip=YES" } else { "" };
        let join = if self.path.contains('?') { '&' } else { '?' };
        format!("{}{join}_HLS_msn={}&_HLS_part={}{skip}", self.path, self.edge.0, self.edge.1)
    }

    /// Takes a playlist; the paths to fetch now, the initialisation section first of all.
    pub fn take(&mut self, playlist: &str) -> Result<Vec<String>, &'static str> {
        if !playlist.starts_with("#EXTM3U") {
            return Err("no playlist");
        }
        let (parts, map) = self.scan(playlist)?;
        let mut fetch = Vec::new();
        if self.next.is_none() {
            let hold_back =
                attribute(playlist, "#EXT-X-SERVER-CONTROL:", "PART-HOLD-BACK").ok_or("no PART-HOLD-BACK")?;
            let target = attribute(playlist, "#EXT-X-PART-INF:", "PART-TARGET").ok_or("no PART-TARGET")?;
            let start = start(&parts, hold_back, target).ok_or("no independent part")?;
            self.next = Some((start.msn, start.index));
            fetch.push(resolve(&self.path, &map.ok_or("no EXT-X-MAP")?));
        }
        for part in parts {
            if Some((part.msn, part.index)) >= self.next {
                self.next = Some((part.msn, part.index + 1));
                fetch.push(resolve(&self.path, &part.uri));
            }
        }
        Ok(fetch)
    }

    fn scan(&mut self, playlist: &str) -> Result<(Vec<Part>, Option<String>), &'static str> {
        let (mut msn, mut index) = (0, 0);
        let (mut parts, mut map) = (Vec::new(), None);
        for line in playlist.lines() {
            if let Some(number) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
                msn = number.trim().parse().map_err(|_| "a media sequence that is no number")?;
            } else if let Some(skip) = line.strip_prefix("#EXT-X-SKIP:") {
                msn +=
                    value(skip, "SKIPPED-SEGMENTS").and_then(|n| n.parse::<u64>().ok()).ok_or("a skip of nothing")?;
            } else if let Some(part) = line.strip_prefix("#EXT-X-PART:") {
                let uri = value(part, "URI").ok_or("a part without a URI")?.to_owned();
                parts.push(Part { msn, index, uri, independent: value(part, "INDEPENDENT") == Some("YES") });
                index += 1;
            } else if let Some(section) = line.strip_prefix("#EXT-X-MAP:") {
                map = value(section, "URI").map(str::to_owned);
            } else if let Some(control) = line.strip_prefix("#EXT-X-SERVER-CONTROL:") {
                self.can_skip = value(control, "CAN-SKIP-UNTIL").is_some();
            } else if line == "#EXT-X-ENDLIST" {
                return Err("the broadcast has ended");
            } else if !line.is_empty() && !line.starts_with('#') {
                (msn, index) = (msn + 1, 0);
            }
        }
        self.edge = (msn, index);
        Ok((parts, map))
    }
}

/// The newest part that can be decoded by itself and is at least the hold-back from the edge; else the newest of all.
fn start(parts: &[Part], hold_back: f64, target: f64) -> Option<&Part> {
    let held = (hold_back / target).ceil() as usize;
    let independent = |parts: &[Part]| parts.iter().rposition(|part| part.independent);
    let at = independent(&parts[..parts.len().saturating_sub(held.saturating_sub(1))]).or_else(|| independent(parts));
    at.map(|at| &parts[at])
}

fn attribute(playlist: &str, tag: &str, name: &str) -> Option<f64> {
    playlist.lines().find_map(|line| line.strip_prefix(tag)).and_then(|list| value(list, name))?.parse().ok()
}

/// The value of an attribute in a list (RFC 8216 section 4.2), quotes taken off.
fn value<'a>(list: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = list;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        if key.trim_start_matches(',').trim() == name {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// A URI of a playlist as an absolute path.
fn resolve(base: &str, uri: &str) -> String {
    if uri.starts_with('/') {
        return uri.to_owned();
    }
    let folder = base.split('?').next().unwrap_or_default().rsplit_once('/').map_or("", |split| split.0);
    format!("{folder}/{uri}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-VERSION:9\n#EXT-X-PART-INF:PART-TARGET=0.2\n\
        #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=0.6,CAN-SKIP-UNTIL=12.0\n#EXT-X-MEDIA-SEQUENCE:40\n\
        #EXT-X-MAP:URI=\"init-1.mp4\"\n#EXTINF:2.0,\nseg-40.m4s\n\
        #EXT-X-PART:DURATION=0.2,URI=\"part-41-0.m4s\",INDEPENDENT=YES\n#EXT-X-PART:DURATION=0.2,URI=\"part-41-1.m4s\"\n\
        #EXTINF:0.4,\nseg-41.m4s\n#EXT-X-PART:INDEPENDENT=YES,URI=\"part-42-0.m4s\",DURATION=0.2\n\
        #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-42-1.m4s\"\n";

    #[test]
    fn a_player_starts_on_an_independent_part_behind_the_edge_and_then_follows_it() {
        let path = first_variant("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmedia.m3u8\n", "/hls/abc/index.m3u8");
        let mut player = Player::new(path.expect("a variant"));
        assert_eq!(player.reload(), "/hls/abc/media.m3u8");
        let fetch = player.take(FIRST).expect("a playlist");
        let expected = ["init-1.mp4", "part-41-0.m4s", "part-41-1.m4s", "part-42-0.m4s"];
        assert_eq!(fetch, expected.map(|name| format!("/hls/abc/{name}")));
        assert_eq!(player.reload(), "/hls/abc/media.m3u8?_HLS_msn=42&_HLS_part=1&_HLS_skip=YES");
        let delta = "#EXTM3U\n#EXT-X-SERVER-CONTROL:CAN-SKIP-UNTIL=12.0\n#EXT-X-MEDIA-SEQUENCE:40\n\
            #EXT-X-SKIP:SKIPPED-SEGMENTS=1\n#EXTINF:0.4,\nseg-41.m4s\n#EXT-X-PART:DURATION=0.2,URI=\"part-42-0.m4s\"\n\
            #EXT-X-PART:DURATION=0.2,URI=\"part-42-1.m4s\"\n#EXTINF:0.4,\nseg-42.m4s\n\
            #EXT-X-PART:DURATION=0.2,URI=\"part-43-0.m4s\"\n";
        let fetch = player.take(delta).expect("a playlist");
        assert_eq!(fetch, ["/hls/abc/part-42-1.m4s", "/hls/abc/part-43-0.m4s"]);
        assert_eq!(player.reload(), "/hls/abc/media.m3u8?_HLS_msn=43&_HLS_part=1&_HLS_skip=YES");
        assert!(player.take(delta).expect("a playlist").is_empty());
    }

    #[test]
    fn what_is_no_live_low_latency_playlist_is_refused() {
        for bad in ["", "<html>", "#EXTM3U\n", &format!("{FIRST}#EXT-X-ENDLIST\n")] {
            assert!(Player::new("/hls/abc/media.m3u8".into()).take(bad).is_err(), "{bad}");
        }
    }
}
