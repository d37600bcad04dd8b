//! What peers do: connect, say, hear, stall, leave.

use std::net::{IpAddr, SocketAddr};

use link::Leg;
use tests::tls::{self, TlsPeer};

use super::{Bed, OfPeer, Peer, Session};
use super::{Message, Transport, Ws, upgrade_request};
use crate::websocket_client::{Frame, Received, frame};

impl Bed {
    /// Opens a TCP connection to the port of a leg. `None`: nobody listens.
    pub fn dials(&mut self, session: Session, leg: Leg) -> Option<Peer> {
        let port = self.port(session, leg);
        self.dials_port(session, port)
    }

    /// Opens a TCP connection to any port; the URIs of `session` are named as such.
    pub fn dials_port(&mut self, session: Session, port: u16) -> Option<Peer> {
        let link = self.shard.ring().dial(port)?;
        self.settle();
        Some(self.add_peer(session, link))
    }

    /// Opens a TCP connection to an address of the relay's.
    pub fn dials_at(&mut self, session: Session, at: SocketAddr) -> Option<Peer> {
        let link = self.shard.ring().dial_at(at)?;
        self.settle();
        Some(self.add_peer(session, link))
    }

    /// From now on all peers are reached from this address of the machine.
    pub fn routes_by(&mut self, address: IpAddr) {
        self.shard.ring().route = Some(address);
    }

    /// Where the relay has connected from; port 0 is any.
    pub fn dialled_from(&mut self, peer: Peer) -> SocketAddr {
        let link = self.peers[peer.0].link;
        let from = self.shard.ring().connected_from(link);
        from.expect("the relay has connected")
    }

    /// The user timeout of a peer's connection at our end.
    pub fn user_timeout_ms(&mut self, peer: Peer) -> u128 {
        let link = self.peers[peer.0].link;
        self.shard.ring().user_timeout(link).as_millis()
    }

    /// A listener of the test's, to which the relay may connect.
    pub fn listens(&mut self, address: SocketAddr) {
        self.shard.ring().answer_at(address);
    }

    /// The connection that the relay has made to such a listener.
    pub fn is_dialled(&mut self, session: Session, address: SocketAddr) -> Option<Peer> {
        let link = self.shard.ring().connected_to(address).pop()?;
        Some(self.add_peer(session, link))
    }

    fn add_peer(&mut self, session: Session, link: usize) -> Peer {
        self.peers.push(OfPeer {
            session: session.0,
            link,
            tls: None,
            websocket: None,
            heard: Vec::new(),
        });
        Peer(self.peers.len() - 1)
    }

    /// The peer of a leg connects as it should: by an upgrade, or by a bodiless SEND that is
    /// answered with 200.
    pub fn comes(&mut self, session: Session, leg: Leg) -> Peer {
        let peer = self.dials(session, leg).expect("the leg waits");
        let transport = self.sessions[session.0].transports[leg.index()];
        if matches!(transport, Transport::Wss | Transport::Tls) {
            let config = tls::client_config(&rustls::version::TLS13, None);
            self.secures(peer, TlsPeer::client(&config, "relay.invalid"));
        }
        match transport {
            Ws | Transport::Wss => {
                let resource = self.resource(session, leg).to_owned();
                let answer = self.upgrades(peer, &resource);
                assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
            }
            _ => {
                let greeting = Message::bodiless("bind1234", "SEND", &["Message-ID: bind1"]);
                self.says(peer, &greeting.by(leg));
                let answer = self.hears(peer);
                assert!(answer.starts_with("MSRP bind1234 200 OK\r\n"), "{answer}");
            }
        }
        peer
    }

    /// Both peers of a session connect.
    pub fn both_come(&mut self, session: Session) -> (Peer, Peer) {
        let peers = (self.comes(session, Leg::A), self.comes(session, Leg::B));
        self.told(session);
        peers
    }

    /// Sends an upgrade request for a resource and returns what is answered; with a 101 the peer
    /// speaks WebSocket from now on.
    pub fn upgrades(&mut self, peer: Peer, resource: &str) -> String {
        self.asks(peer, &upgrade_request(resource))
    }

    /// Sends an HTTP request and returns the head of the answer.
    pub fn asks(&mut self, peer: Peer, request: &str) -> String {
        self.says_octets(peer, request.as_bytes());
        let mut answer = self.hears_octets(peer);
        if answer.starts_with(b"HTTP/1.1 101 ") {
            // What waited for this peer may follow at once.
            let blank = answer.windows(4).position(|four| four == b"\r\n\r\n");
            let frames = answer.split_off(blank.expect("a head ends") + 4);
            let mut websocket = Received::default();
            self.peers[peer.0].heard = websocket.read(&frames);
            self.peers[peer.0].websocket = Some(websocket);
        }
        String::from_utf8(answer).expect("an HTTP head is text")
    }

    /// Says a message as it stands, but for the names of URIs: on a WebSocket in one binary message
    /// of its own.
    pub fn says(&mut self, peer: Peer, message: &str) {
        let octets = self.with_uris(peer, message).into_bytes();
        match self.peers[peer.0].websocket {
            Some(_) => self.says_octets(peer, &frame(2, true, &octets)),
            None => self.says_octets(peer, &octets),
        }
    }

    /// Whether the peer's connection has become a WebSocket.
    pub fn speaks_websocket(&self, peer: Peer) -> bool {
        self.peers[peer.0].websocket.is_some()
    }

