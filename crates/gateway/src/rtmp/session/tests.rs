//! The session against our own client, against hand-made bytes, and against recordings of real encoders.

use super::*;
use crate::rtmp::chunk::write_message;
use crate::rtmp::client::session as client;
use crate::rtmp::handshake::Handshake;
use crate::rtmp::message::MediaKind;
use bytes::{BufMut, Bytes};

fn string(text: &str) -> Value<'_> {
    Value::String(text.into())
}

/// C0, C1 and C2, which need no answer to be made.
fn hello() -> BytesMut {
    let mut bytes = BytesMut::new();
    Handshake::client(1, &mut bytes);
    bytes.put_bytes(0, 1536);
    bytes
}

fn put_command(wire: &mut BytesMut, stream_id: u32, payload: &[u8]) {
    write_message(wire, 3, type_id::COMMAND, 0, stream_id, &[payload], 128);
}

fn put_connect(wire: &mut BytesMut, app: &str) {
    put_command(wire, 0, &command::connect(1.0, app, "rtmp://host/live"));
}

fn put_publish(wire: &mut BytesMut, key: &str) {
    put_command(wire, 1, &command::call("publish", 5.0, &[string(key), string("live")]));
}

/// A session that has got these bytes.
fn given(wire: &[u8]) -> Session {
    let mut session = Session::new(1);
    session.inbound().put_slice(wire);
    session
}

fn publishing() -> Session {
    let mut wire = hello();
    put_connect(&mut wire, "live");
    put_publish(&mut wire, "key");
    let mut session = given(&wire);
    assert!(matches!(session.poll(), Ok(Some(Event::Publish(_)))));
    session.accept();
    session
}

/// The commands in what the session wants to send, after the handshake.
fn answers(session: &mut Session) -> Vec<Command> {
    let mut bytes = session.outbound().split();
    let mut reader = crate::rtmp::chunk::Reader::new(Limits::MEDIA, Default::default());
    let mut commands = Vec::new();
    if bytes.len() >= 3073 && bytes[0] == 3 {
        let _ = bytes.split_to(3073);
    }
    while let Some(message) = reader.next(&mut bytes).expect("the session writes sound chunks") {
        if message.type_id == type_id::COMMAND {
            commands.push(Command::read(message.type_id, &message.payload).expect("a command"));
        }
    }
    commands
}

fn codes(session: &mut Session) -> Vec<String> {
    answers(session).iter().map(|command| command.status().0.to_owned()).collect()
}

#[test]
fn commands_sent_before_their_answers_are_all_answered_in_order() {
    let mut wire = hello();
    put_connect(&mut wire, "live");
    for (name, transaction) in [("releaseStream", 2.0), ("FCPublish", 3.0)] {
        put_command(&mut wire, 0, &command::call(name, transaction, &[string("ok_secret")]));
    }
    put_command(&mut wire, 0, &command::call("createStream", 4.0, &[]));
    put_publish(&mut wire, "ok_secret?token=7");
    write_message(&mut wire, 6, type_id::VIDEO, 40, 1, &[b"early"], 128);

    let mut session = given(&wire);
    let Ok(Some(Event::Publish(wanted))) = session.poll() else { panic!("no publish") };
    assert_eq!((wanted.app.as_str(), wanted.name.as_str()), ("live", "ok_secret"));
    assert_eq!(wanted.query.as_deref(), Some("token=7"));
    assert!(!format!("{wanted:?}").contains("secret"), "keys do not get into logs");
    assert_eq!(session.poll(), Ok(None), "nothing is read before the answer");

    session.accept();
    let video = Media { kind: MediaKind::Video, timestamp_ms: 40, payload: Bytes::from_static(b"early") };
    assert_eq!(session.poll(), Ok(Some(Event::Media(video))));
    let answers = answers(&mut session);
    let seen: Vec<_> = answers.iter().map(|answer| (answer.name.as_str(), answer.transaction)).collect();
    assert_eq!(seen, [("_result", 1.0), ("_result", 2.0), ("_result", 3.0), ("_result", 4.0), ("onStatus", 0.0)]);
    assert_eq!(answers[4].status().0, "NetStream.Publish.Start");
}

