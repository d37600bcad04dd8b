//! The whole generator over real connections, against a relay in the test that can be told to be
//! a bad one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use link::Transport;

use super::executor::{Executor, Phase, Route, Shared, Tally};
use super::settings::{Direction, Legs, Load};
use super::stub::{LegPlan, Plan};

const OWN: [&str; 2] = [
    "msrp://127.0.0.1:2855/load00;tcp",
    "msrp://127.0.0.1:2855/load01;tcp",
];
const RELAY: [&str; 2] = [
    "msrp://127.0.0.1:2/relay0;tcp",
    "msrp://127.0.0.1:2/relay1;tcp",
];

/// What the relay does to the fifth message.
#[derive(Clone, Copy)]
enum Harm {
    None,
    Drop,
    Double,
    Corrupt,
    /// Sends it after the sixth.
    Delay,
}

/// A relay for one session over TCP: answers what has no body, passes on what has one.
fn relay(listener: &TcpListener, harm: Harm, is_over: &dyn Fn() -> bool) {
    let mut legs: [Option<TcpStream>; 2] = [None, None];
    while legs.iter().any(Option::is_none) {
        let (mut stream, _) = listener.accept().unwrap();
        let greeting = frame(&mut stream, &mut Vec::new()).unwrap();
        let text = String::from_utf8(greeting).unwrap();
        let leg = usize::from(text.contains(RELAY[1]));
        let tid = text.split(' ').nth(1).unwrap();
        let (to, from) = (OWN[leg], RELAY[leg]);
        let answer =
            format!("MSRP {tid} 200 OK\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n-------{tid}$\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        legs[leg] = Some(stream);
    }
    let [mut a, mut b] = legs.map(Option::unwrap);
    a.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    let (mut count, mut buffer, mut kept) = (0, Vec::new(), Vec::new());
    while !is_over() {
        let Some(frame) = frame(&mut a, &mut buffer) else {
            continue;
        };
        count += 1;
        let mut frame = replace(&frame, RELAY[0], OWN[1]);
        frame = replace(&frame, OWN[0], RELAY[1]);
        match (harm, count) {
            (Harm::Drop, 5) => continue,
            (Harm::Double, 5) => b.write_all(&frame).unwrap(),
            (Harm::Corrupt, 5) => {
                let at = frame.len() - 100;
                frame[at] ^= 0x20;
            }
            (Harm::Delay, 5) => {
                kept = frame;
                continue;
            }
            (Harm::Delay, 6) => frame.append(&mut kept),
            _ => {}
        }
        b.write_all(&frame).unwrap();
    }
}

/// One frame up to its end-line; `None` when none came in time. Bodies of the generator hold no
/// end-line.
fn frame(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(at) = memchr::memmem::find(buffer, b" SEND\r\n") {
            let end = [b"-------", &buffer[5..at], b"$\r\n"].concat();
            if let Some(found) = memchr::memmem::find(buffer, &end) {
                return Some(buffer.drain(..found + end.len()).collect());
            }
        }
        let mut part = [0; 4096];
        match stream.read(&mut part) {
            Ok(bytes @ 1..) => buffer.extend_from_slice(&part[..bytes]),
            _ => return None,
        }
    }
}

fn replace(frame: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = memchr::memmem::find(frame, from.as_bytes()).unwrap();
    [&frame[..at], to.as_bytes(), &frame[at + from.len()..]].concat()
}

/// Runs one session until 100 messages have arrived or nothing arrives any more.
fn run(harm: Harm) -> Tally {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Arc::new(Shared::new(1));
    let load = Load {
        sessions: 1,
        in_flight: 8,
        size: 300,
        legs: Legs::TcpTcp,
        direction: Direction::AToB,
        responses: false,
    };
    let plans = vec![Plan {
        index: 0,
        legs: [leg(0, address), leg(1, address)],
    }];
    std::thread::scope(|scope| {
        let seen = shared.clone();
        scope.spawn(move || relay(&listener, harm, &|| seen.phase() >= Phase::Close));
        let executor = Executor::start(0, 0, Route::Link(plans), load, shared.clone()).unwrap();
        wait(|| shared.bound.load(Ordering::Acquire) == 1);
        shared.set_phase(Phase::Measure);
        wait(|| shared.total() >= 100);
        shared.set_phase(Phase::Drain);
        wait(|| shared.drained.load(Ordering::Acquire) == 1);
        shared.set_phase(Phase::Close);
        executor.join().unwrap()
    })
}

fn leg(number: usize, address: SocketAddr) -> LegPlan {
    LegPlan {
        transport: Transport::Tcp,
        address,
        resource: String::new(),
        relay_uri: RELAY[number].to_owned(),
        own_uri: OWN[number].to_owned(),
    }
}

fn wait(done: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < until, "the generator stands still");
        std::thread::yield_now();
    }
}

#[test]
fn a_good_relay_gets_a_good_verdict_and_every_latency_is_counted() {
    let tally = run(Harm::None);
    assert_eq!(tally.faults.total(), 0, "{}", tally.faults);
    assert_eq!(tally.sent, tally.arrived);
    assert!(tally.latency.len() >= 100);
}

#[test]
fn a_relay_that_drops_a_message_is_found_out() {
    let tally = run(Harm::Drop);
    assert_eq!(
        (tally.faults.lost, tally.sent - tally.arrived),
        (1, 1),
        "{}",
        tally.faults
    );
}

#[test]
fn a_relay_that_doubles_a_message_is_found_out() {
    let faults = run(Harm::Double).faults;
    assert_eq!((faults.doubled, faults.total()), (1, 1), "{faults}");
}

#[test]
fn a_relay_that_changes_an_octet_is_found_out() {
    let faults = run(Harm::Corrupt).faults;
    assert_eq!((faults.changed, faults.total()), (1, 1), "{faults}");
}

#[test]
fn a_relay_that_changes_the_order_is_found_out() {
    let faults = run(Harm::Delay).faults;
    assert_eq!((faults.reordered, faults.total()), (1, 1), "{faults}");
}
