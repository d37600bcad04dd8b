//! TLS records after the handshake, opened and sealed where they lie. RFC 8446, 5; RFC 5246, 6.2;
//! RFC 5288 and RFC 7905 for the nonces of TLS 1.2.
//!
//! rustls hands over the secrets when its handshake is done; from then on the sequence numbers,
//! alerts, key updates and the bounds on how much one key may protect are ours. Nothing here
//! allocates but a change of keys.

use std::ops::Range;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets, ProtocolVersion};

use super::{HEADER_BYTES, PLAIN_BYTES_MAX, alert};

const TAG_BYTES: usize = 16;
const EXPLICIT_NONCE_BYTES: usize = 8;

/// Records that one AES-GCM key may seal: RFC 8446, 5.5 says 2^24.5 full ones.
const RECORDS_PER_KEY_MAX: u64 = 1 << 24;

/// So many records before the bound, TLS 1.3 changes keys.
const RECORDS_IN_RESERVE: u64 = 1 << 10;

/// Times a peer may ask for another handshake before that is no mistake any more.
const RENEGOTIATIONS_MAX: u8 = 1;

/// Records in a row that bring none of the peer's octets: key updates, tickets, empty ones. Honest
/// peers come nowhere near it, and each costs us as much as one that brings something.
const FRUITLESS_MAX: u8 = 32;

/// Alerts that end nothing, in the life of a connection.
const WARNINGS_MAX: u8 = 4;

/// Octets of a handshake message before its content.
const MESSAGE_HEAD_BYTES: usize = 4;

/// Contents of a record. RFC 8446, 5.1.
pub(super) mod content {
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
}

/// Handshake messages that may come after the handshake. RFC 8446, 4; RFC 5246, 7.4.
mod message {
    pub const HELLO_REQUEST: u8 = 0;
    pub const CLIENT_HELLO: u8 = 1;
    pub const NEW_SESSION_TICKET: u8 = 4;
    pub const KEY_UPDATE: u8 = 24;
}

/// What stays of rustls after the handshake: it derives the next keys.
pub(super) enum Kernel {
    Server(KernelConnection<ServerConnectionData>),
    Client(KernelConnection<ClientConnectionData>),
}

impl Kernel {
    fn version(&self) -> ProtocolVersion {
        match self {
            Kernel::Server(kernel) => kernel.protocol_version(),
            Kernel::Client(kernel) => kernel.protocol_version(),
        }
    }

    fn next_to_seal(&mut self) -> Result<(u64, ConnectionTrafficSecrets), rustls::Error> {
        match self {
            Kernel::Server(kernel) => kernel.update_tx_secret(),
            Kernel::Client(kernel) => kernel.update_tx_secret(),
        }
    }

    fn next_to_open(&mut self) -> Result<(u64, ConnectionTrafficSecrets), rustls::Error> {
        match self {
            Kernel::Server(kernel) => kernel.update_rx_secret(),
            Kernel::Client(kernel) => kernel.update_rx_secret(),
        }
    }
}

/// The key of one direction.
struct Key {
    key: LessSafeKey,
    iv: [u8; aead::NONCE_LEN],
    /// Of the next record.
    sequence: u64,
    /// Records that may still be sealed under it.
    left: u64,
    is_gcm: bool,
}

impl Key {
    fn new((sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Result<Key, u8> {
        let (algorithm, key, iv, is_gcm) = match &secrets {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv, true),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv, true),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => {
                (&aead::CHACHA20_POLY1305, key, iv, false)
            }
            _ => return Err(alert::INTERNAL_ERROR),
        };
        let unbound =
            UnboundKey::new(algorithm, key.as_ref()).map_err(|_| alert::INTERNAL_ERROR)?;
        let mut own_iv = [0; aead::NONCE_LEN];
        own_iv.copy_from_slice(iv.as_ref());
        let left = if is_gcm {
            RECORDS_PER_KEY_MAX.saturating_sub(sequence)
        } else {
            u64::MAX - sequence
        };
        Ok(Key {
            key: LessSafeKey::new(unbound),
            iv: own_iv,
            sequence,
            left,
            is_gcm,
        })
    }

    /// The nonce of the next record: the sequence number over the IV's end. RFC 8446, 5.3.
    fn nonce(&self) -> [u8; aead::NONCE_LEN] {
        let mut nonce = self.iv;
        for (place, octet) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *place ^= octet;
        }
        nonce
    }

    /// What TLS 1.2 protects beside the content. RFC 5246, 6.2.3.3.
    fn associated_12(&self, kind: u8, bytes: usize) -> [u8; 13] {
        let mut associated = [0; 13];
        associated[..8].copy_from_slice(&self.sequence.to_be_bytes());
        associated[8..11].copy_from_slice(&[kind, 3, 3]);
        associated[11..].copy_from_slice(&(bytes as u16).to_be_bytes());
        associated
    }
}

