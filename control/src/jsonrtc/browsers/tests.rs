//! The life of sockets and sessions, told by what goes in and what comes out.

use super::*;
use crate::limits::{ACK_AFTER_MS, CHALLENGED_MS, SEQUENCE_MAX};

const ONE: SocketId = SocketId(1);
const OTHER: SocketId = SocketId(2);

fn browsers() -> Browsers {
    let limits = Limits {
        idle_ms: 30_000,
        disconnect_ms: 60_000,
        sessions: 3,
        sessions_per_user: 2,
        texts_per_s: 50,
    };
    Browsers::new(limits)
}

fn welcome(id: &str, user: &str) -> Welcome {
    Welcome {
        id: id.into(),
        user: user.into(),
        header: Members::new(),
        payload: None,
    }
}

/// Opens a socket, connects, and accepts under the wanted name.
fn connected(
    browsers: &mut Browsers,
    socket: SocketId,
    name: &str,
) -> (Option<SessionKey>, Vec<Action>) {
    connected_by(browsers, socket, name, Login::Guest)
}

fn connected_by(
    browsers: &mut Browsers,
    socket: SocketId,
    name: &str,
    login: Login,
) -> (Option<SessionKey>, Vec<Action>) {
    browsers.opened(socket, "demo", "192.0.2.1:5000", login, 0);
    let mut out = Vec::new();
    let text = format!(
        r#"{{"control":{{"type":"request","package_type":"register","sequence":1,"correlation_id":"c1"}},
        "header":{{"action":"connect","initiator":"{name}","target":"{name}"}}}}"#
    );
    browsers.text(socket, &text, 0, &mut out);
    let Some(Action::Event(Event::Connect {
        application, frame, ..
    })) = out.pop()
    else {
        panic!("no connect event")
    };
    assert_eq!(
        (application.as_str(), frame.initiator()),
        ("demo", Some(name))
    );
    let id = format!("id-{}", socket.0);
    let key = browsers.accept(socket, welcome(&id, name), 0, &mut out);
    (key, out)
}

fn texts(out: &[Action]) -> Vec<Frame> {
    out.iter()
        .filter_map(|action| match action {
            Action::Text { text, .. } => Some(Frame::read(text).unwrap()),
            Action::Close { .. } | Action::Event(_) => None,
        })
        .collect()
}

/// The session has ended: the browser was told why, as the last thing before its socket was closed.
fn assert_ended(out: &[Action], code: u32) {
    let error = texts(out).pop().unwrap();
    assert_eq!(
        (error.control.kind, error.action()),
        (Kind::Error, "connect")
    );
    assert_eq!(error.control.package.as_deref(), Some("register"));
    assert_eq!(error.control.sequence, None, "nobody will confirm it");
    assert!(error.control.session_id.is_some());
    assert_eq!(error.header_number("error_code"), Some(code));
    let last = out
        .iter()
        .rposition(|action| matches!(action, Action::Text { .. }));
    assert!(matches!(
        out[last.unwrap() + 1],
        Action::Close {
            socket: ONE,
            code: close::POLICY,
            ..
        }
    ));
    assert_eq!(closes(out), [(ONE, close::POLICY)]);
}

fn closes(out: &[Action]) -> Vec<(SocketId, u16)> {
    out.iter()
        .filter_map(|action| match action {
            Action::Close { socket, code, .. } => Some((*socket, *code)),
            Action::Text { .. } | Action::Event(_) => None,
        })
        .collect()
}

fn events(out: &[Action]) -> usize {
    out.iter()
        .filter(|action| matches!(action, Action::Event(_)))
        .count()
}

fn message(sequence: u32, ack: u32) -> String {
    format!(
        r#"{{"control":{{"type":"message","package_type":"chat","subsession_id":"x","sequence":{sequence},
        "ack_sequence":{ack}}},"header":{{"action":"note"}}}}"#
    )
}

