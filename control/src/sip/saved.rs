//! What outlives the process: confirmed dialogs, subscriptions of ours and bindings, each as one text; what our users
//! have elsewhere is in `elsewhere`.
//!
//! Of transactions only those of peers' texts do: a text that a page has must not come again when its peer repeats it. Else
//! a peer repeats what it got no answer to, and what was being set up may fail. Nor do subscriptions
//! of peers: who refreshes one is told 481, and subscribes anew (RFC 6665, 4.1.2.2).

use serde::{Deserialize, Serialize};

use super::api::{DialogId, Flow, Millis, ServerId, SubscriptionId};
use super::dialog::{Dialog, Phase};
use super::machine::Sip;
use super::registrar::Binding;
use super::subscribing::expires_of;
use super::subscription::{Stage, Subscription};
use super::tables::Server;
use super::timers::TimerOf;

/// A dialog with its id.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    id: u64,
    dialog: T,
}

/// A peer's request, and the last answer to it.
#[derive(Serialize, Deserialize)]
struct KeptRequest {
    server: Server,
    last: Option<String>,
}

/// A subscription with its id, and its dialog if that is open and there for it alone.
#[derive(Serialize, Deserialize)]
struct KeptSubscription {
    id: SubscriptionId,
    subscription: Subscription,
    dialog: Option<Dialog>,
}

impl Sip {
    /// A dialog as text, once it is confirmed and until one side hangs up.
    pub fn saved_dialog(&self, id: DialogId) -> Option<String> {
        let dialog = self.dialogs.of(id)?;
        let kept = Kept { id: id.0, dialog };
        let lives = dialog.phase == Phase::Confirmed;
        lives.then(|| serde_json::to_string(&kept).ok()).flatten()
    }

    /// Takes a dialog back. `false`: the text is none.
    pub fn restore_dialog(&mut self, text: &str) -> bool {
        let Ok(Kept { id, dialog }) = serde_json::from_str::<Kept<Dialog>>(text) else {
            return false;
        };
        self.take_back(DialogId(id), dialog);
        true
    }

    fn take_back(&mut self, id: DialogId, mut dialog: Dialog) {
        // The last request may have gone out before it was put away.
        dialog.local_cseq = dialog.local_cseq.saturating_add(1);
        dialog.source = dialog.source.map(reopened);
        dialog.our_invite = None;
        dialog.their_invite = None;
        dialog.answer = None;
        dialog.held_bye = None;
        dialog.our_update = None;
        dialog.their_update = None;
        dialog.again = None;
        dialog.proposed = None;
        if let Some(ack) = &mut dialog.ack
            && let Some((flow, _)) = &mut ack.sent
        {
            *flow = reopened(*flow);
        }
        self.last_id = self.last_id.max(id.0);
        self.dialogs.insert(id, dialog);
        self.rearm_dialog(id);
    }

    /// A subscription of ours as text, with its dialog if it has one of its own. `None`: it is over, or its end is asked
    /// for, or it tells how a transfer goes, which is told to nobody after a restart.
    pub fn saved_subscription(&self, id: SubscriptionId) -> Option<String> {
        let subscription = self.subscriptions.of(id)?;
        let ends = subscription.is_silent || subscription.stage == Stage::Leaving;
        if ends || subscription.is_of_refer() || expires_of(&subscription.request) == Some(0) {
            return None;
        }
        let dialog = self.dialogs.of(subscription.dialog);
        let dialog = dialog.filter(|dialog| {
            let opened = dialog.phase == Phase::Confirmed && subscription.stage == Stage::Open;
            subscription.own_dialog && opened
        });
        let dialog = dialog.cloned();
        let subscription = subscription.clone();
        serde_json::to_string(&KeptSubscription {
            id,
            subscription,
            dialog,
        })
        .ok()
    }

