//! RFC 3261, 17, with RFC 6026: the four transaction machines, two files.
//!
//! A machine knows nothing of messages: it is told what came and what time it is, and says in one
//! [`client::Step`] or [`server::Step`] what is to be done. Lost over TCP cannot be, so over TCP
//! nothing is repeated (except, by its dialog, a 2xx to an INVITE).

pub(super) mod client;
pub(super) mod server;
