//! The WebSocket server's side against a naive judge, and against tungstenite, which shares no code
//! with us.

mod client;
mod drive;
mod frames;
mod judge;
mod peer;