#[test]
fn every_split_of_a_pipelined_publish_gives_the_same() {
    let mut wire = hello();
    put_connect(&mut wire, "live?x=1");
    put_publish(&mut wire, "key");
    for step in [1, 2, 3, 7, 100, 1537] {
        let mut session = Session::new(1);
        let mut events = Vec::new();
        for part in wire.chunks(step) {
            session.inbound().put_slice(part);
            events.extend(session.poll().expect("sound"));
        }
        let [Event::Publish(wanted)] = &events[..] else { panic!("{events:?}") };
        assert_eq!((wanted.name.as_str(), wanted.query.as_deref()), ("key", Some("x=1")), "in steps of {step}");
    }
}

/// Carries bytes between our client and the server until neither has anything to say.
fn converse(client: &mut client::Session, server: &mut Session) -> (Vec<client::Event>, Vec<Event>) {
    let (mut seen, mut asked) = (Vec::new(), Vec::new());
    loop {
        while let Some(event) = client.poll().expect("the server is sound") {
            seen.push(event);
        }
        while let Some(event) = server.poll().expect("the client is sound") {
            asked.push(event);
        }
        let (to_server, to_client) = (client.outbound().split(), server.outbound().split());
        if to_server.is_empty() && to_client.is_empty() {
            return (seen, asked);
        }
        server.inbound().put(to_server);
        client.inbound().put(to_client);
    }
}

fn connected(app: &str) -> (client::Session, Session) {
    let (mut client, mut server) = (client::Session::new(3, app, "rtmp://host/app"), Session::new(4));
    let (seen, asked) = converse(&mut client, &mut server);
    assert_eq!((seen, asked), (vec![client::Event::Connected], vec![]));
    (client, server)
}

#[test]
fn our_client_publishes_and_says_goodbye() {
    let (mut client, mut server) = connected("live");
    client.request(client::Purpose::Publish, "key");
    let (_, asked) = converse(&mut client, &mut server);
    assert!(matches!(&asked[..], [Event::Publish(wanted)] if wanted.name == "key" && wanted.four_ccs.len() == 5));
    server.accept();
    assert_eq!(converse(&mut client, &mut server).0, [client::Event::Started]);

    let big = vec![7; 200_000];
    client.send(MediaKind::Script, 0, b"\x02\0\x0aonMetaData\x05");
    client.send(MediaKind::Video, 17_000_000, &big);
    client.send(MediaKind::Audio, 17_000_001, b"sound");
    client.finish();
    let (_, got) = converse(&mut client, &mut server);
    let media = |kind, timestamp_ms, payload: &[u8]| {
        Event::Media(Media { kind, timestamp_ms, payload: Bytes::copy_from_slice(payload) })
    };
    let expected = [
        media(MediaKind::Script, 0, b"\x02\0\x0aonMetaData\x05"),
        media(MediaKind::Video, 17_000_000, &big),
        media(MediaKind::Audio, 17_000_001, b"sound"),
        Event::Goodbye,
    ];
    assert_eq!(got, expected, "and deleteStream after FCUnpublish is not a second goodbye");
}

#[test]
fn our_client_plays_what_is_written_for_every_player() {
    let (mut client, mut server) = connected("play");
    client.request(client::Purpose::Play, "abc");
    let (_, asked) = converse(&mut client, &mut server);
    assert!(matches!(&asked[..], [Event::Play(wanted)] if wanted.app == "play" && wanted.name == "abc"));
    server.accept();
    let shared = crate::rtmp::chunk::PLAY_CHUNK_SIZE;
    write_message(server.outbound(), 6, type_id::VIDEO, 9, STREAM_ID, &[&[1; 100_000]], shared);
    client.inbound().put(server.outbound().split());
    server.end_play();
    let (seen, _) = converse(&mut client, &mut server);
    let [client::Event::Started, client::Event::Media(media), client::Event::Ended] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_eq!((media.timestamp_ms, media.payload.len()), (9, 100_000));
}

#[test]
fn a_refusal_reaches_publisher_and_player_as_a_sentence() {
    for (purpose, refusal, expected) in [
        (client::Purpose::Publish, Refusal::BadKey, "NetStream.Publish.Denied"),
        (client::Purpose::Publish, Refusal::AlreadyLive, "NetStream.Publish.Denied"),
        (client::Purpose::Play, Refusal::NoSuchBroadcast, "NetStream.Play.StreamNotFound"),
        (client::Purpose::Play, Refusal::Busy, "NetStream.Play.Failed"),
    ] {
        let (mut client, mut server) = connected("live");
        client.request(purpose, "x");
        converse(&mut client, &mut server);
        server.reject(&refusal);
        client.inbound().put(server.outbound().split());
        let error = client.poll().expect_err("refused");
        let description = refusal.description().to_owned();
        assert_eq!(error, client::Error::Refused { code: expected.to_owned(), description });
        server.inbound().put_slice(&[0xff; 100]);
        assert_eq!(server.poll().ok(), server.poll().ok(), "what follows a refusal does no harm");
    }
}

