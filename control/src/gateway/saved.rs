//! What of the gateway outlives the process: taken out change by change, and taken back at the next start.
//!
//! Kept are sessions with their unconfirmed frames, established bridges with their dialogs and the relay's
//! sessions, subscriptions, registrations here and elsewhere, and texts of peers that wait for an answer. Of another bridge that was
//! being set up only those who wait for an answer are kept, so that they get one. What comes out at a time belongs together: all
//! of it is kept, or nothing.

use std::collections::{BTreeMap, BTreeSet};

use link::{Leg, SessionId};
use serde::{Deserialize, Serialize};

use super::bridge::{Alarm, Branch, Bridge, BridgeId, Line, Subscribed};
use super::ending::Why;
use super::media::{Media, SavedMedia};
use super::{Gateway, Net, Seat, Turn};
use crate::jsonrtc::{self, Members, SessionHead, SessionKey};
use crate::limits::{Millis, RELAY_BACK_MS, REQUEST_MS};
use crate::sip::{DialogId, ServerId, Sip, SubscriptionId};

/// The method of a text.
const MESSAGE: &str = "MESSAGE";

/// One change. Applied in order to an empty [`Image`] they make the one there is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Change {
    /// A session or a frame of it.
    Web(jsonrtc::Saved),
    /// What scripts keep for a session, and who its user is for SIP.
    Seat(SessionKey, SavedSeat),
    /// What scripts keep for a user; `None`: nothing any more.
    User(String, Option<Members>),
    /// A bridge; `None`: it has ended.
    Bridge(u64, Option<Box<SavedBridge>>),
    /// A frame that waits to open something, of this session; `None`: its turn has come.
    Opening(u64, Option<(SessionKey, String)>),
    /// A user's bindings; `None`: there are none.
    Bindings(String, Option<String>),
    /// What a user has with servers elsewhere; `None`: nothing any more.
    Elsewhere(String, Option<String>),
    /// A text of a peer's that was told, and may be repeated; `None`: not any more.
    Request(ServerId, Option<String>),
    /// What our Record-Route says.
    RouteUser(String),
}

impl Change {
    /// What has changed on the SIP side since this was last asked. Dialogs and subscriptions are kept with their bridges.
    pub fn of_sip(sip: &mut Sip) -> Vec<Change> {
        let (users, elsewhere) = (sip.changed_users(), sip.changed_elsewhere());
        let requests = sip.changed_requests();
        let mut changes = Change::of_users(sip, users, elsewhere);
        changes.extend(Change::of_requests(sip, requests));
        changes
    }

    /// All of the SIP side.
    pub fn all_of_sip(sip: &Sip) -> Vec<Change> {
        let mut changes = vec![Change::RouteUser(sip.route_user().to_owned())];
        changes.extend(Change::of_users(sip, sip.users(), sip.users_elsewhere()));
        changes.extend(Change::of_requests(sip, sip.kept_requests()));
        changes
    }

    fn of_requests(sip: &Sip, requests: Vec<ServerId>) -> impl Iterator<Item = Change> {
        let saved = |id| Change::Request(id, sip.saved_request(id));
        requests.into_iter().map(saved)
    }

    fn of_users(sip: &Sip, users: Vec<String>, elsewhere: Vec<String>) -> Vec<Change> {
        let bindings = users.into_iter().map(|user| {
            let bindings = sip.saved_bindings(&user);
            Change::Bindings(user, bindings)
        });
        let elsewhere = elsewhere.into_iter().map(|user| {
            let kept = sip.saved_elsewhere(&user);
            Change::Elsewhere(user, kept)
        });
        bindings.chain(elsewhere).collect()
    }
}

/// A session's seat.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SavedSeat {
    store: Members,
    local: Option<String>,
    #[serde(default)]
    device: Option<Members>,
}

/// A bridge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedBridge {
    package: String,
    application: String,
    user: String,
    peer: String,
    initiator: String,
    target: String,
    branches: Vec<Branch>,
    store: Members,
    /// `None`: it was being set up, or is there for its subscriptions.
    open: Option<Open>,
    #[serde(default)]
    subscriptions: Vec<SavedSubscription>,
    /// The peer's texts that wait for an answer: one that is repeated is answered as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    texts: Vec<ServerId>,
    /// Where there is one, the script's timer and its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alarm: Option<(String, Millis)>,
}

/// What we have subscribed to.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SavedSubscription {
    id: SubscriptionId,
    event: String,
    text: String,
}