fn outgoing() -> Frame {
    let mut header = Members::new();
    header.insert("action".into(), "note".into());
    Frame {
        control: Control::new(Kind::Message, "chat"),
        header,
        payload: None,
    }
}

fn resume(id: &str, cslr: u32) -> String {
    format!(
        r#"{{"control":{{"type":"request","package_type":"register","session_id":"{id}"}},
        "header":{{"action":"connect","initiator":"alice","target":"alice","cslr":{cslr}}}}}"#
    )
}

fn id_of(browsers: &Browsers, key: SessionKey) -> String {
    browsers.session(key).unwrap().id().to_owned()
}

#[test]
fn a_connect_is_answered_with_a_session_of_its_own() {
    let mut browsers = browsers();
    let (key, out) = connected(&mut browsers, ONE, "alice");
    let answer = &texts(&out)[0];
    assert_eq!(answer.control.kind, Kind::Response);
    assert_eq!(
        (answer.control.sequence, answer.control.ack_sequence),
        (Some(1), Some(1))
    );
    assert_eq!(answer.control.correlation_id.as_deref(), Some("c1"));
    assert_eq!(
        answer.control.session_id,
        Some(id_of(&browsers, key.unwrap()))
    );
    assert_eq!(
        (answer.response_code(), answer.initiator()),
        (200, Some("alice"))
    );
    assert_eq!(browsers.sessions_of("alice"), &[key.unwrap()]);
}

#[test]
fn nothing_but_connect_is_taken_before_connect() {
    let mut browsers = browsers();
    browsers.opened(ONE, "demo", "", Login::Guest, 0);
    let mut out = Vec::new();
    browsers.text(ONE, &message(1, 0), 0, &mut out);
    assert_eq!(texts(&out)[0].header_number("error_code"), Some(403));
    assert_eq!(events(&out), 0);
    out.clear();
    browsers.text(ONE, "ping", 0, &mut out);
    assert_eq!(
        out,
        [Action::Text {
            socket: ONE,
            text: "pong".into()
        }]
    );
}

#[test]
fn a_socket_without_a_connect_is_closed_after_ten_seconds() {
    let mut browsers = browsers();
    browsers.opened(ONE, "demo", "", Login::Guest, 5);
    assert_eq!(browsers.deadline(), Some(5 + OPENING_MS));
    let mut out = Vec::new();
    browsers.timeout(5 + OPENING_MS, &mut out);
    assert_eq!(closes(&out), [(ONE, close::IDLE)]);
    assert_eq!((browsers.sockets_len(), browsers.timers_len()), (0, 0));
}

#[test]
fn a_refused_connect_does_not_buy_more_time_and_may_be_repeated() {
    let mut browsers = browsers();
    connected(&mut browsers, SocketId(8), "alice");
    connected(&mut browsers, SocketId(9), "alice");
    let (key, out) = connected(&mut browsers, ONE, "alice");
    assert_eq!(key, None);
    let error = &texts(&out)[0];
    assert_eq!(error.header_number("error_code"), Some(503));
    assert_eq!(
        (error.control.sequence, error.control.session_id.as_deref()),
        (None, None)
    );
    assert_eq!(browsers.deadline(), Some(OPENING_MS));
    let mut out = Vec::new();
    browsers.text(ONE, &resume("unknown", 0), 1, &mut out);
    assert_eq!(events(&out), 1);
}

