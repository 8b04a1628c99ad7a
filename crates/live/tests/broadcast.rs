//! What subscribers see of a broadcast whose publisher comes, changes its mind, drops and returns.

use bytes::Bytes;
use live::{
    AudioFormat, Broadcast, CaptureSource, Directory, Format, Frame, Item, Kind, Phase, PublishError, Publisher,
    SourceFrame, Subscriber, VideoFormat, WriteError, capture_sei,
};

/// x264 without B-frames, 160x90 at 30 Hz.
const AVCC: &str = "0164000bffe100186764000bacb4146fc98088000003000800000301e078a15501000468ef3cb0fdf8f800";
/// x264 with two B-frames.
const AVCC_B: &str = "0164000bffe100196764000bacd9428df930110000030001000003003c0f14299601000468efbcb0fdf8f800";
const ASC: &[u8] = &[0x11, 0x90];

const FRAME_US: i64 = 33_333;

/// Everything here is in memory: what has not come by now will not come.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn broadcast() -> Broadcast {
    Directory::standalone().open("abcdefghjkmnp", Default::default()).unwrap()
}

fn publisher(broadcast: &Broadcast) -> Publisher {
    let mut publisher = broadcast.publish("192.0.2.1:4000".into()).unwrap();
    publisher.video_format(VideoFormat::h264(&bytes(AVCC)).unwrap());
    publisher.audio_format(AudioFormat::aac(ASC).unwrap());
    publisher
}

fn frame(n: i64, keyframe: bool) -> SourceFrame {
    let dts_us = 5_000_000 + n * FRAME_US;
    SourceFrame { pts_us: dts_us, dts_us, keyframe, payload: Bytes::from(vec![n as u8 + 1; 100]) }
}

/// Video at 30 Hz with a keyframe each `gop` and audio beside it, as an encoder interleaves them.
fn send(publisher: &mut Publisher, frames: std::ops::Range<i64>, gop: i64) {
    for n in frames {
        publisher.video(frame(n, n % gop == 0)).unwrap();
        publisher.audio(SourceFrame { keyframe: true, ..frame(n, true) }).unwrap();
    }
}

async fn frames(subscriber: &mut Subscriber, count: usize) -> Vec<Frame> {
    let mut found = Vec::new();
    while found.len() < count {
        let next = tokio::time::timeout(PATIENCE, subscriber.next()).await;
        match next.unwrap_or_else(|_| panic!("{} of {count} frames came", found.len())) {
            Some(Item::Frame(frame)) => found.push(frame),
            Some(Item::Format(_) | Item::Interrupted) => {}
            None => panic!("the broadcast ended after {} of {count} frames", found.len()),
        }
    }
    found
}

async fn format(subscriber: &mut Subscriber) -> Format {
    loop {
        if let Item::Format(format) = subscriber.next().await.expect("the broadcast goes on") {
            return format;
        }
    }
}

fn video(frames: &[Frame]) -> Vec<&Frame> {
    frames.iter().filter(|frame| frame.kind == Kind::Video).collect()
}

#[tokio::test]
async fn a_viewer_starts_at_the_newest_keyframe_with_sound() {
    let broadcast = broadcast();
    let mut publisher = publisher(&broadcast);
    send(&mut publisher, 0..150, 60);

    let mut subscriber = broadcast.subscribe();
    let format = format(&mut subscriber).await;
    assert_eq!(format.video.as_ref().map(|video| (video.width, video.height)), Some((160, 90)));
    assert_eq!(format.audio.as_ref().map(|audio| audio.rate), Some(48_000));
    let frames = frames(&mut subscriber, 60).await;
    let first = video(&frames)[0];
    assert!(first.keyframe);
    assert_eq!(first.payload[0], 121);
    let heard = frames.iter().filter(|frame| frame.kind == Kind::Audio).count();
    assert!((25..=35).contains(&heard), "{heard} audio frames beside {} video frames", frames.len() - heard);
}

