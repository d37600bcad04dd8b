//! WebSocket, the server's side. RFC 6455; subprotocol `msrp`: RFC 7977.

pub mod frame;
mod header;
pub mod mask;
pub mod upgrade;
mod utf8;

pub use frame::{CloseCode, Control, Frame, FrameReader, Opcode};
