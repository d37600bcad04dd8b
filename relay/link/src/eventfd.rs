//! An eventfd: what makes a sleeping side run. A count in the kernel; readable while it is not zero.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// One side's bell. Anyone who holds a duplicate may ring it; one thread of that side listens.
#[derive(Debug)]
pub struct EventFd(File);

impl EventFd {
    /// Reads and writes of it never block, whoever else holds a duplicate and does what with it. A
    /// listener waits by polling, in a ring too: two rings close together may leave one completion
    /// of the poll for which there is nothing to read any more.
    pub(crate) fn new() -> io::Result<EventFd> {
        // SAFETY: no pointer is passed; the kernel checks the flags.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just given us this descriptor, so nobody else owns it.
        Ok(EventFd(unsafe { File::from_raw_fd(fd) }))
    }

    /// Makes it readable, if it is not.
    pub fn ring(&self) {
        loop {
            // The only refusal is that the count is at its end: then it is readable already.
            match (&self.0).write(&1u64.to_ne_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => return,
            }
        }
    }

    /// Makes it unreadable. Does not block. Whether it was readable.
    ///
    /// # Errors
    /// The descriptor is no eventfd, or is one no more.
    pub fn clear(&self) -> io::Result<bool> {
        if !self.wait(Some(Duration::ZERO))? {
            return Ok(false);
        }
        match (&self.0).read(&mut [0; 8]) {
            Ok(_) => Ok(true),
            // Another duplicate was faster.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Blocks this thread until it is readable, at most for `timeout` (`None`: without end). Whether it
    /// is readable. It stays so until [`EventFd::clear`].
    ///
    /// # Errors
    /// Those of `poll(2)`.
    pub fn wait(&self, timeout: Option<Duration>) -> io::Result<bool> {
        let mut watched = [watch(self.as_fd(), libc::POLLIN)];
        poll(&mut watched, timeout)?;
        Ok(watched[0].revents != 0)
    }

    /// A second descriptor of the same bell.
    ///
    /// # Errors
    /// No descriptor is free.
    pub fn try_clone(&self) -> io::Result<EventFd> {
        self.0.try_clone().map(EventFd)
    }
}

impl From<OwnedFd> for EventFd {
    fn from(fd: OwnedFd) -> EventFd {
        EventFd(File::from(fd))
    }
}

impl From<EventFd> for OwnedFd {
    fn from(bell: EventFd) -> OwnedFd {
        bell.0.into()
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// An entry for [`poll`].
pub(crate) fn watch(fd: BorrowedFd<'_>, events: libc::c_short) -> libc::pollfd {
    libc::pollfd {
        fd: fd.as_raw_fd(),
        events,
        revents: 0,
    }
}

/// `poll(2)` that a signal does not end early. The `revents` say what was found; all zero: timed out.
pub(crate) fn poll(watched: &mut [libc::pollfd], timeout: Option<Duration>) -> io::Result<()> {
    let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    loop {
        let rest_ms = match end {
            None => -1,
            // Rounded up, so that the last millisecond is slept and not spun through.
            Some(end) => (end.saturating_duration_since(Instant::now()).as_micros())
                .div_ceil(1000)
                .min(i32::MAX as u128) as libc::c_int,
        };
        // SAFETY: pointer and count describe `watched`, which we alone borrow during the call.
        let found =
            unsafe { libc::poll(watched.as_mut_ptr(), watched.len() as libc::nfds_t, rest_ms) };
        if found >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
