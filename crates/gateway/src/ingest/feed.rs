//! From what demuxers find to the broadcast.
//!
//! A byte stream says how a track is coded with the track's first frame, and the tracks begin at different bytes. What comes
//! before all of them are known is held, so that a broadcast starts with all its tracks.

use live::{Publisher, SourceFrame, WriteError};

use super::Error;
use super::media::Media;

/// How long the other track is waited for, on the stream's own clock, microseconds.
const LONGEST_WAIT_US: i64 = 2_000_000;

/// What is held at most; 2 s of a 30 Mbit/s stream.
const MOST_HELD: usize = 8 << 20;

/// Hands media to a publisher.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    /// Tracks announced and not yet configured.
    awaits_video: bool,
    awaits_audio: bool,
    held: Vec<Media>,
    held_bytes: usize,
    held_since_us: Option<i64>,
}

impl Feed {
    pub fn push(&mut self, media: Media, publisher: &mut Publisher) -> Result<(), WriteError> {
        match media {
            Media::Tracks { video, audio } => {
                self.awaits_video = video;
                self.awaits_audio = audio;
                Ok(())
            }
            Media::VideoFormat(format) => {
                // Held frames came first: they are still of the configuration before.
                if self.awaits_video {
                    self.awaits_video = false;
                } else {
                    self.release(publisher)?;
                }
                publisher.video_format(format);
                self.settle(publisher)
            }
            Media::AudioFormat(format) => {
                if self.awaits_audio {
                    self.awaits_audio = false;
                } else {
                    self.release(publisher)?;
                }
                publisher.audio_format(format);
                self.settle(publisher)
            }
            frame if self.awaits_video || self.awaits_audio => self.hold(frame, publisher),
            Media::Video(frame) => written(publisher.video(frame)),
            Media::Audio(frame) => written(publisher.audio(frame)),
        }
    }

    /// The end of the stream: what is held comes out.
    pub fn finish(&mut self, publisher: &mut Publisher) -> Result<(), WriteError> {
        self.release(publisher)
    }

    fn hold(&mut self, media: Media, publisher: &mut Publisher) -> Result<(), WriteError> {
        let (Media::Video(SourceFrame { dts_us, ref payload, .. })
        | Media::Audio(SourceFrame { dts_us, ref payload, .. })) = media
        else {
            return Ok(());
        };
        self.held_bytes += payload.len();
        let since = *self.held_since_us.get_or_insert(dts_us);
        self.held.push(media);
        let waited = (dts_us - since).abs() > LONGEST_WAIT_US;
        if waited || self.held_bytes > MOST_HELD {
            self.awaits_video = false;
            self.awaits_audio = false;
        }
        self.settle(publisher)
    }

    fn settle(&mut self, publisher: &mut Publisher) -> Result<(), WriteError> {
        if self.awaits_video || self.awaits_audio { Ok(()) } else { self.release(publisher) }
    }

    fn release(&mut self, publisher: &mut Publisher) -> Result<(), WriteError> {
        self.awaits_video = false;
        self.awaits_audio = false;
        self.held_bytes = 0;
        self.held_since_us = None;
        for media in std::mem::take(&mut self.held) {
            match media {
                Media::Video(frame) => written(publisher.video(frame))?,
                Media::Audio(frame) => written(publisher.audio(frame))?,
                _ => {}
            }
        }
        Ok(())
    }
}

/// A frame of a track that was never configured is nothing that could be shown.
fn written(result: Result<(), WriteError>) -> Result<(), WriteError> {
    match result {
        Err(WriteError::NoFormat(_)) => Ok(()),
        other => other,
    }
}

impl Feed {
    /// Hands on all of `found`.
    pub fn drain(&mut self, found: &mut Vec<Media>, publisher: &mut Publisher) -> Result<(), Error> {
        for media in found.drain(..) {
            self.push(media, publisher)?;
        }
        Ok(())
    }
}
