//! RTMP on real sockets, against ffmpeg and against our own client.

#[path = "rtmp/harness.rs"]
mod harness;

use gateway::rtmp::client::{Client, Error as ClientError, session};
use gateway::rtmp::{Config, Error, Goodbye, MediaKind, Refusal, session as server_session};
use harness::*;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Far beyond what anything here takes; a test that hangs fails with it.
const LONG: Duration = Duration::from_secs(60);

async fn plays_what_ffmpeg_publishes(b_frames: u32) {
    let server = Server::start(Config::default()).await;
    let _publisher = ffmpeg_publisher(&server.publish_url("key"), b_frames);
    server.live().await;

    let packets = probe(&server.play_url("id"), 4).await;
    assert_eq!(server.broadcast.stats().b_frames, b_frames > 0);
    let streams: BTreeSet<_> = packets.iter().map(|packet| packet.stream).collect();
    assert_eq!(streams.len(), 2, "one video and one audio stream");
    for stream in streams {
        let packets: Vec<_> = packets.iter().filter(|packet| packet.stream == stream).collect();
        assert!(packets.len() > 60, "{} packets in 4 s", packets.len());
        assert!(packets.windows(2).all(|pair| pair[0].dts < pair[1].dts), "dts grows on stream {stream}");
        assert!(packets.iter().all(|packet| packet.pts >= packet.dts), "pts is at least dts on stream {stream}");
    }
    let reordered = packets.iter().any(|packet| packet.pts > packet.dts);
    assert_eq!(reordered, b_frames > 0, "b-frames keep their order");
}