/// What a record held.
pub(super) enum Opened {
    /// Octets of the peer's, at these places of the record.
    Octets(Range<usize>),
    /// Nothing for us.
    Nothing,
    /// The peer has ended its direction in order.
    Closed,
    /// This many octets written to `out` are to be sent.
    Send(usize),
}

/// Both directions of a connection whose handshake is done.
pub(super) struct Records {
    open: Key,
    seal: Key,
    /// For TLS 1.3 only, which may change keys.
    kernel: Option<Kernel>,
    /// Octets of a message that is not wanted, still to be passed over.
    skip: u32,
    /// The beginning of a message whose head goes on in the next record.
    head: [u8; MESSAGE_HEAD_BYTES],
    head_bytes: usize,
    renegotiations: u8,
    warnings: u8,
    /// Records since the last that brought octets.
    fruitless: u8,
    /// A key update of ours has to go out before the next record.
    key_update_due: bool,
}

impl Records {
    /// Takes over from rustls. The error is the alert that says why not.
    pub(super) fn new(secrets: ExtractedSecrets, kernel: Kernel) -> Result<Records, u8> {
        let kernel = match kernel.version() {
            ProtocolVersion::TLSv1_3 => Some(kernel),
            ProtocolVersion::TLSv1_2 => None,
            _ => return Err(alert::INTERNAL_ERROR),
        };
        Ok(Records {
            open: Key::new(secrets.rx)?,
            seal: Key::new(secrets.tx)?,
            kernel,
            skip: 0,
            head: [0; MESSAGE_HEAD_BYTES],
            head_bytes: 0,
            renegotiations: 0,
            warnings: 0,
            fruitless: 0,
            key_update_due: false,
        })
    }

    /// Opens a whole record in place. The error is the alert to send, after which nothing more may
    /// be read.
    pub(super) fn open(&mut self, record: &mut [u8], out: &mut [u8]) -> Result<Opened, u8> {
        let (kind, plain) = match self.kernel {
            Some(_) => self.open_13(record)?,
            None => self.open_12(record)?,
        };
        if plain.len() > PLAIN_BYTES_MAX {
            return Err(alert::RECORD_OVERFLOW);
        }
        self.open.sequence += 1;
        let octets = &record[plain.clone()];
        let is_within_message = self.skip > 0 || self.head_bytes > 0;
        if is_within_message && kind != content::HANDSHAKE {
            // RFC 8446, 5.1: nothing may stand between the pieces of a message.
            return Err(alert::UNEXPECTED_MESSAGE);
        }
        let opened = match kind {
            content::APPLICATION_DATA if plain.is_empty() => Opened::Nothing,
            content::APPLICATION_DATA => Opened::Octets(plain),
            content::ALERT => self.alerted(octets)?,
            content::HANDSHAKE => self.messages(octets, out)?,
            _ => return Err(alert::UNEXPECTED_MESSAGE),
        };
        if let Opened::Octets(_) = opened {
            self.fruitless = 0;
        } else {
            self.fruitless += 1;
            if self.fruitless > FRUITLESS_MAX {
                return Err(alert::UNEXPECTED_MESSAGE);
            }
        }
        Ok(opened)
    }

    fn open_13(&mut self, record: &mut [u8]) -> Result<(u8, Range<usize>), u8> {
        let (header, sealed) = record.split_at_mut(HEADER_BYTES);
        if header[0] != content::APPLICATION_DATA {
            return Err(alert::UNEXPECTED_MESSAGE);
        }
        let nonce = Nonce::assume_unique_for_key(self.open.nonce());
        let opened = self
            .open
            .key
            .open_in_place(nonce, Aad::from(&*header), sealed)
            .map_err(|_| alert::BAD_RECORD_MAC)?;
        // RFC 8446, 5.4: with its kind and padding it is no longer than without.
        if opened.len() > PLAIN_BYTES_MAX + 1 {
            return Err(alert::RECORD_OVERFLOW);
        }
        // Content, its kind, and any number of zeroes.
        let Some(end) = opened.iter().rposition(|octet| *octet != 0) else {
            return Err(alert::UNEXPECTED_MESSAGE);
        };
        Ok((opened[end], HEADER_BYTES..HEADER_BYTES + end))
    }

