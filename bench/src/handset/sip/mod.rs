//! The little SIP that a handset needs: messages, transactions, dialogs, sockets. RFC 3261.
//!
//! Written for the bench alone; it shares nothing with the gateway it talks to.

pub mod dialog;
pub mod message;
pub mod transaction;
pub mod transport;
pub mod uri;

pub use dialog::Dialog;
pub use message::{Message, Start};
pub use transaction::{ClientKey, Output, ServerKey, Transactions};
pub use transport::{Flow, Sockets, Transport};
pub use uri::Uri;

/// A random token of `bytes` octets, in hexadecimal.
pub fn token(bytes: usize) -> String {
    let mut octets = [0; 16];
    let part = &mut octets[..bytes.min(16)];
    getrandom::fill(part).expect("the kernel's random source has no reason to fail");
    part.iter().map(|octet| format!("{octet:02x}")).collect()
}
