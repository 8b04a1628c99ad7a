//! What is wrong with an upload, in words a broadcaster can act on.

use std::time::Duration;

use crate::api::types::Warning;

/// Above it a viewer waits long for the first picture, and HLS segments are cut without a keyframe.
const LONGEST_KEYFRAME_INTERVAL: Duration = Duration::from_secs(4);

/// Below it motion looks broken.
const LOWEST_FPS: f64 = 20.0;

/// How far the measured rate may stray from the declared one.
const FPS_TOLERANCE: f64 = 0.15;

/// A common access line; beyond it stalls rise clearly.
const VIEWERS_LINE_BPS: u64 = 2_000_000;

/// Rates are trusted when the connection has lasted this long.
const SETTLED: Duration = Duration::from_secs(5);

/// What the advice is given on: the ingest's measurements and the coded format.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    pub connected: bool,
    pub uptime: Duration,
    pub video_bps: u64,
    pub audio_bps: u64,
    pub fps: f64,
    pub declared_fps: Option<f64>,
    pub keyframe_interval: Option<Duration>,
    pub b_frames: bool,
    pub has_video: bool,
    pub has_audio: bool,
    /// The video codec plays in every browser.
    pub common_codec: bool,
}

/// The warnings, the weightiest first.
pub fn warnings(upload: &Upload) -> Vec<Warning> {
    if !upload.connected {
        return Vec::new();
    }
    let settled = upload.uptime >= SETTLED;
    let mut warnings = Vec::new();
    let mut warn = |code, text: String| warnings.push(Warning { code, text });
    if settled && !upload.has_video && !upload.has_audio {
        warn("no_media", "The encoder is connected but sends neither picture nor sound.".into());
        return warnings;
    }
    if settled && !upload.has_video {
        warn("no_video", "There is no picture. Viewers hear you only.".into());
    }
    if settled && !upload.has_audio {
        warn("no_audio", "There is no sound. Check that the encoder has an audio source.".into());
    }
    if let Some(interval) = upload.keyframe_interval.filter(|interval| *interval > LONGEST_KEYFRAME_INTERVAL) {
        warn(
            "keyframe_interval",
            format!(
                "Keyframes come every {:.1} s. New viewers wait that long for a picture. Set the keyframe interval to 2 s.",
                interval.as_secs_f64()
            ),
        );
    }
    let total_bps = upload.video_bps + upload.audio_bps;
    if settled && total_bps > VIEWERS_LINE_BPS {
        warn(
            "bitrate_high",
            format!(
                "You send {:.1} Mbit/s. Viewers with 2 Mbit/s will stall; 1.5 Mbit/s suits everyone.",
                total_bps as f64 / 1e6
            ),
        );
    }
    if upload.b_frames {
        warn(
            "b_frames",
            "The encoder uses B-frames: the picture is held back by a few frames, and browsers cannot play it over \
             WebRTC. Turn B-frames off (tune zerolatency) for the shortest delay."
                .into(),
        );
    }
    if settled && upload.has_video {
        frame_rate(upload, &mut warn);
    }
    if upload.has_video && !upload.common_codec {
        warn("codec", "This video codec does not play in every browser. H.264 does.".into());
    }
    warnings
}

fn frame_rate(upload: &Upload, warn: &mut impl FnMut(&'static str, String)) {
    let strays = |declared: f64| (upload.fps - declared).abs() > declared * FPS_TOLERANCE;
    if let Some(declared) = upload.declared_fps.filter(|declared| *declared >= 1.0 && strays(*declared)) {
        warn(
            "fps_unsteady",
            format!(
                "The encoder promises {declared:.0} frames a second and sends {:.0}. The computer or the network is too \
                 slow for these settings.",
                upload.fps
            ),
        );
    } else if upload.fps < LOWEST_FPS {
        warn("fps_low", format!("Only {:.0} frames a second arrive. Motion looks broken below 20.", upload.fps));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Upload {
        Upload {
            connected: true,
            uptime: Duration::from_secs(60),
            video_bps: 1_400_000,
            audio_bps: 100_000,
            fps: 30.0,
            declared_fps: Some(30.0),
            keyframe_interval: Some(Duration::from_secs(2)),
            b_frames: false,
            has_video: true,
            has_audio: true,
            common_codec: true,
        }
    }

    fn codes(upload: &Upload) -> Vec<&'static str> {
        warnings(upload).iter().map(|warning| warning.code).collect()
    }

    #[test]
    fn a_good_upload_has_no_warnings() {
        assert_eq!(codes(&good()), [""; 0]);
    }

    #[test]
    fn each_fault_has_its_warning() {
        let long = Some(Duration::from_secs(10));
        let cases = [
            ("keyframe_interval", Upload { keyframe_interval: long, ..good() }),
            ("b_frames", Upload { b_frames: true, ..good() }),
            ("no_audio", Upload { has_audio: false, ..good() }),
            ("no_video", Upload { has_video: false, ..good() }),
            ("bitrate_high", Upload { video_bps: 4_000_000, ..good() }),
            ("fps_unsteady", Upload { fps: 20.0, ..good() }),
            ("fps_low", Upload { fps: 10.0, declared_fps: None, ..good() }),
            ("codec", Upload { common_codec: false, ..good() }),
        ];
        for (code, upload) in cases {
            assert_eq!(codes(&upload), [code]);
        }
    }

    #[test]
    fn a_connection_just_made_is_not_judged_on_its_rates() {
        let young = Upload { uptime: Duration::from_secs(1), fps: 3.0, has_audio: false, ..good() };
        assert_eq!(codes(&young), [""; 0]);
        assert_eq!(codes(&Upload { connected: false, ..Upload::default() }), [""; 0]);
    }
}
