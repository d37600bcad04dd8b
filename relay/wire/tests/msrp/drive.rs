//! Feeds the reader as a connection would, and puts the messages together again.

use wire::limits::{HEAD_BYTES_MAX, HELD_BYTES_MAX};
use wire::msrp::{Part, Read, Reader};

use super::judge::{Ending, Message, judge};

/// A reader, the octets it wants kept, and what has come out of it.
#[derive(Default)]
pub struct Driver {
    reader: Reader,
    kept: Vec<u8>,
    pub messages: Vec<Message>,
    open: bool,
}

impl Driver {
    /// One input: what was kept, and then `piece`.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Ending> {
        let mut input = std::mem::take(&mut self.kept);
        // The caller's buffer may have anything before what is to be read.
        let mut at = 3;
        input.splice(0..0, *b"xyz");
        input.extend_from_slice(piece);
        loop {
            match self.reader.read(&input, at).map_err(Ending::Malformed)? {
                Read::Part(part) => {
                    assert!(part.span.start == at && part.span.end <= input.len());
                    at = part.span.end;
                    assert!(part.append.is_empty());
                    self.take(&part, &input);
                }
                Read::More { keep } => {
                    assert!(keep <= HEAD_BYTES_MAX && keep <= input.len() - at);
                    assert!(keep == 0 || !self.open, "octets are kept only in a head");
                    self.kept = input.split_off(input.len() - keep);
                    assert_eq!(
                        self.reader.is_between_chunks(),
                        !self.open && self.kept.is_empty()
                    );
                    self.check_held();
                    return Ok(());
                }
            }
        }
    }

    /// The WebSocket message is over.
    pub fn end_of_message(&mut self) -> Result<(), Ending> {
        let input = std::mem::take(&mut self.kept);
        if let Some(part) = self
            .reader
            .end_of_message(&input, 0)
            .map_err(Ending::Malformed)?
        {
            self.take(&part, &input);
            assert!(part.end.is_some());
        }
        assert!(self.reader.is_between_chunks());
        Ok(())
    }

    fn check_held(&self) {
        let held = self.reader.held();
        assert!(held.len() <= HELD_BYTES_MAX);
        if self.open {
            let transaction = self.reader.transaction();
            assert_eq!(transaction, self.messages.last().unwrap().transaction);
            // Where the blank line serves as the CRLF, only what follows it is held.
            let is_beginning = b"$+#".iter().any(|flag| {
                let end_line = [b"\r\n-------", transaction, &[*flag], b"\r"].concat();
                end_line.starts_with(held) || end_line[2..].starts_with(held)
            });
            assert!(is_beginning, "{held:?}");
        } else {
            assert!(held.is_empty() && self.reader.transaction().is_empty());
        }
    }

    fn take(&mut self, part: &Part, input: &[u8]) {
        let octets = [part.held.as_slice(), &input[part.span.clone()], part.append].concat();
        if let Some(head) = part.head {
            assert!(!self.open && part.held.as_slice().is_empty());
            self.open = true;
            let own = |field: wire::msrp::Field| field.of(&octets).to_vec();
            self.messages.push(Message {
                kind: head.kind,
                transaction: own(head.transaction),
                subject: own(head.subject),
                to_path: own(head.to_path),
                from_path: own(head.from_path),
                rest: head.rest.into(),
                message_id: head.message_id.map(own),
                byte_range: head.byte_range,
                failure_report: head.failure_report,
                success_report: head.success_report,
                status: head.status,
                has_body: head.has_body,
                head_bytes: head.bytes.into(),
                fault: head.fault,
                body: Vec::new(),
                body_fault: None,
                end: None,
                raw: Vec::new(),
            });
        }
        assert!(self.open, "a part belongs to a chunk");
        let message = self.messages.last_mut().unwrap();
        let head_bytes = if part.head.is_some() {
            message.head_bytes
        } else {
            0
        };
        let body = usize::try_from(part.body).unwrap();
        message
            .body
            .extend_from_slice(&octets[head_bytes..head_bytes + body]);
        message.raw.extend_from_slice(&octets);
        if part.body_fault.is_some() {
            assert_eq!(message.body_fault, None, "told once");
            message.body_fault = part.body_fault;
        }
        if let Some(end) = part.end {
            message.end = Some(end.octet());
            self.open = false;
        } else {
            assert_eq!(octets.len(), head_bytes + body);
        }
    }

    fn ending(&self) -> Ending {
        match (self.open, self.kept.is_empty()) {
            (true, _) => Ending::InBody,
            (false, false) => Ending::InHead,
            (false, true) => Ending::BetweenChunks,
        }
    }
}

/// Reads a stream that comes in pieces, cut at `cuts` (ascending).
pub fn read_in_pieces(stream: &[u8], cuts: &[usize]) -> (Vec<Message>, Ending) {
    let mut driver = Driver::default();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        if let Err(ending) = driver.feed(&stream[from..cut]) {
            return (driver.messages, ending);
        }
        from = cut;
    }
    let ending = driver.ending();
    // The judge counts what is held back as body.
    let held = driver.reader.held().to_vec();
    if let (Ending::InBody, Some(message)) = (ending, driver.messages.last_mut()) {
        message.body.extend_from_slice(&held);
        message.raw.extend_from_slice(&held);
        message.body_fault = None;
    }
    (driver.messages, ending)
}

/// Reader and judge must agree about the stream, cut like this.
pub fn check(stream: &[u8], cuts: &[usize]) {
    let expected = judge(stream);
    let (messages, ending) = read_in_pieces(stream, cuts);
    if (&messages, ending) != (&expected.0, expected.1) {
        panic!(
            "cut at {cuts:?}: {}\nreader: {ending:?} {messages:#?}\njudge: {:?} {:#?}",
            stream.escape_ascii(),
            expected.1,
            expected.0
        );
    }
}

/// As [`check`], for the whole stream, each of its cuts in two, and octet by octet.
pub fn check_every_cut(stream: &[u8]) {
    let expected = judge(stream);
    let whole_and_octets = [Vec::new(), (0..stream.len()).collect()];
    for cuts in whole_and_octets
        .into_iter()
        .chain((0..=stream.len()).map(|cut| vec![cut]))
    {
        let outcome = read_in_pieces(stream, &cuts);
        assert!(
            outcome == expected,
            "cut at {cuts:?}: {}\n{outcome:#?}\n{expected:#?}",
            stream.escape_ascii()
        );
    }
}
