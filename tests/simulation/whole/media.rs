//! A naive end of MSRP: a page's over a WebSocket, a handset's over TCP.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use tests::chance::Chance;
use tests::endpoint::{Chunk, Frames};
use tests::fake_ring::FakeRing;

/// The longest pause between two messages.
const PAUSE_MS: u64 = 1_500;

/// A message as its sender remembers it.
#[derive(Clone)]
pub struct Said {
    pub id: String,
    pub body: Vec<u8>,
    /// Transactions without an answer.
    waits: BTreeSet<String>,
    /// Every chunk of it was answered, and well.
    pub confirmed: bool,
    pub failed: bool,
}

/// What became of the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// None yet, or not any more.
    None,
    /// It is there.
    Up,
    /// It is there, and will be used then.
    Speaks(u64),
    /// It has just been lost.
    Lost,
}

/// One end.
pub struct Media {
    pub own: String,
    /// The relay's URI.
    pub theirs: String,
    /// Where its WebSocket is opened.
    resource: Option<String>,
    /// It waits for the relay to connect here.
    pub listens: Option<SocketAddr>,
    /// Which relay, and which of its links.
    link: Option<(u64, usize)>,
    frames: Frames,
    stream: Vec<u8>,
    greeting: String,
    bound: bool,
    was_up: bool,
    /// When it says the next thing.
    speaks_at: Option<u64>,
    pub to_say: VecDeque<Said>,
    pub said: Vec<Said>,
    /// Ids and bodies, as they were complete; what came a second time is not in it.
    pub heard: Vec<(String, Vec<u8>)>,
    partial: BTreeMap<String, Vec<u8>>,
    transactions: u64,
}

impl Media {
    /// An end that has something to say.
    pub fn new(own: String, name: &str, messages: usize, chance: &mut Chance) -> Media {
        let said = |number| {
            let most = [80, 80, 600, 600, 3_000][chance.below(5) as usize];
            let mut body = vec![0; 1 + chance.below(most) as usize];
            // Letters: nothing that looks like an end of a chunk.
            chance.fill(&mut body);
            body.iter_mut()
                .for_each(|octet| *octet = b'a' + *octet % 26);
            let id = format!("{name}m{number}");
            Said {
                id,
                body,
                waits: BTreeSet::new(),
                confirmed: false,
                failed: false,
            }
        };
        Media {
            own,
            theirs: String::new(),
            resource: None,
            listens: None,
            link: None,
            frames: Frames::default(),
            stream: Vec::new(),
            greeting: String::new(),
            bound: false,
            was_up: false,
            speaks_at: None,
            to_say: (0..messages).map(said).collect(),
            said: Vec::new(),
            heard: Vec::new(),
            partial: BTreeMap::new(),
            transactions: 0,
        }
    }

