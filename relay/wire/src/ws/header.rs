//! Frame headers: masked ones read, unmasked ones written. RFC 6455, 5.2.

use super::frame::CloseCode;
use crate::limits::CONTROL_BYTES_MAX;

/// Kinds of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// Goes on with a fragmented message.
    Continuation = 0,
    /// Text; we read its payload as octets, and never send it.
    Text = 1,
    /// Octets.
    Binary = 2,
    /// Close.
    Close = 8,
    /// Ping.
    Ping = 9,
    /// Pong.
    Pong = 10,
}

/// Octets of the header of an unmasked frame with `payload_bytes`: 2, 4 or 10.
pub const fn header_bytes(payload_bytes: u64) -> usize {
    match payload_bytes {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    }
}

/// Writes the header of an unmasked frame and says how long it is.
pub fn write_header(out: &mut [u8; 10], opcode: Opcode, fin: bool, payload_bytes: u64) -> usize {
    out[0] = opcode as u8 | if fin { 0x80 } else { 0 };
    let bytes = header_bytes(payload_bytes);
    match bytes {
        2 => out[1] = payload_bytes as u8,
        4 => {
            out[1] = 126;
            out[2..4].copy_from_slice(&(payload_bytes as u16).to_be_bytes());
        }
        _ => {
            out[1] = 127;
            out[2..10].copy_from_slice(&payload_bytes.to_be_bytes());
        }
    }
    bytes
}

/// A frame header that keeps all rules which concern only one frame.
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    pub(super) mask: [u8; 4],
    pub(super) payload_bytes: u64,
}

impl Header {
    /// `None`: not all here. With it comes its length. What is wrong is said as early as it shows.
    pub(super) fn parse(octets: &[u8]) -> Result<Option<(Header, usize)>, CloseCode> {
        let Some((&first, rest)) = octets.split_first() else {
            return Ok(None);
        };
        // No extension was negotiated, so the reserved bits are 0.
        if first & 0x70 != 0 {
            return Err(CloseCode::Protocol);
        }
        let fin = first & 0x80 != 0;
        let opcode = Opcode::from_bits(first & 0x0f).ok_or(CloseCode::Protocol)?;
        let is_control = opcode.is_control();
        if is_control && !fin {
            return Err(CloseCode::Protocol);
        }
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let short = second & 0x7f;
        if second & 0x80 == 0 || is_control && usize::from(short) > CONTROL_BYTES_MAX {
            return Err(CloseCode::Protocol);
        }
        let (payload_bytes, rest) = match short {
            126 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
                None => return Ok(None),
            },
            _ => (u64::from(short), rest),
        };
        // The shortest form is the only one, and the top bit of the longest is 0.
        let form = match payload_bytes {
            0..=125 => payload_bytes as u8,
            126..=0xffff => 126,
            _ => 127,
        };
        if form != short || payload_bytes >> 63 != 0 {
            return Err(CloseCode::Protocol);
        }
        match rest.split_first_chunk() {
            Some((mask, rest)) => {
                let header = Header {
                    opcode,
                    fin,
                    mask: *mask,
                    payload_bytes,
                };
                Ok(Some((header, octets.len() - rest.len())))
            }
            None => Ok(None),
        }
    }
}

impl Opcode {
    fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }

    fn from_bits(bits: u8) -> Option<Opcode> {
        match bits {
            0 => Some(Opcode::Continuation),
            1 => Some(Opcode::Text),
            2 => Some(Opcode::Binary),
            8 => Some(Opcode::Close),
            9 => Some(Opcode::Ping),
            10 => Some(Opcode::Pong),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_take_the_shortest_form() {
        let header = |payload_bytes| {
            let mut out = [0xee; 10];
            let bytes = write_header(&mut out, Opcode::Binary, true, payload_bytes);
            assert_eq!(bytes, header_bytes(payload_bytes));
            out[..bytes].to_vec()
        };
        assert_eq!(header(0), [0x82, 0]);
        assert_eq!(header(125), [0x82, 125]);
        assert_eq!(header(126), [0x82, 126, 0, 126]);
        assert_eq!(header(0xffff), [0x82, 126, 0xff, 0xff]);
        assert_eq!(header(0x10000), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        let mut out = [0; 10];
        write_header(&mut out, Opcode::Continuation, false, 1);
        assert_eq!(out[..2], [0, 1]);
    }
}
