//! From the bytes of a transport stream to frames.

use super::clock::Clock;
use super::packet::{Continuity, Counter, PACKET, Packet, SYNC, find_sync};
use super::psi::{self, Carries, Sections, Stream};
use super::track::Track;
use crate::ingest::Error;
use crate::ingest::media::Media;

const PAT_PID: u16 = 0;

/// Bytes without a packet before the stream is given up: more than damage on the way explains.
const MOST_RUBBISH: usize = 64 * 1024;

/// Reads one program: the first that has video or audio, of it the first video and the first audio stream.
#[derive(Debug, Default)]
pub struct Demuxer {
    /// Less than what makes a packet certain.
    rest: Vec<u8>,
    in_sync: bool,
    rubbish: usize,
    /// Bytes taken, for errors.
    at: u64,
    pat: Table,
    /// Program map tables by PID.
    maps: Vec<(u16, Table)>,
    /// The PID of the table that `tracks` come from.
    program: Option<u16>,
    tracks: Vec<Track>,
    clock: Clock,
    lost: u64,
}

#[derive(Debug, Default)]
struct Table {
    counter: Counter,
    sections: Sections,
}

impl Table {
    fn push(&mut self, packet: &Packet, found: impl FnMut(&[u8])) {
        let lost = match self.counter.follow(packet) {
            Continuity::Duplicate => return,
            continuity => continuity == Continuity::Lost,
        };
        self.sections.push(packet.starts, lost, packet.payload, found);
    }
}

impl Demuxer {
    pub fn new() -> Self {
        Self::default()
    }

    /// Gaps in the stream so far: places where packets were missing.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes what has come, cut anywhere, and adds to `found` what it completes.
    pub fn push(&mut self, bytes: &[u8], found: &mut Vec<Media>) -> Result<(), Error> {
        self.rest.extend_from_slice(bytes);
        let buffer = std::mem::take(&mut self.rest);
        let mut rest = &buffer[..];
        let done = loop {
            if !self.in_sync {
                match find_sync(rest) {
                    Some(at) => {
                        self.pass(&mut rest, at);
                        self.in_sync = true;
                        self.rubbish = 0;
                    }
                    // Enough to have found it, and it is not here.
                    None if rest.len() >= 3 * PACKET => {
                        self.rubbish += PACKET;
                        self.pass(&mut rest, PACKET);
                        if self.rubbish > MOST_RUBBISH {
                            break Err(self.malformed("no packets any more"));
                        }
                        continue;
                    }
                    None => break Ok(()),
                }
            }
            let Some(packet) = rest.first_chunk::<PACKET>() else { break Ok(()) };
            if packet[0] != SYNC {
                self.in_sync = false;
                self.lost += 1;
                continue;
            }
            if let Some(packet) = Packet::parse(packet)
                && let Err(error) = self.packet(&packet, found)
            {
                break Err(error);
            }
            self.pass(&mut rest, PACKET);
        };
        self.rest = rest.to_vec();
        done
    }

    /// The end of the stream: what is still open is whole now.
    pub fn finish(&mut self, found: &mut Vec<Media>) -> Result<(), Error> {
        // The last packets come without others after them to be certain by.
        let rest = std::mem::take(&mut self.rest);
        for packet in rest.chunks(PACKET).filter_map(|chunk| chunk.first_chunk::<PACKET>()) {
            if let Some(packet) = Packet::parse(packet) {
                self.packet(&packet, found)?;
            }
        }
        self.tracks.iter_mut().try_for_each(|track| track.finish(&mut self.clock, found))
    }

    fn pass(&mut self, rest: &mut &[u8], bytes: usize) {
        *rest = &rest[bytes..];
        self.at += bytes as u64;
    }

    fn packet(&mut self, packet: &Packet, found: &mut Vec<Media>) -> Result<(), Error> {
        if packet.pid == PAT_PID {
            let mut listed = None;
            self.pat.push(packet, |section| listed = psi::pat(section).or(listed.take()));
            if let Some(pids) = listed {
                self.maps.retain(|(pid, _)| pids.contains(pid));
                let known: Vec<u16> = self.maps.iter().map(|(pid, _)| *pid).collect();
                let new = pids.into_iter().filter(|pid| !known.contains(pid));
                self.maps.extend(new.map(|pid| (pid, Table::default())));
                self.program = self.program.filter(|program| self.maps.iter().any(|(pid, _)| pid == program));
            }
            return Ok(());
        }
        if let Some((_, table)) = self.maps.iter_mut().find(|(pid, _)| *pid == packet.pid) {
            let mut listed = None;
            table.push(packet, |section| listed = psi::pmt(section).or(listed.take()));
            return match listed {
                Some(streams) => self.program(packet.pid, streams, found),
                None => Ok(()),
            };
        }
        let Some(track) = self.tracks.iter_mut().find(|track| track.stream().pid == packet.pid) else {
            return Ok(());
        };
        if packet.scrambled {
            return Err(self.malformed("it is scrambled"));
        }
        if track.push(packet, &mut self.clock, found)? {
            self.lost += 1;
        }
        Ok(())
    }

    /// A program map table says which streams there are.
    fn program(&mut self, pid: u16, streams: Vec<Stream>, found: &mut Vec<Media>) -> Result<(), Error> {
        if self.program.is_some_and(|program| program != pid) {
            return Ok(());
        }
        let first = |video: bool| {
            streams.iter().find(|stream| match stream.carries {
                Carries::Video(_) => video,
                Carries::Audio(_) => !video,
                _ => false,
            })
        };
        let wanted: Vec<&Stream> = [first(true), first(false)].into_iter().flatten().collect();
        for video in [true, false] {
            let foreign = streams.iter().find_map(|stream| match &stream.carries {
                Carries::Foreign { video: is, name } if *is == video => Some(name.clone()),
                _ => None,
            });
            if let (None, Some(name)) = (first(video), foreign) {
                return Err(Error::Codec(name));
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        self.program = Some(pid);
        if self.tracks.iter().map(Track::stream).eq(wanted.iter().copied()) {
            return Ok(());
        }
        for track in &mut self.tracks {
            track.finish(&mut self.clock, found)?;
        }
        self.tracks = wanted.into_iter().cloned().filter_map(Track::new).collect();
        let video = self.tracks.iter().any(Track::is_video);
        found.push(Media::Tracks { video, audio: self.tracks.iter().any(|track| !track.is_video()) });
        Ok(())
    }

    fn malformed(&self, what: &str) -> Error {
        Error::Malformed { container: "MPEG-TS", at: self.at, what: what.to_owned() }
    }
}
