//! When a certificate is valid: the one thing about our own that rustls does not tell. RFC 5280, 4.1.

/// From when until when, in seconds of Unix. `None`: this is no X.509 certificate.
pub(super) fn validity(certificate: &[u8]) -> Option<(u64, u64)> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    const VERSION: u8 = 0xa0;
    let (certificate, _) = element(certificate, SEQUENCE)?;
    let (mut rest, _) = element(certificate, SEQUENCE)?;
    if let Some((_, after)) = element(rest, VERSION) {
        rest = after;
    }
    // Serial number, algorithm of the signature, issuer.
    for tag in [INTEGER, SEQUENCE, SEQUENCE] {
        rest = element(rest, tag)?.1;
    }
    let (validity, _) = element(rest, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (until, _) = time(rest)?;
    Some((from, until))
}

/// The content of the element at the beginning, if it is of this kind, and what follows it.
fn element(octets: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = octets.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    if first < 0x80 {
        return rest.split_at_checked(first.into());
    }
    let (length, rest) = rest.split_at_checked((first & 0x7f).into())?;
    if length.is_empty() || length.len() > 4 {
        return None;
    }
    let length = length
        .iter()
        .fold(0, |sum, octet| sum << 8 | usize::from(*octet));
    rest.split_at_checked(length)
}

/// A time at the beginning, and what follows it. RFC 5280, 4.1.2.5: always in UTC, with seconds.
fn time(octets: &[u8]) -> Option<(u64, &[u8])> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let (year, digits, rest) = match element(octets, UTC_TIME) {
        Some((text, rest)) => {
            let year = number(text.get(..2)?)?;
            let century = if year >= 50 { 1900 } else { 2000 };
            (century + year, text.get(2..)?, rest)
        }
        None => {
            let (text, rest) = element(octets, GENERALIZED_TIME)?;
            (number(text.get(..4)?)?, text.get(4..)?, rest)
        }
    };
    let mut parts = [0; 5];
    for (place, pair) in parts.iter_mut().zip(digits.chunks(2)) {
        *place = number(pair)?;
    }
    let [month, day, hour, minute, second] = parts;
    let is_time = digits.get(10..) == Some(b"Z")
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let days = is_time.then(|| days(year, month, day))??;
    Some((days * 86400 + hour * 3600 + minute * 60 + second, rest))
}

fn number(digits: &[u8]) -> Option<u64> {
    let are_digits = digits.iter().all(u8::is_ascii_digit);
    are_digits.then(|| {
        digits
            .iter()
            .fold(0, |sum, digit| 10 * sum + u64::from(digit - b'0'))
    })
}

/// Days since 1970-01-01. `None`: before it.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    // The year is counted from March, so that the leap day is its last.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let leaps = year / 4 - year / 100 + year / 400;
    (365 * year + leaps + (153 * month + 2) / 5 + day).checked_sub(719_469)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_calendar_has_them() {
        let read = |tag: u8, text: &str| {
            let mut octets = vec![tag, text.len() as u8];
            octets.extend_from_slice(text.as_bytes());
            time(&octets).map(|(seconds, _)| seconds)
        };
        assert_eq!(read(0x17, "700101000000Z"), Some(0));
        assert_eq!(read(0x17, "000301000000Z"), Some(951_868_800));
        assert_eq!(read(0x17, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(read(0x18, "20240229120000Z"), Some(1_709_208_000));
        for wrong in [
            "20241329120000Z",
            "20240229120000",
            "2024",
            "2024022912000xZ",
        ] {
            assert_eq!(read(0x18, wrong), None, "{wrong}");
        }
        assert_eq!(read(0x17, "500101000000Z"), None, "long before 1970");
    }

    #[test]
    fn octets_that_are_no_certificate_have_no_validity() {
        let certificate = rcgen::generate_simple_self_signed(["a.example".to_string()]).unwrap();
        let octets = certificate.cert.der();
        assert!(validity(octets).is_some());
        for end in 0..octets.len().min(120) {
            assert_eq!(validity(&octets[..end]), None);
        }
    }
}
