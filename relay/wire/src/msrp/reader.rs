//! Finds heads, bodies and end-lines in a stream of octets. RFC 4975, 7.1 and 7.3.1.
//!
//! Parts come out as offsets, in the order of the stream: `held`, `span` and `append` of all parts,
//! one after the other, are the stream (but for `append`, which is what a peer left out). Not here:
//! what a head says (`head`), the search for an end-line within one input (`end_line`).

use std::ops::Range;

use super::end_line::{self, Found, LEAD};
use super::head::{Fault, Head, Kind, Method};
use super::progress::{Progress, Step};
use crate::limits::{HELD_BYTES_MAX, OTHER_BODY_BYTES_MAX};

/// How the chunk ended: the flag of its end-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// `$`: the last chunk of its message, and what every response and REPORT ends in.
    Last,
    /// `+`: more chunks follow.
    More,
    /// `#`: the message is given up.
    Aborted,
}

/// Octets that looked like the beginning of an end-line at the end of earlier inputs.
#[derive(Clone, Copy)]
pub struct Held {
    bytes: [u8; HELD_BYTES_MAX],
    len: u8,
}

/// What one input holds of one chunk. Mostly that is all of it: head, body and end-line.
#[derive(Clone, Debug)]
pub struct Part {
    /// Octets of earlier inputs that go before `span`.
    pub held: Held,
    /// The chunk starts in this part; offsets count from `span.start`. `held` is empty then.
    pub head: Option<Head>,
    /// In the input: octets of head, body and end-line, contiguous. May be empty.
    pub span: Range<usize>,
    /// Octets now known to be body, those in `held` included; the end-line and the CRLF before it
    /// are not.
    pub body: u64,
    /// The chunk ends with this part.
    pub end: Option<Continuation>,
    /// Octets that go after `span` though the input lacks them: the final CRLF, or half of it, that
    /// [`Reader::end_of_message`] forgave. Empty otherwise.
    pub append: &'static [u8],
    /// The body broke a rule with this part; said once per chunk.
    pub body_fault: Option<Fault>,
}

/// What [`Reader::read`] found.
#[derive(Clone, Debug)]
pub enum Read {
    /// A piece of one chunk. Read on at `span.end`.
    Part(Part),
    /// The input is used up, but for its last `keep` octets: they begin a head and must be
    /// presented again, with what follows them. `keep` is 0 unless in a head, and at most
    /// [`crate::limits::HEAD_BYTES_MAX`].
    More {
        /// Octets to present again.
        keep: usize,
    },
}

/// The framing is lost; the connection can only be closed. The peer's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// A message does not begin with `MSRP `.
    NotMsrp,
    /// The start line is over [`crate::limits::START_LINE_BYTES_MAX`].
    StartLineTooLong,
    /// The transaction id is no identifier of 1 to [`crate::limits::TRANSACTION_BYTES_MAX`] octets.
    Transaction,
    /// The head is over [`crate::limits::HEAD_BYTES_MAX`].
    HeadTooLong,
    /// The WebSocket message ended inside a chunk.
    Truncated,
}

/// A streaming reader of MSRP messages: one per connection and direction.
///
/// Feed it with [`read`](Reader::read) until that says [`Read::More`]. After [`Malformed`] it must
/// not be used again. What it makes of a stream does not depend on how the stream is cut into
/// inputs.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Between chunks, or in a head, whose octets stay with the caller.
    Head(Progress),
    /// In a body.
    Body(Body),
}

impl Default for State {
    fn default() -> State {
        State::Head(Progress::default())
    }
}

impl Reader {
    /// A reader that expects the beginning of a message.
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Reads on in `input`, from `at`: octets not read before, except that a head's octets which
    /// the last [`Read::More`] wanted kept must stand at `at`, contiguous with what follows them.
    ///
    /// An octet is looked at once, however the input is cut: feeding a head octet by octet is
    /// linear.
    pub fn read(&mut self, input: &[u8], at: usize) -> Result<Read, Malformed> {
        debug_assert!(at <= input.len());
        match &mut self.state {
            State::Head(progress) => {
                let octets = input.get(at..).unwrap_or_default();
                match progress.read(octets)? {
                    Step::More => Ok(Read::More { keep: octets.len() }),
                    Step::Body(head) => Ok(Read::Part(self.open_body(head, input, at))),
                    Step::End { head, flag, after } => {
                        *progress = Progress::default();
                        Ok(Read::Part(Part {
                            head: Some(head),
                            end: Some(flag.of(head.kind)),
                            ..Part::data(Held::EMPTY, at..at + after, 0)
                        }))
                    }
                }
            }
            State::Body(body) => {
                let Some(part) = body.read(input, at) else {
                    return Ok(Read::More { keep: 0 });
                };
                if part.end.is_some() {
                    self.state = State::default();
                }
                Ok(Read::Part(part))
            }
        }
    }

    /// Whether no chunk is open, not even by the first octet of its head.
    pub fn is_between_chunks(&self) -> bool {
        matches!(&self.state, State::Head(progress) if progress.is_fresh())
    }