#[tokio::test]
async fn who_lists_the_past_starts_some_groups_back() {
    let broadcast = broadcast();
    let mut publisher = publisher(&broadcast);
    send(&mut publisher, 0..150, 30);
    let mut subscriber = broadcast.subscribe_from(live::Start::Oldest);
    let frames = frames(&mut subscriber, 300).await;
    let marks = frames.iter().filter_map(|frame| frame.mark).count();
    assert_eq!((video(&frames).len(), marks), (150, 5));
}

#[tokio::test]
async fn frames_come_out_in_decode_order_with_their_marks() {
    let broadcast = broadcast();
    let mut subscriber = broadcast.subscribe();
    let mut publisher = publisher(&broadcast);
    send(&mut publisher, 0..1, 30);
    frames(&mut subscriber, 2).await;
    send(&mut publisher, 1..180, 30);
    let frames = frames(&mut subscriber, 300).await;
    let video = video(&frames);
    assert!(video.windows(2).all(|pair| pair[1].dts_us > pair[0].dts_us));
    let marks: Vec<_> = video.iter().filter_map(|frame| frame.mark).collect();
    assert!(video.iter().all(|frame| frame.keyframe == frame.mark.is_some()));
    assert!(marks.windows(2).all(|pair| pair[1].group == pair[0].group + 1));
    assert!(marks.windows(2).all(|pair| pair[1].segment == pair[0].segment + 1 && pair[1].starts_segment));
    assert!(marks.iter().all(|mark| mark.captured.source == CaptureSource::Ingest && mark.session == 1));
}

#[tokio::test]
async fn b_frames_get_decode_times_before_their_presentation() {
    let broadcast = broadcast();
    let mut publisher = broadcast.publish(String::new()).unwrap();
    publisher.video_format(VideoFormat::h264(&bytes(AVCC_B)).unwrap());
    // I0 P4 B2 b1 b3 P8 B6 b5 b7 | I9 ...
    let shown = [0, 4, 2, 1, 3, 8, 6, 5, 7, 9, 13, 11, 10, 12, 14];
    for (n, pts) in shown.iter().enumerate() {
        let payload = Bytes::from_static(&[1; 10]);
        let (pts_us, dts_us) = ((pts + 2) * FRAME_US, n as i64 * FRAME_US);
        publisher.video(SourceFrame { pts_us, dts_us, keyframe: n == 0 || n == 9, payload }).unwrap();
    }
    let mut late = broadcast.subscribe();
    let tail = frames(&mut late, 6).await;
    assert!(tail.iter().all(|frame| frame.dts_us <= frame.pts_us));
    assert!(tail.windows(2).all(|pair| pair[1].dts_us - pair[0].dts_us == FRAME_US));
    assert!(broadcast.stats().b_frames);
}

#[tokio::test]
async fn sound_ahead_of_the_picture_makes_no_b_frames() {
    let broadcast = broadcast();
    let mut publisher = publisher(&broadcast);
    for n in 0..60 {
        publisher.video(frame(n, n == 0)).unwrap();
        publisher.audio(frame(n + 4, true)).unwrap();
    }
    assert!(!broadcast.stats().b_frames);
}

#[tokio::test]
async fn a_returning_publisher_continues_the_same_tracks() {
    let broadcast = broadcast();
    let mut subscriber = broadcast.subscribe();
    let mut first = publisher(&broadcast);
    send(&mut first, 0..1, 30);
    let mut before = frames(&mut subscriber, 2).await;
    send(&mut first, 1..60, 30);
    before.extend(frames(&mut subscriber, 118).await);
    drop(first);
    assert_eq!(broadcast.phase(), Phase::Interrupted);
    assert!(matches!(subscriber.next().await, Some(Item::Interrupted)));

    let mut second = publisher(&broadcast);
    send(&mut second, 0..60, 30);
    let after = frames(&mut subscriber, 120).await;
    assert_eq!(broadcast.phase(), Phase::Live);
    let (last, next) = (video(&before).last().unwrap().dts_us, video(&after)[0]);
    assert!(next.keyframe && next.dts_us > last);
    let mark = next.mark.unwrap();
    assert_eq!(mark.session, 2);
    let segments: Vec<_> =
        before.iter().chain(&after).filter_map(|frame| frame.mark).map(|mark| mark.segment).collect();
    assert!(segments.windows(2).all(|pair| pair[1] == pair[0] + 1), "{segments:?}");
}

