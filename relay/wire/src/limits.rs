//! Every bound of the wire formats, and how they relate.

/// Longest start line of an MSRP message, its CRLF included, in octets. Longer: the stream is lost.
pub const START_LINE_BYTES_MAX: usize = 512;
/// Longest header line, its CRLF included, in octets. Longer: a fault, answered with 400.
pub const HEADER_LINE_BYTES_MAX: usize = 8192;
/// Longest head (start line, headers and blank line), in octets. Longer: the stream is lost.
pub const HEAD_BYTES_MAX: usize = 16_384;
/// Most header lines of one head, the two paths included. More: a fault.
pub const HEADERS_MAX: usize = 64;
/// Most URIs in one path. More: a fault.
pub const PATH_URIS_MAX: usize = 8;
/// Longest transaction id that is understood. RFC 4975 has 4 to 32; we take 1 to 64.
pub const TRANSACTION_BYTES_MAX: usize = 64;
/// Longest Message-ID that is understood, in octets.
pub const MESSAGE_ID_BYTES_MAX: usize = 64;
/// Longest body of anything that is not a SEND, in octets. RFC 4975, 7.1.
pub const OTHER_BODY_BYTES_MAX: u64 = 10_240;

/// Most octets of a body that the reader ever holds back: CRLF, seven dashes, transaction id, flag
/// and CR.
pub const HELD_BYTES_MAX: usize = 2 + 7 + TRANSACTION_BYTES_MAX + 1 + 1;

/// Longest upgrade request, in octets. Longer: 431.
pub const UPGRADE_BYTES_MAX: usize = 8192;
/// Most header lines of an upgrade request. More: 431.
pub const UPGRADE_HEADERS_MAX: usize = 64;
/// Longest payload of a ping, pong or close frame, in octets. RFC 6455, 5.5.
pub const CONTROL_BYTES_MAX: usize = 125;
/// Longest header that a client's frame can have, in octets: 2, length 8, mask 4.
pub const FRAME_HEADER_BYTES_MAX: usize = 14;

const _: () = assert!(
    HEAD_BYTES_MAX <= u16::MAX as usize,
    "offsets in a head are u16"
);
const _: () = assert!(
    HEADER_LINE_BYTES_MAX < HEAD_BYTES_MAX,
    "a line must fit in a head"
);
const _: () = assert!(START_LINE_BYTES_MAX < HEADER_LINE_BYTES_MAX);
const _: () = assert!(
    HELD_BYTES_MAX <= u8::MAX as usize,
    "what is held is counted in a u8"
);
