//! The door of the rooms. What is said in them is tested in `room`.

mod support;

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use support::{Client, Server};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

type Socket = WebSocketStream<TcpStream>;

async fn connect(client: &Client, id: &str) -> Result<Socket, Error> {
    let mut request = format!("ws://{}/api/v1/broadcasts/{id}/room", client.host).into_client_request()?;
    if let Some(cookie) = &client.cookie {
        request.headers_mut().insert("cookie", cookie.parse().expect("a header"));
    }
    for (name, value) in &client.headers {
        request.headers_mut().insert(*name, value.parse().expect("a header"));
    }
    let stream = TcpStream::connect(&client.host).await?;
    Ok(tokio_tungstenite::client_async(request, stream).await?.0)
}

async fn say(socket: &mut Socket, frame: Value) {
    socket.send(Message::text(frame.to_string())).await.expect("the socket is open");
}

/// The next frame that `wanted` takes something from.
async fn hear<T>(socket: &mut Socket, wanted: impl Fn(&Value) -> Option<T>) -> T {
    let found = async {
        loop {
            let Message::Text(text) = socket.next().await.expect("not over").expect("no error") else { continue };
            if let Some(found) = wanted(&serde_json::from_str(&text).expect("JSON")) {
                return found;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), found).await.expect("in time")
}

async fn enter(client: &Client, id: &str, device: &str) -> (Socket, Value) {
    let mut socket = connect(client, id).await.expect("the room opens");
    say(&mut socket, json!({"t": "hello", "device": device})).await;
    let welcome = hear(&mut socket, |frame| (frame["t"] == "welcome").then(|| frame.clone())).await;
    (socket, welcome)
}

async fn close_code(socket: &mut Socket) -> u16 {
    let closed = async {
        loop {
            match socket.next().await {
                Some(Ok(Message::Close(Some(frame)))) => return u16::from(frame.code),
                Some(Ok(_)) => {}
                other => panic!("no close frame: {other:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(15), closed).await.expect("in time")
}

#[tokio::test]
async fn the_cookie_says_who_speaks_and_a_guest_has_a_name() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let bob = server.signed_in("bob").await;
    let (id, _) = server.broadcast(&ann).await;
    let (mut owner, welcome) = enter(&ann, &id, "0123456789abcdef-ann").await;
    assert_eq!((&welcome["you"]["name"], &welcome["you"]["role"]), (&json!("ann"), &json!("broadcaster")));
    let (_other, welcome) = enter(&bob, &id, "0123456789abcdef-bob").await;
    assert_eq!((&welcome["you"]["name"], &welcome["you"]["role"]), (&json!("bob"), &json!("user")));
    let (mut guest, welcome) = enter(&server.client(), &id, "0123456789abcdef-guest").await;
    assert_eq!(welcome["you"]["role"], "guest");

    say(&mut guest, json!({"t": "comment", "cid": "c1", "text": "hello", "captured_ms": null})).await;
    let heard = hear(&mut owner, |frame| {
        let events = frame["e"].as_array()?;
        events.iter().find(|event| event["k"] == "comment").map(|event| event["text"].clone())
    });
    assert_eq!(heard.await, "hello");
}

#[tokio::test]
async fn a_bad_hello_and_an_unknown_broadcast_have_their_close_codes() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, _) = server.broadcast(&ann).await;
    let mut socket = connect(&ann, &id).await.unwrap();
    say(&mut socket, json!({"t": "ping", "c": 1})).await;
    assert_eq!(close_code(&mut socket).await, 4001);
    for unknown in ["abcdefghjkmnp", "not-an-id"] {
        let mut socket = connect(&server.client(), unknown).await.unwrap();
        say(&mut socket, json!({"t": "hello", "device": "0123456789abcdef"})).await;
        assert_eq!(close_code(&mut socket).await, 4004);
    }
}

#[tokio::test]
async fn a_room_is_not_opened_from_another_site() {
    let server = Server::start().await;
    let mut ann = server.signed_in("ann").await;
    let (id, _) = server.broadcast(&ann).await;
    ann.headers = vec![("origin", "https://evil.example".into())];
    let Err(Error::Http(response)) = connect(&ann, &id).await else { panic!("it was let in") };
    assert_eq!(response.status(), 403);
}

#[tokio::test]
async fn joins_are_limited_by_address() {
    let server = Server::with(|config| config.limits.joins_per_address_per_minute = 2).await;
    let ann = server.signed_in("ann").await;
    let (id, _) = server.broadcast(&ann).await;
    // Half of it at once.
    assert!(connect(&ann, &id).await.is_ok());
    let Err(Error::Http(response)) = connect(&ann, &id).await else { panic!("it was let in") };
    assert_eq!(response.status(), 429);
}

#[tokio::test]
async fn a_stopping_server_says_when_to_come_back() {
    let server = Server::start().await;
    let ann = server.signed_in("ann").await;
    let (id, _) = server.broadcast(&ann).await;
    let (mut socket, _) = enter(&ann, &id, "0123456789abcdef").await;
    let Server { app, dir } = server;
    let stopped = tokio::spawn(app.drain());
    let retry_ms = hear(&mut socket, |frame| (frame["t"] == "drain").then(|| frame["retry_ms"].clone())).await;
    assert!(retry_ms.as_u64().is_some());
    assert_eq!(close_code(&mut socket).await, u16::from(CloseCode::Restart));
    tokio::time::timeout(Duration::from_secs(10), stopped).await.expect("in time").unwrap();
    drop(dir);
}
