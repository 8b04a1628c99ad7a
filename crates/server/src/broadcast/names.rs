//! Broadcast ids and stream keys. They are drawn apart: nothing of a key can be derived from an id.

use rand::TryRng as _;
use rand::rngs::SysRng;
use sha2::{Digest as _, Sha256};

/// Letters and digits that nobody confuses when reading an id aloud.
const ID_ALPHABET: &[u8; 31] = b"abcdefghjkmnpqrstuvwxyz23456789";
const ID_LENGTH: usize = 13;

pub(crate) const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const KEY_PREFIX: &str = "ok_";
/// 190 bits.
const KEY_LENGTH: usize = 32;

/// A new broadcast id: 64 bits, so that unlisted broadcasts cannot be found by trying.
pub fn new_id() -> String {
    draw(ID_ALPHABET, ID_LENGTH)
}

/// Whether `text` can be a broadcast id at all.
pub fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|b| ID_ALPHABET.contains(&b))
}

/// The secret that lets an encoder publish. Shown once; never logged, never stored.
#[derive(Clone)]
pub struct StreamKey(String);

impl StreamKey {
    /// A new one.
    pub fn draw() -> Self {
        Self(format!("{KEY_PREFIX}{}", draw(BASE62, KEY_LENGTH)))
    }

    /// A key as an encoder sent it, when it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let secret = text.strip_prefix(KEY_PREFIX)?;
        let formed = secret.len() == KEY_LENGTH && secret.bytes().all(|b| b.is_ascii_alphanumeric());
        formed.then(|| Self(text.to_owned()))
    }

    /// What is stored: enough to recognise the key, useless to make it.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The key itself, for the one answer that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamKey(secret)")
    }
}

/// `length` letters, each equally likely.
pub(crate) fn draw(alphabet: &[u8], length: usize) -> String {
    // Bytes at or above the largest multiple are thrown away, else the first letters came more often.
    let fair = 256 - 256 % alphabet.len();
    let mut text = String::with_capacity(length);
    let mut bytes = [0; 64];
    while text.len() < length {
        SysRng.try_fill_bytes(&mut bytes).expect("the operating system has randomness");
        let letters = bytes.iter().filter(|b| usize::from(**b) < fair);
        text.extend(letters.map(|b| char::from(alphabet[usize::from(*b) % alphabet.len()])).take(length - text.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_form_and_differ() {
        let ids: std::collections::HashSet<String> = (0..1000).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| is_id(id)));
        assert!(!is_id("ABCDEFGHJKMNP") && !is_id("short") && !is_id("abcdefghjkmn1"));
    }

    #[test]
    fn keys_have_their_form_and_hide_in_debug() {
        let key = StreamKey::draw();
        assert_eq!(key.reveal().len(), 35);
        assert_eq!(StreamKey::parse(key.reveal()).unwrap().hash(), key.hash());
        assert!(!format!("{key:?}").contains(key.reveal()));
        assert!(StreamKey::parse("ok_short").is_none());
        assert!(StreamKey::parse(&format!("xx_{}", "a".repeat(32))).is_none());
    }

    #[test]
    fn every_letter_is_drawn() {
        let text = draw(ID_ALPHABET, 10_000);
        assert!(ID_ALPHABET.iter().all(|letter| text.contains(char::from(*letter))));
    }
}
