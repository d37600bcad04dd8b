//! SIP as a naive handset writes and reads it: text, and the retransmission timers of RFC 3261, 17.

use std::fmt::Write;

const T1_MS: u64 = 500;
const T2_MS: u64 = 4_000;
/// 64 · T1: when a transaction is given up, and when it is forgotten.
const GIVE_UP_MS: u64 = 64 * T1_MS;

/// A message, taken apart.
#[derive(Clone, Debug)]
pub struct Message {
    pub start: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Message {
    pub fn read(octets: &[u8]) -> Message {
        let text = std::str::from_utf8(octets).expect("SIP is text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a blank line");
        let mut lines = head.lines();
        let start = lines.next().expect("a first line").to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').expect("a header line");
            (name.trim().to_owned(), value.trim().to_owned())
        };
        Message {
            start,
            headers: lines.map(header).collect(),
            body: body.to_owned(),
        }
    }

    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let same = move |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
    }

    pub fn header(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// The status of a response.
    pub fn code(&self) -> Option<u16> {
        self.start
            .strip_prefix("SIP/2.0 ")?
            .split(' ')
            .next()?
            .parse()
            .ok()
    }

    pub fn method(&self) -> &str {
        match self.code() {
            Some(_) => self.header("CSeq").split(' ').nth(1).unwrap_or_default(),
            None => self.start.split(' ').next().unwrap_or_default(),
        }
    }

    pub fn branch(&self) -> &str {
        parameter(self.header("Via"), "branch").unwrap_or_default()
    }

    /// A response to it, with this tag of ours where its To has none.
    pub fn response(&self, status: &str, tag: &str, more: &str, body: &str) -> Vec<u8> {
        let mut text = format!("SIP/2.0 {status}\r\n");
        for name in ["Via", "Record-Route", "From", "To", "Call-ID", "CSeq"] {
            for value in self.all(name) {
                let _ = write!(text, "{name}: {value}");
                if name == "To" && parameter(value, "tag").is_none() {
                    let _ = write!(text, ";tag={tag}");
                }
                text.push_str("\r\n");
            }
        }
        finish(text, more, body)
    }
}

/// The end of a message, whose body is a session description.
pub fn finish(text: String, more: &str, body: &str) -> Vec<u8> {
    finish_typed(text, more, "application/sdp", body)
}

/// The end of a message.
pub fn finish_typed(mut text: String, more: &str, kind: &str, body: &str) -> Vec<u8> {
    text.push_str(more);
    if !body.is_empty() {
        let _ = write!(text, "Content-Type: {kind}\r\n");
    }
    let _ = write!(text, "Content-Length: {}\r\n\r\n{body}", body.len());
    text.into_bytes()
}

/// A parameter of a header's value.
pub fn parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    let after = value.rsplit_once('>').map_or(value, |(_, after)| after);
    after
        .split(';')
        .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

/// What stands between the angle brackets.
pub fn uri(value: &str) -> &str {
    let inner = value
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or(value, |(uri, _)| uri)
}

/// What the timers say.
pub enum Fired {
    /// Send this.
    Send(Vec<u8>),
    /// This request of ours has had no final answer: its method and Call-ID.
    TimedOut(String, String),
    /// Our 200 to an INVITE was not acknowledged: its Call-ID.
    NoAck(String),
}

/// A request of ours.
pub struct Client {
    pub branch: String,
    pub method: String,
    pub call_id: String,
    octets: Vec<u8>,
    next_at: Option<u64>,
    interval: u64,
    /// Given up then, or forgotten.
    until: u64,
    pub provisional: bool,
    pub final_code: Option<u16>,
    /// What a final answer that comes again is acknowledged by.
    pub ack: Option<Vec<u8>>,
}

/// A request of a peer's.
pub struct Server {
    pub branch: String,
    pub method: String,
    pub call_id: String,
    pub request: Message,
    pub response: Option<Vec<u8>>,
    is_final: bool,
    is_success: bool,
    next_at: Option<u64>,
    interval: u64,
    until: u64,
}

/// All of a handset's.
#[derive(Default)]
pub struct Transactions {
    /// Who answers us does not die, and remembers what it has answered.
    pub strict: bool,
    /// By a stream, which repeats what is lost by itself: RFC 3261, 17.
    pub reliable: bool,
    pub clients: Vec<Client>,
    pub servers: Vec<Server>,
}

impl Transactions {
    /// A request goes out.
    pub fn ask(&mut self, octets: &[u8], now: u64) {
        let message = Message::read(octets);
        self.clients.push(Client {
            branch: message.branch().to_owned(),
            method: message.method().to_owned(),
            call_id: message.header("Call-ID").to_owned(),
            octets: octets.to_vec(),
            next_at: (!self.reliable).then_some(now + T1_MS),
            interval: T1_MS,
            until: now + GIVE_UP_MS,
            provisional: false,
            final_code: None,
            ack: None,
        });
    }

