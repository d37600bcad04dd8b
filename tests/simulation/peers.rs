//! What the peers of a world do, step by step.

use relay::shard::Shard;
use tests::endpoint::{Chunk, Frames};
use tests::fake_ring::FakeRing;
use tests::tls::{self, TlsPeer};

use crate::world::{Peer, World, is_browser, is_secure};

impl World {
    pub(super) fn peer_step(&mut self, index: usize, side: usize) {
        let peer = &mut self.sessions[index].peers[side];
        if peer.gone || peer.relay_path.is_empty() {
            return;
        }
        let Some(link) = peer.link else {
            return self.peer_connects(index, side);
        };
        let leaves = self.plan.leaves && !peer.on_trunk;
        if leaves && self.chance.below(300) == 0 {
            return self.peer_leaves(index, side, link);
        }
        if peer.on_trunk {
            return self.peer_says(index, side);
        }
        if peer.stalls {
            let stalled = self.chance.percent(50);
            self.shard.ring().peer_stalls(link, stalled);
        }
        if peer.deaf && (!self.plan.scarce || self.all_are_there()) {
            self.shard.ring().peer_stalls(link, true);
        }
        self.peer_hears(index, side, link);
        self.peer_says(index, side);
    }

    /// What happens on the connection that several handsets share.
    pub(super) fn trunk_step(&mut self) {
        let Some(link) = self.trunk.link.filter(|_| !self.trunk.gone) else {
            return;
        };
        let stalled = self.plan.leaves && self.chance.percent(20);
        self.shard.ring().peer_stalls(link, stalled);
        if self.plan.leaves && self.chance.below(1_000) == 0 {
            return self.trunk_leaves(link);
        }
        let mut octets = self.shard.ring().peer_reads(link);
        let ended = self.shard.ring().ended_by_shard(link);
        if let Some(tls) = &mut self.trunk.tls {
            octets = tls.hears(&octets);
            assert_eq!(tls.failed, None, "the relay speaks TLS");
        }
        self.trunk.stream.extend(octets);
        while let Some(chunk) = Chunk::take(&mut self.trunk.stream) {
            let is_for = |peer: &Peer| peer.on_trunk && peer.path == chunk.to;
            let all = (0..self.sessions.len()).flat_map(|index| [(index, 0), (index, 1)]);
            let whose = all
                .into_iter()
                .find(|(index, side)| is_for(&self.sessions[*index].peers[*side]));
            let (index, side) = whose.expect("To-Path is the path of one of them");
            self.peer_takes(index, side, chunk);
        }
        send_by(&mut self.shard, &mut self.trunk.tls, link, b"");
        if ended {
            let state = self.state();
            let rest = String::from_utf8_lossy(&self.trunk.stream);
            assert!(
                rest.is_empty(),
                "no chunk is left open on an ended connection: {rest} {state}"
            );
        }
    }

    fn trunk_leaves(&mut self, link: usize) {
        self.trunk.gone = true;
        match self.chance.percent(50) {
            true => self.shard.ring().peer_resets(link),
            false => self.shard.ring().peer_ends(link),
        }
        let peers = self.sessions.iter_mut().flat_map(|talk| &mut talk.peers);
        for peer in peers.filter(|peer| peer.on_trunk) {
            peer.gone = true;
        }
    }

    fn peer_connects(&mut self, index: usize, side: usize) {
        if self.chance.percent(70) || self.plan.scarce && self.is_one_on_its_way() {
            return;
        }
        let peer = &mut self.sessions[index].peers[side];
        if let Some(address) = peer.listens_at {
            peer.link = self.shard.ring().connected_to(address).pop();
            if is_secure(peer.transport) {
                let version = tls::version_of(self.chance.number());
                let config = tls::server_config(version, tls::pem());
                peer.tls = Some(TlsPeer::server(&config));
            }
            return;
        }
        let port = peer
            .relay_path
            .split(':')
            .nth(2)
            .and_then(|rest| rest.split('/').next());
        let port = port
            .and_then(|port| port.parse().ok())
            .expect("a port in the relay's path");
        let shared = self.trunk.link.filter(|_| peer.on_trunk);
        let Some(link) = shared.or_else(|| self.shard.ring().dial(port)) else {
            assert!(
                self.plan.leaves,
                "the port is open while the leg is waited for"
            );
            peer.gone = true;
            return;
        };
        peer.link = Some(link);
        if is_secure(peer.transport) && shared.is_none() {
            let version = tls::version_of(self.chance.number());
            let config = tls::client_config(version, None);
            let tls = match peer.on_trunk {
                true => &mut self.trunk.tls,
                false => &mut peer.tls,
            };
            *tls = Some(TlsPeer::client(&config, "relay.invalid"));
        }
        if peer.on_trunk {
            self.trunk.link = Some(link);
        }
        let octets = if is_browser(peer.transport) {
            Frames::upgrade(&peer.resource)
        } else {
            let greeting = greeting(peer);
            peer.greeting = Some(greeting.transaction.clone());
            greeting.write()
        };
        self.sends(index, side, &octets);
    }

    /// A peer sends octets, by TLS if it speaks it; none: only what TLS itself has to say.
    fn sends(&mut self, index: usize, side: usize, octets: &[u8]) {
        let peer = &mut self.sessions[index].peers[side];
        let Some(link) = peer.link else { return };
        let tls = match peer.on_trunk {
            true => &mut self.trunk.tls,
            false => &mut peer.tls,
        };
        send_by(&mut self.shard, tls, link, octets);
    }

