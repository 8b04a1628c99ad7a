//! The site, embedded from `web/dist`.
//!
//! Files under `assets/` have a hash in their name and never change; everything else is revalidated. A path of a page
//! is answered with the one document, which routes itself; that of a broadcast says in its head what the broadcast is. The
//! player for other sites is a document of its own, the only one that may be framed. Any other path that is no file is a 404.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, Uri};
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};

use super::headers::{Framable, content_security_policy};
use super::peer::Client;
use crate::api::broadcasts::Outside;
use crate::broadcast::names::is_id;
use crate::preview::Preview;
use crate::problem::Problem;
use crate::services::Shared;

#[derive(RustEmbed)]
#[folder = "../../web/dist"]
struct Site;

/// The pages, by their first path element. The site shows its own "no such broadcast" for an unknown id.
const PAGES: [&str; 4] = ["", "watch", "go", "signin"];

const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");

/// The document of the pages, and that of the player for other sites.
const INDEX: &str = "index.html";
const EMBED: &str = "embed.html";

/// In the document: around what is said of the site, which a broadcast replaces.
const PREVIEW: [&str; 2] = ["<!-- preview -->", "<!-- /preview -->"];

/// A file of the site, or a document made from one.
struct Document<'a> {
    path: &'a str,
    body: Bytes,
    /// SHA-256 of the body.
    hash: [u8; 32],
    kind: String,
}

impl<'a> Document<'a> {
    fn load(path: &'a str) -> Option<Self> {
        let file = Site::get(path)?;
        let kind = content_type(path, file.metadata.mimetype());
        let body = match file.data {
            std::borrow::Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            std::borrow::Cow::Owned(bytes) => Bytes::from(bytes),
        };
        Some(Self { path, body, hash: file.metadata.sha256_hash(), kind })
    }

    /// With these tags in its head, if there are any.
    fn with(mut self, tags: &str) -> Self {
        let page = std::str::from_utf8(&self.body).ok().filter(|_| !tags.is_empty());
        if let Some(page) = page.and_then(|page| replaced(page, tags)) {
            self.hash = Sha256::digest(&page).into();
            self.body = page.into();
        }
        self
    }
}

fn replaced(page: &str, tags: &str) -> Option<String> {
    let (before, rest) = page.split_once(PREVIEW[0])?;
    let (_, after) = rest.split_once(PREVIEW[1])?;
    Some([before, tags, after].concat())
}

/// Everything that no other route takes.
pub async fn serve(
    State(services): State<Shared>,
    method: Method,
    uri: Uri,
    client: Client,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return Problem::not_found("there is nothing at this address").into_response();
    }
    let path = uri.path().trim_start_matches('/');
    if let Some(file) = Document::load(path).filter(|_| !path.is_empty() && path != EMBED) {
        return answer(file, &client, &headers);
    }
    if let Some(id) = embedded(path)
        && let Some(player) = Document::load(EMBED)
    {
        let tags = tags(&services, &client, id).await;
        return answer(player.with(&tags), &client, &headers);
    }
    if is_page(path)
        && let Some(index) = Document::load(INDEX)
    {
        let index = match path.strip_prefix("watch/") {
            Some(id) => index.with(&tags(&services, &client, id.trim_end_matches('/')).await),
            None => index,
        };
        return answer(index, &client, &headers);
    }
    // A person gets the site's own words and a way back; a program gets the problem document.
    if wants_html(&headers)
        && !path.starts_with("api/")
        && let Some(index) = Document::load(INDEX)
    {
        let mut response = answer(index, &client, &HeaderMap::new());
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    Problem::not_found("there is nothing at this address").into_response()
}

/// What the head says of a broadcast; nothing when there is none, or the database does not answer: the page works without.
async fn tags(services: &Shared, client: &Client, id: &str) -> String {
    match Preview::find(services, &Outside::new(services, client), id).await {
        Ok(preview) => preview.map(|preview| preview.tags()).unwrap_or_default(),
        Err(error) => {
            tracing::debug!(broadcast = id, %error, "page without a preview");
            String::new()
        }
    }
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

/// The broadcast of a player's address.
fn embedded(path: &str) -> Option<&str> {
    path.strip_prefix("embed/").map(|id| id.trim_end_matches('/')).filter(|id| is_id(id))
}

fn answer(Document { path, body, hash, kind }: Document, client: &Client, request: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", hex::encode(&hash[..16]));
    let etag = HeaderValue::from_str(&etag).expect("hex is a header value");
    let cache = if path.starts_with("assets/") { IMMUTABLE } else { REVALIDATE };
    let same = request.get(header::IF_NONE_MATCH).is_some_and(|known| *known == etag);
    let mut response = if same { StatusCode::NOT_MODIFIED.into_response() } else { body.into_response() };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, etag);
    headers.insert(header::CACHE_CONTROL, cache);
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    if path.ends_with(".html") {
        let policy = content_security_policy(&client.host, path == EMBED);
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if path == EMBED {
        response.extensions_mut().insert(Framable);
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
    use super::{embedded, is_page, replaced};

    #[test]
    fn only_page_routes_are_pages() {
        for page in ["", "watch/abcdefghjkmnp", "watch/abcdefghjkmnp/", "go", "go/abcdefghjkmnp", "signin"] {
            assert!(is_page(page), "{page}");
        }
        for other in ["assets/x.js", "robots.txt", "watch/a/b", "go/a/b", "wp-login.php", "api/v2/x"] {
            assert!(!is_page(other), "{other}");
        }
    }

    #[test]
    fn a_broadcast_replaces_what_the_page_says_of_the_site() {
        let page = "<head><!-- preview --><title>Oriel</title><!-- /preview --><script></script></head>";
        let said = replaced(page, "<title>Roof</title>");
        assert_eq!(said.as_deref(), Some("<head><title>Roof</title><script></script></head>"));
        assert_eq!(replaced("<head></head>", "x"), None);
    }

    #[test]
    fn only_a_broadcast_has_a_player() {
        assert_eq!(embedded("embed/abcdefghjkmnp/"), Some("abcdefghjkmnp"));
        for other in ["embed", "embed/", "embed/ABC", "embed/abcdefghjkmnp/x", "watch/abcdefghjkmnp"] {
            assert_eq!(embedded(other), None, "{other}");
        }
    }
}
