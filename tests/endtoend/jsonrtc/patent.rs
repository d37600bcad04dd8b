//! S5: the frames and scripts that US 9,648,052 describes, as a client and an operator write them who know nothing else.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tests::page::Page;
use tests::process::fresh_folder;

use super::{system, system_with};

/// Enquiries as its script has them: an OPTIONS with the tags in both places, and back.
const CAPABILITY: &str = r#"
fn from_app_enquiry_request(context) {
    let sipRequest = context.sipFactory.createSipRequest("OPTIONS");
    let tags = mapToSipTags(context.webMessage.header.enquiry_data);
    sipRequest.addHeader("Accept-Contact", "*" + buildFeatureTags(tags));
    for tag in tags {
        // A flag is a parameter without a value; what has one is made by the host.
        if tag.starts_with("+") { sipRequest.setSipContactParameter(tag, ()); }
    }
    sipRequest.send();
}
fn from_net_options_response(context) {
    let sipRequest = context.originatingSipMessage;
    let webMessage = context.webFactory.createWebResponse("enquiry");
    webMessage.header = #{
        initiator: sipAddressToString(sipRequest.from),
        target: sipAddressToString(sipRequest.to)
    };
    webMessage.header.enquiry_data = sipTagsToMap(parseFeatureTags(sipRequest.getHeaders("Contact")));
    webMessage.send();
}
"#;

/// Texts as its script has them: a MESSAGE with the text as it is, answered before the page has it.
const MESSAGING: &str = r#"
fn from_app_send_message(context) {
    let sipRequest = context.sipFactory.createSipRequest("MESSAGE", getFromAddress(context), getToAddress(context));
    if context.webMessage?.payload?.content != () {
        sipRequest.setContent(context.webMessage.payload.content, "text/plain");
    }
    sipRequest.send();
}
fn from_net_message_request(context) {
    let sipRequest = context.originatingSipMessage;
    let webMessage = context.webFactory.createWebMessage("send");
    webMessage.header = #{
        initiator: sipAddressToString(sipRequest.from),
        target: sipAddressToString(sipRequest.to)
    };
    webMessage.payload = #{ content: sipRequest.content.toString() };
    context.sipFactory.createSipResponse(200).send();
    webMessage.send();
}
"#;

/// How its library tells an enquiry from other OPTIONS, in the place of ours.
const RESOLVES: [&str; 2] = [
    r#""OPTIONS" if namesService(sipRequest) =>"#,
    r#""OPTIONS" if (sipRequest.getHeader("Accept-Contact") ?? "").contains("+") =>"#,
];

/// A page of this user, connected by a frame with nothing but what must be there.
fn connected(http: &str, user: &str) -> Page {
    let mut page = Page::open(http, user);
    let answer = says(
        &mut page,
        json!({ "type": "request" }),
        json!({ "action": "connect", "initator": user, "target": user }),
        None,
    );
    assert_eq!(answer["header"]["response_code"], 200, "{answer}");
    page
}

/// Says a frame whose control has the number as text and no ids; gives what comes then.
fn says(page: &mut Page, control: Value, header: Value, payload: Option<Value>) -> Value {
    tells(page, control, header, payload);
    page.hear()
}

fn tells(page: &mut Page, mut control: Value, header: Value, payload: Option<Value>) {
    page.sent += 1;
    control["sequence"] = page.sent.to_string().into();
    let mut frame = json!({ "control": control, "header": header });
    if let Some(payload) = payload {
        frame["payload"] = payload;
    }
    page.socket.say(&frame);
}

/// alice asks what bob can do; what she is told.
fn enquires(page: &mut Page) -> Value {
    let control = json!({ "package_type": "capability", "type": "request" });
    let header = json!({ "action": "enquiry", "enquiry_data": "IM/CHAT,VS",
        "initator": "alice@ims.test", "target": "bob@ims.test" });
    let answer = says(page, control, header, None);
    assert_eq!(answer["control"]["package_type"], "capability", "{answer}");
    assert_eq!(answer["control"]["type"], "response", "{answer}");
    assert_eq!(answer["header"]["action"], "enquiry");
    assert_eq!(answer["header"]["initiator"], "alice@ims.test");
    assert_eq!(answer["header"]["target"], "bob@ims.test");
    answer["header"]["enquiry_data"].clone()
}

/// alice sends carol a text, by a frame of this type.
fn sends(page: &mut Page, kind: &str) {
    let control = json!({ "package_type": "messaging", "type": kind });
    let header =
        json!({ "action": "send", "initator": "alice@ims.test", "target": "carol@ims.test" });
    tells(
        page,
        control,
        header,
        Some(json!({ "content": "See you at noon" })),
    );
}

/// carol has alice's text.
fn assert_sent(frame: &Value, kind: &str) {
    assert_eq!(frame["control"]["package_type"], "messaging", "{frame}");
    assert_eq!(frame["control"]["type"], kind, "{frame}");
    assert_eq!(frame["header"]["action"], "send");
    assert_eq!(frame["header"]["initiator"], "alice@ims.test");
    assert_eq!(frame["header"]["target"], "carol@ims.test");
    assert_eq!(frame["payload"], json!({ "content": "See you at noon" }));
}

#[test]
fn s5_the_frames_of_the_patent_ask_and_send() {
    let causeway = system();
    let bob = causeway.handset("bob", &[]);
    let mut alice = connected(&causeway.http, "alice@ims.test");
    assert_eq!(enquires(&mut alice), "IM/CHAT,File transfer");
    let mut carol = connected(&causeway.http, "carol@ims.test");
    // As a request it is answered, as a message it is not.
    sends(&mut alice, "request");
    assert_sent(&carol.hear(), "request");
    assert_eq!(alice.hear()["header"]["response_code"], 200);
    sends(&mut alice, "message");
    assert_sent(&carol.hear(), "request");
    assert_eq!(enquires(&mut alice), "IM/CHAT,File transfer");
    drop(bob);
}

#[test]
fn s5_the_scripts_of_the_patent_do_what_it_says() {
    let folder = fresh_folder("patent");
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../control/packages/library.rhai");
    let library = fs::read_to_string(ours).expect("the library");
    assert!(library.contains(RESOLVES[0]));
    let library = library.replace(RESOLVES[0], RESOLVES[1]);
    fs::write(folder.join("library.rhai"), library).expect("a file");
    for (name, script) in [("capability", CAPABILITY), ("messaging", MESSAGING)] {
        fs::create_dir(folder.join(name)).expect("a folder");
        let path = folder.join(name).join(format!("{name}.rhai"));
        fs::write(path, script).expect("a file");
    }
    let packages = format!("[packages]\nfolder = \"{}\"\n", folder.display());
    let causeway = system_with(&packages);
    let bob = causeway.handset("bob", &[]);
    let mut alice = connected(&causeway.http, "alice@ims.test");
    assert_eq!(enquires(&mut alice), "IM/CHAT,File transfer");
    let mut carol = connected(&causeway.http, "carol@ims.test");
    sends(&mut alice, "message");
    assert_sent(&carol.hear(), "message");
    drop(bob);
    let _ = fs::remove_dir_all(folder);
}