    fn open_12(&mut self, record: &mut [u8]) -> Result<(u8, Range<usize>), u8> {
        let (header, sealed) = record.split_at_mut(HEADER_BYTES);
        let kind = header[0];
        let mut nonce = self.open.nonce();
        let explicit = if self.open.is_gcm {
            EXPLICIT_NONCE_BYTES
        } else {
            0
        };
        let Some(bytes) = sealed.len().checked_sub(explicit + TAG_BYTES) else {
            return Err(alert::DECODE_ERROR);
        };
        if explicit > 0 {
            nonce[4..].copy_from_slice(&sealed[..explicit]);
        }
        let associated = self.open.associated_12(kind, bytes);
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.open
            .key
            .open_in_place(nonce, Aad::from(associated), &mut sealed[explicit..])
            .map_err(|_| alert::BAD_RECORD_MAC)?;
        let start = HEADER_BYTES + explicit;
        Ok((kind, start..start + bytes))
    }

    /// An alert of the peer's. RFC 8446, 6.
    fn alerted(&mut self, octets: &[u8]) -> Result<Opened, u8> {
        const WARNING: u8 = 1;
        match *octets {
            [_, alert::CLOSE_NOTIFY] => Ok(Opened::Closed),
            [_, alert::USER_CANCELED] => self.warned(),
            [WARNING, alert::NO_RENEGOTIATION] if self.kernel.is_none() => self.warned(),
            // It is over and the peer knows; to say more would be answered by nobody.
            [_, _] => Err(alert::NONE),
            _ => Err(alert::DECODE_ERROR),
        }
    }

    fn warned(&mut self) -> Result<Opened, u8> {
        self.warnings += 1;
        if self.warnings > WARNINGS_MAX {
            return Err(alert::UNEXPECTED_MESSAGE);
        }
        Ok(Opened::Nothing)
    }

    /// Handshake messages after the handshake. They may go on in the next record anywhere.
    pub(super) fn messages(&mut self, mut octets: &[u8], out: &mut [u8]) -> Result<Opened, u8> {
        if octets.is_empty() {
            return Err(alert::UNEXPECTED_MESSAGE);
        }
        loop {
            let skipped = octets.len().min(self.skip as usize);
            self.skip -= skipped as u32;
            octets = &octets[skipped..];
            let fresh = octets.len().min(MESSAGE_HEAD_BYTES - self.head_bytes);
            self.head[self.head_bytes..][..fresh].copy_from_slice(&octets[..fresh]);
            self.head_bytes += fresh;
            let content = &octets[fresh..];
            let [kind, high, middle, low] = self.head;
            let bytes = u32::from_be_bytes([0, high, middle, low]);
            let is_whole = self.head_bytes == MESSAGE_HEAD_BYTES;
            if !is_whole || kind == message::KEY_UPDATE && bytes > 0 && content.is_empty() {
                return Ok(Opened::Nothing);
            }
            self.head_bytes = 0;
            match (kind, &self.kernel) {
                (message::KEY_UPDATE, Some(_)) => return self.keys_updated(bytes, content),
                (message::NEW_SESSION_TICKET, Some(Kernel::Client(_))) => {
                    // We connect to handsets, each once: no ticket is kept.
                    if bytes > u16::MAX.into() {
                        return Err(alert::DECODE_ERROR);
                    }
                    self.skip = bytes;
                    octets = content;
                }
                (message::HELLO_REQUEST | message::CLIENT_HELLO, None) => {
                    self.renegotiations += 1;
                    if self.renegotiations > RENEGOTIATIONS_MAX {
                        return Err(alert::HANDSHAKE_FAILURE);
                    }
                    self.skip = bytes.saturating_sub(content.len() as u32);
                    // RFC 5746, 4.5: refused with a warning, and the connection goes on.
                    let warning = self.alert(out, alert::NO_RENEGOTIATION);
                    return Ok(Opened::Send(warning));
                }
                _ => return Err(alert::UNEXPECTED_MESSAGE),
            }
        }
    }

    /// RFC 8446, 4.6.3. Must end its record.
    fn keys_updated(&mut self, bytes: u32, content: &[u8]) -> Result<Opened, u8> {
        let wanted = match (bytes, content) {
            (1, [0]) => false,
            (1, [1]) => true,
            (1, [_]) => return Err(alert::ILLEGAL_PARAMETER),
            (1, [_, _, ..]) => return Err(alert::UNEXPECTED_MESSAGE),
            _ => return Err(alert::DECODE_ERROR),
        };
        if let Some(kernel) = &mut self.kernel {
            let next = kernel.next_to_open().map_err(|_| alert::INTERNAL_ERROR)?;
            self.open = Key::new(next)?;
        }
        // However often it is asked, it is answered once, before the next data.
        self.key_update_due |= wanted;
        Ok(Opened::Nothing)
    }

    /// Octets before the content of a sealed record.
    pub(super) fn lead_bytes(&self) -> usize {
        match self.kernel {
            None if self.seal.is_gcm => HEADER_BYTES + EXPLICIT_NONCE_BYTES,
            _ => HEADER_BYTES,
        }
    }

