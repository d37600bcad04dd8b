//! The media relay.
//!
//! ```text
//! socket ▶ ring ▶ transport ▶ wire::msrp ▶ session ▶ transport ▶ ring ▶ socket
//!          recv   ws frames   head, body   route,    ws frames   send
//!                                          rewrite
//! ```
//!
//! One *shard* per core does all of this for its own sessions and shares nothing with the others.
//! `shard` is where the parts meet; `ring`, `transport`, `session` and `link` do not know each
//! other. `wire`, `transport` and `session` are pure: octets and time in, decisions out.

pub mod buffers;
pub mod certificates;
pub mod config;
pub mod limits;
pub mod metrics;
pub mod ring;
pub mod sandbox;
pub mod session;
pub mod shard;
pub mod transport;
