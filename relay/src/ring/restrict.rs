//! Restricts a ring to what a shard asks of it. Seccomp sees only that a ring is entered, not what
//! for; this is its other half.

use std::io;

use io_uring::register::Restriction;
use io_uring::{IoUring, opcode};

/// Operations that are submitted. Whoever adds one to the ring adds it here; without it the kernel
/// answers with EACCES.
const OPERATIONS: &[u8] = &[
    opcode::Accept::CODE,
    opcode::AsyncCancel2::CODE,
    opcode::Close::CODE,
    opcode::Connect::CODE,
    opcode::PollAdd::CODE,
    opcode::RecvMulti::CODE,
    opcode::Send::CODE,
    opcode::SendMsg::CODE,
    opcode::Shutdown::CODE,
];

/// `IOSQE_FIXED_FILE` and `IOSQE_BUFFER_SELECT`.
const FLAGS: u8 = 1 << 0 | 1 << 5;

/// `IORING_REGISTER_FILES_UPDATE`: a socket that is to connect is put into the table.
const REGISTRATIONS: &[u8] = &[6];

/// Restricts a ring that was set up disabled, and enables it. What is to be registered once has been.
pub(super) fn enable(ring: &IoUring) -> io::Result<()> {
    let operations = OPERATIONS.iter().map(|code| Restriction::sqe_op(*code));
    let registrations = REGISTRATIONS.iter().map(|op| Restriction::register_op(*op));
    let mut restrictions: Vec<_> = operations
        .chain(registrations)
        .chain([Restriction::sqe_flags_allowed(FLAGS)])
        .collect();
    ring.submitter().register_restrictions(&mut restrictions)?;
    ring.submitter().register_enable_rings()
}
