//! JsonRTC, the browser's protocol: frames, sessions that outlive their sockets, and the sockets. Pure.
//!
//! ```text
//! text ▶ Frame::read ▶ Browsers: which session? ▶ Session: a new number? ▶ Event to the gateway
//! gateway ▶ Browsers::send ▶ Session: number, keep ▶ Frame::write ▶ text
//! ```
//!
//! [`Browsers`] is one machine: texts and time in, [`Action`]s out. It knows no package but `register`,
//! and of that only `connect`; what a frame means is the gateway's affair.

mod browsers;
mod frame;
mod session;

pub use browsers::{Action, Browsers, Event, Limits, Login, Saved, Welcome};
pub use frame::{
    Control, Frame, Kind, Members, MessageState, REGISTER, SYSTEM_HEADERS, Unreadable,
    is_package_name,
};
pub use session::{Exhausted, Marks, Receipt, ResumeRefusal, Session, SessionHead, State};

use serde::{Deserialize, Serialize};

/// A WebSocket of a browser, by the number the edge gave it. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// A session, by a number that is short and no secret. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionKey(pub u64);

/// Close codes of the WebSocket that the server uses.
pub mod close {
    /// Deliberate end.
    pub const NORMAL: u16 = 1000;
    /// The session goes on on another device, which has taken it along.
    pub const MOVED: u16 = 1001;
    /// A binary message.
    pub const BINARY: u16 = 1003;
    /// Texts that are no frames, too many in a row.
    pub const UNREADABLE: u16 = 1007;
    /// A message over the limit.
    pub const TOO_LARGE: u16 = 1009;
    /// The same session was resumed on a newer socket.
    pub const REPLACED: u16 = 4000;
    /// Nothing came in for the idle limit, or no `connect` in time.
    pub const IDLE: u16 = 4001;
    /// A limit or a rule was broken; the session has ended.
    pub const POLICY: u16 = 4008;
}
