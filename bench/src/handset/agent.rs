//! The handset itself: one task that owns the SIP side and gives each chat a task of its own.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::calls::{Besides, Call, Single, State as CallState};
use super::chat::{News, Wish};
use super::console::{ChatNumber, Command, Event};
use super::endpoint::Endpoint;
use super::files::{Postponed, Shelf};
use super::focus::Focus;
use super::registration::{self, Registration};
use super::services::Pending;
use super::settings::Settings;
use super::sip::transport::{Arrival, reachable};
use super::sip::{ClientKey, Flow, Message, Output, Sockets, Transactions, Uri, token};

/// How long the answers to the last requests are waited for.
const LEAVING: Duration = Duration::from_secs(3);

/// What the loop waits for.
enum Happening {
    Arrival(Arrival),
    Accepted,
    Command(Option<Command>),
    News(ChatNumber, News),
    Timeout,
}

/// A handset. Calls and registration are in files of their own.
pub struct Agent {
    pub(super) settings: Settings,
    pub(super) endpoint: Endpoint,
    pub(super) registrar: Option<SocketAddr>,
    pub(super) address: IpAddr,
    pub(super) contact: String,
    pub(super) transactions: Transactions,
    pub(super) outputs: Vec<Output>,
    pub(super) registration: Registration,
    pub(super) calls: BTreeMap<ChatNumber, Call>,
    pub(super) pending: HashMap<ClientKey, Pending>,
    pub(super) current: Option<ChatNumber>,
    pub(super) next_chat: ChatNumber,
    pub(super) focus: Option<Focus>,
    pub(super) news: mpsc::UnboundedSender<(ChatNumber, News)>,
    pub(super) shelf: Shelf,
    pub(super) postponed: Vec<Postponed>,
    pub(super) sockets: Sockets,
    inbox: mpsc::Receiver<Arrival>,
    newspaper: mpsc::UnboundedReceiver<(ChatNumber, News)>,
    events: mpsc::UnboundedSender<Event>,
    commands: mpsc::Receiver<Command>,
    leaving: Option<Instant>,
}

impl Agent {
    /// Opens the sockets. Errors say which one could not be opened.
    pub async fn open(
        settings: Settings,
        events: mpsc::UnboundedSender<Event>,
        commands: mpsc::Receiver<Command>,
    ) -> io::Result<Agent> {
        let because =
            |what: String| move |e: io::Error| io::Error::new(e.kind(), what + &e.to_string());
        let registrar = match &settings.registrar {
            Some(name) => {
                let wrong = because(format!("--registrar {name}: "));
                Some(
                    look_up(name, settings.listen.is_ipv6())
                        .await
                        .map_err(wrong)?,
                )
            }
            None => None,
        };
        let listen = settings.listen;
        let address = reachable(listen.ip(), registrar)
            .await
            .map_err(because(format!(
                "--listen {listen}: give the address that others can reach: "
            )))?;
        let (sockets, inbox) = Sockets::open(settings.transport, listen)
            .await
            .map_err(because(format!("can't listen for SIP at {listen}: ")))?;
        let media = SocketAddr::new(listen.ip(), 0);
        let endpoint = Endpoint::open(media, address)
            .await
            .map_err(because(format!("can't listen for MSRP at {media}: ")))?;
        let contact = Uri {
            user: settings.aor.user.clone(),
            host: address.to_string(),
            port: Some(sockets.local().port()),
            parameters: match settings.transport {
                super::sip::Transport::Udp => String::new(),
                super::sip::Transport::Tcp => ";transport=tcp".to_owned(),
            },
        };
        let focus = settings.focus.then(Focus::default);
        let (news, newspaper) = mpsc::unbounded_channel();
        Ok(Agent {
            registration: Registration::new(settings.expires),
            contact: contact.to_string(),
            settings,
            endpoint,
            registrar,
            address,
            transactions: Transactions::default(),
            outputs: Vec::new(),
            calls: BTreeMap::new(),
            pending: HashMap::new(),
            current: None,
            next_chat: 1,
            focus,
            news,
            shelf: Shelf::default(),
            postponed: Vec::new(),
            sockets,
            inbox,
            newspaper,
            events,
            commands,
            leaving: None,
        })
    }

