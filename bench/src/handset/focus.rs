//! A conference focus: the network's mixer of group chats, for development and tests. RFC 4579, RFC 5366, RFC 5368,
//! RFC 4575.
//!
//! Who calls the factory gets a group of their own, into which all on the list are invited. What one says goes to all
//! others as it is; who is there, subscribers are told whole at each change. Not here: what was missed while away.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use super::agent::Agent;
use super::calls::{Invitation, State};
use super::chat::Wish;
use super::console::ChatNumber;
use super::group_files::GroupFiles;
use super::parts;
use super::services::Pending;
use super::sip::dialog::short_name;
use super::sip::{Dialog, Message, ServerKey, Start, Uri, token};

/// Groups at a time.
const GROUPS_MAX: usize = 64;
/// Members of a group, with whoever has made it.
const MEMBERS_MAX: usize = 20;
/// Seconds of a subscription.
const SUBSCRIBED_S: u32 = 3600;

/// All groups.
#[derive(Default)]
pub struct Focus {
    groups: BTreeMap<u32, Group>,
    of_chat: HashMap<ChatNumber, u32>,
    last: u32,
    pub(super) files: GroupFiles,
}

struct Group {
    subject: Option<String>,
    contribution: String,
    /// By their names, such as `bob@localhost`.
    members: BTreeMap<String, Member>,
    watchers: Vec<Watcher>,
    version: u32,
    /// What came along with the making: its type and octets, and by which call.
    first: Option<(ChatNumber, String, Vec<u8>)>,
}

struct Member {
    chat: Option<ChatNumber>,
    /// As the roster says it, with what else it says.
    status: &'static str,
    left: Option<String>,
}

enum Watcher {
    /// Inside the dialog of a call.
    Call(ChatNumber),
    /// In a dialog of its own.
    Own(Box<Dialog>),
}

/// What the focus answers to an INVITE before any user does.
pub enum Admission {
    /// It is for this group.
    Group(u32),
    /// With this status.
    Refused(u16),
}

impl Agent {
    /// The URI of the group that a chat is of, with what marks a focus; else the handset's own Contact.
    pub(super) fn contact_of(&self, chat: ChatNumber) -> String {
        let group = self
            .focus
            .as_ref()
            .and_then(|focus| focus.of_chat.get(&chat));
        match group {
            Some(group) => format!("<{}>;isfocus", self.group_uri(*group)),
            None => format!("<{}>", self.contact),
        }
    }

    /// Whether requests for this user part are for here.
    pub(super) fn answers_to(&self, user: &str) -> bool {
        Some(user) == self.settings.aor.user.as_deref()
            || self.focus.is_some() && user.starts_with("gc-")
    }

    pub(super) fn group_uri(&self, group: u32) -> String {
        let own = self.settings.aor.user.clone().unwrap_or_default();
        self.contact
            .replacen(&format!(":{own}@"), &format!(":gc-{group}@"), 1)
    }

    /// To which group an INVITE leads. One for the factory makes one.
    pub(super) fn admit(&mut self, request: &Message) -> Admission {
        let own = self.settings.aor.user.clone();
        let Some(focus) = &mut self.focus else {
            return Admission::Refused(500);
        };
        let caller = short_name(request.header("From").unwrap_or(""));
        let user = match &request.start {
            Start::Request { uri, .. } => Uri::parse(uri).and_then(|uri| uri.user),
            Start::Response { .. } => None,
        };
        if user != own {
            let number = user
                .as_deref()
                .and_then(|user| user.strip_prefix("gc-")?.parse().ok());
            let group = number.and_then(|number| focus.groups.get_key_value(&number));
            return match group {
                None => Admission::Refused(404),
                Some((_, group)) if !group.members.contains_key(&caller) => Admission::Refused(403),
                Some((number, _)) => Admission::Group(*number),
            };
        }
        if focus.groups.len() >= GROUPS_MAX {
            return Admission::Refused(486);
        }
        focus.last += 1;
        let group = Group {
            subject: request.header("Subject").map(str::to_owned),
            contribution: request
                .header("Contribution-ID")
                .map_or_else(|| token(16), str::to_owned),
            members: BTreeMap::new(),
            watchers: Vec::new(),
            version: 0,
            first: None,
        };
        focus.groups.insert(focus.last, group);
        Admission::Group(focus.last)
    }

