//! SIPp in the place of a handset: feature tags, envelopes, first messages and refusals, octet by octet as scenarios want them.

use serde_json::{Value, json};
use tests::page::{Page, SDP};
use tests::system::Causeway;

use super::core::{Kamailio, Part, Sipp};
use super::{KNOWN, alice, bob_who, member};

/// A page of alice's and what is around it, where handsets want envelopes.
struct Scene {
    kamailio: Kamailio,
    causeway: Causeway,
    page: Page,
}

impl Scene {
    fn new() -> Scene {
        let kamailio = Kamailio::start();
        let more = format!("{KNOWN}[packages]\nconstants = {{ PROFILE = \"joyn\" }}\n");
        let causeway = member(&kamailio, &more);
        let page = alice(&causeway);
        Scene {
            kamailio,
            causeway,
            page,
        }
    }

    /// A registered handset that plays `scenario`, and refuses with this status, if it does.
    fn handset(&self, scenario: &str, status: u16) -> Sipp {
        let part = Part {
            status,
            ..Part::of("bob")
        };
        bob_who(&self.kamailio, scenario, part)
    }

    /// One that begins by itself.
    fn begins(&self, scenario: &str) -> Sipp {
        Sipp::start(scenario, Part::of("bob"), self.kamailio.port)
    }

    fn asks(
        &mut self,
        package: &str,
        action: &str,
        subsession: &str,
        header: Value,
        payload: Value,
    ) {
        let mut all = json!({ "action": action, "target": "bob@ims.test" });
        all.as_object_mut()
            .expect("an object")
            .extend(header.as_object().cloned().unwrap_or_default());
        let subsession = Some(subsession);
        self.page.send(
            "request-initial",
            package,
            subsession,
            None,
            all,
            Some(payload),
        );
    }