#[test]
fn a_broadcast_that_ends_tells_its_publisher() {
    let mut session = publishing();
    session.reject(&Refusal::Ended);
    assert_eq!(codes(&mut session).last().map(String::as_str), Some("NetStream.Publish.Denied"));
}

#[test]
fn a_connect_without_application_is_rejected() {
    let mut wire = hello();
    put_connect(&mut wire, "/?only=query");
    let mut session = given(&wire);
    assert_eq!(session.poll(), Err(Error::NoApplication));
    assert_eq!(codes(&mut session), ["NetConnection.Connect.Rejected"]);
}

#[test]
fn requests_out_of_order_are_errors() {
    let mut early = hello();
    put_publish(&mut early, "key");
    assert_eq!(given(&early).poll(), Err(Error::NotConnected("publish")));

    let mut twice = hello();
    put_connect(&mut twice, "live");
    put_connect(&mut twice, "live");
    assert_eq!(given(&twice).poll(), Err(Error::SecondRequest));

    let mut session = publishing();
    let mut wire = BytesMut::new();
    put_publish(&mut wire, "other");
    session.inbound().put(wire);
    assert_eq!(session.poll(), Err(Error::SecondRequest));
}

#[test]
fn unknown_commands_get_an_error_and_harmless_ones_nothing() {
    let mut session = publishing();
    answers(&mut session);
    let mut wire = BytesMut::new();
    put_command(&mut wire, 0, &command::call("launchMissiles", 9.0, &[]));
    put_command(&mut wire, 0, &command::call("notify", 0.0, &[]));
    put_command(&mut wire, 0, &command::call("pause", 10.0, &[]));
    put_command(&mut wire, 0, &command::call("getStreamLength", 11.0, &[]));
    session.inbound().put(wire);
    assert_eq!(session.poll(), Ok(None));
    let answers = answers(&mut session);
    let seen: Vec<_> = answers.iter().map(|answer| (answer.name.as_str(), answer.transaction)).collect();
    assert_eq!(seen, [("_error", 9.0), ("_result", 11.0)]);
}