#[test]
fn a_challenge_leaves_time_to_type_and_three_wrong_answers_are_enough() {
    let mut browsers = browsers();
    browsers.opened(ONE, "demo", "192.0.2.1:5000", Login::Guest, 0);
    let connect = r#"{"control":{"type":"request","package_type":"register","sequence":1},"header":{"action":"connect"}}"#;
    let mut now = 9_999;
    for wrong in 0..4 {
        let mut out = Vec::new();
        browsers.text(ONE, connect, now, &mut out);
        let asks = Members::from_iter([("realm".to_owned(), "r".into())]);
        browsers.challenge(ONE, (401, "Unauthorized"), asks, now, &mut out);
        let error = texts(&out).pop().unwrap();
        assert_eq!(error.header_number("error_code"), Some(401));
        assert_eq!(error.header["authenticate"]["realm"], "r");
        if wrong < 3 {
            assert_eq!(browsers.deadline(), Some(now + CHALLENGED_MS));
            now += CHALLENGED_MS - 1;
        } else {
            assert_eq!(closes(&out), [(ONE, close::POLICY)]);
        }
    }
    assert_eq!((browsers.sockets_len(), browsers.timers_len()), (0, 0));
}

#[test]
fn a_second_connect_on_a_socket_is_refused() {
    let mut browsers = browsers();
    connected(&mut browsers, ONE, "alice");
    let mut out = Vec::new();
    let text = r#"{"control":{"type":"request","sequence":2},"header":{"action":"connect"}}"#;
    browsers.text(ONE, text, 0, &mut out);
    assert_eq!(texts(&out)[0].header_number("error_code"), Some(400));
    assert_eq!(events(&out), 0);
}

#[test]
fn a_frame_seen_before_is_not_processed_again() {
    let mut browsers = browsers();
    connected(&mut browsers, ONE, "alice");
    let mut out = Vec::new();
    browsers.text(ONE, &message(2, 1), 0, &mut out);
    browsers.text(ONE, &message(2, 1), 0, &mut out);
    assert_eq!(events(&out), 1);
    out.clear();
    browsers.timeout(ACK_AFTER_MS, &mut out);
    let ack = &texts(&out)[0].control;
    assert_eq!(
        (ack.kind, ack.ack_sequence),
        (Kind::Acknowledgement, Some(2))
    );
}

#[test]
fn five_unreadable_texts_in_a_row_close_the_socket_and_four_do_not() {
    let mut browsers = browsers();
    connected(&mut browsers, ONE, "alice");
    let mut out = Vec::new();
    for _ in 0..4 {
        browsers.text(ONE, "{", 0, &mut out);
    }
    assert_eq!(texts(&out).len(), 4);
    assert_eq!(texts(&out)[0].control.sequence, None);
    browsers.text(ONE, &message(2, 1), 0, &mut out);
    out.clear();
    for _ in 0..5 {
        browsers.text(ONE, "[]", 0, &mut out);
    }
    assert_eq!(closes(&out), [(ONE, close::UNREADABLE)]);
    assert_eq!(browsers.detached_len(), 1);
}

#[test]
fn a_binary_message_closes_with_1003() {
    let mut browsers = browsers();
    connected(&mut browsers, ONE, "alice");
    let mut out = Vec::new();
    browsers.binary(ONE, 0, &mut out);
    assert_eq!(closes(&out), [(ONE, close::BINARY)]);
}

#[test]
fn a_silent_socket_is_closed_and_its_session_waits_then_ends() {
    let mut browsers = browsers();
    let (key, _) = connected(&mut browsers, ONE, "alice");
    let mut out = Vec::new();
    browsers.text(ONE, "ping", 10_000, &mut out);
    browsers.alive(ONE, 20_000);
    out.clear();
    browsers.timeout(49_999, &mut out);
    assert_eq!(closes(&out), []);
    browsers.timeout(50_000, &mut out);
    assert_eq!(closes(&out), [(ONE, close::IDLE)]);
    assert_eq!(events(&out), 0);
    out.clear();
    browsers.timeout(110_000, &mut out);
    let ended = Event::Ended {
        session: key.unwrap(),
        user: "alice".into(),
    };
    assert_eq!(out, [Action::Event(ended)]);
    assert_eq!((browsers.sessions_len(), browsers.timers_len()), (0, 0));
    assert!(browsers.sessions_of("alice").is_empty());
}

