//! T: numbers, confirming, resuming.

use serde_json::{Value, json};
use tests::page::Heard;

use super::{alice, error_code, start_to_nobody, system};

fn number(frame: &Value, name: &str) -> u64 {
    let number = frame["control"][name].as_u64();
    number.unwrap_or_else(|| panic!("no {name} in {frame}"))
}

#[test]
fn t1_each_side_counts_its_own_frames_from_one() {
    let causeway = system();
    let mut page = alice(&causeway);
    assert_eq!(page.heard, 1);
    for round in 2..5 {
        start_to_nobody(&mut page, &format!("x-{round}"));
        assert_eq!(number(&page.hear(), "sequence"), round);
    }
}

#[test]
fn t2_a_number_seen_before_is_confirmed_and_not_processed_again() {
    let causeway = system();
    let mut page = alice(&causeway);
    start_to_nobody(&mut page, "x");
    page.hear();
    page.sent = 1;
    start_to_nobody(&mut page, "y");
    page.sent = 2;
    start_to_nobody(&mut page, "z");
    let answer = page.hear();
    assert_eq!(answer["control"]["subsession_id"], "z");
    assert_eq!(number(&answer, "ack_sequence"), 3);
}

#[test]
fn t3_a_gap_is_passed_over() {
    let causeway = system();
    let mut page = alice(&causeway);
    page.sent = 6;
    start_to_nobody(&mut page, "x");
    assert_eq!(number(&page.hear(), "ack_sequence"), 7);
}

#[test]
fn t4_what_nothing_else_confirms_is_confirmed_after_sixteen_frames() {
    let causeway = system();
    let mut page = alice(&causeway);
    for _ in 0..16 {
        // A message into a subsession that is not there is answered by nothing.
        let header = json!({ "action": "shutdown" });
        page.send("message", "chat", Some("none"), None, header, None);
    }
    let frame = page.socket.hear_frame();
    assert_eq!(frame["control"]["type"], "acknowledgement");
    assert_eq!(number(&frame, "ack_sequence"), 17);
    assert!(frame["control"].get("sequence").is_none());
    // And is not confirmed itself, nor is ours.
    page.socket
        .say(json!({ "control": { "type": "acknowledgement", "ack_sequence": 1 } }));
    start_to_nobody(&mut page, "x");
    assert_eq!(page.socket.hear_frame()["header"]["action"], "start");
}

#[test]
fn t5_after_a_loss_all_goes_on_in_order_unchanged_and_once() {
    let causeway = system();
    let mut page = alice(&causeway);
    // Three answers that this page has never heard of.
    for name in ["x", "y", "z"] {
        start_to_nobody(&mut page, name);
    }
    let lost: Vec<Value> = (0..3).map(|_| page.socket.hear_frame()).collect();
    page.heard = 1;
    let response = page.resume(&causeway.http, 2, json!({}));
    assert_eq!(
        response["control"]["session_id"],
        page.session.as_deref().unwrap()
    );
    assert!(response["control"].get("sequence").is_none(), "{response}");
    assert_eq!(response["header"]["sslr"], 4);
    for lost in &lost {
        let mut again = page.hear();
        again["control"]["ack_sequence"] = lost["control"]["ack_sequence"].clone();
        assert_eq!(&again, lost);
    }
    // What the server has is not sent again by us; what it has not, is, and counts on.
    start_to_nobody(&mut page, "new");
    let answer = page.hear();
    assert_eq!(answer["control"]["subsession_id"], "new");
    assert_eq!(number(&answer, "sequence"), 5);
}

#[test]
fn t6_a_session_that_is_gone_is_answered_with_a_fresh_one_in_which_the_connect_was_number_one() {
    let causeway = system();
    let mut page = alice(&causeway);
    page.session = Some("0123456789abcdef".to_owned());
    page.heard = 41;
    let response = page.resume(&causeway.http, 2, json!({}));
    assert_eq!(response["header"]["response_code"], 200, "{response}");
    assert!(response["header"].get("sslr").is_none());
    assert_ne!(response["control"]["session_id"], "0123456789abcdef");
    page.session = response["control"]["session_id"]
        .as_str()
        .map(str::to_owned);
    page.sent = 1;
    start_to_nobody(&mut page, "x");
    assert_eq!(number(&page.hear(), "ack_sequence"), 2);
}

#[test]
fn t7_marks_that_cannot_be_are_an_error_and_the_session_is_kept() {
    let causeway = system();
    let mut page = alice(&causeway);
    for marks in [json!({ "cslr": 9 }), json!({ "cslw": 7, "csuw": 2 })] {
        let error = page.resume(&causeway.http, 2, marks);
        assert_eq!(error_code(&error), 400);
        assert_eq!(page.socket.hear(), Heard::Closed(Some(4008)));
    }
    assert_eq!(
        page.resume(&causeway.http, 2, json!({}))["header"]["sslr"],
        1
    );
}

#[test]
fn t8_what_the_server_has_no_more_ends_the_session_and_begins_another() {
    let causeway = system();
    let mut page = alice(&causeway);
    start_to_nobody(&mut page, "x");
    page.hear();
    // By its number it has everything, and yet it asks for what is confirmed.
    start_to_nobody(&mut page, "y");
    page.hear();
    page.heard = 0;
    let former = page.session.clone().unwrap();
    let answer = page.resume(&causeway.http, 4, json!({}));
    assert_ne!(answer["control"]["session_id"], former.as_str());
    assert!(answer["header"].get("sslr").is_none());
}
