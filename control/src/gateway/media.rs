//! The relay's part of a bridge: asking for a session, putting it into SDP, telling it who the peers are.
//!
//! Leg A is toward the browser, leg B toward the handset, whoever called.

use std::net::{IpAddr, SocketAddr};

use link::{Cause, Command, Event, Fingerprint, Leg, LegPolicy, LegSpec, PeerIdentity, Record};
use link::{Refusal, SessionId};

use super::bridge::{BridgeId, Line, Order};
use super::ending::Why;
use super::{Action, Gateway, Turn};
use crate::limits::{RELAY_ANSWER_MS, WAITING_MESSAGES_MAX};
use crate::metrics::Counter;
use crate::script::{Outbound, WebKind};
use crate::sdp::{
    Answer, LocalLeg, MessageMedia, Offer, Origin, Role, Setup, Target, Transport, anchor_answer,
    anchor_offer, role_after_answer, role_after_offer, setup_to_offer,
};

/// Where the relay's part of a bridge stands.
#[derive(Debug)]
pub enum Media {
    /// There is none.
    None,
    /// The relay was asked.
    Making(Box<Making>),
    /// The relay has made it.
    Made(Box<Made>),
}

/// A session the relay was asked for.
#[derive(Debug)]
pub struct Making {
    session: SessionId,
    offer: Offer,
    offered_by: Leg,
}

/// A session of the relay.
#[derive(Debug)]
pub struct Made {
    session: SessionId,
    offer: Offer,
    offered_by: Leg,
    /// The relay's own end of leg A and leg B.
    own: [OwnEnd; 2],
    /// The `o=` lines of what is sent over leg A and leg B.
    origins: [Origin; 2],
    /// What the relay offered with `a=setup`.
    offered_setup: Setup,
    /// The path of the answer the relay was told of, if there was one.
    answered: Option<String>,
}

#[derive(Debug)]
struct OwnEnd {
    path: String,
    resource: Option<String>,
    /// The value of `a=fingerprint`, on a TLS leg.
    fingerprint: Option<String>,
}

/// A wish to know the address of a host that a peer's path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolve {
    /// The name.
    pub host: String,
    /// The port beside it.
    pub port: u16,
    bridge: BridgeId,
    leg: Leg,
    path: String,
    fingerprint: Option<Fingerprint>,
}

/// Whether a message can be sent.
pub enum Anchored {
    /// Yes: the relay is in it.
    Ready,
    /// The relay was asked; the message has to wait.
    Waits,
    /// No: the bridge has ended.
    Ended,
}

impl Gateway {
    fn transports(&self) -> [link::Transport; 2] {
        [0, 1].map(|leg| self.settings.legs[leg].transport)
    }

    /// Puts the relay into the message's SDP.
    pub(super) fn anchor(
        &mut self,
        id: BridgeId,
        outbound: &mut Outbound,
        turn: &mut Turn<'_>,
    ) -> Anchored {
        let Some(text) = sdp_of(outbound) else {
            if is_offer(outbound) {
                self.end(id, &Why::failed(488, "There is no SDP to anchor"), turn);
                return Anchored::Ended;
            }
            return Anchored::Ready;
        };
        let anchored = if is_offer(outbound) {
            self.anchored_offer(id, &text, source_of(outbound), turn)
        } else {
            self.anchored_answer(id, &text, source_of(outbound), turn)
        };
        match anchored {
            Ok(Some(anchored)) => {
                set_sdp(outbound, anchored);
                Anchored::Ready
            }
            Ok(None) => Anchored::Waits,
            Err(why) => {
                self.end(id, &why, turn);
                Anchored::Ended
            }
        }
    }

    /// The offer from leg `from` as it goes out on the other; `None`: the relay was asked first.
    fn anchored_offer(
        &mut self,
        id: BridgeId,
        text: &[u8],
        from: Leg,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Vec<u8>>, Why> {
        let transports = self.transports();
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return Ok(None);
        };
        match &mut bridge.media {
            Media::None => {
                let offer = Offer::read(text, transport(transports[from.index()]))
                    .map_err(|refusal| offer_refused(&refusal))?;
                self.ask_relay(id, offer, from, turn)?;
                Ok(None)
            }
            Media::Making(_) => Ok(None),
            Media::Made(made) if made.offered_by == from => {
                let to = from.other();
                let local = local_leg(
                    &made.own[to.index()],
                    transport(transports[to.index()]),
                    made.offered_setup,
                );
                anchor_offer(&made.offer, &local, &mut made.origins[to.index()])
                    .map(Some)
                    .map_err(|_| Why::failed(503, "The relay's leg cannot be described"))
            }
            Media::Made(_) => Err(Why::failed(488, "Updates are not supported")),
        }
    }

