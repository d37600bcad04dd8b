//! Everything at any time: many seeded walks through what browsers, peers, relay and clock may do, each
//! ending with nothing left over.

use std::panic::{AssertUnwindSafe, catch_unwind};

use link::{Cause, Event as RelayEvent, Leg, Refusal, SessionId};
use serde_json::json;

use super::world::{BROWSER_SDP, Told, World, handset_sdp, request};
use crate::jsonrtc::{Frame, Kind, SocketId};
use crate::metrics::Counter;
use crate::random::seeds;
use crate::sip::{self, DialogId, EndCause, Failure, Method, Refused, Sent, ServerId};

const WALKS: u64 = 300;
const STEPS: u32 = 200;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn take<T>(&mut self, from: &mut Vec<T>) -> Option<T> {
        (!from.is_empty()).then(|| from.swap_remove(self.roll(from.len())))
    }
}

/// The peers' side of what is going on.
#[derive(Default)]
struct Peers {
    sockets: Vec<SocketId>,
    last: u64,
    /// Frames of ours a browser may answer or follow up.
    starts: Vec<(SocketId, Frame)>,
    own: Vec<(SocketId, String)>,
    /// Invitations of ours without a final answer.
    invited: Vec<Sent>,
    /// Invitations of peers' without a final answer.
    inviting: Vec<(ServerId, DialogId)>,
    /// Those we answered with 2xx, without ACK.
    unacknowledged: Vec<DialogId>,
    /// Dialogs in which a peer may say something.
    dialogs: Vec<DialogId>,
    asked: Vec<SessionId>,
    made: Vec<SessionId>,
    deleted: Vec<SessionId>,
    rebinds: Vec<SessionId>,
}

impl Peers {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// What the gateway said, as each side takes it.
    fn listen(&mut self, world: &mut World) {
        for told in world.told.drain(..) {
            match told {
                Told::Create(session) => self.asked.push(session),
                Told::Delete(session) => self.deleted.push(session),
                Told::Rebind(session, _) => self.rebinds.push(session),
                Told::SetPeer { .. } | Told::Rearm(_) | Told::List => {}
            }
        }
        while let Some((_, request, sent)) = world.net.requests.pop_front() {
            match (request.method, sent.dialog) {
                (Method::Invite, _) => self.invited.push(sent),
                (_, Some(over)) => self.dialogs.retain(|dialog| *dialog != over),
                (_, None) => {}
            }
        }
        while let Some((server, response)) = world.net.responses.pop_front() {
            let is_it = |(other, _): &(ServerId, DialogId)| *other == server;
            if let Some(at) = self
                .inviting
                .iter()
                .position(is_it)
                .filter(|_| response.code >= 200)
            {
                let (_, dialog) = self.inviting.swap_remove(at);
                if response.code < 300 {
                    self.unacknowledged.push(dialog);
                }
            }
        }
        for client in world.net.cancels.drain(..) {
            self.invited.retain(|sent| sent.client != client);
        }
        self.dialogs.append(&mut world.net.acks);
        for &socket in &self.sockets {
            while world.frames_left(socket) > 0 {
                let frame = world.frame(socket);
                if frame.control.kind == Kind::Request {
                    self.starts.push((socket, frame));
                }
            }
        }
    }