    /// A member calls: the group's maker, or one who comes back.
    pub(super) fn member_calls(&mut self, number: u32, chat: ChatNumber, name: &str) {
        if let Some(focus) = &mut self.focus
            && let Some(group) = focus.groups.get_mut(&number)
        {
            focus.of_chat.insert(chat, number);
            let member = Member {
                chat: Some(chat),
                status: "dialing-in",
                left: None,
            };
            if let Some(Member {
                chat: Some(former), ..
            }) = group.members.insert(name.to_owned(), member)
            {
                focus.of_chat.remove(&former);
            }
        }
    }

    /// Invites all of a list who are not in the group.
    pub(super) fn invite_members(&mut self, chat: ChatNumber, uris: &[String], now: Instant) {
        let inviter = self
            .calls
            .get(&chat)
            .map(|call| call.with.clone())
            .unwrap_or_default();
        let Some(number) = self
            .focus
            .as_ref()
            .and_then(|focus| focus.of_chat.get(&chat).copied())
        else {
            return;
        };
        for uri in uris {
            let Some(to) = Uri::parse(uri) else { continue };
            let name = short_name(uri);
            let uri = self.group_uri(number);
            let next = self.next_chat;
            let Some(focus) = &mut self.focus else { return };
            let Some(group) = focus.groups.get_mut(&number) else {
                return;
            };
            let is_there = group
                .members
                .get(&name)
                .is_some_and(|member| member.left.is_none());
            if is_there || group.members.len() >= MEMBERS_MAX {
                continue;
            }
            let others = group
                .members
                .keys()
                .map(|name| format!("sip:{name}"))
                .collect();
            let invitation = Invitation {
                from: uri.clone(),
                contact: format!("<{uri}>;isfocus"),
                inviter: format!("<sip:{inviter}>"),
                subject: group.subject.clone(),
                contribution: group.contribution.clone(),
                others,
            };
            let member = Member {
                chat: Some(next),
                status: "dialing-out",
                left: None,
            };
            group.members.insert(name, member);
            focus.of_chat.insert(next, number);
            self.invite_into(&to, &invitation, now);
        }
        self.tell_watchers(number, now);
    }

    /// A message that came along with an INVITE of a member's is for all who are invited by it.
    pub(super) fn keep_first(&mut self, chat: ChatNumber, invite: &Message) {
        let Some(focus) = &mut self.focus else { return };
        let number = focus.of_chat.get(&chat);
        if let Some(group) = number.and_then(|number| focus.groups.get_mut(number)) {
            group.first = parts::first(invite).map(|(kind, body)| (chat, kind.to_owned(), body));
        }
    }

    /// A member who was invited gets what came along with the making.
    pub(super) fn say_first(&mut self, chat: ChatNumber) {
        let Some(focus) = &self.focus else { return };
        let number = focus.of_chat.get(&chat);
        let group = number.and_then(|number| focus.groups.get(number));
        let Some((author, kind, body)) = group.and_then(|group| group.first.clone()) else {
            return;
        };
        let wishes = self.calls.get(&chat).and_then(|call| call.wishes.as_ref());
        if author != chat
            && wishes.is_some_and(|wishes| wishes.try_send(Wish::PassOn(kind, body)).is_err())
        {
            self.problem(format!("chat {chat} takes nothing more now"));
        }
    }

    /// A member's session is up.
    pub(super) fn member_joined(&mut self, chat: ChatNumber, now: Instant) {
        self.member_is(chat, "connected", None, now);
    }

    /// A member's session is over, or did not come about.
    pub(super) fn member_gone(&mut self, chat: ChatNumber, status: Option<u16>, now: Instant) {
        let left = match status {
            None => "<disconnection-method>departed</disconnection-method>".to_owned(),
            Some(486) => "<disconnection-method>busy</disconnection-method>".to_owned(),
            Some(status) => format!(
                "<disconnection-method>failed</disconnection-method><disconnection-info>\
                 <reason>SIP;cause={status}</reason></disconnection-info>"
            ),
        };
        self.member_is(chat, "disconnected", Some(left), now);
        let Some(focus) = &mut self.focus else { return };
        let Some(number) = focus.of_chat.remove(&chat) else {
            return;
        };
        let Some(group) = focus.groups.get_mut(&number) else {
            return;
        };
        group
            .watchers
            .retain(|watcher| !matches!(watcher, Watcher::Call(one) if *one == chat));
        let mut left = group
            .members
            .values()
            .filter(|member| member.left.is_none());
        let (first, second) = (left.next().and_then(|member| member.chat), left.next());
        if second.is_some() {
            return;
        }
        // One alone is no group: it is over.
        focus.groups.remove(&number);
        if let Some(last) = first {
            focus.of_chat.remove(&last);
            if let Some(call) = self.calls.get_mut(&last) {
                call.farewell = Some("SIP;cause=410;text=\"Gone\"");
            }
            self.hang_up(last, "nobody else is left", now);
        }
    }

