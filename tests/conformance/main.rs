//! The rules of MSRP, of MSRP over WebSocket and of the patent, each with a test of its own that is
//! named after it. `docs/conformance.md` lists the rules in our words; `table` holds it to the tests.
//!
//! One shard is driven over the fake ring, peers say and hear exact octets: see `bed`.

mod answers;
mod bed;
mod binding;
mod detached;
mod ending;
mod failures;
mod flow;
mod framing;
mod grammar;
mod hostile;
mod killed;
mod message;
mod paths;
mod policy;
mod pools;
mod realms;
mod resource;
mod sharing;
mod table;
mod tls;
mod tls_hostile;
mod websocket;
mod websocket_client;
mod websocket_frames;
