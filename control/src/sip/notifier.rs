//! Subscriptions of peers: what the gateway has accepted, and the NOTIFYs it sends. RFC 6665, 4.2; RFC 3515, 2.4.4.
//!
//! The gateway answers SUBSCRIBE and REFER and says what there is to be told; here it is kept for how long, and
//! what every NOTIFY has to carry. At its end a subscription gets its last NOTIFY from here.

use super::api::{
    Action, ClientId, DialogId, EndCause, Event, Millis, OutRequest, OutResponse, Refused, Sent,
};
use super::compose::expires_value;
use super::dialog::Phase;
use super::machine::Sip;
use super::message::Message;
use super::method::Method;
use super::responses::leading_number;
use super::subscription::{EventName, State, Watcher};
use super::tables::ClientOwner;
use super::timers::TimerOf;

/// How long a subscription lasts if nobody says so, in seconds.
const EXPIRES_S: u32 = 3_600;
/// The longest, in seconds.
const EXPIRES_S_MAX: u32 = 7_200;
/// How long one that REFER has implied lasts, in seconds.
const REFER_S: u32 = 180;
/// Subscriptions in one dialog.
const WATCHERS_MAX: usize = 8;

impl Sip {
    /// How long a subscription that the gateway grants is to last, in seconds, for Expires; `None`: the request asks for
    /// none. RFC 6665, 4.2.1.1.
    pub(super) fn granted_s(&self, request: &Message, response: &OutResponse) -> Option<u32> {
        let read = |value: &str| leading_number(value).and_then(|s| u32::try_from(s).ok());
        match request.method() {
            Method::Subscribe => {
                let asked = request.header("Expires").and_then(read);
                let asked = asked.unwrap_or(EXPIRES_S).min(EXPIRES_S_MAX);
                let said = expires_value(&response.headers).and_then(read);
                Some(said.map_or(asked, |said| said.min(asked)))
            }
            Method::Refer => {
                let mut headers = response.headers.iter();
                let declined = headers.any(|(name, value)| {
                    name.eq_ignore_ascii_case("Refer-Sub")
                        && value.trim().eq_ignore_ascii_case("false")
                });
                (!declined).then_some(REFER_S)
            }
            _ => None,
        }
    }

    /// The gateway has accepted a SUBSCRIBE or REFER in this dialog. A REFER's subscription is told at once that there is
    /// nothing yet (RFC 3515, 2.4.4).
    pub(super) fn watch(
        &mut self,
        dialog: DialogId,
        request: &Message,
        seconds: Option<u32>,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let refers = request.method() == Method::Refer;
        let event = match refers {
            false => EventName::of(request),
            true => Some(EventName {
                package: "refer".to_owned(),
                id: request
                    .header("CSeq")
                    .and_then(leading_number)
                    .map(|cseq| cseq.to_string()),
            }),
        };
        let (Some(event), Some(seconds)) = (event, seconds) else {
            return self.drop_if_unused(dialog);
        };
        if let Some(dialog) = self.dialogs.of_mut(dialog).filter(|dialog| dialog.events) {
            dialog.phase = Phase::Confirmed;
        }
        let ends_at = now + Millis::from(seconds) * 1000;
        let same = |known: &&mut Watcher| known.dialog == dialog && known.event == event;
        match self.watchers.iter_mut().find(same) {
            Some(known) => known.ends_at = ends_at,
            None => self.watchers.push(Watcher {
                dialog,
                event: event.clone(),
                ends_at,
            }),
        }
        self.rearm_watchers();
        if refers {
            let mut notify = OutRequest::in_dialog(Method::Notify);
            notify.headers.push(("Event".to_owned(), event.to_string()));
            let trying = b"SIP/2.0 100 Trying\r\n".to_vec();
            notify.content = Some(("message/sipfrag;version=2.0".to_owned(), trying));
            let _ = self.notify(dialog, notify, now, out);
        }
    }

    /// Whether one more subscription may live in a dialog.
    pub(super) fn has_room_for_watcher(&self, dialog: DialogId) -> bool {
        let of_dialog = |known: &&Watcher| known.dialog == dialog;
        self.watchers.iter().filter(of_dialog).count() < WATCHERS_MAX
    }