#[test]
fn code_1000_ends_the_session_at_once() {
    let mut browsers = browsers();
    connected(&mut browsers, ONE, "alice");
    let mut out = Vec::new();
    browsers.closed(ONE, Some(close::NORMAL), 0, &mut out);
    assert_eq!(events(&out), 1);
    assert_eq!((browsers.sessions_len(), browsers.timers_len()), (0, 0));
}

#[test]
fn a_lost_socket_is_replaced_and_what_was_missed_is_sent_again() {
    let mut browsers = browsers();
    let key = connected(&mut browsers, ONE, "alice").0.unwrap();
    let id = id_of(&browsers, key);
    let mut out = Vec::new();
    browsers.send(key, outgoing(), 0, &mut out);
    browsers.closed(ONE, Some(1006), 0, &mut out);
    out.clear();
    browsers.send(key, outgoing(), 0, &mut out);
    assert_eq!(out, [], "nothing goes out without a socket");
    browsers.opened(OTHER, "demo", "", Login::Guest, 10);
    browsers.text(OTHER, &resume(&id, 1), 10, &mut out);
    let frames = texts(&out);
    assert_eq!(frames[0].header_number("sslr"), Some(1));
    assert_eq!(frames[0].control.sequence, None);
    let numbers: Vec<_> = frames[1..]
        .iter()
        .map(|frame| frame.control.sequence)
        .collect();
    assert_eq!(numbers, [Some(2), Some(3)]);
    out.clear();
    browsers.send(key, outgoing(), 0, &mut out);
    assert_eq!(texts(&out)[0].control.sequence, Some(4));
}

#[test]
fn a_resume_takes_the_session_from_a_socket_that_is_still_there() {
    let mut browsers = browsers();
    let key = connected(&mut browsers, ONE, "alice").0.unwrap();
    let id = id_of(&browsers, key);
    browsers.opened(OTHER, "demo", "", Login::Guest, 0);
    let mut out = Vec::new();
    browsers.text(OTHER, &resume(&id, 1), 0, &mut out);
    assert_eq!(closes(&out), [(ONE, close::REPLACED)]);
    out.clear();
    browsers.closed(ONE, Some(1000), 0, &mut out);
    assert_eq!(out, [], "the old socket's end is nobody's end");
    assert_eq!(browsers.session(key).unwrap().socket(), Some(OTHER));
}

#[test]
fn a_resume_of_nothing_is_a_first_connect_that_counts_as_one() {
    let mut browsers = browsers();
    browsers.opened(ONE, "demo", "", Login::Guest, 0);
    let mut out = Vec::new();
    browsers.text(ONE, &resume("gone", 41), 0, &mut out);
    assert_eq!(events(&out), 1);
    out.clear();
    let key = browsers
        .accept(ONE, welcome("new", "alice"), 0, &mut out)
        .unwrap();
    let answer = &texts(&out)[0];
    assert_ne!(answer.control.session_id.as_deref(), Some("gone"));
    assert!(!answer.header.contains_key("sslr"));
    assert_eq!(browsers.session(key).unwrap().received(), 1);
}

#[test]
fn a_session_of_another_application_cannot_be_resumed() {
    let mut browsers = browsers();
    let key = connected(&mut browsers, ONE, "alice").0.unwrap();
    let id = id_of(&browsers, key);
    browsers.opened(OTHER, "elsewhere", "", Login::Guest, 0);
    let mut out = Vec::new();
    browsers.text(OTHER, &resume(&id, 1), 0, &mut out);
    assert_eq!(closes(&out), []);
    assert_eq!(events(&out), 1, "it is treated as a first connect");
}

#[test]
fn marks_that_cannot_be_end_the_socket_and_not_the_session() {
    let mut browsers = browsers();
    let key = connected(&mut browsers, ONE, "alice").0.unwrap();
    let id = id_of(&browsers, key);
    browsers.opened(OTHER, "demo", "", Login::Guest, 0);
    let mut out = Vec::new();
    browsers.text(OTHER, &resume(&id, 99), 0, &mut out);
    assert_eq!(texts(&out)[0].header_number("error_code"), Some(400));
    assert_eq!(closes(&out), [(OTHER, close::POLICY)]);
    assert_eq!(browsers.session(key).unwrap().socket(), Some(ONE));
}

