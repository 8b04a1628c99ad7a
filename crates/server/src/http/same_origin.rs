//! Cross-site request forgery: a write is taken only from our own pages, or from a program that is no browser.
//!
//! Browsers say where a request comes from, in `Sec-Fetch-Site` (trustworthy origins) and `Origin` (every POST, DELETE,
//! PUT and WebSocket). A request with neither comes from no browser page and carries no cookie it did not mean to send.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, Uri, header};

use super::peer::Client;
use crate::problem::Problem;

/// Host and port people reach us by, when the operator said so.
#[derive(Clone, Default)]
pub struct PublicHost(pub Option<String>);

/// Refuses unsafe methods from other sites.
pub async fn check(State(public): State<PublicHost>, client: Client, request: Request, next: Next) -> Response {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe && let Err(problem) = same_origin(request.headers(), &client, &public) {
        return problem.into_response();
    }
    next.run(request).await
}

/// Whether the request comes from our own pages or from no page at all. WebSocket upgrades ask too.
pub fn same_origin(headers: &HeaderMap, client: &Client, public: &PublicHost) -> Result<(), Problem> {
    match text(headers, "sec-fetch-site") {
        Some("same-origin" | "none") => return Ok(()),
        Some(site) => return Err(Problem::CrossSite(format!("sec-fetch-site is {site}").into())),
        None => {}
    }
    let Some(origin) = text(headers, header::ORIGIN.as_str()) else {
        return Ok(());
    };
    let host = origin.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
    let ours = |host: &String| *host == client.host || Some(host) == public.0.as_ref();
    match host {
        Some(host) if ours(&host) => Ok(()),
        _ => Err(Problem::CrossSite(format!("origin is {origin}").into())),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(pairs: &[(&'static str, &str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        let client = Client { ip: "127.0.0.1".parse().unwrap(), https: false, host: "127.0.0.1:8080".into() };
        same_origin(&headers, &client, &PublicHost(Some("live.example".into()))).is_ok()
    }

    #[test]
    fn our_pages_and_programs_may_write_and_other_sites_may_not() {
        assert!(judge(&[]));
        assert!(judge(&[("sec-fetch-site", "same-origin")]));
        assert!(judge(&[("origin", "http://127.0.0.1:8080")]));
        assert!(judge(&[("origin", "https://live.example")]));
        assert!(!judge(&[("sec-fetch-site", "cross-site")]));
        assert!(!judge(&[("sec-fetch-site", "same-site"), ("origin", "http://127.0.0.1:8080")]));
        assert!(!judge(&[("origin", "http://127.0.0.1:9999")]));
        assert!(!judge(&[("origin", "null")]));
    }
}
