//! Who makes a request.

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::account::cookie::Token;
use crate::clock::now_ms;
use crate::problem::Problem;
use crate::services::Shared;

/// The account signed in by the session cookie, if any.
pub struct Caller(pub Option<store::User>);

/// The account signed in; without one the request is refused.
pub struct SignedIn(pub store::User);

impl FromRequestParts<Shared> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Shared) -> Result<Self, Problem> {
        let Some(token) = Token::from_headers(&parts.headers) else {
            return Ok(Self(None));
        };
        Ok(Self(services.store.session_user(token.hash(), now_ms()).await?))
    }
}

impl FromRequestParts<Shared> for SignedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, services: &Shared) -> Result<Self, Problem> {
        let Caller(user) = Caller::from_request_parts(parts, services).await?;
        user.map(Self).ok_or(Problem::SignInRequired)
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Conflict { what } => Self::Conflict(what.into()),
            store::Error::NotFound { what } => Self::NotFound(format!("there is no such {what}").into()),
            store::Error::Invalid { what } => Self::Invalid(what.into()),
            error if error.is_unavailable() => {
                tracing::warn!(%error, "database");
                Self::Unavailable("the database does not answer at the moment; try again".into())
            }
            error => Self::internal(error),
        }
    }
}

impl From<store::User> for super::types::User {
    fn from(user: store::User) -> Self {
        Self { id: user.id, name: user.name }
    }
}