#[tokio::test]
async fn a_new_format_is_told_before_its_first_frame() {
    let broadcast = broadcast();
    let mut subscriber = broadcast.subscribe();
    let mut publisher = publisher(&broadcast);
    send(&mut publisher, 0..10, 30);
    assert_eq!(format(&mut subscriber).await.video.unwrap().reorder, 0);
    publisher.video_format(VideoFormat::h264(&bytes(AVCC_B)).unwrap());
    // Nothing of the new format can be decoded before its keyframe.
    publisher.video(frame(10, false)).unwrap();
    publisher.video(frame(11, true)).unwrap();
    publisher.video(frame(12, false)).unwrap();
    assert_eq!(format(&mut subscriber).await.video.unwrap().reorder, 2);
    let next = frames(&mut subscriber, 1).await;
    assert_eq!((next[0].keyframe, next[0].payload[0]), (true, 12));
}

#[tokio::test]
async fn times_that_no_clock_reaches_are_refused() {
    let broadcast = broadcast();
    let mut publisher = publisher(&broadcast);
    let at = |pts_us, dts_us| SourceFrame { pts_us, dts_us, ..frame(0, true) };
    for far in [i64::MIN, i64::MAX] {
        assert!(matches!(publisher.video(at(far, far)), Err(WriteError::FarTime(_))));
        assert!(matches!(publisher.audio(at(far, far)), Err(WriteError::FarTime(_))));
    }
    // A picture that is to be shown long after it is decoded is left out, and carries no clock away.
    publisher.video(at(70_000_000, 5_000_000)).unwrap();
    let mut subscriber = broadcast.subscribe();
    send(&mut publisher, 0..3, 1);
    let frames = frames(&mut subscriber, 2).await;
    assert!(frames.iter().all(|frame| frame.pts_us < 60_000_000), "{frames:?}");
}

#[tokio::test]
async fn audio_alone_is_a_broadcast() {
    let broadcast = broadcast();
    let mut subscriber = broadcast.subscribe();
    let mut publisher = broadcast.publish(String::new()).unwrap();
    publisher.audio_format(AudioFormat::aac(ASC).unwrap());
    for n in 0..300 {
        let time = n * 1024 * 1_000 / 48_000 * 1_000;
        let payload = Bytes::from_static(&[7; 20]);
        publisher.audio(SourceFrame { pts_us: time, dts_us: time, keyframe: true, payload }).unwrap();
        if n == 0 {
            frames(&mut subscriber, 1).await;
        }
    }
    let frames = frames(&mut subscriber, 299).await;
    let samples: Vec<i64> = frames.iter().map(|frame| frame.pts_us * 48_000 / 1_000_000).collect();
    assert!(samples.windows(2).all(|pair| pair[1] - pair[0] == 1024));
    let segments: Vec<_> = frames.iter().filter_map(|frame| frame.mark).filter(|mark| mark.starts_segment).collect();
    assert!((4..=7).contains(&segments.len()), "{} segments in 6 s", segments.len());
}

#[tokio::test]
async fn video_alone_is_a_broadcast() {
    let broadcast = broadcast();
    let mut subscriber = broadcast.subscribe();
    let mut publisher = broadcast.publish(String::new()).unwrap();
    publisher.video_format(VideoFormat::h264(&bytes(AVCC)).unwrap());
    for n in 0..60 {
        publisher.video(frame(n, n % 30 == 0)).unwrap();
    }
    assert_eq!(format(&mut subscriber).await.audio, None);
    assert_eq!(frames(&mut subscriber, 30).await.len(), 30);
}

