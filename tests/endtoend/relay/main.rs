//! The built relay on the real kernel: browser-side clients by an independent WebSocket library,
//! handset-side clients plainly from RFC 4975, and a control attached by the link.

mod bell;
mod churn;
mod peers;
mod realms;
mod sandbox;
mod secure;
mod sharing;
mod stall;

use std::net::{Ipv4Addr, TcpListener};

use link::{Cause, Command, Counter, Leg, LegSpec, PeerIdentity, SessionId, Transport};
use peers::{A_PATH, B_PATH, Digest, Handset, Page, Stream};
use tests::process::{Relay, Told};

/// The large message of the transfers.
const LARGE_BYTES: usize = 50_000_000;

/// A session of a page and a handset, both connected.
fn talk(relay: &mut Relay, id: u64) -> (Page, Handset) {
    let legs = relay.create(id, [Transport::Ws, Transport::Tcp], [A_PATH, B_PATH]);
    let page = Page::open(&legs[0]);
    assert_eq!(relay.event(), Told::Up(Leg::A));
    let handset = Handset::open(&legs[1]);
    assert_eq!(relay.event(), Told::Up(Leg::B));
    (page, handset)
}

#[test]
fn a_page_and_a_handset_talk_and_everything_is_given_back() {
    talk_and_end(&[]);
}

#[test]
fn the_same_with_nothing_newer_than_linux_6_1() {
    talk_and_end(&["--kernel-floor"]);
}

#[test]
fn the_same_with_a_port_for_each_leg() {
    talk_and_end(&["--exclusive-ports"]);
}

fn talk_and_end(arguments: &[&str]) {
    let mut relay = Relay::start(arguments);
    let (mut page, mut handset) = talk(&mut relay, 1);
    page.send("from-page", b"hello over the wall", "");
    let heard = handset.hear();
    assert_eq!(heard.body.as_deref(), Some(&b"hello over the wall"[..]));
    assert_eq!(heard.to, B_PATH);
    handset.say(&heard.response("200 OK"));
    let answer = page.hear();
    assert_eq!(
        (answer.transaction.as_str(), answer.subject.as_str()),
        ("from-page", "200 OK")
    );
    handset.send("from-handset", b"and back", "Success-Report: yes\r\n");
    let heard = page.hear();
    assert_eq!(heard.header("Success-Report"), Some("yes"));
    drop(handset);
    assert_eq!(relay.event(), Told::Down(Leg::B, Cause::PeerClosed));
    assert_eq!(relay.event(), Told::Closed(Cause::PeerClosed));
    page.expect_end();
    drop(page);
    expect_all_given_back(&mut relay);
}

fn expect_all_given_back(relay: &mut Relay) {
    for counter in Counter::ALL.iter().filter(|counter| counter.is_in_use()) {
        // Connections linger until their peers have ended too; each look is a turn later.
        let settled = (0..10_000).any(|_| relay.counter(*counter) == 0);
        assert!(settled, "{} is not given back", counter.name());
    }
}

