//! What a peer offers, before anything is made of it.

use str0m::change::SdpOffer;

use super::{Error, sdp};

/// Browsers send 5 to 10 KiB.
const LARGEST: usize = 64 << 10;

/// Sections of media; real offers have two or three. Each is compared with all others.
const MOST_SECTIONS: usize = 16;

/// Bytes of a line that names simulcast layers, of which each becomes a stream with buffers.
const LONGEST_SIMULCAST: usize = 128;

/// A session description that a peer sent.
#[derive(Debug)]
pub struct Offer {
    pub(super) sdp: SdpOffer,
    pub(super) wants: Wants,
}

/// Which media an offer has, and in which direction it would flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    pub sends_video: bool,
    pub sends_audio: bool,
    pub receives_video: bool,
    pub receives_audio: bool,
}

impl Offer {
    /// Reads a session description.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if let Some(what) = excess(text) {
            return Err(Error::Sdp(what.into()));
        }
        let sdp = SdpOffer::from_sdp_string(text).map_err(|error| Error::Sdp(error.to_string()))?;
        Ok(Self { sdp, wants: Wants::of(text) })
    }
}

/// What makes an offer cost more than any real one.
fn excess(text: &str) -> Option<&'static str> {
    if text.len() > LARGEST {
        return Some("it is longer than 64 KiB");
    }
    if sdp::sections(text).count() > MOST_SECTIONS {
        return Some("it has more than 16 media sections");
    }
    let mut simulcast = text.lines().filter(|line| line.starts_with("a=simulcast"));
    simulcast.any(|line| line.len() > LONGEST_SIMULCAST).then_some("it has too many simulcast layers")
}

impl Wants {
    fn of(text: &str) -> Self {
        let mut wants = Self::default();
        for section in sdp::sections(text) {
            let lines: Vec<&str> = section.lines().map(str::trim_end).collect();
            let mut head = lines.first().copied().unwrap_or_default().split(' ');
            let (kind, port) = (head.next(), head.next());
            // A port of 0 is a stream that is not wanted.
            if port == Some("0") && !lines.contains(&"a=bundle-only") {
                continue;
            }
            let has = |direction| lines.contains(&direction);
            let sends = !has("a=recvonly") && !has("a=inactive");
            let receives = !has("a=sendonly") && !has("a=inactive");
            match kind {
                Some("video") => (wants.sends_video, wants.receives_video) = (sends, receives),
                Some("audio") => (wants.sends_audio, wants.receives_audio) = (sends, receives),
                _ => {}
            }
        }
        wants
    }
}

/// A trickled fragment (RFC 8840), of which only the user fragment matters: the server makes no checks, so it needs no
/// candidates of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The peer's user fragment.
    pub ufrag: Option<String>,
}

impl Fragment {
    pub fn parse(text: &str) -> Self {
        let ufrag = text.lines().find_map(|line| line.trim_end().strip_prefix("a=ice-ufrag:")).map(str::to_owned);
        Self { ufrag }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offer_says_what_it_sends_and_receives() {
        let text =
            "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendonly\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=recvonly\r\n";
        let wants = Wants::of(text);
        assert_eq!((wants.sends_audio, wants.receives_audio), (true, false));
        assert_eq!((wants.sends_video, wants.receives_video), (false, true));
        assert_eq!(Wants::of("v=0\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\n"), Wants::default());
        assert_eq!(Wants::of(""), Wants::default());
        // Ends where a section would begin.
        assert_eq!(Wants::of("v=0\r\nm="), Wants::default());
    }

    #[test]
    fn what_is_no_session_description_is_refused() {
        assert!(Offer::parse("hello").is_err());
        assert!(Offer::parse("").is_err());
    }

    #[test]
    fn what_costs_more_than_any_real_offer_is_refused() {
        let sections = format!("v=0\r\n{}", "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n".repeat(17));
        let layers = format!("v=0\r\na=simulcast:recv {}\r\n", "a;".repeat(100));
        let (long, short) =
            ("a".repeat(LARGEST + 1), "v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=simulcast:send a;b\r\n");
        for text in [&sections, &layers, &long] {
            assert!(excess(text).is_some());
        }
        assert_eq!(excess(short), None);
    }

    #[test]
    fn a_fragment_may_name_its_user() {
        assert_eq!(Fragment::parse("a=ice-ufrag:EsAw\r\na=candidate:1\r\n").ufrag.as_deref(), Some("EsAw"));
        assert_eq!(Fragment::parse("").ufrag, None);
    }
}
