//! The samples of one fragment: where a `moof` says they are in its `mdat`.

use bytes::Bytes;
use live::SourceFrame;
use mp4_atom::{Moof, Traf, Trun};

use super::tracks::Track;

/// Sample flags (ISO/IEC 14496-12 section 8.8.3.1): not a sync sample.
const NOT_SYNC: u32 = 0x0001_0000;

/// Samples of one fragment; ten seconds of 120 pictures a second and of short sounds are fewer.
pub(super) const MOST_SAMPLES: usize = 20_000;

/// A frame and whether it is video.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub video: bool,
    pub frame: SourceFrame,
}

/// A `moof` and where it began in the stream.
#[derive(Debug)]
pub(super) struct Head {
    pub moof: Moof,
    pub at: u64,
}

/// What a fragment says that cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Wrong {
    #[error("a fragment's sample lies outside its mdat")]
    Outside,
    #[error("a fragment of more than {MOST_SAMPLES} samples")]
    TooMany,
    #[error("a fragment begins at decode time {0}, which no clock reaches")]
    Time(u64),
}

/// The frames of the tracks taken, in the order of their decode times. `data` is the body of the `mdat`, which began at
/// `data_at` in the stream.
pub(super) fn samples(head: &Head, data: &Bytes, data_at: u64, tracks: &mut [Track]) -> Result<Vec<Sample>, Wrong> {
    let mut samples = Vec::new();
    // Without a base a track's data follows the data of the one before it.
    let mut end = data_at;
    for (index, traf) in head.moof.traf.iter().enumerate() {
        let from_moof = traf.tfhd.default_base_is_moof || index == 0;
        let base = traf.tfhd.base_data_offset.unwrap_or(if from_moof { head.at } else { end });
        let implicit = if traf.tfhd.base_data_offset.is_some() || !from_moof { base } else { data_at };
        let Some(track) = tracks.iter_mut().find(|track| track.id == traf.tfhd.track_id) else {
            // Its runs still say where the next track's begin.
            end = runs(traf, &mut ignored(traf), base, implicit, data, data_at, &mut None)?;
            continue;
        };
        end = runs(traf, track, base, implicit, data, data_at, &mut Some(&mut samples))?;
    }
    samples.sort_by_key(|sample: &Sample| sample.frame.dts_us);
    Ok(samples)
}

/// A track that is not taken, so that its sizes can be added up.
fn ignored(traf: &Traf) -> Track {
    Track {
        id: traf.tfhd.track_id,
        timescale: 1,
        shift: 0,
        default_duration: 0,
        default_size: 0,
        default_flags: 0,
        next: 0,
        coding: super::tracks::Coding::Other,
    }
}

fn runs(
    traf: &Traf,
    track: &mut Track,
    base: u64,
    implicit: u64,
    data: &Bytes,
    data_at: u64,
    out: &mut Option<&mut Vec<Sample>>,
) -> Result<u64, Wrong> {
    if let Some(tfdt) = &traf.tfdt {
        // Room for every sum below.
        let time = i64::try_from(tfdt.base_media_decode_time).ok().filter(|time| *time < i64::MAX >> 8);
        track.next = time.ok_or(Wrong::Time(tfdt.base_media_decode_time))?;
    }
    let mut position = implicit;
    for trun in &traf.trun {
        if let Some(offset) = trun.data_offset {
            position = base.checked_add_signed(offset.into()).ok_or(Wrong::Outside)?;
        }
        position = run(traf, trun, track, position, data, data_at, out)?;
    }
    Ok(position)
}

fn run(
    traf: &Traf,
    trun: &Trun,
    track: &mut Track,
    mut position: u64,
    data: &Bytes,
    data_at: u64,
    out: &mut Option<&mut Vec<Sample>>,
) -> Result<u64, Wrong> {
    let header = &traf.tfhd;
    for entry in &trun.entries {
        let size = entry.size.or(header.default_sample_size).unwrap_or(track.default_size);
        let duration = entry.duration.or(header.default_sample_duration).unwrap_or(track.default_duration);
        let flags = entry.flags.or(header.default_sample_flags).unwrap_or(track.default_flags);
        let (from, dts) = (position, track.next);
        position = position.checked_add(size.into()).ok_or(Wrong::Outside)?;
        track.next = track.next.saturating_add(duration.into());
        let Some(samples) = out.as_mut() else { continue };
        if samples.len() >= MOST_SAMPLES {
            return Err(Wrong::TooMany);
        }
        let start = from.checked_sub(data_at).and_then(|start| usize::try_from(start).ok()).ok_or(Wrong::Outside)?;
        let bounds = start..start.checked_add(size as usize).ok_or(Wrong::Outside)?;
        if bounds.end > data.len() {
            return Err(Wrong::Outside);
        }
        if size == 0 {
            continue;
        }
        let dts = dts.saturating_add(track.shift);
        let pts = dts.saturating_add(entry.cts.unwrap_or(0).into());
        let video = track.is_video();
        let frame = SourceFrame {
            pts_us: us(if video { pts } else { dts }, track.timescale),
            dts_us: us(dts, track.timescale),
            keyframe: !video || flags & NOT_SYNC == 0,
            payload: data.slice(bounds),
        };
        samples.push(Sample { video, frame });
    }
    Ok(position)
}

/// Ticks to microseconds.
fn us(ticks: i64, timescale: u32) -> i64 {
    (i128::from(ticks) * 1_000_000).div_euclid(timescale.into()) as i64
}
