//! A still picture of a live broadcast.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::header;

use crate::problem::Problem;
use crate::services::Shared;

/// A JPEG of the newest keyframe, at most 3 s old.
#[utoipa::path(
    get, path = "/api/v1/broadcasts/{id}/thumbnail.jpg", tag = "broadcasts", operation_id = "readThumbnail",
    params(("id" = String, Path, description = "The broadcast")),
    responses((status = OK, description = "The picture", content_type = "image/jpeg", body = Vec<u8>)),
)]
pub async fn thumbnail(State(services): State<Shared>, Path(id): Path<String>) -> Result<Response, Problem> {
    let none = || Problem::not_found("there is no picture of this broadcast now");
    let broadcast = services.directory.get(&id).ok_or_else(none)?;
    let jpeg = services.thumbnails.of(&broadcast).await?.ok_or_else(none)?;
    let headers = [(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "max-age=2")];
    Ok((headers, jpeg).into_response())
}
