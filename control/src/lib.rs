//! Control: the signalling half of Causeway.
//!
//! ```text
//! browser ▶ edge ▶ jsonrtc ▶ gateway ▶ (criterion, script) ▶ sip ▶ edge ▶ SIP peer
//! SIP peer ▶ edge ▶ sip ▶ gateway ▶ (criterion, script) ▶ jsonrtc ▶ edge ▶ browser
//! gateway ▶ link ▶ relay                                   make, pair and end a media session
//! ```
//!
//! `edge` owns every socket, file and clock. Everything below it is pure: bytes and time go in,
//! actions come out. `jsonrtc`, `sip`, `sdp`, `script`, `packages` and `state` do not know each other;
//! `gateway` is where they meet. `bodies` reads and writes what scripts put into messages.

pub mod admin;
pub mod backlog;
pub mod bodies;
pub mod config;
pub mod edge;
pub mod gateway;
pub mod jsonrtc;
pub mod limits;
pub mod metrics;
pub mod packages;
pub mod random;
pub mod script;
pub mod sdp;
pub mod sip;
pub mod state;
pub mod timers;
