//! Headers that every response carries, and the content security policy of the site.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{self, HeaderName, HeaderValue};

use super::peer::Client;

/// Fixed headers: nothing is sniffed, framed, or told to other sites.
const FIXED: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(self), microphone=(self), geolocation=(self), autoplay=(self)"),
    ),
];

/// Half a year, only where the operator gave a certificate: a self-signed one must stay replaceable.
const HSTS: HeaderValue = HeaderValue::from_static("max-age=15552000");

/// Whether this server is reached by a certificate that browsers trust.
#[derive(Clone, Copy)]
pub struct Trusted(pub bool);

/// In the extensions of a response: other sites may frame it.
#[derive(Clone, Copy)]
pub struct Framable;

/// Adds the headers to what the inner service answered.
pub async fn add(State(trusted): State<Trusted>, request: Request, next: Next) -> Response {
    let https = request.extensions().get::<Client>().is_some_and(|client| client.https);
    let mut response = next.run(request).await;
    let framable = response.extensions().get::<Framable>().is_some();
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        if !(framable && name == header::X_FRAME_OPTIONS) {
            headers.entry(name).or_insert(value);
        }
    }
    if https && trusted.0 {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    response
}

/// The policy of the site's pages: its own files only. `host` is where the page came from, since WebTransport and
/// WebSocket addresses differ from it in scheme. `framable`: other sites may show it in a frame of theirs.
pub fn content_security_policy(host: &str, framable: bool) -> HeaderValue {
    let known = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    let media = if known { format!(" https://{host} wss://{host} ws://{host}") } else { String::new() };
    let ancestors = if framable { "*" } else { "'none'" };
    let policy = format!(
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; \
         connect-src 'self'{media}; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}"
    );
    HeaderValue::from_str(&policy).expect("only checked characters went in")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_host_stays_out_of_the_policy() {
        let policy = content_security_policy("evil; script-src *", false);
        assert!(!policy.to_str().unwrap().contains("evil"));
    }

    #[test]
    fn inline_code_is_never_allowed() {
        let policy = content_security_policy("127.0.0.1:8080", true);
        let policy = policy.to_str().unwrap();
        assert!(!policy.contains("unsafe") && policy.contains("script-src 'self';"));
        assert!(policy.contains("wss://127.0.0.1:8080"));
    }
}
