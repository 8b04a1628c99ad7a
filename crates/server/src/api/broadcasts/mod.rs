//! Broadcasts: made, listed, looked at, ended.

mod health;
mod thumbnail;
mod urls;
mod view;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use store::ReplayVisibility;

use super::auth::SignedIn;
use super::json::Json;
use super::types::{Broadcast, BroadcastList, CreatedBroadcast, Location, NewBroadcast, ReplayWish, Visibility};
use crate::broadcast::names::{StreamKey, is_id, new_id};
use crate::clock::now_ms;
use crate::http::peer::Client;
use crate::problem::Problem;
use crate::services::{Services, Shared};

pub use health::*;
pub use thumbnail::*;
pub use urls::Outside;
use view::{view, views};

/// How many of one's own are listed.
const MINE: u32 = 50;

const LONGEST_TITLE: usize = 120;

/// Makes a broadcast. The answer is the only one that holds its stream key.
#[utoipa::path(
    post, path = "/api/v1/broadcasts", tag = "broadcasts", operation_id = "createBroadcast",
    request_body = NewBroadcast,
    responses((status = CREATED, description = "The broadcast, its key and where to publish", body = CreatedBroadcast)),
)]
pub async fn create(
    State(services): State<Shared>,
    client: Client,
    SignedIn(owner): SignedIn,
    Json(new): Json<NewBroadcast>,
) -> Result<Response, Problem> {
    if services.drain.is_cancelled() {
        return Err(Problem::Unavailable("the server is stopping; try again in a minute".into()));
    }
    let title = check_title(&new.title)?;
    let location = new.location.map(check_location).transpose()?;
    services.rates.broadcasts.check(&owner.id)?;
    let key = StreamKey::draw();
    let row = store::NewBroadcast {
        id: new_id(),
        owner: owner.id.clone(),
        title,
        location,
        visibility: match new.visibility {
            Visibility::Public => store::Visibility::Public,
            Visibility::Unlisted => store::Visibility::Unlisted,
        },
        key_hash: key.hash(),
        created_ms: now_ms(),
    };
    let id = row.id.clone();
    services.store.create_broadcast(row).await?;
    if let Some(visibility) = replay_visibility(&new).filter(|_| services.config.recording.enabled) {
        services.store.create_replay(&id, visibility).await?;
    }
    tracing::info!(broadcast = id, owner = owner.id, "broadcast made");
    let outside = Outside::new(&services, &client);
    let broadcast = view(&services, &outside, find(&services, &id).await?).await;
    let created = CreatedBroadcast {
        broadcast,
        stream_key: key.reveal().to_owned(),
        ingest: outside.ingest(&key),
        watch_url: outside.watch(&id),
    };
    Ok((StatusCode::CREATED, axum::Json(created)).into_response())
}

/// The public broadcasts that are live, newest first.
#[utoipa::path(
    get, path = "/api/v1/broadcasts", tag = "broadcasts", operation_id = "listBroadcasts",
    responses((status = OK, description = "Live broadcasts", body = BroadcastList)),
)]
pub async fn list(State(services): State<Shared>, client: Client) -> Result<axum::Json<BroadcastList>, Problem> {
    let rows = services.store.live_broadcasts().await?;
    let outside = Outside::new(&services, &client);
    let broadcasts = views(&services, &outside, rows).await;
    Ok(axum::Json(BroadcastList { broadcasts }))
}

/// One's own broadcasts in every state, the newest 50.
#[utoipa::path(
    get, path = "/api/v1/broadcasts/mine", tag = "broadcasts", operation_id = "listMyBroadcasts",
    responses((status = OK, description = "The caller's broadcasts", body = BroadcastList)),
)]
pub async fn mine(
    State(services): State<Shared>,
    client: Client,
    SignedIn(owner): SignedIn,
) -> Result<axum::Json<BroadcastList>, Problem> {
    let rows = services.store.broadcasts_of(&owner.id, MINE).await?;
    let outside = Outside::new(&services, &client);
    let broadcasts = views(&services, &outside, rows).await;
    Ok(axum::Json(BroadcastList { broadcasts }))
}

/// One broadcast.
#[utoipa::path(
    get, path = "/api/v1/broadcasts/{id}", tag = "broadcasts", operation_id = "readBroadcast",
    params(("id" = String, Path, description = "The broadcast")),
    responses((status = OK, description = "The broadcast", body = Broadcast)),
)]
pub async fn read(
    State(services): State<Shared>,
    client: Client,
    Path(id): Path<String>,
) -> Result<axum::Json<Broadcast>, Problem> {
    let row = find(&services, &id).await?;
    Ok(axum::Json(view(&services, &Outside::new(&services, &client), row).await))
}

/// Ends one's own broadcast for good. Ending it again is no error.
#[utoipa::path(
    post, path = "/api/v1/broadcasts/{id}/end", tag = "broadcasts", operation_id = "endBroadcast",
    params(("id" = String, Path, description = "The broadcast")),
    responses((status = OK, description = "The broadcast, over", body = Broadcast)),
)]
pub async fn end(
    State(services): State<Shared>,
    client: Client,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<axum::Json<Broadcast>, Problem> {
    let mut row = find_own(&services, &id, &caller).await?;
    if !row.state.is_over() {
        services.registry.end(&id);
        // The journal writes it; the answer tells it already.
        row.state = store::State::Ended;
        row.ended_ms = Some(now_ms());
        row.interrupted_ms = None;
    }
    Ok(axum::Json(view(&services, &Outside::new(&services, &client), row).await))
}

/// Who may watch the replay that is wanted; none when none is.
fn replay_visibility(new: &NewBroadcast) -> Option<ReplayVisibility> {
    match (new.replay, new.visibility) {
        (Some(ReplayWish::Off), _) => None,
        (Some(ReplayWish::Private), _) => Some(ReplayVisibility::Private),
        (Some(ReplayWish::Public), _) | (None, Visibility::Public) => Some(ReplayVisibility::Public),
        (Some(ReplayWish::Unlisted), _) | (None, Visibility::Unlisted) => Some(ReplayVisibility::Unlisted),
    }
}

async fn find(services: &Services, id: &str) -> Result<store::Broadcast, Problem> {
    if !is_id(id) {
        return Err(Problem::no_broadcast());
    }
    services.store.broadcast(id).await?.ok_or_else(Problem::no_broadcast)
}

async fn find_own(services: &Services, id: &str, caller: &store::User) -> Result<store::Broadcast, Problem> {
    let row = find(services, id).await?;
    if row.owner.id != caller.id {
        return Err(Problem::Forbidden("this broadcast belongs to somebody else".into()));
    }
    Ok(row)
}

fn check_title(title: &str) -> Result<String, Problem> {
    let title = title.trim();
    let length = title.chars().count();
    if !(1..=LONGEST_TITLE).contains(&length) || title.chars().any(char::is_control) {
        return Err(Problem::invalid("title: 1 to 120 characters on one line"));
    }
    Ok(title.to_owned())
}

fn check_location(Location { lat, lng }: Location) -> Result<store::Location, Problem> {
    if !(-90.0..=90.0).contains(&lat) || !(-180.0..=180.0).contains(&lng) {
        return Err(Problem::invalid("location: lat in -90..90 and lng in -180..180"));
    }
    Ok(store::Location { lat, lng })
}