    fn browser_acts(&mut self, world: &mut World, dice: &mut Dice) {
        let subsession = |dice: &mut Dice| ["a", "b", "c", "d"][dice.roll(4)].to_owned();
        match dice.roll(16) {
            0 => {
                let name = ["alice", "dave"][dice.roll(2)];
                let socket = world.browser(self.next() + 1000, name);
                self.sockets.push(socket);
            }
            1 if dice.roll(3) == 0 => {
                let codes = [Some(1000), None, Some(1006)];
                if let Some(socket) = dice.take(&mut self.sockets) {
                    let code = codes[dice.roll(3)];
                    world.step(|gateway, turn| gateway.socket_closed(socket, code, turn));
                }
            }
            1..=4 => {
                if let Some(&socket) = self.sockets.get(dice.roll(4)) {
                    let id = subsession(dice);
                    let header = json!({"action": "start", "target": "bob"});
                    let sdp = [BROWSER_SDP, "nonsense"][usize::from(dice.roll(8) == 0)];
                    world.send(socket, "request", "chat", &id, header, Some(sdp));
                    self.own.push((socket, id));
                }
            }
            5..=9 => {
                if let Some((socket, id)) = self.own.get(dice.roll(6)).cloned() {
                    let action =
                        ["complete", "complete", "complete", "shutdown", "rebind"][dice.roll(5)];
                    world.send(
                        socket,
                        "message",
                        "chat",
                        &id,
                        json!({"action": action}),
                        None,
                    );
                }
            }
            10..=13 => {
                if let Some((socket, start)) = dice.take(&mut self.starts) {
                    let id = start.control.subsession_id.clone().unwrap();
                    self.own.push((socket, id.clone()));
                    let correlation = start.control.correlation_id.as_deref();
                    let (kind, state, sdp) = [
                        ("response", "final", Some(BROWSER_SDP)),
                        ("response", "final", Some(BROWSER_SDP)),
                        ("response", "final", None),
                        ("response", "subsequent", None),
                        ("error", "", None),
                    ][dice.roll(5)];
                    let code = [486, 603][dice.roll(2)];
                    let header = json!({"action": "start", "error_code": code});
                    let state = (!state.is_empty()).then_some(state);
                    world.send_with(socket, kind, "chat", &id, header, sdp, correlation, state);
                }
            }
            _ => {
                self.own.truncate(12);
                let refused = (dice.roll(10) == 0).then_some(Refused::Unavailable);
                world.net.refuses = refused;
            }
        }
    }

    fn peer_acts(&mut self, world: &mut World, dice: &mut Dice) {
        match dice.roll(8) {
            0 => {
                let (server, dialog) = (ServerId(self.next()), DialogId(self.next() + 1_000_000));
                self.inviting.push((server, dialog));
                let to = ["alice", "dave", "nobody"][dice.roll(3)];
                let message = request(Method::Invite, "bob", to, false, &handset_sdp(""));
                world.sip(sip::Event::Request {
                    server,
                    dialog: Some(dialog),
                    message,
                });
            }
            1 if dice.roll(3) == 0 => {
                if let Some((server, _)) = dice.take(&mut self.inviting) {
                    world.sip(sip::Event::Cancelled { server });
                }
            }
            1..=3 => {
                let answers = [180, 183, 200, 200, 200, 404, 486, 500];
                let code = answers[dice.roll(answers.len())];
                if code < 200 {
                    if let Some(&sent) = self.invited.first() {
                        world.answer(sent, code, "", "");
                    }
                } else if let Some(sent) = dice.take(&mut self.invited) {
                    let sdps = [
                        handset_sdp("a=setup:active\r\n"),
                        handset_sdp(""),
                        String::new(),
                    ];
                    world.answer(sent, code, "", &sdps[dice.roll(3)]);
                }
            }
            4..=6 => {
                if let Some(dialog) = dice.take(&mut self.unacknowledged) {
                    if dice.roll(4) == 0 {
                        world.sip(sip::Event::Ended {
                            dialog,
                            cause: EndCause::NoAck,
                        });
                    } else {
                        self.dialogs.push(dialog);
                        world.sip(sip::Event::Acked { dialog });
                    }
                }
            }
            _ => {
                if let Some(dialog) = dice.take(&mut self.dialogs) {
                    if dice.roll(3) == 0 {
                        world.sip(sip::Event::Ended {
                            dialog,
                            cause: EndCause::PeerForgot,
                        });
                    } else {
                        let message = request(Method::Bye, "bob", "alice", true, "");
                        let server = ServerId(self.next());
                        world.sip(sip::Event::Request {
                            server,
                            dialog: Some(dialog),
                            message,
                        });
                    }
                } else if let Some(sent) = dice.take(&mut self.invited) {
                    let causes = [Failure::Timeout, Failure::Transport];
                    let (client, cause) = (sent.client, causes[dice.roll(2)]);
                    world.sip(sip::Event::Failed { client, cause });
                }
            }
        }
    }

