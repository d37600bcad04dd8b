//! `a=fingerprint`, as text and as the link has it. RFC 8122, 5.

use link::Fingerprint;

/// A SHA-256 hash as `a=fingerprint` has it. RFC 8122, 5.
pub(super) fn written_fingerprint(hash: &[u8; 32]) -> String {
    let octets: Vec<String> = hash.iter().map(|octet| format!("{octet:02X}")).collect();
    format!("SHA-256 {}", octets.join(":"))
}

/// The hash in a peer's `a=fingerprint`; `None` if it is of a kind that we do not take.
pub(super) fn read_fingerprint(text: &str) -> Option<Fingerprint> {
    let (kind, hash) = text.split_once(' ')?;
    let octet = |pair: &str| match pair.len() {
        2 => u8::from_str_radix(pair, 16).ok(),
        _ => None,
    };
    let octets: Vec<u8> = hash.trim().split(':').map(octet).collect::<Option<_>>()?;
    if kind.eq_ignore_ascii_case("sha-256") {
        Some(Fingerprint::Sha256(octets.try_into().ok()?))
    } else if kind.eq_ignore_ascii_case("sha-1") {
        Some(Fingerprint::Sha1(octets.try_into().ok()?))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_written_and_read_as_rfc_8122_has_them() {
        let text = written_fingerprint(&[0xab; 32]);
        assert!(text.starts_with("SHA-256 AB:AB:"));
        assert_eq!(
            read_fingerprint(&text),
            Some(Fingerprint::Sha256([0xab; 32]))
        );
        let lower = format!("sha-1 {}", ["0f"; 20].join(":"));
        assert_eq!(
            read_fingerprint(&lower),
            Some(Fingerprint::Sha1([0x0f; 20]))
        );
        for wrong in ["", "SHA-256", "SHA-256 AB", "MD5 AB", "SHA-1 +1:02"] {
            assert_eq!(read_fingerprint(wrong), None, "{wrong}");
        }
    }
}