/// What an established bridge has.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    dialog: DialogId,
    dialog_text: String,
    media: Option<SavedMedia>,
}

/// Everything that was kept.
#[derive(Debug, Default)]
pub struct Image {
    sessions: BTreeMap<SessionKey, (SessionHead, BTreeMap<u32, String>)>,
    seats: BTreeMap<SessionKey, SavedSeat>,
    /// What scripts keep for users beyond their sessions.
    pub users: BTreeMap<String, Members>,
    bridges: BTreeMap<u64, SavedBridge>,
    openings: BTreeMap<u64, (SessionKey, String)>,
    /// Who has registered.
    pub bindings: BTreeMap<String, String>,
    elsewhere: BTreeMap<String, String>,
    requests: BTreeMap<ServerId, String>,
    route_user: Option<String>,
}

impl Image {
    /// Applies the next change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Web(jsonrtc::Saved::Session { key, head }) => {
                let frames = self.sessions.remove(&key).map(|(_, frames)| frames);
                let mut frames = frames.unwrap_or_default();
                frames.retain(|sequence, _| *sequence >= head.first);
                self.sessions.insert(key, (head, frames));
            }
            Change::Web(jsonrtc::Saved::Frame {
                key,
                sequence,
                text,
            }) => {
                if let Some((_, frames)) = self.sessions.get_mut(&key) {
                    frames.insert(sequence, text);
                }
            }
            Change::Web(jsonrtc::Saved::Ended { key }) => {
                self.sessions.remove(&key);
                self.seats.remove(&key);
            }
            Change::Seat(key, seat) => {
                self.seats.insert(key, seat);
            }
            Change::User(user, Some(store)) => {
                self.users.insert(user, store);
            }
            Change::User(user, None) => {
                self.users.remove(&user);
            }
            Change::Bridge(id, Some(bridge)) => {
                self.bridges.insert(id, *bridge);
            }
            Change::Bridge(id, None) => {
                self.bridges.remove(&id);
            }
            Change::Opening(number, Some(opening)) => {
                self.openings.insert(number, opening);
            }
            Change::Opening(number, None) => {
                self.openings.remove(&number);
            }
            Change::Bindings(user, Some(bindings)) => {
                self.bindings.insert(user, bindings);
            }
            Change::Bindings(user, None) => {
                self.bindings.remove(&user);
            }
            Change::Elsewhere(user, Some(kept)) => {
                self.elsewhere.insert(user, kept);
            }
            Change::Elsewhere(user, None) => {
                self.elsewhere.remove(&user);
            }
            Change::Request(id, Some(request)) => {
                self.requests.insert(id, request);
            }
            Change::Request(id, None) => {
                self.requests.remove(&id);
            }
            Change::RouteUser(user) => self.route_user = Some(user),
        }
    }

    /// Takes back what is the SIP side's: before anything else happens. When the gateway has taken back its part, call
    /// [`Sip::restored`]. `false`: some of it can't be read.
    pub fn restore_sip(&self, sip: &mut Sip) -> bool {
        if let Some(user) = &self.route_user {
            sip.set_route_user(user);
        }
        let mut is_read = true;
        for (user, bindings) in &self.bindings {
            is_read &= sip.restore_bindings(user, bindings);
        }
        for (user, kept) in &self.elsewhere {
            is_read &= sip.restore_elsewhere(user, kept);
        }
        for (id, request) in &self.requests {
            is_read &= sip.restore_request(*id, request);
        }
        is_read
    }

    /// Whether nothing was kept.
    pub fn is_empty(&self) -> bool {
        let nobody = self.sessions.is_empty() && self.users.is_empty();
        let nothing = self.bindings.is_empty() && self.elsewhere.is_empty();
        let nothing = nothing && self.requests.is_empty();
        nobody && nothing && self.bridges.is_empty() && self.openings.is_empty()
    }
}

impl Gateway {
    /// Nobody wants to know what has changed.
    pub fn forget_changes(&mut self) {
        self.bridges.take_touched();
        self.seats.take_touched();
        self.users.take_touched();
        self.openings.forget_changes();
        self.browsers.forget_changes();
    }

    /// What has changed since this was last asked.
    pub fn take_changes(&mut self, net: &dyn Net) -> Vec<Change> {
        let (bridges, seats) = (self.bridges.take_touched(), self.seats.take_touched());
        let mut changes = self.changes(bridges, seats, net, false);
        let users = self.users.take_touched();
        changes.extend(users.into_iter().map(|user| self.saved_user(user)));
        changes.extend(self.openings.take_changes());
        changes
    }

