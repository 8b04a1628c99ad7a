//! The playlists of a replay (RFC 8216), rendered from its index. Pure.

use std::fmt::Write;
use std::time::Duration;

use super::index::{Index, init_name, segment_name};
use crate::hls::{DateTime, Seconds, TARGET_SECONDS, step_up, us};

/// TARGETDURATION of the rewind list, which may not change: a segment that ends a run lasts as long as its audio, up to a second
/// above the target.
const DVR_TARGET_SECONDS: u64 = TARGET_SECONDS + 1;

/// The multivariant playlist.
pub(super) fn multivariant(index: &Index) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:6\n");
    let rate = |at: usize| index.segments[at].bytes as i128 * 8_000_000 / i128::from(index.shown_us(at));
    let peak = (0..index.segments.len()).map(rate).max().unwrap_or(0);
    let average = index.bytes as i128 * 8_000_000 / i128::from(index.end_us().max(1));
    let bps = |rate: i128| u64::try_from(rate).unwrap_or(u64::MAX);
    let _ = write!(
        text,
        "#EXT-X-STREAM-INF:BANDWIDTH={},AVERAGE-BANDWIDTH={}",
        step_up(bps(peak)),
        bps(average).min(step_up(bps(peak)))
    );
    // The formats of all runs, since a player that lacks one of them cannot play it all.
    let mut codecs: Vec<&str> = index.inits.iter().flat_map(|init| init.codecs.split(',')).collect();
    codecs.sort_unstable();
    codecs.dedup();
    // Video first, as players expect: its names begin with av, hev or hvc.
    codecs.sort_by_key(|codec| codec.starts_with("mp4a") || codec.starts_with("opus"));
    let _ = write!(text, ",CODECS=\"{}\"", codecs.join(","));
    if let Some(init) =
        index.inits.iter().filter(|init| init.width > 0 && init.height > 0).max_by_key(|init| init.width)
    {
        let _ = write!(text, ",RESOLUTION={}x{}", init.width, init.height);
    }
    text.push_str("\nmedia.m3u8\n");
    text
}

/// All segments: a list that does not change any more once the broadcast is over.
pub(super) fn whole(index: &Index, live: bool) -> String {
    let longest_us = (0..index.segments.len()).map(|at| index.shown_us(at)).max().unwrap_or(0);
    let target = if live { DVR_TARGET_SECONDS } else { rounded(longest_us).max(1) };
    let kind = if live { "EVENT" } else { "VOD" };
    let mut text = String::with_capacity(128 * index.segments.len() + 256);
    let _ = write!(
        text,
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-PLAYLIST-TYPE:{kind}\n#EXT-X-MEDIA-SEQUENCE:0\n"
    );
    if index.segments.iter().all(|segment| segment.independent) {
        text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    segments(&mut text, index, 0);
    if !live {
        text.push_str("#EXT-X-ENDLIST\n");
    }
    text
}

/// The newest segments of a broadcast that goes on, for `window`.
pub(super) fn rewind(index: &Index, window: Duration) -> String {
    let from_us = index.end_us() - us(window);
    let from = index.segments.partition_point(|segment| segment.start_us < from_us);
    let gone = index.segments[..from].iter().filter(|segment| segment.discontinuity).count();
    let mut text = String::with_capacity(128 * (index.segments.len() - from) + 256);
    let _ = write!(
        text,
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:{DVR_TARGET_SECONDS}\n#EXT-X-MEDIA-SEQUENCE:{from}\n\
         #EXT-X-DISCONTINUITY-SEQUENCE:{gone}\n"
    );
    segments(&mut text, index, from);
    text
}

fn segments(text: &mut String, index: &Index, from: usize) {
    let mut init = None;
    for (at, segment) in index.segments.iter().enumerate().skip(from) {
        if segment.discontinuity {
            text.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if init.replace(segment.init) != Some(segment.init) || segment.discontinuity {
            let _ = writeln!(text, "#EXT-X-MAP:URI=\"{}\"", init_name(segment.init));
        }
        let _ = write!(
            text,
            "#EXT-X-PROGRAM-DATE-TIME:{}\n#EXTINF:{},\n{}\n",
            DateTime(segment.captured_us),
            Seconds(index.shown_us(at)),
            segment_name(segment.n)
        );
    }
}

fn rounded(time_us: i64) -> u64 {
    u64::try_from((time_us + 500_000) / 1_000_000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::index::tests::{index, init, segment};

    #[test]
    fn a_replay_is_a_list_that_ends() {
        let mut index = index(2);
        let mut last = segment(3, 4_500_000);
        last.discontinuity = true;
        index.push(init(), last);
        let text = whole(&index, false);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[2..5], ["#EXT-X-TARGETDURATION:3", "#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-MEDIA-SEQUENCE:0"]);
        assert_eq!(
            lines[6..9],
            [
                "#EXT-X-MAP:URI=\"init-0000000000000007.mp4\"",
                "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T11:00:15.000Z",
                "#EXTINF:2.000000,"
            ]
        );
        // The segment before a run lasts until the run begins.
        assert!(text.contains("#EXTINF:2.500000,\nseg-1.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP"));
        assert!(text.ends_with("seg-3.m4s\n#EXT-X-ENDLIST\n"));
    }

    #[test]
    fn the_rewind_list_slides_and_counts_what_left_it() {
        let mut index = index(10);
        index.segments[2].discontinuity = true;
        let text = rewind(&index, Duration::from_secs(8));
        assert!(text.contains("#EXT-X-MEDIA-SEQUENCE:6\n#EXT-X-DISCONTINUITY-SEQUENCE:1\n"), "{text}");
        assert!(!text.contains("PLAYLIST-TYPE") && !text.contains("ENDLIST") && text.ends_with("seg-9.m4s\n"));
    }

    #[test]
    fn the_multivariant_list_names_what_a_player_needs() {
        let text = multivariant(&index(3));
        assert!(text.contains("BANDWIDTH=10000,AVERAGE-BANDWIDTH=4000"), "{text}");
        assert!(text.contains("CODECS=\"avc1.64001f,mp4a.40.2\",RESOLUTION=1280x720\nmedia.m3u8\n"), "{text}");
    }
}
