//! What is sent: numbered messages whose every octet the receiver knows beforehand.
//!
//! Message n of a flow has n in its Message-ID; its body is n in hexadecimal, then octets of a
//! random pattern from a place that n determines; its size is drawn from n, too. Transactions are
//! numbered on their own, one for each chunk. So checking needs no memory of what was sent.

use std::rc::Rc;

use super::chance::mix;
use super::framing::Framing;
use super::offer::{Load, Sizes};
use crate::msrp::{Flag, writer};

/// Octets of a number in hexadecimal: what a body begins with.
pub const LABEL_BYTES: usize = 16;
/// Octets of the part of an id that tells flows apart.
const PREFIX_BYTES: usize = 8;
/// Octets of an id.
pub const ID_BYTES: usize = PREFIX_BYTES + LABEL_BYTES;
/// Places the pattern may begin at.
const SHIFTS: u64 = 4096;
/// What every message says it is.
pub const CONTENT_TYPE: &str = "application/octet-stream";
/// A longer chunk must be interruptible, and so its range's end open. RFC 4975, 7.1.1.
pub const UNINTERRUPTIBLE_MAX: usize = 2048;

/// The octets that bodies are cut from. All sessions of a thread share it.
#[derive(Clone)]
pub struct Pattern(Rc<[u8]>);

impl Pattern {
    /// For bodies of up to `size` octets.
    pub fn new(size: usize) -> Pattern {
        // Any octets will do; these pass for random and are the same in every run.
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let octets = (0..size + SHIFTS as usize).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        });
        Pattern(octets.collect())
    }

    /// The `length` octets at `at` of the body of message `number`, where no label stands.
    pub fn part(&self, number: u64, at: usize, length: usize) -> &[u8] {
        let from = (number.wrapping_mul(61) % SHIFTS) as usize + at;
        &self.0[from..from + length]
    }
}

/// Which size message number so and so has.
#[derive(Clone)]
struct Mix(Rc<[(usize, u64)]>);

impl Mix {
    /// Sizes with their weights added up.
    fn new(sizes: &Sizes) -> Mix {
        let mut total = 0;
        let summed = sizes.list().iter().map(|&(size, weight)| {
            total += u64::from(weight);
            (size, total)
        });
        Mix(summed.collect())
    }

    fn size(&self, drawn: u64) -> usize {
        let Some(&(last, total)) = self.0.last() else {
            return 0;
        };
        if self.0.len() == 1 {
            return last;
        }
        let place = mix(drawn) % total;
        let found = self.0.iter().find(|(_, sum)| place < *sum);
        found.map_or(last, |(size, _)| *size)
    }
}

/// What both ends of a flow know: its messages and nothing of the way between them.
#[derive(Clone)]
pub struct Shape {
    /// Tells this flow's ids from others'.
    prefix: [u8; PREFIX_BYTES],
    flow: u32,
    sizes: Mix,
    /// Octets of a chunk's body at most.
    pub chunk: usize,
    /// Whether a 200 is wanted for each chunk.
    pub responses: bool,
    /// Whether a REPORT is wanted for each message.
    pub reports: bool,
    /// Where bodies come from.
    pub pattern: Pattern,
}

impl Shape {
    /// The flow number `flow` of a run.
    pub fn new(flow: u32, load: &Load, pattern: Pattern) -> Shape {
        let mut prefix = [0; PREFIX_BYTES];
        write_hexadecimal(&mut prefix, u64::from(flow));
        prefix[0] = b'f';
        Shape {
            prefix,
            flow,
            sizes: Mix::new(&load.sizes),
            chunk: load.chunk.unwrap_or(usize::MAX),
            responses: load.responses,
            reports: load.reports,
            pattern,
        }
    }

    /// Octets of message `number`.
    pub fn size(&self, number: u64) -> usize {
        self.sizes.size(number ^ (u64::from(self.flow) << 40))
    }

