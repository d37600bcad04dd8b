//! Session timers: a dialog whose peer has gone without a word ends, because somebody has to refresh it.
//! RFC 4028.
//!
//! We ask for one in every INVITE and grant one in every 2xx. Whoever refreshes does it half-way, by UPDATE
//! where the peer takes it, else by a re-INVITE with the session description that was sent last. A session
//! that was not refreshed ends by BYE a moment before it has run out.

use serde::{Deserialize, Serialize};

use super::api::{Action, ClientId, DialogId, EndCause, Event, Millis};
use super::compose::{add_content, contact, wants_secure};
use super::dialog::{Dialog, Phase};
use super::machine::Sip;
use super::message::Message;
use super::method::Method;
use super::responses::{leading_number, next_hop};
use super::tables::ClientOwner;

/// The shortest session that is granted, and that we ask for. RFC 4028, 5.
pub(super) const MIN_SE_S: u32 = 90;
/// The longest one that a peer's Min-SE may ask of us.
const SE_S_MAX: u32 = 86_400;

/// The timer of one dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionTimer {
    pub expires_s: u32,
    /// We refresh, else the peer does.
    pub ours: bool,
    /// When to refresh, or when to give up.
    at: Millis,
}

impl SessionTimer {
    fn new(expires_s: u32, ours: bool, now: Millis) -> SessionTimer {
        let span_ms = Millis::from(expires_s) * 1000;
        // RFC 4028, 7.2 and 10: half-way; and a third, at most 32 s, before the end.
        let wait_ms = if ours {
            span_ms / 2
        } else {
            span_ms - (span_ms / 3).min(32_000)
        };
        SessionTimer {
            expires_s,
            ours,
            at: now + wait_ms,
        }
    }

    pub fn deadline(&self) -> Millis {
        self.at
    }
}

/// `Session-Expires`: seconds, and who refreshes, if it says so: `true`, the caller of that request.
fn read(message: &Message) -> Option<(u32, Option<bool>)> {
    let value = message.header("Session-Expires")?;
    let seconds = u32::try_from(leading_number(value)?).ok()?;
    let mut params = value.split(';').skip(1).map(str::trim);
    let refresher = params.find_map(|param| param.strip_prefix("refresher="));
    Some((
        seconds,
        refresher.map(|who| who.eq_ignore_ascii_case("uac")),
    ))
}

/// Whether a message lists an option tag.
pub(super) fn lists(message: &Message, header: &str, tag: &str) -> bool {
    message
        .header_values(header)
        .any(|value| value.eq_ignore_ascii_case(tag))
}

impl Sip {
    /// What an INVITE or UPDATE of ours says of timers; `timer`: of the dialog, once there is one.
    pub(super) fn ask_timer(&self, request: &mut Message, timer: Option<SessionTimer>) {
        let wanted_s = self.settings.timing.session_s;
        let expires_s = timer.map_or(wanted_s, |timer| timer.expires_s);
        if expires_s == 0 {
            return;
        }
        let refresher = match timer {
            Some(timer) if timer.ours => ";refresher=uac",
            Some(_) => ";refresher=uas",
            None => "",
        };
        request.push("Session-Expires", format!("{expires_s}{refresher}"));
        request.push("Min-SE", MIN_SE_S.to_string());
    }

    /// The request with the longer session that a 422 wants; `None`: it wants too much, or nothing.
    pub(super) fn lengthened(&self, id: ClientId, response: &Message) -> Option<Message> {
        let least = u32::try_from(leading_number(response.header("Min-SE")?)?).ok()?;
        let mut request = self.clients.of(id)?.request.clone();
        let (asked, _) = read(&request)?;
        if !(asked + 1..=SE_S_MAX).contains(&least) {
            return None;
        }
        request.headers.remove(0);
        request.replace("Session-Expires", [least.to_string()]);
        request.replace("Min-SE", [least.to_string()]);
        Some(request)
    }

    /// Whether a request asks for sessions that are too short.
    pub(super) fn is_too_short(&self, request: &Message) -> bool {
        read(request).is_some_and(|(seconds, _)| seconds < MIN_SE_S)
    }

    /// Grants what a peer's INVITE or UPDATE asks for, in our 2xx, and sets the timer.
    pub(super) fn grant_timer(
        &mut self,
        id: DialogId,
        request: &Message,
        answer: &mut Message,
        now: Millis,
    ) {
        let knows = lists(request, "Supported", "timer");
        let wanted_s = self.settings.timing.session_s;
        let (asked, refresher) = match read(request) {
            Some(asked) => asked,
            None if wanted_s > 0 => (wanted_s, None),
            None => return,
        };
        let expires_s = match wanted_s {
            0 => asked,
            // RFC 4028, 9: it may be shortened, not below its Min-SE.
            _ => {
                let least = request
                    .header("Min-SE")
                    .and_then(leading_number)
                    .unwrap_or(0);
                asked
                    .min(wanted_s)
                    .max(u32::try_from(least).unwrap_or(u32::MAX))
                    .max(MIN_SE_S)
            }
        };
        // Whoever does not know of timers can't refresh: then we do.
        let by_caller = knows && refresher.unwrap_or(true);
        if by_caller {
            answer.push("Require", "timer");
        }
        let who = if by_caller { "uac" } else { "uas" };
        answer.push("Session-Expires", format!("{expires_s};refresher={who}"));
        if let Some(dialog) = self.dialogs.of_mut(id) {
            dialog.timer = Some(SessionTimer::new(expires_s, !by_caller, now));
        }
    }