    fn member_is(
        &mut self,
        chat: ChatNumber,
        status: &'static str,
        left: Option<String>,
        now: Instant,
    ) {
        let Some(focus) = &mut self.focus else { return };
        let Some(number) = focus.of_chat.get(&chat).copied() else {
            return;
        };
        let members = focus
            .groups
            .get_mut(&number)
            .map(|group| &mut group.members);
        let mut members = members.into_iter().flat_map(BTreeMap::values_mut);
        if let Some(member) = members.find(|member| member.chat == Some(chat)) {
            (member.status, member.left) = (status, left);
            self.tell_watchers(number, now);
        }
    }

    /// What a member has said goes to all others. RFC 7701, 6.3: under no other's name.
    pub(super) fn mix(
        &mut self,
        chat: ChatNumber,
        author: Option<&str>,
        kind: &str,
        content: &[u8],
    ) {
        let Some(focus) = &self.focus else { return };
        let Some(group) = focus
            .of_chat
            .get(&chat)
            .and_then(|number| focus.groups.get(number))
        else {
            return;
        };
        let said_by = group
            .members
            .iter()
            .find(|(_, member)| member.chat == Some(chat));
        if said_by.map(|(name, _)| name.as_str()) != author {
            return self.problem(format!("{author:?} is not who said that"));
        }
        let others = group.members.values().filter_map(|member| member.chat);
        for other in others.filter(|other| *other != chat) {
            let wishes = self.calls.get(&other).and_then(|call| call.wishes.as_ref());
            let wish = Wish::PassOn(kind.to_owned(), content.to_vec());
            if wishes.is_some_and(|wishes| wishes.try_send(wish).is_err()) {
                self.problem(format!("chat {other} takes nothing more now"));
            }
        }
    }

    /// SUBSCRIBE and REFER, inside a call or not. Whether it was one of these.
    pub(super) fn focus_request(
        &mut self,
        key: &ServerKey,
        request: &Message,
        inside: Option<ChatNumber>,
        now: Instant,
    ) -> bool {
        let Start::Request { method, uri } = &request.start else {
            return false;
        };
        let Some(focus) = &self.focus else {
            return false;
        };
        let number = Uri::parse(uri).and_then(|uri| uri.user?.strip_prefix("gc-")?.parse().ok());
        let known = inside.and_then(|chat| focus.of_chat.get(&chat).copied());
        let number = known
            .or(number)
            .filter(|number| focus.groups.contains_key(number));
        match (method.as_str(), number) {
            ("SUBSCRIBE" | "REFER", None) => self.answer(key, request, 404, now),
            ("SUBSCRIBE", Some(number)) => self.subscribed(key, request, number, inside, now),
            ("REFER", Some(number)) => {
                let from = short_name(request.header("From").unwrap_or(""));
                let group = focus.groups.get(&number);
                let member = group.and_then(|group| group.members.get(&from)?.chat);
                let Some(chat) = inside.or(member) else {
                    self.answer(key, request, 403, now);
                    return true;
                };
                let mut uris = parts::people(request);
                let single = request
                    .header("Refer-To")
                    .map(|to| to.trim_matches(['<', '>']).to_owned());
                uris.extend(single.filter(|to| !to.starts_with("cid:")));
                self.answer(key, request, 202, now);
                self.invite_members(chat, &uris, now);
            }
            _ => return false,
        }
        true
    }

