//! One slot's content, and the byte codec that commands and events share.
//!
//! ```text
//! 0        2      3      4
//! ┌────────┬──────┬──────┬──────────────────────────────────────────────┐
//! │ length │ kind │ zero │ the fields of the kind, little-endian, packed │
//! └────────┴──────┴──────┴──────────────────────────────────────────────┘
//! ```
//!
//! `length` counts the whole record, these four bytes too; what lies behind it in the slot means
//! nothing. Safe code only, no allocation: a decoded record borrows from the copy it was made from.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Bytes of one record, that is, of one slot of a queue.
pub const RECORD_BYTES: usize = 2048;

/// Longest path (all URIs of an `a=path`, with the blanks between them) the link carries, in bytes.
pub const PATH_BYTES_MAX: usize = 1024;

/// Bytes before the first field.
const HEAD_BYTES: usize = 4;

const _: () = assert!(
    RECORD_BYTES <= u16::MAX as usize,
    "a length must fit in its field"
);
const _: () = assert!(
    RECORD_BYTES.is_multiple_of(8),
    "a record is copied in words of eight"
);

/// A session of the relay: two legs and what flows between them. Control chooses the number and never
/// uses it twice, so that asking twice for the same session makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// One side of a session. Either may be of any transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Leg {
    /// Toward the browser.
    A,
    /// Toward the handset.
    B,
}

impl Leg {
    /// Both, in the order in which arrays of two hold them.
    pub const ALL: [Leg; 2] = [Leg::A, Leg::B];

    /// The leg at the other end.
    pub fn other(self) -> Leg {
        match self {
            Leg::A => Leg::B,
            Leg::B => Leg::A,
        }
    }

    /// Where an array of two holds this leg: 0 or 1.
    pub fn index(self) -> usize {
        match self {
            Leg::A => 0,
            Leg::B => 1,
        }
    }
}

/// How MSRP travels on a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// WebSocket in the clear. RFC 7977.
    Ws,
    /// WebSocket in TLS. RFC 7977.
    Wss,
    /// TCP. RFC 4975.
    Tcp,
    /// TLS over TCP. RFC 4975.
    Tls,
}

/// A field does not fit: a path longer than [`PATH_BYTES_MAX`], or all fields together longer than
/// [`RECORD_BYTES`]. The caller's fault; the record must not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// Which field did not fit.
    pub what: &'static str,
    /// What would have fitted, in bytes.
    pub limit_bytes: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the {} is longer than the {} bytes the link has for it",
            self.what, self.limit_bytes
        )
    }
}

impl std::error::Error for TooLong {}

/// Why a record can't be read. The fault of the process at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invalid {
    /// The length is below the record's head or above the slot.
    Length(u16),
    /// No command, or no event, has this number.
    Kind(u8),
    /// The fields end behind the record's length.
    Truncated,
    /// The record is longer than its fields.
    Trailing,
    /// A field holds a value that has no meaning, or is over its limit.
    Value(&'static str),
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::Length(bytes) => write!(f, "a record of {bytes} bytes does not exist"),
            Invalid::Kind(kind) => write!(f, "record kind {kind:#04x} is unknown here"),
            Invalid::Truncated => write!(f, "the record ends inside its fields"),
            Invalid::Trailing => write!(f, "the record goes on behind its fields"),
            Invalid::Value(what) => write!(f, "the record's {what} has no meaning"),
        }
    }
}

impl std::error::Error for Invalid {}

/// What one slot holds. Made once and reused: encode into it and push, or pop into it and decode.
#[derive(Clone)]
#[repr(C, align(64))]
pub struct Record([u8; RECORD_BYTES]);

impl Record {
    /// An empty record. It decodes to nothing: encode or pop into it first.
    pub const fn new() -> Record {
        Record([0; RECORD_BYTES])
    }

    /// A record of any bytes whatever, for tests and fuzzers.
    pub const fn from_bytes(bytes: [u8; RECORD_BYTES]) -> Record {
        Record(bytes)
    }

    /// All bytes, those without a meaning too.
    pub fn bytes(&self) -> &[u8; RECORD_BYTES] {
        &self.0
    }

    /// The slot's bytes, for whoever copies a slot in or out.
    pub fn bytes_mut(&mut self) -> &mut [u8; RECORD_BYTES] {
        &mut self.0
    }

    /// What the record says its length is, whether or not that is possible. Bytes.
    fn length(&self) -> u16 {
        u16::from_le_bytes([self.0[0], self.0[1]])
    }

    /// How many words of eight bytes a copy must take along: at least one, at most all, whatever the
    /// length field says.
    pub fn words(&self) -> usize {
        usize::from(self.length())
            .clamp(HEAD_BYTES, RECORD_BYTES)
            .div_ceil(8)
    }
}

