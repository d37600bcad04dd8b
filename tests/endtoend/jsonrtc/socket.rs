//! R: the socket.

use serde_json::json;
use tests::page::{Heard, Page, Socket};

use super::{alice, error_code, start_to_nobody, system, system_with};

const PROTOCOL: &str = "Sec-WebSocket-Protocol";
const DEMO: &str = "/ws/webrtc/demo";

#[test]
fn r1_the_first_subprotocol_that_is_known_is_echoed_and_without_one_there_is_no_socket() {
    let causeway = system();
    for (offered, chosen) in [
        ("webrtc.oracle.com", "webrtc.oracle.com"),
        ("jsonrtc", "jsonrtc"),
        ("chat, jsonrtc, webrtc.oracle.com", "jsonrtc"),
    ] {
        let socket = Socket::open(&causeway.http, DEMO, &[(PROTOCOL, offered)]);
        assert_eq!(socket.expect("a socket").protocol, chosen);
    }
    for headers in [&[][..], &[(PROTOCOL, "chat")][..]] {
        let refused = Socket::open(&causeway.http, DEMO, headers).err();
        assert_eq!(refused.expect("refused").status, 400);
    }
}

#[test]
fn r2_an_application_that_is_not_there_is_not_found() {
    let causeway = system();
    let path = "/ws/webrtc/other";
    let refused = Socket::open(&causeway.http, path, &[(PROTOCOL, "jsonrtc")]);
    assert_eq!(refused.err().expect("refused").status, 404);
}

#[test]
fn r3_pages_of_other_origins_stay_outside() {
    let causeway = system_with("origins = [\"https://app.example.com\"]\n");
    let open = |origin: &str| {
        let headers = [(PROTOCOL, "jsonrtc"), ("Origin", origin)];
        Socket::open(&causeway.http, DEMO, &headers).map_err(|refused| refused.status)
    };
    assert!(open("https://app.example.com").is_ok());
    assert_eq!(open("https://evil.example.com").err(), Some(403));
}

#[test]
fn r4_who_has_to_prove_who_it_is_does_so_before_the_socket_opens() {
    let passwords = tests::process::fresh_folder("passwords").join("passwords");
    std::fs::write(&passwords, "").expect("a file");
    let causeway = system_with(&format!(
        "[applications.demo.login]\npasswords = \"{}\"\n",
        passwords.display()
    ));
    let wrong = [
        (PROTOCOL, "jsonrtc"),
        ("Authorization", "Basic YWxpY2U6eA=="),
    ];
    for headers in [&wrong[..1], &wrong[..]] {
        let refused = Socket::open(&causeway.http, DEMO, headers).err();
        let refused = refused.expect("refused");
        assert_eq!(refused.status, 401);
        assert!(
            refused
                .authenticate
                .is_some_and(|asked| asked.contains("Basic"))
        );
    }
}

