//! Accounts and sign-in over the real API.

mod support;

use http::{Method, StatusCode};
use serde_json::json;
use support::{Server, read_all};

#[tokio::test]
async fn signing_up_signs_in_and_signing_out_ends_it() {
    let server = Server::start().await;
    let client = server.signed_in("ann").await;
    let session = client.get("/api/v1/session").await.json();
    assert_eq!(session["user"]["name"], "ann");

    let answer = client.send(Method::DELETE, "/api/v1/session", None, bytes::Bytes::new()).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert!(answer.header("set-cookie").contains("Max-Age=0"));
    // The old cookie is worthless, not only forgotten by the browser.
    assert!(client.get("/api/v1/session").await.json()["user"].is_null());

    let again = client.post("/api/v1/session", &json!({"name": "ann", "password": "long enough"})).await;
    assert_eq!(again.status, StatusCode::OK);
    let set = again.header("set-cookie");
    assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_alike() {
    let server = Server::start().await;
    let client = server.signed_in("ann").await;
    let wrong = client.post("/api/v1/session", &json!({"name": "ann", "password": "not this one"})).await;
    let unknown = client.post("/api/v1/session", &json!({"name": "nobody", "password": "not this one"})).await;
    assert_eq!(wrong.problem(401, "/api/v1/session"), "/problems/bad-credentials");
    assert_eq!(wrong.body, unknown.body);
}

#[tokio::test]
async fn names_are_taken_once_and_checked() {
    let server = Server::start().await;
    let client = server.signed_in("ann").await;
    let path = "/api/v1/accounts";
    let taken = client.post(path, &json!({"name": "ann", "password": "long enough"})).await;
    assert_eq!(taken.problem(409, path), "/problems/conflict");
    for (name, password) in [("Ann", "long enough"), ("a", "long enough"), ("bob", "short")] {
        let answer = client.post(path, &json!({"name": name, "password": password})).await;
        assert_eq!(answer.problem(422, path), "/problems/invalid");
    }
}

#[tokio::test]
async fn a_closed_server_makes_no_accounts() {
    let server = Server::with(|config| config.accounts.registration = server::config::Registration::Closed).await;
    let answer = server.client().post("/api/v1/accounts", &json!({"name": "ann", "password": "long enough"})).await;
    assert_eq!(answer.problem(403, "/api/v1/accounts"), "/problems/forbidden");
}

#[tokio::test]
async fn writes_from_other_sites_are_refused() {
    let server = Server::start().await;
    let mut client = server.signed_in("ann").await;
    for (name, value) in [
        ("origin", "https://evil.example".to_owned()),
        ("origin", "null".to_owned()),
        ("sec-fetch-site", "cross-site".to_owned()),
        ("sec-fetch-site", "same-site".to_owned()),
    ] {
        client.headers = vec![(name, value)];
        let answer = client.post("/api/v1/broadcasts", &json!({"title": "Not mine"})).await;
        assert_eq!(answer.problem(403, "/api/v1/broadcasts"), "/problems/cross-site");
        // Reading is harmless: the answer cannot be read there.
        assert_eq!(client.get("/api/v1/session").await.status, StatusCode::OK);
    }
    client.headers = vec![("origin", format!("http://{}", server.host()))];
    assert_eq!(client.post("/api/v1/broadcasts", &json!({"title": "Mine"})).await.status, StatusCode::CREATED);
    // A form of another site can send this without asking.
    client.headers.clear();
    let body = bytes::Bytes::from_static(br#"{"title":"Form"}"#);
    let answer = client.send(Method::POST, "/api/v1/broadcasts", Some("text/plain"), body).await;
    assert_eq!(answer.problem(415, "/api/v1/broadcasts"), "/problems/unsupported-media-type");
}

#[tokio::test]
async fn sign_in_is_limited_by_address_and_by_name() {
    let server = Server::with(|config| {
        config.limits.login_per_name_per_minute = 3;
        config.limits.login_per_address_per_minute = 5;
    })
    .await;
    let client = server.client();
    let mut statuses = Vec::new();
    for name in ["ann", "ann", "ann", "ann", "bob", "bob"] {
        let answer = client.post("/api/v1/session", &json!({"name": name, "password": "a guess"})).await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            assert_eq!(answer.problem(429, "/api/v1/session"), "/problems/rate-limited");
            assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds > 0));
        }
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 429, 401, 429]);
}

#[tokio::test]
async fn registration_is_limited_by_address() {
    let server = Server::with(|config| config.limits.registration_per_address_per_hour = 1).await;
    let client = server.signed_in("ann").await;
    let answer = client.post("/api/v1/accounts", &json!({"name": "bob", "password": "long enough"})).await;
    assert_eq!(answer.problem(429, "/api/v1/accounts"), "/problems/rate-limited");
}

#[tokio::test]
async fn behind_a_trusted_proxy_limits_follow_the_client() {
    let server = Server::with(|config| {
        config.http.trusted_proxies = vec!["127.0.0.0/8".into()];
        config.limits.login_per_address_per_minute = 1;
    })
    .await;
    let mut client = server.client();
    let mut attempt = async |address: &str| {
        client.headers = vec![("x-forwarded-for", address.to_owned()), ("x-forwarded-proto", "https".to_owned())];
        client.post("/api/v1/session", &json!({"name": "ann", "password": "a guess"})).await.status.as_u16()
    };
    assert_eq!(attempt("192.0.2.1").await, 401);
    assert_eq!(attempt("192.0.2.1").await, 429);
    assert_eq!(attempt("192.0.2.2").await, 401);
}

#[tokio::test]
async fn neither_password_nor_session_is_on_disk() {
    let server = Server::start().await;
    let client = server.signed_in("ann").await;
    let token = client.cookie.clone().expect("signed in").split_once('=').expect("a pair").1.to_owned();
    let disk = read_all(server.dir.path());
    assert!(disk.windows(3).any(|w| w == b"ann"), "the account is on disk");
    for secret in ["long enough", token.as_str()] {
        assert!(!disk.windows(secret.len()).any(|w| w == secret.as_bytes()));
    }
}
