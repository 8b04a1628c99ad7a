//! The few codecs Oriel runs itself; everything else passes through it coded.
//!
//! - [`synth`]: the synthetic broadcaster's picture and sound, H.264 and AAC.
//! - [`clock_code`]: the machine-readable clock in that picture, and its reader.
//! - [`sound`]: AAC to Opus, for viewers by WebRTC.
//! - [`still`]: a JPEG of a keyframe, for thumbnails.
//!
//! Elsewhere: the media model and the capture stamp in the bitstream (`live`), protocols (`gateway`), when a frame is made and
//! where it is sent (the callers).

pub mod clock_code;
pub mod sound;
pub mod still;
pub mod synth;

mod h264;
