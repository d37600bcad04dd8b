//! U: the session. V: subsessions.

use serde_json::json;
use tests::page::{Page, Socket};

use super::{alice, error_code, start_to_nobody, system, system_with};

#[test]
fn u1_connect_is_the_first_frame_and_comes_once() {
    let causeway = system();
    let mut page = Page::open(&causeway.http, "alice@ims.test");
    start_to_nobody(&mut page, "x");
    assert_eq!(error_code(&page.hear()), 403);
    page.sent = 0;
    assert_eq!(page.connect(json!({}))["header"]["response_code"], 200);
    assert_eq!(error_code(&page.connect(json!({}))), 400);
}

#[test]
fn u2_a_frame_with_another_sessions_id_is_refused() {
    let causeway = system();
    let other = alice(&causeway);
    let mut page = alice(&causeway);
    page.session = other.session.clone();
    start_to_nobody(&mut page, "x");
    assert_eq!(error_code(&page.hear()), 400);
}

#[test]
fn u3_the_answer_says_the_name_that_holds() {
    let causeway = system();
    for (wanted, holds) in [
        (json!({ "initiator": "alice" }), Some("alice@ims.test")),
        (
            json!({ "initiator": "sip:alice@IMS.test" }),
            Some("alice@ims.test"),
        ),
        (json!({ "initiator": null, "target": null }), None),
    ] {
        let mut page = Page::open(&causeway.http, "alice@ims.test");
        let header = &page.connect(wanted)["header"];
        let name = header["initiator"].as_str().expect("a name");
        assert_eq!(header["target"], name);
        match holds {
            Some(holds) => assert_eq!(name, holds),
            None => assert!(name.starts_with("guest-"), "{name}"),
        }
    }
    let mut page = Page::open(&causeway.http, "alice@example.com");
    assert_eq!(error_code(&page.connect(json!({}))), 403);
}

#[test]
fn u4_with_the_session_come_its_packages_and_spans() {
    let causeway = system_with("packages = [\"chat\"]\n[limits]\nidle_s = 7\ndisconnect_s = 9\n");
    let mut page = Page::open(&causeway.http, "alice@ims.test");
    let payload = &page.connect(json!({}))["payload"];
    assert_eq!(payload["packages"], json!(["chat"]));
    assert_eq!(payload["timers"]["idle_time_limit"], 7000);
    assert_eq!(payload["timers"]["disconnect_time_limit"], 9000);
    assert_eq!(payload["timers"]["ack_interval"], 10_000);
}

#[test]
fn u6_a_session_hibernates_for_as_long_as_is_granted_and_its_close_is_not_its_end() {
    let causeway = system();
    let mut page = alice(&causeway);
    let granted = page.register(json!({ "action": "hibernate", "ttl": 1_000_000 }));
    assert_eq!(granted["header"]["response_code"], 200);
    assert_eq!(granted["header"]["ttl"], 86_400);
    let former = std::mem::replace(&mut page.socket, Socket::to_demo(&causeway.http));
    former.close(1000);
    let answer = page.resume(&causeway.http, 3, json!({}));
    assert_eq!(
        answer["control"]["session_id"],
        page.session.as_deref().unwrap()
    );
}

#[test]
fn u7_where_the_servers_are_that_help_through_a_nat_is_told_with_the_session_and_when_asked() {
    let causeway = system_with(
        "[[ice.servers]]\nurls = [\"stun:stun.example.com:3478\"]\n\
         [[ice.servers]]\nurls = [\"turn:turn.example.com\"]\nsecret = \"shared\"\n",
    );
    let mut page = Page::open(&causeway.http, "alice@ims.test");
    let told = page.connect(json!({}))["payload"].clone();
    let asked = page.register(json!({ "action": "iceEnquiry" }));
    assert_eq!(asked["header"]["response_code"], 200);
    for payload in [&told, &asked["payload"]] {
        let servers = &payload["iceServers"];
        assert_eq!(
            servers[0],
            json!({ "urls": ["stun:stun.example.com:3478"] })
        );
        let username = servers[1]["username"].as_str().expect("a name");
        assert!(username.ends_with(":alice@ims.test"), "{username}");
        assert!(servers[1]["credential"].is_string());
        assert_eq!(payload["iceServersTtl"], 3600);
    }
}

#[test]
fn u7_without_such_servers_nothing_is_told_and_an_enquiry_gets_an_empty_list() {
    let causeway = system();
    let mut page = Page::open(&causeway.http, "alice@ims.test");
    assert!(
        page.connect(json!({}))["payload"]
            .get("iceServers")
            .is_none()
    );
    let asked = page.register(json!({ "action": "iceEnquiry" }));
    assert_eq!(asked["payload"]["iceServers"], json!([]));
}

#[test]
fn u1_a_session_is_resumed_before_it_says_anything_new() {
    let causeway = system();
    let mut page = alice(&causeway);
    let former = std::mem::replace(&mut page.socket, Socket::to_demo(&causeway.http));
    former.close(1011);
    // Not connected: nothing but `connect` is taken, with or without a session's id.
    start_to_nobody(&mut page, "x");
    assert_eq!(error_code(&page.socket.hear_frame()), 403);
    page.sent = 1;
    assert_eq!(
        page.resume(&causeway.http, 2, json!({}))["header"]["sslr"],
        1
    );
}

#[test]
fn v1_a_request_into_no_subsession_is_an_error_and_anything_else_is_ignored() {
    let causeway = system();
    let mut page = alice(&causeway);
    let inside = |page: &mut Page, kind: &str, action: &str| {
        let header = json!({ "action": action, "initiator": "alice", "target": "bob" });
        page.send(kind, "chat", Some("none"), Some("c-x"), header, None);
    };
    inside(&mut page, "message", "shutdown");
    inside(&mut page, "message", "complete");
    inside(&mut page, "response-final", "start");
    inside(&mut page, "error", "start");
    inside(&mut page, "request-subsequent", "start");
    let error = page.hear();
    assert_eq!(error_code(&error), 481);
    assert_eq!(error["control"]["ack_sequence"], 6);
}

#[test]
fn v2_a_package_or_an_action_that_is_not_there_is_told_from_one_that_fails() {
    let causeway = system();
    let mut page = alice(&causeway);
    let mut ask = |package: &str, action: &str| {
        let header = json!({ "action": action, "initiator": "alice", "target": "bob" });
        page.send("request-initial", package, Some("x"), None, header, None);
        error_code(&page.hear())
    };
    assert_eq!(ask("weather", "start"), 404);
    assert_eq!(ask("chat", "dance"), 405);
    assert_eq!(ask("register", "dance"), 405);
}

#[test]
fn v3_a_target_that_names_nobody_is_an_error() {
    let causeway = system();
    let mut page = alice(&causeway);
    for target in [json!(null), json!("sip:"), json!("b@c d")] {
        let header = json!({ "action": "start", "initiator": "alice", "target": target });
        let payload = Some(json!({ "sdp": tests::page::SDP }));
        page.send("request-initial", "chat", Some("x"), None, header, payload);
        let answer = page.hear();
        assert_eq!(error_code(&answer), 400, "{answer}");
    }
}