    fn relay_acts(&mut self, world: &mut World, dice: &mut Dice) {
        match dice.roll(30) {
            0..=17 => {
                if !self.asked.is_empty() {
                    let session = self.asked.remove(0);
                    world.told.push_front(Told::Create(session));
                    world.relay_makes();
                    self.made.push(session);
                }
            }
            18 => {
                if !self.asked.is_empty() {
                    let session = self.asked.remove(0);
                    self.deleted.retain(|other| *other != session);
                    world.relay(RelayEvent::Refused {
                        session,
                        reason: Refusal::NoPorts,
                    });
                }
            }
            19 | 20 => self.relay_deletes(world),
            21 => {
                if let Some(&session) = self.made.first() {
                    let (leg, cause) = (Leg::A, Cause::Expired);
                    world.relay(RelayEvent::LegDown {
                        session,
                        leg,
                        cause,
                    });
                }
            }
            23..=25 => {
                if let Some(&session) = self.made.last() {
                    world.relay_detaches(session);
                }
            }
            26..=28 => {
                if let Some(session) = dice.take(&mut self.rebinds) {
                    world.relay_rebinds(session);
                }
            }
            22 => {
                if let Some(session) = dice.take(&mut self.made) {
                    self.deleted.retain(|other| *other != session);
                    world.relay_closed(session, Cause::Reset);
                }
            }
            _ => {
                if dice.roll(4) == 0 {
                    world.step(|gateway, turn| gateway.relay_lost(turn));
                    self.listen(world);
                    for list in [&mut self.asked, &mut self.made, &mut self.deleted] {
                        list.clear();
                    }
                    world.step(|gateway, turn| gateway.relay_attached(1, turn));
                }
            }
        }
    }

    /// Sessions that were made and are to be deleted are.
    fn relay_deletes(&mut self, world: &mut World) {
        for session in std::mem::take(&mut self.deleted) {
            if self.asked.contains(&session) {
                self.deleted.push(session);
            } else if self.made.contains(&session) {
                self.made.retain(|other| *other != session);
                world.relay_closed(session, Cause::Deleted);
            }
        }
    }

    /// Everybody leaves; whatever was asked for is answered.
    fn leave(mut self, world: &mut World) {
        world.net.refuses = None;
        for socket in std::mem::take(&mut self.sockets) {
            world.step(|gateway, turn| gateway.socket_closed(socket, Some(1000), turn));
        }
        self.listen(world);
        while !self.asked.is_empty() {
            let session = self.asked.remove(0);
            world.told.push_front(Told::Create(session));
            world.relay_makes();
            self.made.push(session);
            self.listen(world);
        }
        // Sessions whose browsers were lost without a word have a minute.
        world.wait(300_000);
        self.listen(world);
        for dialog in std::mem::take(&mut self.unacknowledged) {
            world.sip(sip::Event::Acked { dialog });
        }
        self.listen(world);
        self.relay_deletes(world);
        self.listen(world);
        assert_eq!(self.made, [], "sessions of the relay nobody deleted");
    }
}

/// Adds to `seen` what was counted.
fn walk(seed: u64, seen: &mut [u64]) {
    let mut dice = Dice(seed);
    let (mut world, mut peers) = (World::new(), Peers::default());
    for _ in 0..STEPS {
        match dice.roll(20) {
            0..=7 => peers.browser_acts(&mut world, &mut dice),
            8..=13 => peers.peer_acts(&mut world, &mut dice),
            14..=18 => peers.relay_acts(&mut world, &mut dice),
            _ => {
                let span = [1, 10, 10, 10, 100, 2_500, 40_000, 200_000][dice.roll(8)];
                world.wait(span);
            }
        }
        peers.listen(&mut world);
    }
    peers.leave(&mut world);
    world.assert_empty();
    let counters = world.gateway.counters();
    for (at, &counter) in Counter::ALL.iter().enumerate() {
        seen[at] += counters.value(counter);
    }
}

#[test]
fn whatever_happens_nothing_is_left_over() {
    let seeds = seeds(WALKS);
    let mut seen = vec![0; Counter::ALL.len()];
    for seed in seeds.clone() {
        let walked = catch_unwind(AssertUnwindSafe(|| walk(seed, &mut seen)));
        assert!(walked.is_ok(), "seed {seed}; SEED={seed} replays it");
    }
    // The walks get everywhere, or they prove nothing.
    for counter in [
        Counter::SubsessionsEstablished,
        Counter::FramesRefused,
        Counter::RelaySessionsRefused,
        Counter::RelayLost,
        Counter::LegsRebound,
        Counter::SessionsEnded,
    ] {
        let often = seen[counter as usize];
        assert!(
            seeds.end - seeds.start < WALKS || often > WALKS / 10,
            "{counter:?}: {often}"
        );
    }
}
