//! Looks for the end-line of a chunk: CRLF, seven dashes, its transaction id, a flag, CRLF. RFC
//! 4975, 7.1.
//!
//! Every octet of a body is looked at. Where Byte-Range announces where the body ends one could
//! look there first, but an end-line *before* that place ends the chunk for whoever scans (7.3.1
//! wants lengths taken from what is received, not from the header), so the octets before it had to
//! be scanned all the same; and a relay that trusted the header would let one side hide messages in
//! a body from the other.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::reader::Continuation;

/// What every end-line begins with, whatever the transaction. CR occurs in it only once, at its
/// start; so no occurrence overlaps another, and a match that fails can only begin anew at the
/// octet that failed it.
pub(super) const LEAD: &[u8] = b"\r\n-------";

/// Octets of an end-line beside its transaction id: [`LEAD`], flag, CRLF.
pub(super) const FRAME_BYTES: usize = LEAD.len() + 3;

/// One searcher for all transactions: it is built once, and no chunk has to build (or keep) one of
/// its own.
static LEADS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(LEAD));

/// What a search found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The end-line's first CR is at `at`, the octet after its LF at `after`.
    End {
        at: usize,
        after: usize,
        flag: Continuation,
    },
    /// Up to `data_end` all is body; what follows, if anything, may be the beginning of the
    /// end-line.
    Nothing { data_end: usize },
}

/// Searches `input` from `from` on.
pub(super) fn find(input: &[u8], mut from: usize, transaction: &[u8]) -> Found {
    while let Some(offset) = LEADS.find(&input[from..]) {
        let at = from + offset;
        let tail = &input[at + LEAD.len()..];
        match tail_of_end_line(tail, transaction) {
            Tail::Whole(flag) => {
                return Found::End {
                    at,
                    after: at + FRAME_BYTES + transaction.len(),
                    flag,
                };
            }
            Tail::Begun => return Found::Nothing { data_end: at },
            Tail::Other => from = at + LEAD.len(),
        }
    }
    // A lead may be cut by the input's end. Only the last CR can begin it, since it has no second
    // one.
    let near_end = from.max(input.len().saturating_sub(LEAD.len() - 1));
    let data_end = match memchr::memrchr(b'\r', &input[near_end..]) {
        Some(offset) if LEAD.starts_with(&input[near_end + offset..]) => near_end + offset,
        _ => input.len(),
    };
    Found::Nothing { data_end }
}

/// What the octets after a [`LEAD`] are.
enum Tail {
    Whole(Continuation),
    /// All of them, fewer than an end-line has, are as they should be.
    Begun,
    Other,
}

fn tail_of_end_line(tail: &[u8], transaction: &[u8]) -> Tail {
    let Some((id, rest)) = tail.split_at_checked(transaction.len()) else {
        return if transaction.starts_with(tail) {
            Tail::Begun
        } else {
            Tail::Other
        };
    };
    if id != transaction {
        return Tail::Other;
    }
    match rest {
        [] => Tail::Begun,
        [flag, rest @ ..] => match (Continuation::from_octet(*flag), rest) {
            (Some(flag), [b'\r', b'\n', ..]) => Tail::Whole(flag),
            (Some(_), [] | [b'\r']) => Tail::Begun,
            _ => Tail::Other,
        },
    }
}

/// The flag, if `line` (without CRLF) is the end-line of this transaction.
pub(super) fn flag_of_line(line: &[u8], transaction: &[u8]) -> Option<Continuation> {
    match line.strip_prefix(b"-------")?.strip_prefix(transaction)? {
        [flag] => Continuation::from_octet(*flag),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_line_is_found_behind_false_ones() {
        let input = b"a\r\n-------othr$\r\n-------abcdx\r\n-------abcd*\r\n-------abcd$\n\
            \r\n-------abcd+\r\nmore";
        let at = input.len() - b"\r\n-------abcd+\r\nmore".len();
        assert_eq!(
            find(input, 0, b"abcd"),
            Found::End {
                at,
                after: input.len() - 4,
                flag: Continuation::More
            }
        );
    }

    #[test]
    fn every_cut_of_an_end_line_is_held_back() {
        let input = b"body\r\n-------abcd$\r\n";
        for cut in 5..input.len() {
            assert_eq!(
                find(&input[..cut], 0, b"abcd"),
                Found::Nothing { data_end: 4 },
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn octets_before_the_start_of_the_search_do_not_count() {
        let input = b"\r\n-------abcd$\r\n";
        assert_eq!(
            find(input, 1, b"abcd"),
            Found::Nothing {
                data_end: input.len() - 2
            }
        );
        assert_eq!(find(b"\r", 1, b"abcd"), Found::Nothing { data_end: 1 });
    }
}
