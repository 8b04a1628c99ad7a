use std::io::Write as _;
use std::path::PathBuf;

use super::load::known_keys;
use super::*;

struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("oriel-config-{}-{name}.toml", std::process::id()));
        let mut file = std::fs::File::create(&path).expect("the temporary directory is writable");
        file.write_all(text.as_bytes()).expect("the file was just created");
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn without_sources_the_defaults_are_in_force() {
    assert_eq!(load(None, [], Overrides::default()).unwrap(), Config::default());
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = TempFile::new(
        "precedence",
        "[http]\nlisten = \"127.0.0.1:1\"\n[rtmp]\nlisten = \"127.0.0.1:2\"\n[hls]\npart_ms = 333\n",
    );
    let environment = env(&[
        ("ORIEL__HTTP__LISTEN", "127.0.0.1:3"),
        ("ORIEL__RTMP__LISTEN", "127.0.0.1:4"),
        ("ORIEL__LIMITS__BODY_BYTES", "1000"),
        ("ORIEL__HTTP__TRUSTED_PROXIES", "127.0.0.1,10.0.0.0/8"),
        ("ORIEL_OTHER", "not ours"),
    ]);
    let flags = Overrides { http: Some("127.0.0.1:5".parse().unwrap()), ..Overrides::default() };
    let config = load(Some(&file.0), environment, flags).unwrap();
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:5");
    assert_eq!(config.rtmp.listen.to_string(), "127.0.0.1:4");
    assert_eq!(config.hls.part_ms, 333);
    assert_eq!(config.limits.body_bytes, 1000);
    assert_eq!(config.http.trusted_proxies, ["127.0.0.1", "10.0.0.0/8"]);
    assert_eq!(config.metrics, Metrics::default());
}

#[test]
fn an_unknown_key_names_itself_and_its_file() {
    let file = TempFile::new("unknown", "[http]\nlisten_on = \"127.0.0.1:1\"\n");
    let error = load(Some(&file.0), [], Overrides::default()).unwrap_err().to_string();
    assert!(error.contains("http.listen_on"), "{error}");
    assert!(error.contains(&file.0.display().to_string()), "{error}");
    assert!(error.contains("did you mean http.listen?"), "{error}");
}

#[test]
fn an_unknown_variable_names_itself() {
    let error = load(None, env(&[("ORIEL__HTPP__LISTEN", "x")]), Overrides::default()).unwrap_err().to_string();
    assert!(error.contains("ORIEL__HTPP__LISTEN") && error.contains("htpp.listen"), "{error}");
}

#[test]
fn a_value_of_the_wrong_kind_names_its_key() {
    let error = load(None, env(&[("ORIEL__HLS__PART_MS", "soon")]), Overrides::default()).unwrap_err().to_string();
    assert!(error.contains("hls.part_ms"), "{error}");
    let error = load(None, env(&[("ORIEL__RTMP__LISTEN", "1935")]), Overrides::default()).unwrap_err().to_string();
    assert!(error.contains("rtmp.listen") && error.contains("address:port"), "{error}");
}

#[test]
fn contradictions_are_refused() {
    for (name, value, needle) in [
        ("ORIEL__TLS__CERT", "a.pem", "tls.key"),
        ("ORIEL__HTTP__LISTEN", "off", "http.listen"),
        ("ORIEL__HTTP__PUBLIC_URL", "https://a.example/path", "http.public_url"),
        ("ORIEL__HTTP__TRUSTED_PROXIES", "10.0.0.0/99", "http.trusted_proxies"),
        ("ORIEL__HLS__PART_MS", "10", "hls.part_ms"),
    ] {
        let error = load(None, env(&[(name, value)]), Overrides::default()).unwrap_err().to_string();
        assert!(error.contains(needle), "{name}: {error}");
    }
}

#[test]
fn every_key_is_described_once_and_none_is_invented() {
    let mut described: Vec<&str> = reference::KEYS.iter().map(|key| key.path).collect();
    let mut known = known_keys();
    described.sort_unstable();
    known.sort_unstable();
    assert_eq!(described, known);
}

#[test]
fn the_document_is_the_reference() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/ref/config.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == reference::document(),
        "docs/ref/config.md differs; regenerate it: cargo run --release --bin oriel -- config reference > docs/ref/config.md"
    );
}

#[test]
fn a_dump_reads_back_as_the_same_configuration() {
    let config = Config::default();
    let file = TempFile::new("dump", &toml::to_string(&config).unwrap());
    assert_eq!(load(Some(&file.0), [], Overrides::default()).unwrap(), config);
}
