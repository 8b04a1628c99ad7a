//! Uploads over HTTP by the programs people use, watched by the players people use.

mod support;
#[path = "support/tools.rs"]
mod tools;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use live::Phase;
use serde_json::Value;
use support::{Client, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tools::{AAC, H264, PICTURE, TONE, command, ffmpeg, interrupt, probe, wait};

/// Waits until the broadcast is in `phase`.
async fn phase(server: &Server, id: &str, phase: Phase) {
    let reached = async {
        loop {
            if let Some(broadcast) = server.app.services().directory.get(id) {
                let mut phases = broadcast.phases();
                phases.wait_for(|now| *now == phase).await.expect("the broadcast is held");
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(tools::PATIENCE, reached).await.unwrap_or_else(|_| panic!("never {phase:?}"));
}

/// Waits until the API says so.
async fn state(client: &Client, id: &str, wanted: &str) {
    let path = format!("/api/v1/broadcasts/{id}");
    let reached = async {
        while client.get(&path).await.json()["state"] != wanted {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(tools::PATIENCE, reached).await.unwrap_or_else(|_| panic!("never {wanted}"));
}

/// ffmpeg's own way of sending a header.
fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

/// ffmpeg encodes for as long as it runs and posts it in `container`; HTTP-FLV and HLS play it.
async fn plays(container: &[&str], video: Option<(&str, &[&str])>, audio: Option<(&str, &[&str])>) {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    let (url, headers) = (format!("http://{}/ingest/{id}", server.host()), bearer(&key));
    let mut parts: Vec<&[&str]> = Vec::new();
    parts.extend(video.map(|_| PICTURE));
    parts.extend(audio.map(|_| TONE));
    parts.extend(video.map(|(_, args)| args));
    parts.extend(audio.map(|(_, args)| args));
    let send = ["-method", "POST", "-headers", &headers, &url];
    parts.extend([container, &send]);
    let encoder = ffmpeg(&parts);
    phase(&server, &id, Phase::Live).await;

    let flv = probe(&format!("http://{}/live/{id}.flv", server.host()), 2).await;
    flv.check_order();
    let hls = probe(&format!("http://{}/hls/{id}/index.m3u8", server.host()), 2).await;
    hls.check_order();
    for (found, from) in [(&flv, "FLV"), (&hls, "HLS")] {
        assert_eq!(found.codecs("video"), video.map(|(codec, _)| codec).into_iter().collect::<Vec<_>>(), "{from}");
        assert_eq!(found.codecs("audio"), audio.map(|(codec, _)| codec).into_iter().collect::<Vec<_>>(), "{from}");
        if video.is_some() {
            let packets = found.packets("video");
            assert!(packets.len() >= 45, "{from}: {} pictures in 2 s", packets.len());
        }
        if audio.is_some() {
            assert!(found.packets("audio").len() >= 70, "{from}: {} sounds in 2 s", found.packets("audio").len());
        }
    }
    // Ctrl-C is a goodbye: the body ends.
    let output = interrupt(encoder).await;
    assert_eq!(String::from_utf8_lossy(&output.stderr).trim(), "");
    phase(&server, &id, Phase::Interrupted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_posts_mpegts() {
    plays(&["-f", "mpegts"], Some(("h264", H264)), Some(("aac", AAC))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_posts_flv() {
    plays(&["-f", "flv", "-flvflags", "no_duration_filesize"], Some(("h264", H264)), Some(("aac", AAC))).await;
}

const FRAGMENTS: &[&str] = &["-f", "mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof"];

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_posts_fragmented_mp4() {
    plays(FRAGMENTS, Some(("h264", H264)), Some(("aac", AAC))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_posts_matroska() {
    plays(&["-f", "matroska"], Some(("h264", H264)), Some(("aac", AAC))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn b_frames_keep_their_order_in_every_container() {
    const REORDERED: &[&str] =
        &["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "30", "-pix_fmt", "yuv420p"];
    for container in [&["-f", "mpegts"][..], &["-f", "flv"], FRAGMENTS, &["-f", "matroska"]] {
        plays(container, Some(("h264", REORDERED)), Some(("aac", AAC))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_alone_and_pictures_alone_are_broadcasts() {
    // Without pictures there is no keyframe to begin a fragment with.
    const TIMED: &[&str] = &["-f", "mp4", "-movflags", "empty_moov+default_base_moof", "-frag_duration", "500000"];
    for container in [&["-f", "mpegts"][..], TIMED, &["-f", "matroska"]] {
        plays(container, None, Some(("aac", AAC))).await;
        plays(container, Some(("h264", H264)), None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_sends_a_file_and_its_end_is_a_goodbye() {
    let server = Server::with(|config| config.broadcast.grace_s = 1).await;
    let ann = server.signed_in("ann").await;
    for format in ["flv", "mpegts", "matroska"] {
        let (id, key) = server.broadcast(&ann).await;
        let file = server.dir.path().join(format).display().to_string();
        let source = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=3", "-f", "lavfi"];
        let sound = ["-i", "sine=sample_rate=48000:duration=3"];
        let made = wait(ffmpeg(&[&source, &sound, H264, AAC, &["-f", format, "-y", &file]])).await;
        assert!(made.status.success());
        let url = format!("http://{}/ingest/{id}", server.host());
        let header = format!("Authorization: Bearer {key}");
        // A pipe has no length, so that the body is chunked.
        let pipe = format!("cat {file} | curl -sS -o - -w '%{{http_code}}' -T - -H '{header}' {url}");
        let sent = wait(command("sh", &["-c", &pipe]).spawn().expect("a shell")).await;
        assert_eq!(String::from_utf8_lossy(&sent.stdout), "204", "{}", String::from_utf8_lossy(&sent.stderr));
        state(&ann, &id, "ENDED").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_send_is_told_why_in_a_problem_document() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    let (_, other_key) = server.broadcast(&ann).await;
    let path = format!("/ingest/{id}");
    let send = async |key: Option<&str>, body: &[u8]| {
        let mut client = server.client();
        client.headers.extend(key.map(|key| ("authorization", format!("Bearer {key}"))));
        client.send(Method::POST, &path, None, Bytes::copy_from_slice(body)).await
    };
    let flv = b"FLV\x01\x05\0\0\0\x09\0\0\0\0";
    for key in [None, Some("hello"), Some(other_key.as_str())] {
        let answer = send(key, flv).await;
        assert_eq!(answer.problem(401, &path), "/problems/stream-key");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    let answer = send(Some(&key), b"OggS\0\x02\0\0\0\0\0\0").await;
    assert_eq!(answer.problem(415, &path), "/problems/unsupported-media");
    assert!(answer.json()["detail"].as_str().unwrap().contains("Ogg"));
    let answer = send(Some(&key), b"").await;
    assert_eq!(answer.problem(415, &path), "/problems/unsupported-media");
    let wrong = [&flv[..], &[9, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0x22, 0, 0, 0, 0]].concat();
    let answer = send(Some(&key), &wrong).await;
    assert_eq!(answer.problem(415, &path), "/problems/unsupported-media");
    assert!(answer.json()["detail"].as_str().unwrap().contains("video id 2"), "{}", answer.text());
    let wrong = [&flv[..], &[0xff; 16]].concat();
    assert!(!send(Some(&key), &wrong).await.status.is_success());
    ann.post(&format!("/api/v1/broadcasts/{id}/end"), &Value::Null).await;
    assert_eq!(send(Some(&key), flv).await.problem(410, &path), "/problems/gone");
}

/// An upload by hand, so that it can be cut at will.
async fn connect(server: &Server, id: &str, key: &str) -> tokio::net::TcpStream {
    let mut socket = tokio::net::TcpStream::connect(server.host()).await.unwrap();
    let head = format!(
        "POST /ingest/{id} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket
}

async fn chunk(socket: &mut tokio::net::TcpStream, bytes: &[u8]) {
    let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    socket.write_all(&chunk).await.unwrap();
}

async fn status(socket: &mut tokio::net::TcpStream) -> u16 {
    let mut answer = vec![0; 12];
    let read = socket.read_exact(&mut answer);
    tokio::time::timeout(tools::PATIENCE, read).await.expect("in time").expect("an answer");
    String::from_utf8_lossy(&answer[9..]).parse().expect("a status")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_encoder_waits_its_turn_and_a_lost_one_may_return() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    let fixture = std::fs::read("../gateway/tests/fixtures/flv/plain.flv").unwrap();
    let mut first = connect(&server, &id, &key).await;
    chunk(&mut first, &fixture).await;
    phase(&server, &id, Phase::Live).await;
    let mut second = connect(&server, &id, &key).await;
    chunk(&mut second, &fixture).await;
    assert_eq!(status(&mut second).await, 409);

    // Broken off in the middle of the body.
    drop(first);
    phase(&server, &id, Phase::Interrupted).await;
    let mut again = connect(&server, &id, &key).await;
    chunk(&mut again, &fixture).await;
    phase(&server, &id, Phase::Live).await;

    ann.post(&format!("/api/v1/broadcasts/{id}/end"), &Value::Null).await;
    chunk(&mut again, &fixture[13..]).await;
    assert_eq!(status(&mut again).await, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_longer_than_any_body_and_ends_with_the_server() {
    let server = Server::with(|config| config.limits.body_bytes = 1024).await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    let fixture = std::fs::read("../gateway/tests/fixtures/flv/plain.flv").unwrap();
    let mut socket = connect(&server, &id, &key).await;
    chunk(&mut socket, &fixture).await;
    phase(&server, &id, Phase::Live).await;
    let Server { app, dir: _dir } = server;
    let start = std::time::Instant::now();
    app.drain().await;
    assert!(start.elapsed() < Duration::from_secs(5), "an upload must not hold the server up");
    assert_eq!(status(&mut socket).await, StatusCode::SERVICE_UNAVAILABLE);
}
