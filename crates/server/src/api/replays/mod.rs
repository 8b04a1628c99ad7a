//! Replays: listed, looked at, hidden, deleted, and what was said while they were live.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use room::PastComment;
use serde::Deserialize;
use store::{Moment, ReplayState};
use utoipa::IntoParams;

use super::auth::{Caller, SignedIn};
use super::json::Json;
use super::query::Query;
use super::types::{
    HeartSecond, Replay, ReplayChange, ReplayComment, ReplayComments, ReplayHearts, ReplayList, ReplayUrls,
    ReplayVisibility,
};
use crate::api::broadcasts::Outside;
use crate::broadcast::names::is_id;
use crate::http::peer::Client;
use crate::problem::Problem;
use crate::services::{Services, Shared};

/// How many are listed at a time.
const PAGE: u32 = 60;

/// Comments, and seconds with hearts, in one answer.
const MOST: u32 = 500;

/// Where a list goes on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// Only replays captured before this time: the `captured_at_ms` of the last one listed.
    before_ms: Option<i64>,
}

/// Where comments go on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CommentsFrom {
    /// From this capture time on.
    from_ms: Option<i64>,
    /// The `next` of the answer before; wins over `from_ms`.
    after: Option<String>,
}

/// Where hearts go on.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct HeartsFrom {
    /// From this second of capture time on.
    from_s: Option<i64>,
}

/// The public replays, newest first, 60 at a time.
#[utoipa::path(
    get, path = "/api/v1/replays", tag = "replays", operation_id = "listReplays", params(Before),
    responses((status = OK, description = "Replays", body = ReplayList)),
)]
pub async fn list(
    State(services): State<Shared>,
    client: Client,
    Query(page): Query<Before>,
) -> Result<axum::Json<ReplayList>, Problem> {
    let rows = services.store.public_replays(page.before_ms.unwrap_or(i64::MAX), PAGE).await?;
    Ok(axum::Json(views(&Outside::new(&services, &client), rows)))
}

/// One's own replays, newest first, those being recorded too.
#[utoipa::path(
    get, path = "/api/v1/replays/mine", tag = "replays", operation_id = "listMyReplays",
    responses((status = OK, description = "The caller's replays", body = ReplayList)),
)]
pub async fn mine(
    State(services): State<Shared>,
    client: Client,
    SignedIn(owner): SignedIn,
) -> Result<axum::Json<ReplayList>, Problem> {
    let rows = services.store.replays_of(&owner.id).await?;
    Ok(axum::Json(views(&Outside::new(&services, &client), rows)))
}

/// One replay. A private one is there for its owner only.
#[utoipa::path(
    get, path = "/api/v1/replays/{id}", tag = "replays", operation_id = "readReplay",
    params(("id" = String, Path, description = "The broadcast")),
    responses((status = OK, description = "The replay", body = Replay)),
)]
pub async fn read(
    State(services): State<Shared>,
    client: Client,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<axum::Json<Replay>, Problem> {
    let row = find(&services, &id, &caller).await?;
    Ok(axum::Json(view(&Outside::new(&services, &client), row)))
}

/// Changes who may watch one's own replay.
#[utoipa::path(
    put, path = "/api/v1/replays/{id}", tag = "replays", operation_id = "changeReplay",
    params(("id" = String, Path, description = "The broadcast")), request_body = ReplayChange,
    responses((status = OK, description = "The replay as it is now", body = Replay)),
)]
pub async fn change(
    State(services): State<Shared>,
    client: Client,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
    Json(change): Json<ReplayChange>,
) -> Result<axum::Json<Replay>, Problem> {
    let mut row = find_own(&services, &id, &caller).await?;
    services.store.set_replay_visibility(&id, change.visibility.into()).await?;
    services.access.forget(&id);
    row.visibility = change.visibility.into();
    Ok(axum::Json(view(&Outside::new(&services, &client), row)))
}

