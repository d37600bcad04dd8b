//! What arrives, against what must arrive: every message once, in order, unchanged.

use std::collections::VecDeque;
use std::fmt;

use super::traffic::{CONTENT_TYPE, LABEL_BYTES, Shape, write_hexadecimal};
use crate::msrp::{ByteRange, FailureReport, Flag, Head};

/// What went wrong, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Faults {
    /// Messages that never arrived.
    pub lost: u64,
    /// Messages that arrived again.
    pub doubled: u64,
    /// Messages that arrived before an earlier one.
    pub reordered: u64,
    /// Messages with an octet or a field that is not as it was sent.
    pub changed: u64,
    /// Messages and responses that nobody sent, refusals, broken framing.
    pub unexpected: u64,
    /// Responses that never arrived.
    pub unanswered: u64,
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
            ended,
            first,
        } = self;
        write!(
            f,
            "{lost} lost, {doubled} doubled, {reordered} out of order, {changed} changed, \
             {unexpected} unexpected, {unanswered} unanswered, {ended} connections ended early"
        )?;
        first
            .as_ref()
            .map_or(Ok(()), |first| write!(f, "; first: {first}"))
    }
}

/// A message on its way.
struct InFlight {
    number: u64,
    sent_ns: u64,
}

/// The message that is being read.
struct Current {
    number: u64,
    at: usize,
    is_changed: bool,
}

