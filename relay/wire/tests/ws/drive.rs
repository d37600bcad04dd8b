//! Feeds the reader of frames as a connection would, and compares it with the judge.

use wire::ws::{Frame as Found, FrameReader};

use super::judge::{Event, judge};

/// The largest message that the reader under test takes.
const MESSAGE_BYTES_MAX: usize = 1000;

/// Reads a stream that comes in pieces, cut at `cuts` (ascending).
pub fn read_in_pieces(stream: &[u8], cuts: &[usize]) -> Vec<Event> {
    let mut reader = FrameReader::new(MESSAGE_BYTES_MAX as u64);
    let mut events = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    let mut from = 0;
    for cut in cuts.iter().copied().chain([stream.len()]) {
        // What is before the octets to read is left alone.
        let mut input = [b"xyz", &stream[from..cut]].concat();
        from = cut;
        let mut at = 3;
        loop {
            at = match reader.read(&mut input, at) {
                Ok(Found::More) => break,
                Ok(Found::Payload { span, first, last }) => {
                    assert_eq!(first, open.is_none());
                    assert!(span.start >= at && (!span.is_empty() || last));
                    let message = open.get_or_insert_default();
                    message.extend_from_slice(&input[span.clone()]);
                    if last {
                        events.extend(open.take().map(Event::Message));
                    }
                    span.end
                }
                Ok(Found::Ping { payload, next }) => {
                    events.push(Event::Ping(payload.as_slice().to_vec()));
                    next
                }
                Ok(Found::Pong { payload, next }) => {
                    events.push(Event::Pong(payload.as_slice().to_vec()));
                    next
                }
                Ok(Found::Close { code, .. }) => {
                    events.push(Event::Close(code));
                    return events;
                }
                Err(code) => {
                    events.push(Event::Error(code));
                    return events;
                }
            };
        }
        assert_eq!(&input[..3], b"xyz");
    }
    // A message of which not one octet has come is not told yet.
    assert!(!reader.is_between_messages() || open.is_none());
    events.extend(open.map(Event::Open));
    events
}

/// Reader and judge must agree about the stream, cut like this.
pub fn check(stream: &[u8], cuts: &[usize]) {
    let mut expected = judge(stream, MESSAGE_BYTES_MAX);
    expected.retain(|event| *event != Event::Open(Vec::new()));
    assert_eq!(
        read_in_pieces(stream, cuts),
        expected,
        "cut at {cuts:?}: {}",
        stream.escape_ascii()
    );
}

/// As [`check`], for the whole stream, each of its cuts in two, and octet by octet.
pub fn check_every_cut(stream: &[u8]) {
    check(stream, &[]);
    check(stream, &(0..stream.len()).collect::<Vec<_>>());
    for cut in 0..=stream.len() {
        check(stream, &[cut]);
    }
}
