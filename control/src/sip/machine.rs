//! The machine's state, its timers, and how messages leave it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::api::{Action, ClientId, DialogId, Flow, Millis, ServerId, SipTransport};
use super::authority::Nonces;
use super::compose::{companion, response};
use super::dialog::Dialogs;
use super::hops::Hops;
use super::message::{Message, StartLine};
use super::method::Method;
use super::overload::Overload;
use super::publication::Publications;
use super::random::Random;
use super::registrar::Registrar;
use super::registration::Registration;
use super::reliable::Reliable;
use super::settings::Settings;
use super::subscription::{Subscriptions, Watcher};
use super::tables::{Cancel, Client, ClientOwner, Clients, Server, Servers, Target};
use super::timers::{TimerOf, Timers};
use super::transaction::client;
use super::uri::{Host, SipUri};
use super::via::{COOKIE, Via};

/// Larger requests go over TCP where they may. RFC 3261, 18.1.1.
const UDP_REQUEST_BYTES_MAX: usize = 1300;

/// The machine: transactions, dialogs, registrar and proxy of one address.
#[derive(Debug, Serialize, Deserialize)]
pub struct Sip {
    pub(super) settings: Settings,
    pub(super) random: Random,
    pub(super) timers: Timers,
    pub(super) clients: Clients,
    pub(super) servers: Servers,
    pub(super) dialogs: Dialogs,
    pub(super) registrar: Registrar,
    /// What is new and waits.
    pub(super) overload: Overload,
    /// Where requests go that leave our domain.
    pub(super) hops: Hops,
    /// Our users' registrations elsewhere.
    pub(super) registrations: BTreeMap<String, Registration>,
    /// What our users have proven, and to whom.
    pub(super) accounts: BTreeMap<String, Account>,
    /// How often those who prove themselves to us have used which nonce.
    pub(super) nonces: Nonces,
    /// Users (in one spelling) whose requests go to the gateway.
    pub(super) locals: BTreeSet<String>,
    /// The user part of our Record-Route: who has it was let through here before.
    pub(super) route_user: String,
    /// Subscriptions of ours.
    #[serde(default)]
    pub(super) subscriptions: Subscriptions,
    /// Those of peers.
    #[serde(default)]
    pub(super) watchers: Vec<Watcher>,
    /// What our users publish.
    #[serde(default)]
    pub(super) publications: Publications,
    /// Who has something else elsewhere since somebody asked.
    #[serde(default)]
    pub(super) changed_elsewhere: BTreeSet<String>,
    /// Peers' texts, told, answered or forgotten since somebody asked.
    #[serde(default)]
    pub(super) changed_requests: BTreeSet<ServerId>,
    pub(super) last_id: u64,
}

/// What a [`Sip`] holds right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Requests of ours.
    pub clients: usize,
    /// Requests of peers.
    pub servers: usize,
    /// Dialogs, early ones included.
    pub dialogs: usize,
    /// Timers that are set.
    pub timers: usize,
    /// Bindings of the registrar; each user that has some holds one timer.
    pub bindings: usize,
    /// Registrations elsewhere; each holds one timer.
    pub registrations: usize,
    /// Subscriptions, of ours and of peers.
    pub subscriptions: usize,
    /// What users publish.
    pub publications: usize,
    /// New requests that wait to be begun.
    pub waiting: usize,
}

impl Sip {
    /// A machine without any state. `seed` is what its branches, tags and Call-IDs come from: from the
    /// kernel's generator in the program, fixed in tests.
    pub fn new(settings: Settings, seed: [u8; 32]) -> Sip {
        let mut random = Random::new(seed);
        let route_user = random.text();
        Sip {
            settings,
            random,
            timers: Timers::default(),
            clients: Clients::default(),
            servers: Servers::default(),
            dialogs: Dialogs::default(),
            registrar: Registrar::default(),
            overload: Overload::default(),
            hops: Hops::default(),
            registrations: BTreeMap::new(),
            accounts: BTreeMap::new(),
            nonces: Nonces::default(),
            locals: BTreeSet::new(),
            route_user,
            subscriptions: Subscriptions::default(),
            watchers: Vec::new(),
            publications: Publications::default(),
            changed_elsewhere: BTreeSet::new(),
            changed_requests: BTreeSet::new(),
            last_id: 0,
        }
    }

