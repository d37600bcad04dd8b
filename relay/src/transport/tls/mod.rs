//! TLS between the socket and what reads MSRP or WebSocket. RFC 8446, RFC 5246.
//!
//! rustls makes the handshake, record by record; then [`records`] opens and seals in place, in the
//! very buffers that octets arrive in and leave from. Pure but for what rustls keeps to itself: its
//! random numbers, and the clock by which it looks at certificates.
//!
//! ```text
//! octets received ▶ Tls::read ▶ octets of MSRP or WebSocket, at their place in the input
//!                             ▶ octets of TLS's own to be sent (out)
//! octets to send ▶ Tls::seal ▶ a record, in place
//! ```

mod handshake;
mod identity;
mod records;
#[cfg(test)]
mod tests;
mod validity;

use std::ops::Range;

use handshake::Handshake;
pub use identity::{Certificate, Identity, Mistake, PeerCertificate, SharedIdentity, Tickets};
use records::{Opened, Records};

/// Octets of a record's header.
const HEADER_BYTES: usize = 5;

/// Octets that one record carries at most. RFC 8446, 5.1.
pub const PLAIN_BYTES_MAX: usize = 1 << 14;

/// Octets that sealing may add to a record: header, explicit nonce, kind and tag.
pub const SEAL_BYTES_MAX: usize = HEADER_BYTES + 8 + 1 + 16;

/// What [`Tls::before_data`] writes at most.
pub const KEY_UPDATE_BYTES_MAX: usize = SEAL_BYTES_MAX + 5;

/// The longest record that is taken. TLS 1.2 allows more, and no cipher that we offer needs it.
pub const RECORD_BYTES_MAX: usize = HEADER_BYTES + PLAIN_BYTES_MAX + 256;

/// What [`Tls::read`] may write to `out` at most: the largest record of a handshake.
pub const OUT_BYTES_MAX: usize = RECORD_BYTES_MAX;

/// Alerts, by their descriptions. RFC 8446, 6.
mod alert {
    pub const CLOSE_NOTIFY: u8 = 0;
    pub const UNEXPECTED_MESSAGE: u8 = 10;
    pub const BAD_RECORD_MAC: u8 = 20;
    pub const RECORD_OVERFLOW: u8 = 22;
    pub const HANDSHAKE_FAILURE: u8 = 40;
    pub const ILLEGAL_PARAMETER: u8 = 47;
    pub const DECODE_ERROR: u8 = 50;
    pub const INTERNAL_ERROR: u8 = 80;
    pub const USER_CANCELED: u8 = 90;
    pub const NO_RENEGOTIATION: u8 = 100;
    /// Not one of TLS: say nothing.
    pub const NONE: u8 = 255;

    /// The two octets of an alert.
    pub fn octets(description: u8) -> [u8; 2] {
        let is_warning = matches!(description, CLOSE_NOTIFY | USER_CANCELED | NO_RENEGOTIATION);
        [if is_warning { 1 } else { 2 }, description]
    }
}

/// One step of reading.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The input ends within a record, or within a message of the handshake: so many octets more
    /// are needed at least. None of it is used.
    More(usize),
    /// The handshake is done. `used` octets of the input belonged to it.
    Established(usize),
    /// Octets of the peer's.
    Octets {
        /// Octets of the input that are done with.
        used: usize,
        /// Where the peer's octets lie in the input now.
        octets: Range<usize>,
    },
    /// So many octets of the input meant nothing to us.
    Nothing(usize),
    /// The first octets of `out` are to be sent.
    Send {
        /// Octets of the input that are done with.
        used: usize,
        /// Octets of `out`.
        bytes: usize,
    },
    /// The peer has ended its direction in order.
    Closed,
}

/// TLS cannot go on. What the peer is told of it stands in the first octets of `out`.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken {
    /// Octets of `out`; none if there is nothing to be said.
    pub bytes: usize,
}

/// The TLS of one connection.
pub struct Tls {
    state: State,
    /// Whose certificate the peer has shown.
    peer: Option<PeerCertificate>,
    is_resumed: bool,
}

enum State {
    Handshake(Box<Handshake>),
    Open(Box<Records>),
    Over,
}

impl Tls {
    fn new(handshake: Handshake) -> Tls {
        Tls {
            state: State::Handshake(Box::new(handshake)),
            peer: None,
            is_resumed: false,
        }
    }

    /// Takes one step through `input`, which begins where the former steps left off: with the same
    /// octets again, and more, after [`Step::More`]. Octets of an unfinished handshake message may
    /// have been changed in place and must be kept so. Call it without input once before the first.
    pub fn read(&mut self, input: &mut [u8], out: &mut [u8]) -> Result<Step, Broken> {
        match &mut self.state {
            State::Handshake(handshake) => match handshake.read(input, out) {
                Ok(Step::Established(used)) => self.establish(used, out),
                Ok(step) => Ok(step),
                Err(broken) => {
                    self.state = State::Over;
                    Err(broken)
                }
            },
            State::Open(records) => {
                let step = read_record(records, input, out);
                if matches!(step, Err(_) | Ok(Step::Closed)) {
                    // What follows is not looked at. Sending goes on after a close in order.
                    if step.is_err() {
                        self.state = State::Over;
                    }
                }
                step
            }
            State::Over => Err(Broken { bytes: 0 }),
        }
    }