    fn says(&mut self, index: usize, side: usize, chunk: &Chunk) {
        let mut octets = chunk.write();
        if is_browser(self.sessions[index].peers[side].transport) {
            octets = Frames::write(&octets, &mut self.chance);
        }
        self.sends(index, side, &octets);
    }

    fn peer_leaves(&mut self, index: usize, side: usize, link: usize) {
        let peer = &mut self.sessions[index].peers[side];
        peer.gone = true;
        match self.chance.below(3) {
            0 => self.shard.ring().peer_resets(link),
            1 if is_browser(peer.transport) && peer.greeting.is_some() => {
                let close = Frames::close(&mut self.chance);
                self.sends(index, side, &close);
                self.shard.ring().peer_ends(link);
            }
            _ => self.shard.ring().peer_ends(link),
        }
    }

    fn peer_hears(&mut self, index: usize, side: usize, link: usize) {
        let mut octets = self.shard.ring().peer_reads(link);
        let ended = self.shard.ring().ended_by_shard(link);
        let closed = self.sessions[index].closed;
        let peer = &mut self.sessions[index].peers[side];
        if let Some(tls) = &mut peer.tls {
            octets = tls.hears(&octets);
            assert_eq!(tls.failed, None, "the relay speaks TLS");
            if !octets.is_empty() && self.chance.below(10) == 0 {
                tls.changes_keys();
            }
            send_by(&mut self.shard, &mut peer.tls, link, b"");
        }
        if is_browser(peer.transport) {
            let messages = peer.frames.read(&octets);
            if peer.frames.refused {
                // The session ended while the peer was on its way.
                let knows = closed || self.plan.link_faults;
                assert!(knows, "the resource is known while the session lives");
                peer.gone = true;
                return;
            }
            for message in messages {
                // RFC 7977, 5.1: each message holds one chunk, and all of it.
                let mut stream = message;
                if !stream.is_empty() {
                    let chunk = Chunk::take(&mut stream).expect("a message holds a whole chunk");
                    assert!(stream.is_empty(), "a message holds one chunk only");
                    peer.stream.extend(chunk.write());
                }
            }
            // One that does not read gets no more than a second for its end.
            if ended && !peer.deaf {
                assert_eq!(peer.frames.unfinished(), 0, "no message is left open");
            }
        } else {
            peer.stream.extend(octets);
        }
        loop {
            let peer = &mut self.sessions[index].peers[side];
            let Some(chunk) = Chunk::take(&mut peer.stream) else {
                break;
            };
            self.peer_takes(index, side, chunk);
        }
        let peer = &self.sessions[index].peers[side];
        if ended && !peer.deaf && !is_browser(peer.transport) {
            assert!(
                peer.stream.is_empty(),
                "no chunk is left open on an ended connection"
            );
        }
    }

    fn peer_takes(&mut self, index: usize, side: usize, chunk: Chunk) {
        let peer = &mut self.sessions[index].peers[side];
        assert_eq!(chunk.to, peer.path, "To-Path is the peer's path");
        // What has come for a session that was over may be answered in the name of another.
        if !(peer.on_trunk && chunk.subject.starts_with("481 ")) {
            assert_eq!(chunk.from, peer.relay_path, "From-Path is the relay's URI");
        }
        if chunk.subject == "SEND" && chunk.body.is_none() {
            // The relay's own: it binds the connection. What it is answered is not passed on.
            let response = chunk.response("200 OK");
            return self.says(index, side, &response);
        }
        if chunk.is_response() && Some(&chunk.transaction) == peer.greeting.as_ref() {
            assert!(!peer.greeting_answered, "one answer to the greeting");
            peer.greeting_answered = true;
            return;
        }
        if chunk.subject.starts_with("413 ")
            || chunk.subject.starts_with("481 ")
            || chunk.subject.starts_with("408 ")
            || chunk.subject == "REPORT"
        {
            // No peer of ours says such a thing.
            peer.signals.push(chunk);
            return;
        }
        let answers = chunk.subject == "SEND" && chunk.header("Failure-Report").is_none();
        if answers && chunk.flag != '#' {
            peer.to_say.insert(0, chunk.response("200 OK"));
        }
        peer.heard.push(chunk);
    }

    /// Whether all that share the trunk have said so. What waits on it for a peer that is to come by it
    /// would keep that from coming.
    fn is_trunk_complete(&self) -> bool {
        let peers = self.sessions.iter().flat_map(|talk| &talk.peers);
        peers
            .filter(|peer| peer.on_trunk)
            .all(|peer| peer.greeting_answered)
    }

    fn peer_says(&mut self, index: usize, side: usize) {
        let peer = &mut self.sessions[index].peers[side];
        let waits = peer.on_trunk && !self.plan.leaves && !self.is_trunk_complete()
            || self.plan.scarce && !self.all_are_there();
        let peer = &mut self.sessions[index].peers[side];
        if waits || peer.to_say.is_empty() || self.chance.percent(60) {
            return;
        }
        let chunk = peer.to_say.remove(0);
        self.says(index, side, &chunk);
        self.sessions[index].peers[side].said.push(chunk);
    }
}

fn greeting(peer: &Peer) -> Chunk {
    Chunk {
        transaction: "greeting1".into(),
        subject: "SEND".into(),
        to: peer.relay_path.clone(),
        from: peer.path.clone(),
        headers: "Message-ID: hello1\r\n".into(),
        body: None,
        flag: '$',
    }
}

fn send_by(shard: &mut Shard<FakeRing>, tls: &mut Option<TlsPeer>, link: usize, octets: &[u8]) {
    match tls {
        None => shard.ring().peer_sends(link, octets),
        Some(tls) => {
            tls.says(octets);
            shard.ring().peer_sends(link, &tls.takes_out());
        }
    }
}