/// Deletes one's own replay for good, with its media. Not while the broadcast goes on.
#[utoipa::path(
    delete, path = "/api/v1/replays/{id}", tag = "replays", operation_id = "deleteReplay",
    params(("id" = String, Path, description = "The broadcast")),
    responses((status = NO_CONTENT, description = "It is gone")),
)]
pub async fn delete(
    State(services): State<Shared>,
    SignedIn(caller): SignedIn,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let row = find_own(&services, &id, &caller).await?;
    if row.state != ReplayState::Ready {
        return Err(Problem::Conflict("this replay is still being recorded; end the broadcast first".into()));
    }
    services.store.delete_replay(&id).await?;
    services.access.forget(&id);
    tracing::info!(replay = id, owner = caller.id, "replay deleted");
    // Nobody can watch it from here on. What cannot be removed now is removed by the upkeep.
    if let Err(error) = crate::replay::retention::remove_deleted(&services.store, &services.archive).await {
        tracing::warn!(replay = id, %error, "media of the replay not removed yet");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// A JPEG from the beginning of the replay. 404 for codecs other than H.264.
#[utoipa::path(
    get, path = "/api/v1/replays/{id}/picture.jpg", tag = "replays", operation_id = "readReplayPicture",
    params(("id" = String, Path, description = "The broadcast")),
    responses((status = OK, description = "The picture", content_type = "image/jpeg", body = Vec<u8>)),
)]
pub async fn picture(
    State(services): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let row = find(&services, &id, &caller).await?;
    let none = || Problem::not_found("there is no picture of this replay");
    if row.state != ReplayState::Ready {
        return Err(none());
    }
    let replay = services.archive.open(&id).await.map_err(crate::media::replay::problem)?;
    let jpeg = services.thumbnails.of_replay(&id, &replay).await?.ok_or_else(none)?;
    let cache_control = match row.visibility {
        store::ReplayVisibility::Private => "private, max-age=3600",
        _ => "public, max-age=3600",
    };
    Ok(([(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, cache_control)], jpeg).into_response())
}

/// The comments of a replay by the capture time of what their senders saw, oldest first, 500 at a time.
#[utoipa::path(
    get, path = "/api/v1/replays/{id}/comments", tag = "replays", operation_id = "readReplayComments",
    params(("id" = String, Path, description = "The broadcast"), CommentsFrom),
    responses((status = OK, description = "Comments", body = ReplayComments)),
)]
pub async fn comments(
    State(services): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Query(from): Query<CommentsFrom>,
) -> Result<axum::Json<ReplayComments>, Problem> {
    find(&services, &id, &caller).await?;
    let start = from.from_ms.unwrap_or(i64::MIN + 1).saturating_sub(1);
    let after = match &from.after {
        Some(text) => {
            parse_moment(text).ok_or(Problem::Malformed("after: not the next of an earlier answer".into()))?
        }
        // Sorts after everything that happened in the millisecond before.
        None => Moment { time_ms: start, epoch: "\u{10ffff}".into(), offset: i64::MAX },
    };
    let rows = services.store.comments_after(&id, &after, MOST).await?;
    let full = rows.len() == MOST as usize;
    let next = rows.last().filter(|_| full).map(|(moment, _)| write_moment(moment));
    let comment = |(moment, row): (Moment, store::StoredEvent)| {
        let said = PastComment::from_stored(&row)?;
        let (name, role) = (said.who.name, said.who.role.into());
        Some(ReplayComment { id: said.id, name, role, text: said.text, time_ms: moment.time_ms, at_ms: said.at_ms })
    };
    Ok(axum::Json(ReplayComments { comments: rows.into_iter().filter_map(comment).collect(), next }))
}

