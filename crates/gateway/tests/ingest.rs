//! Real captures of every container, through the demuxers and into a broadcast.

use std::path::Path;

use gateway::ingest::{Container, Media, Upload, sniff};
use gateway::{matroska, mp4, ts};
use live::{Directory, Format, Item, SourceFrame};

/// Everything here is in memory: what has not come by now will not come.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ingest").join(name)).expect("a fixture")
}

/// What the demuxer of a container finds in `bytes` that come in parts of `step`.
fn demux(bytes: &[u8], step: usize) -> Vec<Media> {
    let mut found = Vec::new();
    let sniff::Sniffed::Is(container) = sniff::sniff(bytes) else { panic!("not recognised") };
    match container {
        Container::Ts => {
            let mut demuxer = ts::Demuxer::new();
            bytes.chunks(step).for_each(|part| demuxer.push(part, &mut found).unwrap());
            demuxer.finish(&mut found).unwrap();
        }
        Container::Mp4 => {
            let mut demuxer = mp4::Demuxer::new();
            bytes.chunks(step).for_each(|part| demuxer.push(part, &mut found).unwrap());
        }
        Container::Matroska => {
            let mut demuxer = matroska::Demuxer::new();
            bytes.chunks(step).for_each(|part| demuxer.push(part, &mut found).unwrap());
        }
        Container::Flv => panic!("flv has tests of its own"),
    }
    found
}

fn pictures(found: &[Media]) -> Vec<&SourceFrame> {
    found.iter().filter_map(|media| if let Media::Video(frame) = media { Some(frame) } else { None }).collect()
}

fn sounds(found: &[Media]) -> Vec<&SourceFrame> {
    found.iter().filter_map(|media| if let Media::Audio(frame) = media { Some(frame) } else { None }).collect()
}

fn codecs(found: &[Media]) -> Vec<String> {
    let codec = |media: &Media| match media {
        Media::VideoFormat(format) => Some(format.codec_string.clone()),
        Media::AudioFormat(format) => Some(format.codec_string.clone()),
        _ => None,
    };
    let mut codecs: Vec<String> = found.iter().filter_map(codec).collect();
    codecs.sort();
    codecs
}

const CAPTURES: [(&str, &str, &str); 11] = [
    ("plain.ts", "avc1", "mp4a.40.2"),
    ("bframes.ts", "avc1", "mp4a.40.2"),
    ("wide.ts", "avc1", "mp4a.40.2"),
    ("wrap.ts", "avc1", "mp4a.40.2"),
    ("gstreamer.ts", "avc1", "mp4a.40.2"),
    ("hevc_opus.ts", "hvc1", "opus"),
    ("bframes.mp4", "avc1", "mp4a.40.2"),
    ("edits.mp4", "avc1", "mp4a.40.2"),
    ("bframes.mkv", "avc1", "mp4a.40.2"),
    ("opus.mkv", "avc1", "opus"),
    ("gstreamer.mkv", "avc1", "mp4a.40.2"),
];

#[test]
fn two_seconds_of_every_capture_are_sixty_pictures_and_their_sound() {
    for (name, video, audio) in CAPTURES {
        let found = demux(&fixture(name), usize::MAX);
        let codecs = codecs(&found);
        assert!(codecs.len() == 2 && codecs.iter().any(|codec| codec.starts_with(video)), "{name}: {codecs:?}");
        assert!(codecs.iter().any(|codec| codec == audio), "{name}: {codecs:?}");
        let (pictures, sounds) = (pictures(&found), sounds(&found));
        assert_eq!(pictures.len(), 60, "{name}");
        assert_eq!(pictures.iter().filter(|frame| frame.keyframe).count(), 2, "{name}");
        assert!(pictures[0].keyframe, "{name}");
        // Matroska has no decode times.
        if !name.ends_with("mkv") {
            assert!(pictures.windows(2).all(|pair| pair[0].dts_us < pair[1].dts_us), "{name}");
            assert!(pictures.iter().all(|frame| frame.dts_us <= frame.pts_us), "{name}");
        }
        let mut shown: Vec<i64> = pictures.iter().map(|frame| frame.pts_us).collect();
        shown.sort_unstable();
        assert!(shown.windows(2).all(|pair| (32_000..=35_000).contains(&(pair[1] - pair[0]))), "{name}: {shown:?}");
        let frame_us = if audio == "opus" { 20_000 } else { 21_333 };
        assert!((92..=103).contains(&sounds.len()), "{name}: {} sounds", sounds.len());
        // ffmpeg wrote a longer first sound into this one.
        let from = usize::from(name == "bframes.mp4");
        assert!(
            sounds[from..].windows(2).all(|pair| (pair[1].pts_us - pair[0].pts_us - frame_us).abs() <= 1_100),
            "{name}: sound with gaps"
        );
        let apart = shown[0] - sounds[from].pts_us;
        assert!(apart.abs() < 60_000, "{name}: picture and sound begin {apart} us apart");
    }
}

#[test]
fn nothing_depends_on_how_a_capture_is_cut() {
    for (name, ..) in CAPTURES {
        let bytes = fixture(name);
        let whole = format!("{:?}", demux(&bytes, usize::MAX));
        for step in [1, 7, 188, 1316] {
            assert!(format!("{:?}", demux(&bytes, step)) == whole, "{name} in steps of {step}");
        }
    }
}

