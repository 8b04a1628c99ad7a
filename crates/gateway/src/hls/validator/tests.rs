//! The validator finds what it is there to find: each rule broken once, in an otherwise good sequence.

use super::*;

const HEAD: &str = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:4\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,\
CAN-SKIP-UNTIL=24.0,PART-HOLD-BACK=0.63\n#EXT-X-PART-INF:PART-TARGET=0.21\n";

/// No rule is broken.
const NOTHING: [u8; 0] = [];

/// Two complete segments and a growing one, with so many parts of it.
fn list(parts: usize) -> String {
    let mut text =
        format!("{HEAD}#EXT-X-MEDIA-SEQUENCE:5\n#EXT-X-DISCONTINUITY-SEQUENCE:2\n#EXT-X-MAP:URI=\"i.mp4\"\n");
    for (msn, second) in [(5, "10"), (6, "12")] {
        text += &format!("#EXT-X-PROGRAM-DATE-TIME:2026-11-21T11:00:{second}.000Z\n");
        (0..10).for_each(|n| text += &part(msn, n));
        text += &format!("#EXTINF:2.0,\nseg-{msn}.m4s\n");
    }
    text += "#EXT-X-PROGRAM-DATE-TIME:2026-11-21T11:00:14.000Z\n";
    (0..parts).for_each(|n| text += &part(7, n));
    text + &format!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"part-7-{parts}.m4s\"\n")
}

fn part(msn: u64, n: usize) -> String {
    let independent = if n == 0 { ",INDEPENDENT=YES" } else { "" };
    format!("#EXT-X-PART:DURATION=0.2,URI=\"part-{msn}-{n}.m4s\"{independent}\n")
}

/// The rules that the second playlist breaks.
fn broken(first: &str, second: &str) -> Vec<u8> {
    let mut validator = Validator::new();
    assert_eq!(validator.playlist(Duration::ZERO, Duration::ZERO, first), []);
    let mut rules: Vec<u8> = validator
        .playlist(Duration::ZERO, Duration::from_secs(1), second)
        .into_iter()
        .map(|violation| violation.rule)
        .collect();
    rules.dedup();
    rules
}

fn changed(from: &str, to: &str) -> Vec<u8> {
    let second = list(3);
    assert!(second.contains(from), "{from}");
    broken(&list(2), &second.replace(from, to))
}

#[test]
fn a_good_sequence_breaks_nothing() {
    assert_eq!(broken(&list(2), &list(3)), NOTHING);
    assert_eq!(broken(&list(2), &list(2)), NOTHING);
}

#[test]
fn each_broken_rule_is_found() {
    let cases: [(u8, &str, &str); 19] = [
        (1, "DURATION=0.2,URI=\"part-7-1", "DURATION=0.22,URI=\"part-7-1"),
        (1, "DURATION=0.2,URI=\"part-7-1", "DURATION=0.1,URI=\"part-7-1"),
        (2, "PART-TARGET=0.21", "PART-TARGET=0.25"),
        (3, "TARGETDURATION:4", "TARGETDURATION:3"),
        (4, "PART-HOLD-BACK=0.63", "PART-HOLD-BACK=0.4"),
        (9, "CAN-SKIP-UNTIL=24.0", "CAN-SKIP-UNTIL=20.0"),
        (9, "#EXT-X-MAP", "#EXT-X-SKIP:SKIPPED-SEGMENTS=0\n#EXT-X-MAP"),
        (10, "part-7-2.m4s", "part-7-9.m4s"),
        (10, "#EXT-X-PRELOAD-HINT", "#EXT-X-ENDLIST\n#EXT-X-PRELOAD-HINT"),
        (
            11,
            "#EXT-X-PRELOAD-HINT",
            "#EXT-X-RENDITION-REPORT:URI=\"/a.m3u8\",LAST-MSN=7,LAST-PART=1\n#EXT-X-PRELOAD-HINT",
        ),
        (11, "#EXT-X-PRELOAD-HINT", "#EXT-X-RENDITION-REPORT:URI=\"a.m3u8\",LAST-MSN=7\n#EXT-X-PRELOAD-HINT"),
        (13, "DISCONTINUITY-SEQUENCE:2", "DISCONTINUITY-SEQUENCE:3"),
        (
            13,
            "#EXT-X-PART:DURATION=0.2,URI=\"part-7-2",
            "#EXT-X-DISCONTINUITY\n#EXT-X-PART:DURATION=0.2,URI=\"part-7-2",
        ),
        (14, "MEDIA-SEQUENCE:5", "MEDIA-SEQUENCE:4"),
        (14, "MEDIA-SEQUENCE:5", "MEDIA-SEQUENCE:15"),
        (14, "seg-6.m4s", "seg-66.m4s"),
        (15, "11:00:14.000Z", "11:00:14Z"),
        (15, "11:00:14.000Z", "11:00:14.500Z"),
        (16, "#EXT-X-MAP:URI=\"i.mp4\"\n", ""),
    ];
    for (rule, from, to) in cases {
        assert!(changed(from, to).contains(&rule), "rule {rule}: {from} to {to}");
    }
}

#[test]
fn a_late_answer_is_found() {
    let found = Validator::new().playlist(Duration::ZERO, Duration::from_secs(13), &list(1));
    assert_eq!(found.iter().map(|violation| violation.rule).collect::<Vec<_>>(), [8]);
}

#[test]
fn part_inf_without_parts_is_found() {
    let without: String =
        list(0).lines().filter(|line| !line.starts_with("#EXT-X-PART:")).map(|line| format!("{line}\n")).collect();
    let found = Validator::new().playlist(Duration::ZERO, Duration::ZERO, &without);
    assert!(found.iter().any(|violation| violation.rule == 12), "{found:?}");
}