    /// The WebSocket message that carried the chunk is over; call it after [`Read::More`], with the
    /// same `input` and the `at` where its kept octets begin (`input.len() - keep`).
    ///
    /// `None`: nothing was open. A part: the end-line lacked its final CRLF, wholly or half, which
    /// is forgiven: [`Part::append`] has what is missing. Otherwise [`Malformed::Truncated`].
    pub fn end_of_message(&mut self, input: &[u8], at: usize) -> Result<Option<Part>, Malformed> {
        debug_assert!(at <= input.len());
        let part = match &mut self.state {
            State::Head(progress) if progress.is_fresh() => return Ok(None),
            State::Head(progress) => {
                let octets = input.get(at..).unwrap_or_default();
                let (head, flag) = progress.read_end(octets).ok_or(Malformed::Truncated)?;
                Part {
                    head: Some(head),
                    end: Some(flag.of(head.kind)),
                    append: if octets.ends_with(b"\r") {
                        b"\n"
                    } else {
                        b"\r\n"
                    },
                    ..Part::data(Held::EMPTY, at..input.len(), 0)
                }
            }
            State::Body(body) => body.end_of_message(at).ok_or(Malformed::Truncated)?,
        };
        self.state = State::default();
        Ok(Some(part))
    }

    /// Transaction id of the chunk whose body is open; empty if there is none.
    pub fn transaction(&self) -> &[u8] {
        match &self.state {
            State::Head(_) => &[],
            State::Body(body) => body.transaction(),
        }
    }

    /// Octets of the open body that are held back.
    pub fn held(&self) -> &[u8] {
        match &self.state {
            State::Head(_) => &[],
            State::Body(body) => body.held_octets(body.matched),
        }
    }

    /// What of them is data if the chunk is cut off here: all, or, if nothing but the end-line's
    /// CRLF is missing, nothing. With the CRLF before the end-line that cuts off, those would be a
    /// true end-line, and the other a line that belongs to nothing.
    pub fn held_data(&self) -> &[u8] {
        match &self.state {
            State::Body(body) if usize::from(body.matched) > body.flag_at() => &[],
            _ => self.held(),
        }
    }

    /// A head with a body was read at `at`; reads on in the body, which may end in the same input.
    fn open_body(&mut self, head: Head, input: &[u8], at: usize) -> Part {
        let start = at + usize::from(head.bytes);
        let transaction = head.transaction.of(&input[at..]);
        // The blank line's CRLF may be the one that begins the end-line: an empty body is written
        // with or without a CRLF of its own.
        match end_line::find(input, start - 2, transaction) {
            Found::End {
                at: data_end,
                after,
                flag,
            } => {
                let body = data_end.saturating_sub(start) as u64;
                self.state = State::default();
                Part {
                    head: Some(head),
                    end: Some(flag.of(head.kind)),
                    body_fault: body_fault(head.kind, 0, body),
                    ..Part::data(Held::EMPTY, at..after, body)
                }
            }
            Found::Nothing { data_end } => {
                let body = data_end.saturating_sub(start) as u64;
                self.state = State::Body(Body::new(head.kind, transaction, body, data_end < start));
                Part {
                    head: Some(head),
                    body_fault: body_fault(head.kind, 0, body),
                    ..Part::data(Held::EMPTY, at..data_end.max(start), body)
                }
            }
        }
    }
}

/// A body under way.
#[derive(Clone, Debug)]
struct Body {
    kind: Kind,
    /// Octets of the body so far.
    bytes: u64,
    /// The end-line without its LF; the flag in it is the one that was read last.
    end_line: [u8; HELD_BYTES_MAX],
    /// Length of the transaction id in `end_line`.
    transaction_bytes: u8,
    /// Octets of `end_line` that the input so far ends in, and that were not given out for this
    /// reason.
    matched: u8,
    /// Of these, octets that were given out: 2 where the blank line's CRLF serves as the first two.
    given: u8,
}

/// What one more octet does to a match.
enum Match {
    Longer,
    Whole(Continuation),
    Failed,
}

impl Body {
    fn new(kind: Kind, transaction: &[u8], bytes: u64, lead_is_given: bool) -> Body {
        let given = if lead_is_given { 2 } else { 0 };
        let mut body = Body {
            kind,
            bytes,
            end_line: [0; HELD_BYTES_MAX],
            transaction_bytes: transaction.len() as u8,
            matched: given,
            given,
        };
        body.end_line[..LEAD.len()].copy_from_slice(LEAD);
        body.end_line[LEAD.len()..][..transaction.len()].copy_from_slice(transaction);
        body.end_line[body.flag_at() + 1] = b'\r';
        body
    }

    fn transaction(&self) -> &[u8] {
        &self.end_line[LEAD.len()..self.flag_at()]
    }

    fn flag_at(&self) -> usize {
        LEAD.len() + usize::from(self.transaction_bytes)
    }

    /// What is to be given out of the first `matched` octets of an end-line.
    fn held_octets(&self, matched: u8) -> &[u8] {
        &self.end_line[usize::from(self.given.min(matched))..usize::from(matched)]
    }