    fn ask_relay(
        &mut self,
        id: BridgeId,
        offer: Offer,
        offered_by: Leg,
        turn: &mut Turn<'_>,
    ) -> Result<(), Why> {
        let Some((shard, session)) = self.relay.add(id) else {
            self.counters.add(Counter::RelaySessionsRefused);
            return Err(Why::failed(503, "There is no media relay"));
        };
        self.counters.add(Counter::RelaySessionsAsked);
        if let Some(bridge) = self.bridges.get_mut(&id) {
            bridge.media = Media::Making(Box::new(Making {
                session,
                offer,
                offered_by,
            }));
        }
        let bind_ms = self.settings.ring_ms as u32;
        let configs = self.settings.legs.clone();
        let legs = [&configs[0], &configs[1]].map(|config| LegSpec {
            realm: &config.realm,
            proof: config.proof,
            policy: LegPolicy {
                grace_ms: config.grace_ms,
                ..LegPolicy::PLAIN
            },
            ..LegSpec::new(config.transport, bind_ms)
        });
        self.command(shard, Command::Create { session, legs }, turn);
        self.timers.set(id, Some(turn.now + RELAY_ANSWER_MS));
        Ok(())
    }

    /// The answer from leg `from` as it goes out on the other. The relay learns of both peers.
    fn anchored_answer(
        &mut self,
        id: BridgeId,
        text: &[u8],
        from: Leg,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Vec<u8>>, Why> {
        let transports = self.transports();
        let (to, carried_by) = (from.other(), |leg: Leg| transport(transports[leg.index()]));
        let Some(Media::Made(made)) = self.bridges.get_mut(&id).map(|bridge| &mut bridge.media)
        else {
            return Err(Why::failed(488, "There is no offer to answer"));
        };
        let answer = Answer::read(text, &made.offer, carried_by(from))
            .map_err(|_| Why::failed(488, "The answer does not fit the offer"))?;
        // Toward the answerer: as offered and answered. Toward the offerer: as our answer will say.
        let to_role = role_after_offer(carried_by(to), made.offer.media().setup, true);
        let setup = if to_role == Role::Active {
            Setup::Active
        } else {
            Setup::Passive
        };
        let local = local_leg(&made.own[to.index()], carried_by(to), setup);
        let anchored = anchor_answer(&answer, &local, &mut made.origins[to.index()])
            .map_err(|_| Why::failed(503, "The relay's leg cannot be described"))?;
        let Ok(media) = answer.media() else {
            self.give_media_back(id, turn);
            return Ok(Some(anchored));
        };
        if made.answered.as_deref() == Some(media.path_text().as_str()) {
            return Ok(Some(anchored));
        }
        made.answered = Some(media.path_text());
        let session = made.session;
        let from_role = role_after_answer(carried_by(from), made.offered_setup, media.setup)
            .map_err(|_| Why::failed(488, "The answer leaves nobody to connect"))?;
        let offered = made.offer.media().clone();
        self.set_peer(id, session, from, media, from_role, turn)?;
        self.set_peer(id, session, to, &offered, to_role, turn)?;
        let deadline_ms = self.settings.leg_ms as u32;
        for leg in Leg::ALL {
            self.command_to(
                session,
                Command::Rearm {
                    session,
                    leg,
                    deadline_ms,
                },
                turn,
            );
        }
        Ok(Some(anchored))
    }

    /// Tells the relay who is at the other end of a leg.
    fn set_peer(
        &mut self,
        id: BridgeId,
        session: SessionId,
        leg: Leg,
        media: &MessageMedia,
        role: Role,
        turn: &mut Turn<'_>,
    ) -> Result<(), Why> {
        let path = media.path_text();
        let fingerprint = match &media.fingerprint {
            Some(text) if self.settings.legs[leg.index()].transport == link::Transport::Tls => {
                let read = read_fingerprint(text);
                Some(read.ok_or(Why::failed(488, "The fingerprint is of an unknown kind"))?)
            }
            _ => None,
        };
        let identity = PeerIdentity {
            fingerprint,
            name: "",
        };
        let connect = match role {
            Role::Passive => None,
            Role::Active => {
                let Target { host, port } = media.target();
                match host.parse::<IpAddr>() {
                    Ok(address) => Some(SocketAddr::new(address, port)),
                    Err(_) => {
                        let resolve = Resolve {
                            host,
                            port,
                            bridge: id,
                            leg,
                            path,
                            fingerprint,
                        };
                        turn.out.push(Action::Resolve(resolve));
                        return Ok(());
                    }
                }
            }
        };
        let command = Command::SetPeer {
            session,
            leg,
            path: path.as_bytes(),
            connect,
            identity,
        };
        if self.command_to(session, command, turn) {
            Ok(())
        } else {
            Err(Why::failed(488, "The path is too long"))
        }
    }

    /// An address was found, or not.
    pub(super) fn media_resolved(
        &mut self,
        resolve: &Resolve,
        address: Option<SocketAddr>,
        turn: &mut Turn<'_>,
    ) {
        let Some(Media::Made(made)) = self.bridges.get(&resolve.bridge).map(|b| &b.media) else {
            return;
        };
        let session = made.session;
        let Some(address) = address else {
            self.end(
                resolve.bridge,
                &Why::failed(503, "The peer's host is not known"),
                turn,
            );
            return;
        };
        let (leg, path) = (resolve.leg, resolve.path.as_bytes());
        self.command_to(
            session,
            Command::SetPeer {
                session,
                leg,
                path,
                connect: Some(address),
                identity: PeerIdentity {
                    fingerprint: resolve.fingerprint,
                    name: "",
                },
            },
            turn,
        );
    }

    /// A shard of the relay has something to tell.
    pub(super) fn media_event(&mut self, shard: usize, event: &Event<'_>, turn: &mut Turn<'_>) {
        match *event {
            Event::Created { session, legs } => {
                let Some(entry) = self.relay.entry(session) else {
                    return;
                };
                self.relay.made(session);
                if let Some(id) = entry.bridge {
                    let own = legs.map(|leg| OwnEnd {
                        path: String::from_utf8_lossy(leg.path).into_owned(),
                        resource: (!leg.resource.is_empty())
                            .then(|| String::from_utf8_lossy(leg.resource).into_owned()),
                        fingerprint: leg.fingerprint.map(|hash| written_fingerprint(&hash)),
                    });
                    self.media_made(id, session, own, turn);
                }
            }
            Event::Refused { session, reason } => self.media_refused(session, reason, turn),
            Event::LegUp { session, leg, .. } => {
                tracing::debug!(session = session.0, ?leg, "a leg is up");
            }
            Event::LegDown { session, cause, .. } => self.media_down(session, cause, turn),
            Event::LegExpired { session, .. } => self.media_down(session, Cause::Expired, turn),
            Event::LegDetached { session, leg, .. } => {
                tracing::debug!(session = session.0, ?leg, "a leg is lost and may come back");
            }
            Event::Rebound { session, leg, .. } => {
                tracing::debug!(session = session.0, ?leg, "a lost leg has a new path");
            }
            Event::Reloaded { is_complete, .. } => {
                tracing::info!(is_complete, "the relay has read its certificates anew");
            }
            Event::Closed {
                session,
                cause,
                counts,
            } => {
                tracing::debug!(
                    session = session.0,
                    ?cause,
                    ?counts,
                    "the relay closed a session"
                );
                self.media_down(session, cause, turn);
                self.relay.gone(session);
            }
            Event::Listed { session, .. } => {
                if self.relay.entry(session).is_none() {
                    self.counters.add(Counter::RelayStrays);
                    self.command(shard, Command::Delete { session }, turn);
                }
            }
            Event::ListEnd { .. } => tracing::debug!(shard, "the relay's sessions are known"),
        }
    }

    fn media_made(
        &mut self,
        id: BridgeId,
        session: SessionId,
        own: [OwnEnd; 2],
        turn: &mut Turn<'_>,
    ) {
        let numbers = [self.random.number() >> 2, self.random.number() >> 2];
        let transports = self.transports();
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let making = match std::mem::replace(&mut bridge.media, Media::None) {
            Media::Making(making) if making.session == session => making,
            // Said again; it was made before.
            other => return bridge.media = other,
        };
        let to = making.offered_by.other();
        bridge.media = Media::Made(Box::new(Made {
            session,
            offered_setup: setup_to_offer(transport(transports[to.index()]), true),
            offer: making.offer,
            offered_by: making.offered_by,
            own,
            origins: numbers.map(Origin::new),
            answered: None,
        }));
        if matches!(bridge.line, Line::Invited { .. }) {
            self.timers.set(id, Some(turn.now + self.settings.ring_ms));
        }
        let orders = std::mem::take(&mut bridge.waiting).into();
        self.carry_out_all(id, orders, turn);
    }

    fn media_refused(&mut self, session: SessionId, reason: Refusal, turn: &mut Turn<'_>) {
        let Some(entry) = self.relay.entry(session) else {
            return;
        };
        tracing::warn!(session = session.0, ?reason, "the relay refused a command");
        self.counters.add(Counter::RelaySessionsRefused);
        if !entry.made || reason == Refusal::SessionUnknown {
            self.relay.gone(session);
        }
        let Some(id) = entry.bridge else { return };
        let why = match reason {
            Refusal::PathTooLong | Refusal::PathMalformed | Refusal::ConnectImpossible => {
                Why::failed(488, "The relay does not take the path")
            }
            Refusal::NoPorts
            | Refusal::NoSessions
            | Refusal::NoMemory
            | Refusal::TransportUnknown
            | Refusal::RealmUnknown
            | Refusal::CertificateMissing
            | Refusal::NotDetached
            | Refusal::PolicyUnknown
            | Refusal::Draining
            | Refusal::SessionUnknown => Why::failed(503, "The media relay refused"),
        };
        self.end(id, &why, turn);
    }

    /// A leg is lost, and with it the bridge.
    fn media_down(&mut self, session: SessionId, cause: Cause, turn: &mut Turn<'_>) {
        let Some(id) = self.relay.entry(session).and_then(|entry| entry.bridge) else {
            return;
        };
        self.end(id, &leg_lost(cause), turn);
    }

    /// Gives the session back that a bridge has, if it has one.
    pub(super) fn release_media(&mut self, media: &Media, turn: &mut Turn<'_>) {
        let session = match media {
            Media::None => return,
            Media::Making(making) => making.session,
            Media::Made(made) => made.session,
        };
        if let Some(shard) = self.relay.give_back(session) {
            self.command(shard, Command::Delete { session }, turn);
        }
    }

    /// The bridge goes on without a session of the relay.
    fn give_media_back(&mut self, id: BridgeId, turn: &mut Turn<'_>) {
        if let Some(bridge) = self.bridges.get_mut(&id) {
            let media = std::mem::replace(&mut bridge.media, Media::None);
            self.release_media(&media, turn);
        }
    }

    /// Puts a message off until the relay has answered.
    pub(super) fn put_off(&mut self, id: BridgeId, order: Order, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        if bridge.waiting.len() >= WAITING_MESSAGES_MAX {
            self.end(
                id,
                &Why::failed(503, "Too many messages wait for the relay"),
                turn,
            );
        } else {
            bridge.waiting.push_back(order);
        }
    }

    /// A command about a session, to its shard. Whether it could be encoded.
    fn command_to(
        &mut self,
        session: SessionId,
        command: Command<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        match self.relay.entry(session) {
            Some(entry) => self.command(entry.shard, command, turn),
            None => true,
        }
    }

    /// A command to a shard. Whether it could be encoded.
    pub(super) fn command(
        &mut self,
        shard: usize,
        command: Command<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let mut record = Box::new(Record::new());
        let encoded = command.encode(&mut record).is_ok();
        if encoded {
            turn.out.push(Action::Relay { shard, record });
        }
        encoded
    }
}

/// Where the SDP of a message comes from: what goes to the browser came from leg B.
fn source_of(outbound: &Outbound) -> Leg {
    match outbound {
        Outbound::Web(_) => Leg::B,
        Outbound::SipRequest(_) | Outbound::SipResponse(_) => Leg::A,
    }
}

fn is_offer(outbound: &Outbound) -> bool {
    match outbound {
        Outbound::Web(web) => web.kind == WebKind::Request,
        Outbound::SipRequest(_) => true,
        Outbound::SipResponse(_) => false,
    }
}

fn sdp_of(outbound: &Outbound) -> Option<Vec<u8>> {
    let content = match outbound {
        Outbound::Web(web) => {
            let sdp = web.payload.get("sdp")?.as_str()?;
            return (!sdp.is_empty()).then(|| sdp.as_bytes().to_vec());
        }
        Outbound::SipRequest(request) => request.content.as_ref()?,
        Outbound::SipResponse(response) => response.content.as_ref()?,
    };
    (!content.data.is_empty()).then(|| content.data.clone())
}

fn set_sdp(outbound: &mut Outbound, sdp: Vec<u8>) {
    match outbound {
        Outbound::Web(web) => {
            let text = String::from_utf8_lossy(&sdp).into_owned();
            web.payload.insert("sdp".into(), text.into());
        }
        Outbound::SipRequest(request) => {
            if let Some(content) = &mut request.content {
                content.data = sdp;
            }
        }
        Outbound::SipResponse(response) => {
            if let Some(content) = &mut response.content {
                content.data = sdp;
            }
        }
    }
}

fn local_leg(own: &OwnEnd, transport: Transport, setup: Setup) -> LocalLeg<'_> {
    LocalLeg {
        transport,
        path: &own.path,
        resource: own.resource.as_deref(),
        setup,
        // Browsers judge the certificate by its authority.
        fingerprint: match transport {
            Transport::Tls => own.fingerprint.as_deref(),
            Transport::Ws | Transport::Wss | Transport::Tcp => None,
        },
    }
}

