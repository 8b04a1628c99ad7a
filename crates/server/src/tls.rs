//! The certificate: the operator's files, read again when they change, or a self-signed one for development.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// How often the files are looked at: certificates are renewed weeks before they expire.
const LOOK: Duration = Duration::from_secs(60);

/// Where the certificate is, and whether browsers can be expected to trust it.
#[derive(Clone, Debug)]
pub struct Files {
    pub cert: PathBuf,
    pub key: PathBuf,
    pub self_signed: bool,
}

/// The certificate in force.
#[derive(Debug)]
pub struct Certificate {
    files: Files,
    current: RwLock<Arc<CertifiedKey>>,
}

/// The certificate's files: the configured ones, else self-signed ones in the data directory, made now when missing.
pub fn files(config: &Config) -> anyhow::Result<Files> {
    if let (Some(cert), Some(key)) = (&config.tls.cert, &config.tls.key) {
        return Ok(Files { cert: cert.clone(), key: key.clone(), self_signed: false });
    }
    let folder = config.data_dir.join("tls");
    let files = Files { cert: folder.join("self-signed.crt"), key: folder.join("self-signed.key"), self_signed: true };
    if !files.cert.exists() || !files.key.exists() {
        make(&files, names(config))
            .with_context(|| format!("make a self-signed certificate in {}", folder.display()))?;
    }
    Ok(files)
}

/// The names a self-signed certificate is for.
pub fn names(config: &Config) -> Vec<String> {
    let public = config.http.public_url.as_ref().and_then(|url| url.parse::<http::Uri>().ok());
    let public = public.and_then(|uri| uri.host().map(|host| host.trim_matches(['[', ']']).to_owned()));
    let local = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    local.into_iter().chain(public).chain(config.rtmp.public_host.clone()).collect()
}

fn make(files: &Files, names: Vec<String>) -> anyhow::Result<()> {
    let made = rcgen::generate_simple_self_signed(names)?;
    let folder = files.key.parent().context("the key has a directory")?;
    std::fs::create_dir_all(folder)?;
    write_private(&files.key, &made.signing_key.serialize_pem())?;
    std::fs::write(&files.cert, made.cert.pem())?;
    Ok(())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

impl Certificate {
    pub fn load(files: Files) -> anyhow::Result<Arc<Self>> {
        let current = RwLock::new(Arc::new(read(&files)?));
        Ok(Arc::new(Self { files, current }))
    }

    /// A TLS server that presents it and speaks `protocols` (ALPN).
    pub fn server(self: &Arc<Self>, protocols: &[&str]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has the default versions")
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// Reads the files again whenever they change, until `stop`.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut known = self.changed();
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            let changed = self.changed();
            if changed == known {
                continue;
            }
            match read(&self.files) {
                Ok(key) => {
                    *self.current.write().expect("no panic happens under this lock") = Arc::new(key);
                    known = changed;
                    tracing::info!(cert = %self.files.cert.display(), "certificate read again");
                }
                // Perhaps half written: the old one stays in force and the next look tries again.
                Err(error) => tracing::warn!(error = format!("{error:#}"), "certificate not usable, the old one stays"),
            }
        }
    }

    fn changed(&self) -> [Option<SystemTime>; 2] {
        [&self.files.cert, &self.files.key].map(|path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok())
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().expect("no panic happens under this lock").clone())
    }
}

/// The one cryptography provider of this process.
pub fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn read(files: &Files) -> anyhow::Result<CertifiedKey> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .with_context(|| format!("read certificate {}", files.cert.display()))?;
    ensure!(!chain.is_empty(), "{} holds no certificate", files.cert.display());
    let key = PrivateKeyDer::from_pem_file(&files.key).with_context(|| format!("read key {}", files.key.display()))?;
    CertifiedKey::from_der(chain, key, &provider())
        .with_context(|| format!("{} and {} do not fit together", files.cert.display(), files.key.display()))
}
