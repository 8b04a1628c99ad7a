//! File, then environment, then flags. A key that does not exist is an error that names it and where it stands.

use std::path::{Path, PathBuf};

use ::config::{Environment, File, FileFormat};
use serde_json::Value;

use super::{Config, Listen};

/// The environment variables that are ours: `ORIEL__SECTION__KEY`.
pub const PREFIX: &str = "ORIEL__";

/// Why there is no configuration to run on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {file}: {source}")]
    Unreadable { file: String, source: std::io::Error },
    #[error("{file} is not TOML: {detail}")]
    Syntax { file: String, detail: String },
    #[error("unknown key {key} in {place}{}", suggest(suggestion))]
    UnknownKey { key: String, place: String, suggestion: Option<String> },
    #[error("{0}")]
    Value(String),
}

fn suggest(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|key| format!("; did you mean {key}?")).unwrap_or_default()
}

/// What the command line says, which wins over the environment and the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Overrides {
    /// Directory for everything that must survive a restart
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Address of the site and the API, "address:port" (QUIC uses the same number on UDP)
    #[arg(long, value_name = "ADDR")]
    pub http: Option<Listen>,
    /// Address of RTMP, "address:port" or "off"
    #[arg(long, value_name = "ADDR")]
    pub rtmp: Option<Listen>,
    /// Address of RTMPS, "address:port" or "off"
    #[arg(long, value_name = "ADDR")]
    pub rtmps: Option<Listen>,
    /// UDP address of WebRTC, "address:port" or "off"
    #[arg(long, value_name = "ADDR")]
    pub rtc: Option<Listen>,
    /// Address of SRT (UDP), "address:port" or "off"
    #[arg(long, value_name = "ADDR")]
    pub srt: Option<Listen>,
    /// Address of the Prometheus listener, "address:port" or "off"
    #[arg(long, value_name = "ADDR")]
    pub metrics: Option<Listen>,
    /// The URL that people type, when it is not the address of the request
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// What to log, for example "info,gateway=debug"
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
}

impl Overrides {
    fn apply(self, config: &mut Config) {
        fn set<T>(to: &mut T, from: Option<T>) {
            if let Some(value) = from {
                *to = value;
            }
        }
        set(&mut config.data_dir, self.data_dir);
        set(&mut config.http.listen, self.http);
        set(&mut config.rtmp.listen, self.rtmp);
        set(&mut config.rtmp.tls_listen, self.rtmps);
        set(&mut config.rtc.listen, self.rtc);
        set(&mut config.srt.listen, self.srt);
        set(&mut config.metrics.listen, self.metrics);
        set(&mut config.log.filter, self.log);
        if self.public_url.is_some() {
            config.http.public_url = self.public_url;
        }
    }
}

/// Loads the configuration. `environment` is the process's, handed in so that tests need not change it.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    flags: Overrides,
) -> Result<Config, Error> {
    let known = known_keys();
    let mut builder = ::config::Config::builder();
    if let Some(path) = file {
        let text = read(path)?;
        check_file(path, &text, &known)?;
        builder = builder.add_source(File::from_str(&text, FileFormat::Toml));
    }
    let variables: Vec<(String, String)> =
        environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    check_environment(&variables, &known)?;
    builder = builder.add_source(
        Environment::with_prefix("ORIEL")
            .separator("__")
            .try_parsing(true)
            .list_separator(",")
            .with_list_parse_key("http.trusted_proxies")
            .with_list_parse_key("rtc.public_addresses")
            .source(Some(variables.into_iter().collect())),
    );
    let place = file.map_or("the environment".to_owned(), |path| format!("{} or the environment", path.display()));
    let mut config: Config = builder
        .build()
        .and_then(::config::Config::try_deserialize)
        .map_err(|error| Error::Value(format!("{error} (in {place})")))?;
    flags.apply(&mut config);
    config.check().map_err(Error::Value)?;
    Ok(config)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Unreadable { file: path.display().to_string(), source })
}

fn check_file(path: &Path, text: &str, known: &[String]) -> Result<(), Error> {
    let file = path.display().to_string();
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| Error::Syntax { file: file.clone(), detail: error.to_string() })?;
    let value =
        serde_json::to_value(table).map_err(|error| Error::Syntax { file: file.clone(), detail: error.to_string() })?;
    for key in flatten(&value) {
        check_key(&key, &file, known)?;
    }
    Ok(())
}

fn check_environment(variables: &[(String, String)], known: &[String]) -> Result<(), Error> {
    for (name, _) in variables {
        let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
        check_key(&key, &format!("the environment variable {name}"), known)?;
    }
    Ok(())
}

fn check_key(key: &str, place: &str, known: &[String]) -> Result<(), Error> {
    if known.iter().any(|k| k == key) {
        return Ok(());
    }
    Err(Error::UnknownKey { key: key.into(), place: place.into(), suggestion: nearest(key, known) })
}

/// Every key as a dotted path, in the order of the struct.
pub fn known_keys() -> Vec<String> {
    let defaults = serde_json::to_value(Config::default()).expect("the defaults are plain data");
    flatten(&defaults)
}

/// The dotted paths of all leaves.
pub fn flatten(value: &Value) -> Vec<String> {
    fn walk(prefix: &str, value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                for (name, inner) in map {
                    let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    walk(&path, inner, into);
                }
            }
            _ => into.push(prefix.to_owned()),
        }
    }
    let mut keys = Vec::new();
    walk("", value, &mut keys);
    keys
}

/// The known key that a typing error away, if any: same last part, or at most three edits.
fn nearest(key: &str, known: &[String]) -> Option<String> {
    let last = key.rsplit('.').next().unwrap_or(key);
    known
        .iter()
        .map(|k| (edits(key, k), k))
        .filter(|(distance, k)| *distance <= 3 || k.rsplit('.').next() == Some(last))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k.clone())
}

/// Levenshtein distance.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
