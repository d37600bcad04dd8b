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
//! Not here: sockets and TLS (the edge), host names of requests that leave without a next hop.

mod account;
mod address;
mod api;
mod authority;
mod compose;
mod dialog;
mod digest;
mod elsewhere;
mod framer;
mod hops;
mod in_dialog;
mod incoming;
mod machine;
mod message;
mod method;
mod modify;
mod notifier;
mod outgoing;
mod overload;
#[cfg(test)]
mod properties;
mod proxy;
mod publication;
mod random;
mod reader;
mod registrar;
mod registration;
mod reliable;
mod responses;
mod saved;
mod sender;
mod session_timer;
mod settings;
#[cfg(test)]
mod simulation;
mod subscribing;
mod subscription;
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

pub use account::Secrets;
pub use api::*;
pub use digest::{Algorithm, Answer, Asked, Challenge, Credentials, Hash, Qop, Secret};
pub use framer::{Frame, Framer, PING, PONG, StreamFault};
pub use hops::Hop;
pub use machine::{Held, Sip};
pub use message::{Message, StartLine};
pub use method::Method;
pub use settings::{Limits, SecurePlace, Settings, Timing, Upstream};
