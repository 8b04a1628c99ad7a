//! A real server in this process: free ports, a fresh directory, a real database; and a plain HTTP client.

#![expect(dead_code, reason = "each test file uses a part")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use server::config::Listen;
use server::{App, Config};
use tokio::net::TcpStream;

/// A directory that is removed at the end of the test.
pub struct TempDir(PathBuf);

impl TempDir {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("oriel-server-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("the temporary directory is writable");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The defaults on free loopback ports in `dir`, QUIC off (its port cannot be left to the system together with TCP's).
pub fn config(dir: &TempDir) -> Config {
    let mut config = Config { data_dir: dir.path().join("data"), ..Config::default() };
    config.http.listen = Listen::loopback(0);
    config.rtmp.listen = Listen::loopback(0);
    config.rtmp.tls_listen = Listen::loopback(0);
    config.srt.listen = Listen::loopback(0);
    config.metrics.listen = Listen::loopback(0);
    config.rtc.listen = Listen::loopback(0);
    config.moq.enabled = false;
    config
}

/// A running server and its directory.
pub struct Server {
    pub app: App,
    pub dir: TempDir,
}

impl Server {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = TempDir::new();
        let mut config = config(&dir);
        change(&mut config);
        let app = App::start(config).await.expect("the server starts");
        Self { app, dir }
    }

    pub fn host(&self) -> String {
        self.app.addresses().http.to_string()
    }

    pub fn client(&self) -> Client {
        Client { host: self.host(), cookie: None, headers: Vec::new() }
    }

    /// A client signed in to a new account.
    pub async fn signed_in(&self, name: &str) -> Client {
        let mut client = self.client();
        let answer = client.post("/api/v1/accounts", &json!({"name": name, "password": "long enough"})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        client.cookie = answer.cookie();
        client
    }

    /// A new broadcast of that client: id and stream key.
    pub async fn broadcast(&self, client: &Client) -> (String, String) {
        let answer = client.post("/api/v1/broadcasts", &json!({"title": "A test"})).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text());
        let created = answer.json();
        let text = |value: &Value| value.as_str().expect("a string").to_owned();
        (text(&created["broadcast"]["id"]), text(&created["stream_key"]))
    }
}

/// One connection a request; remembers its cookie.
#[derive(Clone)]
pub struct Client {
    pub host: String,
    pub cookie: Option<String>,
    pub headers: Vec<(&'static str, String)>,
}

/// An answer with its whole body.
pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The cookie pair that the answer sets.
    pub fn cookie(&self) -> Option<String> {
        let set = self.headers.get(header::SET_COOKIE)?.to_str().ok()?;
        set.split(';').next().map(str::to_owned)
    }

    /// Checks that this is a problem document for `path`, and gives its type.
    pub fn problem(&self, status: u16, path: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), "application/problem+json");
        let document = self.json();
        assert_eq!(document["status"], status);
        assert_eq!(document["instance"], path);
        for member in ["title", "detail"] {
            assert!(document[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {document}");
        }
        document["type"].as_str().expect("a type").to_owned()
    }
}

impl Client {
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, Bytes::new()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some("application/json"), body.to_string().into()).await
    }

    pub async fn send(&self, method: Method, path: &str, kind: Option<&str>, body: Bytes) -> Answer {
        let response = self.open(method, path, kind, body).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("the body ends").to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    /// The answer with its body still coming.
    pub async fn open(
        &self,
        method: Method,
        path: &str,
        kind: Option<&str>,
        body: Bytes,
    ) -> Response<hyper::body::Incoming> {
        let stream = TcpStream::connect(&self.host).await.expect("the server listens");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("it speaks HTTP");
        tokio::spawn(connection.with_upgrades());
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.host);
        if let Some(kind) = kind {
            request = request.header(header::CONTENT_TYPE, kind);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let request = request.body(Full::new(body)).expect("a request");
        sender.send_request(request).await.expect("an answer")
    }
}

/// Every byte of every file below `path`.
pub fn read_all(path: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path).expect("a directory").flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => all.extend(read_all(&path)),
            false => all.extend(std::fs::read(path).unwrap_or_default()),
        }
    }
    all
}

/// A TLS client that takes any certificate: tests meet self-signed ones only.
pub fn tls_client(protocols: &[&[u8]]) -> std::sync::Arc<rustls::ClientConfig> {
    let mut config = rustls::ClientConfig::builder_with_provider(server::tls::provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
        .dangerous()
        .with_custom_certificate_verifier(std::sync::Arc::new(Anyone))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    std::sync::Arc::new(config)
}

#[derive(Debug)]
struct Anyone;

mod verify {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};

    impl ServerCertVerifier for super::Anyone {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            server::tls::provider().signature_verification_algorithms.supported_schemes()
        }
    }
}
