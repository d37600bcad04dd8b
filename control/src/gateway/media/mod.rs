//! The relay's part of a bridge: asking for a session, putting it into SDP, telling it who the peers are.
//!
//! Leg A is toward the browser, leg B toward the handset, whoever called.

mod change;
mod events;
mod fingerprint;
mod lost;
mod outbound;
mod saved;
mod session_config;

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use link::{Command, Fingerprint, Leg, PeerIdentity, Record, SessionId};

use self::fingerprint::{UnknownKind, strongest_fingerprint};
pub use self::lost::REBIND;
use self::outbound::{is_offer, legs_of, sdp_of, set_sdp, source_of};
pub use self::saved::SavedMedia;
use self::session_config::SessionConfigs;
pub use self::session_config::{BROWSER, HANDSET};
use super::bridge::{BridgeId, Order};
use super::ending::Why;
use super::{Action, Gateway, Turn};
use crate::limits::{RELAY_ANSWER_MS, WAITING_MESSAGES_MAX};
use crate::metrics::Counter;
use crate::script::Outbound;
use crate::sdp::{
    Answer, BadLeg, LocalLeg, MessageMedia, Offer, Origin, Role, Setup, Target, Transport,
    anchor_answer, anchor_offer, role_after_answer, role_after_offer,
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
    configs: SessionConfigs,
    offer: Offer,
    offered_by: Leg,
}

/// A session of the relay.
#[derive(Debug)]
pub struct Made {
    session: SessionId,
    /// What was asked for, of leg A and leg B.
    configs: SessionConfigs,
    offer: Offer,
    offered_by: Leg,
    /// The relay's own end of leg A and leg B.
    own: [OwnEnd; 2],
    /// The `o=` lines of what is sent over leg A and leg B.
    origins: [Origin; 2],
    /// What the relay offered with `a=setup`.
    offered_setup: Setup,
    /// The answer the relay was told of, if there was one.
    answer: Option<Answer>,
    /// A new way in for a lost browser was asked for, and is not there yet.
    rebinding: bool,
}

impl Made {
    /// The other side's description as it goes out over `to`: of the offer, or of its answer.
    fn described(&mut self, to: Leg) -> Result<Option<Vec<u8>>, BadLeg> {
        let carried_by = self.configs.transport(to);
        let own = &self.own[to.index()];
        let origin = &mut self.origins[to.index()];
        if to != self.offered_by {
            let local = local_leg(own, carried_by, self.offered_setup);
            return anchor_offer(&self.offer, &local, origin).map(Some);
        }
        let Some(answer) = &self.answer else {
            return Ok(None);
        };
        let local = local_leg(own, carried_by, answered_setup(&self.offer, carried_by));
        anchor_answer(answer, &local, origin).map(Some)
    }
}

/// Who connects on the leg toward the offerer, as our answer says it.
fn answered_setup(offer: &Offer, carried_by: Transport) -> Setup {
    setup_of(role_after_offer(carried_by, offer.media().setup, true))
}

fn setup_of(role: Role) -> Setup {
    match role {
        Role::Active => Setup::Active,
        Role::Passive => Setup::Passive,
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
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
            match self.session_configs(outbound) {
                Some(configs) => self.anchored_offer(id, &text, source_of(outbound), configs, turn),
                None => Err(Why::failed(503, "The session-config is not known")),
            }
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
        configs: SessionConfigs,
        turn: &mut Turn<'_>,
    ) -> Result<Option<Vec<u8>>, Why> {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return Ok(None);
        };
        match &mut bridge.media {
            Media::None => {
                let offer = Offer::read(text, configs.transport(from))
                    .map_err(|refusal| offer_refused(&refusal))?;
                self.ask_relay(id, offer, from, configs, turn)?;
                Ok(None)
            }
            Media::Making(_) => Ok(None),
            Media::Made(made) if made.offered_by == from => made
                .described(from.other())
                .map_err(|_| Why::failed(503, "The relay's leg cannot be described")),
            Media::Made(_) => Err(Why::failed(488, "Updates are not supported")),
        }
    }

    fn ask_relay(
        &mut self,
        id: BridgeId,
        offer: Offer,
        offered_by: Leg,
        configs: SessionConfigs,
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
                configs: configs.clone(),
                offer,
                offered_by,
            }));
        }
        let legs = configs.specs(self.settings.ring_ms as u32);
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
        let to = from.other();
        let Some(Media::Made(made)) = self.bridges.get_mut(&id).map(|bridge| &mut bridge.media)
        else {
            return Err(Why::failed(488, "There is no offer to answer"));
        };
        let configs = made.configs.clone();
        let carried_by = |leg: Leg| configs.transport(leg);
        let answer = Answer::read(text, &made.offer, carried_by(from))
            .map_err(|_| Why::failed(488, "The answer does not fit the offer"))?;
        // Toward the answerer: as offered and answered. Toward the offerer: as our answer will say.
        let to_role = role_after_offer(carried_by(to), made.offer.media().setup, true);
        let media = answer.media().ok().cloned();
        let known = made.answer.as_ref().and_then(|known| known.media().ok());
        let is_new =
            media.as_ref().map(MessageMedia::path_text) != known.map(MessageMedia::path_text);
        made.answer = Some(answer);
        let anchored = made
            .described(to)
            .map_err(|_| Why::failed(503, "The relay's leg cannot be described"))?;
        let Some(media) = media else {
            self.give_media_back(id, turn);
            return Ok(anchored);
        };
        if !is_new {
            return Ok(anchored);
        }
        let session = made.session;
        let from_role = role_after_answer(carried_by(from), made.offered_setup, media.setup)
            .map_err(|_| Why::failed(488, "The answer leaves nobody to connect"))?;
        let offered = made.offer.media().clone();
        self.set_peer(
            id,
            (session, from),
            carried_by(from),
            &media,
            from_role,
            turn,
        )?;
        self.set_peer(id, (session, to), carried_by(to), &offered, to_role, turn)?;
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
        Ok(anchored)
    }

    /// Tells the relay who is at the other end of a leg.
    fn set_peer(
        &mut self,
        id: BridgeId,
        (session, leg): (SessionId, Leg),
        carried_by: Transport,
        media: &MessageMedia,
        role: Role,
        turn: &mut Turn<'_>,
    ) -> Result<(), Why> {
        let path = media.path_text();
        let fingerprint = match carried_by {
            Transport::Tls => strongest_fingerprint(&media.fingerprints)
                .map_err(|UnknownKind| Why::failed(488, "The fingerprint is of an unknown kind"))?,
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

fn offer_refused(refusal: &crate::sdp::Refusal) -> Why {
    tracing::info!(?refusal, "an offer is not acceptable");
    Why::failed(refusal.status(), "The offer is not acceptable")
}