    /// The relay's description has come: its path, and where the WebSocket is.
    pub fn described(&mut self, sdp: &str) {
        let value = |name: &str| {
            let line = sdp.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::to_owned)
        };
        self.theirs = value("a=path:").expect("a description has a path");
        self.resource = value("a=ws-resource-path:");
        self.link = None;
    }

    /// Whether it knows where to connect, and is not connected.
    pub fn seeks(&self) -> bool {
        self.link.is_none() && !self.theirs.is_empty()
    }

    /// Connects, or finds the connection that the relay has made.
    pub fn connect(&mut self, relay: u64, ring: &mut FakeRing, chance: &mut Chance) -> bool {
        if let Some(address) = self.listens {
            ring.answer_at(address);
            let found = ring.connected_to(address).pop();
            self.link = found.map(|link| (relay, link));
            self.bound |= found.is_some();
            return found.is_some();
        }
        let port = self.theirs.split(':').nth(2);
        let port = port.and_then(|rest| rest.split('/').next()?.parse().ok());
        let Some(link) = ring.dial(port.expect("a port in the relay's path")) else {
            return false;
        };
        self.link = Some((relay, link));
        (self.frames, self.bound) = (Frames::default(), false);
        self.stream.clear();
        if let Some(resource) = &self.resource {
            let upgrade = Frames::upgrade(resource);
            ring.peer_sends(link, &upgrade);
        }
        self.transactions += 1;
        self.greeting = format!("hello{}", self.transactions);
        let greeting = Chunk {
            transaction: self.greeting.clone(),
            subject: "SEND".into(),
            to: self.theirs.clone(),
            from: self.own.clone(),
            headers: format!("Message-ID: {}\r\n", self.greeting),
            body: None,
            flag: '$',
        };
        self.sends(link, &greeting, ring, chance);
        true
    }

    fn sends(&self, link: usize, chunk: &Chunk, ring: &mut FakeRing, chance: &mut Chance) {
        let octets = chunk.write();
        let octets = match self.resource {
            Some(_) => Frames::write(&octets, chance),
            None => octets,
        };
        ring.peer_sends(link, &octets);
    }

    /// The link, if it is of this relay.
    pub fn link_of(&self, relay: u64) -> Option<usize> {
        self.link
            .filter(|(of, _)| *of == relay)
            .map(|(_, link)| link)
    }

    /// It has ended its connection, or does not care any more.
    pub fn leave(&mut self, ring: Option<(u64, &mut FakeRing)>) {
        if let (Some((relay, ring)), Some((of, link))) = (ring, self.link)
            && relay == of
        {
            ring.peer_ends(link);
        }
        self.link = None;
        self.theirs.clear();
        self.listens = None;
    }

    /// Takes what has come, answers, and says one thing more if it is time to.
    pub fn step(&mut self, now: u64, relay: u64, ring: &mut FakeRing, chance: &mut Chance) -> Line {
        let Some((of, link)) = self.link else {
            return Line::None;
        };
        if of != relay {
            return self.lose();
        }
        self.was_up |= self.bound;
        let octets = ring.peer_reads(link);
        let ended = ring.ended_by_shard(link) || ring.is_reset(link);
        if self.resource.is_some() {
            for message in self.frames.read(&octets) {
                self.stream.extend(message);
            }
            if self.frames.refused {
                ring.peer_ends(link);
                return self.lose();
            }
        } else {
            self.stream.extend(octets);
        }
        while let Some(chunk) = Chunk::take(&mut self.stream) {
            self.takes(link, chunk, ring, chance);
        }
        if ended {
            ring.peer_ends(link);
            return self.lose();
        }
        if self.bound && !self.to_say.is_empty() {
            let Some(at) = self.speaks_at else {
                let at = now + chance.below(PAUSE_MS);
                self.speaks_at = Some(at);
                return Line::Speaks(at);
            };
            if at <= now {
                self.speaks_at = None;
                self.says(link, ring, chance);
            }
        }
        Line::Up
    }

    /// There is no relay at all.
    pub fn lose_all(&mut self) -> Line {
        match self.link {
            Some(_) => self.lose(),
            None => Line::None,
        }
    }

    fn lose(&mut self) -> Line {
        self.link = None;
        self.stream.clear();
        Line::Lost
    }

    fn takes(&mut self, link: usize, chunk: Chunk, ring: &mut FakeRing, chance: &mut Chance) {
        assert_eq!(chunk.to, self.own, "To-Path is the peer's path");
        if chunk.is_response() {
            return self.answered(&chunk);
        }
        if chunk.subject == "REPORT" {
            let id = chunk.header("Message-ID").unwrap_or_default();
            self.said
                .iter_mut()
                .filter(|said| said.id == id)
                .for_each(|said| said.failed = true);
            return;
        }
        let id = chunk
            .header("Message-ID")
            .expect("a SEND has one")
            .to_owned();
        if let Some(body) = &chunk.body {
            self.collects(&id, &chunk, body);
        }
        if chunk.flag != '#' {
            self.sends(link, &chunk.response("200 OK"), ring, chance);
        }
    }

    /// A chunk of a message; what is complete is heard, once.
    fn collects(&mut self, id: &str, chunk: &Chunk, body: &[u8]) {
        let range = chunk.header("Byte-Range").expect("our peers send it");
        let start: usize = range
            .split('-')
            .next()
            .map_or(1, |n| n.parse().unwrap_or(1));
        let partial = self.partial.entry(id.to_owned()).or_default();
        assert!(
            start - 1 <= partial.len(),
            "octets of {id} are lost: {range}"
        );
        partial.truncate(start - 1);
        partial.extend(body);
        if chunk.flag == '#' {
            self.partial.remove(id);
        } else if chunk.flag == '$' {
            let whole = self.partial.remove(id).unwrap_or_default();
            if !self.heard.iter().any(|(known, _)| known == id) {
                self.heard.push((id.to_owned(), whole));
            }
        }
    }

    fn answered(&mut self, chunk: &Chunk) {
        if chunk.transaction == self.greeting {
            if !chunk.subject.starts_with("200") {
                return;
            }
            self.bound = true;
            // What has no answer by now is said again, before anything new.
            let is_open = |said: &Said| !said.confirmed && !said.failed;
            let open: Vec<Said> = self.said.extract_if(.., |said| is_open(said)).collect();
            for said in open.into_iter().rev() {
                self.to_say.push_front(said);
            }
            return;
        }
        for said in &mut self.said {
            if said.waits.remove(&chunk.transaction) {
                said.failed |= !chunk.subject.starts_with("200");
                said.confirmed = said.waits.is_empty() && !said.failed;
            }
        }
    }

    fn says(&mut self, link: usize, ring: &mut FakeRing, chance: &mut Chance) {
        let Some(mut said) = self.to_say.pop_front() else {
            return;
        };
        said.waits.clear();
        let all = said.body.len();
        let cut = match chance.percent(30) {
            true => chance.below(all as u64 + 1) as usize,
            false => all,
        };
        for (from, to) in [(0, cut), (cut, all)] {
            if from == to {
                continue;
            }
            self.transactions += 1;
            let transaction = format!("{}t{}", said.id, self.transactions);
            said.waits.insert(transaction.clone());
            let chunk = Chunk {
                transaction,
                subject: "SEND".into(),
                to: self.theirs.clone(),
                from: self.own.clone(),
                headers: format!(
                    "Message-ID: {}\r\nByte-Range: {}-{to}/{all}\r\nContent-Type: text/plain\r\n",
                    said.id,
                    from + 1
                ),
                body: Some(said.body[from..to].to_vec()),
                flag: if to == all { '$' } else { '+' },
            };
            self.sends(link, &chunk, ring, chance);
        }
        self.said.push(said);
    }

    /// Whether it was ever connected.
    pub fn was_up(&self) -> bool {
        self.was_up
    }

    /// Whether all that it wanted to say was said and answered.
    pub fn is_quiet(&self) -> bool {
        let settled = |said: &Said| said.confirmed || said.failed;
        self.to_say.is_empty() && self.said.iter().all(settled)
    }
}
