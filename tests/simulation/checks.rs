//! What must be true of a world, whatever has happened in it.

use std::collections::HashMap;

use link::Counter;
use tests::endpoint::Chunk;

use crate::world::{Talk, World, is_browser};

impl World {
    /// Everything said by one peer was heard by the other.
    pub fn check_complete(&mut self) {
        self.check_prefixes();
        let state = self.state();
        for talk in self.sessions.iter().skip(self.plan.deaf as usize) {
            for side in 0..2 {
                let (said, heard) = (&talk.peers[side].said, &talk.peers[1 - side].heard);
                assert!(talk.peers[side].to_say.is_empty(), "all is said: {state}");
                assert_eq!(
                    said.len(),
                    heard.len(),
                    "all that was said is heard: {state}"
                );
            }
            for peer in &talk.peers {
                assert_eq!(outline(&peer.signals), [""; 0], "nothing has failed");
                assert!(
                    peer.greeting.is_none() || peer.greeting_answered,
                    "greetings are answered"
                );
            }
        }
    }

    /// Every request of those who read is heard, however long others on their connection have held it
    /// up. A response that was may have come too late for the relay to know whose it is.
    pub fn check_requests_arrive(&mut self) {
        let state = self.state();
        for talk in self.sessions.iter().skip(self.plan.deaf as usize) {
            for side in 0..2 {
                let requests = |chunks: &[Chunk]| {
                    let requests = chunks.iter().filter(|chunk| !chunk.is_response());
                    requests.map(|chunk| chunk.body.clone()).collect::<Vec<_>>()
                };
                let (said, heard) = (&talk.peers[side].said, &talk.peers[1 - side].heard);
                assert!(talk.peers[side].to_say.is_empty(), "{state}");
                assert!(requests(said) == requests(heard), "{state}");
                assert_eq!(
                    outline(&talk.peers[side].signals),
                    [""; 0],
                    "nothing has failed"
                );
            }
        }
    }

    /// What the relay said of failures is right: one signal for what was said and not answered, and
    /// none that was not asked for.
    fn check_signals(&self) {
        for peer in self.sessions.iter().flat_map(|talk| &talk.peers) {
            let mut told = Vec::new();
            for signal in &peer.signals {
                let of_message = |chunk: &&Chunk| match signal.is_response() {
                    true => chunk.transaction == signal.transaction,
                    false => chunk.header("Message-ID") == signal.header("Message-ID"),
                };
                let said = peer
                    .said
                    .iter()
                    .filter(|chunk| !chunk.is_response())
                    .find(of_message);
                let said = said.unwrap_or_else(|| panic!("{} is of nothing said", signal.subject));
                assert_ne!(said.header("Failure-Report"), Some("no"), "not asked for");
                let answered =
                    |chunk: &Chunk| chunk.is_response() && chunk.transaction == signal.transaction;
                assert!(!peer.heard.iter().any(answered), "answered and failed");
                let what = match signal.is_response() {
                    true => signal.transaction.clone(),
                    false => {
                        assert_eq!(
                            signal.header("Status"),
                            Some("000 481 Session Does Not Exist")
                        );
                        said.header("Message-ID").unwrap_or_default().to_owned()
                    }
                };
                assert!(!told.contains(&what), "{what} is told twice");
                told.push(what);
            }
        }
    }

    /// What a peer heard is the beginning of what the other said, unchanged but for the paths; the
    /// last of it may have been cut off, and then says so.
    pub fn check_prefixes(&mut self) {
        self.check_signals();
        for talk in &self.sessions {
            let renamed = [0, 1].map(|side| renamed(talk, side));
            for side in 0..2 {
                let (said, heard) = (&talk.peers[side].said, &talk.peers[1 - side].heard);
                assert!(
                    heard.len() <= said.len(),
                    "nothing is heard that was not said: {:?}",
                    [said, heard].map(|all| outline(all))
                );
                for (place, (said, heard)) in said.iter().zip(heard).enumerate() {
                    let what = format!("message {place} to side {}", 1 - side);
                    if said.is_response() {
                        let of = &renamed[1 - side];
                        let own = of.get(&said.transaction).unwrap_or(&said.transaction);
                        assert_eq!(own, &heard.transaction, "{what}");
                    } else if !renamed[side].contains_key(&heard.transaction) {
                        assert_eq!(said.transaction, heard.transaction, "{what}");
                    }
                    assert_eq!(said.subject, heard.subject, "{what}");
                    assert_eq!(said.headers, heard.headers, "{what}");
                    if heard.flag == '#' {
                        // Octets that might have begun the end-line go out as data (as any
                        // reader's must that cannot know), so they may follow the body.
                        let mut whole = said.body.clone().unwrap_or_default();
                        whole.extend(
                            format!("\r\n-------{}{}\r\n", said.transaction, said.flag).bytes(),
                        );
                        let heard = heard.body.as_deref().unwrap_or_default();
                        assert!(
                            whole.starts_with(heard),
                            "{what}: a cut chunk is a beginning"
                        );
                    } else {
                        assert_eq!(said.flag, heard.flag, "{what}");
                        assert!(said.body == heard.body, "{what}: the body is changed");
                    }
                }
            }
        }
    }

    /// A session with a browser ends when the browser is not heard of any more.
    pub fn check_browsers_are_missed(&mut self) {
        for talk in &self.sessions {
            let has_browser = talk.peers.iter().any(|peer| is_browser(peer.transport));
            assert_eq!(talk.closed, has_browser, "{:?}", talk.id);
        }
    }

    /// After each run everything is given back.
    pub fn check_nothing_left(&mut self) {
        for talk in &self.sessions {
            assert!(talk.closed, "control has heard of the end of {:?}", talk.id);
        }
        let state = self.state();
        assert_eq!(self.shard.texts_used(), 0, "paths");
        assert_eq!(self.shard.readings(), 0, "readings");
        assert_eq!(
            self.shard.ring().operations(),
            0,
            "operations under way: {state}"
        );
        let buffers = self.shard.ring().buffers();
        assert_eq!(buffers, self.buffers, "buffers in the ring: {state}");
        let metrics = self.shard.metrics();
        assert_eq!(Counter::left_over(|gauge| metrics.get(gauge)), []);
    }
}

fn outline(chunks: &[Chunk]) -> Vec<String> {
    let outline = |chunk: &Chunk| format!("{} {} {}", chunk.transaction, chunk.subject, chunk.flag);
    chunks.iter().map(outline).collect()
}

/// Requests of one side that go by another transaction id to a connection that sessions share: by
/// that, the one they had.
fn renamed(talk: &Talk, side: usize) -> HashMap<String, String> {
    let (said, heard) = (&talk.peers[side].said, &talk.peers[1 - side].heard);
    let pairs = said.iter().zip(heard).filter(|(said, heard)| {
        let is_changed = said.transaction != heard.transaction;
        is_changed && !said.is_response() && talk.peers[1 - side].on_trunk
    });
    let pairs = pairs.map(|(said, heard)| (heard.transaction.clone(), said.transaction.clone()));
    pairs.collect()
}
