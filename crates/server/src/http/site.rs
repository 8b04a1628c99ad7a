//! The site, embedded from `web/dist`.
//!
//! Files under `assets/` have a hash in their name and never change; everything else is revalidated. A path of a page
//! is answered with the one document, which routes itself; any other path that is no file is a 404.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Uri};
use rust_embed::{EmbeddedFile, RustEmbed};

use super::headers::content_security_policy;
use super::peer::Client;
use crate::problem::Problem;

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
struct Site;

/// The pages, by their first path element. The site shows its own "no such broadcast" for an unknown id.
const PAGES: [&str; 4] = ["", "watch", "go", "signin"];

const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// Everything that no other route takes.
pub async fn serve(method: Method, uri: Uri, client: Client, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return Problem::not_found("there is nothing at this address").into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if let Some(file) = Site::get(path).filter(|_| !path.is_empty()) {
        return answer(path, file, &client, &headers);
    }
    if is_page(path)
        && let Some(index) = Site::get("index.html")
    {
        return answer("index.html", index, &client, &headers);
    }
    // A person gets the site's own words and a way back; a program gets the problem document.
    if wants_html(&headers)
        && !path.starts_with("api/")
        && let Some(index) = Site::get("index.html")
    {
        let mut response = answer("index.html", index, &client, &HeaderMap::new());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    Problem::not_found("there is nothing at this address").into_response()
}

fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

fn is_page(path: &str) -> bool {
    let mut parts = path.trim_end_matches('/').split('/');
    let first = parts.next().unwrap_or("");
    let more = parts.count();
    PAGES.contains(&first) && more <= usize::from(matches!(first, "watch" | "go"))
}

fn answer(path: &str, file: EmbeddedFile, client: &Client, request: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let etag = HeaderValue::from_str(&etag).expect("hex is a header value");
    let cache = if path.starts_with("assets/") { IMMUTABLE } else { REVALIDATE };
    let same = request.get(header::IF_NONE_MATCH).is_some_and(|known| *known == etag);
    let mut response =
        if same { StatusCode::NOT_MODIFIED.into_response() } else { Body::from(file.data).into_response() };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    headers.insert(header::CACHE_CONTROL, cache);
    let kind = content_type(path, file.metadata.mimetype());
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if path.ends_with(".html") {
        headers.insert(header::CONTENT_SECURITY_POLICY, content_security_policy(&client.host));
    }
    response
}

fn content_type(path: &str, guessed: &str) -> String {
    match path.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8".into(),
        Some("js" | "mjs") => "text/javascript; charset=utf-8".into(),
        Some("webmanifest") => "application/manifest+json".into(),
        _ => guessed.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::is_page;

    #[test]
    fn only_page_routes_are_pages() {
        for page in ["", "watch/abcdefghjkmnp", "watch/abcdefghjkmnp/", "go", "go/abcdefghjkmnp", "signin"] {
            assert!(is_page(page), "{page}");
        }
        for other in ["assets/x.js", "robots.txt", "watch/a/b", "go/a/b", "wp-login.php", "api/v2/x"] {
            assert!(!is_page(other), "{other}");
        }
    }
}
