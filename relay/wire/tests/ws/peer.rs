//! tungstenite as the browser: it opens, sends, receives and closes; our side is the server in its
//! stream.

use std::io::{self, Read, Write};

use tungstenite::protocol::frame::Frame as TheirFrame;
use tungstenite::protocol::frame::coding::{CloseCode as TheirCode, Data, OpCode};
use tungstenite::{Error, Message, WebSocket};
use wire::ws::upgrade::{self, Request};
use wire::ws::{CloseCode, Frame, FrameReader, Opcode, frame};

/// A server that echoes each message in fragments, as the other end of a stream.
struct EchoServer {
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    /// `None` until the upgrade.
    reader: Option<FrameReader>,
    path: Vec<u8>,
    message: Vec<u8>,
    fragment_bytes: usize,
    pongs: Vec<Vec<u8>>,
    closed_with: Option<Option<u16>>,
}

impl EchoServer {
    fn new(fragment_bytes: usize) -> EchoServer {
        EchoServer {
            inbox: Vec::new(),
            outbox: Vec::new(),
            reader: None,
            path: Vec::new(),
            message: Vec::new(),
            fragment_bytes,
            pongs: Vec::new(),
            closed_with: None,
        }
    }

    fn put(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
        let mut out = [0; 512];
        let bytes = write(&mut out).unwrap();
        self.outbox.extend_from_slice(&out[..bytes]);
    }

    fn upgrade(&mut self) {
        let mut inbox = std::mem::take(&mut self.inbox);
        match Request::parse(&inbox) {
            Ok(None) => self.inbox = inbox,
            Ok(Some((request, bytes))) => {
                self.path = request.path.to_vec();
                self.put(|out| upgrade::accept(out, request.key, b"msrp"));
                self.reader = Some(FrameReader::new(1_000_000));
                self.inbox = inbox.split_off(bytes);
            }
            Err(refusal) => self.put(|out| upgrade::refuse(out, refusal.status())),
        }
    }

    fn serve(&mut self) {
        let Some(mut reader) = self.reader.take() else {
            return self.upgrade();
        };
        let mut input = std::mem::take(&mut self.inbox);
        let mut at = 0;
        loop {
            at = match reader.read(&mut input, at) {
                Ok(Frame::More) => break,
                Ok(Frame::Payload { span, first, last }) => {
                    assert_eq!(first, self.message.is_empty());
                    self.message.extend_from_slice(&input[span.clone()]);
                    if last {
                        self.echo();
                    }
                    span.end
                }
                Ok(Frame::Ping { payload, next }) => {
                    self.put(|out| frame::pong(out, payload.as_slice()));
                    next
                }
                Ok(Frame::Pong { payload, next }) => {
                    self.pongs.push(payload.as_slice().to_vec());
                    next
                }
                Ok(Frame::Close { code, .. }) => {
                    self.closed_with = Some(code);
                    self.put(|out| frame::close_echo(out, code));
                    break;
                }
                Err(code) => {
                    self.put(|out| frame::close(out, code, "no"));
                    break;
                }
            };
        }
        self.reader = Some(reader);
    }

    fn echo(&mut self) {
        let message = std::mem::take(&mut self.message);
        let mut rest = &message[..];
        let mut opcode = Opcode::Binary;
        loop {
            let (fragment, others) = rest.split_at(rest.len().min(self.fragment_bytes));
            rest = others;
            let mut header = [0; 10];
            let bytes =
                frame::write_header(&mut header, opcode, rest.is_empty(), fragment.len() as u64);
            self.outbox.extend_from_slice(&header[..bytes]);
            self.outbox.extend_from_slice(fragment);
            opcode = Opcode::Continuation;
            if rest.is_empty() {
                return;
            }
        }
    }
}

impl Write for EchoServer {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.inbox.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for EchoServer {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.outbox.is_empty() {
            self.serve();
        }
        let bytes = self.outbox.len().min(out.len());
        out[..bytes].copy_from_slice(&self.outbox[..bytes]);
        self.outbox.drain(..bytes);
        // After its close frame a server closes the stream.
        if bytes == 0 && self.closed_with.is_none() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(bytes)
    }
}

