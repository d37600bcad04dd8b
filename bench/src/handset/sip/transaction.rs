//! Transactions: repeating what may have been lost, answering what was repeated. RFC 3261, 17;
//! RFC 6026 for what follows a 2xx.
//!
//! Pure: messages and the time come in, [`Output`]s come out.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use super::message::{Message, Start};
use super::transport::{Flow, Transport};

/// RFC 3261, 17.1.1.1: the estimate of a round trip.
const T1: Duration = Duration::from_millis(500);
/// The longest pause between two repetitions.
const T2: Duration = Duration::from_secs(4);
/// When to give up, and how long a finished transaction absorbs repetitions.
const GIVE_UP: Duration = Duration::from_secs(32);
/// The most transactions at a time, in each direction; what comes beyond is dropped. A finished one counts
/// for [`GIVE_UP`], so a peer may begin 2000 a second.
const TRANSACTIONS_MAX: usize = 65_536;

/// Names a transaction that this handset began.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey {
    branch: String,
    method: String,
}

/// Names a transaction that a peer began.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerKey {
    branch: String,
    sent_by: String,
    method: String,
}

/// What the handset must do about it.
#[derive(Debug)]
pub enum Output {
    /// Send these octets.
    Transmit(Flow, Vec<u8>),
    /// A request that is new.
    Request(ServerKey, Message),
    /// An ACK for a 2xx.
    Ack(Message),
    /// A response to our request; a repeated 2xx to INVITE comes up each time.
    Response(ClientKey, Message),
    /// Our request was not answered for 32 s, or its connection is gone.
    TimedOut(ClientKey),
    /// Our 2xx to an INVITE was not acknowledged for 32 s.
    Unacknowledged(ServerKey),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientState {
    /// Nothing came yet.
    Trying,
    /// A provisional response came; an INVITE is not repeated any more.
    Proceeding,
    /// Over; repetitions of the final response are absorbed or acknowledged.
    Completed,
}

struct Client {
    request: Message,
    flow: Flow,
    state: ClientState,
    /// The next repetition, and the pause after it.
    repeat: Option<(Instant, Duration)>,
    /// When it fails, or when it is forgotten.
    until: Option<Instant>,
    /// The ACK to repeat when the final refusal is repeated.
    ack: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServerState {
    Proceeding,
    /// A 2xx to INVITE is repeated until its ACK comes.
    Accepted,
    /// A final response was sent.
    Completed,
}

struct Server {
    request: Message,
    flow: Flow,
    state: ServerState,
    response: Option<Vec<u8>>,
    repeat: Option<(Instant, Duration)>,
    until: Option<Instant>,
}

/// All transactions of a handset.
#[derive(Default)]
pub struct Transactions {
    clients: HashMap<ClientKey, Client>,
    servers: HashMap<ServerKey, Server>,
    /// Each time at which one of them may have something to do, soonest first. What has been overtaken stays
    /// until it is due, and then does nothing.
    alarms: BinaryHeap<Reverse<(Instant, Which)>>,
}

/// A transaction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Which {
    Client(ClientKey),
    Server(ServerKey),
}

impl Transactions {
    /// Sends a request. Its topmost Via must be there, with a branch of its own.
    pub fn request(
        &mut self,
        request: Message,
        flow: Flow,
        now: Instant,
        out: &mut Vec<Output>,
    ) -> ClientKey {
        let method = method_of(&request).to_owned();
        let key = ClientKey {
            branch: request.branch().unwrap_or("").to_owned(),
            method,
        };
        out.push(Output::Transmit(flow, request.encode()));
        let repeat = (flow.transport == Transport::Udp).then_some((now + T1, T1));
        let state = ClientState::Trying;
        let until = Some(now + GIVE_UP);
        let client = Client {
            request,
            flow,
            state,
            repeat,
            until,
            ack: None,
        };
        self.clients.insert(key.clone(), client);
        let times = [until, repeat.map(|(at, _)| at)];
        for at in times.into_iter().flatten() {
            self.wake(at, Which::Client(key.clone()));
        }
        key
    }

