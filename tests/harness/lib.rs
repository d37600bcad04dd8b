//! What several tests share: a ring without a kernel, peers without sockets, a source of chance.

pub mod chance;
pub mod endpoint;
pub mod fake_ring;
pub mod page;
pub mod process;
pub mod system;
pub mod tls;