#[tokio::test]
async fn a_device_stamp_is_believed_when_it_is_near_the_clock() {
    let now_us = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as i64;
    for (stamp, believed) in [(now_us - 200_000, true), (now_us - 3_600_000_000, false), (now_us + 60_000_000, false)] {
        let broadcast = broadcast();
        let mut publisher = publisher(&broadcast);
        let payload = capture_sei::stamp_h264(stamp, &[0, 0, 0, 2, 0x65, 0x88]);
        publisher.video(SourceFrame { payload, ..frame(0, true) }).unwrap();
        let mut subscriber = broadcast.subscribe();
        let captured = frames(&mut subscriber, 1).await[0].mark.unwrap().captured;
        assert_eq!(captured.source == CaptureSource::Device, believed);
        assert_eq!(captured.unix_us == stamp, believed);
    }
}

#[tokio::test]
async fn a_leap_of_the_encoders_clock_begins_another_run() {
    let broadcast = broadcast();
    let mut subscriber = broadcast.subscribe();
    let mut publisher = publisher(&broadcast);
    send(&mut publisher, 0..30, 30);
    let before = frames(&mut subscriber, 60).await;
    send(&mut publisher, 100_000..100_040, 20);
    let after = frames(&mut subscriber, 60).await;
    let first = after.iter().find_map(|frame| frame.mark).unwrap();
    assert_eq!(first.session, 2);
    let step = video(&after)[0].dts_us - video(&before).last().unwrap().dts_us;
    assert!((0..2_000_000).contains(&step), "{step} us");
}

#[test]
fn configurations_that_contradict_themselves_are_refused() {
    let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/flv_demux");
    let mut tried = 0;
    for seed in std::fs::read_dir(seeds).unwrap() {
        // One byte says which kind of tag, five are the tag's own header; the rest is an avcC.
        let bytes = std::fs::read(seed.unwrap().path()).unwrap();
        let _ = VideoFormat::h264(&bytes[6..]);
        tried += 1;
    }
    assert!(tried > 0);
    assert!(VideoFormat::h264(&[]).is_err());
    assert!(VideoFormat::hevc(&[1; 30]).is_err());
    assert!(AudioFormat::aac(&[]).is_err());
}

#[tokio::test]
async fn one_publisher_at_a_time() {
    let broadcast = broadcast();
    let first = publisher(&broadcast);
    assert_eq!(broadcast.publish(String::new()).err(), Some(PublishError::AlreadyLive("abcdefghjkmnp".into())));
    drop(first);
    assert!(broadcast.publish(String::new()).is_ok());
}

#[tokio::test]
async fn the_end_reaches_publisher_and_viewers() {
    let broadcast = broadcast();
    let mut publisher = publisher(&broadcast);
    send(&mut publisher, 0..10, 30);
    let mut subscriber = broadcast.subscribe();
    frames(&mut subscriber, 5).await;
    broadcast.end();
    assert!(matches!(publisher.video(frame(10, false)), Err(WriteError::Ended)));
    drop(publisher);
    while subscriber.next().await.is_some() {}
    assert!(broadcast.publish(String::new()).is_err());
    assert!(broadcast.subscribe().next().await.is_none());
}

#[tokio::test]
async fn segments_go_on_from_where_another_process_stopped() {
    let directory = Directory::standalone();
    let broadcast = directory.open("x", live::Settings { first_segment: 5000 }).unwrap();
    let mut publisher = publisher(&broadcast);
    send(&mut publisher, 0..61, 60);
    let mut subscriber = broadcast.subscribe();
    let marks: Vec<_> = frames(&mut subscriber, 2).await.iter().filter_map(|frame| frame.mark).collect();
    assert_eq!(marks[0].segment, 5001);
    assert_eq!(broadcast.next_segment(), 5002);
}
