//! What goes through shared memory between the relay and control.
//!
//! ```text
//! control                      one region per attachment                    relay
//! Attachment::connect ─────────── Unix socket, descriptors ─────────── Listener::accept
//! ControlEnd.commands ─ push ─▶ ┌ commands of shard 0 ┐ ─ pop ─▶ ShardEnd.commands
//! ControlEnd.events   ◀─ pop ── ├ events of shard 0   ┤ ◀ push ─ ShardEnd.events
//! ControlEnd.counters ◀ read ── └ counters of shard 0 ┘ ◀ write─ ShardEnd.counters
//! ```
//!
//! - `attach`, `listener`, `rights`: the socket. The relay makes a region for each control that
//!   attaches and passes it on; `eventfd`: the bells that wake a sleeping side.
//! - `region`: the memory; `layout`: where what lies in it; `ends`: the halves of it a program holds.
//! - `queue`: one writer, one reader, 2 KiB slots; a side that sleeps is woken, one that runs is not.
//! - `command`, `event`, `leg_spec`: what is said; `record`: how it lies in a slot; `counter`: what is counted.
//!
//! Invariants: no allocation and no lock once attached. What the other process wrote is copied, then
//! checked, then used; whatever it writes, this side ends with a value or an error. Nothing here knows
//! MSRP, SIP or a ring. `docs/link.md` is the page for whoever has to debug it.

mod attach;
mod command;
mod counter;
mod ends;
mod event;
#[allow(unsafe_code)] // descriptors from the kernel
mod eventfd;
mod in_process;
mod layout;
mod leg_spec;
mod listener;
#[cfg(all(test, loom))]
#[allow(unsafe_code)] // the checker's cells
mod model;
mod queue;
mod record;
#[allow(unsafe_code)] // mapped memory
mod region;
#[allow(unsafe_code)] // control messages, descriptors from the kernel
mod rights;

pub use attach::{Attachment, Woken, hung_up};
pub use command::Command;
pub use counter::Counter;
pub use ends::{ControlEnd, CountersReader, CountersWriter, Receiver, Sender, ShardEnd};
pub use event::{Cause, CreatedLeg, Event, LegState, Refusal, SessionCounts};
pub use event::{OWN_PATH_BYTES_MAX, RESOURCE_BYTES_MAX};
pub use eventfd::EventFd;
pub use in_process::{InProcess, in_process};
pub use layout::{LAYOUT_HASH, SHARDS_MAX, SLOTS_DEFAULT, SLOTS_MAX, VERSION};
pub use leg_spec::{
    Fingerprint, LegPolicy, LegSpec, PEER_NAME_BYTES_MAX, PeerIdentity, PeerProof, REALM_BYTES_MAX,
    Switches,
};
pub use listener::{AcceptError, Attached, Listener, Options};
pub use queue::{Corrupt, PushError};
pub use record::{
    Invalid, Leg, PATH_BYTES_MAX, RECORD_BYTES, Record, SessionId, TooLong, Transport,
};