    /// Takes a subscription of ours back; one in the dialog of an INVITE, after that dialog. What was under way is asked
    /// for again. `false`: the text is none, or its dialog is gone.
    pub fn restore_subscription(&mut self, text: &str, now: Millis) -> bool {
        let Ok(kept) = serde_json::from_str::<KeptSubscription>(text) else {
            return false;
        };
        let (id, mut found) = (kept.id, kept.subscription);
        self.last_id = self.last_id.max(id.0).max(found.dialog.0);
        let waits = found.client.take().is_some() || found.stage == Stage::Asked;
        match kept.dialog {
            Some(dialog) if found.ends_at > now => self.take_back(found.dialog, dialog),
            _ if found.own_dialog => found.stage = Stage::Waiting,
            _ if self.dialogs.of(found.dialog).is_none() => return false,
            _ => found.stage = Stage::Open,
        }
        if waits || found.stage == Stage::Waiting || found.ends_at <= now {
            found.again_at = Some(now);
            let patience_ms = 2 * self.settings.timing.give_up_ms();
            found.ends_at = found.ends_at.max(now + patience_ms);
        }
        self.subscriptions.insert(id, found);
        self.rearm_subscription(id);
        true
    }

    /// Peers' texts of which something has changed since this was last asked.
    pub fn changed_requests(&mut self) -> Vec<ServerId> {
        std::mem::take(&mut self.changed_requests)
            .into_iter()
            .collect()
    }

    /// All peers' texts that may be repeated.
    pub fn kept_requests(&self) -> Vec<ServerId> {
        self.servers.kept()
    }

    /// A peer's text that may be repeated, as text, with its last answer; not what it says. `None`: it is over.
    pub fn saved_request(&self, id: ServerId) -> Option<String> {
        let found = self.servers.of(id)?;
        let mut server = found.without_the_rest();
        let last = server.last.take();
        let last = last.and_then(|bytes| String::from_utf8(bytes).ok());
        serde_json::to_string(&KeptRequest { server, last }).ok()
    }

    /// Takes a peer's text back: its repetitions are those of the former process, and its answer goes where it came from.
    /// `false`: this is none.
    pub fn restore_request(&mut self, id: ServerId, text: &str) -> bool {
        let Ok(KeptRequest { mut server, last }) = serde_json::from_str::<KeptRequest>(text) else {
            return false;
        };
        server.last = last.map(String::into_bytes);
        if server.flow.transport.is_stream() {
            // Its connection went with the process. RFC 3261, 18.2.2.
            server.flow = Flow {
                peer: server.listens,
                connection: None,
                ..server.flow
            };
        }
        self.last_id = self.last_id.max(id.0);
        self.servers.insert(id, server);
        self.rearm_server(id);
        true
    }

    /// Whether a request that the gateway was told still waits for its answer.
    pub fn is_asked(&self, id: ServerId) -> bool {
        self.servers
            .of(id)
            .is_some_and(|server| server.machine.is_open())
    }

    /// Whose bindings have changed since this was last asked.
    pub fn changed_users(&mut self) -> Vec<String> {
        self.registrar.take_changed()
    }

    /// Everybody who has registered.
    pub fn users(&self) -> Vec<String> {
        self.registrar.users()
    }

    /// A user's bindings as text; `None`: there are none.
    pub fn saved_bindings(&self, user: &str) -> Option<String> {
        let bindings = self.registrar.bindings(user)?;
        serde_json::to_string(bindings).ok()
    }

    /// Takes a user's bindings back; what has expired goes when its time comes. `false`: the text is none.
    pub fn restore_bindings(&mut self, user: &str, text: &str) -> bool {
        let Ok(mut bindings) = serde_json::from_str::<Vec<Binding>>(text) else {
            return false;
        };
        for binding in &mut bindings {
            // Of a connection that went with the process.
            binding.source = binding.source.filter(|flow| flow.connection.is_none());
        }
        self.registrar.restore(user, bindings);
        let deadline = self.registrar.deadline(user);
        self.timers.set(TimerOf::User(user.to_owned()), deadline);
        true
    }

    /// The mark on what was let through here; it stays the same for as long as calls live.
    pub fn route_user(&self) -> &str {
        &self.route_user
    }

    /// The mark of an earlier process.
    pub fn set_route_user(&mut self, user: &str) {
        user.clone_into(&mut self.route_user);
    }
}

/// The same way, by any connection.
fn reopened(flow: Flow) -> Flow {
    Flow {
        connection: None,
        ..flow
    }
}
