//! MSRP messages. RFC 4975, 7 and 9.

mod end_line;
pub mod head;
mod progress;
pub mod reader;
pub mod status;
pub mod uri;
pub mod writer;

pub use head::{ByteRange, FailureReport, Fault, Field, Head, Kind, Method, ReportStatus};
pub use reader::{Continuation, Held, Malformed, Part, Read, Reader};
pub use uri::Uri;
