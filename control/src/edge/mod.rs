//! Every socket, file and clock.
pub mod sip_peers;