    /// An answer has come. The request it is for, if it is the first final one, or provisional.
    pub fn answered(&mut self, message: &Message, now: u64) -> Answered {
        let is_it = |client: &&mut Client| {
            client.branch == message.branch() && client.method == message.method()
        };
        let Some(client) = self.clients.iter_mut().find(is_it) else {
            return Answered::Stray;
        };
        let code = message.code().expect("a status");
        if code < 200 {
            if client.method == "INVITE" && client.final_code.is_none() {
                client.next_at = None;
                // It may ring for as long as the other side lets it.
                client.until = now + 300_000;
            }
            client.provisional = true;
            return Answered::Provisional;
        }
        if let Some(known) = client.final_code {
            let same = known == code || !self.strict;
            assert!(
                same,
                "a second final answer is another one: {known}, {code}"
            );
            return match &client.ack {
                Some(ack) => Answered::Again(ack.clone()),
                None => Answered::Stray,
            };
        }
        (client.final_code, client.next_at) = (Some(code), None);
        client.until = now + GIVE_UP_MS;
        Answered::Final
    }

    /// An INVITE is not wanted any more: RFC 3261, 9.1. Whether it may be cancelled already.
    pub fn gives_up(&mut self, branch: &str, now: u64) -> bool {
        let is_it = |client: &&mut Client| client.branch == branch && client.method == "INVITE";
        let Some(invite) = self.clients.iter_mut().find(is_it) else {
            return false;
        };
        invite.until = invite.until.min(now + GIVE_UP_MS);
        invite.provisional
    }

    /// A request has come. `None`: it came before, and was answered again if there was an answer.
    pub fn asked(&mut self, message: &Message, now: u64) -> Result<(), Option<Vec<u8>>> {
        let (branch, method) = (message.branch(), message.method());
        let known = self
            .servers
            .iter()
            .find(|s| s.branch == branch && s.method == method);
        if let Some(known) = known {
            return Err(known.response.clone());
        }
        self.servers.push(Server {
            branch: branch.to_owned(),
            method: method.to_owned(),
            call_id: message.header("Call-ID").to_owned(),
            request: message.clone(),
            response: None,
            is_final: false,
            is_success: false,
            next_at: None,
            interval: T1_MS,
            until: now + 300_000,
        });
        Ok(())
    }

    /// Our answer to a request: an INVITE's final one is repeated until it is acknowledged.
    pub fn answer(&mut self, branch: &str, method: &str, octets: &[u8], now: u64) {
        let is_it = |server: &&mut Server| server.branch == branch && server.method == method;
        let Some(server) = self.servers.iter_mut().find(is_it) else {
            return;
        };
        assert!(!server.is_final, "the handset answers once");
        server.response = Some(octets.to_vec());
        let code = Message::read(octets).code().expect("a status");
        if code >= 200 {
            (server.is_final, server.is_success) = (true, code < 300);
            server.until = now + GIVE_UP_MS;
            if method == "INVITE" && (code < 300 || !self.reliable) {
                server.next_at = Some(now + T1_MS);
            }
        }
    }

    /// An ACK has come.
    pub fn acknowledged(&mut self, call_id: &str) {
        let invites = self.servers.iter_mut().filter(|s| s.method == "INVITE");
        for server in invites.filter(|server| server.call_id == call_id && server.is_final) {
            (server.next_at, server.is_success) = (None, false);
        }
    }

    pub fn deadline(&self) -> Option<u64> {
        let clients = self
            .clients
            .iter()
            .map(|c| c.next_at.unwrap_or(c.until).min(c.until));
        let servers = self
            .servers
            .iter()
            .map(|s| s.next_at.unwrap_or(s.until).min(s.until));
        clients.chain(servers).min()
    }

    /// What the time has brought.
    pub fn fire(&mut self, now: u64) -> Vec<Fired> {
        let mut fired = Vec::new();
        for client in &mut self.clients {
            if client.next_at.is_some_and(|at| at <= now) && now < client.until {
                fired.push(Fired::Send(client.octets.clone()));
                client.interval *= 2;
                if client.method != "INVITE" {
                    client.interval = client.interval.min(T2_MS);
                }
                client.next_at = Some(now + client.interval);
            }
            if client.until <= now && client.final_code.is_none() {
                let (method, call_id) = (client.method.clone(), client.call_id.clone());
                fired.push(Fired::TimedOut(method, call_id));
            }
        }
        self.clients.retain(|client| client.until > now);
        for server in &mut self.servers {
            if server.next_at.is_some_and(|at| at <= now) && now < server.until {
                fired.extend(server.response.clone().map(Fired::Send));
                server.interval = (2 * server.interval).min(T2_MS);
                server.next_at = Some(now + server.interval);
            }
            if server.until <= now && server.is_success && server.method == "INVITE" {
                fired.push(Fired::NoAck(server.call_id.clone()));
            }
        }
        self.servers.retain(|server| server.until > now);
        fired
    }
}

/// What an answer is.
pub enum Answered {
    /// To nothing we know.
    Stray,
    Provisional,
    Final,
    /// The same once more: this acknowledges it.
    Again(Vec<u8>),
}
