//! Errors as RFC 9457 problem documents. The only place that chooses an HTTP status for a failure.

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// What a handler fails with. `instance` is filled in by the outermost layer, which knows the path.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Problem {
    /// A request that means nothing: wrong JSON, a value out of its range.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// A body that is not readable as JSON.
    #[error("{0}")]
    Malformed(Cow<'static, str>),
    /// Not signed in.
    #[error("sign in first")]
    SignInRequired,
    /// Name and password do not belong together; which of them is wrong is not said.
    #[error("name or password is wrong")]
    BadCredentials,
    /// No stream key, or one that does not belong to the broadcast; which is not said.
    #[error("send the broadcast's stream key: authorization: Bearer KEY")]
    StreamKey,
    /// Signed in, and not allowed.
    #[error("{0}")]
    Forbidden(Cow<'static, str>),
    /// A write that another site made the browser send.
    #[error("this write came from another site: {0}")]
    CrossSite(Cow<'static, str>),
    #[error("{0}")]
    NotFound(Cow<'static, str>),
    #[error("this address does not understand the method; see Allow")]
    MethodNotAllowed,
    /// The state of a thing does not admit the request.
    #[error("{0}")]
    Conflict(Cow<'static, str>),
    /// It was there and will not come back.
    #[error("{0}")]
    Gone(Cow<'static, str>),
    /// The client said nothing for too long in the middle of a request.
    #[error("{0}")]
    Timeout(Cow<'static, str>),
    /// Media in a form that is not taken; `0` names it.
    #[error("{0}")]
    UnsupportedMedia(Cow<'static, str>),
    #[error("the body is larger than this server takes")]
    TooLarge,
    #[error("send JSON with content-type: application/json")]
    UnsupportedMediaType,
    /// Over a rate limit; `retry` is when to come back.
    #[error("too many requests; try again in {} s", .retry.as_secs().max(1))]
    RateLimited { retry: Duration },
    /// A part of the server does not answer; `0` names it in plain words.
    #[error("{0}")]
    Unavailable(Cow<'static, str>),
    /// A form of answer that a standard knows and we do not have.
    #[error("{0}")]
    NotImplemented(Cow<'static, str>),
    /// Our fault. The cause is logged where it is handled, not told.
    #[error("something went wrong on our side")]
    Internal,
}

/// The document itself (`application/problem+json`).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Document {
    /// A URI reference that names the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "/problems/not-found")]
    pub kind: String,
    /// The kind in words, always the same for a kind.
    #[schema(example = "Not found")]
    pub title: &'static str,
    /// The HTTP status again.
    #[schema(example = 404)]
    pub status: u16,
    /// This case in words.
    pub detail: String,
    /// The path of the request.
    pub instance: String,
}

impl Problem {
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(detail.into())
    }

    pub fn not_found(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::NotFound(detail.into())
    }

    pub fn no_broadcast() -> Self {
        Self::not_found("there is no broadcast with this id")
    }

    /// Logs the cause and answers 500.
    pub fn internal(cause: impl std::fmt::Display) -> Self {
        tracing::error!(%cause, "request failed");
        Self::Internal
    }

    /// Status, slug of the type, title.
    fn class(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "Invalid request"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed", "Malformed request"),
            Self::SignInRequired => (StatusCode::UNAUTHORIZED, "sign-in-required", "Not signed in"),
            Self::BadCredentials => (StatusCode::UNAUTHORIZED, "bad-credentials", "Sign-in failed"),
            Self::StreamKey => (StatusCode::UNAUTHORIZED, "stream-key", "Stream key refused"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden", "Not allowed"),
            Self::CrossSite(_) => (StatusCode::FORBIDDEN, "cross-site", "Cross-site write refused"),
            Self::NotFound(_) => (StatusCode::NOT_FOUND, "not-found", "Not found"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict", "Conflict"),
            Self::NotImplemented(_) => (StatusCode::NOT_IMPLEMENTED, "not-implemented", "Not implemented"),
            Self::Gone(_) => (StatusCode::GONE, "gone", "Over"),
            Self::Timeout(_) => (StatusCode::REQUEST_TIMEOUT, "timeout", "Timed out"),
            Self::UnsupportedMedia(_) => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media", "Unsupported media"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "Body too large"),
            Self::UnsupportedMediaType => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type")
            }
            Self::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many requests"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable"),
            Self::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }

    pub fn status(&self) -> StatusCode {
        self.class().0
    }

    /// The answer for a request on `instance`.
    pub fn render(&self, instance: &str) -> Response {
        let (status, slug, title) = self.class();
        let document = Document {
            kind: format!("/problems/{slug}"),
            title,
            status: status.as_u16(),
            detail: self.to_string(),
            instance: instance.to_owned(),
        };
        let body = serde_json::to_vec(&document).expect("a document is plain data");
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Self::StreamKey = self {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Self::RateLimited { retry } = self {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry.as_secs().max(1)));
        }
        response
    }
}

/// The response carries the problem as an extension; [`finish`] renders it when the path is known.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// The outermost step of every API response: a failure becomes its document, a bare 405 one too.
pub fn finish(response: Response, path: &str) -> Response {
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None if response.status() == StatusCode::METHOD_NOT_ALLOWED => Problem::MethodNotAllowed,
        None => return response,
    };
    let mut rendered = problem.render(path);
    let kept = [
        header::ALLOW,
        header::CONNECTION,
        header::WWW_AUTHENTICATE,
        header::SET_COOKIE,
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
    ];
    for name in kept {
        if let Some(value) = response.headers().get(&name) {
            rendered.headers_mut().insert(name, value.clone());
        }
    }
    rendered
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::MissingJsonContentType(_) => Self::UnsupportedMediaType,
            JsonRejection::JsonDataError(error) => Self::Invalid(error.body_text().into()),
            other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => Self::TooLarge,
            other => Self::Malformed(other.body_text().into()),
        }
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Self::Malformed(rejection.body_text().into())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::Malformed(rejection.body_text().into())
    }
}