    /// Chunks of message `number`.
    pub fn chunks(&self, number: u64) -> u64 {
        self.size(number).div_ceil(self.chunk) as u64
    }

    /// Octets of the chunk of message `number` that begins with octet `at`, counted from 0.
    pub fn chunk_bytes(&self, number: u64, at: usize) -> usize {
        self.size(number).saturating_sub(at).min(self.chunk)
    }

    /// The id with this number.
    pub fn id(&self, number: u64) -> [u8; ID_BYTES] {
        let mut id = [0; ID_BYTES];
        id[..PREFIX_BYTES].copy_from_slice(&self.prefix);
        write_hexadecimal(&mut id[PREFIX_BYTES..], number);
        id
    }

    /// The transaction id of the REPORT on message `number`.
    pub fn report_id(&self, number: u64) -> [u8; ID_BYTES] {
        let mut id = self.id(number);
        id[0] = b'r';
        id
    }

    /// The number in an id of this flow.
    pub fn number(&self, id: &str) -> Option<u64> {
        let digits = id.as_bytes().strip_prefix(&self.prefix[..])?;
        let is_ours = digits.len() == LABEL_BYTES
            && digits
                .iter()
                .all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit));
        if !is_ours {
            return None;
        }
        u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

/// A message that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Its number.
    pub number: u64,
    /// The number of its first chunk's transaction; the others follow.
    pub transaction: u64,
    /// How many chunks it has.
    pub chunks: u64,
}

/// Writes the messages of one flow.
pub struct Writer {
    shape: Shape,
    /// What stands between the ids, up to the range.
    paths: Vec<u8>,
    /// What stands behind the range.
    rest: Vec<u8>,
    next: u64,
    transaction: u64,
}

impl Writer {
    /// From `own_uri` to `peer_path`.
    pub fn new(shape: Shape, own_uri: &str, peer_path: &str) -> Writer {
        let send = writer::Send {
            to_path: peer_path,
            from_path: own_uri,
            message_id: "@",
            success_report: shape.reports,
            failure_report: shape.responses,
        };
        let range = writer::Range {
            start: 1,
            end: None,
            total: 0,
        };
        // One head is written by the book and taken apart at what differs from chunk to chunk.
        let mut head = Vec::new();
        writer::send_head(&mut head, "@", &send, range, CONTENT_TYPE);
        let after = |what: &[u8]| memchr::memmem::find(&head, what).unwrap_or(0) + what.len();
        let paths = &head[after(b"MSRP @")..after(b"\r\nMessage-ID: ")];
        let rest = &head[after(b"Byte-Range: 1-*/0")..];
        Writer {
            paths: paths.to_vec(),
            rest: rest.to_vec(),
            shape,
            next: 0,
            transaction: 0,
        }
    }

    /// How many were written: the number of the next message.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Appends the next message to `out`, all its chunks, as they travel on the connection.
    pub fn write(&mut self, framing: &mut Framing, out: &mut Vec<u8>) -> Written {
        let number = self.next;
        self.next += 1;
        let written = Written {
            number,
            transaction: self.transaction,
            chunks: self.shape.chunks(number),
        };
        let size = self.shape.size(number);
        let mut at = 0;
        while at < size {
            let bytes = self.shape.chunk_bytes(number, at);
            let id = self.shape.id(self.transaction);
            self.transaction += 1;
            self.chunk(framing, out, number, &id, (at, bytes, size));
            at += bytes;
        }
        written
    }

