//! W: a chat, with a handset at the other end.

use std::io::Write;

use serde_json::{Value, json};
use tests::page::{Chat, Page, SDP};

use super::{alice, error_code, system};

/// The lines of a description.
fn line<'a>(frame: &'a Value, start: &str) -> &'a str {
    let sdp = frame["payload"]["sdp"].as_str().expect("a description");
    let line = sdp.lines().find_map(|line| line.strip_prefix(start));
    line.unwrap_or_else(|| panic!("no {start} in {sdp}"))
}

/// A request into the chat's subsession finds none.
fn assert_is_over(page: &mut Page, chat: &Chat) {
    let subsession = Some(chat.subsession.as_str());
    let header = json!({ "action": "start", "initiator": "alice", "target": "bob" });
    page.send("request-subsequent", "chat", subsession, None, header, None);
    assert_eq!(error_code(&page.hear()), 481);
}

#[test]
fn w1_a_chat_is_started_answered_with_a_way_in_completed_and_shut_down() {
    let causeway = system();
    let bob = causeway.handset("bob", &["--echo"]);
    let mut page = alice(&causeway);
    let chat = page.call("bob@ims.test");
    let answer = loop {
        let frame = page.hear_of("start");
        assert_eq!(frame["control"]["correlation_id"], chat.opening.as_str());
        assert_eq!(frame["control"]["type"], "response", "{frame}");
        if frame["control"]["message_state"] == "final" {
            break frame;
        }
        assert_eq!(frame["control"]["message_state"], "subsequent");
    };
    assert_eq!(answer["header"]["response_code"], 200);
    assert_eq!(answer["header"]["initiator"], "alice@ims.test");
    assert_eq!(answer["header"]["target"], "bob@ims.test");
    assert!(line(&answer, "a=path:").ends_with(";ws"));
    assert!(line(&answer, "a=ws-resource-path:").starts_with('/'));
    assert_eq!(line(&answer, "a=setup:"), "passive");
    page.tell(&chat, "complete");
    page.tell(&chat, "shutdown");
    // The end is not answered, and what comes after it is ignored.
    page.tell(&chat, "shutdown");
    assert_is_over(&mut page, &chat);
    drop(bob);
}

#[test]
fn w2_who_is_called_hears_of_it_in_a_subsession_that_the_server_has_named() {
    let causeway = system();
    let mut pages = [alice(&causeway), alice(&causeway)];
    let bob = causeway.handset("bob", &["--call", "sip:alice@ims.test"]);
    let starts = pages.each_mut().map(Page::hear);
    for start in &starts {
        assert_eq!(start["header"]["action"], "start");
        assert_eq!(start["header"]["initiator"], "bob@ims.test");
        assert_eq!(start["header"]["target"], "alice@ims.test");
        assert_eq!(start["control"]["message_state"], "initial");
        let sequence = &start["control"]["sequence"];
        assert_eq!(start["control"]["correlation_id"], format!("s{sequence}"));
        assert!(line(start, "a=ws-resource-path:").starts_with('/'));
    }
    // Two devices, two subsessions; the first final answer takes the call.
    let member = |start: &Value, name: &str| start["control"][name].as_str().unwrap().to_owned();
    let chats = starts.each_ref().map(|start| Chat {
        subsession: member(start, "subsession_id"),
        opening: member(start, "correlation_id"),
    });
    assert_ne!(chats[0].subsession, chats[1].subsession);
    pages[0].answer(&chats[0], 180);
    pages[1].answer(&chats[1], 200);
    let end = pages[0].hear_of("shutdown");
    assert_eq!(
        end["control"]["subsession_id"],
        chats[0].subsession.as_str()
    );
    assert_eq!(end["control"]["correlation_id"], chats[0].opening.as_str());
    let complete = pages[1].hear_of("complete");
    assert_eq!(
        complete["control"]["correlation_id"],
        chats[1].opening.as_str()
    );
    // The page that closes for good takes the chat with it.
    let [_, page] = pages;
    page.close();
    drop(bob);
}

#[test]
fn w3_a_decline_is_an_error_with_its_code_in_either_direction() {
    let causeway = system();
    let bob = causeway.handset("bob", &["--decline", "486"]);
    let mut page = alice(&causeway);
    page.call("bob@ims.test");
    assert_eq!(page.outcome(), 486);
    drop(bob);
    let carol = causeway.handset("carol", &["--call", "sip:alice@ims.test"]);
    let chat = page.called();
    let header = json!({ "action": "start", "error_code": 603 });
    let opening = Some(chat.opening.as_str());
    page.send(
        "error",
        "chat",
        Some(&chat.subsession),
        opening,
        header,
        None,
    );
    // It is over: the same subsession is not known any more.
    assert_is_over(&mut page, &chat);
    drop(carol);
}

