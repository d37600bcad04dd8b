//! Our TLS and stock rustls, with somebody on the way between them who cuts, changes, repeats, leaves
//! out and adds octets. Neither takes in anything but a beginning of what the other has said; if nobody
//! has meddled, all of it.

use std::cell::OnceCell;

use relay::transport::tls::{
    Identity, KEY_UPDATE_BYTES_MAX, OUT_BYTES_MAX, PLAIN_BYTES_MAX, Step, Tls,
};
use tests::tls::{TlsPeer, client_config, identity, pem, server_config, version_of};

/// Octets that may be under way in one direction, and be said in all.
const OCTETS_MAX: usize = 256 << 10;

/// Changes of keys in one run: a peer that does little else is turned away.
const KEY_CHANGES_MAX: u32 = 4;

/// The first octet says who connects, by which version, and whether there is a peer at all; the
/// others are operations, or what is heard instead of a peer.
pub fn run(octets: &[u8]) {
    let Some((&mode, operations)) = octets.split_first() else {
        return;
    };
    thread_local!(static IDENTITY: OnceCell<Identity> = const { OnceCell::new() });
    let identity = IDENTITY.with(|cell| {
        cell.get_or_init(|| identity().now("localhost").expect("our name"))
            .clone()
    });
    let version = version_of((mode & 1).into());
    let (tls, peer) = if mode & 2 == 0 {
        let peer = TlsPeer::client(
            &client_config(version, (mode & 4 != 0).then(pem)),
            "localhost",
        );
        (identity.accept_endpoint(), peer)
    } else {
        let peer = TlsPeer::server(&server_config(version, pem()));
        (identity.connect_vouched("localhost"), peer)
    };
    let mut pair = Pair::new(tls.expect("TLS of ours"), peer);
    if mode & 8 != 0 {
        return pair.ours.hears(operations);
    }
    let mut input = operations.iter().copied();
    while let Some(operation) = input.next() {
        pair.operate(operation, &mut input);
    }
    pair.end();
}

/// Ours, as a shard drives it.
struct Ours {
    tls: Tls,
    /// What is not used yet, and is given again with more.
    kept: Vec<u8>,
    sends: Vec<u8>,
    heard: Vec<u8>,
    is_closed: bool,
    is_broken: bool,
}

impl Ours {
    fn hears(&mut self, octets: &[u8]) {
        self.kept.extend_from_slice(octets);
        let mut out = [0; OUT_BYTES_MAX];
        while !self.is_broken && !self.is_closed {
            let bytes = self.kept.len();
            let used = match self.tls.read(&mut self.kept, &mut out) {
                Ok(Step::More(wanted)) => {
                    assert!(wanted > 0, "it asks for nothing");
                    return;
                }
                Ok(Step::Established(used) | Step::Nothing(used)) => used,
                Ok(Step::Send { used, bytes }) => {
                    self.sends.extend_from_slice(&out[..bytes]);
                    used
                }
                Ok(Step::Octets { used, octets }) => {
                    assert!(octets.end <= used, "octets lie in what is used");
                    self.heard.extend_from_slice(&self.kept[octets]);
                    used
                }
                Ok(Step::Closed) => {
                    self.is_closed = true;
                    bytes
                }
                Err(broken) => {
                    self.sends.extend_from_slice(&out[..broken.bytes]);
                    self.is_broken = true;
                    bytes
                }
            };
            self.kept.drain(..used);
        }
    }

    fn says(&mut self, octets: &[u8]) {
        let mut out = [0; KEY_UPDATE_BYTES_MAX];
        for octets in octets.chunks(PLAIN_BYTES_MAX) {
            let before = self.tls.before_data(&mut out).expect("it is open");
            self.sends.extend_from_slice(&out[..before]);
            let (lead, tail) = self.tls.around();
            let mut record = vec![0; lead + octets.len() + tail];
            record[lead..lead + octets.len()].copy_from_slice(octets);
            self.tls.seal(&mut record).expect("it is open");
            self.sends.extend_from_slice(&record);
        }
    }
}

/// Both ends, and what is under way between them.
struct Pair {
    ours: Ours,
    peer: TlsPeer,
    to_ours: Vec<u8>,
    to_peer: Vec<u8>,
    said_by_ours: Vec<u8>,
    said_by_peer: Vec<u8>,
    heard_by_peer: Vec<u8>,
    ours_has_closed: bool,
    peer_has_closed: bool,
    key_changes: u32,
    is_meddled_with: bool,
}

impl Pair {
    fn new(tls: Tls, peer: TlsPeer) -> Pair {
        let mut ours = Ours {
            tls,
            kept: Vec::new(),
            sends: Vec::new(),
            heard: Vec::new(),
            is_closed: false,
            is_broken: false,
        };
        ours.hears(&[]);
        Pair {
            ours,
            peer,
            to_ours: Vec::new(),
            to_peer: Vec::new(),
            said_by_ours: Vec::new(),
            said_by_peer: Vec::new(),
            heard_by_peer: Vec::new(),
            ours_has_closed: false,
            peer_has_closed: false,
            key_changes: 0,
            is_meddled_with: false,
        }
    }