    /// When to call [`Sip::timeout`], if ever.
    pub fn deadline(&self) -> Option<Millis> {
        self.timers.next()
    }

    /// What it holds, for gauges and for tests that everything was given back.
    pub fn held(&self) -> Held {
        Held {
            clients: self.clients.len(),
            servers: self.servers.len(),
            dialogs: self.dialogs.len(),
            timers: self.timers.len(),
            bindings: self.registrar.len(),
            registrations: self.registrations.len(),
            subscriptions: self.subscriptions.len() + self.watchers.len(),
            publications: self.publications.len(),
            waiting: self.waiting(),
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Whether `uri` names us: our domain, or our address.
    pub(super) fn is_ours(&self, uri: &SipUri) -> bool {
        let named = match &uri.host {
            Host::Name(name) => name.eq_ignore_ascii_case(&self.settings.domain),
            Host::Address(_) => false,
        };
        named || self.settings.is_place(&uri.host, uri.port_or_usual())
    }

    /// Sends a request, without Via so far, in a new transaction. The caller has checked the limit.
    pub(super) fn start_client(
        &mut self,
        id: ClientId,
        mut request: Message,
        target: Target,
        owner: ClientOwner,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let branch = format!("{COOKIE}{}", self.random.text());
        let Target { mut flow, fixed } = target;
        request
            .headers
            .insert(0, ("Via".to_owned(), self.via(flow, &branch)));
        let mut bytes = request.print();
        let mut fallback = None;
        if flow.transport == SipTransport::Udp && !fixed && bytes.len() > UDP_REQUEST_BYTES_MAX {
            fallback = Some(flow);
            flow = Flow {
                transport: SipTransport::Tcp,
                connection: None,
                ..flow
            };
            request.headers[0].1 = self.via(flow, &branch);
            bytes = request.print();
        }
        let invite = request.method() == Method::Invite;
        let reliable = flow.transport.is_stream();
        let machine = client::Client::new(invite, reliable, &self.settings.timing, now);
        let mut record = Client::new(machine, owner, (request, flow), &branch);
        (record.fallback, record.target) = (fallback, target);
        self.clients.insert(id, record);
        self.rearm_client(id);
        out.push(Action::Transmit { flow, bytes });
    }

    /// Sends a request of ours once more in another form or by another way, in a new transaction that
    /// answers to the same id. The former one, if it is still there, only absorbs what comes late.
    pub(super) fn send_again(
        &mut self,
        id: ClientId,
        request: Message,
        target: Target,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        let Some(former) = self.clients.of(id) else {
            return;
        };
        let (owner, tries, hop) = (former.owner, former.tries.clone(), former.hop);
        self.set_aside(id);
        self.start_client(id, request, target, owner, now, out);
        if let Some(client) = self.clients.of_mut(id) {
            (client.tries, client.hop) = (tries, hop);
        }
    }

    /// Frees the id of a request of ours that goes on in another transaction. If this one has had its answer,
    /// it still absorbs what comes late.
    pub(super) fn set_aside(&mut self, id: ClientId) {
        self.timers.set(TimerOf::Client(id), None);
        let former = self.clients.remove(id);
        if let Some(mut former) = former.filter(|former| !former.machine.is_open()) {
            former.owner = ClientOwner::Nobody(None);
            let late = ClientId(self.next_id());
            self.clients.insert(late, former);
            self.rearm_client(late);
        }
    }

    /// Our Via for this flow.
    pub(super) fn via(&self, flow: Flow, branch: &str) -> String {
        let transport = match flow.transport {
            SipTransport::Udp => "UDP",
            SipTransport::Tcp => "TCP",
            SipTransport::Tls => "TLS",
        };
        let rport = if flow.transport == SipTransport::Udp {
            ";rport"
        } else {
            ""
        };
        let (host, port) = self.settings.place(flow.transport);
        format!("SIP/2.0/{transport} {host}:{port}{rport};branch={branch}")
    }

    /// Sends the CANCEL of an INVITE that has had a 1xx. RFC 3261, 9.1.
    pub(super) fn send_cancel(&mut self, id: ClientId, now: Millis, out: &mut Vec<Action>) {
        let timing = self.settings.timing;
        let Some(client) = self.clients.of_mut(id) else {
            return;
        };
        client.cancel = Cancel::Sent;
        client.machine.cancelled(&timing, now);
        let request = companion(&client.request, Method::Cancel, None);
        let flow = client.flow;
        let branch = request.header("Via").and_then(|via| Via::parse(via).ok());
        let branch = branch
            .and_then(|via| via.branch().map(str::to_owned))
            .unwrap_or_default();
        self.rearm_client(id);
        let reliable = flow.transport.is_stream();
        let machine = client::Client::new(false, reliable, &timing, now);
        let bytes = request.print();
        let record = Client::new(machine, ClientOwner::Nobody(None), (request, flow), &branch);
        let cancel = ClientId(self.next_id());
        self.clients.insert(cancel, record);
        self.rearm_client(cancel);
        out.push(Action::Transmit { flow, bytes });
    }

    /// Answers in the server transaction `id`. `false`: it has had its final answer.
    pub(super) fn answer(
        &mut self,
        id: ServerId,
        response: &Message,
        now: Millis,
        out: &mut Vec<Action>,
    ) -> bool {
        let timing = self.settings.timing;
        let Some(server) = self.servers.of_mut(id) else {
            return false;
        };
        if !server.machine.respond(response.code(), &timing, now) {
            return false;
        }
        let bytes = response.print();
        server.last = Some(bytes.clone());
        out.push(Action::Transmit {
            flow: server.flow,
            bytes,
        });
        self.rearm_server(id);
        self.note_request(id);
        true
    }

    /// A peer's request has changed, or is about to go: it may be one that outlives the process.
    pub(super) fn note_request(&mut self, id: ServerId) {
        if self.servers.of(id).is_some_and(Server::is_kept) {
            self.changed_requests.insert(id);
        }
    }

    /// Answers in the server transaction `id` with nothing but a status.
    pub(super) fn answer_plainly(
        &mut self,
        id: ServerId,
        code: u16,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        if let Some(server) = self.servers.of(id) {
            let response = response(&server.request, code, None, &server.to_tag);
            self.answer(id, &response, now, out);
        }
    }

    /// A dialog is gone. What of it is still unanswered is told to nobody.
    pub(super) fn drop_dialog(&mut self, id: DialogId) {
        self.dialogs.remove(id);
        self.timers.set(TimerOf::Dialog(id), None);
        self.forget_subscriptions_of(id);
    }

    pub(super) fn rearm_client(&mut self, id: ClientId) {
        let deadline = self
            .clients
            .of(id)
            .and_then(|client| client.machine.deadline());
        self.timers.set(TimerOf::Client(id), deadline);
    }

    pub(super) fn rearm_server(&mut self, id: ServerId) {
        let deadline = self.servers.of(id).and_then(|server| {
            let open = server.machine.is_open();
            let reliable = server.reliable.as_ref().filter(|_| open);
            let again = reliable.and_then(Reliable::deadline);
            [again, server.machine.deadline()]
                .into_iter()
                .flatten()
                .min()
        });
        self.timers.set(TimerOf::Server(id), deadline);
    }

    pub(super) fn rearm_dialog(&mut self, id: DialogId) {
        let deadline = self.dialogs.of(id).and_then(|dialog| dialog.deadline());
        self.timers.set(TimerOf::Dialog(id), deadline);
    }

    pub(super) fn rearm_user(&mut self, user: String) {
        let deadline = self.registrar.deadline(&user);
        self.timers.set(TimerOf::User(user), deadline);
    }

    /// Whether one more transaction of each kind may begin.
    pub(super) fn has_room(&self) -> bool {
        let most = self.settings.limits.transactions;
        self.clients.len() < most && self.servers.len() < most
    }
}

/// A request's line, headers to follow.
pub(super) fn bare_request(method: Method, uri: String) -> Message {
    let start = StartLine::Request { method, uri };
    Message {
        start,
        headers: Vec::new(),
        body: Vec::new(),
    }
}