    fn chunk(
        &self,
        framing: &mut Framing,
        out: &mut Vec<u8>,
        number: u64,
        tid: &[u8; ID_BYTES],
        (at, bytes, size): (usize, usize, usize),
    ) {
        let mut range = Digits::new();
        range.number(at as u64 + 1);
        range.text(b"-");
        match bytes {
            ..=UNINTERRUPTIBLE_MAX => range.number((at + bytes) as u64),
            _ => range.text(b"*"),
        }
        range.text(b"/");
        range.number(size as u64);
        let range = range.as_slice();
        let fixed = b"MSRP ".len() + b"\r\nByte-Range: ".len() + b"\r\n-------$\r\n".len();
        let ids = 3 * ID_BYTES;
        let heads = self.paths.len() + self.rest.len() + range.len();
        framing.chunk(out, fixed + ids + heads + bytes, |out| {
            out.extend_from_slice(b"MSRP ");
            out.extend_from_slice(tid);
            out.extend_from_slice(&self.paths);
            out.extend_from_slice(&self.shape.id(number));
            out.extend_from_slice(b"\r\nByte-Range: ");
            out.extend_from_slice(range);
            out.extend_from_slice(&self.rest);
            let mut label = [0; LABEL_BYTES];
            write_hexadecimal(&mut label, number);
            let labelled = &label[at.min(LABEL_BYTES)..(at + bytes).min(LABEL_BYTES)];
            out.extend_from_slice(labelled);
            let (from, rest) = (at + labelled.len(), bytes - labelled.len());
            out.extend_from_slice(self.shape.pattern.part(number, from, rest));
            let flag = if at + bytes == size { b"$" } else { b"+" };
            for piece in [b"\r\n-------", &tid[..], flag, b"\r\n"] {
                out.extend_from_slice(piece);
            }
        });
    }
}

/// A short text with numbers in it.
struct Digits {
    octets: [u8; 64],
    length: usize,
}

impl Digits {
    fn new() -> Digits {
        Digits {
            octets: [0; 64],
            length: 0,
        }
    }

    fn text(&mut self, text: &[u8]) {
        self.octets[self.length..self.length + text.len()].copy_from_slice(text);
        self.length += text.len();
    }

    fn number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return self.text(&digits[at..]);
            }
        }
    }

    fn as_slice(&self) -> &[u8] {
        &self.octets[..self.length]
    }
}

/// The flag that ends a chunk, whether or not it is its message's last.
pub fn flag_of(is_last: bool) -> Flag {
    if is_last { Flag::Last } else { Flag::More }
}

/// Fills `out` with the low digits of `number`.
pub fn write_hexadecimal(out: &mut [u8], mut number: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::offer::Legs;

    fn shape(sizes: &str, chunk: Option<usize>) -> Shape {
        let mut load = Load::closed(300, 1, 1, Legs::TCP_TCP);
        load.sizes = sizes.parse().unwrap();
        load.chunk = chunk;
        let pattern = Pattern::new(load.sizes.max());
        Shape::new(5, &load, pattern)
    }

    #[test]
    fn a_message_is_cut_into_chunks_that_say_where_they_belong() {
        let mut writer = Writer::new(
            shape("5000", Some(2049)),
            "msrp://a/b;tcp",
            "msrp://c/d;tcp",
        );
        let mut out = Vec::new();
        let written = writer.write(&mut Framing::Tcp, &mut out);
        assert_eq!(
            (written.number, written.transaction, written.chunks),
            (0, 0, 3)
        );
        let text = String::from_utf8_lossy(&out).into_owned();
        for line in ["1-*/5000\r\n", "2050-*/5000\r\n", "4099-5000/5000\r\n"] {
            assert_eq!(
                text.matches(&format!("Byte-Range: {line}")).count(),
                1,
                "{line}"
            );
        }
        for end in ["0000000+\r\n", "0000001+\r\n", "0000002$\r\n"] {
            assert_eq!(text.matches(end).count(), 1, "{end}");
        }
        let next = writer.write(&mut Framing::Tcp, &mut out);
        assert_eq!((next.number, next.transaction), (1, 3));
    }

    #[test]
    fn sizes_are_drawn_by_their_weight_and_are_the_same_for_both_ends() {
        let shape = shape("16:1,300:3", None);
        let small = (0..10_000).filter(|&n| shape.size(n) == 16).count();
        assert!((2300..2700).contains(&small), "{small}");
        assert_eq!(shape.size(77), shape.clone().size(77));
    }
}