    fn establish(&mut self, used: usize, out: &mut [u8]) -> Result<Step, Broken> {
        let State::Handshake(handshake) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(Broken { bytes: 0 });
        };
        self.is_resumed = handshake.is_resumed();
        match handshake.finish() {
            Ok((records, peer)) => {
                self.state = State::Open(Box::new(records));
                self.peer = peer;
                Ok(Step::Established(used))
            }
            Err(description) => Err(broken_in_the_clear(out, description)),
        }
    }

    /// Whether the handshake is done, and octets may be sealed.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// Whose certificate the peer has shown, if it has shown one.
    pub fn peer(&self) -> Option<&PeerCertificate> {
        self.peer.as_ref()
    }

    /// It is proven who the peer is: of its certificate only the fingerprints are kept.
    pub fn peer_is_proven(&mut self) {
        if let Some(peer) = &mut self.peer {
            peer.forget_chain();
        }
    }

    /// Whether the handshake resumed a former session.
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// Octets that a record takes before and after its content.
    pub fn around(&self) -> (usize, usize) {
        match &self.state {
            State::Open(records) => (records.lead_bytes(), records.tail_bytes()),
            State::Handshake(_) | State::Over => (0, 0),
        }
    }

    /// Writes to `out` what has to be sent before more is sealed: mostly nothing.
    pub fn before_data(&mut self, out: &mut [u8]) -> Result<usize, Broken> {
        match &mut self.state {
            State::Open(records) => records.before_data(out).map_err(|_| Broken { bytes: 0 }),
            State::Handshake(_) | State::Over => Err(Broken { bytes: 0 }),
        }
    }

    /// Seals a record in place. Its content, of at most [`PLAIN_BYTES_MAX`] octets, stands in it
    /// with [`Tls::around`] octets before and after.
    pub fn seal(&mut self, record: &mut [u8]) -> Result<(), Broken> {
        match &mut self.state {
            State::Open(records) => records
                .seal(record, records::content::APPLICATION_DATA)
                .map_err(|_| Broken { bytes: 0 }),
            State::Handshake(_) | State::Over => Err(Broken { bytes: 0 }),
        }
    }

    /// Writes to `out` the alert that ends our direction in order; nothing if there is none.
    pub fn close(&mut self, out: &mut [u8]) -> usize {
        match &mut self.state {
            State::Open(records) => records.alert(out, alert::CLOSE_NOTIFY),
            State::Handshake(_) | State::Over => 0,
        }
    }
}

fn read_record(records: &mut Records, input: &mut [u8], out: &mut [u8]) -> Result<Step, Broken> {
    let opened = match record_bytes(input) {
        Ok(bytes) if bytes > input.len() => return Ok(Step::More(bytes - input.len())),
        Ok(bytes) => records
            .open(&mut input[..bytes], out)
            .map(|opened| (bytes, opened)),
        Err(description) => Err(description),
    };
    match opened {
        Ok((used, Opened::Octets(octets))) => Ok(Step::Octets { used, octets }),
        Ok((used, Opened::Nothing)) => Ok(Step::Nothing(used)),
        Ok((used, Opened::Send(bytes))) => Ok(Step::Send { used, bytes }),
        Ok((_, Opened::Closed)) => Ok(Step::Closed),
        Err(alert::NONE) => Err(Broken { bytes: 0 }),
        Err(description) => Err(Broken {
            bytes: records.alert(out, description),
        }),
    }
}

/// How long the record at the beginning of `input` is; how much of it must be there to know, if it
/// is not.
fn record_bytes(input: &[u8]) -> Result<usize, u8> {
    let Some(header) = input.first_chunk::<HEADER_BYTES>() else {
        return Ok(HEADER_BYTES);
    };
    let bytes = HEADER_BYTES + usize::from(u16::from_be_bytes([header[3], header[4]]));
    let is_known = (20..=23).contains(&header[0]) && header[1] == 3;
    if !is_known {
        return Err(alert::UNEXPECTED_MESSAGE);
    }
    if bytes > RECORD_BYTES_MAX {
        return Err(alert::RECORD_OVERFLOW);
    }
    Ok(bytes)
}

/// Writes an alert in the clear, before there are keys.
fn broken_in_the_clear(out: &mut [u8], description: u8) -> Broken {
    let [level, description] = alert::octets(description);
    let record = [records::content::ALERT, 3, 3, 0, 2, level, description];
    match out.get_mut(..record.len()) {
        Some(place) => place.copy_from_slice(&record),
        None => return Broken { bytes: 0 },
    }
    Broken {
        bytes: record.len(),
    }
}

#[cfg(test)]
impl Tls {
    fn records(&mut self) -> &mut Records {
        match &mut self.state {
            State::Open(records) => records,
            State::Handshake(_) | State::Over => panic!("the handshake is not done"),
        }
    }
}