    /// The page answers a request of the server's: with success, or with this error.
    fn answers(&mut self, asked: &Value, error: Option<u16>, header: Value) {
        let text = |name: &str| {
            asked["control"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let mut all = json!({ "action": asked["header"]["action"] });
        all.as_object_mut()
            .expect("an object")
            .extend(header.as_object().cloned().unwrap_or_default());
        if let Some(code) = error {
            all["error_code"] = code.into();
        }
        let kind = if error.is_some() {
            "error"
        } else {
            "response-final"
        };
        let (subsession, correlation) = (text("subsession_id"), text("correlation_id"));
        self.page.send(
            kind,
            &text("package_type"),
            Some(&subsession),
            Some(&correlation),
            all,
            None,
        );
    }

    /// The next report says so.
    fn reported(&mut self, status: &str) {
        let report = self.page.hear_of("report");
        assert_eq!(report["payload"]["message_id"], "first-1", "{report}");
        assert_eq!(report["payload"]["status"], status, "{report}");
    }
}

#[test]
fn feature_tags_go_out_as_one_list_and_come_in_in_any_spelling() {
    let mut scene = Scene::new();
    let handset = scene.handset("asked", 0);
    let header = json!({ "enquiry_data": "IM/CHAT,File transfer,VS" });
    scene.asks("capability", "enquiry", "q1", header, json!({}));
    let answer = scene.page.hear_of("enquiry");
    // What begins like a service is another one, and `video` alone is no call.
    let services = "IM/CHAT,File transfer,Image share,Geolocation push";
    assert_eq!(answer["header"]["enquiry_data"], services, "{answer}");
    handset.finish();
    let handset = scene.begins("asks");
    let asked = scene.page.hear_of("enquiry");
    assert_eq!(asked["header"]["enquiry_data"], "VS,Image share", "{asked}");
    scene.answers(&asked, None, json!({ "enquiry_data": "IM/CHAT,VS" }));
    handset.finish();
    scene.causeway.stop();
}

#[test]
fn texts_travel_in_envelopes_and_what_became_of_them_comes_back() {
    let mut scene = Scene::new();
    let handset = scene.handset("takes-text", 0);
    let payload = json!({ "content": "Meet at eight" });
    scene.asks("messaging", "send", "first-1", json!({}), payload);
    assert_eq!(scene.page.hear_of("send")["header"]["response_code"], 202);
    handset.finish();
    scene.begins("tells-display").finish();
    scene.reported("displayed");
    // The other way the page is asked, and its sender told at the device it has sent from.
    let listening = scene.handset("takes-note", 0);
    let sending = scene.begins("sends-text");
    let send = scene.page.hear_of("send");
    assert_eq!(
        send["payload"]["content"], "Meet at 8 \u{2014} gate 4?",
        "{send}"
    );
    assert_eq!(send["payload"]["notify"], json!(["delivery", "display"]));
    scene.answers(&send, None, json!({ "response_code": 200 }));
    sending.finish();
    listening.finish();
    scene.causeway.stop();
}

#[test]
fn what_became_of_a_text_goes_back_by_whoever_wants_to_see_it() {
    let mut scene = Scene::new();
    let store = bob_who(&scene.kamailio, "takes-routed-note", Part::of("store"));
    let sending = scene.begins("sends-routed");
    let send = scene.page.hear_of("send");
    scene.answers(&send, None, json!({ "response_code": 200 }));
    sending.finish();
    store.finish();
    scene.causeway.stop();
}

#[test]
fn whom_the_network_vouches_for_is_told_by_number_and_name() {
    let kamailio = Kamailio::start();
    let causeway = member(&kamailio, KNOWN);
    let mut page = alice(&causeway);
    let sending = Sipp::start("vouched", Part::of("bob"), kamailio.port);
    for (text, who, name) in [
        ("Known", "tel:+12025550101", "Doe, Rob"),
        ("Unknown", "anonymous@anonymous.invalid", "Anonymous"),
    ] {
        let send = page.hear_of("send");
        let header = &send["header"];
        assert_eq!(send["payload"]["content"], text, "{send}");
        assert_eq!(
            (
                header["initiator"].as_str(),
                header["initiator_name"].as_str()
            ),
            (Some(who), Some(name))
        );
    }
    sending.finish();
    causeway.stop();
}

#[test]
fn a_first_message_goes_along_with_an_invitation_that_is_declined() {
    let mut scene = Scene::new();
    let handset = scene.handset("takes-first", 603);
    let message = json!({ "content": "Meet at eight", "message_id": "first-1" });
    let payload = json!({ "sdp": SDP, "message": message });
    scene.asks("chat", "start", "c1", json!({}), payload);
    assert_eq!(scene.page.outcome(), 603);
    handset.finish();
    scene.begins("tells-display").finish();
    scene.reported("displayed");
    let listening = scene.handset("takes-note", 0);
    let calling = scene.begins("brings-first");
    let start = scene.page.hear_of("start");
    assert_eq!(
        start["payload"]["message"]["content"], "Are you there?",
        "{start}"
    );
    let chat = tests::page::Chat {
        subsession: start["control"]["subsession_id"]
            .as_str()
            .expect("text")
            .to_owned(),
        opening: start["control"]["correlation_id"]
            .as_str()
            .expect("text")
            .to_owned(),
    };
    scene.page.answer(&chat, 180);
    listening.finish();
    scene.answers(&start, Some(603), json!({}));
    calling.finish();
    scene.causeway.stop();
}

#[test]
fn every_refusal_is_told_by_its_code() {
    let mut scene = Scene::new();
    for (number, (status, told)) in [(404, 404), (480, 480), (486, 486), (500, 503), (603, 603)]
        .into_iter()
        .enumerate()
    {
        for (package, action, scenario) in [
            ("messaging", "send", "refuses"),
            ("capability", "enquiry", "refuses"),
            ("chat", "start", "busy"),
        ] {
            // Each has a name of its own, for the registrar remembers where the last one was.
            let user = format!("{action}-{number}");
            let part = Part {
                status,
                ..Part::of(&user)
            };
            let handset = bob_who(&scene.kamailio, scenario, part);
            let target = json!({ "target": format!("{user}@ims.test") });
            let payload = json!({ "content": "x", "sdp": SDP });
            scene.asks(package, action, &user, target, payload);
            let answer = scene.page.hear_of(action);
            assert_eq!(answer["header"]["error_code"], told, "{answer}");
            handset.finish();
        }
    }
    scene.causeway.stop();
}
