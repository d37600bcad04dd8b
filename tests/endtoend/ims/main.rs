//! The built system against a real IMS core (Kamailio) and real SIP handsets (SIPp): registration with
//! digest, chats both ways, everything that can go wrong on the way, and a second carrier without any
//! registration. `tests/run --install` installs both.

mod core;
mod presence;
mod services;

use std::process::{Command, Stdio};
use std::time::Instant;

use core::{Kamailio, Part, Sipp};
use serde_json::json;
use tests::page::Page;
use tests::process::{PATIENCE, fresh_folder};
use tests::system::Causeway;

/// The page sends no pings, and a network that loses datagrams takes its time.
const PATIENT: &str = "[limits]\nidle_s = 600\n";

/// alice's secret is in the configuration.
const KNOWN: &str = "[sip.users]\nalice = { password = \"secret\" }\n";

/// Control whose users belong to Kamailio.
fn member(kamailio: &Kamailio, more: &str) -> Causeway {
    member_by(&format!("sip:127.0.0.1:{}", kamailio.port), more)
}

/// The same, by way of this proxy.
fn member_by(proxy: &str, more: &str) -> Causeway {
    Causeway::start(&format!(
        "[sip]\nlisten = \"127.0.0.1:0\"\nproxies = [\"{proxy}\"]\n\
         [sip.register]\nexpires_s = 600\nfeatures = [\"+g.oma.sip-im\"]\n{more}\n{PATIENT}"
    ))
}

/// alice's page, registered.
fn alice(causeway: &Causeway) -> Page {
    let mut page = Page::open(&causeway.http, "alice@ims.test");
    let answer = page.connect(json!({}));
    assert_eq!(answer["header"]["response_code"], 200, "{answer}");
    page
}

/// A handset that plays `scenario` and is registered as bob.
fn bob(kamailio: &Kamailio, scenario: &str, loss: u32) -> Sipp {
    let part = Part {
        loss,
        ..Part::of("bob")
    };
    bob_who(kamailio, scenario, part)
}

/// The same, with what else it is played with.
fn bob_who(kamailio: &Kamailio, scenario: &str, part: Part<'_>) -> Sipp {
    let handset = Sipp::start(scenario, part, kamailio.port);
    let contact_port = handset.port;
    let register = Part {
        contact_port,
        loss: 0,
        ..part
    };
    Sipp::start("register", register, kamailio.port).finish();
    handset
}

/// MD5 as coreutils have it.
fn md5(text: &str) -> String {
    use std::io::Write;
    let mut child = Command::new("md5sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("coreutils");
    let mut input = child.stdin.take().expect("asked for a pipe");
    input.write_all(text.as_bytes()).expect("it reads all");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout[..32]).into_owned()
}

#[test]
fn a_browsers_user_is_registered_while_the_browser_is_there() {
    let kamailio = Kamailio::start();
    let causeway = member(&kamailio, KNOWN);
    let play = |scenario| Sipp::start(scenario, Part::of("bob"), kamailio.port).finish();
    play("absent");
    let page = alice(&causeway);
    play("options");
    play("message");
    page.close();
    until_alice_is_gone(&kamailio);
    causeway.stop();
}

/// Taken back: the registrar does not wait for it to run out.
fn until_alice_is_gone(kamailio: &Kamailio) {
    let absent = || Sipp::start("absent", Part::of("bob"), kamailio.port).try_finish();
    let until = Instant::now() + PATIENCE;
    while !absent() {
        assert!(Instant::now() < until, "alice is still registered");
    }
}

#[test]
fn a_registration_outlives_control_and_there_is_one_binding() {
    let kamailio = Kamailio::start();
    let state = fresh_folder("state");
    let kept = format!("{KNOWN}[state]\nfolder = \"{}\"\n", state.display());
    let mut causeway = member(&kamailio, &kept);
    let mut page = alice(&causeway);
    causeway.kill_control();
    let answer = page.resume(&causeway.http, 2, json!({}));
    assert_eq!(answer["header"]["sslr"], 1, "{answer}");
    // With two bindings it would ring twice.
    bob_calls(&mut page, &kamailio, "caller", 0);
    alice_calls(&mut page, &kamailio, "callee", 0);
    page.close();
    until_alice_is_gone(&kamailio);
    causeway.stop();
    std::fs::remove_dir_all(state).expect("ours");
}