#[test]
fn an_aggregate_comes_out_as_its_parts() {
    let mut session = publishing();
    let part = |type_id: u8, time: u8| [&[type_id, 0, 0, 1, 0, 0, time, 0, 0, 0, 0][..], b"x", &[0, 0, 0, 12]].concat();
    let mut wire = BytesMut::new();
    write_message(&mut wire, 6, type_id::AGGREGATE, 500, 1, &[&part(9, 0), &part(8, 9)], 128);
    session.inbound().put(wire);
    let times: Vec<_> = std::iter::from_fn(|| session.poll().expect("sound"))
        .map(|event| match event {
            Event::Media(media) => media.timestamp_ms,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(times, [500, 509]);
}

#[test]
fn media_limits_apply_only_after_acceptance() {
    let mut wire = hello();
    put_connect(&mut wire, "live");
    let header = [6, 0, 0, 0, 0x01, 0, 1, type_id::VIDEO, 1, 0, 0, 0];
    let mut stranger = given(&[&wire[..], &header].concat());
    let limit = Limits::REQUEST.video;
    let too_large = crate::rtmp::chunk::Error::MessageTooLarge { type_id: type_id::VIDEO, length: limit + 1, limit };
    assert_eq!(stranger.poll(), Err(Error::Link(link::Error::Chunk(too_large))));

    let mut session = publishing();
    session.inbound().put_slice(&header);
    assert_eq!(session.poll(), Ok(None));
}

#[test]
fn pings_are_answered_and_a_flood_that_is_not_read_ends_the_connection() {
    let mut session = publishing();
    session.outbound().clear();
    let mut ping = BytesMut::new();
    let (type_id, payload) = Control::Ping(77).write();
    write_message(&mut ping, 2, type_id, 0, 0, &[&payload], 128);
    session.inbound().put_slice(&ping);
    assert_eq!(session.poll(), Ok(None));
    let mut pong = BytesMut::new();
    let (type_id, payload) = Control::Pong(77).write();
    write_message(&mut pong, 2, type_id, 0, 0, &[&payload], 128);
    assert_eq!(session.outbound().split(), pong);

    for _ in 0..5000 {
        session.inbound().put_slice(&ping);
    }
    let limit = 64 << 10;
    assert_eq!(session.poll(), Err(Error::Link(link::Error::AnswersUnread { limit })));
}

fn put_control(session: &mut Session, control: Control) {
    let (type_id, payload) = control.write();
    write_message(session.inbound(), 2, type_id, 0, 0, &[&payload], 128);
}

#[test]
fn we_acknowledge_at_half_the_peers_window() {
    let mut session = publishing();
    session.outbound().clear();
    put_control(&mut session, Control::Window(100_000));
    for sent in 0..10 {
        write_message(session.inbound(), 6, type_id::VIDEO, sent, 1, &[&[0; 12_000]], 128);
    }
    while session.poll().expect("sound").is_some() {}
    let mut reader = crate::rtmp::chunk::Reader::new(Limits::MEDIA, Default::default());
    let mut acknowledged = Vec::new();
    let mut bytes = session.outbound().split();
    while let Some(message) = reader.next(&mut bytes).expect("sound") {
        if let Ok(Some(Control::Acknowledgement(count))) = Control::read(message.type_id, &message.payload) {
            acknowledged.push(count);
        }
    }
    assert_eq!(acknowledged.len(), 2);
    assert!(acknowledged[0] >= 50_000 && acknowledged[1] >= acknowledged[0] + 50_000, "{acknowledged:?}");
}

#[test]
fn a_player_is_bounded_by_acknowledgements_only_if_it_has_asked() {
    let mut session = publishing();
    session.link().count_sent(1 << 30);
    assert_eq!(session.link().unacknowledged(), None);
    put_control(&mut session, Control::PeerBandwidth(1_000_000));
    put_control(&mut session, Control::Acknowledgement((1 << 30) - 5));
    assert_eq!(session.poll(), Ok(None));
    assert_eq!(session.link().unacknowledged(), Some((5, 2_000_000)));
}

mod recordings {
    //! What real encoders sent to a server of ours, byte for byte.

    use super::*;

    /// Feeds a recording in steps and accepts the publish; the media, and whether it said goodbye.
    fn replay(recording: &[u8], step: usize) -> (Wanted, Vec<Media>, bool) {
        let mut session = Session::new(1);
        let (mut wanted, mut media, mut goodbye) = (None, Vec::new(), false);
        for part in recording.chunks(step) {
            session.inbound().put_slice(part);
            session.outbound().clear();
            while let Some(event) = session.poll().expect("encoders are sound") {
                match event {
                    Event::Publish(asked) => {
                        wanted = Some(asked);
                        session.accept();
                    }
                    Event::Media(one) => media.push(one),
                    Event::Goodbye => goodbye = true,
                    Event::Play(_) => panic!("an encoder does not play"),
                }
            }
        }
        (wanted.expect("a publish"), media, goodbye)
    }

    fn check(recording: &[u8], software: &str) {
        let (wanted, media, goodbye) = replay(recording, recording.len());
        assert_eq!((wanted.app.as_str(), wanted.name.as_str()), ("live", "key"));
        assert!(wanted.software.starts_with(software), "{}", wanted.software);
        assert!(goodbye, "a clean end");
        assert!(media[0].payload.starts_with(b"\x02\0\x0aonMetaData"), "metadata first");
        for kind in [MediaKind::Audio, MediaKind::Video] {
            let times: Vec<_> = media.iter().filter(|one| one.kind == kind).map(|one| one.timestamp_ms).collect();
            assert!(times.len() > 10 && times.is_sorted(), "{kind:?} at {times:?}");
        }
        for step in [1, 13, 1000] {
            assert_eq!(replay(recording, step).1, media, "in steps of {step}");
        }
    }

    #[test]
    fn ffmpeg() {
        check(include_bytes!("../../../tests/fixtures/rtmp/ffmpeg.bin"), "FMLE/3.0");
    }

    #[test]
    fn librtmp() {
        // It names no software unless told to.
        check(include_bytes!("../../../tests/fixtures/rtmp/librtmp.bin"), "");
    }
}
