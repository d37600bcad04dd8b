//! Subscriptions in a bridge: what the user has subscribed to at the peer, and what the peer has at the user.

use super::bridge::{Bridge, BridgeId, Line};
use super::ending::Why;
use super::run::Ran;
use super::{Gateway, Turn, views};
use crate::metrics::Counter;
use crate::script::{OutSipRequest, Outbound, SipView};
use crate::sip::{ClientId, Message, Method, OutRequest, SubscriptionId};

impl Gateway {
    /// News of a subscription of ours. It was answered; what the script answers counts for nothing.
    pub(super) fn notified(
        &mut self,
        subscription: SubscriptionId,
        message: &Message,
        over: bool,
        turn: &mut Turn<'_>,
    ) {
        let Some(&id) = self.subscriptions.get(&subscription) else {
            return;
        };
        self.counters.add(Counter::SipRequestsReceived);
        if over {
            self.subscriptions.remove(&subscription);
            if let Some(bridge) = self.bridges.get_mut(&id) {
                bridge
                    .subscriptions
                    .retain(|known| known.id != subscription);
            }
        }
        let ran = self.run_sip(id, views::sip_view(message), None);
        if let Ran::Done(mut orders) = ran {
            orders.retain(|order| !matches!(order.outbound, Outbound::SipResponse(_)));
            self.carry_out_all(id, orders, turn);
        }
        let alone = |bridge: &Bridge| bridge.line == Line::Idle && bridge.subscriptions.is_empty();
        let idle = |bridge: &Bridge| bridge.clients.is_empty() && bridge.servers.is_empty();
        if over
            && self
                .bridges
                .get(&id)
                .is_some_and(|b| alone(b) && idle(b) && b.watched.is_none())
        {
            // Nothing can come any more of what it was there for.
            self.end(id, &Why::failed(480, "The subscription is over"), turn);
        }
    }

    /// A script tells a peer that has subscribed.
    pub(super) fn notify(&mut self, id: BridgeId, request: OutSipRequest, turn: &mut Turn<'_>) {
        let request = self.addressed(id, request);
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        let dialog = bridge.watched.or(bridge.line.dialog());
        match turn.net.request(dialog, views::out_request(request)) {
            Ok(_) => self.counters.add(Counter::SipRequestsSent),
            Err(refused) => tracing::warn!(bridge = id.0, ?refused, "NOTIFY was not sent"),
        }
        self.check_watched(id, turn);
    }

    /// Whether the peer still has what it had subscribed to, or has it now.
    pub(super) fn check_watched(&mut self, id: BridgeId, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get_mut(&id) else {
            return;
        };
        let Some(dialog) = bridge.watched else {
            return;
        };
        if turn.net.is_watched(dialog) {
            self.timers.set(id, None);
        } else {
            bridge.watched = None;
            self.dialogs.remove(&dialog);
        }
    }

    /// Nobody is there any more for what was subscribed to, by us and by the peer.
    pub(super) fn end_subscriptions(&mut self, bridge: &Bridge, turn: &mut Turn<'_>) {
        for known in &bridge.subscriptions {
            self.subscriptions.remove(&known.id);
            turn.net.unsubscribe(known.id);
        }
        for dialog in bridge.watched.into_iter().chain(bridge.line.dialog()) {
            turn.net.stop_notifying(dialog);
        }
        if let Some(dialog) = bridge.watched {
            self.dialogs.remove(&dialog);
        }
    }
}

impl Bridge {
    /// The subscription that this request refreshes or ends.
    pub fn subscription_to(&self, request: &OutRequest, event: &str) -> Option<SubscriptionId> {
        let refreshes = request.method == Method::Subscribe;
        let mut known = self.subscriptions.iter();
        let known = known.find(|known| refreshes && known.event == event);
        known.map(|known| known.id)
    }

    /// A request of ours was answered. Which subscription is not to be, if it was to open one.
    pub fn subscription_answered(
        &mut self,
        client: ClientId,
        answer: &SipView,
    ) -> Option<SubscriptionId> {
        let opened = |known: &super::bridge::Subscribed| known.client == Some(client);
        let at = self.subscriptions.iter().position(opened)?;
        let declined = answer.headers.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("Refer-Sub") && value.trim().eq_ignore_ascii_case("false")
        });
        if answer.status < 300 && !(answer.method == "REFER" && declined) {
            self.subscriptions[at].client = None;
            return None;
        }
        Some(self.subscriptions.remove(at).id)
    }
}

/// What a request of ours is about: the value of its Event header.
pub fn event(request: &OutRequest) -> &str {
    let mut headers = request.headers.iter();
    let found = headers.find(|(name, _)| name.eq_ignore_ascii_case("Event"));
    found.map_or("", |(_, value)| value.as_str())
}
