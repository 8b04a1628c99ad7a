//! The session cookie. The browser holds a random token; the server remembers only its SHA-256.
//!
//! ```text
//! oriel_session = <43 letters and digits, 256 bits> "-" <when it was made, seconds since 1970>
//! ```
//! The time is there to renew old tokens. It needs no signature: the hash covers it.

use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest as _, Sha256};

use crate::broadcast::names::{BASE62, draw};

pub const NAME: &str = "oriel_session";

const LENGTH: usize = 43;

/// The secret in the cookie.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    pub fn new(now_ms: i64) -> Self {
        Self(format!("{}-{}", draw(BASE62, LENGTH), now_ms / 1000))
    }

    /// The token a request carries, when it has the form of one.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, value)| *name == NAME && is_token(value))
            .map(|(_, value)| Self(value.to_owned()))
    }

    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// How long ago it was made.
    pub fn age_ms(&self, now_ms: i64) -> i64 {
        let made_s: i64 = self.0.split_once('-').and_then(|(_, made)| made.parse().ok()).unwrap_or(0);
        now_ms.saturating_sub(made_s.saturating_mul(1000))
    }

    /// `Set-Cookie` for this token. Lax, so that a link from elsewhere opens the site signed in.
    pub fn set(&self, days: u32, secure: bool) -> HeaderValue {
        render(&self.0, u64::from(days) * 86_400, secure)
    }
}

/// `Set-Cookie` that removes it.
pub fn clear(secure: bool) -> HeaderValue {
    render("", 0, secure)
}

fn is_token(text: &str) -> bool {
    let Some((secret, made)) = text.split_once('-') else { return false };
    let digits = made.len() <= 12 && made.bytes().all(|b| b.is_ascii_digit());
    secret.len() == LENGTH && secret.bytes().all(|b| b.is_ascii_alphanumeric()) && digits
}

fn render(value: &str, age_s: u64, secure: bool) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{NAME}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
    let mut header = HeaderValue::from_str(&text).expect("letters and digits only");
    header.set_sensitive(true);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_among_other_cookies() {
        let token = Token::new(5_000);
        let set = token.set(30, true);
        let pair = set.to_str().unwrap().split(';').next().unwrap().to_owned();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("a=b; {pair}; c=d").parse().unwrap());
        let found = Token::from_headers(&headers).unwrap();
        assert_eq!(found.hash(), token.hash());
        assert_eq!(found.age_ms(7_000), 2_000);
        headers.insert(header::COOKIE, "oriel_session=short-1".parse().unwrap());
        assert!(Token::from_headers(&headers).is_none());
    }

    #[test]
    fn the_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let set = Token::new(0).set(1, true);
        let set = set.to_str().unwrap();
        for part in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=86400"] {
            assert!(set.contains(part), "{part} in {set}");
        }
        assert!(!Token::new(0).set(1, false).to_str().unwrap().contains("Secure"));
    }
}
