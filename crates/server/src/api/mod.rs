//! The HTTP API: one noun a folder, one verb a function. The routes stand in [`router`], and the OpenAPI document is made
//! from the same list.

pub mod accounts;
pub mod auth;
pub mod broadcasts;
pub mod docs;
pub mod json;
pub mod oembed;
pub mod query;
pub mod replays;
pub mod server;
pub mod session;
pub mod types;

use axum::Router;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr};
use utoipa::{OpenApi as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::problem::Document;
use crate::services::Shared;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Oriel",
        description = "Go live, watch, take part. Failures are RFC 9457 problem documents. A browser signs in with a \
                       cookie; writes are taken from the site's own pages or from programs, not from other sites.",
        license(name = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "accounts", description = "Names, passwords and sign-in"),
        (name = "broadcasts", description = "Going live and finding who is"),
        (name = "replays", description = "Watching later"),
        (name = "server", description = "The server itself"),
    ),
    components(schemas(Document)),
)]
struct Description;

/// Every route of the API, with its description.
pub fn router() -> (Router<Shared>, OpenApi) {
    let (router, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(accounts::create))
        .routes(routes!(session::create, session::read, session::delete))
        .routes(routes!(broadcasts::create, broadcasts::list))
        .routes(routes!(broadcasts::mine))
        .routes(routes!(broadcasts::read))
        .routes(routes!(broadcasts::end))
        .routes(routes!(broadcasts::health))
        .routes(routes!(broadcasts::thumbnail))
        .routes(routes!(replays::list))
        .routes(routes!(replays::mine))
        .routes(routes!(replays::read, replays::change, replays::delete))
        .routes(routes!(replays::picture))
        .routes(routes!(replays::comments))
        .routes(routes!(replays::hearts))
        .routes(routes!(oembed::read))
        .routes(routes!(server::time))
        .split_for_parts();
    describe_failures(&mut description);
    (router, description)
}

/// The OpenAPI document as it is served, and as it is kept in `web/openapi.json`.
pub fn openapi() -> String {
    let (_, description) = router();
    let mut text = description.to_pretty_json().expect("the description is plain data");
    text.push('\n');
    text
}

/// Every operation may fail, and always in the same form.
fn describe_failures(description: &mut OpenApi) {
    let schema = Ref::from_schema_name(Document::name());
    let problem: Response = ResponseBuilder::new()
        .description("A problem document (RFC 9457)")
        .content("application/problem+json", ContentBuilder::new().schema(Some(schema)).build())
        .build();
    for item in description.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            operation.responses.responses.insert("default".into(), RefOr::T(problem.clone()));
        }
    }
}
