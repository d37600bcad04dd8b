//! What outlives one message: who a user is, by which words. Pure.
//!
//! Sessions are kept by `jsonrtc`, subsessions by `gateway`, registrations by `sip`.

mod identity;

pub use identity::{Identity, NotIdentity};