    /// Everything there is.
    pub fn all_changes(&mut self, net: &dyn Net) -> Vec<Change> {
        let bridges = self.bridges.keys().copied().collect();
        let seats = self.seats.keys().copied().collect();
        self.bridges.take_touched();
        self.seats.take_touched();
        self.users.take_touched();
        let mut changes = self.changes(bridges, seats, net, true);
        let users = self.users.users();
        changes.extend(users.into_iter().map(|user| self.saved_user(user)));
        changes.extend(self.openings.all());
        changes
    }

    fn saved_user(&self, user: String) -> Change {
        let store = Some(self.users.get(&user)).filter(|store| !store.is_empty());
        Change::User(user, store)
    }

    fn changes(
        &mut self,
        bridges: BTreeSet<BridgeId>,
        seats: BTreeSet<SessionKey>,
        net: &dyn Net,
        all: bool,
    ) -> Vec<Change> {
        let mut web = Vec::new();
        if all {
            self.browsers.all(&mut web);
        } else {
            self.browsers.take_changes(&mut web);
        }
        let mut changes: Vec<Change> = web.into_iter().map(Change::Web).collect();
        for key in seats {
            if let Some(seat) = self.seats.get(&key) {
                let saved = SavedSeat {
                    store: seat.store.clone(),
                    local: seat.local.clone(),
                    device: seat.device.clone(),
                };
                changes.push(Change::Seat(key, saved));
            }
        }
        for id in bridges {
            let alarm = self.alarms.at(id);
            let saved = self
                .bridges
                .get(&id)
                .map(|bridge| saved(bridge, alarm, net));
            changes.push(Change::Bridge(id.0, saved.map(Box::new)));
        }
        changes
    }

    /// Takes back what an earlier process kept: before anything else happens.
    pub fn restore(&mut self, image: Image, turn: &mut Turn<'_>) {
        let mut seats = image.seats;
        self.users.restore(image.users);
        for (key, (head, frames)) in image.sessions {
            let frames = frames.into_iter().collect();
            self.browsers.restore(key, head, frames, turn.now);
            let saved = seats.remove(&key);
            let SavedSeat {
                store,
                local,
                device,
            } = saved.unwrap_or_default();
            if let Some(user) = &local {
                turn.net.add_local(user);
                turn.net.keep_registered(user);
            }
            let seat = Seat {
                store,
                local,
                device,
                ..Seat::default()
            };
            self.seats.insert(key, seat);
        }
        let mut lost = Vec::new();
        for (id, saved) in image.bridges {
            let id = BridgeId(id);
            self.last_bridge = self.last_bridge.max(id.0);
            if !self.restore_bridge(id, saved, turn) {
                lost.push(id);
            }
        }
        let (sessions, bridges) = (self.seats.len(), self.bridges.len() - lost.len());
        tracing::info!(sessions, bridges, lost = lost.len(), "state was taken back");
        let why = Why::failed(503, "The server was restarted");
        for id in lost {
            self.end(id, &why, turn);
        }
        // What was asked in subsessions that go on, nobody will answer any more.
        let mut bridges: Vec<BridgeId> = self.bridges.keys().copied().collect();
        bridges.sort_unstable();
        for id in bridges {
            let branches = self
                .bridges
                .get_mut(&id)
                .map(|bridge| bridge.branches.iter_mut());
            let asked: Vec<_> = branches
                .into_iter()
                .flatten()
                .map(|branch| std::mem::take(&mut branch.from_browser))
                .enumerate()
                .collect();
            for (at, asked) in asked {
                for asked in asked {
                    self.refuse_asked(id, at, &asked, &why, turn);
                }
            }
        }
        for (number, opening) in image.openings {
            self.restore_opening(number, opening, turn);
        }
        if self.relay.sessions_len() > 0 {
            self.relay_back_by = Some(turn.now + RELAY_BACK_MS);
        }
        self.settle(turn);
    }

