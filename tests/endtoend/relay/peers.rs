//! A browser's side and a handset's side, blocking, over loopback.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConnection, StreamOwned};
use sha2::Digest as _;
use tests::endpoint::Chunk;
use tests::process::{MadeLeg, PATIENCE};
use tests::tls;
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Message, WebSocket};

pub const A_PATH: &str = "msrp://k2x9.invalid:2855/br0ws3r;ws";
pub const B_PATH: &str = "msrp://127.0.0.1:9/h4ndset0123456789;tcp";

/// What is compared of a large message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(String);

impl Digest {
    pub fn of_large(bytes: usize) -> Digest {
        let mut hash = sha2::Sha256::new();
        let mut at = 0;
        while at < bytes {
            let piece = large_octets(at, (bytes - at).min(1 << 20));
            at += piece.len();
            hash.update(&piece);
        }
        Digest(format!("{:x?}", hash.finalize()))
    }
}

/// Octets of the large message from `at` on: no period that buffers could hide.
fn large_octets(at: usize, bytes: usize) -> Vec<u8> {
    let octet = |place: usize| (place.wrapping_mul(2_654_435_761) >> 13) as u8 ^ place as u8;
    (at..at + bytes).map(octet).collect()
}

fn chunk(id: &str, from: &str, to: &str, headers: &str, body: &[u8], flag: char) -> Chunk {
    let headers =
        format!("Message-ID: m{id}\r\n{headers}Content-Type: application/octet-stream\r\n");
    Chunk {
        transaction: id.into(),
        subject: "SEND".into(),
        to: to.into(),
        from: from.into(),
        headers,
        body: Some(body.to_vec()),
        flag,
    }
}

/// A connection to the relay, in the clear or by TLS.
pub enum Stream {
    Clear(TcpStream),
    Client(Box<StreamOwned<ClientConnection, TcpStream>>),
    Server(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Stream::Clear(socket) => socket,
            Stream::Client(stream) => &stream.sock,
            Stream::Server(stream) => &stream.sock,
        }
    }

    /// The peer connects by TLS.
    pub fn client(socket: TcpStream, config: &Arc<ClientConfig>) -> Stream {
        let name = ServerName::try_from("127.0.0.1").expect("an address");
        let connection = ClientConnection::new(config.clone(), name).expect("a client");
        Stream::Client(Box::new(StreamOwned::new(connection, socket)))
    }

    /// The relay has connected by TLS.
    pub fn server(socket: TcpStream) -> Stream {
        let config = tls::server_config(&rustls::version::TLS13, tls::pem());
        let connection = ServerConnection::new(config).expect("a server");
        Stream::Server(Box::new(StreamOwned::new(connection, socket)))
    }
}

impl Read for Stream {
    fn read(&mut self, octets: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Clear(socket) => socket.read(octets),
            Stream::Client(stream) => stream.read(octets),
            Stream::Server(stream) => stream.read(octets),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Clear(socket) => socket.write(octets),
            Stream::Client(stream) => stream.write(octets),
            Stream::Server(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Stream::Clear(socket) => socket.flush(),
            Stream::Client(stream) => stream.flush(),
            Stream::Server(stream) => stream.flush(),
        }
    }
}

/// A connection as the leg wants it: by TLS if its URI says so, of either version.
fn connect_as(leg: &MadeLeg) -> Option<Stream> {
    let socket = connect(leg.address())?;
    if !leg.is_secure() {
        return Some(Stream::Clear(socket));
    }
    let version = tls::version_of(leg.path.len() as u64 + u64::from(leg.port()));
    Some(Stream::client(socket, &tls::client_config(version, None)))
}

/// A peer's own path, with the scheme that its leg has.
fn own_path(leg: &MadeLeg, path: &str) -> String {
    if leg.is_secure() {
        path.replacen("msrp:", "msrps:", 1)
    } else {
        path.to_owned()
    }
}

fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_nodelay(true).expect("an option");
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream.set_write_timeout(Some(PATIENCE)).expect("an option");
    Some(stream)
}

/// The large message as chunks: head, where its body lies, and flag, one after the other.
fn large_chunks(
    bytes: usize,
    chunk_bytes: usize,
) -> impl Iterator<Item = (String, usize, usize, char)> {
    (0..bytes.div_ceil(chunk_bytes)).map(move |number| {
        let at = number * chunk_bytes;
        let length = chunk_bytes.min(bytes - at);
        let flag = if at + length == bytes { '$' } else { '+' };
        (format!("large{number}"), at, length, flag)
    })
}

fn large_headers(at: usize, bytes: usize) -> String {
    format!("Byte-Range: {}-*/{bytes}\r\nFailure-Report: no\r\n", at + 1)
}

