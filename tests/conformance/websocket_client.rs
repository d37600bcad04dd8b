//! The client's side of a WebSocket, frame by frame, plainly from RFC 6455, 5.2.

/// A frame from the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub opcode: u8,
    pub fin: bool,
    pub payload: Vec<u8>,
}

/// What has come from the server.
#[derive(Default)]
pub struct Received {
    stream: Vec<u8>,
    /// All frames, control frames too.
    pub frames: Vec<Frame>,
}

/// A masked frame, as clients send.
pub fn frame(opcode: u8, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![opcode | if fin { 0x80 } else { 0 }];
    match payload.len() {
        bytes @ 0..126 => octets.push(0x80 | bytes as u8),
        bytes @ 126..65536 => {
            octets.push(0x80 | 126);
            octets.extend((bytes as u16).to_be_bytes());
        }
        bytes => {
            octets.push(0x80 | 127);
            octets.extend((bytes as u64).to_be_bytes());
        }
    }
    let mask = [0x5a, 0xc3, 0x07, 0x91];
    octets.extend(mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    octets.extend(masked.map(|(octet, mask)| octet ^ mask));
    octets
}

impl Received {
    /// Takes in octets; what data frames among them carry, one after the other.
    pub fn read(&mut self, octets: &[u8]) -> Vec<u8> {
        self.stream.extend(octets);
        let mut data = Vec::new();
        while let Some((frame, bytes)) = first_frame(&self.stream) {
            self.stream.drain(..bytes);
            if frame.opcode < 8 {
                data.extend(&frame.payload);
            }
            self.frames.push(frame);
        }
        data
    }
}

fn first_frame(stream: &[u8]) -> Option<(Frame, usize)> {
    let (first, second) = (*stream.first()?, *stream.get(1)?);
    assert_eq!(first & 0x70, 0, "no extension was agreed on");
    assert_eq!(second & 0x80, 0, "a server does not mask (L9)");
    let (bytes, at) = match second {
        126 => (
            u16::from_be_bytes([*stream.get(2)?, *stream.get(3)?]).into(),
            4,
        ),
        127 => (
            u64::from_be_bytes(stream.get(2..10)?.try_into().ok()?) as usize,
            10,
        ),
        short => (usize::from(short), 2),
    };
    let frame = Frame {
        opcode: first & 15,
        fin: first & 0x80 != 0,
        payload: stream.get(at..at + bytes)?.to_vec(),
    };
    Some((frame, at + bytes))
}
