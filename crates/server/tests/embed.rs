//! What other sites get of a broadcast: a frame, a link preview, an oEmbed answer. What shows a replay's picture is in `replay.rs`.

mod support;

use http::StatusCode;
use serde_json::json;
use support::Server;

#[tokio::test]
async fn only_the_player_may_be_framed() {
    let server = Server::start().await;
    let client = server.client();
    let player = client.get("/embed/abcdefghjkmnp").await;
    assert_eq!((player.status, player.header("x-frame-options")), (StatusCode::OK, ""));
    assert!(player.header("content-security-policy").contains("frame-ancestors *"), "{:?}", player.headers);
    let others = [
        "/",
        "/watch/abcdefghjkmnp",
        "/go",
        "/signin",
        "/embed",
        "/embed/x",
        "/embed/abcdefghjkmnp/x",
        "/embed.html",
        "/api/docs",
        "/api/v1/time",
        "/nothing",
    ];
    for path in others {
        let mut asking = client.clone();
        asking.headers = vec![("accept", "text/html".into())];
        let answer = asking.get(path).await;
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert!(!answer.header("content-security-policy").contains("frame-ancestors *"), "{path}");
    }
}

#[tokio::test]
async fn a_page_tells_crawlers_what_it_shows_and_a_hostile_title_stays_text() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let title = "\"><script>alert(1)</script> & 'co'";
    let made = ann.post("/api/v1/broadcasts", &json!({ "title": title })).await.json();
    let id = made["broadcast"]["id"].as_str().expect("an id");
    let site = format!("http://{}", server.host());
    let page = server.client().get(&format!("/watch/{id}")).await;
    let text = page.text();
    let escaped = "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#39;co&#39;";
    for tag in [
        format!("<title>{escaped} · ann · Oriel</title>"),
        format!("<meta property=\"og:title\" content=\"{escaped}\" />"),
        format!("<meta property=\"og:url\" content=\"{site}/watch/{id}\" />"),
        format!("<meta property=\"og:video\" content=\"{site}/embed/{id}\" />"),
        "<link rel=\"alternate\" type=\"application/json+oembed\"".to_owned(),
    ] {
        assert!(text.contains(&tag), "{tag}\n{text}");
    }
    assert!(!text.contains("<script>alert") && text.matches("<title>").count() == 1, "{text}");
    assert!(!text.contains("og:image"), "there is no picture yet: {text}");
    assert!(text.contains("type=\"module\""), "the rest of the page is there");
    let mut knowing = server.client();
    knowing.headers = vec![("if-none-match", page.header("etag").to_owned())];
    assert_eq!(knowing.get(&format!("/watch/{id}")).await.status, StatusCode::NOT_MODIFIED);
    assert_eq!(knowing.get("/").await.status, StatusCode::OK, "another page has another tag");
    // Without a broadcast it is the plain page.
    assert!(server.client().get("/watch/abcdefghjkmnp").await.text().contains("<title>Oriel</title>"));
}

#[tokio::test]
async fn oembed_answers_for_pages_of_this_server_only() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, _) = server.broadcast(&ann).await;
    let (client, host) = (server.client(), server.host());
    let path = "/api/v1/oembed";
    let answer = client.get(&format!("{path}?url=http%3A%2F%2F{host}%2Fwatch%2F{id}&maxwidth=480&x=y")).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let said = answer.json();
    assert_eq!((&said["version"], &said["type"]), (&json!("1.0"), &json!("video")));
    assert_eq!((&said["width"], &said["height"]), (&json!(480), &json!(270)));
    assert_eq!((&said["title"], &said["author_name"]), (&json!("A test"), &json!("ann")));
    assert!(said["thumbnail_url"].is_null(), "nothing was shown yet: {said}");
    let html = said["html"].as_str().expect("a string");
    assert!(html.starts_with(&format!("<iframe src=\"http://{host}/embed/{id}\" width=\"480\"")), "{html}");

    for (query, status, kind) in [
        ("".to_owned(), 400, "malformed"),
        (format!("?url=http://evil.example/watch/{id}"), 404, "not-found"),
        (format!("?url=http://{host}/watch/abcdefghjkmnp"), 404, "not-found"),
        (format!("?url=http://{host}/go/{id}"), 404, "not-found"),
        (format!("?url=http://{host}/watch/{id}&maxwidth=0"), 422, "invalid"),
        (format!("?url=http://{host}/watch/{id}&format=xml"), 501, "not-implemented"),
    ] {
        let answer = client.get(&format!("{path}{query}")).await;
        assert_eq!(answer.problem(status, path), format!("/problems/{kind}"), "{query}");
    }
}
