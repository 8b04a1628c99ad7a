//! Signing in and out.

use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use gateway::address::limited_by;
use http::header::{HeaderName, SET_COOKIE};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::auth::Caller;
use super::json::Json;
use super::types::{Credentials, Session, User};
use crate::account::cookie::{self, Token};
use crate::clock::now_ms;
use crate::http::peer::Client;
use crate::problem::Problem;
use crate::services::{Services, Shared};

const DAY_MS: i64 = 86_400_000;

type Cookie = AppendHeaders<[(HeaderName, HeaderValue); 1]>;

/// Signs in.
#[utoipa::path(
    post, path = "/api/v1/session", tag = "accounts", operation_id = "signIn", request_body = Credentials,
    responses((status = OK, description = "Signed in; the answer sets the session cookie", body = User)),
)]
pub async fn create(
    State(services): State<Shared>,
    client: Client,
    Json(credentials): Json<Credentials>,
) -> Result<Response, Problem> {
    let name = credentials.name.to_lowercase();
    services.rates.login_by_address.check(&limited_by(client.ip))?;
    // By name too, against guessing one account from many addresses; cut, so that a key is small.
    services.rates.login_by_name.check(&name.chars().take(64).collect())?;
    if credentials.password.len() > 1024 {
        return Err(Problem::BadCredentials);
    }
    let known = services.store.user_by_name(&name).await?;
    let (user, stored) = known.unzip();
    if !services.passwords.verify(credentials.password, stored).await? {
        tracing::info!(address = %client.ip, "sign-in failed");
        return Err(Problem::BadCredentials);
    }
    let user = user.ok_or(Problem::BadCredentials)?;
    let cookie = open(&services, &user.id, client.https).await?;
    Ok((cookie, axum::Json(User::from(user))).into_response())
}

/// Who is signed in. Renews the sign-in of somebody who comes back on another day.
#[utoipa::path(
    get, path = "/api/v1/session", tag = "accounts", operation_id = "readSession",
    responses((status = OK, description = "The account signed in, or null", body = Session)),
)]
pub async fn read(
    State(services): State<Shared>,
    client: Client,
    headers: HeaderMap,
    Caller(user): Caller,
) -> Result<Response, Problem> {
    let old = Token::from_headers(&headers).is_some_and(|token| token.age_ms(now_ms()) >= DAY_MS);
    let renewed = match &user {
        Some(user) if old => Some(open(&services, &user.id, client.https).await?),
        _ => None,
    };
    let body = axum::Json(Session { user: user.map(User::from) });
    Ok(match renewed {
        Some(cookie) => (cookie, body).into_response(),
        None => body.into_response(),
    })
}

/// Signs out. No error when nobody is signed in.
#[utoipa::path(
    delete, path = "/api/v1/session", tag = "accounts", operation_id = "signOut",
    responses((status = NO_CONTENT, description = "Signed out; the answer removes the cookie")),
)]
pub async fn delete(State(services): State<Shared>, client: Client, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(token) = Token::from_headers(&headers) {
        services.store.delete_session(token.hash()).await?;
    }
    let cookie = AppendHeaders([(SET_COOKIE, cookie::clear(client.https))]);
    Ok((StatusCode::NO_CONTENT, cookie).into_response())
}

/// A new session of `user`, as the header that hands it to the browser.
pub async fn open(services: &Services, user: &str, https: bool) -> Result<Cookie, Problem> {
    let days = services.config.accounts.session_days;
    let now_ms = now_ms();
    let token = Token::new(now_ms);
    let expires_ms = now_ms + i64::from(days) * DAY_MS;
    services.store.create_session(token.hash(), user, expires_ms).await?;
    Ok(AppendHeaders([(SET_COOKIE, token.set(days, https))]))
}
