//! A publisher and viewers on a real server: who may publish, what survives, what the API says meanwhile.

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use codec::synth::{Config as Synthetic, Synth, Track};
use gateway::rtmp::client::{Client as Rtmp, Error as RtmpError, Publication};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use live::Phase;
use serde_json::{Value, json};
use server::App;
use support::{Client, Server, config};

/// A small synthetic encoder that is told the time, so that it encodes as fast as it can.
struct Encoder {
    synth: Synth,
    publication: Publication,
}

impl Encoder {
    async fn connect(server: &App, key: &str) -> Result<Self, RtmpError> {
        let address = server.addresses().rtmp.expect("RTMP is on");
        let client = Rtmp::connect(address, None, "live", &format!("rtmp://{address}/live")).await?;
        let mut publication = client.publish(key).await?;
        let small = Synthetic { width: 320, height: 180, gop: 15, bitrate_bps: 200_000, ..Synthetic::default() };
        let synth = Synth::new(small, SystemTime::now()).expect("the encoder starts");
        publication.write_video(0, &[&[0x17, 0, 0, 0, 0], &synth.video_description()[..]].concat()).await?;
        publication.write_audio(0, &[&[0xaf, 0], &synth.audio_description()[..]].concat()).await?;
        Ok(Self { synth, publication })
    }

    /// Sends `count` frames at once.
    async fn send(&mut self, count: usize) -> Result<(), RtmpError> {
        for _ in 0..count {
            let (_, due) = self.synth.next_due();
            let frame = self.synth.next(due).expect("a frame");
            let at_ms = u32::try_from(frame.pts_us / 1000).expect("a short test");
            match frame.track {
                Track::Video => {
                    let since = frame.captured.duration_since(UNIX_EPOCH).expect("after 1970");
                    let stamped = live::capture_sei::stamp_h264(since.as_micros() as i64, &frame.payload);
                    let kind = if frame.keyframe { 0x17 } else { 0x27 };
                    self.publication.write_video(at_ms, &[&[kind, 1, 0, 0, 0], &stamped[..]].concat()).await?;
                }
                Track::Audio => {
                    self.publication.write_audio(at_ms, &[&[0xaf, 1], &frame.payload[..]].concat()).await?;
                }
            }
        }
        Ok(())
    }
}

/// Waits until the broadcast is in `phase`.
async fn phase(app: &App, id: &str, phase: Phase) {
    let broadcast = app.services().directory.get(id).expect("the broadcast is here");
    let mut phases = broadcast.phases();
    let reached = phases.wait_for(|now| *now == phase);
    tokio::time::timeout(Duration::from_secs(10), reached).await.expect("in time").expect("the broadcast is held");
}

