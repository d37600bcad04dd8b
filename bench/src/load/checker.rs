//! What arrives, against what must arrive: every message once, in order, unchanged.

use std::collections::VecDeque;
use std::fmt;

use super::traffic::{
    CONTENT_TYPE, LABEL_BYTES, Shape, UNINTERRUPTIBLE_MAX, Written, flag_of, write_hexadecimal,
};
use crate::msrp::{ByteRange, FailureReport, Flag, Head};

/// What went wrong, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Faults {
    /// Messages that never arrived.
    pub lost: u64,
    /// Messages that arrived again.
    pub doubled: u64,
    /// Messages that arrived after a later one.
    pub reordered: u64,
    /// Messages with an octet or a field that is not as it was sent.
    pub changed: u64,
    /// Messages and responses that nobody sent, refusals, broken framing.
    pub unexpected: u64,
    /// Responses that never arrived.
    pub unanswered: u64,
    /// REPORTs of success that never arrived.
    pub unreported: u64,
    /// Connections that ended before they should.
    pub ended: u64,
    /// The first that was seen, in words.
    pub first: Option<String>,
}

impl Faults {
    /// How many there are.
    pub fn total(&self) -> u64 {
        self.lost
            + self.doubled
            + self.reordered
            + self.changed
            + self.unexpected
            + self.unanswered
            + self.unreported
            + self.ended
    }

    /// Adds others'.
    pub fn add(&mut self, others: Faults) {
        self.lost += others.lost;
        self.doubled += others.doubled;
        self.reordered += others.reordered;
        self.changed += others.changed;
        self.unexpected += others.unexpected;
        self.unanswered += others.unanswered;
        self.unreported += others.unreported;
        self.ended += others.ended;
        if self.first.is_none() {
            self.first = others.first;
        }
    }

    /// Keeps the words of the first fault.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        if self.first.is_none() {
            self.first = Some(what());
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Faults {
            lost,
            doubled,
            reordered,
            changed,
            unexpected,
            unanswered,
            unreported,
            ended,
            first,
        } = self;
        write!(
            f,
            "{lost} lost, {doubled} doubled, {reordered} out of order, {changed} changed, \
             {unexpected} unexpected, {unanswered} unanswered, {unreported} unreported, {ended} \
             connections ended early"
        )?;
        first
            .as_ref()
            .map_or(Ok(()), |first| write!(f, "; first: {first}"))
    }
}

/// A message on its way.
struct InFlight {
    written: Written,
    from_ns: u64,
    is_measured: bool,
}

/// The message that is being read; its chunks follow each other.
struct Current {
    number: u64,
    /// Octets that have come.
    at: usize,
    /// Where the chunk under way must end.
    chunk_end: usize,
    is_changed: bool,
}

/// A message that is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// Its number.
    pub number: u64,
    /// Octets of its body.
    pub size: usize,
    /// When its time began; `None` if it is one too many.
    pub from_ns: Option<u64>,
    /// Whether its time counts.
    pub is_measured: bool,
}

/// Checks one flow. It is told what is sent, and reads what arrives.
pub struct Checker {
    shape: Shape,
    /// The paths a message must arrive with.
    to_path: String,
    from_path: String,
    in_flight: VecDeque<InFlight>,
    current: Option<Current>,
    /// Numbers below this were sent.
    sent: u64,
    arrived: u64,
    /// One more than the highest number that has arrived.
    expected: u64,
}

impl Checker {
    /// For messages that arrive with these paths.
    pub fn new(shape: Shape, to_path: &str, from_path: &str) -> Checker {
        Checker {
            shape,
            to_path: to_path.to_owned(),
            from_path: from_path.to_owned(),
            in_flight: VecDeque::new(),
            current: None,
            sent: 0,
            arrived: 0,
            expected: 0,
        }
    }

    /// A message is sent; its time runs from `from_ns`.
    pub fn sent(&mut self, written: Written, from_ns: u64, is_measured: bool) {
        debug_assert_eq!(written.number, self.sent, "numbers have no gaps");
        self.sent = written.number + 1;
        self.in_flight.push_back(InFlight {
            written,
            from_ns,
            is_measured,
        });
    }

