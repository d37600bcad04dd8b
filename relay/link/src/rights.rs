//! Descriptors over a Unix socket: `SCM_RIGHTS`, unix(7).

use crate::layout::SHARDS_MAX;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// Most descriptors in one message: the memory, control's bell, a bell per shard.
const RIGHTS_MAX: usize = SHARDS_MAX + 2;

const _: () = assert!(RIGHTS_MAX <= 253, "the kernel's SCM_MAX_FD");

/// Room for one control message with all descriptors, aligned as `cmsghdr` must be.
#[repr(C, align(8))]
struct Room([u8; ROOM_BYTES]);

/// Rounded up: the header is 16 bytes on all 64-bit machines.
const ROOM_BYTES: usize = 32 + (RIGHTS_MAX * size_of::<RawFd>()).next_multiple_of(8);

/// The descriptors that came with a message. Whoever does not take them closes them.
pub(crate) type Received = Vec<OwnedFd>;

/// Sends `bytes`, and with the first of them `fds`.
pub(crate) fn send(socket: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    assert!(
        fds.len() <= RIGHTS_MAX && !bytes.is_empty(),
        "one message, with something in it"
    );
    let mut room = Room([0; ROOM_BYTES]);
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut message = message(&mut part, &mut room);
    let payload = std::mem::size_of_val(fds) as libc::c_uint;
    if fds.is_empty() {
        message.msg_control = std::ptr::null_mut();
        message.msg_controllen = 0;
    } else {
        // SAFETY: computes a number.
        let space = unsafe { libc::CMSG_SPACE(payload) };
        assert!(space as usize <= ROOM_BYTES, "the room is large enough");
        message.msg_controllen = space as _;
        // SAFETY: `message` has a control buffer that is longer than a header (the room is, and
        // `msg_controllen` is not zero), so this is a pointer to its start.
        let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        // SAFETY: computes a number.
        let length = unsafe { libc::CMSG_LEN(payload) };
        // SAFETY: a `cmsghdr` is numbers, for which zero is a value.
        let mut head: libc::cmsghdr = unsafe { std::mem::zeroed() };
        head.cmsg_level = libc::SOL_SOCKET;
        head.cmsg_type = libc::SCM_RIGHTS;
        head.cmsg_len = length as _;
        // SAFETY: `header` is the start of `room`, which is aligned for it and has space for it.
        unsafe { header.write(head) };
        // SAFETY: computes an address inside `room`, behind the header.
        let mut data = unsafe { libc::CMSG_DATA(header) }.cast::<RawFd>();
        for fd in fds {
            // SAFETY: `room` has space for RIGHTS_MAX descriptors behind the header, and `fds` has no
            // more (asserted). Unaligned, as CMSG_DATA promises no alignment.
            unsafe { data.write_unaligned(fd.as_raw_fd()) };
            // SAFETY: at most one behind the last descriptor, so inside `room` or at its end.
            data = unsafe { data.add(1) };
        }
    }
    let sent = loop {
        // SAFETY: `message` points to `part` and `room`, `part` to `bytes`; all live until the call
        // returns, and the kernel only reads them.
        let sent =
            unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
        match usize::try_from(sent) {
            Ok(sent) => break sent,
            Err(_) => retry_or_fail()?,
        }
    };
    let mut stream = socket;
    stream.write_all(bytes.get(sent..).unwrap_or_default())
}

/// Fills `bytes`, and returns the descriptors that came with the first of them.
pub(crate) fn receive(socket: &UnixStream, bytes: &mut [u8]) -> io::Result<Received> {
    let mut room = Room([0; ROOM_BYTES]);
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut message = message(&mut part, &mut room);
    let received = loop {
        // SAFETY: `message` points to `part` and `room`, `part` to `bytes`, which we borrow mutably;
        // all live until the call returns, and the kernel writes within the lengths given.
        let received =
            unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match usize::try_from(received) {
            Ok(received) => break received,
            Err(_) => retry_or_fail()?,
        }
    };
    let fds = take_rights(&message); // before any error below, so that none stays open
    if received == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        let text = "descriptors were lost: this process has no free ones (raise its nofile limit)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut stream = socket;
    stream.read_exact(bytes.get_mut(received..).unwrap_or_default())?;
    Ok(fds)
}

/// A message of one part and an empty control buffer of the whole room. It points to both.
fn message(part: &mut libc::iovec, room: &mut Room) -> libc::msghdr {
    // SAFETY: a `msghdr` is numbers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = part;
    message.msg_iovlen = 1;
    message.msg_control = room.0.as_mut_ptr().cast();
    message.msg_controllen = ROOM_BYTES as _;
    message
}

/// Becomes the owner of every descriptor in a message that `recvmsg` has just filled, once per message.
fn take_rights(message: &libc::msghdr) -> Received {
    let mut fds = Vec::new();
    // SAFETY: the kernel has set `msg_control` and `msg_controllen` to what it wrote into the room.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: not null, so a header inside the room, which the kernel has written whole.
        let header = unsafe { next.read() };
        if (header.cmsg_level, header.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: computes a number.
            let head = unsafe { libc::CMSG_LEN(0) } as usize;
            let count = (header.cmsg_len as usize).saturating_sub(head) / size_of::<RawFd>();
            // SAFETY: computes an address inside the room, behind the header.
            let data = unsafe { libc::CMSG_DATA(next) }.cast::<RawFd>();
            for index in 0..count {
                // SAFETY: `cmsg_len` says that so many descriptors lie there, all inside the room.
                let data = unsafe { data.add(index) };
                // SAFETY: as above. Unaligned, as CMSG_DATA promises no alignment.
                let fd = unsafe { data.read_unaligned() };
                // SAFETY: the kernel has opened it for us with this message, and we come by here once.
                fds.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
        // SAFETY: `next` lies in the room that `message` describes.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
    fds
}

/// After a call failed: `Ok` if only a signal came between.
fn retry_or_fail() -> io::Result<()> {
    match io::Error::last_os_error() {
        error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
        error => Err(error),
    }
}
