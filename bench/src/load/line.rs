//! One connection of the generator: connecting, TLS, the WebSocket's opening, then octets.
//!
//! Never waits: what cannot be done now is tried again when the poller has news of the socket.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd;

use link::Transport;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send,
    socket_with, sockopt,
};

use super::framing::{Framing, WebSocket, upgrade_answer, upgrade_request};
use super::poller::News;
use super::tls::{Client, Tls};

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Progress {
    /// The peer has not accepted it.
    Connecting,
    /// In the TLS handshake.
    Securing,
    /// The WebSocket's answer has not come.
    Upgrading,
    /// Octets of MSRP flow.
    Open,
    /// It was ended.
    Ended,
}

/// Where a connection goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// How it travels.
    pub transport: Transport,
    /// The peer.
    pub address: SocketAddr,
    /// The WebSocket's resource; nothing without one.
    pub resource: &'a str,
    /// The own address, if any but the usual one.
    pub source: Option<IpAddr>,
}

/// What reading brought.
#[derive(Debug)]
pub enum Received {
    /// So many octets, at least one.
    Octets(usize),
    /// Nothing now.
    Nothing,
    /// The end, and why.
    End(String),
}

/// One connection.
pub struct Line {
    socket: TcpStream,
    progress: Progress,
    tls: Option<Box<Tls>>,
    /// How MSRP travels on it.
    pub framing: Framing,
    /// What is to be written, in clear.
    pub outbox: Vec<u8>,
    written: usize,
    address: SocketAddr,
    /// The WebSocket's resource and what has come of the answer; `None` without WebSocket.
    upgrade: Option<Box<(String, Vec<u8>)>>,
    is_readable: bool,
    is_writable: bool,
    is_ending: bool,
}

