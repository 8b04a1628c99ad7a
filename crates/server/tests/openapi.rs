//! The TypeScript of the site is made from the description that the server serves.

#[test]
fn the_site_is_built_on_the_description_that_is_served() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/openapi.json");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == server::api::openapi(),
        "web/openapi.json differs from what the server serves; regenerate it and the types: \
         cargo run --release --bin oriel -- openapi > web/openapi.json && npm --prefix web run api"
    );
}
