//! What is sent: numbered messages whose every octet the receiver knows beforehand.
//!
//! Message n of a flow is a SEND whose transaction id and Message-ID hold n and whose body is n in
//! hexadecimal, then octets of a random pattern from a place that n determines. Writing one is a
//! copy and four patches; checking one needs no memory of what was sent.

use std::rc::Rc;

use crate::msrp::{Flag, writer};

/// Octets of a number in hexadecimal: what a body begins with.
pub const LABEL_BYTES: usize = 16;
/// Octets of the part of an id that tells flows apart.
const PREFIX_BYTES: usize = 8;
/// Places the pattern may begin at.
const SHIFTS: u64 = 4096;
/// What every message says it is.
pub const CONTENT_TYPE: &str = "application/octet-stream";

/// The octets that bodies are cut from. All sessions of a thread share it.
#[derive(Clone)]
pub struct Pattern(Rc<[u8]>);

impl Pattern {
    /// For bodies of `size` octets.
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

/// What both ends of a flow know: its messages and nothing of the way between them.
#[derive(Clone)]
pub struct Shape {
    /// Tells this flow's ids from others'.
    pub prefix: [u8; PREFIX_BYTES],
    /// Octets of a body.
    pub size: usize,
    /// Whether a 200 is wanted.
    pub responses: bool,
    /// Where bodies come from.
    pub pattern: Pattern,
}

impl Shape {
    /// The flow number `flow` of a run.
    pub fn new(flow: u32, size: usize, responses: bool, pattern: Pattern) -> Shape {
        let mut prefix = [0; PREFIX_BYTES];
        write_hexadecimal(&mut prefix, u64::from(flow));
        prefix[0] = b'f';
        Shape {
            prefix,
            size,
            responses,
            pattern,
        }
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

/// Writes the messages of one flow.
pub struct Writer {
    shape: Shape,
    template: Vec<u8>,
    /// Where ids stand in the template, without their prefix.
    ids: [usize; 3],
    body: usize,
    next: u64,
}

impl Writer {
    /// From `own_uri` to `peer_uri`.
    pub fn new(shape: Shape, own_uri: &str, peer_uri: &str) -> Writer {
        let mut id = shape.prefix.to_vec();
        id.resize(PREFIX_BYTES + LABEL_BYTES, b'0');
        let id = String::from_utf8_lossy(&id).into_owned();
        let send = writer::Send {
            to_path: peer_uri,
            from_path: own_uri,
            message_id: &id,
            success_report: false,
            failure_report: shape.responses,
        };
        let total = shape.size as u64;
        // RFC 4975, 7.1.1: what is longer must be interruptible.
        let range = writer::Range {
            start: 1,
            end: (total <= 2048).then_some(total),
            total,
        };
        let mut template = Vec::new();
        writer::send_head(&mut template, &id, &send, range, CONTENT_TYPE);
        let body = template.len();
        template.resize(body + shape.size, 0);
        writer::end_line(&mut template, &id, Flag::Last);

        let head = &template[..body];
        let first = memchr::memmem::find(head, id.as_bytes());
        let second = memchr::memmem::rfind(head, id.as_bytes());
        let third = template.len() - id.len() - 3;
        let ids = [first, second, Some(third)].map(|at| at.unwrap_or(0) + PREFIX_BYTES);
        Writer {
            shape,
            template,
            ids,
            body,
            next: 0,
        }
    }

    /// Octets of one message.
    pub fn bytes(&self) -> usize {
        self.template.len()
    }

    /// The number of the next message.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Appends the next message to `out`.
    pub fn write(&mut self, out: &mut Vec<u8>) -> u64 {
        let number = self.next;
        self.next += 1;
        let mut label = [0; LABEL_BYTES];
        write_hexadecimal(&mut label, number);
        for at in self.ids {
            self.template[at..at + LABEL_BYTES].copy_from_slice(&label);
        }
        let after = self.body + LABEL_BYTES;
        let rest = self.shape.size - LABEL_BYTES;
        out.extend_from_slice(&self.template[..self.body]);
        out.extend_from_slice(&label);
        out.extend_from_slice(self.shape.pattern.part(number, LABEL_BYTES, rest));
        out.extend_from_slice(&self.template[after + rest..]);
        number
    }
}

/// Fills `out` with the low digits of `number`.
pub fn write_hexadecimal(out: &mut [u8], mut number: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}
