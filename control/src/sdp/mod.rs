//! Session descriptions with MSRP: reading offers and answers, and putting the relay into them. Pure.
//!
//! ```text
//! offer from A ▶ Offer::read ▶ (relay makes legs) ▶ anchor_offer(leg B) ▶ to B
//! answer from B ▶ Answer::read ▶ role_after_answer ▶ anchor_answer(leg A) ▶ to A
//! ```
//!
//! The first usable `m=message` line is anchored. Every other m-line, whatever its kind, is passed with
//! port 0 in both directions, so that the lines of offer and answer stay in step.
//! RFC 4975, 8; RFC 6135; RFC 3264. Not here: asking the relay for legs, resolving names (`gateway`, `edge`).

mod anchor;
mod description;
mod media;
mod role;
mod uri;

pub use anchor::{BadLeg, LocalLeg, Origin, anchor_answer, anchor_offer};
pub use description::{Answer, Offer, Refusal};
pub use media::{MessageMedia, Target};
pub use role::{Role, Setup, Transport, role_after_answer, role_after_offer, setup_to_offer};
pub use uri::MsrpUri;
