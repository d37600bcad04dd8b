//! A relay for one session that can be told to be a bad one. Nothing in it waits: it is turned by
//! the test, in the same thread as the generator.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection};

use super::{OWN, RELAY};

/// What the relay does to the fifth of something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    None,
    Drop,
    Double,
    /// Changes an octet of the body.
    Corrupt,
    /// Sends it after the sixth.
    Delay,
    /// Closes the connection on which it came.
    HangUp,
}

/// What it does it to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum To {
    Messages,
    Responses,
    Reports,
}

struct Peer {
    socket: TcpStream,
    tls: Option<ServerConnection>,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    leg: Option<usize>,
}

/// The relay.
pub struct Relay {
    listener: TcpListener,
    config: Option<Arc<ServerConfig>>,
    peers: Vec<Peer>,
    pub harm: (Harm, To),
    /// It passes nothing on, and takes everything.
    pub is_paused: bool,
    /// How many of what it harms have come.
    count: u32,
    kept: Vec<u8>,
    /// Chunks that have come, each with the leg it goes to.
    waiting: Vec<(usize, Vec<u8>)>,
    /// Messages that have come.
    pub taken: u64,
}

impl Relay {
    pub fn new(has_tls: bool) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Relay {
            listener,
            config: has_tls.then(config),
            peers: Vec::new(),
            harm: (Harm::None, To::Messages),
            is_paused: false,
            count: 0,
            kept: Vec::new(),
            waiting: Vec::new(),
            taken: 0,
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap()
    }

    /// Closes all connections.
    pub fn close(&mut self) {
        self.peers.clear();
    }

    /// Does what there is to do.
    pub fn turn(&mut self) {
        while let Ok((socket, _)) = self.listener.accept() {
            socket.set_nonblocking(true).unwrap();
            let tls = self.config.clone().map(|config| {
                let mut tls = ServerConnection::new(config).unwrap();
                tls.set_buffer_limit(None);
                tls
            });
            self.peers.push(Peer {
                socket,
                tls,
                inbox: Vec::new(),
                outbox: Vec::new(),
                leg: None,
            });
        }
        for peer in 0..self.peers.len() {
            self.peers[peer].read();
            while let Some(chunk) = self.peers[peer].chunk() {
                self.take(peer, chunk);
            }
        }
        if !self.is_paused {
            for (leg, chunk) in std::mem::take(&mut self.waiting) {
                self.pass_on(leg, chunk);
            }
        }
        self.peers.iter_mut().for_each(Peer::write);
    }

    /// Answers what has no body, passes on the rest.
    fn take(&mut self, peer: usize, chunk: Vec<u8>) {
        let text = String::from_utf8_lossy(&chunk);
        if text.contains("\r\nMessage-ID: greeting") {
            let leg = usize::from(text.contains(RELAY[1]));
            let tid = text.split(' ').nth(1).unwrap();
            let (to, from) = (OWN[leg], RELAY[leg]);
            let answer = format!(
                "MSRP {tid} 200 OK\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n-------{tid}$\r\n"
            );
            self.peers[peer].outbox.extend_from_slice(answer.as_bytes());
            self.peers[peer].leg = Some(leg);
            return;
        }
        let leg = self.peers[peer].leg.expect("it has said who it is");
        let chunk = replace(&chunk, RELAY[leg], OWN[1 - leg]);
        let chunk = replace(&chunk, OWN[leg], RELAY[1 - leg]);
        self.taken += u64::from(kind(&chunk) == To::Messages);
        self.waiting.push((1 - leg, chunk));
    }

    fn pass_on(&mut self, to: usize, mut chunk: Vec<u8>) {
        let Some(at) = self.peers.iter().position(|peer| peer.leg == Some(to)) else {
            return;
        };
        self.count += u32::from(kind(&chunk) == self.harm.1);
        let out = &mut self.peers[at].outbox;
        match self.harm {
            (harm, what) if what == kind(&chunk) && self.count == 5 => match harm {
                Harm::None => {}
                Harm::Drop => return,
                Harm::Double => out.extend_from_slice(&chunk),
                Harm::Corrupt => {
                    let at = chunk.len() - 100;
                    chunk[at] ^= 0x20;
                }
                Harm::Delay => {
                    self.kept = chunk;
                    return;
                }
                Harm::HangUp => {
                    self.peers.retain(|peer| peer.leg == Some(to));
                    return;
                }
            },
            (Harm::Delay, what) if what == kind(&chunk) && self.count == 6 => {
                chunk.append(&mut self.kept);
            }
            _ => {}
        }
        out.extend_from_slice(&chunk);
    }
}

impl Peer {
    fn read(&mut self) {
        let mut part = [0; 16 * 1024];
        loop {
            let read = match &mut self.tls {
                None => self.socket.read(&mut part),
                Some(tls) => {
                    match tls.read_tls(&mut self.socket) {
                        Ok(0) => return,
                        Ok(_) => drop(tls.process_new_packets().unwrap()),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(_) => return,
                    }
                    tls.reader().read(&mut part)
                }
            };
            match read {
                Ok(octets @ 1..) => self.inbox.extend_from_slice(&part[..octets]),
                _ => return,
            }
        }
    }

    fn write(&mut self) {
        match &mut self.tls {
            None => {
                if let Ok(octets) = self.socket.write(&self.outbox) {
                    self.outbox.drain(..octets);
                }
            }
            Some(tls) => {
                tls.writer().write_all(&self.outbox).unwrap();
                self.outbox.clear();
                while tls.wants_write() && tls.write_tls(&mut self.socket).is_ok() {}
            }
        }
    }

    /// One chunk up to its end-line, if it is there. Bodies of the generator hold no end-line.
    fn chunk(&mut self) -> Option<Vec<u8>> {
        let tid = self.inbox.get(5..)?.split(|&octet| octet == b' ').next()?;
        let end = [b"\r\n-------", tid].concat();
        let found = memchr::memmem::find(&self.inbox, &end)? + end.len() + 3;
        (found <= self.inbox.len()).then(|| self.inbox.drain(..found).collect())
    }
}

fn kind(chunk: &[u8]) -> To {
    let line = chunk.split(|&octet| octet == b'\r').next().unwrap();
    match String::from_utf8_lossy(line).split(' ').nth(2).unwrap() {
        "SEND" => To::Messages,
        "REPORT" => To::Reports,
        _ => To::Responses,
    }
}

fn replace(chunk: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = memchr::memmem::find(chunk, from.as_bytes()).unwrap();
    [&chunk[..at], to.as_bytes(), &chunk[at + from.len()..]].concat()
}

/// With a certificate of its own.
fn config() -> Arc<ServerConfig> {
    let signed = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_no_client_auth();
    let config = builder.with_single_cert(vec![signed.cert.der().clone()], key);
    Arc::new(config.unwrap())
}
