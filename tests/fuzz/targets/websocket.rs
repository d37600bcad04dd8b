//! The reader of WebSocket frames against the naive judge, however the stream is cut.

#[path = "../../../relay/wire/tests/ws/drive.rs"]
mod drive;
#[path = "../../../relay/wire/tests/ws/judge.rs"]
mod judge;

/// Streams up to this length are cut at each of their places.
const EVERY_CUT_BYTES_MAX: usize = 96;

/// The octets are frames as a client sends them.
pub fn run(stream: &[u8]) {
    if stream.len() <= EVERY_CUT_BYTES_MAX {
        drive::check_every_cut(stream);
    } else {
        drive::check(stream, &[]);
        drive::check(stream, &(0..stream.len()).collect::<Vec<_>>());
        drive::check(stream, &super::cuts(stream, stream.len()));
    }
}