    fn subscribed(
        &mut self,
        key: &ServerKey,
        request: &Message,
        number: u32,
        inside: Option<ChatNumber>,
        now: Instant,
    ) {
        if request.header("Event").map(str::trim) != Some("conference") {
            return self.answer(key, request, 489, now);
        }
        let asked = request
            .header("Expires")
            .and_then(|seconds| seconds.parse().ok());
        let expires = asked.unwrap_or(SUBSCRIBED_S).min(SUBSCRIBED_S);
        let tag = request.tag("To").unwrap_or_else(|| token(6));
        let mut response = Message::response(request, 200, &tag);
        response.push("Contact", format!("<{}>;isfocus", self.group_uri(number)));
        response.push("Expires", expires.to_string());
        self.transactions
            .respond(key, response, now, &mut self.outputs);
        let own = Dialog::of_invite(request, &tag).map(|dialog| Watcher::Own(Box::new(dialog)));
        let watcher = inside.map(Watcher::Call).or(own);
        let group = self
            .focus
            .as_mut()
            .and_then(|focus| focus.groups.get_mut(&number));
        let (Some(group), Some(watcher)) = (group, watcher) else {
            return;
        };
        let is_same = |one: &Watcher| match (one, &watcher) {
            (Watcher::Call(one), Watcher::Call(other)) => one == other,
            (Watcher::Own(one), Watcher::Own(_)) => request.header("Call-ID") == Some(&one.call_id),
            _ => false,
        };
        let known = group.watchers.iter().position(is_same);
        match known {
            Some(at) if expires == 0 => drop(group.watchers.remove(at)),
            None if expires > 0 && group.watchers.len() < MEMBERS_MAX => {
                group.watchers.push(watcher)
            }
            _ => {}
        }
        self.tell_watchers(number, now);
    }

    /// Tells all subscribers who is there. RFC 4575, 4.3.
    fn tell_watchers(&mut self, number: u32, now: Instant) {
        let entity = self.group_uri(number);
        let Some(group) = self
            .focus
            .as_mut()
            .and_then(|focus| focus.groups.get_mut(&number))
        else {
            return;
        };
        group.version += 1;
        let body = group.document(&entity);
        let mut requests = Vec::new();
        for watcher in &mut group.watchers {
            let dialog = match watcher {
                Watcher::Own(dialog) => dialog.as_mut(),
                Watcher::Call(chat) => match self.calls.get_mut(chat) {
                    Some(call) if !matches!(call.state, State::Ending { .. }) => &mut call.dialog,
                    _ => continue,
                },
            };
            requests.push((dialog.request("NOTIFY"), dialog.next_hop()));
        }
        for (notify, next_hop) in requests {
            let mut notify = self.with_via(notify);
            notify.push("Contact", format!("<{entity}>"));
            notify.push("Event", "conference");
            notify.push(
                "Subscription-State",
                format!("active;expires={SUBSCRIBED_S}"),
            );
            notify.set_body("application/conference-info+xml", body.clone().into_bytes());
            if let Some(flow) = next_hop.and_then(|uri| self.flow_to(&uri)) {
                let key = self
                    .transactions
                    .request(notify, flow, now, &mut self.outputs);
                self.pending.insert(key, Pending::Notification);
            }
        }
    }
}

impl Focus {
    /// Who of a group is there beside one of them, and what names the group for good.
    pub(super) fn others(&self, group: u32, name: &str) -> Option<(Vec<String>, String)> {
        let group = self.groups.get(&group)?;
        let is_other = |(known, member): &(&String, &Member)| {
            member.status == "connected" && known.as_str() != name
        };
        let others = group.members.iter().filter(is_other);
        let names = others.map(|(name, _)| name.clone()).collect();
        Some((names, group.contribution.clone()))
    }
}

impl Group {
    fn document(&self, entity: &str) -> String {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        let subject = self.subject.as_deref().map(escaped);
        let subject = subject.map_or(String::new(), |text| format!("<subject>{text}</subject>"));
        let user = |(name, member): (&String, &Member)| {
            let (status, left) = (member.status, member.left.as_deref().unwrap_or(""));
            format!(
                "<user entity=\"sip:{name}\" state=\"full\"><endpoint entity=\"sip:{name}\">\
                 <status>{status}</status>{left}</endpoint></user>"
            )
        };
        let users: String = self.members.iter().map(user).collect();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<conference-info \
             xmlns=\"urn:ietf:params:xml:ns:conference-info\" entity=\"{entity}\" state=\"full\" \
             version=\"{}\"><conference-description>{subject}<maximum-user-count>{MEMBERS_MAX}\
             </maximum-user-count></conference-description><users>{users}</users></conference-info>",
            self.version
        )
    }
}
