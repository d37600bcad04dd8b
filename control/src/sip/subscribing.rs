//! What our subscriptions do: they are asked for, refreshed, asked for anew, ended. RFC 6665, 4.1; RFC 3515;
//! RFC 4488.
//!
//! A subscription is there with its first NOTIFY, which may come before the 2xx, and over with the NOTIFY that
//! says so. One that ends for the peer's convenience (`deactivated`, `timeout`, `probation`) is asked for anew, in
//! another dialog and with the same id; whoever reads the news does not see it. NOTIFYs are answered here. Of a
//! forked SUBSCRIBE the first branch that notifies is kept, the others are told 481.

use super::api::{
    Action, ClientId, DialogId, Event, Failure, Millis, OutRequest, Refused, Sent, SubscriptionId,
};
use super::compose::{expires_value, sip_uri_of};
use super::dialog::Phase;
use super::incoming::Incoming;
use super::machine::{Sip, bare_request};
use super::message::Message;
use super::method::Method;
use super::responses::leading_number;
use super::subscription::{EventName, Stage, State, Subscription};
use super::tables::{ClientOwner, ServerOwner};
use super::timers::TimerOf;

/// What is asked for if nobody says how long, in seconds.
const EXPIRES_S: u32 = 3_600;
/// How long a subscription that REFER implies lasts if its notifier does not say, in seconds: a call may ring so long.
const REFER_S: u32 = 180;
/// How often in a row a subscription that ends without news is asked for anew.
const RENEWALS_MAX: u32 = 5;
/// The pause before that, from the second time on.
const RENEWAL_MS: Millis = 30_000;