    /// The message with URIs for their names: of the peer's own session, or of the one whose number
    /// follows, as in `L(B)#1`.
    pub fn with_uris(&self, peer: Peer, message: &str) -> String {
        let mut text = message.to_owned();
        let own = self.peers[peer.0].session;
        let numbered = 0..if text.contains(")#") {
            self.sessions.len()
        } else {
            0
        };
        for (number, tail) in
            (numbered.map(|number| (number, format!("#{number}")))).chain([(own, String::new())])
        {
            for (name, uri) in self.sessions[number].names() {
                text = text.replace(&format!("{name}{tail}"), uri);
            }
        }
        text
    }

    /// Sends octets as they are.
    pub fn says_octets(&mut self, peer: Peer, octets: &[u8]) {
        let OfPeer { link, tls, .. } = &mut self.peers[peer.0];
        match tls {
            None => self.shard.ring().peer_sends(*link, octets),
            Some(tls) => {
                tls.says(octets);
                self.shard.ring().peer_sends(*link, &tls.takes_out());
            }
        }
        self.settle();
    }

    /// What has come since it was last asked: on a WebSocket the payloads of data frames, one after
    /// the other; with names for URIs.
    pub fn hears(&mut self, peer: Peer) -> String {
        let octets = self.hears_octets(peer);
        let mut text = String::from_utf8(octets).expect("what is heard is text");
        for (name, uri) in self.sessions[self.peers[peer.0].session].names() {
            text = text.replace(uri, name);
        }
        text
    }

    /// The same on a connection that several sessions share: with numbers behind the names.
    pub fn hears_all(&mut self, peer: Peer) -> String {
        let octets = self.hears_octets(peer);
        let mut text = String::from_utf8(octets).expect("what is heard is text");
        for (number, session) in self.sessions.iter().enumerate() {
            for (name, uri) in session.names() {
                text = text.replace(uri, &format!("{name}#{number}"));
            }
        }
        text
    }

    /// The same as octets, URIs and all.
    pub fn hears_octets(&mut self, peer: Peer) -> Vec<u8> {
        self.listen_in(peer);
        std::mem::take(&mut self.peers[peer.0].heard)
    }

    /// The frames that have come since it was last asked.
    pub fn hears_frames(&mut self, peer: Peer) -> Vec<Frame> {
        self.listen_in(peer);
        self.peers[peer.0].heard.clear();
        let websocket = self.peers[peer.0].websocket.as_mut();
        std::mem::take(&mut websocket.expect("a WebSocket").frames)
    }

    /// The code of the close frame that has come, if one has.
    pub fn close_code(&mut self, peer: Peer) -> Option<u16> {
        let frames = self.hears_frames(peer);
        let close = frames.iter().find(|frame| frame.opcode == 8)?;
        Some(u16::from_be_bytes([close.payload[0], close.payload[1]]))
    }

    /// The peer speaks TLS from now on: shakes hands, and what has come of it.
    pub fn secures(&mut self, peer: Peer, tls: TlsPeer) -> &TlsPeer {
        self.peers[peer.0].tls = Some(tls);
        for _ in 0..8 {
            self.says_octets(peer, b"");
            self.listen_in(peer);
        }
        self.tls(peer)
    }

    /// The peer's TLS.
    pub fn tls(&self, peer: Peer) -> &TlsPeer {
        self.peers[peer.0].tls.as_ref().expect("it speaks TLS")
    }

    /// It says that it ends its direction, by TLS only.
    pub fn closes(&mut self, peer: Peer) {
        if let Some(tls) = &mut self.peers[peer.0].tls {
            tls.closes();
        }
        self.says_octets(peer, b"");
    }

    /// The records that would carry a message, for the test to send as it likes.
    pub fn sealed(&mut self, peer: Peer, message: &str) -> Vec<u8> {
        let octets = self.with_uris(peer, message).into_bytes();
        let peer = &mut self.peers[peer.0];
        let tls = peer.tls.as_mut().expect("it speaks TLS");
        match &peer.websocket {
            Some(_) => tls.says(&frame(2, true, &octets)),
            None => tls.says(&octets),
        }
        tls.takes_out()
    }

    /// Sends these octets as they are, below TLS. What follows from it comes with the next turn.
    pub fn sends_raw(&mut self, peer: Peer, octets: &[u8]) {
        let link = self.peers[peer.0].link;
        self.shard.ring().peer_sends(link, octets);
    }

    fn listen_in(&mut self, peer: Peer) {
        let peer = &mut self.peers[peer.0];
        let mut octets = self.shard.ring().peer_reads(peer.link);
        if let Some(tls) = &mut peer.tls {
            octets = tls.hears(&octets);
        }
        match &mut peer.websocket {
            Some(websocket) => peer.heard.extend(websocket.read(&octets)),
            None => peer.heard.extend(octets),
        }
    }

    /// Whether the relay has ended its direction of the connection.
    pub fn is_ended(&mut self, peer: Peer) -> bool {
        let link = self.peers[peer.0].link;
        self.shard.ring().ended_by_shard(link)
    }

    /// The peer ends its direction.
    pub fn leaves(&mut self, peer: Peer) {
        let link = self.peers[peer.0].link;
        self.shard.ring().peer_ends(link);
        self.settle();
    }

    /// The peer is gone at once.
    pub fn breaks(&mut self, peer: Peer) {
        let link = self.peers[peer.0].link;
        self.shard.ring().peer_resets(link);
        self.settle();
    }

    /// The peer takes nothing more, or goes on taking.
    pub fn stalls(&mut self, peer: Peer, stalled: bool) {
        let link = self.peers[peer.0].link;
        self.shard.ring().peer_stalls(link, stalled);
        self.settle();
    }

    /// The peer takes so many octets, and then nothing more.
    pub fn takes(&mut self, peer: Peer, octets: usize) {
        let link = self.peers[peer.0].link;
        self.shard.ring().peer_takes(link, octets);
        self.settle();
    }
}