impl Default for Record {
    fn default() -> Record {
        Record::new()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // No content: paths name people.
        write!(
            f,
            "Record {{ kind: {:#04x}, length: {} }}",
            self.0[2],
            self.length()
        )
    }
}

/// Writes fields one after the other; the first that does not fit is remembered, the rest skipped.
pub(crate) struct Encoder<'r> {
    record: &'r mut Record,
    at: usize,
    refused: Option<TooLong>,
}

impl<'r> Encoder<'r> {
    pub(crate) fn new(record: &'r mut Record, kind: u8) -> Encoder<'r> {
        record.0[2] = kind;
        record.0[3] = 0;
        Encoder {
            record,
            at: HEAD_BYTES,
            refused: None,
        }
    }

    /// Writes the length and so makes the record whole. A record that was refused stays unreadable.
    pub(crate) fn finish(self) -> Result<(), TooLong> {
        let length = match self.refused {
            None => self.at as u16, // at <= RECORD_BYTES, which fits: asserted above
            Some(_) => 0,
        };
        self.record.0[..2].copy_from_slice(&length.to_le_bytes());
        self.refused.map_or(Ok(()), Err)
    }

    fn put(&mut self, bytes: &[u8], what: &'static str) {
        let room = RECORD_BYTES - self.at;
        if self.refused.is_some() {
            return;
        }
        if bytes.len() > room {
            self.refused = Some(TooLong {
                what,
                limit_bytes: room,
            });
            return;
        }
        self.record.0[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.put(&[value], "byte");
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes(), "number");
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes(), "number");
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes(), "number");
    }

    /// A length of two bytes, then the bytes.
    pub(crate) fn text(&mut self, bytes: &[u8], limit_bytes: usize, what: &'static str) {
        debug_assert!(limit_bytes <= RECORD_BYTES);
        if bytes.len() > limit_bytes {
            self.refused.get_or_insert(TooLong { what, limit_bytes });
            return;
        }
        self.u16(bytes.len() as u16); // <= limit_bytes <= RECORD_BYTES
        self.put(bytes, what);
    }

    /// A number that says which hash it is, then the hash.
    pub(crate) fn hash(&mut self, which: u8, hash: &[u8]) {
        self.u8(which);
        self.put(hash, "hash");
    }

    pub(crate) fn leg(&mut self, leg: Leg) {
        self.u8(leg.index() as u8);
    }

    pub(crate) fn transport(&mut self, transport: Transport) {
        self.u8(match transport {
            Transport::Ws => 0,
            Transport::Wss => 1,
            Transport::Tcp => 2,
            Transport::Tls => 3,
        });
    }

    /// 0 for none; 4 and 6 for the two families, then the address and the port.
    pub(crate) fn address(&mut self, address: Option<SocketAddr>) {
        match address {
            None => self.u8(0),
            Some(SocketAddr::V4(v4)) => {
                self.u8(4);
                self.put(&v4.ip().octets(), "address");
                self.u16(v4.port());
            }
            Some(SocketAddr::V6(v6)) => {
                self.u8(6);
                self.put(&v6.ip().octets(), "address");
                self.u16(v6.port());
                self.u32(v6.flowinfo());
                self.u32(v6.scope_id());
            }
        }
    }
}

/// Reads fields one after the other, never past the record's length.
pub(crate) struct Decoder<'r> {
    rest: &'r [u8],
}

impl<'r> Decoder<'r> {
    /// The record's kind, and a reader that stands at its first field.
    pub(crate) fn new(record: &'r Record) -> Result<(u8, Decoder<'r>), Invalid> {
        let length = record.length();
        if record.0[3] != 0 {
            return Err(Invalid::Value("fourth byte"));
        }
        match record.0.get(HEAD_BYTES..usize::from(length)) {
            Some(rest) => Ok((record.0[2], Decoder { rest })),
            None => Err(Invalid::Length(length)),
        }
    }

