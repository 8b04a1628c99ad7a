//! Broadcasts over the real API.

mod support;

use http::StatusCode;
use serde_json::{Value, json};
use support::{Server, read_all};

#[tokio::test]
async fn a_new_broadcast_has_an_id_a_key_and_addresses_to_paste() {
    let server = Server::start().await;
    let client = server.signed_in("ann").await;
    let body = json!({"title": "  From the roof ", "location": {"lat": 52.5, "lng": 13.4}});
    let answer = client.post("/api/v1/broadcasts", &body).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let created = answer.json();
    let (broadcast, key) = (&created["broadcast"], created["stream_key"].as_str().unwrap());
    let id = broadcast["id"].as_str().unwrap();
    assert_eq!(id.len(), 13);
    assert!(key.starts_with("ok_") && key.len() == 35 && !key.contains(id));
    assert_eq!(broadcast["title"], "From the roof");
    assert_eq!(broadcast["state"], "NOT_STARTED");
    assert_eq!(broadcast["location"], json!({"lat": 52.5, "lng": 13.4}));
    assert_eq!(broadcast["visibility"], "public");
    assert_eq!(broadcast["owner"]["name"], "ann");
    assert!(broadcast["started_at_ms"].is_null() && broadcast["media"].is_null());

    let rtmp = server.app.addresses().rtmp.unwrap();
    assert_eq!(created["ingest"]["rtmp"], json!({"server": format!("rtmp://{rtmp}/live"), "key": key}));
    assert_eq!(created["ingest"]["one_line"]["rtmp"], format!("rtmp://{rtmp}/live/{key}"));
    assert_eq!(created["watch_url"], format!("http://{}/watch/{id}", server.host()));
    assert_eq!(broadcast["urls"]["room"], format!("ws://{}/api/v1/broadcasts/{id}/room", server.host()));
    assert_eq!(broadcast["urls"]["rtmp"], format!("rtmp://{rtmp}/play/{id}"));
}

#[tokio::test]
async fn the_stream_key_is_shown_once_and_kept_nowhere() {
    let server = Server::start().await;
    let client = server.signed_in("ann").await;
    let (id, key) = server.broadcast(&client).await;
    let secret = key.trim_start_matches("ok_");
    for path in ["/api/v1/broadcasts/mine".to_owned(), format!("/api/v1/broadcasts/{id}")] {
        let text = client.get(&path).await.text();
        assert!(text.contains(&id) && !text.contains(secret), "{path}");
    }
    let disk = read_all(server.dir.path());
    assert!(disk.windows(id.len()).any(|w| w == id.as_bytes()), "the broadcast is on disk");
    assert!(!disk.windows(secret.len()).any(|w| w == secret.as_bytes()));
}

#[tokio::test]
async fn going_live_needs_a_sign_in() {
    let server = Server::start().await;
    let answer = server.client().post("/api/v1/broadcasts", &json!({"title": "x"})).await;
    assert_eq!(answer.problem(401, "/api/v1/broadcasts"), "/problems/sign-in-required");
    assert_eq!(server.client().get("/api/v1/broadcasts/mine").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn only_the_owner_ends_a_broadcast_and_ending_twice_is_no_error() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let bob = server.signed_in("bob").await;
    let (id, _) = server.broadcast(&ann).await;
    let end = format!("/api/v1/broadcasts/{id}/end");
    assert_eq!(bob.post(&end, &Value::Null).await.problem(403, &end), "/problems/forbidden");
    assert_eq!(bob.get(&format!("/api/v1/broadcasts/{id}/health")).await.status, StatusCode::FORBIDDEN);
    for _ in 0..2 {
        let answer = ann.post(&end, &Value::Null).await;
        assert_eq!((answer.status, &answer.json()["state"]), (StatusCode::OK, &json!("ENDED")));
    }
}

#[tokio::test]
async fn an_unstarted_broadcast_is_in_no_list_but_ones_own() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, _) = server.broadcast(&ann).await;
    assert_eq!(server.client().get("/api/v1/broadcasts").await.json(), json!({"broadcasts": []}));
    let mine = ann.get("/api/v1/broadcasts/mine").await.json();
    assert_eq!(mine["broadcasts"][0]["id"], id);
    let health = ann.get(&format!("/api/v1/broadcasts/{id}/health")).await.json();
    assert_eq!((&health["connected"], &health["peer"]), (&json!(false), &Value::Null));
}

#[tokio::test]
async fn nonsense_is_refused_in_words() {
    let server = Server::start().await;
    let client = server.signed_in("ann").await;
    for body in [
        json!({"title": ""}),
        json!({"title": "   "}),
        json!({"title": "x".repeat(121)}),
        json!({"title": "two\nlines"}),
        json!({"title": "x", "location": {"lat": 91, "lng": 0}}),
        json!({"title": "x", "visibility": "secret"}),
        json!({"title": "x", "colour": "red"}),
        json!({}),
    ] {
        let answer = client.post("/api/v1/broadcasts", &body).await;
        assert_eq!(answer.problem(422, "/api/v1/broadcasts"), "/problems/invalid", "{body}");
    }
}

#[tokio::test]
async fn making_broadcasts_is_limited_by_account() {
    let server = Server::with(|config| config.limits.broadcasts_per_account_per_hour = 2).await;
    let ann = server.signed_in("ann").await;
    let bob = server.signed_in("bob").await;
    server.broadcast(&ann).await;
    server.broadcast(&ann).await;
    let answer = ann.post("/api/v1/broadcasts", &json!({"title": "x"})).await;
    assert_eq!(answer.problem(429, "/api/v1/broadcasts"), "/problems/rate-limited");
    server.broadcast(&bob).await;
}

#[tokio::test]
async fn a_public_url_is_what_people_get() {
    let server = Server::with(|config| {
        config.http.public_url = Some("https://live.example.org".into());
        config.rtmp.listen = server::config::Listen::OFF;
    })
    .await;
    let client = server.signed_in("ann").await;
    let created = client.post("/api/v1/broadcasts", &json!({"title": "x"})).await.json();
    let id = created["broadcast"]["id"].as_str().unwrap();
    assert_eq!(created["watch_url"], format!("https://live.example.org/watch/{id}"));
    assert_eq!(created["broadcast"]["urls"]["flv_ws"], format!("wss://live.example.org/live/{id}.flv"));
    // RTMP is off: both are RTMPS.
    let port = server.app.addresses().rtmps.unwrap().port();
    assert_eq!(created["ingest"]["rtmp"]["server"], format!("rtmps://live.example.org:{port}/live"));
    assert_eq!(created["ingest"]["rtmp"], created["ingest"]["rtmps"]);
}
