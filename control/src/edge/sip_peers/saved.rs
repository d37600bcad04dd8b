//! The machine's part of what outlives the process.

use super::SipPeers;
use crate::gateway::{Change, Image};
use crate::limits::Millis;
use crate::sip::DialogId;

impl SipPeers {
    /// Goes on from an earlier process, whose clock would say `now`: registrations, marks. Before anything
    /// else happens.
    pub fn restore(&mut self, image: &Image, now: Millis) {
        self.zero = now;
        if let Some(user) = &image.route_user {
            self.sip.set_route_user(user);
        }
        for (user, bindings) in &image.bindings {
            if !self.sip.restore_bindings(user, bindings) {
                tracing::error!("the kept bindings of a user can't be read");
            }
        }
    }

    /// Whose bindings have changed since this was last asked, and how.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let users = self.sip.changed_users();
        users.into_iter().map(|user| self.bindings(user)).collect()
    }

    /// Everything there is, but for the dialogs, which are kept with their bridges.
    pub fn all_changes(&self) -> Vec<Change> {
        let mut changes = vec![Change::RouteUser(self.sip.route_user().to_owned())];
        changes.extend(self.sip.users().into_iter().map(|user| self.bindings(user)));
        changes
    }

    fn bindings(&self, user: String) -> Change {
        let bindings = self.sip.saved_bindings(&user);
        Change::Bindings(user, bindings)
    }

    /// [`crate::sip::Sip::saved_dialog`].
    pub fn saved_dialog(&self, dialog: DialogId) -> Option<String> {
        self.sip.saved_dialog(dialog)
    }

    /// [`crate::sip::Sip::restore_dialog`].
    pub fn restore_dialog(&mut self, text: &str) -> bool {
        self.sip.restore_dialog(text)
    }
}