/// A SHA-256 hash as `a=fingerprint` has it. RFC 8122, 5.
fn written_fingerprint(hash: &[u8; 32]) -> String {
    let octets: Vec<String> = hash.iter().map(|octet| format!("{octet:02X}")).collect();
    format!("SHA-256 {}", octets.join(":"))
}

/// The hash in a peer's `a=fingerprint`; `None` if it is of a kind that we do not take.
fn read_fingerprint(text: &str) -> Option<Fingerprint> {
    let (kind, hash) = text.split_once(' ')?;
    let octet = |pair: &str| match pair.len() {
        2 => u8::from_str_radix(pair, 16).ok(),
        _ => None,
    };
    let octets: Vec<u8> = hash.trim().split(':').map(octet).collect::<Option<_>>()?;
    if kind.eq_ignore_ascii_case("sha-256") {
        Some(Fingerprint::Sha256(octets.try_into().ok()?))
    } else if kind.eq_ignore_ascii_case("sha-1") {
        Some(Fingerprint::Sha1(octets.try_into().ok()?))
    } else {
        None
    }
}

fn transport(transport: link::Transport) -> Transport {
    match transport {
        link::Transport::Ws => Transport::Ws,
        link::Transport::Wss => Transport::Wss,
        link::Transport::Tcp => Transport::Tcp,
        link::Transport::Tls => Transport::Tls,
    }
}