    /// Sends a NOTIFY of the gateway's. Event and Subscription-State are added where they are missing.
    pub(super) fn notify(
        &mut self,
        dialog: DialogId,
        mut request: OutRequest,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Result<Sent, Refused> {
        let header = |name: &str| {
            let mut headers = request.headers.iter();
            let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        };
        let event = header("Event").and_then(|value| EventName::read(&value));
        let state = header("Subscription-State");
        let mut of_dialog = self.watchers.iter().filter(|known| {
            let meant = |event: &EventName| known.event.is_meant_by(event);
            known.dialog == dialog && event.as_ref().is_none_or(meant)
        });
        let Some(watcher) = of_dialog.next().cloned() else {
            return Err(Refused::DialogUnknown);
        };
        if event.is_none() {
            let event = ("Event".to_owned(), watcher.event.to_string());
            request.headers.push(event);
        }
        let left_s = watcher.ends_at.saturating_sub(now) / 1000;
        let state = state.unwrap_or_else(|| {
            let state = match left_s {
                0 => "terminated;reason=timeout".to_owned(),
                _ => format!("active;expires={left_s}"),
            };
            let header = ("Subscription-State".to_owned(), state.clone());
            request.headers.push(header);
            state
        });
        let client = ClientId(self.next_id());
        let owner = ClientOwner::Notify(dialog);
        let sent = self.send_inside(dialog, client, &request, owner, now, out);
        if State::read(&state).is_over {
            self.watchers
                .retain(|known| known.dialog != dialog || known.event != watcher.event);
            self.rearm_watchers();
            self.drop_if_unused(dialog);
        }
        sent
    }

    /// The gateway has nothing more to tell in this dialog: its subscriptions of peers end.
    pub fn stop_notifying(&mut self, dialog: DialogId, now: Millis, out: &mut Vec<Action>) {
        self.end_watchers(|known| known.dialog == dialog, "noresource", now, out);
    }

    /// Whether a peer has a subscription in this dialog.
    pub fn is_watched(&self, dialog: DialogId) -> bool {
        self.watchers.iter().any(|known| known.dialog == dialog)
    }

    /// Subscriptions whose time is over end.
    pub(super) fn watchers_timeout(&mut self, now: Millis, out: &mut Vec<Action>) {
        let ended = self.end_watchers(|known| known.ends_at <= now, "timeout", now, out);
        for dialog in ended {
            let cause = EndCause::Expired;
            out.push(Action::Event(Event::Ended { dialog, cause }));
        }
        self.rearm_watchers();
    }

    /// Tells those that match that it is over. Returns dialogs that went with them.
    fn end_watchers(
        &mut self,
        ends: impl Fn(&Watcher) -> bool,
        reason: &str,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> Vec<DialogId> {
        let ended: Vec<Watcher> = self.watchers.iter().filter(|w| ends(w)).cloned().collect();
        let mut gone = Vec::new();
        for Watcher { dialog, event, .. } in ended {
            let mut last = OutRequest::in_dialog(Method::Notify);
            let state = format!("terminated;reason={reason}");
            last.headers.push(("Event".to_owned(), event.to_string()));
            last.headers.push(("Subscription-State".to_owned(), state));
            let _ = self.notify(dialog, last, now, out);
            if self.dialogs.of(dialog).is_none() {
                gone.push(dialog);
            }
        }
        gone
    }

    /// A NOTIFY of ours was refused or not answered: nobody listens any more. RFC 6665, 4.2.2.
    pub(super) fn notify_refused(&mut self, dialog: DialogId, out: &mut Vec<Action>) {
        if !self.is_watched(dialog) {
            return;
        }
        self.watchers.retain(|known| known.dialog != dialog);
        self.rearm_watchers();
        if self.dialogs.of(dialog).is_some_and(|dialog| dialog.events) {
            self.end(dialog, EndCause::PeerForgot, out);
        }
    }

    /// A dialog that is there for events only goes with the last of them.
    pub(super) fn drop_if_unused(&mut self, id: DialogId) {
        let events = self.dialogs.of(id).is_some_and(|dialog| dialog.events);
        let ours = !self.subscriptions.in_dialog(id).is_empty();
        if events && !ours && !self.is_watched(id) {
            self.drop_dialog(id);
        }
    }

    pub(super) fn rearm_watchers(&mut self) {
        let next = self.watchers.iter().map(|known| known.ends_at).min();
        self.timers.set(TimerOf::Watchers, next);
    }
}