    /// Messages on their way.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Messages that have arrived, each counted once.
    pub fn arrived(&self) -> u64 {
        self.arrived
    }

    /// A SEND with a body begins. `None`: it is nobody's.
    pub fn head(&mut self, head: &Head<'_>, faults: &mut Faults) -> Option<()> {
        let number = head.message_id.and_then(|id| self.shape.number(id));
        let Some(number) = number else {
            faults.unexpected += 1;
            faults.note(|| format!("a message with the id {:?}", head.message_id));
            self.current = None;
            return None;
        };
        let before = self
            .current
            .take()
            .filter(|current| current.number == number);
        let (at, was_changed) = before.map_or((0, false), |before| (before.at, before.is_changed));
        let size = self.shape.size(number);
        let chunk_end = at + self.shape.chunk_bytes(number, at);
        let range = ByteRange {
            start: at as u64 + 1,
            end: (chunk_end - at <= UNINTERRUPTIBLE_MAX).then_some(chunk_end as u64),
            total: Some(size as u64),
        };
        let failure_report = match self.shape.responses {
            true => FailureReport::Yes,
            false => FailureReport::No,
        };
        let wrong = [
            (!self.is_transaction(head.tid, number, at), "transaction id"),
            (head.to_path != self.to_path, "To-Path"),
            (head.from_path != self.from_path, "From-Path"),
            (head.byte_range != Some(range), "Byte-Range"),
            (head.failure_report != failure_report, "Failure-Report"),
            (head.success_report != self.shape.reports, "Success-Report"),
            (head.content_type != Some(CONTENT_TYPE), "Content-Type"),
        ];
        let wrong = wrong.iter().find(|(is_wrong, _)| *is_wrong);
        if let Some((_, what)) = wrong {
            faults.note(|| format!("message {number} arrived with another {what}: {head:?}"));
        }
        self.current = Some(Current {
            number,
            at,
            chunk_end,
            is_changed: was_changed || wrong.is_some(),
        });
        Some(())
    }

    /// Whether a chunk's transaction is the one it was sent with, as far as that is still known.
    fn is_transaction(&self, tid: &str, number: u64, at: usize) -> bool {
        let is_it = |message: &&InFlight| message.written.number == number;
        let Some(transaction) = self.shape.number(tid) else {
            return false;
        };
        // A flow's messages arrive in order: it is the first.
        self.in_flight.iter().find(is_it).is_none_or(|message| {
            message.written.transaction + (at / self.shape.chunk) as u64 == transaction
        })
    }

    /// A piece of its body.
    pub fn body(&mut self, mut piece: &[u8], faults: &mut Faults) {
        let Some(current) = &mut self.current else {
            return;
        };
        let fits = current.chunk_end - current.at.min(current.chunk_end);
        let is_longer = piece.len() > fits;
        piece = &piece[..piece.len().min(fits)];
        if current.at < LABEL_BYTES {
            let mut label = [0; LABEL_BYTES];
            write_hexadecimal(&mut label, current.number);
            let (part, rest) = piece.split_at(piece.len().min(LABEL_BYTES - current.at));
            current.compare(&label[current.at..current.at + part.len()], part, faults);
            piece = rest;
        }
        let (number, at) = (current.number, current.at);
        let expected = self.shape.pattern.part(number, at, piece.len());
        current.compare(expected, piece, faults);
        if is_longer {
            current.is_changed = true;
            faults.note(|| format!("message {number} has a chunk that is longer than it was"));
        }
    }

    /// A chunk is over. Gives the message, if it was the last.
    pub fn end(&mut self, flag: Flag, faults: &mut Faults) -> Option<Arrived> {
        let mut current = self.current.take()?;
        let (number, size) = (current.number, self.shape.size(current.number));
        let expected = flag_of(current.chunk_end == size);
        if current.at != current.chunk_end || flag != expected {
            let at = current.at;
            faults.note(|| format!("message {number} ended {flag:?} after {at} of {size} octets"));
            current.is_changed = true;
        }
        let mut in_flight = self.in_flight.iter().map(|message| message.written.number);
        let position = in_flight.position(|other| other == number);
        if flag == Flag::More && position.is_some() {
            self.current = Some(current);
            return None;
        }
        faults.changed += u64::from(current.is_changed);
        let message = position.and_then(|position| {
            if number < self.expected {
                faults.reordered += 1;
                faults.note(|| format!("message {number} arrived after a later one"));
            }
            self.expected = self.expected.max(number + 1);
            self.arrived += 1;
            self.in_flight.remove(position)
        });
        match &message {
            Some(_) => {}
            None if number < self.sent => {
                faults.doubled += 1;
                faults.note(|| format!("message {number} arrived again"));
            }
            None => {
                faults.unexpected += 1;
                faults.note(|| format!("message {number} arrived and was never sent"));
            }
        }
        Some(Arrived {
            number,
            size,
            from_ns: message.as_ref().map(|message| message.from_ns),
            is_measured: message.is_some_and(|message| message.is_measured),
        })
    }