#[test]
fn a_foreign_session_id_is_refused() {
    let mut browsers = browsers();
    connected(&mut browsers, ONE, "alice");
    let mut out = Vec::new();
    let text =
        r#"{"control":{"type":"message","session_id":"x","sequence":2},"header":{"action":"n"}}"#;
    browsers.text(ONE, text, 0, &mut out);
    assert_eq!(texts(&out)[0].header_number("error_code"), Some(400));
    assert_eq!(events(&out), 0);
}

#[test]
fn a_session_whose_browser_has_used_up_its_numbers_is_ended() {
    let mut browsers = browsers();
    connected(&mut browsers, ONE, "alice");
    let mut out = Vec::new();
    browsers.text(ONE, &message(SEQUENCE_MAX, 1), 0, &mut out);
    assert_ended(&out, 503);
    assert_eq!(browsers.sessions_len(), 0);
}

#[test]
fn a_session_that_confirms_nothing_is_ended() {
    let mut browsers = browsers();
    let key = connected(&mut browsers, ONE, "alice").0.unwrap();
    let mut out = Vec::new();
    for _ in 0..crate::limits::KEPT_FRAMES_MAX {
        browsers.send(key, outgoing(), 0, &mut out);
    }
    assert_ended(&out, 503);
    assert_eq!((browsers.sessions_len(), browsers.timers_len()), (0, 0));
}

/// A session of alice's, who was authenticated, and whose socket is lost.
fn lost_session_of_alice(browsers: &mut Browsers) -> String {
    let alice = Login::User("alice".into());
    let (key, _) = connected_by(browsers, ONE, "alice", alice);
    let id = id_of(browsers, key.unwrap());
    browsers.closed(ONE, None, 5, &mut Vec::new());
    id
}

#[test]
fn a_session_is_resumed_by_its_own_user_only() {
    for (login, code) in [
        (Login::Guest, Some(403)),
        (Login::User("bob".into()), Some(403)),
        (Login::User("alice".into()), None),
        (Login::Returning("alice".into()), None),
    ] {
        let mut browsers = browsers();
        let id = lost_session_of_alice(&mut browsers);
        browsers.opened(OTHER, "demo", "", login.clone(), 10);
        let mut out = Vec::new();
        browsers.text(OTHER, &resume(&id, 1), 10, &mut out);
        assert_eq!(
            texts(&out)[0].header_number("error_code"),
            code,
            "{login:?}"
        );
        assert_eq!(events(&out), 0);
    }
}

#[test]
fn a_used_token_begins_no_session() {
    let mut browsers = browsers();
    browsers.opened(ONE, "demo", "", Login::Returning("alice".into()), 0);
    let mut out = Vec::new();
    browsers.text(ONE, &resume("gone", 0), 0, &mut out);
    assert_eq!(texts(&out)[0].header_number("error_code"), Some(403));
    assert_eq!(events(&out), 0);
}

#[test]
fn a_browser_that_sends_faster_than_anybody_needs_to_is_cut_off() {
    let mut browsers = browsers();
    connected(&mut browsers, ONE, "alice");
    let mut out = Vec::new();
    for _ in 1..400 {
        browsers.text(ONE, "ping", 0, &mut out);
    }
    assert_eq!(closes(&out), []);
    // A second's worth later it may go on, and no further.
    for _ in 0..50 {
        browsers.text(ONE, "ping", 1000, &mut out);
    }
    assert_eq!(closes(&out), []);
    out.clear();
    browsers.text(ONE, "ping", 1000, &mut out);
    assert_ended(&out, 429);
    assert_eq!(browsers.sessions_len(), 0);
}