fn connect(fragment_bytes: usize) -> WebSocket<EchoServer> {
    let uri = "ws://media.example.com:40001/m/8fJ2kQ0sYw7Vn4Xb1Rt6ZcLp3DhGu5Ea"
        .parse()
        .unwrap();
    let request = tungstenite::ClientRequestBuilder::new(uri).with_sub_protocol("msrp");
    let (socket, response) = tungstenite::client(request, EchoServer::new(fragment_bytes)).unwrap();
    assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "msrp");
    assert_eq!(
        socket.get_ref().path,
        b"/m/8fJ2kQ0sYw7Vn4Xb1Rt6ZcLp3DhGu5Ea"
    );
    socket
}

#[test]
fn messages_of_all_lengths_come_back_whole() {
    for fragment_bytes in [7, 125, 126, 70_000, usize::MAX] {
        let mut socket = connect(fragment_bytes);
        for length in [0, 1, 7, 8, 125, 126, 127, 4096, 65_535, 65_536, 200_000] {
            let octets: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            socket.send(Message::binary(octets.clone())).unwrap();
            assert_eq!(socket.read().unwrap(), Message::binary(octets));
        }
    }
}

#[test]
fn text_is_taken_as_octets_and_comes_back_as_binary() {
    let mut socket = connect(3);
    socket.send(Message::text("a€😀z")).unwrap();
    assert_eq!(
        socket.read().unwrap(),
        Message::binary("a€😀z".as_bytes().to_vec())
    );
}

#[test]
fn fragments_with_a_ping_between_are_one_message() {
    let mut socket = connect(100);
    let fragment = |octets: &'static [u8], opcode, fin| {
        Message::Frame(TheirFrame::message(octets, OpCode::Data(opcode), fin))
    };
    socket.send(fragment(b"MSRP ", Data::Text, false)).unwrap();
    socket.send(Message::Ping("still there?".into())).unwrap();
    socket
        .send(fragment(b"abcd ", Data::Continue, false))
        .unwrap();
    socket
        .send(fragment(b"SEND", Data::Continue, true))
        .unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong("still there?".into()));
    assert_eq!(
        socket.read().unwrap(),
        Message::binary(b"MSRP abcd SEND".to_vec())
    );
}

#[test]
fn our_pings_are_answered() {
    let mut socket = connect(100);
    socket.get_mut().put(|out| frame::ping(out, b"17"));
    assert_eq!(socket.read().unwrap(), Message::Ping("17".into()));
    socket.flush().unwrap();
    socket.get_mut().serve();
    assert_eq!(socket.get_ref().pongs, [b"17"]);
}

#[test]
fn a_close_of_theirs_is_echoed() {
    let mut socket = connect(100);
    let close = tungstenite::protocol::CloseFrame {
        code: TheirCode::Away,
        reason: "bye".into(),
    };
    socket.close(Some(close)).unwrap();
    assert!(
        matches!(socket.read(), Ok(Message::Close(Some(frame))) if frame.code == TheirCode::Away)
    );
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
    assert_eq!(socket.get_ref().closed_with, Some(Some(1001)));
}

#[test]
fn a_close_of_ours_is_understood() {
    let mut socket = connect(100);
    socket
        .get_mut()
        .put(|out| frame::close(out, CloseCode::Policy, "idle"));
    let Ok(Message::Close(Some(frame))) = socket.read() else {
        panic!()
    };
    assert_eq!(
        (u16::from(frame.code), frame.reason.as_str()),
        (1008, "idle")
    );
}

#[test]
fn a_message_over_the_limit_is_refused_with_1009() {
    let mut socket = connect(100);
    socket.send(Message::binary(vec![0; 1_000_001])).unwrap();
    let Ok(Message::Close(Some(frame))) = socket.read() else {
        panic!()
    };
    assert_eq!(u16::from(frame.code), 1009);
}

#[test]
fn without_the_subprotocol_there_is_no_101() {
    let refused = tungstenite::client("ws://media.example.com:40001/", EchoServer::new(100));
    let Err(tungstenite::HandshakeError::Failure(Error::Http(response))) = refused else {
        panic!()
    };
    assert_eq!(response.status(), 400);
}