/// The browser's side: MSRP over WebSocket.
pub struct Page {
    socket: WebSocket<Stream>,
    own: String,
    relay: String,
}

impl Page {
    pub fn open(leg: &MadeLeg) -> Page {
        Page::try_open(leg).expect("the resource opens")
    }

    pub fn try_open(leg: &MadeLeg) -> Option<Page> {
        let stream = connect_as(leg)?;
        let url = format!("ws://127.0.0.1:{}{}", leg.port(), leg.resource);
        let mut request = url.into_client_request().expect("a URL");
        let protocol = "msrp".parse().expect("a header value");
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", protocol);
        let config = WebSocketConfig::default()
            .max_message_size(None)
            .max_frame_size(None);
        let opened = tungstenite::client::client_with_config(request, stream, Some(config));
        let (socket, response) = opened.ok()?;
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "msrp");
        Some(Page {
            socket,
            own: own_path(leg, A_PATH),
            relay: leg.path.clone(),
        })
    }

    pub fn send(&mut self, id: &str, body: &[u8], headers: &str) {
        let chunk = chunk(id, &self.own, &self.relay, headers, body, '$');
        self.socket
            .send(Message::Binary(chunk.write().into()))
            .expect("the relay reads");
    }

    pub fn hear(&mut self) -> Chunk {
        loop {
            match self.socket.read().expect("the relay writes") {
                Message::Binary(octets) => {
                    let mut stream = octets.to_vec();
                    let chunk = Chunk::take(&mut stream).expect("a message holds a chunk");
                    assert!(stream.is_empty(), "and one only");
                    assert_eq!((&chunk.to, &chunk.from), (&self.own, &self.relay));
                    return chunk;
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("a relay does not send {other:?}"),
            }
        }
    }

    pub fn expect_end(&mut self) {
        loop {
            match self.socket.read() {
                Ok(Message::Close(_)) => {}
                Ok(other) => panic!("the end is expected, not {other:?}"),
                Err(tungstenite::Error::ConnectionClosed) => return,
                Err(error) => panic!("an end in order is expected: {error}"),
            }
        }
    }

    pub fn hear_large(&mut self, bytes: usize) -> Digest {
        let mut hash = sha2::Sha256::new();
        let mut heard = 0;
        while heard < bytes {
            let Message::Binary(octets) = self.socket.read().expect("the relay writes") else {
                panic!("a binary message is expected");
            };
            let (body, _) = large_body(&octets);
            hash.update(&octets[body.clone()]);
            heard += body.len();
        }
        Digest(format!("{:x?}", hash.finalize()))
    }

    pub fn send_large_apart(mut self, bytes: usize, chunk_bytes: usize) -> JoinHandle<Page> {
        std::thread::spawn(move || {
            for (id, at, length, flag) in large_chunks(bytes, chunk_bytes) {
                let headers = large_headers(at, bytes);
                let body = large_octets(at, length);
                let chunk = chunk(&id, &self.own, &self.relay, &headers, &body, flag);
                self.socket
                    .send(Message::Binary(chunk.write().into()))
                    .expect("it is read");
            }
            self
        })
    }
}

/// Where a chunk's body lies in a whole message, and where its octets end.
fn large_body(octets: &[u8]) -> (std::ops::Range<usize>, usize) {
    let blank = octets
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a blank line")
        + 4;
    let line = octets
        .iter()
        .position(|octet| *octet == b'\r')
        .expect("a start line");
    let id = octets[..line]
        .split(|octet| *octet == b' ')
        .nth(1)
        .expect("a transaction id");
    let tail = b"\r\n-------".len() + id.len() + b"$\r\n".len();
    (blank..octets.len() - tail, octets.len())
}

/// The handset's side: MSRP over TCP. It connects and greets, as the active side does.
pub struct Handset {
    stream: Stream,
    own: String,
    relay: String,
    heard: Vec<u8>,
}

impl Handset {
    pub fn open(leg: &MadeLeg) -> Handset {
        let mut handset = Handset::connect(leg);
        handset.greet();
        assert_eq!(handset.hear().subject, "200 OK");
        handset
    }

    pub fn connect(leg: &MadeLeg) -> Handset {
        let stream = connect_as(leg).expect("the relay listens");
        Handset {
            stream,
            own: own_path(leg, B_PATH),
            relay: leg.path.clone(),
            heard: Vec::new(),
        }
    }

    /// What it says next is of this leg's session.
    pub fn speaks_for(&mut self, leg: &MadeLeg) {
        self.own = own_path(leg, B_PATH);
        self.relay.clone_from(&leg.path);
    }

    /// The relay has connected to it.
    pub fn accepted(stream: Stream, leg: &MadeLeg) -> Handset {
        let socket = stream.socket();
        socket.set_read_timeout(Some(PATIENCE)).expect("an option");
        Handset {
            stream,
            own: own_path(leg, B_PATH),
            relay: leg.path.clone(),
            heard: Vec::new(),
        }
    }