/// Waits until the API says so.
async fn state(client: &Client, id: &str, state: &str, interrupted: bool) -> Value {
    let path = format!("/api/v1/broadcasts/{id}");
    let reached = async {
        loop {
            let broadcast = client.get(&path).await.json();
            if broadcast["state"] == state && broadcast["interrupted"] == interrupted {
                return broadcast;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), reached).await.unwrap_or_else(|_| panic!("never {state}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_makes_a_broadcast_run_and_everyone_hears_of_it() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    let mut encoder = Encoder::connect(&server.app, &key).await.unwrap();
    encoder.send(60).await.unwrap();
    phase(&server.app, &id, Phase::Live).await;

    let broadcast = state(&ann, &id, "RUNNING", false).await;
    assert!(broadcast["started_at_ms"].as_i64().is_some());
    assert_eq!(broadcast["media"]["video"]["width"], 320);
    assert_eq!(broadcast["media"]["audio"]["rate"], 48_000);
    let listed = server.client().get("/api/v1/broadcasts").await.json();
    assert_eq!(listed["broadcasts"][0]["id"], id);

    let health = ann.get(&format!("/api/v1/broadcasts/{id}/health")).await.json();
    assert_eq!((&health["connected"], &health["capture"]), (&json!(true), &json!("device")));
    assert_eq!(health["b_frames"], false);

    let picture = server.client().get(&format!("/api/v1/broadcasts/{id}/thumbnail.jpg")).await;
    assert_eq!(picture.status, StatusCode::OK, "{}", picture.text());
    assert_eq!(picture.header("content-type"), "image/jpeg");
    assert_eq!(picture.body[..2], [0xff, 0xd8]);

    encoder.publication.finish().await.unwrap();
    state(&ann, &id, "RUNNING", true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_and_a_second_publisher_are_told_why() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (_, key) = server.broadcast(&ann).await;
    let wrong = format!("ok_{}", "x".repeat(32));
    for (key, words) in [("hello", "not known"), (wrong.as_str(), "not known")] {
        let error = Encoder::connect(&server.app, key).await.err().expect("refused").to_string();
        assert!(error.contains(words), "{error}");
    }
    let mut first = Encoder::connect(&server.app, &key).await.unwrap();
    let error = Encoder::connect(&server.app, &key).await.err().expect("refused").to_string();
    assert!(error.contains("Another encoder"), "{error}");
    first.send(10).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_resumes_within_the_grace_and_flv_goes_on() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    let mut encoder = Encoder::connect(&server.app, &key).await.unwrap();
    encoder.send(60).await.unwrap();
    phase(&server.app, &id, Phase::Live).await;

    let response = server.client().open(Method::GET, &format!("/live/{id}.flv"), None, Bytes::new()).await;
    assert_eq!(response.headers()["content-type"], "video/x-flv");
    let mut body = response.into_body();
    let first = body.frame().await.expect("bytes").unwrap().into_data().unwrap();
    assert_eq!(&first[..3], b"FLV");
    assert_eq!(server.app.services().pulls.count(&id), 1);

    // Dropped without a goodbye.
    drop(encoder);
    state(&ann, &id, "RUNNING", true).await;
    let mut encoder = Encoder::connect(&server.app, &key).await.unwrap();
    encoder.send(60).await.unwrap();
    state(&ann, &id, "RUNNING", false).await;

    let mut seen = 0;
    while seen < 20_000 {
        let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await.expect("the stream goes on");
        seen += frame.expect("not over").unwrap().into_data().unwrap().len();
    }
    let end = ann.post(&format!("/api/v1/broadcasts/{id}/end"), &Value::Null).await;
    assert_eq!(end.status, StatusCode::OK);
    let over = async { while body.frame().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(5), over).await.expect("the stream ends with the broadcast");
    let error = Encoder::connect(&server.app, &key).await.err().expect("refused").to_string();
    assert!(error.contains("ended"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_grace_a_polite_encoder_has_ended_and_a_lost_one_timed_out() {
    let server = Server::with(|config| config.broadcast.grace_s = 1).await;
    let ann = server.signed_in("ann").await;
    for (polite, expected) in [(true, "ENDED"), (false, "TIMED_OUT")] {
        let (id, key) = server.broadcast(&ann).await;
        let mut encoder = Encoder::connect(&server.app, &key).await.unwrap();
        encoder.send(30).await.unwrap();
        match polite {
            true => encoder.publication.finish().await.unwrap(),
            false => drop(encoder),
        }
        let broadcast = state(&ann, &id, expected, false).await;
        assert!(broadcast["started_at_ms"].as_i64() <= broadcast["ended_at_ms"].as_i64());
    }
    assert_eq!(server.client().get("/api/v1/broadcasts").await.json(), json!({"broadcasts": []}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_lets_the_same_key_resume_and_numbers_go_on() {
    let Server { app, dir } = Server::start().await;
    let running = Server { app, dir };
    let ann = running.signed_in("ann").await;
    let (id, key) = running.broadcast(&ann).await;
    let mut encoder = Encoder::connect(&running.app, &key).await.unwrap();
    encoder.send(90).await.unwrap();
    state(&ann, &id, "RUNNING", false).await;
    let before = running.app.services().directory.get(&id).unwrap().next_segment();
    let mut phases = running.app.services().directory.get(&id).unwrap().phases();
    let Server { app, dir } = running;
    let start = std::time::Instant::now();
    let leaves = async {
        let _ = phases.wait_for(|now| *now == Phase::Interrupted).await;
        drop(encoder);
    };
    tokio::join!(app.drain(), leaves);
    assert!(
        start.elapsed() < Duration::from_secs(2),
        "a publisher that leaves must not reopen a room that was drained"
    );

    let app = App::start(config(&dir)).await.unwrap();
    let again = Server { app, dir };
    let client = again.client();
    state(&client, &id, "RUNNING", true).await;
    assert!(again.app.services().directory.get(&id).unwrap().next_segment() >= before);
    let mut encoder = Encoder::connect(&again.app, &key).await.unwrap();
    encoder.send(30).await.unwrap();
    state(&client, &id, "RUNNING", false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hls_is_served_to_players_on_any_site() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    let mut encoder = Encoder::connect(&server.app, &key).await.unwrap();
    encoder.send(200).await.unwrap();
    phase(&server.app, &id, Phase::Live).await;
    let mut client = server.client();
    client.headers = vec![("origin", "https://elsewhere.example".into()), ("accept-encoding", "gzip".into())];
    let index = client.get(&format!("/hls/{id}/index.m3u8")).await;
    assert_eq!(index.status, StatusCode::OK, "{}", index.text());
    assert_eq!(index.header("content-type"), "application/vnd.apple.mpegurl");
    assert_eq!(index.header("access-control-allow-origin"), "*");
    assert_eq!(index.header("content-encoding"), "gzip");
    let wrong = client.get(&format!("/hls/{id}/media.m3u8?_HLS_part=1")).await;
    assert_eq!(wrong.problem(400, &format!("/hls/{id}/media.m3u8")), "/problems/malformed");
    assert_eq!(wrong.header("access-control-allow-origin"), "*");
    assert_eq!(server.app.services().pulls.count(&id), 0, "a mistaken request is no viewer");
    assert_eq!(client.get(&format!("/hls/{id}/media.m3u8")).await.status, StatusCode::OK);
    assert_eq!(server.app.services().pulls.count(&id), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_that_reads_nothing_is_closed_and_the_others_go_on() {
    let server = Server::with(|config| config.limits.write_timeout_s = 1).await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    let mut encoder = Encoder::connect(&server.app, &key).await.unwrap();
    encoder.send(30).await.unwrap();
    phase(&server.app, &id, Phase::Live).await;

    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    // As small as the kernel makes it, so that it is full soon.
    socket.set_recv_buffer_size(1).unwrap();
    let mut deaf = socket.connect(server.app.addresses().http).await.unwrap();
    let request = format!("GET /live/{id}.flv HTTP/1.1\r\nHost: x\r\n\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut deaf, request.as_bytes()).await.unwrap();
    let pulls = server.app.services().pulls.clone();
    let closed = async {
        let mut joined = false;
        loop {
            encoder.send(200).await.unwrap();
            joined |= pulls.count(&id) == 1;
            if joined && pulls.count(&id) == 0 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(40), closed).await.expect("the deaf viewer was closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_a_broadcast_in_progress_resumes_and_plays() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    let (_, other_key) = server.broadcast(&ann).await;
    let mut encoder = Encoder::connect(&server.app, &key).await.unwrap();
    encoder.send(30).await.unwrap();
    phase(&server.app, &id, Phase::Live).await;
    server.app.services().store.close().await;
    assert_eq!(server.client().get("/readyz").await.status, StatusCode::SERVICE_UNAVAILABLE);

    drop(encoder);
    phase(&server.app, &id, Phase::Interrupted).await;
    let mut encoder = Encoder::connect(&server.app, &key).await.expect("the key is remembered");
    encoder.send(30).await.unwrap();
    phase(&server.app, &id, Phase::Live).await;
    let response = server.client().open(Method::GET, &format!("/live/{id}.flv"), None, Bytes::new()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let path = "/api/v1/broadcasts";
    assert_eq!(server.client().get(path).await.problem(503, path), "/problems/unavailable");
    assert!(Encoder::connect(&server.app, &other_key).await.is_err(), "a key that was never seen cannot be checked");
}

#[tokio::test(flavor = "multi_thread")]
async fn flv_over_websocket_is_the_same_file_in_messages() {
    use futures::StreamExt as _;
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    let mut encoder = Encoder::connect(&server.app, &key).await.unwrap();
    encoder.send(30).await.unwrap();
    phase(&server.app, &id, Phase::Live).await;
    let stream = tokio::net::TcpStream::connect(server.host()).await.unwrap();
    let url = format!("ws://{}/live/{id}.flv", server.host());
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    let first = socket.next().await.expect("a message").unwrap().into_data();
    assert_eq!(&first[..3], b"FLV");
    ann.post(&format!("/api/v1/broadcasts/{id}/end"), &Value::Null).await;
    let closed = async {
        while let Some(Ok(message)) = socket.next().await {
            if let tokio_tungstenite::tungstenite::Message::Close(Some(close)) = message {
                return u16::from(close.code);
            }
        }
        0
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(5), closed).await.expect("in time"), 1000);
}