    /// `None`: the input is used up, and there is nothing to give out.
    fn read(&mut self, input: &[u8], at: usize) -> Option<Part> {
        let mut held = Held::EMPTY;
        let mut from = at;
        if self.matched > 0 {
            let matched_before = self.matched;
            loop {
                match self.take(*input.get(from)?) {
                    Match::Longer => from += 1,
                    Match::Whole(flag) => {
                        let held = Held::new(self.held_octets(matched_before));
                        return Some(self.part(held, at..from + 1, 0, Some(flag)));
                    }
                    Match::Failed => break,
                }
            }
            held = Held::new(self.held_octets(matched_before));
            self.matched = 0;
            self.given = 0;
        }
        let held_bytes = u64::from(held.len);
        match end_line::find(input, from, self.transaction()) {
            Found::End {
                at: data_end,
                after,
                flag,
            } => {
                let body = held_bytes + (data_end - at) as u64;
                Some(self.part(held, at..after, body, Some(flag)))
            }
            Found::Nothing { data_end } if data_end > at || held.len > 0 => {
                let body = held_bytes + (data_end - at) as u64;
                Some(self.part(held, at..data_end, body, None))
            }
            Found::Nothing { data_end } => {
                let tail = &input[data_end..];
                self.end_line[..tail.len()].copy_from_slice(tail);
                self.matched = tail.len() as u8;
                None
            }
        }
    }

    /// Compares the next octet with the end-line.
    fn take(&mut self, octet: u8) -> Match {
        let next = usize::from(self.matched);
        let flag_at = self.flag_at();
        if next == flag_at {
            if Continuation::from_octet(octet).is_none() {
                return Match::Failed;
            }
            self.end_line[flag_at] = octet;
        } else if next == flag_at + 2 {
            let flag = Continuation::from_octet(self.end_line[flag_at]);
            return flag
                .filter(|_| octet == b'\n')
                .map_or(Match::Failed, Match::Whole);
        } else if octet != self.end_line[next] {
            return Match::Failed;
        }
        self.matched += 1;
        Match::Longer
    }

    /// The end-line's CRLF, or half of it, may be missing where the message ends.
    fn end_of_message(&mut self, at: usize) -> Option<Part> {
        let matched = usize::from(self.matched);
        let flag = Continuation::from_octet(self.end_line[self.flag_at()])?;
        let append: &[u8] = match matched.checked_sub(self.flag_at())? {
            1 => b"\r\n",
            2 => b"\n",
            _ => return None,
        };
        let held = Held::new(self.held_octets(self.matched));
        Some(Part {
            append,
            ..self.part(held, at..at, 0, Some(flag))
        })
    }

    fn part(
        &mut self,
        held: Held,
        span: Range<usize>,
        body: u64,
        end: Option<Continuation>,
    ) -> Part {
        let body_fault = body_fault(self.kind, self.bytes, body);
        self.bytes += body;
        Part {
            end: end.map(|flag| flag.of(self.kind)),
            body_fault,
            ..Part::data(held, span, body)
        }
    }
}

/// The fault of a body that grows by `more` octets, told once.
fn body_fault(kind: Kind, before: u64, more: u64) -> Option<Fault> {
    let passes = before <= OTHER_BODY_BYTES_MAX && before + more > OTHER_BODY_BYTES_MAX;
    (kind != Kind::Request(Method::Send) && passes).then_some(Fault::BodyTooLarge)
}

impl Continuation {
    /// By its octet in an end-line.
    pub fn from_octet(octet: u8) -> Option<Continuation> {
        match octet {
            b'$' => Some(Continuation::Last),
            b'+' => Some(Continuation::More),
            b'#' => Some(Continuation::Aborted),
            _ => None,
        }
    }

    /// Its octet in an end-line.
    pub fn octet(self) -> u8 {
        match self {
            Continuation::Last => b'$',
            Continuation::More => b'+',
            Continuation::Aborted => b'#',
        }
    }

    /// Responses and REPORTs are never chunked: they end, whatever their flag says.
    fn of(self, kind: Kind) -> Continuation {
        match kind {
            Kind::Response(_) | Kind::Request(Method::Report) => Continuation::Last,
            Kind::Request(_) => self,
        }
    }
}

impl Part {
    fn data(held: Held, span: Range<usize>, body: u64) -> Part {
        Part {
            held,
            head: None,
            span,
            body,
            end: None,
            append: b"",
            body_fault: None,
        }
    }
}

impl Held {
    /// Nothing.
    pub const EMPTY: Held = Held {
        bytes: [0; HELD_BYTES_MAX],
        len: 0,
    };

    fn new(octets: &[u8]) -> Held {
        let mut held = Held::EMPTY;
        held.bytes[..octets.len()].copy_from_slice(octets);
        held.len = octets.len() as u8;
        held
    }

    /// The octets.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Held({} octets)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_small() {
        assert!(size_of::<Reader>() < 200, "{}", size_of::<Reader>());
    }
}
