//! The MSRP reader against the naive judge, however the stream is cut.

#[path = "../../../relay/wire/tests/msrp/drive.rs"]
mod drive;
#[path = "../../../relay/wire/tests/msrp/judge.rs"]
pub mod judge;

/// Streams up to this length are cut at each of their places.
const EVERY_CUT_BYTES_MAX: usize = 96;

/// The octets are a stream as a peer sends it.
pub fn run(stream: &[u8]) {
    if stream.len() <= EVERY_CUT_BYTES_MAX {
        drive::check_every_cut(stream);
    } else {
        drive::check(stream, &[]);
        drive::check(stream, &(0..stream.len()).collect::<Vec<_>>());
        drive::check(stream, &super::cuts(stream, stream.len()));
    }
    // A WebSocket message may end anywhere.
    let end = super::hash(stream) as usize % (stream.len() + 1);
    let mut driver = drive::Driver::default();
    if driver.feed(&stream[..end]).is_ok() {
        let _ = driver.end_of_message();
    }
}
