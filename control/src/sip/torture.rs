//! The 49 messages of RFC 4475, each with the answer we give.
//!
//! The machine is made registrar of the domain the message is for, and its user local, so that whatever
//! is well-formed gets as far as it can.

use super::*;

/// What becomes of a message.
#[derive(Debug, PartialEq)]
enum Fate {
    /// It is answered so, by sip itself.
    Answered(u16),
    /// It reaches the gateway.
    Delivered,
    /// Nothing at all happens.
    Dropped,
}

use Fate::{Answered, Delivered, Dropped};

macro_rules! samples {
    ($($name:literal, $domain:literal, $user:literal, $fate:expr;)*) => {
        [$((
            $name,
            &include_bytes!(concat!("../../../tests/samples/sip/rfc4475/", $name, ".dat"))[..],
            $domain,
            $user,
            $fate,
        ),)*]
    };
}

fn fate(message: &[u8], domain: &str, user: &str) -> Fate {
    let mut sip = Sip::new(
        Settings::new(domain, "192.0.2.100:5060".parse().unwrap()),
        [3; 32],
    );
    sip.add_local(user);
    let peer = "192.0.2.200:5060".parse().unwrap();
    let flow = Flow {
        transport: SipTransport::Udp,
        peer,
        connection: None,
    };
    let mut out = Vec::new();
    sip.receive(flow, message, 0, &mut out);
    sip.begin(0, &mut out);
    let mut fate = Dropped;
    for action in out {
        match action {
            Action::Event(Event::Request { .. }) => fate = Delivered,
            Action::Event(event) => panic!("{event:?}"),
            Action::KeepAlive { flow, .. } => panic!("{flow:?}"),
            Action::Transmit { bytes, .. } => {
                let line = String::from_utf8_lossy(&bytes);
                let code: u16 = line["SIP/2.0 ".len()..][..3].parse().unwrap();
                if code != 100 {
                    fate = Answered(code);
                }
            }
        }
    }
    fate
}

type Sample = (
    &'static str,
    &'static [u8],
    &'static str,
    &'static str,
    Fate,
);

/// Name, bytes, our domain, our user, expectation.
fn samples() -> [Sample; 49] {
    samples! {
        // 3.1.1: valid. The first has a To tag, but we know no such dialog.
        "wsinv", "chair-dnrc.example.com", "vivekg", Answered(481);
        "intmeth", "example.com", "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*", Answered(501);
        "esc01", "example.net", "sips%3Auser%40example.com", Delivered;
        "escnull", "example.com", "x", Answered(200);
        "esc02", "registrar.example.com", "x", Answered(501);
        "lwsdisp", "example.com", "user", Delivered;
        "longreq", "example.com", "user", Delivered;
        "dblreq", "example.com", "x", Answered(200);
        "semiuri", "example.com", "user;par=u%40example.net", Delivered;
        "transports", "example.com", "user", Delivered;
        "mpart01", "example.org", "kumiko", Delivered;
        "unreason", "example.com", "x", Dropped;
        "noreason", "example.com", "x", Dropped;
        // 3.1.2: invalid.
        "badinv01", "example.com", "user", Answered(400);
        "clerr", "example.com", "user", Answered(400);
        "ncl", "example.com", "user", Answered(400);
        "scalar02", "example.com", "user", Answered(400);
        "scalarlg", "example.com", "user", Dropped;
        "quotbal", "example.com", "user", Answered(400);
        "ltgtruri", "example.com", "user", Answered(400);
        "lwsruri", "example.com", "user", Answered(400);
        "lwsstart", "example.com", "user", Answered(400);
        "trws", "example.com", "user", Answered(400);
        "escruri", "example.com", "user", Answered(400);
        "baddate", "example.com", "user", Delivered;
        "regbadct", "example.com", "user", Answered(400);
        "badaspec", "example.org", "user", Answered(400);
        "baddn", "example.org", "user", Answered(400);
        "badvers", "example.org", "user", Answered(505);
        "mismatch01", "example.org", "user", Answered(400);
        "mismatch02", "example.com", "user", Answered(400);
        "bigcode", "example.com", "user", Dropped;
        // 3.2: transactions.
        "badbranch", "example.com", "user", Delivered;
        // 3.3: semantics.
        "insuf", "example.com", "user", Answered(400);
        "unkscm", "example.com", "user", Answered(416);
        "novelsc", "example.com", "user", Answered(416);
        "unksm2", "example.com", "user", Answered(404);
        "bext01", "example.com", "user", Answered(420);
        "invut", "example.com", "user", Delivered;
        "regaut01", "example.com", "j.user", Answered(200);
        "multi01", "company.com", "user", Answered(400);
        "mcl01", "example.com", "user", Answered(400);
        "bcast", "example.com", "user", Dropped;
        "zeromf", "example.com", "user", Delivered;
        "cparam01", "example.com", "watson", Answered(200);
        "cparam02", "example.com", "watson", Answered(200);
        "regescrt", "example.com", "user", Answered(200);
        "sdp01", "example.com", "user", Delivered;
        // 3.4: RFC 2543; an INVITE without Contact opens no dialog for us.
        "inv2543", "example.com", "UserB", Answered(400);
    }
}

#[test]
fn rfc4475_messages_meet_their_fate() {
    let mut wrong = Vec::new();
    for (name, message, domain, user, expected) in samples() {
        let met = fate(message, domain, user);
        if met != expected {
            wrong.push(format!("{name}: {met:?}, not {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn rfc4475_messages_that_can_be_read_are_printed_as_they_were() {
    let mut read = 0;
    for (name, bytes, ..) in samples() {
        if let Ok((message, _)) = reader::read(bytes) {
            read += 1;
            assert_eq!(reader::read(&message.print()).unwrap().0, message, "{name}");
        }
    }
    assert!(read > 20);
}

#[test]
fn what_is_left_of_a_sample_cut_anywhere_or_changed_anywhere_panics_nowhere() {
    for (_, bytes, domain, user, _) in samples() {
        let mut changed = bytes.to_vec();
        for at in (0..bytes.len()).step_by(7) {
            fate(&bytes[..at], domain, user);
            changed[at] ^= 0x15;
            fate(&changed, domain, user);
            changed[at] = bytes[at];
        }
    }
}
