//! What every HTTP client meets: problems, headers, the site, limits.

mod support;

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use support::Server;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn every_failure_is_a_problem_document() {
    let server = Server::start().await;
    let client = server.signed_in("ann").await;
    let large = Bytes::from(vec![b' '; 70_000]);
    let cases = [
        (Method::GET, "/api/v1/nothing", None, Bytes::new(), 404, "not-found"),
        (Method::GET, "/nothing.html", None, Bytes::new(), 404, "not-found"),
        (Method::POST, "/watch/abc", None, Bytes::new(), 404, "not-found"),
        (Method::GET, "/api/v1/broadcasts/abcdefghjkmnp", None, Bytes::new(), 404, "not-found"),
        (Method::GET, "/api/v1/broadcasts/No-Such-Id!", None, Bytes::new(), 404, "not-found"),
        (Method::GET, "/api/v1/broadcasts/abcdefghjkmnp/thumbnail.jpg", None, Bytes::new(), 404, "not-found"),
        (Method::GET, "/live/abcdefghjkmnp.flv", None, Bytes::new(), 404, "not-found"),
        (Method::GET, "/hls/abcdefghjkmnp/index.m3u8", None, Bytes::new(), 404, "not-found"),
        (Method::GET, "/api/v1/broadcasts/abcdefghjkmnp/room", None, Bytes::new(), 400, "malformed"),
        (Method::PUT, "/api/v1/session", Some("application/json"), Bytes::new(), 405, "method-not-allowed"),
        (Method::POST, "/api/v1/session", Some("application/json"), Bytes::from("{"), 400, "malformed"),
        (Method::POST, "/api/v1/session", Some("application/json"), Bytes::from("{}"), 422, "invalid"),
        (Method::POST, "/api/v1/session", Some("application/json"), large, 413, "too-large"),
        (Method::POST, "/api/v1/session", Some("text/plain"), Bytes::from("{}"), 415, "unsupported-media-type"),
    ];
    for (method, path, kind, body, status, name) in cases {
        let answer = client.send(method.clone(), path, kind, body).await;
        assert_eq!(answer.problem(status, path), format!("/problems/{name}"), "{method} {path}");
    }
    assert!(client.send(Method::PUT, "/api/v1/session", None, Bytes::new()).await.header("allow").contains("POST"));
}

#[tokio::test]
async fn the_site_is_served_under_a_policy_without_inline_code() {
    let server = Server::start().await;
    let client = server.client();
    for path in ["/", "/watch/abcdefghjkmnp", "/go", "/signin"] {
        let page = client.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(page.header("cache-control"), "no-cache");
        let policy = page.header("content-security-policy");
        assert!(policy.contains("default-src 'self'") && !policy.contains("unsafe-inline"), "{policy}");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "same-origin");
    }
    let page = client.get("/").await;
    let mut knowing = client.clone();
    knowing.headers = vec![("if-none-match", page.header("etag").to_owned())];
    assert_eq!(knowing.get("/").await.status, StatusCode::NOT_MODIFIED);
    // A built site has files whose names hold their hash; they never change.
    if let Some(asset) = page.text().split('"').find(|text| text.starts_with("/assets/")) {
        assert!(client.get(asset).await.header("cache-control").contains("immutable"), "{asset}");
    }
}

#[tokio::test]
async fn the_api_describes_itself_without_the_internet() {
    let server = Server::start().await;
    let client = server.client();
    let served = client.get("/api/openapi.json").await;
    assert_eq!(served.text(), server::api::openapi());
    let page = client.get("/api/docs").await;
    assert!(page.header("content-security-policy").contains("script-src 'self'"));
    for file in ["/api/docs/page.js", "/api/docs/page.css"] {
        assert!(page.text().contains(file));
        assert_eq!(client.get(file).await.status, StatusCode::OK);
    }
    for text in [page.text(), client.get("/api/docs/page.js").await.text()] {
        assert!(!text.contains("https://") && !text.contains("http://"), "nothing comes from elsewhere");
    }
}

#[tokio::test]
async fn health_readiness_time_and_metrics_answer() {
    let server = Server::start().await;
    let client = server.client();
    assert_eq!(client.get("/healthz").await.text(), "ok\n");
    assert_eq!(client.get("/readyz").await.text(), "ready\n");
    assert!(client.get("/api/v1/time").await.json()["now_ms"].as_i64().unwrap() > 1_700_000_000_000);
    let mut metrics = client.clone();
    metrics.host = server.app.addresses().metrics.unwrap().to_string();
    let text = metrics.get("/metrics").await.text();
    assert!(text.contains("# HELP oriel_http_request_seconds") && text.contains("oriel_http_connections"), "{text}");
    assert_eq!(client.get("/metrics").await.status, StatusCode::NOT_FOUND, "not on the public listener");
}

#[tokio::test]
async fn text_is_compressed_on_request() {
    let server = Server::start().await;
    let mut client = server.client();
    client.headers = vec![("accept-encoding", "gzip".into())];
    assert_eq!(client.get("/api/openapi.json").await.header("content-encoding"), "gzip");
}

/// Waits until the server closes; how long that took.
async fn closed(mut stream: TcpStream) -> Duration {
    let start = tokio::time::Instant::now();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the server kept the connection");
    start.elapsed()
}

#[tokio::test]
async fn connections_that_say_nothing_or_never_finish_are_closed() {
    let server = Server::with(|config| config.limits.header_timeout_s = 1).await;
    let silent = TcpStream::connect(server.host()).await.unwrap();
    let mut slow = TcpStream::connect(server.host()).await.unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let mut idle = TcpStream::connect(server.host()).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let (silent, slow, idle) = tokio::join!(closed(silent), closed(slow), closed(idle));
    for took in [silent, slow, idle] {
        assert!(took < Duration::from_secs(4), "{took:?}");
    }
}

#[tokio::test]
async fn an_address_has_a_limit_of_connections_and_gets_places_back() {
    let server = Server::with(|config| config.limits.http_connections_per_address = 2).await;
    let first = TcpStream::connect(server.host()).await.unwrap();
    let mut second = TcpStream::connect(server.host()).await.unwrap();
    // An answer on the second shows that both are counted.
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    second.read_u8().await.unwrap();
    let third = TcpStream::connect(server.host()).await.unwrap();
    assert!(closed(third).await < Duration::from_secs(2));
    drop((first, second));
    let client = server.client();
    let answered = async {
        loop {
            let mut probe = TcpStream::connect(server.host()).await.unwrap();
            probe.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            if probe.read_u8().await.is_ok() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), answered).await.expect("the places came back");
    assert_eq!(client.get("/healthz").await.status, StatusCode::OK);
}

#[tokio::test]
async fn https_speaks_http2_with_the_certificate_of_rtmps() {
    let server = Server::with(|config| config.http.tls = true).await;
    let tls = support::tls_client(&[b"h2"]);
    let stream = TcpStream::connect(server.host()).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(tls).connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, hyper_util::rt::TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://localhost/api/v1/session");
    let body = http_body_util::Empty::<Bytes>::new();
    let response = sender.send_request(request.body(body).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.headers().get("strict-transport-security").is_none(), "the certificate is self-signed");
}