/// The hearts of a replay by the second of capture of what their senders saw, oldest first, 500 seconds at a time.
#[utoipa::path(
    get, path = "/api/v1/replays/{id}/hearts", tag = "replays", operation_id = "readReplayHearts",
    params(("id" = String, Path, description = "The broadcast"), HeartsFrom),
    responses((status = OK, description = "Hearts", body = ReplayHearts)),
)]
pub async fn hearts(
    State(services): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    Query(from): Query<HeartsFrom>,
) -> Result<axum::Json<ReplayHearts>, Problem> {
    find(&services, &id, &caller).await?;
    let rows = services.store.hearts(&id, from.from_s.unwrap_or(i64::MIN), MOST).await?;
    let next_s = rows.last().filter(|_| rows.len() == MOST as usize).map(|last| last.at_s + 1);
    let second = |row: store::HeartSecond| HeartSecond { at_s: row.at_s, colours: row.colours.to_vec() };
    Ok(axum::Json(ReplayHearts { hearts: rows.into_iter().map(second).collect(), next_s }))
}

/// A replay that the caller may watch.
async fn find(services: &Services, id: &str, Caller(user): &Caller) -> Result<store::Replay, Problem> {
    let row = if is_id(id) { services.store.replay(id).await? } else { None };
    let mine = |row: &store::Replay| user.as_ref().is_some_and(|user| user.id == row.owner.id);
    row.filter(|row| row.state != ReplayState::Deleting && row.captured_ms.is_some())
        .filter(|row| row.visibility != store::ReplayVisibility::Private || mine(row))
        .ok_or_else(|| Problem::not_found("there is no replay of this broadcast"))
}

async fn find_own(services: &Services, id: &str, caller: &store::User) -> Result<store::Replay, Problem> {
    let row = find(services, id, &Caller(Some(caller.clone()))).await?;
    match row.owner.id == caller.id {
        true => Ok(row),
        false => Err(Problem::Forbidden("this replay belongs to somebody else".into())),
    }
}

fn views(outside: &Outside, rows: Vec<store::Replay>) -> ReplayList {
    ReplayList { replays: rows.into_iter().map(|row| view(outside, row)).collect() }
}

fn view(outside: &Outside, row: store::Replay) -> Replay {
    let site = outside.site();
    let id = &row.id;
    Replay {
        urls: ReplayUrls {
            hls: format!("{site}/replay/{id}/index.m3u8"),
            mp4: format!("{site}/replay/{id}.mp4"),
            picture: outside.replay_picture(id),
            dvr: (!row.over).then(|| format!("{site}/replay/{id}/dvr.m3u8")),
        },
        title: row.title,
        owner: row.owner.into(),
        visibility: row.visibility.into(),
        recording: row.state != ReplayState::Ready,
        duration_ms: row.duration_ms,
        bytes: row.bytes,
        lost_ms: row.lost_ms,
        captured_at_ms: row.captured_ms.unwrap_or(0),
        id: row.id,
    }
}

fn write_moment(moment: &Moment) -> String {
    format!("{}.{}.{}", moment.time_ms, moment.offset, moment.epoch)
}

fn parse_moment(text: &str) -> Option<Moment> {
    let (time_ms, rest) = text.split_once('.')?;
    let (offset, epoch) = rest.split_once('.')?;
    let short = epoch.len() <= 64;
    Some(Moment { time_ms: time_ms.parse().ok()?, offset: offset.parse().ok()?, epoch: epoch.to_owned() })
        .filter(|_| short)
}

impl From<ReplayVisibility> for store::ReplayVisibility {
    fn from(visibility: ReplayVisibility) -> Self {
        match visibility {
            ReplayVisibility::Public => Self::Public,
            ReplayVisibility::Unlisted => Self::Unlisted,
            ReplayVisibility::Private => Self::Private,
        }
    }
}

impl From<store::ReplayVisibility> for ReplayVisibility {
    fn from(visibility: store::ReplayVisibility) -> Self {
        match visibility {
            store::ReplayVisibility::Public => Self::Public,
            store::ReplayVisibility::Unlisted => Self::Unlisted,
            store::ReplayVisibility::Private => Self::Private,
        }
    }
}