    /// Everything was read.
    pub(crate) fn finish(self) -> Result<(), Invalid> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Invalid::Trailing)
        }
    }

    fn take(&mut self, bytes: usize) -> Result<&'r [u8], Invalid> {
        let (taken, rest) = self
            .rest
            .split_at_checked(bytes)
            .ok_or(Invalid::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Invalid> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(Invalid::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Invalid> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Invalid> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Invalid> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Invalid> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn text(
        &mut self,
        limit_bytes: usize,
        what: &'static str,
    ) -> Result<&'r [u8], Invalid> {
        let length = usize::from(self.u16()?);
        if length > limit_bytes {
            return Err(Invalid::Value(what));
        }
        self.take(length)
    }

    /// A text of readable signs.
    pub(crate) fn name(
        &mut self,
        limit_bytes: usize,
        what: &'static str,
    ) -> Result<&'r str, Invalid> {
        let text = self.text(limit_bytes, what)?;
        match std::str::from_utf8(text) {
            Ok(name) if name.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(name),
            _ => Err(Invalid::Value(what)),
        }
    }

    pub(crate) fn session(&mut self) -> Result<SessionId, Invalid> {
        self.u64().map(SessionId)
    }

    pub(crate) fn leg(&mut self) -> Result<Leg, Invalid> {
        match self.u8()? {
            0 => Ok(Leg::A),
            1 => Ok(Leg::B),
            _ => Err(Invalid::Value("leg")),
        }
    }

    pub(crate) fn transport(&mut self) -> Result<Transport, Invalid> {
        match self.u8()? {
            0 => Ok(Transport::Ws),
            1 => Ok(Transport::Wss),
            2 => Ok(Transport::Tcp),
            3 => Ok(Transport::Tls),
            _ => Err(Invalid::Value("transport")),
        }
    }

    pub(crate) fn address(&mut self) -> Result<Option<SocketAddr>, Invalid> {
        match self.u8()? {
            0 => Ok(None),
            4 => {
                let ip = IpAddr::V4(Ipv4Addr::from(self.array::<4>()?));
                Ok(Some(SocketAddr::new(ip, self.u16()?)))
            }
            6 => {
                let ip = Ipv6Addr::from(self.array::<16>()?);
                let (port, flow, scope) = (self.u16()?, self.u32()?, self.u32()?);
                Ok(Some(SocketAddr::V6(SocketAddrV6::new(
                    ip, port, flow, scope,
                ))))
            }
            _ => Err(Invalid::Value("address family")),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Records that are nearly right: kinds around `first`, lengths around the truth, small fields.
    pub(crate) fn any_record(first: u8) -> impl Strategy<Value = Record> {
        let byte = prop_oneof![any::<u8>(), 0..8u8];
        let fields = proptest::collection::vec(byte, 0..128);
        (fields, first..first + 12, -3..4i32, any::<u16>(), 0..8u8).prop_map(
            |(fields, kind, off, wild, dice)| {
                let near = (HEAD_BYTES + fields.len()).saturating_add_signed(off as isize) as u16;
                let length = if dice == 0 { wild } else { near };
                let mut bytes = [0xee; RECORD_BYTES];
                bytes[..2].copy_from_slice(&length.to_le_bytes());
                bytes[2] = kind;
                bytes[3] = u8::from(dice == 1);
                bytes[HEAD_BYTES..HEAD_BYTES + fields.len()].copy_from_slice(&fields);
                Record::from_bytes(bytes)
            },
        )
    }

    proptest! {
        #[test]
        fn a_copy_never_leaves_the_slot(length in any::<u16>()) {
            let mut record = Record::new();
            record.bytes_mut()[..2].copy_from_slice(&length.to_le_bytes());
            prop_assert!((1..=RECORD_BYTES / 8).contains(&record.words()));
            prop_assert!(record.words() * 8 >= usize::from(length).min(RECORD_BYTES));
        }
    }

    #[test]
    fn impossible_heads_are_told_apart() {
        let decode = |head: [u8; 4]| {
            let mut record = Record::new();
            record.bytes_mut()[..4].copy_from_slice(&head);
            crate::Command::decode(&record).map(|_| ())
        };
        assert_eq!(decode([4, 0, 6, 0]), Ok(()));
        assert_eq!(decode([0, 0, 6, 0]), Err(Invalid::Length(0)));
        assert_eq!(decode([3, 0, 6, 0]), Err(Invalid::Length(3)));
        assert_eq!(decode([1, 8, 6, 0]), Err(Invalid::Length(2049)));
        assert_eq!(decode([4, 0, 10, 0]), Err(Invalid::Kind(10)));
        assert_eq!(decode([4, 0, 6, 1]), Err(Invalid::Value("fourth byte")));
        assert_eq!(decode([5, 0, 6, 0]), Err(Invalid::Trailing));
        assert_eq!(decode([11, 0, 4, 0]), Err(Invalid::Truncated));
    }

    #[test]
    fn a_record_shows_no_content_in_logs() {
        let mut record = Record::new();
        let path = b"msrp://alice.invalid:1/x;tcp";
        let (session, leg) = (SessionId(1), Leg::A);
        let command = crate::Command::SetPeer {
            session,
            leg,
            path,
            connect: None,
            identity: crate::PeerIdentity::UNKNOWN,
        };
        command.encode(&mut record).expect("fits");
        assert_eq!(format!("{record:?}"), "Record { kind: 0x02, length: 47 }");
    }
}
