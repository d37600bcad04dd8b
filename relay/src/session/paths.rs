//! Our own URIs, and how a message's paths are held against them. RFC 4975, 6.1 and 7.3.

use wire::msrp::{Uri, uri};

use super::texts::{Text, Texts};

/// Letters of the slot number in a token. The rest of a token is random.
const SLOT_LETTERS: usize = 5;

/// Letters of a token: the slot, and 132 random bits (RFC 4975, 14.1 asks for 80).
pub const TOKEN_BYTES: usize = SLOT_LETTERS + 22;

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Our side of a leg: our URI and, for WebSocket, the secret resource path, kept as one text.
#[derive(Clone, Copy, Debug)]
pub struct LocalPath {
    /// URI and resource, one after the other.
    pub text: Text,
    /// Where the resource begins.
    pub uri_bytes: u16,
}

impl LocalPath {
    /// `L(X)`.
    pub fn uri<'a>(&self, texts: &'a Texts) -> &'a [u8] {
        &texts.get(self.text)[..self.uri_bytes as usize]
    }

    /// The resource path of a WebSocket leg; empty for TCP.
    pub fn resource<'a>(&self, texts: &'a Texts) -> &'a [u8] {
        &texts.get(self.text)[self.uri_bytes as usize..]
    }
}

/// A token that nobody can guess and that leads back to the session's slot without a search.
pub fn token(slot: u32, random: &[u8; 22]) -> [u8; TOKEN_BYTES] {
    let mut token = [0; TOKEN_BYTES];
    for (place, letter) in token[..SLOT_LETTERS].iter_mut().enumerate() {
        *letter = LETTERS[(slot >> (6 * (SLOT_LETTERS - 1 - place))) as usize & 63];
    }
    for (letter, octet) in token[SLOT_LETTERS..].iter_mut().zip(random) {
        *letter = LETTERS[*octet as usize & 63];
    }
    token
}

/// The slot that a token of ours would belong to. Whether it is ours shows only when the whole of
/// it is compared.
pub fn slot_of_token(token: &[u8]) -> Option<u32> {
    if token.len() != TOKEN_BYTES {
        return None;
    }
    token[..SLOT_LETTERS].iter().try_fold(0u32, |slot, letter| {
        let digit = LETTERS.iter().position(|known| known == letter)? as u32;
        Some(slot << 6 | digit)
    })
}

/// Whether a path consists of one URI only, of the form of ours.
pub fn is_of_ours(path: &[u8]) -> bool {
    let mut uris = uri::path(path);
    match (uris.next(), uris.next()) {
        (Some(Ok(only)), None) => only.session_id.and_then(slot_of_token).is_some(),
        _ => false,
    }
}

/// Whether a path consists of one URI only, and that is `local`.
pub fn is_only(path: &[u8], local: &[u8]) -> bool {
    if path == local {
        return true;
    }
    let mut uris = uri::path(path);
    match (uris.next(), uris.next(), Uri::parse(local)) {
        (Some(Ok(only)), None, Ok(local)) => only == local,
        _ => false,
    }
}

/// Whether two paths have the same endpoint, their rightmost URI.
pub fn ends_alike(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    match (Uri::parse(uri::last(one)), Uri::parse(uri::last(other))) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Whether the endpoints of two paths have the same session-id, wherever they are.
pub fn same_session_id(one: &[u8], other: &[u8]) -> bool {
    match (Uri::parse(uri::last(one)), Uri::parse(uri::last(other))) {
        (Ok(one), Ok(other)) => one.session_id.is_some() && one.session_id == other.session_id,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_leads_back_to_its_slot() {
        for slot in [0, 1, 63, 64, 65535, (1 << 20) - 1] {
            let token = token(slot, &[0xa7; 22]);
            assert_eq!(slot_of_token(&token), Some(slot));
        }
        assert_eq!(slot_of_token(b"short"), None);
        assert_eq!(slot_of_token(&[b'*'; TOKEN_BYTES]), None);
    }
}
