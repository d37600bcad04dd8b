//! SIP: messages, transactions, dialogs, the registrar and the proxy of our own domain. Pure.
//!
//! ```text
//! bytes ▶ reader ▶ transaction ▶ dialog ▶ Event to the gateway
//!                              ▶ registrar (REGISTER)
//!                              ▶ proxy (handset to handset)
//! gateway ▶ request, respond, ack, cancel ▶ dialog ▶ transaction ▶ Transmit
//! ```
//!
//! [`Sip`] is one machine: bytes and time in, [`Action`]s out. It opens no socket and reads no clock;
//! its state is `serde`-serialisable. The edge calls [`Sip::receive`], [`Sip::flow_lost`] and, when
//! [`Sip::deadline`] has come, [`Sip::timeout`]; the gateway calls the rest.
//!
//! Not here yet: TLS and `sips:`, authentication, host names, session timers, reliable provisional
//! answers, subscriptions, Path and Service-Route.

mod address;
mod api;
mod compose;
mod dialog;
mod framer;
mod in_dialog;
mod incoming;
mod machine;
mod message;
mod method;
mod outgoing;
#[cfg(test)]
mod properties;
mod proxy;
mod random;
mod reader;
mod registrar;
mod responses;
mod saved;
mod settings;
#[cfg(test)]
mod simulation;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod timeouts;
mod timers;
#[cfg(test)]
mod torture;
mod transaction;
mod uri;
mod via;

pub use api::*;
pub use framer::{Frame, Framer, PONG, StreamFault};
pub use machine::{Held, Sip};
pub use message::{Message, StartLine};
pub use method::Method;
pub use settings::{Limits, Settings, Timing};
