//! What clients say. Everything is checked; what is refused is answered in plain words.

use metrics::{counter, histogram};

use super::Machine;
use super::outgoing::Tally;
use crate::clock::Now;
use crate::close::Close;
use crate::config::{COMMENTS, FRAMES, WAITING_MAX};
use crate::encode::{self, Refusal};
use crate::event::{Body, Draft, Said};
use crate::frame::{ClientFrame, Comment, FrameError, Playing};
use crate::metric;
use crate::outbox::Worth;
use crate::text::{self, Unfit};

/// A capture time may be this far ahead of our clock: clocks differ.
const AHEAD_MAX_MS: i64 = 2_000;

/// A capture time older than this is a mistake, not a slow player.
const BEHIND_MAX_MS: i64 = 3_600_000;

impl Machine {
    /// A frame from connection `id`. An error ends the connection.
    pub fn incoming(&mut self, now: Now, id: u64, frame: Result<ClientFrame, FrameError>) -> Result<(), Close> {
        let Some(member) = self.members.get_mut(&id) else { return Err(Close::RESTART) };
        if let Some(close) = member.outbox.closed() {
            return Err(close);
        }
        if member.frames.take(FRAMES, now.at, 1) == 0 {
            member.outbox.abort(Close::FLOOD);
            return Err(Close::FLOOD);
        }
        match frame {
            Ok(ClientFrame::Comment(comment)) => self.comment(now, id, comment),
            Ok(ClientFrame::Hearts(hearts)) => self.tap(now, id, &hearts),
            Ok(ClientFrame::Playing(playing)) => self.playing(now, id, &playing),
            Ok(ClientFrame::Ping(ping)) => self.tell(id, &encode::pong(&ping, now.unix_ms)),
            Ok(ClientFrame::Hello(_)) => self.refuse(id, Refusal::BadFrame, "You have said hello already.", None),
            Err(FrameError::Unknown) => self.refuse(id, Refusal::Unknown, &FrameError::Unknown.to_string(), None),
            Err(FrameError::Invalid { what, cid }) => self.refuse(id, Refusal::BadFrame, what, cid.as_deref()),
            Err(error) => self.refuse(id, Refusal::BadFrame, &error.to_string(), None),
        }
        Ok(())
    }

    fn comment(&mut self, now: Now, id: u64, comment: Comment) {
        let Comment { cid, text, captured_ms } = comment;
        let refusal = match text::clean(&text) {
            _ if self.standing.state.is_over() => (Refusal::Ended, "The broadcast is over."),
            Err(Unfit::Empty) => (Refusal::Empty, "There is nothing to read in this comment."),
            Err(Unfit::TooLong) => (Refusal::TooLong, "A comment has at most 500 characters."),
            Ok(text) => match self.accept(now, id, &cid, text, captured_ms) {
                Ok(()) => return,
                Err(refusal) => refusal,
            },
        };
        self.refuse(id, refusal.0, refusal.1, Some(&cid));
    }

    fn accept(
        &mut self,
        now: Now,
        id: u64,
        cid: &str,
        text: String,
        captured_ms: Option<i64>,
    ) -> Result<(), (Refusal, &'static str)> {
        let Some(person) = self.members.get(&id).map(|member| member.person.clone()) else { return Ok(()) };
        if !self.resent.insert(&person.id, cid) {
            // It is on its way, or was: the first one counts.
            return Ok(());
        }
        let full = self.log.waiting() >= WAITING_MAX;
        let habits = self.people.get_mut(&person.id);
        let granted = habits.is_some_and(|habits| habits.comments.take(COMMENTS, now.at, 1) == 1);
        if !granted || full {
            self.resent.remove(&person.id, cid);
            return Err(match granted {
                false => (Refusal::RateLimited, "You are writing too fast. Wait a second."),
                true => (Refusal::Unavailable, "Too many comments at once. Try again in a moment."),
            });
        }
        let said = Said {
            id: format!("{:016x}", rand::random::<u64>()),
            cid: cid.to_string(),
            who: (*person).clone(),
            text,
            captured_ms: captured_ms.filter(|captured_ms| plausible(*captured_ms, now.unix_ms)),
        };
        self.log.push(Draft { body: Body::Comment(said), at_ms: now.unix_ms, sender: Some(id) });
        self.wake = true;
        Ok(())
    }

    fn playing(&mut self, now: Now, id: u64, playing: &Playing) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let was = member.playing.replace((playing.rung, now.at + self.config.playing_expires));
        if let Some(latency_ms) = playing.latency_ms.filter(|ms| (0..600_000).contains(ms)) {
            histogram!(metric::LATENCY, "rung" => playing.rung.as_str()).record(latency_ms as f64 / 1000.0);
        }
        if was.is_none_or(|(rung, until)| rung != playing.rung || until <= now.at) {
            self.viewers_may_have_changed(now.at);
        }
    }

    /// Answer one connection with an error.
    pub(super) fn refuse(&mut self, id: u64, refusal: Refusal, detail: &str, cid: Option<&str>) {
        counter!(metric::REFUSED, "code" => refusal.code()).increment(1);
        self.tell(id, &encode::refusal(refusal, detail, cid));
    }

    fn tell(&self, id: u64, frame: &encode::Frame) {
        if let Some(member) = self.members.get(&id) {
            let mut tally = Tally::default();
            tally.push(&member.outbox, frame, Worth::Keep);
            tally.count();
        }
    }
}

/// Whether a client can have seen at `now_ms` what was captured at `captured_ms`.
pub(super) fn plausible(captured_ms: i64, now_ms: i64) -> bool {
    (now_ms - BEHIND_MAX_MS..=now_ms + AHEAD_MAX_MS).contains(&captured_ms)
}