impl Line {
    /// Begins to connect; TLS is `client`'s. The error says what went wrong.
    pub fn connect(target: &Target<'_>, client: Option<&Client>) -> Result<Line, String> {
        let address = target.address;
        let failed = |error: io::Error| cannot_connect(address, &error);
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, None);
        let socket = socket.map_err(|error| failed(error.into()))?;
        if let Some(source) = target.source {
            bind(&socket, &SocketAddr::new(source, 0)).map_err(|error| failed(error.into()))?;
        }
        match connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let is_secure = matches!(target.transport, Transport::Wss | Transport::Tls);
        let tls = match (is_secure, client) {
            (false, _) => None,
            (true, Some(client)) => Some(Box::new(client.connect(address.ip())?)),
            (true, None) => return Err("TLS was not set up".to_owned()),
        };
        let is_websocket = matches!(target.transport, Transport::Ws | Transport::Wss);
        let upgrade = is_websocket.then(|| Box::new((target.resource.to_owned(), Vec::new())));
        let line = Line::new(TcpStream::from(socket), address, tls, upgrade);
        line.prepare().map_err(failed)?;
        Ok(line)
    }

    /// A connection that somebody else has made: MSRP flows on it, in clear.
    pub fn ready(socket: TcpStream) -> io::Result<Line> {
        let address = socket.peer_addr()?;
        socket.set_nonblocking(true)?;
        let mut line = Line::new(socket, address, None, None);
        line.progress = Progress::Open;
        line.prepare()?;
        Ok(line)
    }

    fn new(
        socket: TcpStream,
        address: SocketAddr,
        tls: Option<Box<Tls>>,
        upgrade: Option<Box<(String, Vec<u8>)>>,
    ) -> Line {
        Line {
            socket,
            progress: Progress::Connecting,
            tls,
            framing: Framing::Tcp,
            outbox: Vec::new(),
            written: 0,
            address,
            upgrade,
            is_readable: false,
            is_writable: false,
            is_ending: false,
        }
    }

    fn prepare(&self) -> io::Result<()> {
        Ok(sockopt::set_tcp_nodelay(&self.socket, true)?)
    }

    /// The address it comes from.
    pub fn own_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// For the poller.
    pub fn socket(&self) -> impl AsFd + '_ {
        &self.socket
    }

    /// How far it has come.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Whether its TLS handshake was an abbreviated one.
    pub fn is_resumed(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_resumed())
    }

    /// Whether it has a ticket for the next.
    pub fn has_tickets(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_tickets())
    }

    /// Takes what the poller says.
    pub fn news(&mut self, news: News) {
        self.is_readable |= news.is_readable;
        self.is_writable |= news.is_writable;
        self.is_ending |= news.is_ending;
    }

    /// Whether reading may bring something.
    pub fn is_readable(&self) -> bool {
        self.is_readable && self.progress == Progress::Open
    }

    /// Closes it, at once.
    pub fn end(&mut self) {
        self.progress = Progress::Ended;
        // The peer may have closed it already.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    /// Goes on with what comes before MSRP, as far as it can now. The error says what went wrong.
    pub fn advance(&mut self) -> Result<Progress, String> {
        if self.progress == Progress::Connecting && self.is_writable {
            let checked = sockopt::socket_error(&self.socket).map_err(io::Error::from);
            let checked = checked.and_then(|outcome| outcome.map_err(io::Error::from));
            checked.map_err(|error| cannot_connect(self.address, &error))?;
            self.progress = Progress::Securing;
        }
        if self.progress == Progress::Securing {
            let secured = self.handshake();
            if secured.map_err(|error| format!("no TLS with {}: {error}", self.address))? {
                self.progress = match &self.upgrade {
                    None => Progress::Open,
                    Some(upgrade) => {
                        let request = upgrade_request(&self.address.to_string(), &upgrade.0);
                        self.outbox.extend_from_slice(request.as_bytes());
                        Progress::Upgrading
                    }
                };
            }
        }
        if self.progress == Progress::Upgrading {
            let opened = self.open();
            opened.map_err(|why| format!("no WebSocket at {}: {why}", self.address))?;
        }
        Ok(self.progress)
    }

    /// Whether the handshake is over, if there is one.
    fn handshake(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.is_handshaking() {
            for_now(tls.flush(&self.socket), &mut self.is_writable)?;
            if !self.is_readable {
                return Ok(false);
            }
            match for_now(tls.receive(&self.socket), &mut self.is_readable)? {
                Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Some(_) => {}
                None => return Ok(false),
            }
        }
        // Our last word is still to be written: without it the peer's handshake is not over.
        for_now(tls.flush(&self.socket), &mut self.is_writable)?;
        Ok(true)
    }

    fn open(&mut self) -> Result<(), String> {
        self.flush().map_err(|error| error.to_string())?;
        loop {
            let mut part = [0; 2048];
            let octets = match self.receive_into(&mut part) {
                Received::Octets(octets) => octets,
                Received::Nothing => return Ok(()),
                Received::End(why) => return Err(why),
            };
            let Some(upgrade) = &mut self.upgrade else {
                return Ok(());
            };
            upgrade.1.extend_from_slice(&part[..octets]);
            if let Some(head) = upgrade_answer(&upgrade.1)? {
                self.framing = Framing::Ws(Box::new(WebSocket::new(&upgrade.1[head..])));
                self.upgrade = None;
                self.progress = Progress::Open;
                return Ok(());
            }
        }
    }

    /// Reads once into `space`, which is not empty.
    pub fn receive_into(&mut self, space: &mut [u8]) -> Received {
        let outcome = match &mut self.tls {
            None => receive(&self.socket, space, &mut self.is_readable, self.is_ending),
            Some(tls) => open_records(tls, &self.socket, space, &mut self.is_readable),
        };
        match outcome {
            Ok(Some(0)) => Received::End("end of stream".to_owned()),
            Ok(Some(octets)) => Received::Octets(octets),
            Ok(None) => Received::Nothing,
            Err(error) => Received::End(error.to_string()),
        }
    }

    /// Reads once into the WebSocket's own memory.
    pub fn receive_framed(&mut self) -> Received {
        let mut framing = std::mem::replace(&mut self.framing, Framing::Tcp);
        let received = match &mut framing {
            Framing::Tcp => Received::Nothing,
            Framing::Ws(ws) => {
                let received = self.receive_into(ws.space());
                if let Received::Octets(octets) = received {
                    ws.received(octets);
                }
                received
            }
        };
        self.framing = framing;
        received
    }

    /// Has one chunk written.
    pub fn say(&mut self, chunk: &[u8]) {
        let outbox = &mut self.outbox;
        let length = chunk.len();
        self.framing
            .chunk(outbox, length, |out| out.extend_from_slice(chunk));
    }

    /// Whether something waits to be written.
    pub fn has_outgoing(&self) -> bool {
        let in_tls = self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        (self.written < self.outbox.len() || in_tls) && self.progress != Progress::Ended
    }

    /// Octets that wait to be written.
    pub fn waiting(&self) -> usize {
        self.outbox.len() - self.written
    }

    /// Writes what the kernel takes; whether that was all.
    pub fn flush(&mut self) -> io::Result<bool> {
        match &mut self.tls {
            Some(tls) => {
                tls.push(&self.outbox[self.written..])?;
                self.written = self.outbox.len();
                if self.is_writable {
                    for_now(tls.flush(&self.socket), &mut self.is_writable)?;
                }
            }
            None => {
                while self.is_writable && self.written < self.outbox.len() {
                    let rest = &self.outbox[self.written..];
                    let sent = send(&self.socket, rest, SendFlags::NOSIGNAL);
                    let sent = sent.map_err(io::Error::from);
                    let sent = for_now(sent, &mut self.is_writable)?;
                    self.written += sent.unwrap_or(0);
                }
            }
        }
        if self.written == self.outbox.len() {
            self.outbox.clear();
            self.written = 0;
        }
        Ok(!self.has_outgoing())
    }
}

/// Reads what has arrived. A read that does not fill the space has emptied the socket: the poller
/// tells when there is more, unless it has told already that the end is near.
fn receive(
    socket: &TcpStream,
    space: &mut [u8],
    is_readable: &mut bool,
    is_ending: bool,
) -> io::Result<Option<usize>> {
    if !*is_readable {
        return Ok(None);
    }
    let wanted = space.len();
    let received = recv(socket, space, RecvFlags::empty());
    let received = received.map(|(octets, _)| octets).map_err(io::Error::from);
    let received = for_now(received, is_readable)?;
    if received.is_some_and(|octets| octets < wanted) && !is_ending {
        *is_readable = false;
    }
    Ok(received)
}

/// Gives what was in TLS records, and reads more of them as long as there is nothing.
fn open_records(
    tls: &mut Tls,
    socket: &TcpStream,
    space: &mut [u8],
    is_readable: &mut bool,
) -> io::Result<Option<usize>> {
    loop {
        match tls.read(space) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => return other.map(Some),
        }
        if !*is_readable || for_now(tls.receive(socket), is_readable)?.is_none() {
            return Ok(None);
        }
    }
}

/// `None` when the socket can't do it now, which `flag` is told.
fn for_now<T>(outcome: io::Result<T>, flag: &mut bool) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            *flag = false;
            Ok(None)
        }
        Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}

fn cannot_connect(address: SocketAddr, error: &io::Error) -> String {
    format!("can't connect to {address}: {error} (the relay must be reachable from here)")
}
