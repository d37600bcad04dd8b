//! Frames as a client writes them, right or wrong.

/// One frame, before it is masked. Every field can be set to something illegal.
#[derive(Clone, Debug)]
pub struct Frame {
    /// FIN, reserved bits and opcode.
    pub first: u8,
    pub mask: Option<[u8; 4]>,
    /// Octets that tell the length: 0, 2 or 8; `None` is the right number.
    pub length_bytes: Option<usize>,
    pub payload: Vec<u8>,
}

pub const FIN: u8 = 0x80;

impl Frame {
    pub fn new(first: u8, payload: &[u8]) -> Frame {
        Frame {
            first,
            mask: Some([0x37, 0xfa, 0x21, 0x3d]),
            length_bytes: None,
            payload: payload.to_vec(),
        }
    }

    pub fn octets(&self) -> Vec<u8> {
        let length = self.payload.len();
        let right = match length {
            0..126 => 0,
            126..65536 => 2,
            _ => 8,
        };
        let mask_bit = if self.mask.is_some() { 0x80 } else { 0 };
        let mut octets = vec![self.first];
        match self.length_bytes.unwrap_or(right) {
            0 => octets.push(mask_bit | u8::try_from(length).unwrap()),
            2 => {
                octets.push(mask_bit | 126);
                octets.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                octets.push(mask_bit | 127);
                octets.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        octets.extend_from_slice(
            &self.mask.unwrap_or_default()[..if self.mask.is_some() { 4 } else { 0 }],
        );
        let mask = self.mask.unwrap_or_default();
        octets.extend(
            self.payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(octet, key)| octet ^ key),
        );
        octets
    }
}
