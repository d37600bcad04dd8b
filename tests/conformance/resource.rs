//! Section M: the life of a resource path, at which a browser finds its leg.

use std::collections::HashSet;

use link::{Cause, Command, Counter};

use crate::bed::*;

const NOT_FOUND: &str = "HTTP/1.1 404 ";

#[test]
fn m1_the_resource_is_there_when_control_hears_of_it() {
    let mut bed = Bed::new();
    let session = bed.create(Ws, Tcp, LEG_MS);
    assert_eq!(bed.told(session), [Told::Created]);
    let resource = bed.resource(session, A).to_owned();
    assert_eq!(bed.resource(session, B), "", "a TCP leg has none");
    let peer = bed.dials(session, A).expect("a port");
    assert!(bed.upgrades(peer, &resource).starts_with("HTTP/1.1 101 "));
}

#[test]
fn m2_a_resource_is_a_secret_of_its_own() {
    let mut bed = Bed::new();
    let mut seen = HashSet::new();
    for _ in 0..10 {
        let session = bed.create(Ws, Ws, LEG_MS);
        for leg in [A, B] {
            let resource = bed.resource(session, leg).to_owned();
            let token = resource.rsplit('/').next().expect("a last part");
            assert!(
                resource.starts_with('/') && token.len() >= 5 + 22,
                "{resource}"
            );
            let is_safe = |letter: char| letter.is_ascii_alphanumeric() || "/-_".contains(letter);
            assert!(resource.chars().all(is_safe), "{resource}");
            assert!(
                !bed.local(session, leg).contains(&token[5..]),
                "it is not the session-id"
            );
            assert!(
                seen.insert(token[5..].to_owned()),
                "{resource} is there twice"
            );
        }
    }
}

#[test]
fn m3_a_browsers_url_is_made_of_our_uri_and_the_resource() {
    let mut bed = Bed::new();
    let session = bed.create(Ws, Tcp, LEG_MS);
    let uri = bed.local(session, A);
    assert!(
        uri.starts_with("msrp://relay.invalid:"),
        "{uri}: the name that is advertised"
    );
    assert!(uri.ends_with(";ws"), "{uri}");
    // The query must be empty.
    let asked = bed.resource(session, A).to_owned() + "?x=1";
    let peer = bed.dials(session, A).expect("a port");
    assert!(bed.upgrades(peer, &asked).starts_with(NOT_FOUND));
}

#[test]
fn m4_an_unknown_an_expired_and_a_used_resource_look_the_same() {
    let mut bed = Bed::sharing_ports();
    let (session, keeper) = (bed.session(Ws, Tcp), bed.create(Ws, Tcp, 300_000));
    let unknown = bed.dials(session, A).expect("a port");
    let resource = bed.resource(session, A).to_owned();
    let answer = bed.upgrades(unknown, &resource.replace("/m/", "/n/"));
    assert!(answer.starts_with(NOT_FOUND) && bed.is_ended(unknown));

    bed.waits(u64::from(LEG_MS));
    let expired = bed.dials(keeper, A).expect("a port");
    assert_eq!(bed.upgrades(expired, &resource), answer);

    let resource = bed.resource(keeper, A).to_owned();
    let _other = bed.session(Ws, Tcp);
    bed.comes(keeper, A);
    let used = bed
        .dials(keeper, A)
        .expect("the other session waits at the same port");
    assert_eq!(bed.upgrades(used, &resource), answer);
}

#[test]
fn m5_a_resource_opens_once() {
    let mut bed = Bed::new();
    let (session, _other) = (bed.session(Ws, Tcp), bed.session(Ws, Tcp));
    let resource = bed.resource(session, A).to_owned();
    // Two connections at once: the first upgrade has it.
    let (one, two) = (bed.dials(session, A), bed.dials(session, A));
    let (one, two) = (one.expect("a port"), two.expect("a port"));
    assert!(bed.upgrades(two, &resource).starts_with("HTTP/1.1 101 "));
    assert!(bed.upgrades(one, &resource).starts_with(NOT_FOUND));
    assert_eq!(bed.told(session), [Told::Created, Told::Up(A)]);
    // A refused upgrade consumes nothing.
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    let resource = bed.resource(session, A).to_owned();
    let clumsy = bed.dials(session, A).expect("a port");
    let request = upgrade_request(&resource).replace("Version: 13", "Version: 8");
    assert!(bed.asks(clumsy, &request).starts_with("HTTP/1.1 426 "));
    bed.comes(session, A);
}

#[test]
fn m6_expiry_frees_the_port_and_is_told() {
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    bed.told(session);
    assert_eq!(bed.counter(Counter::PortsUsed), 2);
    bed.waits(u64::from(LEG_MS) - 1);
    assert_eq!(bed.told(session), []);
    bed.waits(1);
    let told = bed.told(session);
    assert!(matches!(told[0], Told::Down(_, Cause::Expired)), "{told:?}");
    assert_eq!(told[told.len() - 1], Told::Closed(Cause::Expired));
    assert_eq!(bed.counter(Counter::PortsUsed), 0);
    assert!(bed.dials(session, A).is_none());
}

#[test]
fn m7_the_upgrade_binds_and_requests_must_still_name_the_leg() {
    let mut bed = Bed::new();
    let session = bed.session(Ws, Tcp);
    bed.told(session);
    let a = bed.comes(session, A);
    assert_eq!(bed.told(session), [Told::Up(A)]);
    let message = Message::send("t4Kz81Qm", "hello");
    bed.says(
        a,
        &message.between("msrp://relay.invalid:20000/unheard;ws", "R(A)"),
    );
    assert_eq!(
        bed.hears(a),
        message.answer("481 Session Does Not Exist").to(A)
    );
}

#[test]
fn m8_the_deadline_can_be_set_anew_and_the_leg_accepts_all_the_while() {
    let mut bed = Bed::new();
    let session = bed.create(Ws, Tcp, 180_000);
    bed.waits(179_000);
    for leg in [A, B] {
        bed.command_of(session, |session| Command::Rearm {
            session,
            leg,
            deadline_ms: LEG_MS,
        });
    }
    bed.waits(u64::from(LEG_MS) - 1);
    assert_eq!(bed.told(session), [Told::Created]);
    assert!(bed.dials(session, A).is_some());
    bed.waits(1);
    assert!(bed.told(session).contains(&Told::Closed(Cause::Expired)));
}
