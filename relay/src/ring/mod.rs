//! The kernel, as a shard sees it: operations go in, completions come out, once per turn.
//!
//! [`Ring`] has two implementors: [`Uring`] here, and the simulator's fake in the tests, which
//! breaks reads and writes anywhere it likes. Everything above this module is written against the
//! trait, so that the code which is simulated is the code which ships.

#![allow(
    unsafe_code,
    reason = "the kernel is reached by unsafe calls; each block says why it is sound"
)]

mod memory;
mod posting;
pub mod probe;
mod restrict;
mod token;
mod uring;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub use memory::{CountingAllocator, Memory, allocations_of_this_thread};
pub use token::{Op, Token};
pub use uring::{Uring, pin_to_core};

use crate::buffers::Span;

/// One operation has come to its end, or a multishot one to its next result.
#[derive(Clone, Copy, Debug)]
pub struct Completion {
    /// Whose it is.
    pub token: Token,
    /// What the operation returned, or the errno.
    pub result: Result<u32, i32>,
    /// The receive buffer that holds what arrived.
    pub buffer: Option<u16>,
    /// The operation goes on: more completions with this token will come.
    pub more: bool,
}

/// What a shard asks of the kernel. Nothing here blocks but [`Ring::turn`].
///
/// Slots are chosen by the caller and name direct descriptors: the connection in slot 7 is
/// descriptor 7 of the ring. Every operation gives exactly one last completion (`more == false`).
pub trait Ring {
    /// Opens a listening socket under the number `listener`. Its connections fail when their peer has
    /// acknowledged nothing for `user_timeout`.
    fn listen(&mut self, listener: u32, at: SocketAddr, user_timeout: Duration) -> io::Result<()>;
    /// Closes a listener. An accept that waits there completes with an error.
    fn unlisten(&mut self, listener: u32);
    /// Waits for one connection on `listener`, to be put into the token's slot.
    fn accept(&mut self, listener: u32, token: Token);
    /// Who connected, once the accept on this listener has completed.
    fn accepted_from(&self, listener: u32) -> Option<SocketAddr>;
    /// Connects the token's slot to `peer`, from an address of ours; its port 0 is any. The user timeout
    /// is that of [`Ring::listen`].
    fn connect(
        &mut self,
        from: SocketAddr,
        peer: SocketAddr,
        user_timeout: Duration,
        token: Token,
    ) -> io::Result<()>;
    /// The address of this machine from which the kernel would reach `peer`, if it can.
    fn source_toward(&mut self, peer: SocketAddr) -> Option<IpAddr>;
    /// Receives into provided buffers until told otherwise, or until none is left.
    fn receive(&mut self, token: Token);
    /// Sends the spans in order. The caller keeps them unchanged until the completion, which may
    /// report fewer octets than asked.
    fn send(&mut self, spans: &[Span], token: Token);
    /// Ends our direction of the connection.
    fn shutdown(&mut self, token: Token);
    /// Gives the slot's descriptor back.
    fn close(&mut self, token: Token);
    /// Asks that the operation of this token end early.
    fn cancel(&mut self, token: Token);
    /// Gives a receive buffer back to the kernel.
    fn provide(&mut self, buffer: u16);
    /// Submits all that was asked for and takes in what has completed; waits up to `wait` for
    /// the first completion (`None`: as long as it takes).
    fn turn(&mut self, wait: Option<Duration>) -> io::Result<()>;
    /// The next completion of this turn.
    fn completion(&mut self) -> Option<Completion>;
    /// How often the kernel has been entered since the start.
    fn enters(&self) -> u64;
}