#[test]
fn the_relay_connects_to_a_handset_that_listens_and_greets_it() {
    let mut relay = Relay::start(&[]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("its number");
    let path = format!("msrp://{address}/l1stens0123456789;tcp");
    let legs = relay.create(1, [Transport::Ws, Transport::Tcp], [A_PATH, &path]);
    let (session, leg, path) = (SessionId(1), Leg::B, path.as_bytes());
    relay.command(&Command::SetPeer {
        session,
        leg,
        path,
        connect: Some(address),
        identity: PeerIdentity::UNKNOWN,
    });
    let (stream, _) = listener.accept().expect("the relay connects");
    assert_eq!(relay.event(), Told::Up(Leg::B));
    let mut handset = Handset::accepted(Stream::Clear(stream), &legs[1]);
    let greeting = handset.hear();
    assert_eq!((greeting.subject.as_str(), &greeting.body), ("SEND", &None));
    assert_eq!(greeting.to.as_bytes(), path);
    handset.say(&greeting.response("200 OK"));
    let mut page = Page::open(&legs[0]);
    page.send("first", b"there you are", "");
    assert_eq!(handset.hear().body.as_deref(), Some(&b"there you are"[..]));
}

#[test]
fn a_handset_that_cannot_be_reached_ends_the_session() {
    let mut relay = Relay::start(&[]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let connect = Some(listener.local_addr().expect("its number"));
    drop(listener);
    relay.create(1, [Transport::Ws, Transport::Tcp], [A_PATH, B_PATH]);
    let (session, leg, path) = (SessionId(1), Leg::B, B_PATH.as_bytes());
    relay.command(&Command::SetPeer {
        session,
        leg,
        path,
        connect,
        identity: PeerIdentity::UNKNOWN,
    });
    assert_eq!(relay.event(), Told::Down(Leg::B, Cause::ConnectFailed));
    assert_eq!(relay.event(), Told::Closed(Cause::ConnectFailed));
    expect_all_given_back(&mut relay);
}

#[test]
fn a_resource_path_opens_once() {
    let mut relay = Relay::start(&[]);
    let legs = relay.create(1, [Transport::Ws, Transport::Tcp], [A_PATH, B_PATH]);
    let _page = Page::open(&legs[0]);
    assert_eq!(relay.event(), Told::Up(Leg::A));
    // The listener is gone with its only leg, or says 404: either way nothing opens twice.
    assert!(Page::try_open(&legs[0]).is_none());
    let mut strange = legs[0].clone();
    strange.resource.push('x');
    assert!(Page::try_open(&strange).is_none());
}

#[test]
fn a_stranger_on_the_handsets_port_gets_481() {
    let mut relay = Relay::start(&[]);
    let mut legs = relay.create(1, [Transport::Ws, Transport::Tcp], [A_PATH, B_PATH]);
    legs[1].path = legs[1].path.replace(";tcp", "x;tcp");
    let mut stranger = Handset::connect(&legs[1]);
    stranger.greet();
    assert!(stranger.hear().subject.starts_with("481"));
    stranger.expect_end();
}

#[test]
fn nobody_coming_in_time_ends_the_session() {
    let mut relay = Relay::start(&[]);
    let legs = [Transport::Ws, Transport::Tcp].map(|transport| LegSpec::new(transport, 50));
    let session = SessionId(1);
    relay.command(&Command::Create { session, legs });
    assert_eq!(relay.event(), Told::Created);
    let Told::Down(_, Cause::Expired) = relay.event() else {
        panic!("a leg expires")
    };
    assert_eq!(relay.event(), Told::Closed(Cause::Expired));
    expect_all_given_back(&mut relay);
}

#[test]
fn a_new_control_finds_the_sessions_and_they_go_on() {
    let mut relay = Relay::start(&[]);
    let (mut page, mut handset) = talk(&mut relay, 77);
    relay.attach_again();
    relay.command(&Command::List { token: 5 });
    assert_eq!(relay.event(), Told::Listed(SessionId(77)));
    assert_eq!(relay.event(), Told::ListEnd);
    page.send("after", b"still here", "");
    assert_eq!(handset.hear().body.as_deref(), Some(&b"still here"[..]));
    relay.command(&Command::Delete {
        session: SessionId(77),
    });
    assert_eq!(relay.event(), Told::Closed(Cause::Deleted));
    handset.expect_end();
    page.expect_end();
}

/// Bodies that look like what they are not; from the framing rules of RFC 4975, 7.1 and 9.
fn awkward_bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = [
        &b"\r\n-------awkwardx"[..],
        b"\r",
        b"\r\n",
        b"\r\n-------",
        b"\r\n-------awkward",
        // Not at the very beginning: right after the blank line it ends an empty body.
        b"x-------awkward$",
        b"x-------awkward$\r\nMSRP y",
        b"\r\n-------awkward*\r\n",
        b"\r\n-------awkwar$\r\n",
        b"\r\n-------awkwardd$\r\n",
        b"\r\n-------awkward$x\r\n",
        b"\r\n-------awkward$\rx",
        b"MSRP other SEND\r\nTo-Path: msrp://a.invalid:1/x;tcp\r\nFrom-Path: msrp://b.invalid:1/y;tcp\r\n\
          Content-Type: text/plain\r\n\r\nhello\r\n-------other$\r\n",
        b"",
        b"\0",
        b"\xff\xfe\xc0\x80",
        b"\n\n\r\r\n\n",
    ]
    .map(<[u8]>::to_vec)
    .into();
    bodies.push((0..=255).cycle().take(70_000).collect());
    bodies.push(b"\r\n-------awkwar".repeat(5_000));
    bodies
}

#[test]
fn awkward_bodies_arrive_octet_by_octet_both_ways() {
    let mut relay = Relay::start(&[]);
    let (mut page, mut handset) = talk(&mut relay, 1);
    for body in awkward_bodies() {
        page.send("awkward", &body, "Failure-Report: no\r\n");
        assert!(
            handset.hear().body.as_ref() == Some(&body),
            "to the handset: {body:?}"
        );
        handset.send("awkward", &body, "Failure-Report: no\r\n");
        assert!(
            page.hear().body.as_ref() == Some(&body),
            "to the page: {body:?}"
        );
        if body.len() < 200 {
            handset.send_by_octets("awkward", &body, "Failure-Report: no\r\n");
            assert!(
                page.hear().body.as_ref() == Some(&body),
                "octet by octet: {body:?}"
            );
        }
    }
}

#[test]
fn fifty_megabytes_in_chunks_and_in_one_pass_through_memory_that_stays_as_it_is() {
    let mut relay = Relay::start(&[]);
    for (id, chunk_bytes) in [(1, 64 << 10), (2, LARGE_BYTES)] {
        let (mut page, mut handset) = talk(&mut relay, id);
        let sent = Digest::of_large(LARGE_BYTES);

        // Handset to page, then page to handset, twice at least. How many buffers are ever held at
        // a time is reached by chance, and each is touched when it is first used: so there may be
        // more rounds, but memory must come to stand still.
        let mut resident: Vec<u64> = Vec::new();
        while !stands_still(&resident) {
            assert!(resident.len() < 8, "memory is flat: {resident:?}");
            let writer = handset.send_large_apart(LARGE_BYTES, chunk_bytes);
            assert_eq!(
                page.hear_large(LARGE_BYTES),
                sent,
                "handset to page, {chunk_bytes}"
            );
            handset = writer.join().expect("the handset has sent");
            let writer = page.send_large_apart(LARGE_BYTES, chunk_bytes);
            assert_eq!(
                handset.hear_large(LARGE_BYTES),
                sent,
                "page to handset, {chunk_bytes}"
            );
            page = writer.join().expect("the page has sent");
            resident.push(relay.resident_kib());
        }
        println!("chunks of {chunk_bytes}: resident KiB of the relay {resident:?}");
        relay.command(&Command::Delete {
            session: SessionId(id),
        });
        assert_eq!(relay.event(), Told::Closed(Cause::Deleted));
    }
}

/// Whether the last round's memory is within 2 % of that before.
fn stands_still(resident: &[u64]) -> bool {
    match resident {
        [.., before, last] => last.abs_diff(*before) * 50 <= *before,
        _ => false,
    }
}

#[test]
fn a_shard_allocates_nothing_while_messages_flow() {
    let mut relay = Relay::start(&[]);
    let (mut page, mut handset) = talk(&mut relay, 1);
    let round = |page: &mut Page, handset: &mut Handset, number: u32| {
        let body = vec![b'x'; (number as usize * 977) % 40_000];
        page.send(&format!("page{number}"), &body, "");
        let heard = handset.hear();
        assert!(heard.body.as_ref() == Some(&body));
        handset.say(&heard.response("200 OK"));
        assert_eq!(page.hear().subject, "200 OK");
        handset.send(&format!("hand{number}"), &body, "Failure-Report: no\r\n");
        assert!(page.hear().body.as_ref() == Some(&body));
    };
    for number in 0..200 {
        round(&mut page, &mut handset, number);
    }
    let warm = relay.counter(Counter::Allocations);
    for number in 200..2000 {
        round(&mut page, &mut handset, number);
    }
    assert_eq!(
        relay.counter(Counter::Allocations),
        warm,
        "allocations while messages flow"
    );
    assert!(relay.counter(Counter::MessagesAToB) >= 2000);
}
