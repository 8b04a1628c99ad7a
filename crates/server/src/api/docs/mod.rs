//! The API described: the OpenAPI document, and a page to read it. The page is our own and complete in itself, so that it
//! works without the Internet and under a policy that allows no foreign script.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header;

use crate::http::headers::content_security_policy;
use crate::problem::Problem;

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");

static OPENAPI: LazyLock<String> = LazyLock::new(super::openapi);

/// `GET /api/openapi.json`.
pub async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")], OPENAPI.as_str())
        .into_response()
}

/// `GET /api/docs`.
pub async fn page() -> Response {
    let policy = content_security_policy("", false);
    (
        [
            (header::CONTENT_TYPE, "text/html; charset=utf-8".parse().expect("a header value")),
            (header::CONTENT_SECURITY_POLICY, policy),
        ],
        PAGE,
    )
        .into_response()
}

/// The page's script and style.
pub async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let (kind, text) = match name.as_str() {
        "page.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "page.css" => ("text/css; charset=utf-8", STYLE),
        _ => return Err(Problem::not_found("there is nothing at this address")),
    };
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], text).into_response())
}

/// Anything else under `/api`.
pub async fn nothing() -> Problem {
    Problem::not_found("the API has nothing at this address; /api/docs lists what it has")
}
