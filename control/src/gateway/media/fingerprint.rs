//! `a=fingerprint`, as text and as the link has it. RFC 8122, 5.

use link::Fingerprint;

/// A SHA-256 hash as `a=fingerprint` has it. RFC 8122, 5.
pub(super) fn written_fingerprint(hash: &[u8; 32]) -> String {
    let octets: Vec<String> = hash.iter().map(|octet| format!("{octet:02X}")).collect();
    format!("SHA-256 {}", octets.join(":"))
}

/// Not one of a peer's fingerprints is of a kind that we take.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UnknownKind;

/// The hash that a peer's certificate is compared with: of all that its description has, the strongest
/// that we take; `None` if it has none at all. RFC 8122, 5.
pub(super) fn strongest_fingerprint(texts: &[String]) -> Result<Option<Fingerprint>, UnknownKind> {
    let read = texts.iter().filter_map(|text| read_fingerprint(text));
    let strongest = read.min_by_key(|fingerprint| match fingerprint {
        Fingerprint::Sha256(_) => 0,
        Fingerprint::Sha1(_) => 1,
    });
    match strongest {
        None if !texts.is_empty() => Err(UnknownKind),
        strongest => Ok(strongest),
    }
}

/// The hash in a peer's `a=fingerprint`; `None` if it is of a kind that we do not take.
fn read_fingerprint(text: &str) -> Option<Fingerprint> {
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
    fn n4_of_several_fingerprints_the_strongest_known_is_compared() {
        let old = format!("sha-1 {}", ["0f"; 20].join(":"));
        let new = written_fingerprint(&[0xab; 32]);
        let unknown = "sha-999 00".to_owned();
        let sha_256 = Ok(Some(Fingerprint::Sha256([0xab; 32])));
        let sha_1 = Ok(Some(Fingerprint::Sha1([0x0f; 20])));
        let strongest = |texts: &[&String]| {
            let texts: Vec<String> = texts.iter().map(|text| text.to_string()).collect();
            strongest_fingerprint(&texts)
        };
        assert_eq!(strongest(&[&old, &unknown, &new]), sha_256);
        assert_eq!(strongest(&[&new, &old]), sha_256);
        assert_eq!(strongest(&[&unknown, &old]), sha_1);
        assert_eq!(strongest(&[&unknown]), Err(UnknownKind));
        assert_eq!(strongest(&[]), Ok(None));
    }

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
