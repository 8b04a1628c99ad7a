//! The demonstration: an account, and a synthetic broadcast that comes in over RTMP like any other.

mod tags;
mod upload;

use std::path::Path;

use anyhow::Context as _;
use store::{NewBroadcast, Visibility};
use tokio_util::sync::CancellationToken;

use crate::account::name::check_password;
use crate::broadcast::names::{StreamKey, draw, new_id};
use crate::clock::now_ms;
use crate::services::{Services, Shared};

/// The account's name.
pub const NAME: &str = "demo";

const TITLE: &str = "The clock: read the delay off the picture";

/// Letters of the made-up password.
const LETTERS: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";

/// A synthetic broadcast in progress.
pub struct Demo {
    services: Shared,
    broadcast: String,
    password: String,
    stop: CancellationToken,
}

impl Demo {
    /// Makes account and broadcast and goes live.
    pub async fn start(services: Shared) -> anyhow::Result<Self> {
        let address = services.addresses.get().and_then(|addresses| addresses.rtmp).context("RTMP is off")?;
        let (owner, password) = account(&services).await?;
        let (broadcast, key) = announce(&services, &owner).await?;
        let stop = CancellationToken::new();
        let mut phases = services
            .directory
            .open(&broadcast, live::Settings::default())
            .context("the broadcast cannot be opened")?
            .phases();
        tokio::spawn(upload::run(upload::loopback(address), key, stop.clone()));
        // Live, not only on its way: the first picture is there.
        let live = phases.wait_for(|phase| *phase == live::Phase::Live);
        tokio::time::timeout(upload::PATIENCE, live).await.context("no picture came in time")??;
        Ok(Self { services, broadcast, password, stop })
    }

    pub fn broadcast(&self) -> &str {
        &self.broadcast
    }

    pub fn password(&self) -> &str {
        &self.password
    }

    /// Ends the broadcast for good: its next run makes another.
    pub fn stop(&self) {
        self.stop.cancel();
        self.services.registry.end(&self.broadcast);
    }
}

/// The demo account's id and password, kept beside the database for the next run on the same directory.
async fn account(services: &Services) -> anyhow::Result<(String, String)> {
    let path = services.config.data_dir.join("demo-password");
    if let Some((user, _)) = services.store.user_by_name(NAME).await? {
        let password = std::fs::read_to_string(&path).unwrap_or_else(|_| "the password it was made with".into());
        return Ok((user.id, password));
    }
    let password = draw(LETTERS, 12);
    check_password(&password)?;
    let hash = services.passwords.hash(password.clone()).await?;
    let user = services.store.create_user(NAME, &hash).await?;
    write_private(&path, &password).with_context(|| format!("cannot write {}", path.display()))?;
    Ok((user.id, password))
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

async fn announce(services: &Services, owner: &str) -> anyhow::Result<(String, StreamKey)> {
    let key = StreamKey::draw();
    let id = new_id();
    let new = NewBroadcast {
        id: id.clone(),
        owner: owner.to_owned(),
        title: TITLE.to_owned(),
        location: None,
        visibility: Visibility::Public,
        key_hash: key.hash(),
        created_ms: now_ms(),
    };
    services.store.create_broadcast(new).await?;
    Ok((id, key))
}
