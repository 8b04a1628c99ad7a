//! HLS from real encodings, through the media model, read back by ffmpeg; and the packager's life around its viewers.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::{Buf, Bytes};
use gateway::flv::{Demuxer, TagKind};
use gateway::hls::validator::{Playlist, Validator};
use gateway::hls::{Config, Error, Packagers, Reply, Request};
use live::{AudioFormat, Broadcast, Directory, Publisher, Settings, SourceFrame, VideoFormat};
use mp4_atom::{Any, Atom, Codec, DecodeMaybe, Encode};

const SECONDS: usize = 11;
const FPS: usize = 30;

/// A directory that is removed with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("hls-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn run(program: &str, args: &[&str]) -> (String, String) {
    let output = Command::new(program).args(args).output().unwrap_or_else(|err| panic!("{program} is needed: {err}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {err}");
    (out.into_owned(), err.into_owned())
}

/// Encodes a test picture and a tone as an encoder would send them by RTMP.
fn encode(dir: &Dir, codec: &[&str]) -> Bytes {
    encode_for(dir, SECONDS, codec)
}

fn encode_for(dir: &Dir, seconds: usize, codec: &[&str]) -> Bytes {
    let path = dir.file("source.flv");
    let (picture, tone) =
        (format!("testsrc2=s=320x180:r={FPS}:d={seconds}"), format!("sine=f=440:r=48000:d={seconds}"));
    let mut args = vec!["-v", "error", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone];
    args.extend(codec);
    args.extend(["-f", "flv", path.to_str().expect("utf-8")]);
    run("ffmpeg", &args);
    std::fs::read(path).expect("ffmpeg wrote it").into()
}

const H264: [&str; 6] = ["-c:v", "libx264", "-preset", "veryfast", "-g", "60"];
const AAC: [&str; 4] = ["-c:a", "aac", "-b:a", "96k"];

fn tags(mut file: Bytes) -> Vec<(TagKind, u32, Bytes)> {
    file.advance(13);
    let mut tags = Vec::new();
    while file.has_remaining() {
        let kind = match file.get_u8() {
            8 => TagKind::Audio,
            9 => TagKind::Video,
            _ => TagKind::Script,
        };
        let size = file.get_uint(3) as usize;
        let (low, high) = (file.get_uint(3) as u32, u32::from(file.get_u8()));
        file.advance(3);
        tags.push((kind, (high << 24) | low, file.split_to(size)));
        file.advance(4);
    }
    tags
}

fn open() -> (Directory, Broadcast) {
    let directory = Directory::standalone();
    let broadcast = directory.open("abcdefghjkmnp", Settings { first_segment: 40 }).expect("opens");
    (directory, broadcast)
}

async fn publish(publisher: &mut Publisher, file: &Bytes) {
    let mut demuxer = Demuxer::new();
    for (kind, timestamp_ms, body) in tags(file.clone()) {
        demuxer.push(kind, timestamp_ms, body, publisher).expect("ffmpeg's tags are taken");
        // Lets the packager keep pace, as it does with a live encoder.
        settle(3).await;
    }
}

