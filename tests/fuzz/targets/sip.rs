//! SIP: a stream is cut into the same messages however it comes, a message does no harm to the machine, and
//! whatever the machine says to it is a message itself.

use control::sip::{
    Action, Event, Flow, Frame, Framer, Method, OutResponse, Settings, Sip, SipTransport,
};

/// A message may be so long.
const MESSAGE_BYTES_MAX: usize = 65_535;
/// Timers that are run down.
const TIMERS_MAX: usize = 64;

/// The octets are a datagram, and a stream.
pub fn run(octets: &[u8]) {
    let whole = frames(octets, &[]);
    assert_eq!(whole, frames(octets, &super::cuts(octets, octets.len())));
    let mut machine = Machine::new();
    let receive = |machine: &mut Machine, transport, message: &[u8]| {
        let flow = Flow {
            transport,
            peer: ([192, 0, 2, 200], 5060).into(),
            connection: (transport != SipTransport::Udp).then_some(1),
        };
        let mut actions = Vec::new();
        machine
            .sip
            .receive(flow, message, machine.now, &mut actions);
        // It may be cancelled before it was begun.
        if super::hash(message).is_multiple_of(2) {
            machine.sip.begin(machine.now, &mut actions);
        }
        machine.perform(actions);
    };
    receive(&mut machine, SipTransport::Udp, octets);
    for message in &whole {
        receive(&mut machine, SipTransport::Tcp, message);
        receive(&mut machine, SipTransport::Tls, message);
    }
    for _ in 0..TIMERS_MAX {
        let Some(due) = machine.sip.deadline() else {
            break;
        };
        machine.now = machine.now.max(due);
        let mut actions = Vec::new();
        machine.sip.timeout(machine.now, &mut actions);
        machine.perform(actions);
    }
}

/// The messages of a stream that is cut at these places.
fn frames(octets: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let (mut framer, mut messages, mut from) = (Framer::new(MESSAGE_BYTES_MAX), Vec::new(), 0);
    for to in cuts.iter().copied().chain([octets.len()]) {
        framer.push(&octets[from..to]);
        from = to;
        loop {
            match framer.next_frame() {
                Ok(Some(Frame::Message(message))) => messages.push(message),
                Ok(Some(Frame::Ping)) => {}
                Ok(None) => break,
                Err(_) => return messages,
            }
        }
    }
    messages
}

struct Machine {
    sip: Sip,
    now: u64,
}

impl Machine {
    fn new() -> Machine {
        let address = ([192, 0, 2, 100], 5060).into();
        let mut sip = Sip::new(Settings::new("example.com", address), [3; 32]);
        sip.add_local("user");
        Machine { sip, now: 0 }
    }

    /// What it says can be read, and what it asks is answered.
    fn perform(&mut self, actions: Vec<Action>) {
        let mut actions = std::collections::VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            match action {
                Action::Transmit { bytes, .. } => {
                    let own = frames(&bytes, &[]);
                    assert_eq!(own, std::slice::from_ref(&bytes), "one whole message");
                }
                Action::Event(Event::Request {
                    server, message, ..
                }) => {
                    let code = match super::hash(message.call_id().as_bytes()) % 3 {
                        0 if message.method() == Method::Invite => 183,
                        0 | 1 => 200,
                        _ => 486,
                    };
                    let mut more = Vec::new();
                    let answer = OutResponse::new(code);
                    // It may have been cancelled already.
                    let _ = self.sip.respond(server, answer, self.now, &mut more);
                    actions.extend(more);
                }
                Action::Event(_) | Action::KeepAlive { .. } => {}
            }
        }
    }
}