/// Checks one flow. It is told what is sent, and reads what arrives.
pub struct Checker {
    shape: Shape,
    /// The URIs a message must arrive with.
    to_path: String,
    from_path: String,
    in_flight: VecDeque<InFlight>,
    current: Option<Current>,
    /// Numbers below this were sent.
    sent: u64,
    arrived: u64,
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
        }
    }

    /// Message `number` is sent now.
    pub fn sent(&mut self, number: u64, now_ns: u64) {
        debug_assert_eq!(number, self.sent, "numbers have no gaps");
        self.sent = number + 1;
        self.in_flight.push_back(InFlight {
            number,
            sent_ns: now_ns,
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

    /// A SEND with a body begins.
    pub fn head(&mut self, head: &Head<'_>, faults: &mut Faults) {
        let number = head.message_id.and_then(|id| self.shape.number(id));
        let Some(number) = number else {
            faults.unexpected += 1;
            faults.note(|| format!("a message with the id {:?}", head.message_id));
            self.current = None;
            return;
        };
        let size = self.shape.size as u64;
        let end = (size <= 2048).then_some(size);
        let range = ByteRange {
            start: 1,
            end,
            total: Some(size),
        };
        let report = match self.shape.responses {
            true => FailureReport::Yes,
            false => FailureReport::No,
        };
        let wrong = [
            (Some(head.tid) != head.message_id, "transaction id"),
            (head.to_path != self.to_path, "To-Path"),
            (head.from_path != self.from_path, "From-Path"),
            (head.byte_range != Some(range), "Byte-Range"),
            (head.failure_report != report, "Failure-Report"),
            (head.success_report, "Success-Report"),
            (head.content_type != Some(CONTENT_TYPE), "Content-Type"),
        ];
        let wrong = wrong.iter().find(|(is_wrong, _)| *is_wrong);
        if let Some((_, what)) = wrong {
            faults.note(|| format!("message {number} arrived with another {what}: {head:?}"));
        }
        self.current = Some(Current {
            number,
            at: 0,
            is_changed: wrong.is_some(),
        });
    }

    /// A piece of its body.
    pub fn body(&mut self, mut piece: &[u8], faults: &mut Faults) {
        let Some(current) = &mut self.current else {
            return;
        };
        if current.at < LABEL_BYTES {
            let mut label = [0; LABEL_BYTES];
            write_hexadecimal(&mut label, current.number);
            let (part, rest) = piece.split_at(piece.len().min(LABEL_BYTES - current.at));
            current.compare(&label[current.at..current.at + part.len()], part, faults);
            piece = rest;
        }
        let fits = piece.len().min(self.shape.size.saturating_sub(current.at));
        let expected = self.shape.pattern.part(current.number, current.at, fits);
        let (part, surplus) = piece.split_at(fits);
        current.compare(expected, part, faults);
        if !surplus.is_empty() {
            current.is_changed = true;
            faults.note(|| format!("message {} is longer than it was", current.number));
        }
    }

    /// It is over. Gives when it was sent, if it is one that was on its way.
    pub fn end(&mut self, flag: Flag, faults: &mut Faults) -> Option<u64> {
        let current = self.current.take()?;
        let number = current.number;
        if current.at != self.shape.size || flag != Flag::Last {
            let (at, size) = (current.at, self.shape.size);
            faults.note(|| format!("message {number} ended {flag:?} after {at} of {size} octets"));
        }
        let is_whole = current.at == self.shape.size && flag == Flag::Last;
        faults.changed += u64::from(current.is_changed || !is_whole);
        match self
            .in_flight
            .iter()
            .position(|message| message.number == number)
        {
            Some(position) => {
                if position > 0 {
                    faults.reordered += 1;
                    faults.note(|| format!("message {number} overtook {position} others"));
                }
                self.arrived += 1;
                self.in_flight
                    .remove(position)
                    .map(|message| message.sent_ns)
            }
            None if number < self.sent => {
                faults.doubled += 1;
                faults.note(|| format!("message {number} arrived again"));
                None
            }
            None => {
                faults.unexpected += 1;
                faults.note(|| format!("message {number} arrived and was never sent"));
                None
            }
        }
    }

    /// Nothing more will come: what is still on its way is lost.
    pub fn finish(&mut self, faults: &mut Faults) {
        if let Some(first) = self.in_flight.front() {
            faults.note(|| format!("message {} never arrived", first.number));
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
    use crate::load::traffic::{Pattern, Writer};
    use crate::msrp::{Event, Reader};

    const SENDER: &str = "msrp://a.example:1/sender;tcp";
    const RELAY_IN: &str = "msrp://r.example:2/in;tcp";
    const RELAY_OUT: &str = "msrp://r.example:2/out;tcp";
    const RECEIVER: &str = "msrp://b.example:3/receiver;tcp";

    /// Sends `messages` through a relay that rewrites paths and then does what `harm` does to the
    /// frames; gives what the checker found.
    fn through(size: usize, harm: impl FnOnce(&mut Vec<Vec<u8>>)) -> Faults {
        let shape = Shape::new(7, size, false, Pattern::new(size));
        let mut writer = Writer::new(shape.clone(), SENDER, RELAY_IN);
        let mut checker = Checker::new(shape, RECEIVER, RELAY_OUT);
        let mut frames: Vec<Vec<u8>> = Vec::new();
        for _ in 0..20 {
            let mut frame = Vec::new();
            checker.sent(writer.write(&mut frame), 1);
            assert_eq!(frame.len(), writer.bytes());
            let body = memchr::memmem::find(&frame, b"\r\n\r\n").unwrap();
            let head = String::from_utf8(frame[..body].to_vec()).unwrap();
            let head = head.replace(RELAY_IN, RECEIVER).replace(SENDER, RELAY_OUT);
            frames.push([head.as_bytes(), &frame[body..]].concat());
        }
        harm(&mut frames);
        let mut faults = Faults::default();
        let mut reader = Reader::default();
        for piece in frames.concat().chunks(1000) {
            reader.space()[..piece.len()].copy_from_slice(piece);
            reader.filled(piece.len());
            while let Some(event) = reader.event().unwrap() {
                match event {
                    Event::Head(head) => checker.head(&head, &mut faults),
                    Event::Body(piece) => checker.body(piece, &mut faults),
                    Event::End(flag) => drop(checker.end(flag, &mut faults)),
                }
            }
        }
        checker.finish(&mut faults);
        faults
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
