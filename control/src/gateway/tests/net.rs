//! The SIP side, as the gateway's tests have it.

use std::collections::{BTreeSet, VecDeque};

use super::super::Net;
use crate::sip::{
    self, ClientId, DialogId, Method, OutRequest, OutResponse, Refused, Sent, ServerId,
};

/// The SIP side: remembers what it was asked.
#[derive(Default)]
pub struct FakeNet {
    pub requests: VecDeque<(Option<DialogId>, OutRequest, Sent)>,
    pub responses: VecDeque<(ServerId, OutResponse)>,
    pub acks: Vec<DialogId>,
    pub cancels: Vec<ClientId>,
    pub locals: BTreeSet<String>,
    pub registers: VecDeque<(String, Option<sip::Credentials>, sip::AttemptId)>,
    pub kept_registered: Vec<String>,
    pub refuses: Option<Refused>,
    pub unsubscribed: Vec<sip::SubscriptionId>,
    /// Dialogs in which a peer has a subscription.
    pub watched: BTreeSet<DialogId>,
    last: u64,
}

impl Net for FakeNet {
    fn request(&mut self, dialog: Option<DialogId>, request: OutRequest) -> Result<Sent, Refused> {
        if let Some(refused) = self.refuses {
            return Err(refused);
        }
        self.last += 1;
        let opened = (request.method == Method::Invite).then_some(DialogId(self.last));
        let sent = Sent {
            client: ClientId(self.last),
            dialog: dialog.or(opened),
            subscription: request
                .method
                .subscribes()
                .then_some(sip::SubscriptionId(self.last)),
        };
        self.requests.push_back((dialog, request, sent));
        Ok(sent)
    }

    fn respond(&mut self, server: ServerId, response: OutResponse) -> Result<(), Refused> {
        self.responses.push_back((server, response));
        Ok(())
    }

    fn ack(&mut self, dialog: DialogId) {
        self.acks.push(dialog);
    }

    fn cancel(&mut self, client: ClientId) {
        self.cancels.push(client);
    }

    fn register(
        &mut self,
        user: &str,
        credentials: Option<sip::Credentials>,
    ) -> Result<sip::AttemptId, Refused> {
        self.last += 1;
        let attempt = sip::AttemptId(self.last);
        self.registers
            .push_back((user.to_owned(), credentials, attempt));
        Ok(attempt)
    }

    fn keep_registered(&mut self, user: &str) {
        self.kept_registered.push(user.to_owned());
    }

    fn add_local(&mut self, user: &str) {
        self.locals.insert(user.to_owned());
    }

    fn remove_local(&mut self, user: &str) {
        self.locals.remove(user);
    }

    fn subscribe_again(
        &mut self,
        subscription: sip::SubscriptionId,
        request: OutRequest,
    ) -> Result<Sent, Refused> {
        self.last += 1;
        let sent = Sent {
            client: ClientId(self.last),
            dialog: None,
            subscription: Some(subscription),
        };
        self.requests.push_back((None, request, sent));
        Ok(sent)
    }

    fn unsubscribe(&mut self, subscription: sip::SubscriptionId) {
        self.unsubscribed.push(subscription);
    }

    fn is_watched(&self, dialog: DialogId) -> bool {
        self.watched.contains(&dialog)
    }

    fn stop_notifying(&mut self, dialog: DialogId) {
        self.watched.remove(&dialog);
    }

    fn is_asked(&self, _: ServerId) -> bool {
        true
    }

    fn saved_dialog(&self, dialog: DialogId) -> Option<String> {
        Some(dialog.0.to_string())
    }

    fn restore_dialog(&mut self, text: &str) -> bool {
        self.last = self.last.max(text.parse().unwrap());
        true
    }

    fn saved_subscription(&self, subscription: sip::SubscriptionId) -> Option<String> {
        Some(subscription.0.to_string())
    }

    fn restore_subscription(&mut self, text: &str) -> bool {
        self.restore_dialog(text)
    }
}