impl Sip {
    /// Sends a SUBSCRIBE or REFER that opens a subscription, in a dialog or in one of its own.
    pub(super) fn subscribe(
        &mut self,
        dialog: Option<DialogId>,
        request: OutRequest,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Result<Sent, Refused> {
        let refers = request.method == Method::Refer;
        let asked = request.headers.iter();
        let mut asked = asked.filter(|(name, _)| name.eq_ignore_ascii_case("Event"));
        let event = asked.next().and_then(|(_, value)| EventName::read(value));
        let event = match (event, refers) {
            (_, true) => EventName {
                package: "refer".to_owned(),
                id: None,
            },
            (Some(event), false) => event,
            (None, false) => return Err(Refused::Malformed("the Event")),
        };
        let id = SubscriptionId(self.next_id());
        let owner = ClientOwner::Subscription { id, asked: true };
        let client = ClientId(self.next_id());
        let sent = match dialog {
            None => self.open_outside(client, &request, owner, now, out)?,
            Some(dialog) => self.send_inside(dialog, client, &request, owner, now, out)?,
        };
        let own_dialog = dialog.is_none();
        let Some(dialog) = sent.dialog else {
            return Err(Refused::Misused);
        };
        let cseq = self.dialogs.of(dialog).map(|dialog| dialog.local_cseq);
        let event = EventName {
            id: if refers {
                cseq.map(|cseq| cseq.to_string())
            } else {
                event.id
            },
            ..event
        };
        let granted_s = expires_of(&request).unwrap_or(if refers { REFER_S } else { EXPIRES_S });
        let subscription = Subscription {
            dialog,
            own_dialog,
            event,
            request,
            granted_s,
            stage: Stage::Asked,
            client: Some(client),
            ends_at: now + 2 * self.settings.timing.give_up_ms(),
            again_at: None,
            renewals: 0,
            is_silent: false,
        };
        self.subscriptions.insert(id, subscription);
        self.rearm_subscription(id);
        Ok(Sent {
            subscription: Some(id),
            dialog: None,
            ..sent
        })
    }

    /// Sends SUBSCRIBE once more in a subscription of ours, to refresh it with what `request` says; with
    /// `Expires: 0` to end it. The answer is told; the news come as before.
    pub fn subscribe_again(
        &mut self,
        id: SubscriptionId,
        request: OutRequest,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Result<Sent, Refused> {
        let found = self.subscriptions.of(id).ok_or(Refused::DialogUnknown)?;
        if found.client.is_some() || found.stage != Stage::Open {
            return Err(Refused::Pending);
        }
        let (dialog, ends) = (found.dialog, expires_of(&request) == Some(0));
        let (client, owner) = (
            ClientId(self.next_id()),
            ClientOwner::Subscription { id, asked: true },
        );
        let sent = self.send_inside(dialog, client, &request, owner, now, out)?;
        let last = now + 2 * self.settings.timing.give_up_ms();
        if let Some(found) = self.subscriptions.of_mut(id) {
            found.client = Some(client);
            if ends {
                (found.stage, found.ends_at) = (Stage::Leaving, last);
            } else {
                found.request = request;
            }
        }
        self.rearm_subscription(id);
        Ok(Sent {
            subscription: Some(id),
            dialog: None,
            ..sent
        })
    }

    /// Nobody wants the news any more: nothing is told of this subscription from now on, and the peer is told so,
    /// where it can be.
    pub fn unsubscribe(&mut self, id: SubscriptionId, now: Millis, out: &mut Vec<Action>) {
        let Some(found) = self.subscriptions.of_mut(id) else {
            return;
        };
        let last = now + 2 * self.settings.timing.give_up_ms();
        found.is_silent = true;
        if found.stage == Stage::Leaving {
            return;
        }
        // A NOTIFY that comes for what is forgotten is refused, which ends it too (RFC 6665, 4.1.2.3 and 4.2.2).
        if found.stage != Stage::Open || found.client.is_some() || found.is_of_refer() {
            return self.forget_subscription(id);
        }
        let (dialog, mut request) = (found.dialog, found.request.clone());
        set_expires(&mut request, 0);
        request.content = None;
        let (client, owner) = (
            ClientId(self.next_id()),
            ClientOwner::Subscription { id, asked: false },
        );
        let sent = self.send_inside(dialog, client, &request, owner, now, out);
        match (sent, self.subscriptions.of_mut(id)) {
            (Ok(_), Some(found)) => {
                found.client = Some(client);
                (found.stage, found.ends_at) = (Stage::Leaving, last);
                self.rearm_subscription(id);
            }
            _ => self.forget_subscription(id),
        }
    }

    /// A NOTIFY. RFC 6665, 4.1.3.
    pub(super) fn on_notify(
        &mut self,
        incoming: Incoming,
        dialog_id: DialogId,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(event) = EventName::of(&incoming.message) else {
            return self.refuse(&incoming, 489, None, &[("Allow-Events", "refer")], out);
        };
        let Some(id) = self.subscriptions.find(dialog_id, &event) else {
            return self.refuse(&incoming, 481, None, &[], out);
        };
        let Some(state) = incoming
            .message
            .header("Subscription-State")
            .map(State::read)
        else {
            let why = "a NOTIFY needs a Subscription-State";
            return self.refuse(&incoming, 400, Some(why), &[], out);
        };
        if self.refuse_extensions(&incoming, out) {
            return;
        }
        self.learn_notifier(dialog_id, &incoming);
        let server = self.open_server(&incoming, ServerOwner::Own, now);
        self.answer_plainly(server, 200, now, out);
        let Some(found) = self.subscriptions.of_mut(id) else {
            return;
        };
        let leaving = found.stage == Stage::Leaving;
        let message = incoming.message;
        if !state.is_over {
            if leaving {
                return;
            }
            found.stage = Stage::Open;
            found.renewals = 0;
            let seconds = state.expires_s.unwrap_or(found.granted_s);
            self.grant_subscription(id, seconds, now);
            return tell(id, message, false, out);
        }
        if leaving {
            let silent = found.is_silent;
            self.forget_subscription(id);
            if !silent {
                tell(id, message, true, out);
            }
            return;
        }
        let wait_ms = state.retry_after_s.map(|s| Millis::from(s) * 1000);
        let again = match state.reason.as_str() {
            "deactivated" | "timeout" => Some(0),
            "probation" | "giveup" => Some(wait_ms.unwrap_or(RENEWAL_MS)),
            _ => None,
        };
        match again.filter(|_| self.is_renewed(id)) {
            Some(wait_ms) => self.renew_later(id, wait_ms, now),
            None => {
                self.forget_subscription(id);
                tell(id, message, true, out);
            }
        }
    }

    /// What a NOTIFY teaches about its sender: the first one opens the dialog. RFC 6665, 4.1.3 and 4.4.1.
    fn learn_notifier(&mut self, id: DialogId, incoming: &Incoming) {
        let Some(dialog) = self.dialogs.of(id) else {
            return;
        };
        let opens = dialog.events && dialog.phase == Phase::Early;
        if opens && let Some(mut dialog) = self.dialogs.remove(id) {
            dialog.remote_tag = Some(incoming.head.from.tag().unwrap_or("").to_owned());
            dialog.phase = Phase::Confirmed;
            let routes = incoming.message.header_values("Record-Route");
            dialog.routes = routes.map(str::to_owned).collect();
            self.dialogs.insert(id, dialog);
        }
        let Some(dialog) = self.dialogs.of_mut(id) else {
            return;
        };
        dialog.remote_cseq = Some(incoming.head.cseq);
        dialog.source = Some(incoming.flow);
        let contact = incoming.message.header_values("Contact").next();
        if let Some(target) = contact.and_then(sip_uri_of) {
            dialog.target = target.to_string();
        }
    }

    /// It lasts so long from now on, and is refreshed in time.
    fn grant_subscription(&mut self, id: SubscriptionId, seconds: u32, now: Millis) {
        if let Some(found) = self.subscriptions.of_mut(id) {
            let span_ms = Millis::from(seconds) * 1000;
            found.granted_s = seconds;
            found.ends_at = now + span_ms;
            // As with registrations: ten minutes before the end, or half-way if that is sooner.
            let wait_ms = (span_ms / 2).max(span_ms.saturating_sub(600_000));
            found.again_at = (!found.is_of_refer()).then_some(now + wait_ms);
        }
        self.rearm_subscription(id);
    }

    /// An answer to a SUBSCRIBE or REFER of ours; the gateway waits for it if it has asked.
    pub(super) fn on_subscribe_response(
        &mut self,
        client: ClientId,
        (id, asked): (SubscriptionId, bool),
        response: Message,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let code = response.code();
        let give_up_ms = self.settings.timing.give_up_ms();
        let granted = response.header("Expires").and_then(leading_number);
        let granted = granted.and_then(|seconds| u32::try_from(seconds).ok());
        let declined = response.header("Refer-Sub").map(str::trim);
        let declined = declined.is_some_and(|value| value.eq_ignore_ascii_case("false"));
        let retry_after = response.header("Retry-After").and_then(leading_number);
        if asked && code != 100 {
            out.push(Action::Event(Event::Response {
                client,
                dialog: None,
                message: response,
            }));
        }
        let Some(found) = self.subscriptions.of_mut(id).filter(|_| code >= 200) else {
            return;
        };
        found.client.take_if(|known| *known == client);
        let (stage, of_refer) = (found.stage, found.is_of_refer());
        let (seconds, open) = (granted.unwrap_or(found.granted_s), stage == Stage::Open);
        match code {
            200..300 if of_refer && declined => self.forget_subscription(id),
            200..300 if open && !of_refer => self.grant_subscription(id, seconds, now),
            200..300 => {
                if stage == Stage::Asked {
                    // RFC 6665, 4.1.2.4: Timer N.
                    found.granted_s = seconds;
                    found.ends_at = now + give_up_ms;
                }
                self.rearm_subscription(id);
            }
            _ if stage == Stage::Leaving => self.subscription_failed(id, false, out),
            481 if open && self.is_renewed(id) => self.renew_later(id, 0, now),
            // RFC 5057, 5.1: these end the subscription, others only this attempt.
            404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604 => {
                self.subscription_failed(id, asked && !open, out);
            }
            _ if !open => self.subscription_failed(id, asked, out),
            _ => {
                let wait_ms = retry_after.map_or(give_up_ms, |s| s.saturating_mul(1000));
                let Some(found) = self.subscriptions.of_mut(id) else {
                    return;
                };
                found.again_at = Some(now + wait_ms.max(1000));
                self.rearm_subscription(id);
            }
        }
    }

    /// A SUBSCRIBE or REFER of ours gets no answer any more.
    pub(super) fn subscribe_failed(
        &mut self,
        client: ClientId,
        (id, asked): (SubscriptionId, bool),
        cause: Failure,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        if asked {
            out.push(Action::Event(Event::Failed { client, cause }));
        }
        let give_up_ms = self.settings.timing.give_up_ms();
        let Some(found) = self.subscriptions.of_mut(id) else {
            return;
        };
        found.client.take_if(|known| *known == client);
        let stage = found.stage;
        if stage == Stage::Open && cause == Failure::Transport {
            found.again_at = Some(now + give_up_ms);
            return self.rearm_subscription(id);
        }
        match stage {
            Stage::Open if self.is_renewed(id) => self.renew_later(id, 0, now),
            Stage::Leaving => self.subscription_failed(id, false, out),
            Stage::Asked | Stage::Waiting | Stage::Open => {
                self.subscription_failed(id, asked, out);
            }
        }
    }

    /// It is over. `told`: whoever asked knows by the answer.
    fn subscription_failed(&mut self, id: SubscriptionId, told: bool, out: &mut Vec<Action>) {
        let found = self.subscriptions.of(id);
        let news = found.filter(|found| !told && !found.is_silent).map(made_up);
        self.forget_subscription(id);
        if let Some(news) = news {
            tell(id, news, true, out);
        }
    }

    /// Whether a subscription that has ended is asked for anew.
    fn is_renewed(&self, id: SubscriptionId) -> bool {
        let found = self.subscriptions.of(id);
        found.is_some_and(|found| {
            let once = expires_of(&found.request) == Some(0) || found.is_of_refer();
            found.own_dialog && !once && found.renewals < RENEWALS_MAX
        })
    }

    /// It is asked for anew after a pause.
    fn renew_later(&mut self, id: SubscriptionId, wait_ms: Millis, now: Millis) {
        let give_up_ms = self.settings.timing.give_up_ms();
        if let Some(found) = self.subscriptions.of_mut(id) {
            let wait_ms = match found.renewals {
                0 => wait_ms,
                _ => wait_ms.max(RENEWAL_MS),
            };
            found.renewals += 1;
            found.stage = Stage::Waiting;
            found.again_at = Some(now + wait_ms);
            found.ends_at = now + wait_ms + 2 * give_up_ms;
        }
        self.rearm_subscription(id);
    }

    /// Asks for a subscription anew, in a dialog of its own.
    fn renew(&mut self, id: SubscriptionId, now: Millis, out: &mut Vec<Action>) {
        let Some(mut found) = self.subscriptions.remove(id) else {
            return;
        };
        self.drop_dialog(found.dialog);
        let (client, owner) = (
            ClientId(self.next_id()),
            ClientOwner::Subscription { id, asked: false },
        );
        let request = found.request.clone();
        let sent = self.open_outside(client, &request, owner, now, out);
        let dialog = sent.ok().and_then(|sent| sent.dialog);
        match dialog {
            Some(dialog) => {
                found.dialog = dialog;
                found.client = Some(client);
                found.again_at = None;
                found.stage = Stage::Asked;
                found.ends_at = now + 2 * self.settings.timing.give_up_ms();
                self.subscriptions.insert(id, found);
                self.rearm_subscription(id);
            }
            None => {
                self.timers.set(TimerOf::Subscription(id), None);
                tell(id, made_up(&found), true, out);
            }
        }
    }

    /// The time of a subscription's timer has come.
    pub(super) fn subscription_timeout(
        &mut self,
        id: SubscriptionId,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(found) = self.subscriptions.of_mut(id) else {
            return;
        };
        if found.ends_at <= now {
            return self.subscription_failed(id, false, out);
        }
        found.again_at = None;
        if found.stage == Stage::Waiting {
            return self.renew(id, now, out);
        }
        let (dialog, request) = (found.dialog, found.request.clone());
        let (client, owner) = (
            ClientId(self.next_id()),
            ClientOwner::Subscription { id, asked: false },
        );
        let sent = self.send_inside(dialog, client, &request, owner, now, out);
        if let (Ok(_), Some(found)) = (sent, self.subscriptions.of_mut(id)) {
            found.client = Some(client);
        }
        self.rearm_subscription(id);
    }

    pub(super) fn rearm_subscription(&mut self, id: SubscriptionId) {
        let deadline = self.subscriptions.of(id).map(Subscription::deadline);
        self.timers.set(TimerOf::Subscription(id), deadline);
    }

    /// It is gone, and its dialog with it.
    fn forget_subscription(&mut self, id: SubscriptionId) {
        self.timers.set(TimerOf::Subscription(id), None);
        let Some(found) = self.subscriptions.remove(id) else {
            return;
        };
        if found.own_dialog {
            self.drop_dialog(found.dialog);
        }
    }

    /// What lives in a dialog goes with it.
    pub(super) fn forget_subscriptions_of(&mut self, dialog: DialogId) {
        for id in self.subscriptions.in_dialog(dialog) {
            self.subscriptions.remove(id);
            self.timers.set(TimerOf::Subscription(id), None);
        }
        if self.watchers.iter().any(|known| known.dialog == dialog) {
            self.watchers.retain(|known| known.dialog != dialog);
            self.rearm_watchers();
        }
    }
}

fn made_up(found: &Subscription) -> Message {
    let mut news = bare_request(Method::Notify, found.request.from.clone());
    news.push("From", found.request.to.as_str());
    news.push("To", found.request.from.as_str());
    news.push("Event", found.event.to_string());
    news.push("Subscription-State", "terminated;reason=timeout");
    news
}

fn tell(subscription: SubscriptionId, message: Message, over: bool, out: &mut Vec<Action>) {
    out.push(Action::Event(Event::Notified {
        subscription,
        message,
        over,
    }));
}

/// The Expires of a request of the gateway's.
pub(super) fn expires_of(request: &OutRequest) -> Option<u32> {
    expires_value(&request.headers)?.trim().parse().ok()
}

/// Puts an Expires into a request of the gateway's.
pub(super) fn set_expires(request: &mut OutRequest, seconds: u32) {
    let other = |(name, _): &(String, String)| !name.eq_ignore_ascii_case("Expires");
    request.headers.retain(other);
    let expires = ("Expires".to_owned(), seconds.to_string());
    request.headers.push(expires);
}