#[test]
fn w4_a_shutdown_before_the_answer_cancels_and_nothing_more_is_heard_of_it() {
    let causeway = system();
    let bob = causeway.handset("bob", &["--ring-ms", "60000"]);
    let mut page = alice(&causeway);
    let chat = page.call("bob@ims.test");
    assert_eq!(page.hear_of("start")["header"]["response_code"], 180);
    page.tell(&chat, "shutdown");
    assert_is_over(&mut page, &chat);
    drop(bob);
}

#[test]
fn w5_an_open_chat_may_be_moved_and_not_changed_otherwise() {
    let causeway = system();
    let bob = causeway.handset("bob", &["--echo"]);
    let mut page = alice(&causeway);
    let chat = page.call("bob@ims.test");
    assert_eq!(page.outcome(), 200);
    page.tell(&chat, "complete");
    let header = json!({ "action": "start", "initiator": "alice", "target": "bob" });
    let mut starts = |sdp: &str| {
        page.send(
            "request-subsequent",
            "chat",
            Some(&chat.subsession),
            None,
            header.clone(),
            Some(json!({ "sdp": sdp })),
        );
        page.hear()
    };
    let answer = starts(&SDP.replace("a=path:", "a=x-other:1\r\na=path:"));
    assert_eq!(error_code(&answer), 488);
    let answer = starts(SDP);
    assert_eq!(answer["header"]["response_code"], 200);
    let sdp = answer["payload"]["sdp"].as_str().unwrap();
    assert!(sdp.contains("a=ws-resource-path:"), "{sdp}");
    // It is there to be ended.
    page.tell(&chat, "shutdown");
    assert_is_over(&mut page, &chat);
    drop(bob);
}

#[test]
fn w6_a_description_that_is_none_is_refused_before_anybody_is_asked() {
    let causeway = system();
    let bob = causeway.handset("bob", &["--echo"]);
    let mut page = alice(&causeway);
    for (sdp, code) in [("v=1\r\n".to_owned(), 400), ("x".repeat(100_000), 413)] {
        let header = json!({ "action": "start", "initiator": "alice", "target": "bob" });
        let payload = Some(json!({ "sdp": sdp }));
        page.send("request-initial", "chat", Some("x"), None, header, payload);
        assert_eq!(error_code(&page.hear()), code);
    }
    drop(bob);
}

#[test]
fn w8_a_first_message_goes_along_with_the_invitation_and_its_fate_is_told_by_itself() {
    let causeway = system();
    let mut bob = causeway.handset("bob", &[]);
    let mut page = alice(&causeway);
    let header = json!({ "action": "start", "initiator": "alice", "target": "bob@ims.test" });
    let message = json!({ "content": "Hi Bob", "message_id": "m1" });
    let payload = json!({ "sdp": SDP, "message": message });
    let opening = page.send(
        "request-initial",
        "chat",
        Some("first"),
        None,
        header,
        Some(payload),
    );
    let mut told = Vec::new();
    let mut is_answered = false;
    while told.len() < 2 || !is_answered {
        let frame = page.hear();
        if frame["header"]["action"] == "report" {
            assert_eq!(frame["control"]["package_type"], "messaging");
            assert_eq!(frame["header"]["initiator"], "bob@ims.test");
            assert_eq!(frame["payload"]["message_id"], "m1");
            told.push(frame["payload"]["status"].as_str().unwrap().to_owned());
        } else {
            assert_eq!(frame["control"]["correlation_id"], opening.as_str());
            is_answered = frame["control"]["message_state"] == "final";
        }
    }
    assert_eq!(told, ["delivered", "displayed"]);
    let commands = bob.0.stdin.as_mut().expect("its input is ours");
    writeln!(commands, "call sip:alice@ims.test Hi Alice").expect("it reads");
    let start = page.hear_of("start");
    let message = &start["payload"]["message"];
    assert_eq!(message["content"], "Hi Alice");
    assert_eq!(message["notify"], json!(["delivery", "display"]));
    assert!(message["message_id"].is_string() && message["date_time"].is_string());
}

#[test]
fn s5_what_a_client_without_ids_means_is_the_one_thing_it_does() {
    let causeway = system();
    let bob = causeway.handset("bob", &["--echo"]);
    let mut page = alice(&causeway);
    let header = json!({ "action": "start", "initiator": "alice", "target": "bob" });
    let payload = Some(json!({ "sdp": SDP }));
    page.send("request-initial", "chat", None, None, header, payload);
    assert_eq!(page.outcome(), 200);
    // Neither parties nor subsession.
    page.send(
        "message",
        "chat",
        None,
        None,
        json!({ "action": "complete" }),
        None,
    );
    page.send(
        "message",
        "chat",
        None,
        None,
        json!({ "action": "shutdown" }),
        None,
    );
    let header = json!({ "action": "start", "initiator": "alice", "target": "bob" });
    page.send("request-subsequent", "chat", None, None, header, None);
    assert_eq!(error_code(&page.hear()), 400);
    drop(bob);
}
