//! Subscriptions of ours and of peers, as tables. RFC 6665; RFC 3515, 2.4.4 (those that REFER implies).
//!
//! A subscription lives in a dialog: one of its own, which goes with it, or that of an INVITE. What ours do is in
//! `subscribing`, what those of peers do in `notifier`.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::api::{ClientId, DialogId, Millis, OutRequest, SubscriptionId};
use super::message::Message;

/// What is subscribed to: an event package, and an id that tells several of it apart. RFC 6665, 8.2.1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EventName {
    pub package: String,
    pub id: Option<String>,
}

impl EventName {
    /// Reads the value of an Event header.
    pub fn read(value: &str) -> Option<EventName> {
        let mut parts = value.split(';').map(str::trim);
        let package = parts.next().filter(|name| super::text::is_token(name))?;
        let id = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            (name.trim().eq_ignore_ascii_case("id")).then(|| value.trim().to_owned())
        });
        Some(EventName {
            package: package.to_owned(),
            id,
        })
    }

    /// What a message is about.
    pub fn of(message: &Message) -> Option<EventName> {
        EventName::read(message.header("Event")?)
    }

    /// Whether a message about `other` is about this. The first REFER of a dialog may be meant without its id
    /// (RFC 3515, 2.4.6).
    pub fn is_meant_by(&self, other: &EventName) -> bool {
        let same = self.id == other.id || self.package == "refer" && other.id.is_none();
        self.package == other.package && same
    }
}

impl std::fmt::Display for EventName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.id {
            Some(id) => write!(f, "{};id={id}", self.package),
            None => f.write_str(&self.package),
        }
    }
}

/// One subscription of ours.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Subscription {
    pub dialog: DialogId,
    /// The dialog is there for this alone.
    pub own_dialog: bool,
    pub event: EventName,
    /// What was asked, to be asked again.
    pub request: OutRequest,
    /// For how long it was granted, in seconds.
    pub granted_s: u32,
    pub stage: Stage,
    /// A SUBSCRIBE or REFER of ours that has no answer.
    pub client: Option<ClientId>,
    /// When it is over, unless something happens.
    pub ends_at: Millis,
    /// When it is to be refreshed, or asked for anew.
    pub again_at: Option<Millis>,
    /// How often it was asked for anew since the last news.
    pub renewals: u32,
    /// Nobody wants to hear of it any more.
    pub is_silent: bool,
}

/// How far a subscription of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Stage {
    /// No NOTIFY has come.
    Asked,
    /// It is there.
    Open,
    /// The peer has ended it, and it will be asked for anew.
    Waiting,
    /// We have ended it; the last NOTIFY is to come.
    Leaving,
}

impl Subscription {
    /// When something is to be done.
    pub fn deadline(&self) -> Millis {
        let again = self.again_at.filter(|_| self.client.is_none());
        again.map_or(self.ends_at, |at| at.min(self.ends_at))
    }

    /// Whether a REFER has made it.
    pub fn is_of_refer(&self) -> bool {
        self.event.package == "refer"
    }
}

/// All of ours.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Subscriptions {
    by_id: BTreeMap<SubscriptionId, Subscription>,
    by_dialog: BTreeSet<(DialogId, SubscriptionId)>,
}

impl Subscriptions {
    pub fn insert(&mut self, id: SubscriptionId, subscription: Subscription) {
        self.by_dialog.insert((subscription.dialog, id));
        self.by_id.insert(id, subscription);
    }

    pub fn of(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.by_id.get(&id)
    }

    /// To change one, but not its dialog.
    pub fn of_mut(&mut self, id: SubscriptionId) -> Option<&mut Subscription> {
        self.by_id.get_mut(&id)
    }

    pub fn remove(&mut self, id: SubscriptionId) -> Option<Subscription> {
        let subscription = self.by_id.remove(&id)?;
        self.by_dialog.remove(&(subscription.dialog, id));
        Some(subscription)
    }

    /// Those that live in a dialog.
    pub fn in_dialog(&self, dialog: DialogId) -> Vec<SubscriptionId> {
        let range = (dialog, SubscriptionId(0))..=(dialog, SubscriptionId(u64::MAX));
        self.by_dialog.range(range).map(|(_, id)| *id).collect()
    }

    /// The one in a dialog that news of `event` are for.
    pub fn find(&self, dialog: DialogId, event: &EventName) -> Option<SubscriptionId> {
        let all = self.in_dialog(dialog).into_iter();
        let mut meant = all.filter(|id| {
            let known = self.by_id.get(id);
            known.is_some_and(|known| known.event.is_meant_by(event))
        });
        meant.next()
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }
}

/// A subscription of a peer's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Watcher {
    pub dialog: DialogId,
    pub event: EventName,
    pub ends_at: Millis,
}

/// What Subscription-State says. RFC 6665, 8.2.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub is_over: bool,
    pub reason: String,
    pub expires_s: Option<u32>,
    pub retry_after_s: Option<u32>,
}

impl State {
    /// Reads the value.
    pub fn read(value: &str) -> State {
        let mut parts = value.split(';').map(str::trim);
        let is_over = parts
            .next()
            .is_some_and(|word| word.eq_ignore_ascii_case("terminated"));
        let params: Vec<(String, &str)> = parts
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim()))
            .collect();
        let of = |name: &str| {
            let found = params.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| *value)
        };
        State {
            is_over,
            reason: of("reason").unwrap_or_default().to_ascii_lowercase(),
            expires_s: of("expires").and_then(|text| text.parse().ok()),
            retry_after_s: of("retry-after").and_then(|text| text.parse().ok()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_package_and_perhaps_an_id() {
        let event = EventName::read("presence ; x=1; ID = 7").unwrap();
        assert_eq!(event.to_string(), "presence;id=7");
        assert_eq!(EventName::read("a b"), None);
        assert_eq!(EventName::read(""), None);
        let refer = EventName::read("refer;id=2").unwrap();
        assert!(refer.is_meant_by(&EventName::read("refer").unwrap()));
        assert!(!refer.is_meant_by(&EventName::read("refer;id=3").unwrap()));
        assert!(!event.is_meant_by(&EventName::read("presence").unwrap()));
    }

    #[test]
    fn a_state_may_say_why_and_for_how_long() {
        let state = State::read("Terminated; Reason=Probation;retry-after=9");
        let expected = (true, "probation", Some(9));
        let read = (state.is_over, state.reason.as_str(), state.retry_after_s);
        assert_eq!(read, expected);
        let state = State::read("active;expires=60");
        assert_eq!((state.is_over, state.expires_s), (false, Some(60)));
    }
}