#[test]
fn a_browser_proves_to_the_registrar_who_it_is() {
    let kamailio = Kamailio::start();
    let causeway = member(&kamailio, "");
    let mut page = Page::open(&causeway.http, "alice@ims.test");
    let asked = page.connect(json!({}));
    let challenge = &asked["header"]["authenticate"];
    assert_eq!(
        (
            asked["header"]["error_code"].as_u64(),
            challenge["scheme"].as_str()
        ),
        (Some(401), Some("Digest"))
    );
    let member = |name: &str| challenge[name].as_str().unwrap_or_default().to_owned();
    let (nonce, uri) = (member("nonce"), member("uri"));
    let digest = |password: &str| {
        let secret = md5(&format!("alice:ims.test:{password}"));
        let asked = md5(&format!("REGISTER:{uri}"));
        md5(&format!("{secret}:{nonce}:00000001:0a4f113b:auth:{asked}"))
    };
    let answer = |password: &str| {
        json!({ "authorization": {
            "scheme": "Digest", "username": "alice", "realm": "ims.test", "nonce": nonce, "uri": uri,
            "qop": "auth", "nc": "00000001", "cnonce": "0a4f113b", "response": digest(password),
            "algorithm": "MD5", "opaque": "", "challenge_code": "401",
        } })
    };
    let refused = page.connect(answer("wrong"));
    assert_eq!(refused["header"]["error_code"], 401, "{refused}");
    let welcome = page.connect(answer("secret"));
    assert_eq!(welcome["header"]["response_code"], 200, "{welcome}");
    // Another browser of hers hands over the hashed secret instead.
    let mut second = Page::open(&causeway.http, "alice@ims.test");
    assert_eq!(second.connect(json!({}))["header"]["error_code"], 401);
    let ha1 = md5("alice:ims.test:secret");
    let hashed =
        json!({ "authorization": { "username": "alice", "realm": "ims.test", "ha1": ha1 } });
    let welcome = second.connect(hashed);
    assert_eq!(welcome["header"]["response_code"], 200, "{welcome}");
    let mut plain = Page::open(&causeway.http, "alice@ims.test");
    let refused =
        plain.connect(json!({ "authorization": { "username": "alice", "password": "secret" } }));
    assert_eq!(refused["header"]["error_code"], 400, "{refused}");
    causeway.stop();
}

/// alice calls bob, who answers; she hangs up.
fn a_chat_is_called_and_ended(loss: u32) {
    let kamailio = Kamailio::start();
    let causeway = member(&kamailio, KNOWN);
    let mut page = alice(&causeway);
    alice_calls(&mut page, &kamailio, "callee", loss);
    causeway.stop();
}

fn alice_calls(page: &mut Page, kamailio: &Kamailio, scenario: &str, loss: u32) {
    let handset = bob(kamailio, scenario, loss);
    let chat = page.call("bob@ims.test");
    assert_eq!(page.outcome(), 200);
    page.tell(&chat, "complete");
    page.tell(&chat, "shutdown");
    handset.finish();
}

/// bob calls alice, and hangs up.
fn bob_calls(page: &mut Page, kamailio: &Kamailio, scenario: &str, loss: u32) {
    let part = Part {
        loss,
        ..Part::of("bob")
    };
    let handset = Sipp::start(scenario, part, kamailio.port);
    let chat = page.called();
    page.answer(&chat, 180);
    page.answer(&chat, 200);
    // Where the ACK is lost, the BYE that follows at once is the first that tells of the handset's consent.
    if loss == 0 {
        page.hear_of("complete");
    }
    page.hear_of("shutdown");
    handset.finish();
}

