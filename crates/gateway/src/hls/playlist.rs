//! Playlists as text, rendered from a state of the window (RFC 8216, draft-pantos-hls-rfc8216bis). Pure.
//!
//! URIs are relative, so a token in the path before them is inherited by every request of a player.

use std::fmt::Write;

use super::fmp4::Init;
use super::planner::FLOOR_PERCENT;
use super::timing::{self, DateTime, Seconds};
use super::window::{Segment, Window};

/// Frame rates that a measured one is taken for, per mille: close enough that players tell renditions apart by it.
const USUAL_RATES: [u32; 11] = [15_000, 20_000, 23_976, 24_000, 25_000, 29_970, 30_000, 48_000, 50_000, 59_940, 60_000];

/// Bits per pixel and second that a stream is taken for before its first segment is complete.
const ASSUMED_BITS_PER_PIXEL: f64 = 0.12;

/// Audio bit rate taken for granted until measured.
const ASSUMED_AUDIO_BPS: u64 = 160_000;

/// Where another rendition of the same broadcast stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Relative to this playlist.
    pub uri: String,
    pub last_msn: u64,
    pub last_part: usize,
}

/// How much of a low-latency playlist is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Full,
    /// Without the segments that the player knows already.
    Delta,
}

/// The playlist with parts. `reports` names every other rendition; a broadcast of one muxed rendition has none.
pub(super) fn low_latency(window: &Window, extent: Extent, reports: &[Report]) -> String {
    let config = window.config();
    let mut text = String::with_capacity(8192);
    head(&mut text, 9);
    let skip_until = Seconds(timing::us(timing::skip_until()));
    let hold_back = Seconds(timing::us(timing::hold_back(config)));
    let part_target = Seconds(timing::us(config.part_target));
    line(
        &mut text,
        format_args!(
            "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL={skip_until},PART-HOLD-BACK={hold_back}"
        ),
    );
    line(&mut text, format_args!("#EXT-X-PART-INF:PART-TARGET={part_target}"));
    sequence(&mut text, window);
    let skipped = if extent == Extent::Delta { skippable(window) } else { 0 };
    if skipped > 0 {
        line(&mut text, format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}"));
    }
    let parts_us = timing::us(timing::parts_listed());
    let mut until_end_us: i64 = window.listed().map(Segment::duration_us).sum();
    let mut init = None;
    for (n, segment) in window.listed().enumerate() {
        until_end_us -= segment.duration_us();
        if n < skipped {
            continue;
        }
        segment_head(&mut text, segment, &mut init);
        if until_end_us < parts_us {
            parts(&mut text, segment);
        }
        segment_end(&mut text, segment);
    }
    match window.next_part() {
        _ if window.ended => line(&mut text, format_args!("#EXT-X-ENDLIST")),
        Some((msn, part)) => {
            line(&mut text, format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{}\"", part_uri(msn, part)))
        }
        None => {}
    }
    for Report { uri, last_msn, last_part } in reports {
        let report = format_args!("#EXT-X-RENDITION-REPORT:URI=\"{uri}\",LAST-MSN={last_msn},LAST-PART={last_part}");
        line(&mut text, report);
    }
    text
}

/// The playlist of whole segments, for players that know no parts.
pub(super) fn plain(window: &Window) -> String {
    let mut text = String::with_capacity(4096);
    head(&mut text, 6);
    sequence(&mut text, window);
    let mut init = None;
    for segment in window.listed().filter(|segment| segment.complete()) {
        segment_head(&mut text, segment, &mut init);
        segment_end(&mut text, segment);
    }
    if window.ended {
        line(&mut text, format_args!("#EXT-X-ENDLIST"));
    }
    text
}

/// The playlist of whole segments as transport streams.
pub(super) fn transport(window: &Window) -> String {
    let mut text = String::with_capacity(4096);
    head(&mut text, 3);
    sequence(&mut text, window);
    for segment in window.listed().filter(|segment| segment.complete()) {
        if segment.discontinuity {
            line(&mut text, format_args!("#EXT-X-DISCONTINUITY"));
        }
        line(&mut text, format_args!("#EXT-X-PROGRAM-DATE-TIME:{}", DateTime(segment.captured_us)));
        let duration = Seconds(segment.duration_us());
        line(&mut text, format_args!("#EXTINF:{duration},\nseg-{}.ts", segment.msn));
    }
    if window.ended {
        line(&mut text, format_args!("#EXT-X-ENDLIST"));
    }
    text
}

/// The multivariant playlist that names `media` as its one rendition.
pub(super) fn multivariant(window: &Window, media: &str) -> String {
    let mut text = String::from("#EXTM3U\n#EXT-X-VERSION:6\n");
    let Some(segment) = window.last() else { return text };
    let init = &segment.init;
    let rate = frame_rate(window, init);
    let peak = if window.peak_bps > 0 { window.peak_bps } else { assumed_bps(init, rate.unwrap_or(30_000)) };
    let _ = write!(text, "#EXT-X-STREAM-INF:BANDWIDTH={},CODECS=\"{}\"", step_up(peak), init.codecs());
    if let Some(video) = &init.format.video {
        if video.width > 0 && video.height > 0 {
            let _ = write!(text, ",RESOLUTION={}x{}", video.width, video.height);
        }
        if let Some(rate) = rate {
            let _ = write!(text, ",FRAME-RATE={}.{:03}", rate / 1000, rate % 1000);
        }
    }
    let _ = write!(text, "\n{media}\n");
    text
}

