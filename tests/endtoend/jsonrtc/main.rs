//! The built system against a browser that follows `docs/jsonrtc.md` and nothing else: a naive client, none of
//! our SDK's code. A test is named after the rule of `docs/conformance.md` that it proves.

mod chat;
mod frames;
mod numbers;
mod patent;
mod session;
mod socket;

use serde_json::{Value, json};
use tests::page::Page;
use tests::system::Causeway;

/// The system, for guests.
fn system() -> Causeway {
    system_with("")
}

/// The system with further settings, first those of the application.
fn system_with(more: &str) -> Causeway {
    Causeway::start(&format!("{more}[sip]\nlisten = \"127.0.0.1:0\"\n"))
}

/// alice's page.
fn alice(causeway: &Causeway) -> Page {
    Page::connected(&causeway.http, "alice@ims.test")
}

/// A `start` of the package `chat` that never reaches anybody, so that an error answers it.
fn start_to_nobody(page: &mut Page, subsession: &str) -> String {
    let header =
        json!({ "action": "start", "initiator": "alice@ims.test", "target": "nobody@ims.test" });
    let payload = json!({ "sdp": tests::page::SDP });
    let kind = "request-initial";
    page.send(kind, "chat", Some(subsession), None, header, Some(payload))
}

/// What an error says.
fn error_code(frame: &Value) -> u64 {
    assert_eq!(frame["control"]["type"], "error", "{frame}");
    frame["header"]["error_code"].as_u64().expect("a code")
}
