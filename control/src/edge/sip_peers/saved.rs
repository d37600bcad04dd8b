//! The machine's part of what outlives the process.

use super::SipPeers;
use crate::gateway::{Change, Image};
use crate::limits::Millis;
use crate::sip::{DialogId, ServerId, SubscriptionId};

impl SipPeers {
    /// Goes on from an earlier process, whose clock would say `now`: registrations, marks. Before anything
    /// else happens.
    pub fn restore(&mut self, image: &Image, now: Millis) {
        self.zero = now;
        if !image.restore_sip(&mut self.sip) {
            tracing::error!("some of the kept registrations can't be read");
        }
    }

    /// [`crate::sip::Sip::restored`].
    pub fn restored(&mut self) {
        let (now, mut actions) = (self.now(), Vec::new());
        self.sip.restored(now, &mut actions);
        self.perform(actions);
    }

    /// What has changed since this was last asked, but for what is kept with its bridge.
    pub fn take_changes(&mut self) -> Vec<Change> {
        Change::of_sip(&mut self.sip)
    }

    /// Everything there is, but for what is kept with its bridge.
    pub fn all_changes(&self) -> Vec<Change> {
        Change::all_of_sip(&self.sip)
    }

    /// [`crate::sip::Sip::keep_registered`].
    pub fn keep_registered(&mut self, user: &str) {
        self.sip.keep_registered(user);
    }

    /// [`crate::sip::Sip::is_asked`].
    pub fn is_asked(&self, server: ServerId) -> bool {
        self.sip.is_asked(server)
    }

    /// [`crate::sip::Sip::saved_dialog`].
    pub fn saved_dialog(&self, dialog: DialogId) -> Option<String> {
        self.sip.saved_dialog(dialog)
    }

    /// [`crate::sip::Sip::restore_dialog`].
    pub fn restore_dialog(&mut self, text: &str) -> bool {
        self.sip.restore_dialog(text)
    }

    /// [`crate::sip::Sip::saved_subscription`].
    pub fn saved_subscription(&self, subscription: SubscriptionId) -> Option<String> {
        self.sip.saved_subscription(subscription)
    }

    /// [`crate::sip::Sip::restore_subscription`].
    pub fn restore_subscription(&mut self, text: &str) -> bool {
        let now = self.now();
        self.sip.restore_subscription(text, now)
    }
}
