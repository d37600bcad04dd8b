//! The operator's pages: numbers in, text out. Pure; `edge` serves them.

mod prometheus;

pub use prometheus::{RelayNumber, page};
