//! MSRP as an endpoint speaks it: reading chunks from a byte stream, writing chunks to one.
//!
//! Pure: bytes in, events out. Written for the bench alone, so that a mistake in the relay's own
//! reader or writer is seen here and not repeated. RFC 4975.

pub mod head;
pub mod reader;
pub mod writer;

pub use head::{ByteRange, FailureReport, Head, Kind, session_id};
pub use reader::{Event, Flag, Reader};
