//! What outlives the process: confirmed dialogs and bindings, each as one text.
//!
//! Registrations elsewhere do not either: the gateway asks for them anew, for whoever it still has a session of.
//! Transactions do not: a peer repeats what it got no answer to, and what was being set up may fail.

use serde::{Deserialize, Serialize};

use super::api::{DialogId, Flow};
use super::dialog::{Dialog, Phase};
use super::machine::Sip;
use super::registrar::Binding;
use super::timers::TimerOf;

/// A dialog with its id.
#[derive(Serialize, Deserialize)]
struct Kept<T> {
    id: u64,
    dialog: T,
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
        let Ok(Kept { id, mut dialog }) = serde_json::from_str::<Kept<Dialog>>(text) else {
            return false;
        };
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
        self.last_id = self.last_id.max(id);
        self.dialogs.insert(DialogId(id), dialog);
        self.rearm_dialog(DialogId(id));
        true
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