    fn operate(&mut self, operation: u8, input: &mut impl Iterator<Item = u8>) {
        let number = usize::from(input.next().unwrap_or(0));
        match operation >> 4 {
            0..=2 => self.carry_to_ours(number),
            3 => self.carry_to_ours(OCTETS_MAX),
            4..=6 => self.carry_to_peer(number),
            7 => self.carry_to_peer(OCTETS_MAX),
            8 | 9 if self.ours.tls.is_open() && !self.ours_has_closed => {
                let said = next_octets(&mut self.said_by_ours, number * 100);
                self.ours.says(&said);
            }
            10 | 11 if !self.peer_has_closed && self.peer.failed.is_none() => {
                let said = next_octets(&mut self.said_by_peer, number * 100);
                self.peer.says(&said);
            }
            12 if self.key_changes < KEY_CHANGES_MAX && self.peer.failed.is_none() => {
                self.key_changes += 1;
                self.peer.changes_keys();
            }
            13 if number < 32 => self.close_ours(),
            13 if number > 224 && self.peer.failed.is_none() => {
                // In the midst of a handshake it may be taken for an end of any kind.
                self.is_meddled_with |= !self.ours.tls.is_open();
                self.peer_has_closed = true;
                self.peer.closes();
            }
            14 | 15 => self.meddle(operation, number, input),
            _ => {}
        }
        self.take_up();
        self.check();
    }

    fn close_ours(&mut self) {
        let mut out = [0; KEY_UPDATE_BYTES_MAX];
        let bytes = self.ours.tls.close(&mut out);
        self.ours.sends.extend_from_slice(&out[..bytes]);
        self.ours_has_closed |= bytes > 0;
    }

    /// Puts on their way what the ends have to send.
    fn take_up(&mut self) {
        self.to_ours.append(&mut self.peer.takes_out());
        self.to_peer.append(&mut self.ours.sends);
    }

    fn carry_to_ours(&mut self, most: usize) {
        let rest = self.to_ours.split_off(most.min(self.to_ours.len()));
        let octets = std::mem::replace(&mut self.to_ours, rest);
        self.ours.hears(&octets);
    }

    fn carry_to_peer(&mut self, most: usize) {
        let rest = self.to_peer.split_off(most.min(self.to_peer.len()));
        let octets = std::mem::replace(&mut self.to_peer, rest);
        self.heard_by_peer.extend(self.peer.hears(&octets));
    }

    /// Changes what is under way.
    fn meddle(&mut self, operation: u8, number: usize, input: &mut impl Iterator<Item = u8>) {
        let way = match operation & 1 {
            0 => &mut self.to_ours,
            _ => &mut self.to_peer,
        };
        let at = number.min(way.len());
        let end = (at + 1 + usize::from(operation & 12)).min(way.len());
        match operation >> 1 & 3 {
            0 if at < way.len() => way[at] ^= input.next().unwrap_or(1).max(1),
            1 if at < end => drop(way.drain(at..end)),
            2 if at < end => {
                let again = way[at..end].to_vec();
                way.splice(at..at, again);
            }
            3 => {
                way.splice(at..at, input.take(9));
            }
            _ => return,
        }
        self.is_meddled_with = true;
    }

    fn check(&self) {
        assert!(
            self.said_by_peer.starts_with(&self.ours.heard),
            "ours heard what was not said"
        );
        assert!(
            self.said_by_ours.starts_with(&self.heard_by_peer),
            "so did the peer"
        );
        if !self.is_meddled_with {
            assert!(
                !self.ours.is_broken && self.peer.failed.is_none(),
                "{:?}",
                self.peer.failed
            );
        }
    }

    /// Lets all arrive that is under way.
    fn end(mut self) {
        self.take_up();
        while !self.to_ours.is_empty() || !self.to_peer.is_empty() {
            self.carry_to_ours(OCTETS_MAX);
            self.carry_to_peer(OCTETS_MAX);
            self.take_up();
            self.check();
        }
        if self.is_meddled_with {
            return;
        }
        assert_eq!(self.heard_by_peer.len(), self.said_by_ours.len());
        // The peer may have closed before it could say what it was to say.
        if !self.peer_has_closed {
            assert_eq!(self.ours.heard.len(), self.said_by_peer.len());
        }
        assert_eq!(self.ours.is_closed, self.peer_has_closed);
        assert_eq!(self.peer.closed, self.ours_has_closed);
    }
}

/// Octets to be said after those, as many of `bytes` as there may be.
fn next_octets(said: &mut Vec<u8>, bytes: usize) -> Vec<u8> {
    let start = said.len();
    let end = (start + bytes).min(OCTETS_MAX);
    said.extend((start..end).map(|at| (at * 31 % 251) as u8));
    said[start..].to_vec()
}
