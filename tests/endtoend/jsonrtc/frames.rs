//! S: frames.

use serde_json::{Value, json};
use tests::page::Page;

use super::{alice, error_code, start_to_nobody, system};

#[test]
fn s1_every_frame_of_the_servers_says_what_it_is_whose_and_what_has_come() {
    let causeway = system();
    let mut page = Page::open(&causeway.http, "alice@ims.test");
    let first = page.connect(json!({}));
    start_to_nobody(&mut page, "x");
    let error = page.hear();
    page.register(json!({ "action": "nonsense" }));
    for frame in [&first, &error] {
        let control = &frame["control"];
        assert!(control["type"].is_string(), "{frame}");
        assert!(control["package_type"].is_string(), "{frame}");
        assert_eq!(control["version"], "1.0", "{frame}");
        assert_eq!(control["session_id"], page.session.as_deref().unwrap());
        assert!(control["ack_sequence"].is_u64(), "{frame}");
        assert!(frame["header"]["action"].is_string(), "{frame}");
    }
}

#[test]
fn s2_an_answer_repeats_ids_package_and_parties_of_what_it_answers() {
    let causeway = system();
    let mut page = alice(&causeway);
    let correlation = start_to_nobody(&mut page, "x-1");
    let error = page.hear();
    let (control, header) = (&error["control"], &error["header"]);
    assert_eq!(control["correlation_id"], correlation.as_str());
    assert_eq!(control["subsession_id"], "x-1");
    assert_eq!(control["package_type"], "chat");
    assert_eq!(header["action"], "start");
    assert_eq!(header["initiator"], "alice@ims.test");
    assert_eq!(header["target"], "nobody@ims.test");
    assert!(header["reason"].is_string());
}

#[test]
fn s3_a_session_has_an_id_that_nobody_guesses() {
    let causeway = system();
    let ids: Vec<String> = (0..3).map(|_| alice(&causeway).session.unwrap()).collect();
    assert!(ids.iter().all(|id| id.len() >= 32), "{ids:?}");
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
}

#[test]
fn s4_extension_headers_have_their_bounds() {
    let causeway = system();
    let mut page = alice(&causeway);
    let mut ask = |extensions: Value| {
        let mut header = json!({ "action": "nonsense" });
        for (name, value) in extensions.as_object().unwrap() {
            header[name] = value.clone();
        }
        page.send("request", "register", None, None, header, None);
        error_code(&page.hear())
    };
    let many = |count: usize| -> Value {
        (0..count)
            .map(|number| (format!("x-{number}"), json!(1)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    assert_eq!(ask(many(32)), 405);
    assert_eq!(ask(many(33)), 400);
    assert_eq!(ask(json!({ "x": "y".repeat(4090) })), 405);
    assert_eq!(ask(json!({ "x": "y".repeat(4096) })), 400);
}

/// Says a frame as it stands; gives the answer.
fn says(page: &mut Page, frame: Value) -> Value {
    page.socket.say(&frame);
    page.sent += 1;
    page.hear()
}

#[test]
fn s5_what_other_clients_write_is_understood() {
    let causeway = system();
    let mut page = Page::open(&causeway.http, "alice@ims.test");
    // Numbers as strings, the version as a number, a misspelt name, no package, members nobody knows.
    let answer = says(
        &mut page,
        json!({
            "control": { "type": "request", "sequence": "1", "correlation_id": "c1", "version": 1.0, "x": {} },
            "header": { "action": "connect", "initator": "alice", "x": [1] }, "more": null,
        }),
    );
    assert_eq!(answer["header"]["initiator"], "alice@ims.test");
    page.session = answer["control"]["session_id"].as_str().map(str::to_owned);
    // No session id, ids as numbers, no correlation id.
    let start = |package: &str, sequence: u32| {
        json!({
            "control": {
                "type": "request", "package_type": package, "subsession_id": 12, "sequence": sequence.to_string(),
                "ack_sequence": "1", "message_state": "initial",
            },
            "header": { "action": "start", "initiator": "alice", "target": "sip:nobody@ims.test" },
            "payload": { "sdp": tests::page::SDP },
        })
    };
    let answer = says(&mut page, start("chat", 2));
    assert_eq!(error_code(&answer), 404, "{answer}");
    assert_eq!(answer["control"]["subsession_id"], "12");
    assert_eq!(answer["control"]["correlation_id"], "c2");
    // A package by its other name is answered under that.
    let answer = says(&mut page, start("fileTransfer", 3));
    assert_eq!(answer["control"]["package_type"], "fileTransfer");
    // No header, and no number, in an acknowledgement; the confirmed number in the place of another.
    page.socket
        .say(json!({ "control": { "type": "acknowledgement", "sequence": 2 } }));
    page.socket
        .say(json!({ "control": { "type": "acknowledgement", "ack_sequence": "3" } }));
    let answer = says(
        &mut page,
        json!({ "control": { "type": "request", "sequence": 4 }, "header": { "action": "ice_enquiry" } }),
    );
    assert_eq!(answer["header"]["action"], "iceEnquiry");
}

#[test]
fn s6_somebody_elses_name_as_the_initiator_is_replaced() {
    let causeway = system();
    let mut page = alice(&causeway);
    let header =
        json!({ "action": "start", "initiator": "bob@ims.test", "target": "nobody@ims.test" });
    let payload = Some(json!({ "sdp": tests::page::SDP }));
    page.send("request-initial", "chat", Some("x"), None, header, payload);
    assert_eq!(page.hear()["header"]["initiator"], "alice@ims.test");
}