    /// What a 2xx to our INVITE or UPDATE has granted. RFC 4028, 7.2.
    pub(super) fn learn_timer(&mut self, id: DialogId, answer: &Message, now: Millis) {
        if let Some(dialog) = self.dialogs.of_mut(id) {
            dialog.timer = match read(answer) {
                Some((seconds, by_caller)) if seconds > 0 => {
                    Some(SessionTimer::new(seconds, by_caller.unwrap_or(true), now))
                }
                _ => None,
            };
        }
        self.rearm_dialog(id);
    }

    /// A session's timer is due.
    pub(super) fn session_timeout(&mut self, id: DialogId, now: Millis, out: &mut Vec<Action>) {
        let Some(dialog) = self.dialogs.of_mut(id) else {
            return;
        };
        let Some(timer) = dialog.timer.take_if(|timer| timer.at <= now) else {
            return;
        };
        if dialog.phase != Phase::Confirmed {
            return self.rearm_dialog(id);
        }
        if !timer.ours {
            out.push(Action::Event(Event::Ended {
                dialog: id,
                cause: EndCause::PeerForgot,
            }));
            return self.send_bye(id, now, out);
        }
        // Until this is answered it runs on: if it fails, it ends.
        let span_ms = Millis::from(timer.expires_s) * 1000;
        dialog.timer = Some(SessionTimer {
            ours: false,
            at: now + span_ms / 2 - (span_ms / 3).min(32_000).min(span_ms / 4),
            ..timer
        });
        self.refresh(id, timer, now, out);
        self.rearm_dialog(id);
    }

    /// Asks the peer whether the session is still there.
    fn refresh(&mut self, id: DialogId, timer: SessionTimer, now: Millis, out: &mut Vec<Action>) {
        let Some(dialog) = self.dialogs.of(id) else {
            return;
        };
        if dialog.is_busy() || !self.has_room() {
            // Whatever is under way refreshes it too.
            return;
        }
        let by_update = dialog.peer_updates;
        let method = if by_update {
            Method::Update
        } else {
            Method::Invite
        };
        let mut request = dialog.request(method, dialog.local_cseq + 1);
        let Some(target) = next_hop(&request, dialog.source) else {
            return;
        };
        let content = dialog.ours.clone().filter(|_| !by_update);
        let user = dialog.contact_user.clone();
        let ours = self.contact_uri(user.as_deref(), target.flow, wants_secure(&request));
        if let Ok(contact) = contact(&ours, &[]) {
            request.push("Contact", contact);
        }
        request.push("Supported", "timer");
        self.ask_timer(&mut request, Some(timer));
        if add_content(&mut request, &[], content.as_ref()).is_err() {
            return;
        }
        let (client, owner) = (ClientId(self.next_id()), ClientOwner::Refresh(id));
        if let Some(dialog) = self.dialogs.of_mut(id) {
            dialog.local_cseq += 1;
            if by_update {
                dialog.our_update = Some(client);
            } else {
                dialog.our_invite = Some(client);
            }
        }
        self.authorize_request(&mut request, owner);
        self.start_client(client, request, target, owner, now, out);
        out.push(Action::Event(Event::Refreshed { dialog: id }));
    }

    /// A refusal of a refresh. RFC 3261, 12.2.1.2: who says 481 has no such session any more; anything else
    /// leaves it as it is, until it has run out.
    pub(super) fn refresh_refused(
        &mut self,
        id: ClientId,
        dialog_id: DialogId,
        code: u16,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(dialog) = self.dialogs.of_mut(dialog_id) else {
            return;
        };
        dialog.is_answered(id);
        if dialog.phase == Phase::Confirmed && matches!(code, 408 | 481) {
            out.push(Action::Event(Event::Ended {
                dialog: dialog_id,
                cause: EndCause::PeerForgot,
            }));
            self.send_bye(dialog_id, now, out);
        }
    }
}

impl Dialog {
    /// Whether an offer of either side has no answer yet, or an answer no ACK.
    pub fn is_busy(&self) -> bool {
        let unacked = self.ack.as_ref().is_some_and(|ack| ack.sent.is_none());
        self.our_invite.is_some()
            || self.their_invite.is_some()
            || self.our_update.is_some()
            || self.their_update.is_some()
            || self.answer.is_some()
            || self.again.is_some()
            || unacked
    }

    /// A request of ours is answered.
    pub fn is_answered(&mut self, client: ClientId) {
        self.our_invite.take_if(|known| *known == client);
        self.our_update.take_if(|known| *known == client);
    }
}