    /// Octets after the content of a sealed record.
    pub(super) fn tail_bytes(&self) -> usize {
        TAG_BYTES + usize::from(self.kernel.is_some())
    }

    /// Whether a key update has to go out before the next record.
    fn is_key_update_due(&self) -> bool {
        self.kernel.is_some() && (self.key_update_due || self.seal.left <= RECORDS_IN_RESERVE)
    }

    /// Writes what has to go out before the next data: mostly nothing. The error says that nothing
    /// more can be sealed.
    pub(super) fn before_data(&mut self, out: &mut [u8]) -> Result<usize, u8> {
        if self.kernel.is_none() && self.seal.left <= 1 {
            return Err(alert::INTERNAL_ERROR);
        }
        if !self.is_key_update_due() {
            return Ok(0);
        }
        const NOT_REQUESTED: [u8; 5] = [message::KEY_UPDATE, 0, 0, 1, 0];
        let bytes = self.write(out, content::HANDSHAKE, &NOT_REQUESTED)?;
        if let Some(kernel) = &mut self.kernel {
            let next = kernel.next_to_seal().map_err(|_| alert::INTERNAL_ERROR)?;
            self.seal = Key::new(next)?;
        }
        self.key_update_due = false;
        Ok(bytes)
    }

    /// Seals `record`, in which the content stands between room for lead and tail. The error: this
    /// key has protected all it may; its last record is for the alert that ends our direction.
    pub(super) fn seal(&mut self, record: &mut [u8], kind: u8) -> Result<(), u8> {
        let Some(left) = self.seal.left.checked_sub(1) else {
            return Err(alert::INTERNAL_ERROR);
        };
        if left == 0 && kind == content::APPLICATION_DATA {
            return Err(alert::INTERNAL_ERROR);
        }
        let content_end = record.len() - self.tail_bytes();
        let (header, rest) = record.split_at_mut(HEADER_BYTES);
        let sealed_bytes = (rest.len() as u16).to_be_bytes();
        let nonce = self.seal.nonce();
        let is_13 = self.kernel.is_some();
        let outer = if is_13 {
            content::APPLICATION_DATA
        } else {
            kind
        };
        header.copy_from_slice(&[outer, 3, 3, sealed_bytes[0], sealed_bytes[1]]);
        let once = Nonce::assume_unique_for_key(nonce);
        let sealed = if is_13 {
            let (content, tag) = rest.split_at_mut(content_end + 1 - HEADER_BYTES);
            content[content_end - HEADER_BYTES] = kind;
            self.seal
                .key
                .seal_in_place_separate_tag(once, Aad::from(&*header), content)
                .map(|made| tag.copy_from_slice(made.as_ref()))
        } else {
            let explicit = if self.seal.is_gcm {
                EXPLICIT_NONCE_BYTES
            } else {
                0
            };
            rest[..explicit].copy_from_slice(&nonce[4..4 + explicit]);
            let (content, tag) =
                rest[explicit..].split_at_mut(content_end - HEADER_BYTES - explicit);
            let associated = self.seal.associated_12(kind, content.len());
            self.seal
                .key
                .seal_in_place_separate_tag(once, Aad::from(associated), content)
                .map(|made| tag.copy_from_slice(made.as_ref()))
        };
        // No nonce is used twice, whatever came of it.
        self.seal.sequence += 1;
        self.seal.left = left;
        sealed.map_err(|_| alert::INTERNAL_ERROR)
    }

    /// Writes a short record of our own.
    fn write(&mut self, out: &mut [u8], kind: u8, octets: &[u8]) -> Result<usize, u8> {
        let lead = self.lead_bytes();
        let bytes = lead + octets.len() + self.tail_bytes();
        let Some(record) = out.get_mut(..bytes) else {
            return Err(alert::INTERNAL_ERROR);
        };
        record[lead..lead + octets.len()].copy_from_slice(octets);
        self.seal(record, kind)?;
        Ok(bytes)
    }

    /// Writes an alert; none if it cannot be sealed.
    pub(super) fn alert(&mut self, out: &mut [u8], description: u8) -> usize {
        let octets = alert::octets(description);
        self.write(out, content::ALERT, &octets).unwrap_or(0)
    }
}

#[cfg(test)]
impl Records {
    /// Writes a record of any kind.
    pub(super) fn say(&mut self, out: &mut [u8], kind: u8, octets: &[u8]) -> usize {
        self.write(out, kind, octets).unwrap()
    }

    /// As if so many records more had been sealed under this key.
    pub(super) fn left(&self) -> u64 {
        self.seal.left
    }

    pub(super) fn wear_out(&mut self, records: u64) {
        self.seal.left = self.seal.left.saturating_sub(records);
    }
}