    /// Nothing more will come: what is still on its way is lost.
    pub fn finish(&mut self, faults: &mut Faults) {
        if let Some(first) = self.in_flight.front() {
            faults.note(|| format!("message {} never arrived", first.written.number));
        }
        faults.lost += self.in_flight.len() as u64;
        self.in_flight.clear();
    }
}

impl Current {
    fn compare(&mut self, expected: &[u8], piece: &[u8], faults: &mut Faults) {
        if expected != piece {
            if !self.is_changed {
                let place = expected
                    .iter()
                    .zip(piece)
                    .position(|(a, b)| a != b)
                    .unwrap_or(0);
                let (number, at) = (self.number, self.at + place);
                faults.note(|| format!("octet {at} of message {number} is not as it was sent"));
            }
            self.is_changed = true;
        }
        self.at += piece.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::framing::Framing;
    use crate::load::offer::{Legs, Load};
    use crate::load::traffic::{Pattern, Writer};
    use crate::msrp::{Event, Reader};

    const SENDER: &str = "msrp://a.example:1/sender;tcp";
    const RELAY_IN: &str = "msrp://r.example:2/in;tcp";
    const RELAY_OUT: &str = "msrp://r.example:2/out;tcp";
    const RECEIVER: &str = "msrp://b.example:3/receiver;tcp";

    /// One size, and octets of a chunk at most.
    fn load(size: usize, chunk: Option<usize>) -> Load {
        let mut load = Load::closed(size, 1, 1, Legs::TCP_TCP);
        load.chunk = chunk;
        load
    }

    /// Sends twenty messages through a relay that rewrites paths and then does what `harm` does to
    /// the chunks; gives what the checker found.
    fn through(size: usize, harm: impl FnOnce(&mut Vec<Vec<u8>>)) -> Faults {
        through_in_chunks(&load(size, None), harm)
    }

    fn through_in_chunks(load: &Load, harm: impl FnOnce(&mut Vec<Vec<u8>>)) -> Faults {
        let shape = Shape::new(7, load, Pattern::new(load.sizes.max()));
        let mut writer = Writer::new(shape.clone(), SENDER, RELAY_IN);
        let mut checker = Checker::new(shape, RECEIVER, RELAY_OUT);
        let mut frames: Vec<Vec<u8>> = Vec::new();
        for _ in 0..20 {
            let mut message = Vec::new();
            checker.sent(writer.write(&mut Framing::Tcp, &mut message), 1, true);
            let starts = memchr::memmem::find_iter(&message, b"MSRP f0000007");
            let starts: Vec<usize> = starts.chain([message.len()]).collect();
            for chunk in starts.windows(2).map(|pair| &message[pair[0]..pair[1]]) {
                let body = memchr::memmem::find(chunk, b"\r\n\r\n").unwrap();
                let head = String::from_utf8(chunk[..body].to_vec()).unwrap();
                let head = head.replace(RELAY_IN, RECEIVER).replace(SENDER, RELAY_OUT);
                frames.push([head.as_bytes(), &chunk[body..]].concat());
            }
        }
        harm(&mut frames);
        let mut faults = Faults::default();
        let mut reader = Reader::default();
        for piece in frames.concat().chunks(1000) {
            reader.space()[..piece.len()].copy_from_slice(piece);
            reader.filled(piece.len());
            while let Some(event) = reader.event().unwrap() {
                match event {
                    Event::Head(head) => drop(checker.head(&head, &mut faults)),
                    Event::Body(piece) => checker.body(piece, &mut faults),
                    Event::End(flag) => drop(checker.end(flag, &mut faults)),
                }
            }
        }
        checker.finish(&mut faults);
        faults
    }

    #[test]
    fn chunks_are_checked_one_by_one() {
        let in_chunks = load(5000, Some(2000));
        let good = through_in_chunks(&in_chunks, |frames| assert_eq!(frames.len(), 60));
        assert_eq!(good, Faults::default());
        let middle_gone = through_in_chunks(&in_chunks, |frames| drop(frames.remove(4)));
        assert_eq!(
            (middle_gone.changed, middle_gone.total()),
            (1, 1),
            "{middle_gone}"
        );
        let last_gone = through_in_chunks(&in_chunks, |frames| drop(frames.remove(5)));
        assert_eq!((last_gone.lost, last_gone.total()), (1, 1), "{last_gone}");
        let swapped = through_in_chunks(&in_chunks, |frames| frames.swap(3, 4));
        assert!(swapped.total() > 0, "{swapped}");
        let last_twice =
            through_in_chunks(&in_chunks, |frames| frames.insert(6, frames[5].clone()));
        assert!(last_twice.doubled == 1, "{last_twice}");
        let first_twice =
            through_in_chunks(&in_chunks, |frames| frames.insert(4, frames[3].clone()));
        assert!(first_twice.total() > 0, "{first_twice}");
    }

    #[test]
    fn sizes_that_vary_are_known_to_both_ends() {
        let mut mixed = load(300, Some(4096));
        mixed.sizes = "16:1,300:1,2048:1,2049:1,70000:1".parse().unwrap();
        assert_eq!(through_in_chunks(&mixed, |_| ()), Faults::default());
    }

    #[test]
    fn a_good_relay_has_no_faults_at_any_size() {
        for size in [16, 17, 300, 2048, 2049, 70_000] {
            assert_eq!(through(size, |_| ()), Faults::default(), "{size}");
        }
    }

    #[test]
    fn a_dropped_message_is_lost() {
        let faults = through(300, |frames| drop(frames.remove(19)));
        assert_eq!((faults.lost, faults.total()), (1, 1));
        let faults = through(300, |frames| drop(frames.remove(5)));
        assert_eq!(faults.lost, 1, "{faults}");
    }

    #[test]
    fn a_message_sent_twice_is_doubled() {
        let faults = through(300, |frames| frames.insert(6, frames[5].clone()));
        assert_eq!((faults.doubled, faults.total()), (1, 1));
    }

    #[test]
    fn two_messages_in_the_wrong_order_are_seen() {
        let faults = through(300, |frames| frames.swap(5, 6));
        assert_eq!((faults.reordered, faults.total()), (1, 1));
    }

    #[test]
    fn a_single_octet_that_differs_is_seen_wherever_it_is() {
        for from_end in [60, 100, 200, 320] {
            let faults = through(300, |frames| {
                let at = frames[5].len() - from_end;
                frames[5][at] ^= 1;
            });
            assert_eq!(
                (faults.changed, faults.total()),
                (1, 1),
                "{from_end}: {faults}"
            );
        }
    }

    #[test]
    fn a_shorter_body_and_another_path_are_changes() {
        let shorter = through(300, |frames| {
            let at = frames[5].len() - 60;
            frames[5].remove(at);
        });
        assert_eq!((shorter.changed, shorter.total()), (1, 1), "{shorter}");
        let other_path = through(300, |frames| {
            let at = memchr::memmem::find(&frames[5], b"receiver").unwrap();
            frames[5][at] = b'R';
        });
        assert_eq!(
            (other_path.changed, other_path.total()),
            (1, 1),
            "{other_path}"
        );
    }

    #[test]
    fn a_message_of_nobody_is_unexpected() {
        let faults = through(300, |frames| {
            let other = String::from_utf8_lossy(&frames[5]).contains("f0000007");
            assert!(other);
            let at = memchr::memmem::find(&frames[5], b"Message-ID: f0000007").unwrap();
            frames[5][at + 13] = b'9';
        });
        assert_eq!((faults.unexpected, faults.lost), (1, 1), "{faults}");
    }
}
