//! What Kamailio's presence server tells: services, which one page publishes and another one learns, and messages that wait.

use std::time::{Duration, Instant};

use serde_json::json;
use tests::page::Page;
use tests::process::PATIENCE;

use super::core::{Kamailio, Part, Sipp};
use super::{KNOWN, alice, member};

/// Both are known; alice's requests are challenged one by one.
const SETTINGS: &str = "[sip.users]\nalice = { password = \"secret\" }\nbob = { password = \"secret\" }\n\
[packages]\nconstants = { DISCOVERY = \"presence\", CAPABILITY_FRESH_S = \"0\" }\n";

/// What bob learns of alice: her services, or the code of the error.
fn asked(bob: &mut Page) -> Result<String, u64> {
    let header =
        json!({ "action": "enquiry", "target": "alice@ims.test", "enquiry_data": "IM/CHAT" });
    let subsession = format!("enquiry-{}", bob.sent);
    bob.send(
        "request",
        "capability",
        Some(&subsession),
        None,
        header,
        None,
    );
    let answer = bob.hear_of("enquiry");
    match answer["header"]["enquiry_data"].as_str() {
        Some(services) => Ok(services.to_owned()),
        None => Err(answer["header"]["error_code"].as_u64().unwrap_or_default()),
    }
}

/// bob asks until he learns this.
fn learns(bob: &mut Page, services: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let told = asked(bob);
        if told.as_deref() == Ok(services) {
            return;
        }
        assert!(Instant::now() < until, "{told:?} instead of {services}");
    }
}

#[test]
fn what_a_page_can_do_is_published_found_and_taken_back() {
    let kamailio = Kamailio::with_presence();
    let causeway = member(&kamailio, SETTINGS);
    let mut bob = Page::open(&causeway.http, "bob@ims.test");
    bob.connect(json!({}));
    assert_eq!(
        asked(&mut bob).as_deref(),
        Ok(""),
        "nothing is known of her"
    );
    let mut alice = Page::open(&causeway.http, "alice@ims.test");
    let welcome = alice.connect(json!({ "enquiry_data": "IM/CHAT,File transfer" }));
    assert_eq!(welcome["header"]["response_code"], 200, "{welcome}");
    learns(&mut bob, "IM/CHAT,File transfer");
    alice.close();
    learns(&mut bob, "");
    causeway.stop();
}

#[test]
fn rfc3903_4_1_what_is_published_is_refreshed_under_its_etag_and_stays() {
    let kamailio = Kamailio::with_presence();
    // For two seconds at once, so that it is refreshed several times.
    let settings = SETTINGS.replace("constants = {", "constants = { PUBLISH_S = \"2\",");
    let causeway = member(&kamailio, &settings);
    let mut bob = Page::open(&causeway.http, "bob@ims.test");
    bob.connect(json!({}));
    let mut alice = Page::open(&causeway.http, "alice@ims.test");
    alice.connect(json!({ "enquiry_data": "IM/CHAT,File transfer" }));
    learns(&mut bob, "IM/CHAT,File transfer");
    // Unless it is refreshed it is gone after two seconds; a refresh has no body, so what stays is what it names.
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        let told = asked(&mut bob);
        assert_eq!(told.as_deref(), Ok("IM/CHAT,File transfer"));
        std::thread::park_timeout(Duration::from_millis(100));
    }
    alice.close();
    learns(&mut bob, "");
    causeway.stop();
}

/// alice's mailbox says that there are so many new messages.
fn mailbox(kamailio: &Kamailio, new: u16) {
    let part = Part {
        // A scenario has no other number.
        status: new,
        ..Part::of("voicemail")
    };
    Sipp::start("mailbox", part, kamailio.port).finish();
}

#[test]
fn messages_that_wait_are_told_for_as_long_as_somebody_wants_to_know() {
    let kamailio = Kamailio::with_presence();
    let causeway = member(&kamailio, KNOWN);
    mailbox(&kamailio, 200);
    let mut page = alice(&causeway);
    let header = json!({ "action": "start", "target": "voicemail@ims.test" });
    let (package, subsession) = ("message_notification", Some("m1"));
    page.send("request-initial", package, subsession, None, header, None);
    let mut answered = false;
    let mut waits = |page: &mut Page, new: &str| loop {
        let frame = page.hear();
        assert_eq!(frame["control"]["package_type"], package, "{frame}");
        if frame["header"]["action"] == "start" {
            assert_eq!(frame["header"]["response_code"], 200, "{frame}");
            answered = true;
            continue;
        }
        assert_eq!(frame["header"]["action"], "notify", "{frame}");
        assert_eq!(frame["payload"]["messages_waiting"], "yes", "{frame}");
        if answered && frame["payload"]["voice_message"] == format!("{new}/8 (0/2)") {
            break;
        }
    };
    waits(&mut page, "200");
    mailbox(&kamailio, 300);
    waits(&mut page, "300");
    let header = json!({ "action": "shutdown", "target": "voicemail@ims.test" });
    page.send("message", package, subsession, None, header, None);
    page.close();
    causeway.stop();
}
