//! Recording and replay on a real server: ffmpeg publishes by RTMP, ffprobe and ffmpeg watch what is left of it.

mod support;

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

/// Publishes `seconds` of picture and tone in real time, as an encoder does, and says goodbye.
async fn publish(server: &Server, key: &str, seconds: u32, size: &str, bframes: u32) {
    let address = server.app.addresses().rtmp.expect("RTMP is on");
    let picture = format!("testsrc2=s={size}:r=30");
    let (seconds, bframes) = (seconds.to_string(), bframes.to_string());
    let mut command = tokio::process::Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-re", "-f", "lavfi", "-i", &picture]);
    command.args(["-re", "-f", "lavfi", "-i", "sine=f=440:r=48000", "-t", &seconds]);
    command.args(["-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-bf", &bframes, "-c:a", "aac", "-f", "flv"]);
    command.arg(format!("rtmp://{address}/live/{key}")).stdin(Stdio::null());
    let output = command.kill_on_drop(true).output().await.expect("ffmpeg is needed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Ends the broadcast and waits until its replay is whole.
async fn end(client: &Client, id: &str) -> Value {
    let ended = client.post(&format!("/api/v1/broadcasts/{id}/end"), &Value::Null).await;
    assert_eq!(ended.status, StatusCode::OK, "{}", ended.text());
    ready(client, id).await
}

async fn ready(client: &Client, id: &str) -> Value {
    let path = format!("/api/v1/replays/{id}");
    let whole = async {
        loop {
            let answer = client.get(&path).await;
            if answer.status == StatusCode::OK && answer.json()["recording"] == false {
                return answer.json();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), whole).await.expect("the replay becomes whole")
}

async fn run(program: &'static str, arguments: &[&str]) -> Output {
    let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let work = move || Command::new(program).args(arguments).stdin(Stdio::null()).output().expect("ffmpeg is needed");
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

/// Decodes all of `url`, from `from_s` if that is given: frames of video and audio, and whatever ffmpeg complained about.
async fn decode(url: &str, from_s: &str) -> (usize, usize, String) {
    let mut arguments = vec!["-v", "error", "-ss", from_s, "-i", url, "-map", "0", "-f", "framemd5", "-"];
    if from_s.is_empty() {
        arguments.drain(2..4);
    }
    let output = run("ffmpeg", &arguments).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let of = |stream: &str| text.lines().filter(|line| line.starts_with(stream)).count();
    (of("0,"), of("1,"), said)
}

/// Decode times of one stream as ffprobe reads them, in its ticks.
async fn stamps(url: &str, stream: &str) -> Vec<i64> {
    let arguments = ["-v", "error", "-select_streams", stream, "-show_entries", "packet=dts", "-of", "csv=p=0", url];
    let output = run("ffprobe", &arguments).await;
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{url}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect()
}

fn rises(stamps: &[i64]) -> bool {
    stamps.windows(2).all(|pair| pair[0] < pair[1])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_can_be_watched_again_whole() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    publish(&server, &key, 6, "320x180", 2).await;
    let replay = end(&ann, &id).await;
    assert_eq!((&replay["visibility"], &replay["lost_ms"]), (&json!("public"), &json!(0)));
    let duration_ms = replay["duration_ms"].as_i64().expect("a number");
    assert!((5_900..6_400).contains(&duration_ms), "{replay}");

    let base = format!("http://{}/replay/{id}", server.host());
    let client = server.client();
    let list = client.get(&format!("/replay/{id}/media.m3u8")).await;
    assert_eq!(list.header("content-type"), "application/vnd.apple.mpegurl");
    let text = list.text();
    assert!(text.contains("#EXT-X-PLAYLIST-TYPE:VOD") && text.ends_with("#EXT-X-ENDLIST\n"), "{text}");
    assert!(!text.contains("#EXT-X-DISCONTINUITY"), "{text}");

    for url in [format!("{base}/index.m3u8"), format!("{base}.mp4")] {
        let (video, audio, said) = decode(&url, "").await;
        assert_eq!((video, said.as_str()), (180, ""), "{url}");
        assert!((279..=284).contains(&audio), "{url}: {audio} audio frames");
        for stream in ["v", "a"] {
            assert!(rises(&stamps(&url, stream).await), "{url} {stream}");
        }
    }
    // Only the file: ffmpeg 5.1 gives nothing after a seek in fMP4 by HLS, its own lists too. A browser does it elsewhere.
    let (video, _, said) = decode(&format!("{base}.mp4"), "3.5").await;
    assert!((60..=90).contains(&video) && said.is_empty(), "{video} frames after a seek: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn any_range_of_a_download_can_be_had() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    publish(&server, &key, 3, "320x180", 0).await;
    end(&ann, &id).await;
    let path = format!("/replay/{id}.mp4");
    let whole = server.client().get(&path).await;
    assert_eq!(whole.header("content-length"), whole.body.len().to_string());
    assert_eq!((whole.header("accept-ranges"), whole.header("access-control-allow-origin")), ("bytes", "*"));
    let size = whole.body.len();
    for (from, to) in [(0, 0), (1, 3000), (size / 3, size / 2), (size - 1, size - 1), (0, size - 1)] {
        let mut client = server.client();
        client.headers = vec![("range", format!("bytes={from}-{to}")), ("if-range", whole.header("etag").to_owned())];
        let part = client.get(&path).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(part.header("content-range"), format!("bytes {from}-{to}/{size}"));
        assert!(part.body == whole.body[from..=to], "{from}-{to}");
    }
    let mut client = server.client();
    client.headers = vec![("range", format!("bytes={size}-"))];
    assert_eq!(client.get(&path).await.status, StatusCode::RANGE_NOT_SATISFIABLE);
    client.headers = vec![("range", "bytes=0-9".into()), ("if-range", "\"other\"".into())];
    assert_eq!(client.get(&path).await.status, StatusCode::OK);
    client.headers = vec![("if-none-match", whole.header("etag").to_owned())];
    assert_eq!(client.get(&path).await.status, StatusCode::NOT_MODIFIED);
    let head = server.client().send(Method::HEAD, &path, None, bytes::Bytes::new()).await;
    assert_eq!((head.header("content-length"), head.body.len()), (whole.header("content-length"), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_drops_three_times_leaves_one_replay_without_a_lost_frame() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    // The third in another format: a new init segment, and another sample description in the file.
    for size in ["320x180", "320x180", "640x360", "320x180"] {
        publish(&server, &key, 2, size, 2).await;
    }
    let replay = end(&ann, &id).await;
    let duration_ms = replay["duration_ms"].as_i64().expect("a number");
    assert!((7_900..9_200).contains(&duration_ms), "the breaks are left out: {replay}");
    let list = server.client().get(&format!("/replay/{id}/media.m3u8")).await.text();
    assert_eq!(list.matches("#EXT-X-DISCONTINUITY\n").count(), 3, "{list}");
    assert_eq!(list.matches("#EXT-X-MAP").count(), 4, "{list}");
    let inits: std::collections::HashSet<&str> = list.lines().filter(|line| line.contains("EXT-X-MAP")).collect();
    assert_eq!(inits.len(), 2, "{list}");

    let url = format!("http://{}/replay/{id}.mp4", server.host());
    let (video, audio, said) = decode(&url, "").await;
    assert_eq!((video, said.as_str()), (240, ""));
    assert!((360..=390).contains(&audio), "{audio} audio frames");
    for stream in ["v", "a"] {
        assert!(rises(&stamps(&url, stream).await), "{stream}");
    }
    let url = format!("http://{}/replay/{id}/index.m3u8", server.host());
    assert_eq!(stamps(&url, "v").await.len(), 240);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_watched_listed_hidden_and_deleted_as_its_owner_says() {
    let server = Server::start().await;
    let (ann, bob) = (server.signed_in("ann").await, server.signed_in("bob").await);
    let made = ann.post("/api/v1/broadcasts", &json!({"title": "A test", "replay": "private"})).await.json();
    let (id, key) =
        (made["broadcast"]["id"].as_str().unwrap().to_owned(), made["stream_key"].as_str().unwrap().to_owned());
    publish(&server, &key, 2, "320x180", 0).await;
    end(&ann, &id).await;
    let (api, media) = (format!("/api/v1/replays/{id}"), format!("/replay/{id}/media.m3u8"));
    for path in [&api, &media, &format!("{api}/comments"), &format!("/replay/{id}.mp4")] {
        assert_eq!(bob.get(path).await.problem(404, path), "/problems/not-found");
        assert_eq!(ann.get(path).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(ann.get(&media).await.header("cache-control"), "private, no-cache");
    assert_eq!(server.client().get("/api/v1/replays").await.json(), json!({"replays": []}));
    assert_eq!(ann.get("/api/v1/replays/mine").await.json()["replays"][0]["id"], id);

    let public = json!({"visibility": "public"}).to_string();
    let put = |client: Client| {
        let (api, public) = (api.clone(), public.clone());
        async move { client.send(Method::PUT, &api, Some("application/json"), public.into()).await }
    };
    assert_eq!(put(bob.clone()).await.problem(404, &api), "/problems/not-found");
    assert_eq!(put(ann.clone()).await.json()["visibility"], "public");
    assert_eq!(put(bob.clone()).await.problem(403, &api), "/problems/forbidden");
    assert_eq!(bob.get(&media).await.status, StatusCode::OK);
    assert_eq!(server.client().get("/api/v1/replays").await.json()["replays"][0]["title"], "A test");

    let delete = |client: Client| {
        let api = api.clone();
        async move { client.send(Method::DELETE, &api, None, bytes::Bytes::new()).await }
    };
    assert_eq!(delete(bob).await.problem(403, &api), "/problems/forbidden");
    let folder = server.dir.path().join("data/replays").join(&id);
    assert!(folder.exists());
    assert_eq!(delete(ann.clone()).await.status, StatusCode::NO_CONTENT);
    assert!(!folder.exists(), "its media is gone too");
    for path in [&api, &media] {
        assert_eq!(ann.get(path).await.problem(404, path), "/problems/not-found");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_has_a_picture_for_those_who_may_watch_it() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    publish(&server, &key, 3, "1280x720", 2).await;
    let replay = end(&ann, &id).await;
    let path = format!("/api/v1/replays/{id}/picture.jpg");
    let site = format!("http://{}", server.host());
    assert_eq!(replay["urls"]["picture"], format!("{site}{path}"));
    let client = server.client();
    let picture = client.get(&path).await;
    assert_eq!((picture.status, picture.header("content-type")), (StatusCode::OK, "image/jpeg"));
    assert!(picture.header("cache-control").starts_with("public"));
    assert!(picture.body.starts_with(b"\xff\xd8") && picture.body.ends_with(b"\xff\xd9"));
    assert!(client.get(&path).await.body == picture.body);

    let page = client.get(&format!("/watch/{id}")).await.text();
    assert!(page.contains(&format!("<meta property=\"og:image\" content=\"{site}{path}\" />")), "{page}");
    let embedding = client.get(&format!("/api/v1/oembed?url={site}/watch/{id}")).await.json();
    assert_eq!(embedding["thumbnail_url"], format!("{site}{path}"));
    assert_eq!((&embedding["thumbnail_width"], &embedding["thumbnail_height"]), (&json!(640), &json!(360)));

    let private = json!({"visibility": "private"}).to_string();
    let api = format!("/api/v1/replays/{id}");
    ann.send(Method::PUT, &api, Some("application/json"), private.into()).await;
    assert_eq!(client.get(&path).await.problem(404, &path), "/problems/not-found");
    assert!(ann.get(&path).await.header("cache-control").starts_with("private"));
    assert!(!client.get(&format!("/watch/{id}")).await.text().contains("og:image"));
}

#[tokio::test]
async fn a_wrong_query_is_named_in_a_problem_document() {
    let server = Server::start().await;
    for query in ["before_ms=x", "nonsense=1"] {
        let answer = server.client().get(&format!("/api/v1/replays?{query}")).await;
        assert_eq!(answer.problem(400, "/api/v1/replays"), "/problems/malformed", "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_of_a_live_broadcast_can_go_back_in_it() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let made = ann.post("/api/v1/broadcasts", &json!({"title": "A test", "replay": "private"})).await.json();
    let (id, key) =
        (made["broadcast"]["id"].as_str().unwrap().to_owned(), made["stream_key"].as_str().unwrap().to_owned());
    let path = format!("/replay/{id}/dvr.m3u8");
    let guest = server.client();
    let grown = async {
        loop {
            let answer = guest.get(&path).await;
            if answer.status == StatusCode::OK && answer.text().matches("#EXTINF").count() >= 3 {
                return answer.text();
            }
            tokio::task::yield_now().await;
        }
    };
    let said = async {
        let list = grown.await;
        (list, guest.get(&format!("/api/v1/broadcasts/{id}")).await.json())
    };
    let ((list, broadcast), ()) = tokio::join!(said, publish(&server, &key, 5, "320x180", 0));
    assert_eq!(broadcast["urls"]["dvr"], format!("http://{}{path}", server.host()));
    assert!(list.contains("#EXT-X-MEDIA-SEQUENCE:0\n") && !list.contains("ENDLIST"), "{list}");
    let segment = list.lines().find(|line| line.starts_with("seg-")).expect("a segment");
    assert_eq!(guest.get(&format!("/replay/{id}/{segment}")).await.status, StatusCode::OK);
    assert_eq!(guest.get(&format!("/replay/{id}/media.m3u8")).await.status, StatusCode::NOT_FOUND);
    end(&ann, &id).await;
    assert!(guest.get(&format!("/api/v1/broadcasts/{id}")).await.json()["urls"]["dvr"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_recorded_that_nobody_wants() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let made = ann.post("/api/v1/broadcasts", &json!({"title": "A test", "replay": "off"})).await.json();
    let (id, key) =
        (made["broadcast"]["id"].as_str().unwrap().to_owned(), made["stream_key"].as_str().unwrap().to_owned());
    publish(&server, &key, 2, "320x180", 0).await;
    let api = format!("/api/v1/replays/{id}");
    assert_eq!(ann.get(&api).await.problem(404, &api), "/problems/not-found");
    assert!(!server.dir.path().join("data/replays").join(&id).exists());
    assert!(!server.dir.path().join("data/recording").join(&id).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_be_written_does_not_disturb_the_broadcast() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&ann).await;
    // A file where the directory of the recording must be.
    std::fs::write(server.dir.path().join("data/recording"), "").expect("the directory is writable");
    publish(&server, &key, 3, "320x180", 0).await;
    let list = server.client().get(&format!("/hls/{id}/media-plain.m3u8")).await;
    assert!(list.text().contains("seg-"), "{}", list.text());
    let ended = ann.post(&format!("/api/v1/broadcasts/{id}/end"), &Value::Null).await;
    assert_eq!(ended.status, StatusCode::OK);
}
