//! What goes over the network to and from peers: MSRP (RFC 4975) and WebSocket (RFC 6455).
//!
//! ```text
//! octets ▶ ws::upgrade (once) ▶ ws::frame (unmasked in place) ▶ msrp::reader ▶ parts of chunks
//!          msrp::writer ▶ ws::frame::write_header ▶ octets
//! ```
//!
//! Pure: octets in, values out. There is no socket here, no clock, no thread, no session and,
//! outside the tests, no allocation. Whatever a peer sends leads to a value or to an error, never
//! to a panic.
//!
//! Readers hand out offsets and not borrows, so that the caller may rewrite the buffer that was
//! read.
#![forbid(unsafe_code)]

pub mod limits;
pub mod msrp;
mod out;
pub mod ws;