/// File name of a segment.
pub(super) fn segment_uri(msn: u64) -> String {
    format!("seg-{msn}.m4s")
}

/// File name of a part.
pub(super) fn part_uri(msn: u64, part: usize) -> String {
    format!("part-{msn}-{part}.m4s")
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String does not fail.
    let _ = text.write_fmt(line);
    text.push('\n');
}

fn head(text: &mut String, version: u32) {
    line(text, format_args!("#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{}", timing::TARGET_SECONDS));
}

fn sequence(text: &mut String, window: &Window) {
    let (first, before) = window
        .listed()
        .next()
        .map_or((0, 0), |first| (first.msn, first.discontinuities - u64::from(first.discontinuity)));
    line(text, format_args!("#EXT-X-MEDIA-SEQUENCE:{first}\n#EXT-X-DISCONTINUITY-SEQUENCE:{before}"));
    // Withdrawn for good by the first segment that a long group of pictures was split to make.
    if window.independent {
        line(text, format_args!("#EXT-X-INDEPENDENT-SEGMENTS"));
    }
}

/// How many of the oldest segments lie before the skip boundary.
fn skippable(window: &Window) -> usize {
    let skip_us = timing::us(timing::skip_until());
    let mut until_end_us: i64 = window.listed().map(Segment::duration_us).sum();
    let old = |segment: &&Segment| {
        until_end_us -= segment.duration_us();
        until_end_us >= skip_us
    };
    window.listed().take_while(old).count()
}

fn segment_head(text: &mut String, segment: &Segment, init: &mut Option<u64>) {
    if segment.discontinuity {
        line(text, format_args!("#EXT-X-DISCONTINUITY"));
    }
    if init.replace(segment.init.name) != Some(segment.init.name) || segment.discontinuity {
        line(text, format_args!("#EXT-X-MAP:URI=\"{}\"", segment.init.uri()));
    }
    line(text, format_args!("#EXT-X-PROGRAM-DATE-TIME:{}", DateTime(segment.captured_us)));
}

fn parts(text: &mut String, segment: &Segment) {
    for (n, part) in segment.parts.iter().enumerate() {
        let independent = if part.independent { ",INDEPENDENT=YES" } else { "" };
        let uri = part_uri(segment.msn, n);
        line(text, format_args!("#EXT-X-PART:DURATION={},URI=\"{uri}\"{independent}", Seconds(part.duration_us)));
    }
}

fn segment_end(text: &mut String, segment: &Segment) {
    if segment.complete() {
        line(text, format_args!("#EXTINF:{},\n{}", Seconds(segment.duration_us()), segment_uri(segment.msn)));
    }
}

/// Frames per 1000 seconds: what the bitstream says, else what the first listed parts have.
fn frame_rate(window: &Window, init: &Init) -> Option<u32> {
    let declared = init.format.video.as_ref()?.fps;
    let measured = || {
        let parts = window.listed().flat_map(|segment| &segment.parts).take(5);
        let (frames, time_us) =
            parts.fold((0, 0), |(frames, us), part| (frames + i64::from(part.frames), us + part.duration_us));
        (time_us > 0).then(|| frames as f64 * 1e6 / time_us as f64)
    };
    let rate = (declared.or_else(measured)? * 1000.0).round() as u32;
    // Parts end between frames, so a measured rate is off by up to what a part may be short.
    let slack = if declared.is_some() { 0 } else { rate * (100 - FLOOR_PERCENT as u32) / 100 / 5 };
    let nearest = USUAL_RATES.into_iter().min_by_key(|usual| usual.abs_diff(rate));
    Some(nearest.filter(|usual| usual.abs_diff(rate) <= slack).unwrap_or(rate))
}

fn assumed_bps(init: &Init, rate: u32) -> u64 {
    let pixels = init
        .format
        .video
        .as_ref()
        .map_or(0, |video| u64::from(video.width.max(640)) * u64::from(video.height.max(360)));
    let video = pixels as f64 * f64::from(rate) / 1000.0 * ASSUMED_BITS_PER_PIXEL;
    video as u64 + init.format.audio.as_ref().map_or(0, |_| ASSUMED_AUDIO_BPS)
}

/// The next step of the R10 series, so that nodes that have seen different minutes of a broadcast mostly say the same.
pub(crate) fn step_up(bps: u64) -> u64 {
    const STEPS: [u64; 10] = [100, 125, 160, 200, 250, 315, 400, 500, 630, 800];
    let mut decade = 100;
    loop {
        if let Some(step) = STEPS.iter().map(|step| step * decade).find(|step| *step >= bps) {
            return step;
        }
        decade = match decade.checked_mul(10).filter(|decade| *decade < u64::MAX / 1000) {
            Some(decade) => decade,
            None => return bps,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bandwidth_is_a_step_and_never_less_than_the_peak() {
        assert_eq!(step_up(1), 10_000);
        assert_eq!(step_up(1_650_000), 2_000_000);
        assert_eq!(step_up(2_000_001), 2_500_000);
        assert_eq!(step_up(u64::MAX), u64::MAX);
    }
}