    fn wake(&mut self, at: Instant, which: Which) {
        self.alarms.push(Reverse((at, which)));
    }

    /// Cancels an INVITE that has a provisional response. RFC 3261, 9.1.
    pub fn cancel(&mut self, invite: &ClientKey, now: Instant, out: &mut Vec<Output>) {
        let Some(client) = self.clients.get(invite) else {
            return;
        };
        let cancel = of_same_hop(&client.request, "CANCEL", client.request.header("To"));
        let flow = client.flow;
        self.request(cancel, flow, now, out);
    }

    /// Whether a provisional response has come.
    pub fn is_proceeding(&self, key: &ClientKey) -> bool {
        self.clients
            .get(key)
            .is_some_and(|client| client.state == ClientState::Proceeding)
    }

    /// Takes one message from a socket.
    pub fn receive(&mut self, message: Message, flow: Flow, now: Instant, out: &mut Vec<Output>) {
        match &message.start {
            Start::Response { status, .. } => {
                let status = *status;
                self.receive_response(message, status, now, out);
            }
            Start::Request { .. } => self.receive_request(message, flow, now, out),
        }
    }

    fn receive_response(
        &mut self,
        response: Message,
        status: u16,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let Some(branch) = response.branch() else {
            return;
        };
        let Some((_, method)) = response.cseq() else {
            return;
        };
        let key = ClientKey {
            branch: branch.to_owned(),
            method: method.to_owned(),
        };
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        let is_invite = key.method == "INVITE";
        match (client.state, status) {
            (ClientState::Completed, 200..300) if is_invite => {}
            (ClientState::Completed, _) => {
                if let (Some(ack), 300..) = (&client.ack, status) {
                    out.push(Output::Transmit(client.flow, ack.clone()));
                }
                return;
            }
            (_, ..200) => {
                client.state = ClientState::Proceeding;
                if is_invite {
                    client.repeat = None;
                    client.until = None;
                }
            }
            _ => {
                client.state = ClientState::Completed;
                client.repeat = None;
                client.until = Some(now + GIVE_UP);
                if is_invite && status >= 300 {
                    let ack = of_same_hop(&client.request, "ACK", response.header("To")).encode();
                    out.push(Output::Transmit(client.flow, ack.clone()));
                    client.ack = Some(ack);
                }
                self.wake(now + GIVE_UP, Which::Client(key.clone()));
            }
        }
        out.push(Output::Response(key, response));
    }

    fn receive_request(
        &mut self,
        request: Message,
        flow: Flow,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let Some(key) = server_key(&request) else {
            return;
        };
        if method_of(&request) == "ACK" {
            let refused = ServerKey {
                method: "INVITE".to_owned(),
                ..key
            };
            match self.servers.get_mut(&refused) {
                Some(server) if server.state == ServerState::Completed => {
                    server.repeat = None;
                    server.until = Some(now + T2);
                    self.wake(now + T2, Which::Server(refused));
                }
                _ => out.push(Output::Ack(request)),
            }
            return;
        }
        if let Some(server) = self.servers.get(&key) {
            let repeated = server
                .response
                .as_ref()
                .map(|bytes| (server.flow, bytes.clone()));
            out.extend(repeated.map(|(flow, bytes)| Output::Transmit(flow, bytes)));
            return;
        }
        if self.servers.len() >= TRANSACTIONS_MAX {
            return;
        }
        let server = Server {
            request: request.clone(),
            flow: answer_flow(&request, flow),
            state: ServerState::Proceeding,
            response: None,
            repeat: None,
            until: None,
        };
        self.servers.insert(key.clone(), server);
        out.push(Output::Request(key, request));
    }

