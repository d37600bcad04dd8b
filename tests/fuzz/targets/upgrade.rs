//! The upgrade request of a browser: read alike in one piece and octet by octet, and what is
//! answered is HTTP.

use wire::limits::UPGRADE_BYTES_MAX;
use wire::ws::upgrade::{Refusal, Request, accept, refuse};

type Outcome = Result<Option<(Vec<u8>, Vec<u8>, usize)>, Refusal>;

/// What a shard sees that gets the request in pieces: the first outcome that is one.
fn read_in_pieces(input: &[u8], cuts: impl Iterator<Item = usize>) -> Outcome {
    let mut scanned = 0;
    for cut in cuts.chain([input.len()]) {
        match Request::parse_growing(&input[..cut], &mut scanned) {
            Ok(None) => {}
            Ok(Some((request, bytes))) => {
                assert!(bytes <= cut, "a request lies in its input");
                return Ok(Some((request.path.to_vec(), request.key.to_vec(), bytes)));
            }
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(None)
}

/// The octets are what a client sends first.
pub fn run(input: &[u8]) {
    let input = &input[..input.len().min(UPGRADE_BYTES_MAX + 100)];
    let whole = read_in_pieces(input, std::iter::empty());
    let by_octets = read_in_pieces(input, 0..input.len());
    let in_pieces = read_in_pieces(input, super::cuts(input, input.len()).into_iter());
    match &whole {
        // What has no hope may be refused before it is complete, and then for what is wrong first;
        // it is refused either way.
        Err(_) => assert!(by_octets.is_err() && in_pieces.is_err(), "{by_octets:?}"),
        _ => {
            assert_eq!(whole, by_octets);
            assert_eq!(whole, in_pieces);
        }
    }
    let mut out = [0; 1024];
    let answer = match &whole {
        Ok(None) => return,
        Ok(Some((path, key, _))) => {
            assert!(path.starts_with(b"/") && !path.contains(&b'\r') && !path.contains(&b' '));
            accept(&mut out, key, b"msrp")
        }
        Err(refusal) => refuse(&mut out, refusal.status()),
    };
    let answer = &out[..answer.expect("an answer fits")];
    assert!(answer.starts_with(b"HTTP/1.1 ") && answer.ends_with(b"\r\n\r\n"));
}
