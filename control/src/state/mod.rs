//! What outlives one message, or the process: who a user is, by which words; records in a file. Pure.
//!
//! Sessions are kept by `jsonrtc`, subsessions by `gateway`, registrations by `sip`.

mod identity;
pub mod log;

pub use identity::{Identity, NotIdentity};