fn offer_refused(refusal: &crate::sdp::Refusal) -> Why {
    tracing::info!(?refusal, "an offer is not acceptable");
    Why::failed(refusal.status(), "The offer is not acceptable")
}

fn leg_lost(cause: Cause) -> Why {
    match cause {
        Cause::PeerClosed => Why::failed(480, "The media connection was closed"),
        Cause::Reset => Why::failed(503, "The media connection was lost"),
        Cause::ConnectFailed => Why::failed(503, "The media connection could not be made"),
        Cause::ProtocolError => Why::failed(503, "The media connection broke its protocol"),
        Cause::Expired => Why::failed(408, "The media connection was not made in time"),
        Cause::Stalled => Why::failed(503, "The media connection stalled"),
        Cause::Idle => Why::failed(408, "The media connection was idle for too long"),
        Cause::HandshakeFailed => Why::failed(503, "The media connection could not be secured"),
        Cause::PeerUnproven => Why::failed(403, "The peer could not prove who it is"),
        Cause::TooLarge => Why::failed(513, "A message was too large"),
        Cause::NoMemory => Why::failed(503, "The media relay is short of memory"),
        Cause::OtherLeg | Cause::Deleted => Why::failed(503, "The media session ended"),
        Cause::Stopping => Why::failed(503, "The media relay is stopping"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_written_and_read_as_rfc_8122_has_them() {
        let text = written_fingerprint(&[0xab; 32]);
        assert!(text.starts_with("SHA-256 AB:AB:"));
        assert_eq!(
            read_fingerprint(&text),
            Some(Fingerprint::Sha256([0xab; 32]))
        );
        let lower = format!("sha-1 {}", ["0f"; 20].join(":"));
        assert_eq!(
            read_fingerprint(&lower),
            Some(Fingerprint::Sha1([0x0f; 20]))
        );
        for wrong in ["", "SHA-256", "SHA-256 AB", "MD5 AB", "SHA-1 +1:02"] {
            assert_eq!(read_fingerprint(wrong), None, "{wrong}");
        }
    }
}