async fn settle(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

async fn get(packagers: &Packagers, broadcast: &Broadcast, file: &str, query: &str) -> Result<Reply, Error> {
    packagers.get(broadcast, Request::parse(file, Some(query))?).await
}

async fn text(packagers: &Packagers, broadcast: &Broadcast, file: &str, query: &str) -> String {
    let reply = get(packagers, broadcast, file, query).await.unwrap_or_else(|err| panic!("{file}?{query}: {err}"));
    String::from_utf8(reply.body.to_vec()).expect("text")
}

/// Publishes the file, ends the broadcast, and stores everything a player would load. Gives the final low-latency playlist.
async fn package(dir: &Dir, file: &Bytes) -> Playlist {
    package_by(dir, async |publisher| publish(publisher, file).await).await
}

async fn package_by(dir: &Dir, send: impl AsyncFnOnce(&mut Publisher)) -> Playlist {
    let (_directory, broadcast) = open();
    let packagers = Packagers::default();
    let first = tokio::spawn({
        let (packagers, broadcast) = (packagers.clone(), broadcast.clone());
        async move { text(&packagers, &broadcast, "index.m3u8", "").await }
    });
    settle(10).await;
    let mut publisher = broadcast.publish(String::new()).expect("free");
    send(&mut publisher).await;
    settle(1000).await;
    drop(publisher);
    settle(1000).await;
    broadcast.end();
    let index = first.await.expect("does not panic");
    assert!(index.contains("media.m3u8"), "{index}");
    // Waits for a segment that never comes, so for the end.
    let next = Playlist::parse(&text(&packagers, &broadcast, "media.m3u8", "").await)
        .segments
        .last()
        .map_or(0, |last| last.msn + 1);
    let media = text(&packagers, &broadcast, "media.m3u8", &format!("_HLS_msn={next}")).await;
    let list = Playlist::parse(&media);
    assert!(list.ended && list.media_sequence == 40, "{media}");
    assert_eq!(Validator::new().playlist(Duration::ZERO, Duration::ZERO, &media), []);
    store(&packagers, &broadcast, dir, &list).await;
    for name in ["index.m3u8", "plain.m3u8", "media.m3u8", "media-plain.m3u8"] {
        std::fs::write(dir.file(name), text(&packagers, &broadcast, name, "").await).expect("writes");
    }
    list
}

/// Stores the media that the playlist names, and the parts of all segments as one file.
async fn store(packagers: &Packagers, broadcast: &Broadcast, dir: &Dir, list: &Playlist) {
    let mut joined = Vec::new();
    for segment in &list.segments {
        let init = segment.map.clone().expect("has a map");
        let (_, whole) = segment.whole.clone().expect("complete");
        for name in [&init, &whole] {
            let reply = get(packagers, broadcast, name, "").await.expect("listed");
            std::fs::write(dir.file(name), &reply.body).expect("writes");
            if joined.is_empty() {
                joined.extend_from_slice(&reply.body);
            }
        }
        for part in &segment.parts {
            joined.extend_from_slice(&get(packagers, broadcast, &part.uri, "").await.expect("listed").body);
        }
    }
    std::fs::write(dir.file("joined.mp4"), joined).expect("writes");
}

/// A packet as ffprobe sees it, times in seconds.
struct Packet {
    pts: f64,
    dts: f64,
    /// `None` when the file does not say.
    duration: Option<f64>,
}

fn packets(path: &Path, stream: &str) -> Vec<Packet> {
    let entries = "packet=pts_time,dts_time,duration_time";
    let path = path.to_str().expect("utf-8");
    let (out, err) =
        run("ffprobe", &["-v", "warning", "-select_streams", stream, "-show_entries", entries, "-of", "csv=p=0", path]);
    assert_eq!(err, "", "ffprobe warns about {path}");
    let packet = |line: &str| {
        let fields: Vec<Option<f64>> = line.split(',').map(|field| field.parse().ok()).collect();
        Packet { pts: fields[0].expect("shown"), dts: fields[1].expect("decoded"), duration: fields[2] }
    };
    out.lines().filter(|line| !line.trim().is_empty()).map(packet).collect()
}

/// ffmpeg decodes the file without a word, and its packets are `count` of even spacing.
fn assert_plays(path: &Path, streams: &[(&str, usize, f64)]) {
    let (_, err) = run("ffmpeg", &["-v", "warning", "-xerror", "-i", path.to_str().expect("utf-8"), "-f", "null", "-"]);
    assert_eq!(err, "", "ffmpeg warns about {path:?}");
    for (stream, count, frame) in streams {
        let packets = packets(path, stream);
        assert_eq!(packets.len(), *count, "{stream} of {path:?}");
        assert!(packets.iter().all(|packet| packet.pts >= packet.dts), "{stream}: shown before decoded");
        for pair in packets.windows(2) {
            let step = pair[1].dts - pair[0].dts;
            assert!((step - frame).abs() < 0.0015, "{stream} of {path:?}: decode time steps by {step}");
            let lasts = pair[0].duration.unwrap_or(step);
            assert!((lasts - step).abs() < 0.001, "{stream} of {path:?}: lasts {lasts}, the next comes after {step}");
        }
    }
}

fn assert_all_play(dir: &Dir, streams: &[(&str, usize, f64)]) {
    for name in ["media.m3u8", "media-plain.m3u8", "index.m3u8", "plain.m3u8", "joined.mp4"] {
        assert_plays(&dir.file(name), streams);
    }
}

const VIDEO: (&str, usize, f64) = ("v:0", SECONDS * FPS, 1.0 / FPS as f64);

/// The audio frames of the source from its first picture on: what is heard before that is left out.
fn audio(dir: &Dir) -> (&'static str, usize, f64) {
    let source = dir.file("source.flv");
    let first = packets(&source, "v:0").first().map_or(0.0, |picture| picture.pts);
    let heard = packets(&source, "a:0").into_iter().filter(|packet| packet.pts >= first - 0.0005);
    ("a:0", heard.count(), 1024.0 / 48000.0)
}

#[tokio::test]
async fn h264_and_aac_play_without_a_warning() {
    let dir = Dir::new("plain");
    let source = encode(&dir, &[&H264[..], &["-bf", "0"], &AAC].concat());
    let list = package(&dir, &source).await;
    assert_eq!(list.segments.len(), 6);
    assert!(list.segments[..5].iter().all(|segment| (segment.duration_us() - 2_000_000).abs() <= 1000));
    assert_all_play(&dir, &[VIDEO, audio(&dir)]);
}

#[tokio::test]
async fn b_frames_play_without_a_warning() {
    let dir = Dir::new("bframes");
    let source = encode(&dir, &[&H264[..], &["-bf", "3"], &AAC].concat());
    package(&dir, &source).await;
    assert_all_play(&dir, &[VIDEO, audio(&dir)]);
}

#[tokio::test]
async fn video_alone_plays() {
    let dir = Dir::new("video");
    package(&dir, &encode(&dir, &[&H264[..], &["-bf", "2", "-an"]].concat())).await;
    assert_all_play(&dir, &[VIDEO]);
}

#[tokio::test]
async fn audio_alone_plays() {
    let dir = Dir::new("audio");
    package(&dir, &encode(&dir, &[&["-vn"][..], &AAC].concat())).await;
    assert_all_play(&dir, &[audio(&dir)]);
}

#[tokio::test]
async fn a_group_longer_than_the_target_duration_plays() {
    let dir = Dir::new("long");
    let args = ["-c:v", "libx264", "-preset", "veryfast", "-g", "250", "-bf", "2", "-x264-params", "scenecut=0"];
    let list = package(&dir, &encode(&dir, &[&args[..], &["-an"]].concat())).await;
    let lasted: Vec<_> = list.segments.iter().map(|segment| segment.duration_us() / 100_000).collect();
    assert_eq!(lasted, [40, 40, 3, 26]);
    assert_all_play(&dir, &[VIDEO]);
}

/// A frame of a fragmented MP4 file.
struct Sample {
    track: usize,
    frame: SourceFrame,
}

/// Encodes to fragmented MP4, which FLV of this ffmpeg cannot replace for newer codecs; gives formats and frames.
fn encode_mp4(dir: &Dir, codec: &[&str]) -> (VideoFormat, AudioFormat, Vec<Sample>) {
    let path = dir.file("source.mp4");
    let (picture, tone) = (format!("testsrc2=s=320x180:r={FPS}:d=4"), "sine=f=440:r=48000:d=4");
    let mut args = vec!["-v", "error", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", tone, "-pix_fmt", "yuv420p"];
    args.extend(codec);
    args.extend(["-movflags", "frag_keyframe+delay_moov+default_base_moof", path.to_str().expect("utf-8")]);
    run("ffmpeg", &args);
    let file = std::fs::read(path).expect("ffmpeg wrote it");
    let (mut bytes, mut formats, mut scales, mut samples) = (&file[..], None, Vec::new(), Vec::new());
    let mut moof = None;
    while let Some(found) = Any::decode_maybe(&mut bytes).expect("boxes parse") {
        match found {
            Any::Moov(moov) => {
                scales = moov.trak.iter().map(|trak| i64::from(trak.mdia.mdhd.timescale)).collect();
                let codec = |n: usize| &moov.trak[n].mdia.minf.stbl.stsd.codecs[0];
                formats = Some((video_format(codec(0)), audio_format(codec(1))));
            }
            Any::Moof(found) => moof = Some(found),
            Any::Mdat(mdat) => samples.extend(frames(&moof.take().expect("moof before mdat"), &mdat.data, &scales)),
            _ => {}
        }
    }
    samples.sort_by_key(|sample| sample.frame.dts_us);
    let (video, audio) = formats.expect("a moov");
    (video, audio, samples)
}

fn record(atom: &impl Atom) -> Vec<u8> {
    let mut bytes = Vec::new();
    atom.encode_body(&mut bytes).expect("encodes");
    bytes
}

fn video_format(codec: &Codec) -> VideoFormat {
    match codec {
        Codec::Hev1(hevc) => VideoFormat::hevc(&record(&hevc.hvcc)),
        Codec::Hvc1(hevc) => VideoFormat::hevc(&record(&hevc.hvcc)),
        Codec::Av01(av1) => VideoFormat::av1(&record(&av1.av1c)),
        other => panic!("{other:?}"),
    }
    .expect("usable")
}

fn audio_format(codec: &Codec) -> AudioFormat {
    let Codec::Opus(opus) = codec else { panic!("{codec:?}") };
    let mut head = b"OpusHead\x01".to_vec();
    head.push(opus.dops.output_channel_count);
    head.extend(opus.dops.pre_skip.to_le_bytes());
    head.extend(opus.dops.input_sample_rate.to_le_bytes());
    head.extend([0, 0, 0]);
    AudioFormat::opus(&head).expect("usable")
}

fn frames(moof: &mp4_atom::Moof, data: &[u8], scales: &[i64]) -> Vec<Sample> {
    let mut header = Vec::new();
    moof.encode(&mut header).expect("encodes");
    let mut samples = Vec::new();
    // ffmpeg writes the tracks one after the other; each begins where its data offset says, and the first begins the mdat.
    let base = moof.traf.iter().filter_map(|traf| traf.trun[0].data_offset).min().expect("offsets");
    for traf in &moof.traf {
        let track = traf.tfhd.track_id as usize - 1;
        let us = |ticks: i64| ticks * 1_000_000 / scales[track];
        let mut dts = traf.tfdt.as_ref().expect("tfdt").base_media_decode_time as i64;
        for trun in &traf.trun {
            let mut at = (trun.data_offset.expect("offset") - base) as usize;
            for (n, entry) in trun.entries.iter().enumerate() {
                let size = entry.size.or(traf.tfhd.default_sample_size).expect("size") as usize;
                let (pts_us, dts_us) = (us(dts + i64::from(entry.cts.unwrap_or(0))), us(dts));
                // A fragment of this file begins with a keyframe and has no other.
                let keyframe = track == 1 || n == 0;
                let payload = Bytes::copy_from_slice(&data[at..at + size]);
                samples.push(Sample { track, frame: SourceFrame { pts_us, dts_us, keyframe, payload } });
                at += size;
                dts += i64::from(entry.duration.or(traf.tfhd.default_sample_duration).expect("duration"));
            }
        }
    }
    samples
}

async fn plays_with(name: &str, codec: &[&str], codecs: &str) {
    let dir = Dir::new(name);
    let (video, audio, samples) = encode_mp4(&dir, codec);
    let list = package_by(&dir, async |publisher| {
        publisher.video_format(video);
        publisher.audio_format(audio);
        for Sample { track, frame } in samples {
            if track == 0 { publisher.video(frame) } else { publisher.audio(frame) }.expect("taken");
            settle(3).await;
        }
    })
    .await;
    assert!(!list.segments.is_empty());
    let index = std::fs::read_to_string(dir.file("index.m3u8")).expect("written");
    assert!(index.contains(codecs), "{index}");
    assert_all_play(&dir, &[("v:0", 4 * FPS, 1.0 / FPS as f64)]);
    assert!(packets(&dir.file("media.m3u8"), "a:0").len() > 190);
}

#[tokio::test]
async fn hevc_and_opus_play() {
    let codec = [
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-tag:v",
        "hvc1",
        "-g",
        "60",
        "-x265-params",
        "log-level=none:open-gop=0",
    ];
    plays_with("hevc", &[&codec[..], &["-c:a", "libopus"]].concat(), "hvc1.").await;
}

#[tokio::test]
async fn av1_and_opus_play() {
    let codec = ["-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime", "-g", "60", "-lag-in-frames", "0"];
    plays_with("av1", &[&codec[..], &["-c:a", "libopus"]].concat(), "av01.").await;
}

#[tokio::test(start_paused = true)]
async fn a_packager_starts_with_the_first_request_and_stops_when_nobody_asks() {
    let dir = Dir::new("life");
    let source = encode(&dir, &[&H264[..], &["-bf", "0"], &AAC].concat());
    let (_directory, broadcast) = open();
    let packagers = Packagers::new(Config { idle: Duration::from_secs(20), ..Config::default() });
    let mut publisher = broadcast.publish(String::new()).expect("free");
    publish(&mut publisher, &source).await;
    assert_eq!(packagers.running(), 0);
    assert!(text(&packagers, &broadcast, "media.m3u8", "").await.contains("#EXT-X-PART:"));
    assert_eq!(packagers.running(), 1);
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(packagers.running(), 0);
    assert!(text(&packagers, &broadcast, "media.m3u8", "").await.contains("#EXT-X-PART:"), "starts again");
}

#[tokio::test(start_paused = true)]
async fn a_returning_publisher_goes_on_with_a_discontinuity() {
    let dir = Dir::new("return");
    let source = encode(&dir, &[&H264[..], &["-bf", "2"], &AAC].concat());
    let (_directory, broadcast) = open();
    let packagers = Packagers::default();
    let waiting = tokio::spawn({
        let (packagers, broadcast) = (packagers.clone(), broadcast.clone());
        async move { text(&packagers, &broadcast, "media.m3u8", "").await }
    });
    settle(10).await;
    for _ in 0..2 {
        let mut publisher = broadcast.publish(String::new()).expect("free");
        publish(&mut publisher, &source).await;
        settle(1000).await;
        drop(publisher);
        settle(1000).await;
    }
    waiting.await.expect("does not panic");
    let list = Playlist::parse(&text(&packagers, &broadcast, "media.m3u8", "").await);
    assert_eq!(list.segments.len(), 12);
    assert_eq!((list.segments[6].discontinuity, list.segments[6].discontinuities, list.segments[6].msn), (true, 1, 46));
    let hint = list.hint.expect("hinted");
    let asked = tokio::spawn({
        let (packagers, broadcast) = (packagers.clone(), broadcast.clone());
        async move { get(&packagers, &broadcast, &hint, "").await.map_err(|err| err.status()) }
    });
    settle(10).await;
    broadcast.end();
    assert_eq!(asked.await.expect("does not panic").err(), Some(404));
    assert!(text(&packagers, &broadcast, "media.m3u8", "_HLS_msn=52").await.ends_with("#EXT-X-ENDLIST\n"));
}

#[tokio::test(start_paused = true)]
async fn two_nodes_serve_the_same_bytes() {
    let dir = Dir::new("nodes");
    // Longer than what a node holds of a broadcast, so that the second cannot begin where the first did.
    let source = encode_for(&dir, 24, &[&H264[..], &["-bf", "2"], &AAC].concat());
    let (_directory, broadcast) = open();
    let (early, late) = (Packagers::default(), Packagers::default());
    let first = tokio::spawn({
        let (packagers, broadcast) = (early.clone(), broadcast.clone());
        async move { text(&packagers, &broadcast, "media.m3u8", "").await }
    });
    settle(10).await;
    let mut publisher = broadcast.publish(String::new()).expect("free");
    let mut demuxer = Demuxer::new();
    for (n, (kind, timestamp_ms, body)) in tags(source).into_iter().enumerate() {
        demuxer.push(kind, timestamp_ms, body, &mut publisher).expect("taken");
        settle(3).await;
        if n == 1400 {
            text(&late, &broadcast, "media.m3u8", "").await;
        }
    }
    settle(1000).await;
    first.await.expect("does not panic");
    let list = Playlist::parse(&text(&late, &broadcast, "media.m3u8", "").await);
    assert!(list.media_sequence > 40 && list.segments.len() >= 3, "the second joined later: {list:?}");
    for segment in &list.segments {
        let map = segment.map.clone().expect("has a map");
        for name in
            segment.parts.iter().map(|part| &part.uri).chain(segment.whole.iter().map(|(_, uri)| uri)).chain([&map])
        {
            let one = get(&early, &broadcast, name, "").await.expect("the first has it too").body;
            assert_eq!(one, get(&late, &broadcast, name, "").await.expect("listed").body, "{name}");
        }
    }
}
