//! Accounts.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gateway::address::limited_by;
use http::StatusCode;

use super::json::Json;
use super::session;
use super::types::{Credentials, User};
use crate::account::name::{check_name, check_password};
use crate::config::Registration;
use crate::http::peer::Client;
use crate::problem::Problem;
use crate::services::Shared;

/// Makes an account and signs it in.
#[utoipa::path(
    post, path = "/api/v1/accounts", tag = "accounts", operation_id = "createAccount", request_body = Credentials,
    responses((status = CREATED, description = "The account; the answer sets the session cookie", body = User)),
)]
pub async fn create(
    State(services): State<Shared>,
    client: Client,
    Json(new): Json<Credentials>,
) -> Result<Response, Problem> {
    if services.config.accounts.registration == Registration::Closed {
        return Err(Problem::Forbidden("this server makes no accounts by itself; ask who runs it".into()));
    }
    check_name(&new.name)?;
    check_password(&new.password)?;
    services.rates.registration.check(&limited_by(client.ip))?;
    let hash = services.passwords.hash(new.password).await?;
    let user = services.store.create_user(&new.name, &hash).await?;
    tracing::info!(user = user.id, "account made");
    let cookie = session::open(&services, &user.id, client.https).await?;
    Ok((StatusCode::CREATED, cookie, axum::Json(User::from(user))).into_response())
}