    /// Whether it can go on.
    fn restore_bridge(&mut self, id: BridgeId, saved: SavedBridge, turn: &mut Turn<'_>) -> bool {
        let SavedBridge {
            package,
            application,
            initiator,
            target,
            branches,
            store,
            open,
            subscriptions,
            ..
        } = saved;
        let mut bridge = Bridge::new(&package, &application, &initiator, &target);
        (bridge.user, bridge.peer) = (saved.user, saved.peer);
        (bridge.branches, bridge.store) = (branches, store);
        for branch in &bridge.branches {
            if let Some(seat) = self.seats.get_mut(&branch.session) {
                seat.subsessions.insert(branch.subsession.clone(), id);
            }
        }
        let mut lives = false;
        if let Some(open) = open
            && turn.net.restore_dialog(&open.dialog_text)
        {
            lives = true;
            bridge.line = Line::Open {
                dialog: open.dialog,
            };
            self.dialogs.insert(open.dialog, id);
            if let Some(saved) = open.media {
                match self.restored_media(&saved) {
                    Some(media) => {
                        self.relay.restore(saved.session(), id);
                        bridge.media = Media::Made(Box::new(media));
                    }
                    None => lives = false,
                }
            }
        }
        for SavedSubscription {
            id: subscription,
            event,
            text,
        } in subscriptions
        {
            if turn.net.restore_subscription(&text) {
                self.subscriptions.insert(subscription, id);
                bridge.subscriptions.push(Subscribed {
                    id: subscription,
                    event,
                    client: None,
                });
            }
        }
        lives |= self.restore_texts(id, &mut bridge, saved.texts, saved.alarm, turn);
        // One that is there for a subscription alone, and whose opening was answered.
        let answered = |branch: &Branch| branch.from_browser.is_empty();
        let told = !bridge.subscriptions.is_empty() && bridge.branches.iter().all(answered);
        lives |= bridge.line == Line::Idle && told;
        self.bridges.insert(id, bridge);
        lives
    }

    /// Takes back a peer's texts that a browser has and the peer has no answer to, with the time that the script gives
    /// the browser for its verdict. Whether there are some.
    fn restore_texts(
        &mut self,
        id: BridgeId,
        bridge: &mut Bridge,
        texts: Vec<ServerId>,
        alarm: Option<(String, Millis)>,
        turn: &Turn<'_>,
    ) -> bool {
        for server in texts {
            if turn.net.is_asked(server) {
                self.servers.insert(server, id);
                bridge.servers.push((server, MESSAGE.to_owned()));
            }
        }
        if bridge.servers.is_empty() {
            return false;
        }
        self.timers.set(id, Some(turn.now + REQUEST_MS));
        if let Some((name, at)) = alarm {
            self.alarms.set(id, Some(at));
            bridge.alarm = Some(Alarm { name, fresh: None });
        }
        true
    }

    /// All shards have listed their sessions: what they do not have is over.
    pub(super) fn relay_reconciled(&mut self, turn: &mut Turn<'_>) {
        self.relay_back_by = None;
        for bridge in self.relay.take_missing() {
            self.end(bridge, &Why::relay_lost(), turn);
        }
    }

    /// A session that was taken back is still there.
    pub(super) fn relay_has(
        &mut self,
        shard: usize,
        session: SessionId,
        states: [link::LegState; 2],
        turn: &mut Turn<'_>,
    ) {
        if let Some(id) = self.relay.found(session, shard)
            && states[Leg::A.index()] == link::LegState::Detached
        {
            self.rebind(id, Leg::A, turn);
        }
    }
}

fn saved(bridge: &Bridge, alarm: Option<Millis>, net: &dyn Net) -> SavedBridge {
    let open = match bridge.line {
        Line::Open { dialog } => net.saved_dialog(dialog).map(|dialog_text| Open {
            dialog,
            dialog_text,
            media: bridge.media.saved(),
        }),
        _ => None,
    };
    let kept = bridge.subscriptions.iter().filter_map(|known| {
        let text = net.saved_subscription(known.id)?;
        let (id, event) = (known.id, known.event.clone());
        Some(SavedSubscription { id, event, text })
    });
    let texts = bridge
        .servers
        .iter()
        .filter(|(_, method)| method == MESSAGE);
    let texts: Vec<ServerId> = texts.map(|(server, _)| *server).collect();
    let named = bridge.alarm.as_ref().map(|alarm| alarm.name.clone());
    let alarm = named.zip(alarm).filter(|_| !texts.is_empty());
    SavedBridge {
        subscriptions: kept.collect(),
        texts,
        alarm,
        package: bridge.package.clone(),
        application: bridge.application.clone(),
        user: bridge.user.clone(),
        peer: bridge.peer.clone(),
        initiator: bridge.initiator.clone(),
        target: bridge.target.clone(),
        branches: bridge.branches.clone(),
        store: bridge.store.clone(),
        open,
    }
}
