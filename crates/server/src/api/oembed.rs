//! oEmbed (oembed.com): how another page shows a broadcast, asked for by the address of its page.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use serde::Deserialize;
use utoipa::IntoParams;

use super::query::Query;
use super::types::OEmbed;
use crate::api::broadcasts::Outside;
use crate::http::peer::Client;
use crate::preview::{Preview, Size, broadcast_at, host_of, shape};
use crate::problem::Problem;
use crate::services::Shared;

/// The player's width when the page that embeds it does not say.
const WIDTH: u32 = 640;

/// A still picture is at most as wide.
const PICTURE_WIDTH: u32 = codec::still::MAX_WIDTH as u32;

/// What is to be embedded, and in what space. Other parameters, as consumers send them, mean nothing here.
#[derive(Deserialize, IntoParams)]
pub struct Asked {
    /// Address of the broadcast's page, or of its player.
    url: String,
    maxwidth: Option<u32>,
    maxheight: Option<u32>,
    /// `json`, which is also the default.
    format: Option<String>,
}

/// How to embed a broadcast. Any site may ask.
#[utoipa::path(
    get, path = "/api/v1/oembed", tag = "broadcasts", operation_id = "readOEmbed", params(Asked),
    responses((status = OK, description = "The player, as an iframe", body = OEmbed)),
)]
pub async fn read(
    State(services): State<Shared>,
    client: Client,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    if asked.format.as_deref().is_some_and(|format| format != "json") {
        return Err(Problem::NotImplemented("format: only json is spoken here".into()));
    }
    let outside = Outside::new(&services, &client);
    let public = host_of(outside.site());
    let hosts = [Some(client.host.as_str()), public.as_deref()];
    let hosts: Vec<&str> = hosts.into_iter().flatten().collect();
    let id = broadcast_at(&asked.url, &hosts)
        .ok_or_else(|| Problem::not_found("url: not the page of a broadcast on this server"))?;
    let preview = Preview::find(&services, &outside, id).await?.ok_or_else(Problem::no_broadcast)?;
    let shape = shape(&services, id).await;
    let size = shape
        .within(asked.maxwidth.unwrap_or(u32::MAX).min(WIDTH), asked.maxheight.unwrap_or(u32::MAX))
        .ok_or(Problem::Invalid("maxwidth, maxheight: there is no room for a player".into()))?;
    let still = preview.picture.as_ref().and_then(|_| still(shape));
    let answer = OEmbed {
        version: "1.0",
        kind: "video",
        html: preview.frame(size),
        width: size.width,
        height: size.height,
        thumbnail_url: preview.picture.clone().filter(|_| still.is_some()),
        thumbnail_width: still.map(|size| size.width),
        thumbnail_height: still.map(|size| size.height),
        title: preview.title,
        author_name: preview.owner,
        provider_name: "Oriel",
        provider_url: preview.site,
    };
    Ok(([(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")], axum::Json(answer)).into_response())
}

/// The size of the still picture, which is scaled down by a whole number.
fn still(Size { width, height }: Size) -> Option<Size> {
    let step = width.div_ceil(PICTURE_WIDTH).max(1);
    Some(Size { width: width / step, height: height / step }).filter(|size| size.width > 0 && size.height > 0)
}