    /// Sends a response; after a final one the transaction only repeats it.
    pub fn respond(
        &mut self,
        key: &ServerKey,
        response: Message,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        let Some(server) = self.servers.get_mut(key) else {
            return;
        };
        let status = response.status().unwrap_or(500);
        let bytes = response.encode();
        out.push(Output::Transmit(server.flow, bytes.clone()));
        server.response = Some(bytes);
        if status < 200 {
            return;
        }
        server.until = Some(now + GIVE_UP);
        server.state = match status {
            200..300 if key.method == "INVITE" => ServerState::Accepted,
            _ => ServerState::Completed,
        };
        let over_udp = server.flow.transport == Transport::Udp;
        let repeats = key.method == "INVITE" && (over_udp || server.state == ServerState::Accepted);
        server.repeat = repeats.then_some((now + T1, T1));
        self.wake(now + GIVE_UP, Which::Server(key.clone()));
        if repeats {
            self.wake(now + T1, Which::Server(key.clone()));
        }
    }

    /// The request that began the transaction.
    pub fn request_of(&self, key: &ServerKey) -> Option<&Message> {
        self.servers.get(key).map(|server| &server.request)
    }

    /// The INVITE that this CANCEL wants to end, if it is not over.
    pub fn invite_of(&self, cancel: &ServerKey) -> Option<ServerKey> {
        let invite = ServerKey {
            method: "INVITE".to_owned(),
            ..cancel.clone()
        };
        self.servers.contains_key(&invite).then_some(invite)
    }

    /// The ACK of our 2xx has come.
    pub fn acknowledged(&mut self, key: &ServerKey) {
        if let Some(server) = self.servers.get_mut(key) {
            server.repeat = None;
            server.state = ServerState::Completed;
        }
    }

    /// A connection is gone: what waits for an answer on it has failed.
    pub fn flow_lost(&mut self, flow: Flow, out: &mut Vec<Output>) {
        let waiting = |client: &Client| client.state != ClientState::Completed;
        let of_flow = self
            .clients
            .iter()
            .filter(|(_, c)| c.flow == flow && waiting(c));
        let lost: Vec<ClientKey> = of_flow.map(|(key, _)| key.clone()).collect();
        for key in lost {
            self.clients.remove(&key);
            out.push(Output::TimedOut(key));
        }
    }

    /// When [`Transactions::timeout`] must be called.
    pub fn deadline(&self) -> Option<Instant> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    /// Repeats what is due and gives up what is overdue.
    pub fn timeout(&mut self, now: Instant, out: &mut Vec<Output>) {
        while self.deadline().is_some_and(|at| at <= now) {
            let Some(Reverse((_, which))) = self.alarms.pop() else {
                return;
            };
            let again = match &which {
                Which::Client(key) => self.client_timeout(key, now, out),
                Which::Server(key) => self.server_timeout(key, now, out),
            };
            if let Some(at) = again {
                self.wake(at, which);
            }
        }
    }

    /// When the next repetition is due, if there was one.
    fn client_timeout(
        &mut self,
        key: &ClientKey,
        now: Instant,
        out: &mut Vec<Output>,
    ) -> Option<Instant> {
        let client = self.clients.get_mut(key)?;
        if client.until.is_some_and(|until| until <= now) {
            if client.state != ClientState::Completed {
                out.push(Output::TimedOut(key.clone()));
            }
            self.clients.remove(key);
            return None;
        }
        let again = due(client.repeat.as_mut()?, key.method != "INVITE", now)?;
        out.push(Output::Transmit(client.flow, client.request.encode()));
        Some(again)
    }