#[test]
fn r5_a_text_that_is_no_frame_is_answered_and_the_fifth_in_a_row_is_the_last() {
    let causeway = system();
    let mut page = alice(&causeway);
    let texts = ["no JSON", "[]", "{}", r#"{"control":{"type":"wish"}}"#];
    for text in texts {
        page.socket.say(text);
        let error = page.socket.hear_frame();
        assert_eq!(error_code(&error), 400);
        assert!(error["control"].get("sequence").is_none(), "{error}");
    }
    // One that is a frame begins the count anew.
    start_to_nobody(&mut page, "x");
    assert_eq!(error_code(&page.hear()), 404);
    for text in texts {
        page.socket.say(text);
        page.socket.hear_frame();
    }
    page.socket.say("the fifth");
    assert_eq!(page.socket.hear(), Heard::Closed(Some(1007)));
    // The session is kept.
    assert!(page.resume(&causeway.http, 3, json!({}))["header"]["sslr"].is_u64());
}

#[test]
fn r6_a_binary_message_closes_the_socket_and_keeps_the_session() {
    let causeway = system();
    let mut page = alice(&causeway);
    page.socket.say_binary(&[1, 2, 3]);
    assert_eq!(page.socket.hear(), Heard::Closed(Some(1003)));
    assert_eq!(
        page.resume(&causeway.http, 2, json!({}))["header"]["sslr"],
        1
    );
}

#[test]
fn r7_a_message_over_256_kib_closes_the_socket_and_keeps_the_session() {
    let causeway = system();
    let mut page = alice(&causeway);
    page.socket.say("x".repeat(256 * 1024 + 1));
    assert_eq!(page.socket.hear(), Heard::Closed(Some(1009)));
    assert_eq!(
        page.resume(&causeway.http, 2, json!({}))["header"]["sslr"],
        1
    );
}

#[test]
fn r8_ping_is_answered_with_pong_before_there_is_a_session_and_after() {
    let causeway = system();
    let mut page = Page::open(&causeway.http, "alice@ims.test");
    page.socket.say("ping");
    assert_eq!(page.socket.hear(), Heard::Text("pong".into()));
    page.connect(json!({}));
    page.socket.say("ping");
    assert_eq!(page.socket.hear(), Heard::Text("pong".into()));
}

#[test]
fn r9_a_silent_socket_is_closed_and_its_session_kept() {
    let causeway = system_with("[limits]\nidle_s = 1\n");
    let mut page = alice(&causeway);
    assert_eq!(page.socket.hear(), Heard::Closed(Some(4001)));
    assert_eq!(
        page.resume(&causeway.http, 2, json!({}))["header"]["sslr"],
        1
    );
}

#[test]
fn r10_code_1000_ends_the_session_and_another_keeps_it() {
    let causeway = system();
    let mut page = alice(&causeway);
    let former = std::mem::replace(&mut page.socket, Socket::to_demo(&causeway.http));
    former.close(1011);
    let answer = page.resume(&causeway.http, 2, json!({}));
    assert_eq!(
        answer["control"]["session_id"],
        page.session.as_deref().unwrap()
    );
    let former = std::mem::replace(&mut page.socket, Socket::to_demo(&causeway.http));
    former.close(1000);
    let answer = page.resume(&causeway.http, 2, json!({}));
    assert_ne!(
        answer["control"]["session_id"],
        page.session.as_deref().unwrap()
    );
}

#[test]
fn r11_a_session_that_goes_on_on_a_newer_socket_leaves_the_older_with_4000() {
    let causeway = system();
    let mut page = alice(&causeway);
    let mut former = std::mem::replace(&mut page.socket, Socket::to_demo(&causeway.http));
    page.resume(&causeway.http, 2, json!({}));
    assert_eq!(former.hear(), Heard::Closed(Some(4000)));
}

#[test]
fn r12_a_session_that_is_taken_along_to_another_device_leaves_the_former_with_1001() {
    let causeway = system();
    let mut page = alice(&causeway);
    let mut former = std::mem::replace(&mut page.socket, Socket::to_demo(&causeway.http));
    let answer = page.resume(&causeway.http, 2, json!({ "handover": true }));
    assert_eq!(answer["header"]["sslr"], 1);
    assert_eq!(former.hear(), Heard::Closed(Some(1001)));
}

#[test]
fn r13_who_sends_more_than_anybody_needs_to_is_cut_off_and_its_session_ends() {
    let causeway = system_with("[limits]\ntexts_per_s = 1\n");
    let mut page = alice(&causeway);
    for _ in 0..9 {
        page.socket.say("ping");
    }
    let mut told = None;
    let end = loop {
        match page.socket.hear() {
            Heard::Text(_) => {}
            Heard::Frame(frame) => told = Some(frame),
            end @ Heard::Closed(_) => break end,
        }
    };
    assert_eq!(end, Heard::Closed(Some(4008)));
    assert_eq!(
        told.unwrap()["header"]["error_code"],
        429,
        "the last it hears"
    );
    let answer = page.resume(&causeway.http, 2, json!({}));
    assert_ne!(
        answer["control"]["session_id"],
        page.session.as_deref().unwrap()
    );
}