#[test]
fn registrations_and_calls_go_by_tls_where_both_sides_show_certificates() {
    let kamailio = Kamailio::secure();
    let proxy = format!("sips:127.0.0.1:{}", kamailio.secure_port);
    let causeway = member_by(&proxy, &format!("{KNOWN}{}", kamailio.tls()));
    let mut page = alice(&causeway);
    alice_calls(&mut page, &kamailio, "callee", 0);
    bob_calls(&mut page, &kamailio, "caller", 0);
    causeway.stop();
}

#[test]
fn a_page_calls_a_handset_and_hangs_up() {
    a_chat_is_called_and_ended(0);
}

#[test]
fn the_same_over_a_network_that_loses_datagrams() {
    a_chat_is_called_and_ended(15);
}

/// bob calls alice, and hangs up.
fn a_chat_is_offered_and_ended(scenario: &str, loss: u32) {
    let kamailio = Kamailio::start();
    let causeway = member(&kamailio, KNOWN);
    let mut page = alice(&causeway);
    bob_calls(&mut page, &kamailio, scenario, loss);
    causeway.stop();
}

#[test]
fn a_handset_calls_a_page_and_hangs_up() {
    a_chat_is_offered_and_ended("caller", 0);
}

#[test]
fn a_handset_calls_over_a_network_that_loses_datagrams() {
    a_chat_is_offered_and_ended("caller", 15);
}

#[test]
fn a_handset_calls_with_100rel_and_a_session_timer_and_sends_update_and_re_invite() {
    a_chat_is_offered_and_ended("caller-changes", 0);
}

#[test]
fn a_called_handset_rings_reliably_and_sends_update_and_re_invite() {
    let kamailio = Kamailio::start();
    let causeway = member(&kamailio, KNOWN);
    let mut page = alice(&causeway);
    alice_calls(&mut page, &kamailio, "callee-changes", 0);
    causeway.stop();
}

#[test]
fn either_side_gives_up_declines_or_is_not_there() {
    let kamailio = Kamailio::start();
    let causeway = member(&kamailio, KNOWN);
    let mut page = alice(&causeway);
    page.call("nobody@ims.test");
    assert_eq!(page.outcome(), 404);

    let busy = Part {
        status: 486,
        ..Part::of("bob")
    };
    let handset = bob_who(&kamailio, "busy", busy);
    page.call("bob@ims.test");
    assert_eq!(page.outcome(), 486);
    handset.finish();

    let handset = bob(&kamailio, "cancelled", 0);
    let chat = page.call("bob@ims.test");
    assert_eq!(page.hear_of("start")["header"]["response_code"], 180);
    page.tell(&chat, "shutdown");
    handset.finish();

    let handset = Sipp::start("gives-up", Part::of("bob"), kamailio.port);
    let chat = page.called();
    page.answer(&chat, 180);
    assert_eq!(
        page.hear_of("shutdown")["control"]["subsession_id"],
        chat.subsession.as_str()
    );
    handset.finish();
    causeway.stop();
}

#[test]
fn a_carrier_without_registration_calls_and_is_called() {
    // Kamailio stands for the carrier's border: it challenges what comes, and knows bob.
    let kamailio = Kamailio::start();
    let port = kamailio.port;
    let causeway = Causeway::start(&format!(
        "[sip]\nlisten = \"127.0.0.1:0\"\nproxies = [\"sip:127.0.0.1:{port}\"]\n\
         [sip.realms.\"ims.test\"]\nusername = \"trunk\"\npassword = \"secret\"\n{PATIENT}"
    ));
    let mut page = alice(&causeway);
    let handset = bob(&kamailio, "callee", 0);
    let chat = page.call("bob@ims.test");
    assert_eq!(page.outcome(), 200);
    page.tell(&chat, "complete");
    page.tell(&chat, "shutdown");
    handset.finish();
    let own = causeway
        .sip
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok());
    let carrier = Sipp::start("caller", Part::of("carol"), own.expect("a port"));
    let chat = page.called();
    page.answer(&chat, 200);
    page.hear_of("shutdown");
    carrier.finish();
    causeway.stop();
}