#[test]
fn lost_packets_cost_the_frames_they_were_in_and_nothing_else() {
    let bytes = fixture("plain.ts");
    let whole = demux(&bytes, usize::MAX);
    let originals: Vec<Vec<u8>> = pictures(&whole).iter().map(|frame| frame.payload.to_vec()).collect();
    for nth in [11, 23, 41] {
        let packets = bytes.chunks(ts::PACKET).enumerate();
        let kept: Vec<u8> = packets.filter(|(at, _)| at % nth != nth - 1).flat_map(|(_, p)| p.to_vec()).collect();
        let found = demux(&kept, 1316);
        let left = pictures(&found);
        assert!(left.len() < 60 && left.len() > 30, "{} pictures without every {nth}th packet", left.len());
        let damaged = left.iter().filter(|frame| !originals.iter().any(|whole| whole[..] == frame.payload[..]));
        assert_eq!(damaged.count(), 0, "without every {nth}th packet");
    }
    // Bytes in between, as from a broken pipe.
    let broken = [&bytes[..10_000], &[0x47; 777], &bytes[10_000..]].concat();
    assert!(pictures(&demux(&broken, 1000)).len() >= 55);
}

/// Uploads files one after another and says what a subscriber sees.
async fn through(names: &[&str]) -> (Vec<Format>, Vec<live::Frame>) {
    let broadcast = Directory::standalone().open("abcdefghjkmnp", Default::default()).unwrap();
    let mut subscriber = broadcast.subscribe();
    let seeing = tokio::spawn(async move {
        let (mut formats, mut frames) = (Vec::new(), Vec::new());
        while let Some(item) = subscriber.next().await {
            match item {
                Item::Format(format) => formats.push(format),
                Item::Frame(frame) => frames.push(frame),
                // An encoder that begins anew within the upload is an interruption too.
                Item::Interrupted => {}
            }
        }
        (formats, frames)
    });
    let mut publisher = broadcast.publish(String::new()).unwrap();
    let first = fixture(names[0]);
    let sniff::Sniffed::Is(container) = sniff::sniff(&first) else { panic!("not recognised") };
    let mut upload = Upload::new(container);
    for name in names {
        for part in fixture(name).chunks(1316) {
            upload.push(part, &mut publisher).unwrap();
            // Lets the subscriber keep pace, as it does with a live encoder.
            tokio::task::yield_now().await;
        }
    }
    upload.finish(&mut publisher).unwrap();
    drop(publisher);
    broadcast.end();
    tokio::time::timeout(PATIENCE, seeing).await.expect("in time").unwrap()
}

fn in_order(frames: &[live::Frame]) {
    for kind in [live::Kind::Video, live::Kind::Audio] {
        let track: Vec<&live::Frame> = frames.iter().filter(|frame| frame.kind == kind).collect();
        let times: Vec<i64> = track.iter().map(|frame| frame.dts_us).collect();
        assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{kind:?}: {times:?}");
        assert!(track.iter().all(|frame| frame.dts_us <= frame.pts_us));
    }
}

#[tokio::test]
async fn a_broadcast_begins_with_all_its_tracks_and_loses_no_picture() {
    for (name, ..) in CAPTURES {
        let (formats, frames) = through(&[name]).await;
        assert_eq!(formats.len(), 1, "{name}: a format that changes at the start is a discontinuity");
        assert!(formats[0].video.is_some() && formats[0].audio.is_some(), "{name}");
        in_order(&frames);
        assert_eq!(frames.iter().filter(|frame| frame.kind == live::Kind::Video).count(), 60, "{name}");
        let sounds = frames.iter().filter(|frame| frame.kind == live::Kind::Audio).count();
        assert!(sounds >= 85, "{name}: {sounds} sounds");
    }
}

#[tokio::test]
async fn another_size_in_the_middle_is_another_format() {
    let (formats, frames) = through(&["plain.ts", "wide.ts"]).await;
    let widths: Vec<u32> = formats.iter().filter_map(|format| Some(format.video.as_ref()?.width)).collect();
    assert_eq!((widths.first(), widths.last()), (Some(&64), Some(&96)), "{widths:?}");
    in_order(&frames);
    // Whether the last picture before the cut is whole cannot be told: packets may be missing there.
    assert_eq!(frames.iter().filter(|frame| frame.kind == live::Kind::Video).count(), 119);
}

#[tokio::test]
async fn another_program_of_another_encoder_in_the_middle_goes_on() {
    let (formats, frames) = through(&["plain.ts", "hevc_opus.ts"]).await;
    let codecs: Vec<String> =
        formats.iter().filter_map(|format| Some(format.video.as_ref()?.codec_string[..4].to_owned())).collect();
    assert_eq!(
        (codecs.first().map(String::as_str), codecs.last().map(String::as_str)),
        (Some("avc1"), Some("hvc1")),
        "{codecs:?}"
    );
    in_order(&frames);
    assert!(frames.iter().filter(|frame| frame.kind == live::Kind::Video).count() >= 60);
}

#[test]
fn garbage_is_an_error_or_nothing_and_never_a_panic() {
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for (name, ..) in CAPTURES {
        let bytes = fixture(name);
        for _ in 0..300 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random() % 20 {
                let at = random() % damaged.len();
                damaged[at] = random() as u8;
            }
            let mut found = Vec::new();
            let _ = match &name[name.len() - 3..] {
                ".ts" => ts::Demuxer::new().push(&damaged, &mut found),
                "mp4" => mp4::Demuxer::new().push(&damaged, &mut found),
                _ => matroska::Demuxer::new().push(&damaged, &mut found),
            };
        }
    }
}
