//! One stream of the program that is taken.

use live::{AudioCodec, SourceFrame, VideoCodec};

use super::adts::{Adts, Found};
use super::clock::{Clock, us};
use super::opus;
use super::packet::{Continuity, Counter, Packet};
use super::pes::{Assembly, Pes};
use super::psi::{Carries, Stream};
use crate::ingest::Error;
use crate::ingest::media::Media;
use crate::ingest::nal::{NalStream, annex_b};

/// Video or audio, from transport packets to frames.
#[derive(Debug)]
pub(super) struct Track {
    stream: Stream,
    counter: Counter,
    assembly: Assembly,
    coding: Coding,
}

#[derive(Debug)]
enum Coding {
    Video(NalStream),
    Aac(Adts),
    Opus { configured: bool },
}

impl Track {
    /// `None` for a stream that is neither video nor audio of ours.
    pub fn new(stream: Stream) -> Option<Self> {
        let coding = match stream.carries {
            Carries::Video(codec @ (VideoCodec::H264 | VideoCodec::Hevc)) => Coding::Video(NalStream::new(codec)),
            Carries::Audio(AudioCodec::Aac) => Coding::Aac(Adts::default()),
            Carries::Audio(AudioCodec::Opus) => Coding::Opus { configured: false },
            _ => return None,
        };
        Some(Self { stream, counter: Counter::default(), assembly: Assembly::default(), coding })
    }

    pub fn stream(&self) -> &Stream {
        &self.stream
    }

    pub fn is_video(&self) -> bool {
        matches!(self.coding, Coding::Video(_))
    }

    /// Takes a packet. True when packets before it were lost.
    pub fn push(&mut self, packet: &Packet, clock: &mut Clock, found: &mut Vec<Media>) -> Result<bool, Error> {
        let lost = match self.counter.follow(packet) {
            Continuity::Duplicate => return Ok(false),
            Continuity::Next => false,
            Continuity::Lost => {
                self.assembly.drop_open();
                if let Coding::Aac(adts) = &mut self.coding {
                    adts.interrupt();
                }
                true
            }
        };
        for pes in self.assembly.push(packet.starts, packet.payload).into_iter().flatten() {
            self.take(pes, clock, found)?;
        }
        Ok(lost)
    }

    /// The end of the stream.
    pub fn finish(&mut self, clock: &mut Clock, found: &mut Vec<Media>) -> Result<(), Error> {
        match self.assembly.take() {
            Some(pes) => self.take(pes, clock, found),
            None => Ok(()),
        }
    }

    fn take(&mut self, pes: Pes, clock: &mut Clock, found: &mut Vec<Media>) -> Result<(), Error> {
        match &mut self.coding {
            Coding::Video(nals) => {
                // A picture without a time cannot be placed.
                let Some(pts) = pes.pts else { return Ok(()) };
                let dts = clock.unwrap(pes.dts.unwrap_or(pts));
                let pts = clock.near(pts);
                let (format, picture) = nals.access_unit(annex_b(&pes.data))?;
                found.extend(format.map(Media::VideoFormat));
                found.extend(picture.map(|picture| {
                    Media::Video(SourceFrame {
                        pts_us: us(pts),
                        dts_us: us(dts),
                        keyframe: picture.keyframe,
                        payload: picture.payload,
                    })
                }));
            }
            Coding::Aac(adts) => {
                let mut frames = Vec::new();
                adts.push(pes.pts.map(|pts| clock.unwrap(pts)), &pes.data, &mut frames)?;
                found.extend(frames.into_iter().map(|frame| match frame {
                    Found::Format(format) => Media::AudioFormat(format),
                    Found::Frame(frame) => Media::Audio(frame),
                }));
            }
            Coding::Opus { configured } => {
                let Some(pts) = pes.pts else { return Ok(()) };
                if !std::mem::replace(configured, true) {
                    found.push(Media::AudioFormat(opus::format(self.stream.opus_channels)?));
                }
                let mut time = clock.unwrap(pts);
                for (payload, ticks) in opus::packets(pes.data) {
                    let pts_us = us(time);
                    found.push(Media::Audio(SourceFrame { pts_us, dts_us: pts_us, keyframe: true, payload }));
                    time += ticks;
                }
            }
        }
        Ok(())
    }
}
