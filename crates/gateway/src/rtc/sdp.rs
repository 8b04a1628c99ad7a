//! What str0m does not write into an answer by itself.

/// Asks for stereo, which Opus encoders send only if the receiver says that it likes it (RFC 7587 section 6.1), and for
/// enough of it.
const STEREO: &str = ";stereo=1;maxaveragebitrate=128000";

/// The answer with stereo asked for.
pub(super) fn with_stereo(answer: &str) -> String {
    let opus = answer.lines().find_map(|line| {
        let (payload, codec) = line.trim_end().strip_prefix("a=rtpmap:")?.split_once(' ')?;
        codec.starts_with("opus/").then(|| format!("a=fmtp:{payload} "))
    });
    let Some(opus) = opus else { return answer.to_owned() };
    let mut out = String::with_capacity(answer.len() + STEREO.len());
    for line in answer.lines() {
        out.push_str(line.trim_end());
        if line.starts_with(&opus) && !line.contains("stereo=") {
            out.push_str(STEREO);
        }
        out.push_str("\r\n");
    }
    out
}

/// The media sections of a session description, each without its `m=`.
pub(super) fn sections(text: &str) -> impl Iterator<Item = &str> {
    text.split("\nm=").skip(1)
}

/// Whether the answer takes media of this kind: its section has a port and a codec.
pub(super) fn accepts(answer: &str, kind: &str) -> bool {
    sections(answer).any(|section| {
        let mut head = section.split([' ', '\r', '\n']);
        head.next() == Some(kind)
            && head.next().is_some_and(|port| port != "0")
            && section.contains("a=rtpmap:")
            && !section.contains("a=inactive")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=recvonly\r\na=rtpmap:111 opus/48000/2\r\n\
                          a=fmtp:111 minptime=10;useinbandfec=1\r\nm=video 0 UDP/TLS/RTP/SAVPF 96\r\n";

    #[test]
    fn stereo_is_asked_for_once() {
        let once = with_stereo(ANSWER);
        assert!(once.contains("useinbandfec=1;stereo=1;max"));
        assert_eq!(with_stereo(&once), once);
        assert_eq!(with_stereo("v=0\r\n"), "v=0\r\n");
    }

    #[test]
    fn a_section_without_port_is_not_taken() {
        assert!(accepts(ANSWER, "audio"));
        assert!(!accepts(ANSWER, "video"));
    }
}