    /// When the next repetition is due, if there was one.
    fn server_timeout(
        &mut self,
        key: &ServerKey,
        now: Instant,
        out: &mut Vec<Output>,
    ) -> Option<Instant> {
        let server = self.servers.get_mut(key)?;
        if server.until.is_some_and(|until| until <= now) {
            if server.state == ServerState::Accepted {
                out.push(Output::Unacknowledged(key.clone()));
            }
            self.servers.remove(key);
            return None;
        }
        let again = due(server.repeat.as_mut()?, true, now)?;
        out.push(Output::Transmit(server.flow, server.response.clone()?));
        Some(again)
    }
}

/// When the next repetition is due, after a pause twice as long, if one is due now.
fn due(repeat: &mut (Instant, Duration), bounded: bool, now: Instant) -> Option<Instant> {
    if repeat.0 > now {
        return None;
    }
    let pause = if bounded {
        (repeat.1 * 2).min(T2)
    } else {
        repeat.1 * 2
    };
    *repeat = (now + pause, pause);
    Some(repeat.0)
}

/// The CANCEL of an INVITE or the ACK of its refusal: same hop, same branch. RFC 3261, 17.1.1.3.
fn of_same_hop(invite: &Message, method: &str, to: Option<&str>) -> Message {
    let Start::Request { uri, .. } = &invite.start else {
        return invite.clone();
    };
    let mut request = Message::request(method, uri);
    let via = invite.headers.iter().find(|(name, _)| name == "Via");
    request.headers.extend(via.cloned());
    for (name, value) in &invite.headers {
        match name.as_str() {
            "Max-Forwards" | "From" | "Call-ID" | "Route" => request.push(name, value.clone()),
            "To" => request.push("To", to.unwrap_or(value)),
            "CSeq" => {
                let number = value.split(' ').next().unwrap_or("1");
                request.push("CSeq", format!("{number} {method}"));
            }
            _ => {}
        }
    }
    request
}

fn method_of(message: &Message) -> &str {
    match &message.start {
        Start::Request { method, .. } => method,
        Start::Response { .. } => "",
    }
}

fn server_key(request: &Message) -> Option<ServerKey> {
    let via = *request.list("Via").first()?;
    let sent_by = via.split(' ').nth(1)?.split(';').next()?.to_owned();
    let branch = request.branch()?.to_owned();
    Some(ServerKey {
        branch,
        sent_by,
        method: method_of(request).to_owned(),
    })
}

/// Where responses to a request go. RFC 3261, 18.2.2; RFC 3581, 4.
fn answer_flow(request: &Message, flow: Flow) -> Flow {
    let vias = request.list("Via");
    let Some(via) = vias.first() else { return flow };
    if flow.transport == Transport::Tcp || super::uri::parameter(via, "rport").is_some() {
        return flow;
    }
    let sent_by = via
        .split(' ')
        .nth(1)
        .and_then(|by| by.split(';').next())
        .unwrap_or("");
    let port = super::Uri::parse(sent_by)
        .and_then(|uri| uri.port)
        .unwrap_or(5060);
    Flow {
        peer: std::net::SocketAddr::new(flow.peer.ip(), port),
        ..flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UDP: Flow = Flow {
        transport: Transport::Udp,
        peer: std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9),
    };

    fn request(method: &str, branch: &str) -> Message {
        let mut request = Message::request(method, "sip:b@x");
        request.push(
            "Via",
            format!("SIP/2.0/UDP h:1;rport;branch=z9hG4bK{branch}"),
        );
        request.push("From", "<sip:a@x>;tag=1");
        request.push("To", "<sip:b@x>");
        request.push("Call-ID", "c");
        request.push("CSeq", format!("1 {method}"));
        request
    }

    /// Lets time pass from deadline to deadline; gives the times at which something was sent.
    fn run(
        transactions: &mut Transactions,
        start: Instant,
        mut each: impl FnMut(&Output),
    ) -> Vec<f32> {
        let mut sent = Vec::new();
        while let Some(deadline) = transactions.deadline() {
            let mut out = Vec::new();
            transactions.timeout(deadline, &mut out);
            for output in &out {
                if matches!(output, Output::Transmit(..)) {
                    sent.push((deadline - start).as_secs_f32());
                }
                each(output);
            }
        }
        sent
    }

    #[test]
    fn thousands_that_are_over_absorb_repetitions_and_are_then_forgotten() {
        let (mut transactions, now) = (Transactions::default(), Instant::now());
        let mut out = Vec::new();
        for number in 0..5000 {
            transactions.receive(request("BYE", &number.to_string()), UDP, now, &mut out);
            let Some(Output::Request(key, bye)) = out.pop() else {
                panic!("request {number} is not new");
            };
            transactions.respond(&key, Message::response(&bye, 200, "t"), now, &mut out);
        }
        out.clear();
        transactions.receive(request("BYE", "17"), UDP, now, &mut out);
        assert!(matches!(out[..], [Output::Transmit(..)]));
        assert_eq!(run(&mut transactions, now, |_| ()), [0.0; 0]);
        assert!(transactions.servers.is_empty());
    }

    #[test]
    fn rfc3261_17_1_1_2_an_unanswered_invite_is_repeated_and_given_up() {
        let (mut transactions, now) = (Transactions::default(), Instant::now());
        let key = transactions.request(request("INVITE", "i"), UDP, now, &mut Vec::new());
        let mut timed_out = false;
        let sent = run(&mut transactions, now, |output| {
            timed_out |= matches!(output, Output::TimedOut(failed) if *failed == key);
        });
        assert_eq!(sent, [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]);
        assert!(timed_out);
    }

    #[test]
    fn rfc3261_17_1_2_2_other_requests_are_repeated_every_four_seconds_at_last() {
        let (mut transactions, now) = (Transactions::default(), Instant::now());
        transactions.request(request("BYE", "b"), UDP, now, &mut Vec::new());
        let sent = run(&mut transactions, now, |_| ());
        assert_eq!(
            sent,
            [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
        );
    }

    #[test]
    fn a_refusal_is_acknowledged_each_time_it_comes_and_told_once() {
        let (mut transactions, now) = (Transactions::default(), Instant::now());
        let invite = request("INVITE", "i");
        transactions.request(invite.clone(), UDP, now, &mut Vec::new());
        let mut out = Vec::new();
        for _ in 0..3 {
            transactions.receive(Message::response(&invite, 486, "t"), UDP, now, &mut out);
        }
        let acks = out.iter().filter(|output| match output {
            Output::Transmit(_, bytes) => bytes.starts_with(b"ACK "),
            _ => false,
        });
        assert_eq!(acks.count(), 3);
        let told = out
            .iter()
            .filter(|output| matches!(output, Output::Response(..)));
        assert_eq!(told.count(), 1);
    }

    #[test]
    fn a_repeated_request_gets_the_same_response_and_is_told_once() {
        let (mut transactions, now) = (Transactions::default(), Instant::now());
        let mut out = Vec::new();
        transactions.receive(request("BYE", "b"), UDP, now, &mut out);
        let Some(Output::Request(key, ..)) = out.pop() else {
            panic!("a request was expected")
        };
        let response = Message::response(&request("BYE", "b"), 200, "t");
        transactions.respond(&key, response, now, &mut out);
        transactions.receive(request("BYE", "b"), UDP, now, &mut out);
        let [Output::Transmit(_, first), Output::Transmit(_, second)] = &out[..] else {
            panic!("two equal responses were expected: {out:?}")
        };
        assert_eq!(first, second);
    }

    #[test]
    fn rfc6026_an_accepted_invite_is_repeated_until_acknowledged() {
        let (mut transactions, now) = (Transactions::default(), Instant::now());
        let mut out = Vec::new();
        transactions.receive(request("INVITE", "i"), UDP, now, &mut out);
        let Some(Output::Request(key, ..)) = out.pop() else {
            panic!("a request was expected")
        };
        let response = Message::response(&request("INVITE", "i"), 200, "t");
        transactions.respond(&key, response, now, &mut out);
        out.clear();
        transactions.timeout(now + T1, &mut out);
        assert!(matches!(&out[..], [Output::Transmit(..)]));
        let mut unacknowledged = false;
        run(&mut transactions, now, |o| {
            unacknowledged |= matches!(o, Output::Unacknowledged(_))
        });
        assert!(unacknowledged);
    }
}
