//! SRT by ffmpeg (libsrt), on a clean way and on one that loses packets.

mod support;
#[path = "support/tools.rs"]
mod tools;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use live::Phase;
use support::Server;
use tokio::net::UdpSocket;
use tools::{AAC, H264, PICTURE, TONE, ffmpeg, interrupt, probe, wait};

/// A way with a delay that loses one datagram in `one_in`, both ways.
struct Way {
    address: SocketAddr,
}

impl Way {
    async fn to(server: SocketAddr, one_in: u64, delay: Duration) -> Self {
        let front = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let address = front.local_addr().unwrap();
        tokio::spawn(async move {
            let mut callers: HashMap<SocketAddr, Arc<UdpSocket>> = HashMap::new();
            let mut buffer = [0; 2048];
            let mut dice = Dice { state: 1, one_in };
            while let Ok((size, caller)) = front.recv_from(&mut buffer).await {
                if let Entry::Vacant(entry) = callers.entry(caller) {
                    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                    back.connect(server).await.unwrap();
                    entry.insert(back.clone());
                    tokio::spawn(Self::answers(back, front.clone(), caller, one_in, delay));
                }
                if dice.lost() {
                    continue;
                }
                let (back, datagram) = (callers[&caller].clone(), buffer[..size].to_vec());
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    let _ = back.send(&datagram).await;
                });
            }
        });
        Self { address }
    }

    async fn answers(back: Arc<UdpSocket>, front: Arc<UdpSocket>, caller: SocketAddr, one_in: u64, delay: Duration) {
        let mut buffer = [0; 2048];
        let mut dice = Dice { state: 2, one_in };
        while let Ok(size) = back.recv(&mut buffer).await {
            if dice.lost() {
                continue;
            }
            let (front, datagram) = (front.clone(), buffer[..size].to_vec());
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = front.send_to(&datagram, caller).await;
            });
        }
    }
}

/// The same throws in every run.
struct Dice {
    state: u64,
    one_in: u64,
}

impl Dice {
    fn lost(&mut self) -> bool {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.one_in != 0 && (self.state >> 33).is_multiple_of(self.one_in)
    }
}

async fn phase(server: &Server, id: &str, phase: Phase) {
    let reached = async {
        loop {
            if let Some(broadcast) = server.app.services().directory.get(id) {
                broadcast.phases().wait_for(|now| *now == phase).await.expect("the broadcast is held");
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(tools::PATIENCE, reached).await.unwrap_or_else(|_| panic!("never {phase:?}"));
}

/// ffmpeg sends `options` of SRT; HTTP-FLV plays `seconds` of it.
async fn plays(server: &Server, address: SocketAddr, options: &str, seconds: u32) -> tools::Probe {
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    let url = format!("srt://{address}?{options}&streamid={key}");
    let encoder = ffmpeg(&[PICTURE, TONE, H264, AAC, &["-f", "mpegts", &url]]);
    phase(server, &id, Phase::Live).await;
    let flv = probe(&format!("http://{}/live/{id}.flv", server.host()), seconds).await;
    flv.check_order();
    assert_eq!((flv.codecs("video"), flv.codecs("audio")), (vec!["h264"], vec!["aac"]));
    interrupt(encoder).await;
    phase(server, &id, Phase::Interrupted).await;
    flv
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_publishes_by_srt() {
    let server = Server::start().await;
    let address = server.app.addresses().srt.expect("SRT is on");
    let flv = plays(&server, address, "pkt_size=1316", 2).await;
    assert!(flv.packets("video").len() >= 45);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_every_twentieth_packet_lost_and_100_ms_there_and_back_no_picture_is() {
    let server = Server::with(|config| {
        config.srt.passphrase = Some("correct horse battery".into());
        config.srt.latency_ms = 800;
    })
    .await;
    let address = server.app.addresses().srt.expect("SRT is on");
    let way = Way::to(address, 20, Duration::from_millis(50)).await;
    let flv = plays(&server, way.address, "passphrase=correct horse battery&pkt_size=1316", 10).await;
    let gaps = |packets: &[tools::Packet], longest: f64| {
        packets.windows(2).filter(|pair| pair[1].dts - pair[0].dts > longest).count()
    };
    let (video, audio) = (flv.packets("video"), flv.packets("audio"));
    assert!(video.len() >= 290, "{} pictures in 10 s", video.len());
    assert_eq!((gaps(&video, 0.05), gaps(&audio, 0.05)), (0, 0), "gaps in picture, in sound");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_length_of_key_is_taken() {
    let server = Server::with(|config| config.srt.passphrase = Some("correct horse battery".into())).await;
    let address = server.app.addresses().srt.expect("SRT is on");
    for (name, length) in [("ann", 24), ("bea", 32)] {
        let ann = server.signed_in(name).await;
        let (id, key) = server.broadcast(&ann).await;
        let url = format!("srt://{address}?passphrase=correct horse battery&pbkeylen={length}&streamid={key}");
        let encoder = ffmpeg(&[PICTURE, H264, &["-f", "mpegts", &url]]);
        phase(&server, &id, Phase::Live).await;
        interrupt(encoder).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_publish_is_turned_away_in_the_handshake_and_the_door_stays_open() {
    let server = Server::with(|config| config.srt.passphrase = Some("correct horse battery".into())).await;
    let address = server.app.addresses().srt.expect("SRT is on");
    let ann = server.signed_in("ann").await;
    let (_, key) = server.broadcast(&ann).await;
    let wrong = format!("ok_{}", "x".repeat(32));
    for options in [
        format!("passphrase=correct horse battery&streamid={wrong}"),
        "passphrase=correct horse battery".to_owned(),
        format!("passphrase=another battery staple&streamid={key}"),
        format!("streamid={key}"),
    ] {
        let url = format!("srt://{address}?{options}");
        let refused = wait(ffmpeg(&[PICTURE, H264, &["-f", "mpegts", &url]])).await;
        assert!(!refused.status.success(), "{options}");
    }
    let (id, key) = server.broadcast(&ann).await;
    let url = format!("srt://{address}?passphrase=correct horse battery&streamid=#!::m=publish,r={id},s={key}");
    let encoder = ffmpeg(&[PICTURE, H264, &["-f", "mpegts", &url]]);
    phase(&server, &id, Phase::Live).await;
    drop(encoder);
}