#[tokio::test(flavor = "multi_thread")]
async fn ffprobe_plays_what_ffmpeg_publishes_without_b_frames() {
    plays_what_ffmpeg_publishes(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ffprobe_plays_what_ffmpeg_publishes_with_b_frames() {
    plays_what_ffmpeg_publishes(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_decodes_a_play_without_an_error_and_ends_with_the_broadcast() {
    let mut server = Server::start(Config::default()).await;
    let mut publisher = ffmpeg_publisher(&server.publish_url("key"), 2);
    server.live().await;
    let url = server.play_url("id");
    let player = tokio::spawn(async move { run("ffmpeg", &["-v", "warning", "-i", &url, "-f", "null", "-"]).await });
    server.watched().await;
    publisher.wait_for_seconds(3).await;
    publisher.quit().await;
    assert!(matches!(server.outcome().await, Outcome::Published(Ok(Goodbye::Said))), "ffmpeg says goodbye");
    server.broadcast.end();
    let output = player.await.expect("no panic");
    assert_eq!(output.stderr, "", "no warning and no error");
    assert!(output.success);
    assert!(matches!(server.outcome().await, Outcome::Played(Ok(()))));
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_prints_why_it_is_refused() {
    let server = Server::start(Config::default()).await;
    let wrong = run_publisher(&server.publish_url("wrong")).await;
    assert!(!wrong.success);
    assert!(wrong.stderr.contains(Refusal::BadKey.description()), "{}", wrong.stderr);

    let _first = ffmpeg_publisher(&server.publish_url("key"), 0);
    server.live().await;
    let second = run_publisher(&server.publish_url("key")).await;
    assert!(second.stderr.contains(Refusal::AlreadyLive.description()), "{}", second.stderr);

    let player = run("ffmpeg", &["-v", "error", "-i", &server.play_url("nothing"), "-f", "null", "-"]).await;
    assert!(player.stderr.contains(Refusal::NoSuchBroadcast.description()), "{}", player.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_prints_that_a_codec_is_not_carried() {
    let mut server = Server::start(Config::default()).await;
    let sine = ["-v", "error", "-re", "-f", "lavfi", "-i", "sine", "-t", "20", "-c:a", "libmp3lame"];
    let output = run("ffmpeg", &[&sine[..], &["-f", "flv", &server.publish_url("key")]].concat()).await;
    assert!(!output.success);
    assert!(output.stderr.contains("audio id 2 is not supported"), "{}", output.stderr);
    assert!(matches!(server.outcome().await, Outcome::Published(Err(Error::Media { .. }))));
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_publishes_and_our_client_plays_over_tls() {
    let (server, trust) = Server::start_tls(Config::default()).await;
    let _publisher = ffmpeg_publisher(&server.publish_url("key"), 0);
    server.live().await;
    let client = Client::connect(server.addr, Some(trust), "play", "rtmps://localhost/play").await.expect("trusted");
    let mut playback = client.play("id").await.expect("live");
    let mut kinds = Vec::new();
    while !(kinds.contains(&MediaKind::Audio) && kinds.contains(&MediaKind::Video)) {
        let media = timely(playback.next()).await.expect("sound").expect("not over");
        kinds.push(media.kind);
    }
    assert_eq!(kinds[0], MediaKind::Script, "metadata first");
}

#[tokio::test]
async fn a_client_that_speaks_plain_rtmp_to_the_tls_port_is_closed() {
    let (server, _) = Server::start_tls(Config::default()).await;
    let refused = Client::connect(server.addr, None, "live", "rtmp://localhost/live").await;
    assert!(matches!(refused, Err(ClientError::Io { .. } | ClientError::Closed { .. } | ClientError::Session { .. })));
}

#[tokio::test]
async fn our_client_publishes_and_plays_and_both_ways_of_leaving_are_told_apart() {
    let mut server = Server::start(Config::default()).await;
    let mut publication = server.publish().await;
    publication.send_audio(0..50).await.expect("accepted");
    let mut playback = server.play().await;
    let mut times = Vec::new();
    for index in 50..100 {
        publication.send_audio(index..index + 1).await.expect("accepted");
        while times.len() <= (index - 50) as usize {
            let media = timely(playback.next()).await.expect("sound").expect("not over");
            if media.kind == MediaKind::Audio && media.payload[1] == 1 {
                times.push(media.timestamp_ms);
            }
        }
    }
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    publication.inner.finish().await.expect("a clean end");
    assert!(matches!(server.outcome().await, Outcome::Published(Ok(Goodbye::Said))));

    let again = server.publish().await;
    drop(again);
    assert!(matches!(server.outcome().await, Outcome::Published(Ok(Goodbye::Dropped))), "the same key works again");
}

#[tokio::test]
async fn a_publisher_is_told_that_its_broadcast_has_ended() {
    let mut server = Server::start(Config::default()).await;
    let mut publication = server.publish().await;
    publication.send_audio(0..10).await.expect("accepted");
    server.broadcast.end();
    let refused = loop {
        if let Err(error) = publication.send_audio(10..11).await {
            break error;
        }
    };
    let ClientError::Session { source: session::Error::Refused { description, .. }, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!(description, Refusal::Ended.description());
    assert!(matches!(server.outcome().await, Outcome::Published(Err(Error::Media { .. }))));
}

#[tokio::test]
async fn half_a_handshake_is_closed_at_the_deadline() {
    let deadline = Duration::from_millis(150);
    let server = Server::start(Config { request_deadline: deadline, ..Config::default() }).await;
    for bytes in [&[][..], &[3], &[3; 1000], &[3; 1537]] {
        let mut idle = TcpStream::connect(server.addr).await.expect("listening");
        idle.write_all(bytes).await.expect("open");
        let mut answer = Vec::new();
        timely(idle.read_to_end(&mut answer)).await.expect("closed, not reset");
        assert_eq!(answer.len(), if bytes.len() == 1537 { 3073 } else { 0 });
    }
}

#[tokio::test]
async fn a_connection_that_breaks_a_limit_is_closed_and_the_broadcast_goes_on() {
    let mut server = Server::start(Config::default()).await;
    let mut publication = server.publish().await;
    publication.send_audio(0..10).await.expect("accepted");

    let hello = [&[3][..], &[0; 3072]].concat();
    let chunk_size = [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff];
    let message = [3, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0];
    for bad in [&chunk_size[..], &message, b"GET / HTTP/1.1\r\n\r\n"] {
        let mut peer = TcpStream::connect(server.addr).await.expect("listening");
        let bytes = if bad[0] == b'G' { bad.to_vec() } else { [&hello[..], bad].concat() };
        peer.write_all(&bytes).await.expect("open");
        let mut answer = Vec::new();
        // A reset says the same: there may be bytes that nobody read.
        let _ = timely(peer.read_to_end(&mut answer)).await;
        publication.send_audio(10..11).await.expect("the broadcast goes on");
    }
    publication.inner.finish().await.expect("a clean end");
    assert!(matches!(server.outcome().await, Outcome::Published(Ok(Goodbye::Said))));
}

#[tokio::test]
async fn an_accepted_publisher_that_breaks_a_limit_is_named() {
    let mut server = Server::start(Config::default()).await;
    let mut publication = server.publish().await;
    let huge = vec![0; (8 << 20) + 1];
    let _ = publication.inner.write_video(0, &huge).await;
    let Outcome::Published(Err(error)) = server.outcome().await else { panic!("an error") };
    let Error::Session { source: server_session::Error::Link(_), .. } = &error else { panic!("{error}") };
    assert!(error.to_string().contains("127.0.0.1:") && error.to_string().contains("8388608 are allowed"), "{error}");
}

#[tokio::test]
async fn an_address_has_a_limit_and_room_comes_back() {
    let server = Server::start(Config { connections_per_address: 3, ..Config::default() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(Client::connect(server.addr, None, "live", "").await.expect("room"));
    }
    assert!(Client::connect(server.addr, None, "live", "").await.is_err(), "the fourth is turned away");
    held.pop();
    let again = async {
        while Client::connect(server.addr, None, "live", "").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timely(again).await;
}

#[tokio::test]
async fn a_thousand_idle_connections_do_not_keep_a_publisher_out() {
    let config = Config { connections_per_address: 2000, pending_connections: 400, ..Config::default() };
    let server = Server::start(config).await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.2:0".parse().expect("an address")).expect("all of 127 is loopback");
        idle.push(socket.connect(server.addr).await.expect("listening"));
    }
    let mut publication = server.publish().await;
    publication.send_audio(0..10).await.expect("accepted");
    let mut last = idle.pop().expect("there are some");
    let mut answer = Vec::new();
    // The address has half of the room already, so its last one was closed at once.
    let _ = timely(last.read_to_end(&mut answer)).await;
    publication.send_audio(10..20).await.expect("the broadcast goes on");
}

#[tokio::test]
async fn a_silent_publisher_is_closed() {
    let idle = Duration::from_millis(100);
    let mut server = Server::start(Config { publisher_idle: idle, ..Config::default() }).await;
    let _publication = server.publish().await;
    let Outcome::Published(Err(error)) = server.outcome().await else { panic!("an error") };
    assert!(matches!(error, Error::Silent { .. }), "{error}");
}

#[tokio::test]
async fn a_player_that_reads_nothing_is_closed_and_the_others_see_nothing() {
    let config = Config {
        write_timeout: Duration::from_millis(300),
        player_send_buffer_bytes: Some(16 << 10),
        ..Config::default()
    };
    let mut server = Server::start(config).await;
    let mut publication = server.publish().await;
    publication.send_audio(0..10).await.expect("accepted");
    let stuck = server.play().await;
    let mut healthy = server.play().await;
    let (mut index, mut heard) = (10, 0);
    let error = loop {
        publication.send_loud(index).await.expect("accepted");
        index += 1;
        while heard < index - 10 {
            let media = timely(healthy.next()).await.expect("sound").expect("not over");
            heard += u32::from(media.kind == MediaKind::Audio && media.payload.len() > 1000);
        }
        if let Some(Outcome::Played(ended)) = server.outcome_now() {
            break ended.expect_err("the stuck one");
        }
    };
    assert!(matches!(error, Error::Stuck { .. }), "{error}");
    drop(stuck);
}

#[tokio::test]
async fn after_shutdown_nobody_is_let_in_and_those_inside_are_told() {
    let mut server = Server::start(Config::default()).await;
    let mut publication = server.publish().await;
    publication.send_audio(0..10).await.expect("accepted");
    let mut playback = server.play().await;
    server.shutdown.cancel();
    server.closed().await;
    assert!(Client::connect(server.addr, None, "live", "").await.is_err());
    publication.send_audio(10..20).await.expect("what runs goes on");
    server.requests.cancel();
    while let Some(media) = timely(playback.next()).await.expect("a clean end") {
        assert_ne!(media.payload.len(), 0);
    }
    assert!(matches!(server.outcome().await, Outcome::Published(Ok(Goodbye::Dropped)) | Outcome::Played(Ok(()))));
}

async fn timely<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, work).await.expect("in time")
}