    pub fn greet(&mut self) {
        let greeting = Chunk {
            body: None,
            headers: "Message-ID: hello\r\n".into(),
            ..chunk("greeting", &self.own, &self.relay, "", b"", '$')
        };
        self.say(&greeting);
    }

    pub fn say(&mut self, chunk: &Chunk) {
        self.stream
            .write_all(&chunk.write())
            .expect("the relay reads");
    }

    pub fn send(&mut self, id: &str, body: &[u8], headers: &str) {
        self.say(&chunk(id, &self.own, &self.relay, headers, body, '$'));
    }

    pub fn send_by_octets(&mut self, id: &str, body: &[u8], headers: &str) {
        for octet in chunk(id, &self.own, &self.relay, headers, body, '$').write() {
            self.stream.write_all(&[octet]).expect("the relay reads");
        }
    }

    /// Sends one chunk that has no end, apart, for as long as the relay takes it.
    pub fn sends_without_end(&mut self, id: &str) -> JoinHandle<()> {
        let whole = chunk(id, &self.own, &self.relay, "", b"", '$').write();
        let end = format!("\r\n-------{id}$\r\n");
        let begun = whole.strip_suffix(end.as_bytes());
        let begun = begun.expect("it has an end").to_owned();
        let mut socket = self.stream.socket().try_clone().expect("a descriptor");
        std::thread::spawn(move || {
            let piece = large_octets(0, 1 << 16);
            let mut wrote = socket.write_all(&begun);
            while wrote.is_ok() {
                wrote = socket.write_all(&piece);
            }
        })
    }

    pub fn hear(&mut self) -> Chunk {
        loop {
            if let Some(chunk) = Chunk::take(&mut self.heard) {
                return chunk;
            }
            assert!(self.more() > 0, "a message is expected, not the end");
        }
    }

    fn more(&mut self) -> usize {
        let mut octets = [0; 1 << 16];
        let bytes = self.stream.read(&mut octets).expect("the relay writes");
        self.heard.extend(&octets[..bytes]);
        bytes
    }

    pub fn expect_end(&mut self) {
        assert_eq!(self.more(), 0, "the end is expected");
    }

    pub fn hear_large(&mut self, bytes: usize) -> Digest {
        let mut hash = sha2::Sha256::new();
        let mut heard = 0;
        let mut number = 0;
        while heard < bytes {
            let id = format!("large{number}");
            let head = loop {
                let blank = self.heard.windows(4).position(|four| four == b"\r\n\r\n");
                match blank {
                    Some(blank) => break blank + 4,
                    None => assert!(self.more() > 0),
                }
            };
            self.heard.drain(..head);
            number += 1;
            // The body is hashed as it comes: its end cannot be mistaken, for the octets of the
            // large message hold no end-line.
            let end = format!("\r\n-------{id}");
            loop {
                let found = self
                    .heard
                    .windows(end.len())
                    .position(|here| here == end.as_bytes());
                let sure = found.unwrap_or(self.heard.len().saturating_sub(end.len()));
                hash.update(&self.heard[..sure]);
                heard += sure;
                self.heard.drain(..sure);
                if found.is_some() {
                    break;
                }
                assert!(self.more() > 0, "the rest of {id} is expected");
            }
            while self.heard.len() < end.len() + 3 {
                assert!(self.more() > 0, "the end of {id} is expected");
            }
            self.heard.drain(..end.len() + 3);
        }
        Digest(format!("{:x?}", hash.finalize()))
    }

    pub fn send_large_apart(mut self, bytes: usize, chunk_bytes: usize) -> JoinHandle<Handset> {
        std::thread::spawn(move || {
            for (id, at, length, flag) in large_chunks(bytes, chunk_bytes) {
                let headers = large_headers(at, bytes);
                let whole = chunk(&id, &self.own, &self.relay, &headers, b"", flag).write();
                // The chunk is written around its body, which is made piece by piece.
                let blank = whole
                    .windows(4)
                    .position(|four| four == b"\r\n\r\n")
                    .expect("blank");
                let (head, tail) = whole.split_at(blank + 4);
                self.stream.write_all(head).expect("the relay reads");
                let mut done = 0;
                while done < length {
                    let piece = large_octets(at + done, (length - done).min(1 << 18));
                    done += piece.len();
                    self.stream.write_all(&piece).expect("the relay reads");
                }
                self.stream.write_all(tail).expect("the relay reads");
            }
            self
        })
    }
}

impl Drop for Handset {
    fn drop(&mut self) {
        let _ = self.stream.socket().shutdown(Shutdown::Both);
    }
}
