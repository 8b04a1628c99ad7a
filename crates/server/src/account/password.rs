//! Password hashing: argon2id, off the async threads, a bounded number at a time.

use std::sync::Arc;
use std::time::Instant;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;

use crate::problem::Problem;

/// Requests that may wait for a place; further ones are told to come back.
const WAITING: usize = 32;

/// Hashes and checks passwords. The parameters are argon2's defaults (19 MiB, 2 passes), OWASP's first choice.
#[derive(Clone)]
pub struct Passwords {
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    /// Checked when there is no such account, so that the answer takes as long.
    decoy: Arc<str>,
}

impl Passwords {
    /// At most `at_once` hashes computed at a time.
    pub fn new(at_once: usize) -> Self {
        let decoy =
            hash_now(crate::broadcast::names::StreamKey::draw().reveal()).expect("argon2 takes its own defaults");
        Self {
            running: Arc::new(Semaphore::new(at_once)),
            admitted: Arc::new(Semaphore::new(at_once + WAITING)),
            decoy: decoy.into(),
        }
    }

    /// The PHC string to store for `password`.
    pub async fn hash(&self, password: String) -> Result<String, Problem> {
        self.run(move || hash_now(&password)).await?.map_err(Problem::internal)
    }

    /// Whether `password` is the one of `stored`; with `None` the answer is no and takes as long.
    pub async fn verify(&self, password: String, stored: Option<String>) -> Result<bool, Problem> {
        let exists = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.to_string());
        let matches = self
            .run(move || {
                PasswordHash::new(&stored)
                    .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
            })
            .await?;
        Ok(matches && exists)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
        let started = Instant::now();
        let _admitted = self
            .admitted
            .try_acquire()
            .map_err(|_| Problem::Unavailable("too many people sign in at this moment; try again".into()))?;
        let _place = self.running.acquire().await.map_err(Problem::internal)?;
        let done = tokio::task::spawn_blocking(work).await.map_err(Problem::internal)?;
        metrics::histogram!("oriel_password_hash_seconds").record(started.elapsed().as_secs_f64());
        Ok(done)
    }
}

fn hash_now(password: &str) -> Result<String, argon2::password_hash::Error> {
    Ok(Argon2::default().hash_password(password.as_bytes())?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_recognised_and_others_are_not() {
        let passwords = Passwords::new(1);
        let stored = passwords.hash("correct horse".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(!stored.contains("correct"));
        assert!(passwords.verify("correct horse".into(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("wrong horse".into(), Some(stored)).await.unwrap());
        assert!(!passwords.verify("correct horse".into(), None).await.unwrap());
    }
}