    /// Where SIP is listened for, as others reach it.
    pub fn sip_address(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.sockets.local().port())
    }

    /// Works until told to quit.
    pub async fn run(mut self) {
        let (sip, msrp) = (
            self.sip_address().to_string(),
            self.endpoint.address().to_string(),
        );
        self.tell(Event::Listening { sip, msrp });
        self.register_first(Instant::now());
        if let Some(uri) = self.settings.call.clone() {
            self.call(&uri, None, Instant::now());
        }
        self.act();
        while !self.has_left() {
            let happening = self.wait().await;
            let now = Instant::now();
            match happening {
                Happening::Arrival(arrival) => self.arrival(arrival, now),
                Happening::Accepted => {}
                Happening::Command(Some(command)) => self.command(command, now),
                Happening::Command(None) => self.leave(now),
                Happening::News(chat, news) => self.chat_news(chat, news, now),
                Happening::Timeout => {
                    self.transactions.timeout(now, &mut self.outputs);
                    self.registration_timeout(now);
                    self.calls_timeout(now);
                    self.files_timeout(now);
                }
            }
            self.act();
        }
    }

    async fn wait(&mut self) -> Happening {
        let deadline = self.deadline();
        let sleep = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(arrival) = self.inbox.recv() => Happening::Arrival(arrival),
            () = self.sockets.accepting() => Happening::Accepted,
            command = self.commands.recv(), if self.leaving.is_none() => {
                Happening::Command(command)
            }
            Some((chat, news)) = self.newspaper.recv() => Happening::News(chat, news),
            () = sleep => Happening::Timeout,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let calls = self.calls.values().filter_map(Call::deadline);
        let postponed = self.postponed.iter().map(|postponed| postponed.at);
        let others = [
            postponed.min(),
            self.transactions.deadline(),
            self.registration.deadline(),
            self.leaving,
        ];
        calls.chain(others.into_iter().flatten()).min()
    }

    fn has_left(&self) -> bool {
        let Some(until) = self.leaving else {
            return false;
        };
        let all_answered =
            self.calls.is_empty() && matches!(self.registration.state, registration::State::None);
        all_answered || until <= Instant::now()
    }

    fn leave(&mut self, now: Instant) {
        self.leaving = Some(now + LEAVING);
        let chats: Vec<ChatNumber> = self.calls.keys().copied().collect();
        for chat in chats {
            self.hang_up(chat, "this side is leaving", now);
        }
        self.unregister(now);
    }

    fn arrival(&mut self, arrival: Arrival, now: Instant) {
        match arrival {
            Arrival::Message(flow, bytes) => match Message::parse(&bytes) {
                Ok(message) => self
                    .transactions
                    .receive(message, flow, now, &mut self.outputs),
                Err(malformed) => self.problem(format!("{malformed} ({})", flow.peer)),
            },
            Arrival::Lost(flow) => self.transactions.flow_lost(flow, &mut self.outputs),
            Arrival::Unreadable(flow, malformed) => {
                self.problem(format!(
                    "{malformed} ({}); its connection was closed",
                    flow.peer
                ));
                self.transactions.flow_lost(flow, &mut self.outputs);
            }
        }
    }

    /// Does what the transactions want done, until they want nothing more.
    fn act(&mut self) {
        while !self.outputs.is_empty() {
            for output in std::mem::take(&mut self.outputs) {
                let now = Instant::now();
                match output {
                    Output::Transmit(flow, bytes) => self.sockets.send(flow.peer, bytes),
                    Output::Request(key, request) => self.request(&key, &request, now),
                    Output::Ack(ack) => self.acknowledged(&ack, now),
                    Output::Response(key, response) => {
                        if !self.service_answer(&key, Some(&response))
                            && !self.registration_answer(&key, Some(&response), now)
                        {
                            self.call_answer(&key, &response, now);
                        }
                    }
                    Output::TimedOut(key) => {
                        if !self.service_answer(&key, None)
                            && !self.registration_answer(&key, None, now)
                        {
                            self.call_unanswered(&key);
                        }
                    }
                    Output::Unacknowledged(key) => self.unacknowledged(&key, now),
                }
            }
        }
    }

    fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::Call(text, first) => match Uri::parse(&text) {
                Some(uri) => self.call(&uri, first.as_deref(), now),
                None => self.problem(format!("{text}: write the address as sip:alice@localhost")),
            },
            Command::Options(text) => match Uri::parse(&text) {
                Some(uri) => self.ask(&uri, now),
                None => self.problem(format!("{text}: write the address as sip:alice@localhost")),
            },
            Command::Text(to, text) => match Uri::parse(&to) {
                Some(uri) => self.send_text(&uri, &text, now),
                None => self.problem(format!("{to}: write the address as sip:alice@localhost")),
            },
            Command::Share(to, path) => match Uri::parse(&to) {
                Some(uri) => self.offer_file(&uri, &path, Some(Besides::Image), now),
                None => self.problem(format!("{to}: write the address as sip:alice@localhost")),
            },
            Command::Send(to, path) => match Uri::parse(&to) {
                Some(uri) => self.offer_file(&uri, &path, None, now),
                None => self.problem(format!("{to}: write the address as sip:alice@localhost")),
            },
            Command::Want(from, which) => match Uri::parse(&from) {
                Some(uri) => self.want_file(&uri, &which, now),
                None => self.problem(format!("{from}: write the address as sip:alice@localhost")),
            },
            Command::Cut => self.wish(Wish::Cut),
            Command::Typing(active) => self.wish(Wish::Typing(active)),
            Command::Say(text) => self.wish(Wish::Say(text)),
            Command::File(path) => self.wish(Wish::File(path)),
            Command::Bye => match self.current {
                Some(chat) => self.hang_up(chat, "this side hung up", now),
                None => self.problem("there is no call to end".to_owned()),
            },
            Command::Chats => {
                for (&chat, call) in &self.calls {
                    let (with, current) = (call.with.clone(), self.current == Some(chat));
                    self.tell(Event::Chat {
                        chat,
                        with,
                        current,
                    });
                }
            }
            Command::Use(chat) if self.calls.contains_key(&chat) => self.current = Some(chat),
            Command::Use(chat) => self.problem(format!("there is no chat {chat}; see chats")),
            Command::Quit => self.leave(now),
        }
    }

    fn wish(&mut self, wish: Wish) {
        let call = self.current.and_then(|chat| self.calls.get(&chat));
        let sent = match call.and_then(|call| call.wishes.as_ref()) {
            Some(wishes) => wishes
                .try_send(wish)
                .map_err(|_| "the chat takes nothing more now"),
            None => Err("there is no chat; call somebody first or wait for a call"),
        };
        if let Err(why) = sent {
            self.problem(why.to_owned());
        }
    }

    /// Tells what the chats have told by now.
    pub(super) fn read_news(&mut self, now: Instant) {
        while let Ok((chat, news)) = self.newspaper.try_recv() {
            self.chat_news(chat, news, now);
        }
    }

    fn chat_news(&mut self, chat: ChatNumber, news: News, now: Instant) {
        let Some(call) = self.calls.get_mut(&chat) else {
            return;
        };
        if matches!(call.state, CallState::Ending { .. }) {
            return;
        }
        let from = call.with.clone();
        let event = match news {
            News::Open => Event::Open { chat },
            News::Letter { envelope, text } => {
                let id = envelope.id.clone();
                let sender = Uri::parse(&format!("sip:{from}"));
                self.tell(Event::Text { from, id, text });
                // The session is about to end.
                return self.notify(sender, &envelope, now);
            }
            News::Text { id, text, author } => Event::Message {
                chat,
                from: author.unwrap_or(from),
                id,
                text,
            },
            News::PassOn {
                author,
                content_type,
                content,
            } => {
                if !self.pass_file(chat, &content, now) {
                    self.mix(chat, author.as_deref(), &content_type, &content);
                }
                return;
            }
            News::Content {
                id,
                content_type,
                bytes,
                sha256,
            } => Event::Received {
                chat,
                from,
                id,
                content_type,
                bytes,
                sha256,
            },
            News::Typing { active } => Event::Typing { chat, active },
            News::Notified { id, status } => Event::Notified { from, id, status },
            News::Sent { id } => {
                let is_file = call.file.take().is_some();
                let is_all = is_file || matches!(call.single, Some(Single::Goes(_)));
                self.tell(Event::Sent { chat, id });
                // Who has sent a file ends its session: RFC 5547, 8.4. A long text likewise.
                if is_all {
                    let what = if is_file { "the file" } else { "the text" };
                    self.hang_up(chat, &format!("{what} is there"), now);
                }
                return;
            }
            News::Delivered { id } => Event::Delivered { chat, id },
            News::Failed { id, status } => {
                self.tell(Event::Failed { chat, id, status });
                return self.cut_off(chat, "the file was not taken", now);
            }
            News::Refused { why } => Event::Problem { why },
            News::Lost { cause } => {
                self.hang_up(chat, &cause, now);
                return self.cut_off(chat, &cause, now);
            }
        };
        self.tell(event);
    }

    /// A transfer does not go on: if it brought a file of ours, its rest is for another one.
    fn cut_off(&mut self, chat: ChatNumber, why: &str, now: Instant) {
        let call = self.calls.get_mut(&chat);
        if let Some(sending) = call.and_then(|call| call.file.take()) {
            self.hang_up(chat, why, now);
            self.offer_rest(&sending, now);
        }
    }

    /// Tells the user.
    pub(super) fn tell(&self, event: Event) {
        // When nobody listens any more there is nobody to tell.
        let _ = self.events.send(event);
    }

    pub(super) fn problem(&self, why: String) {
        self.tell(Event::Problem { why });
    }

    /// The topmost Via of a new request.
    pub(super) fn via(&self) -> String {
        let transport = self.settings.transport.via();
        let address = self.sip_address();
        format!(
            "SIP/2.0/{transport} {address};branch=z9hG4bK{};rport",
            token(10)
        )
    }

    pub(super) fn registrar_flow(&self) -> Option<Flow> {
        let transport = self.settings.transport;
        self.registrar.map(|peer| Flow { transport, peer })
    }

    /// Where a request to this URI goes: to its address if it has one, else to the registrar.
    pub(super) fn flow_to(&self, uri: &Uri) -> Option<Flow> {
        let transport = self.settings.transport;
        match uri.host.parse::<IpAddr>() {
            Ok(ip) => Some(Flow {
                transport,
                peer: SocketAddr::new(ip, uri.port.unwrap_or(5060)),
            }),
            Err(_) => self.registrar_flow(),
        }
    }
}

async fn look_up(name: &str, is_ipv6: bool) -> io::Result<SocketAddr> {
    let mut found = tokio::net::lookup_host(name).await?;
    let missing = || io::Error::new(io::ErrorKind::NotFound, "no address of the right family");
    found
        .find(|address| address.is_ipv6() == is_ipv6)
        .ok_or_else(missing)
}
