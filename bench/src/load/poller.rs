//! Which sockets have something new: an epoll instance per thread, edge-triggered.
//!
//! Nobody ever sleeps in it. So a relay that sends to the generator only puts the socket on a
//! list: it wakes nobody and interrupts no core, which would be counted as the relay's work. A
//! thread that finds nothing sleeps by its own timer, or looks again at once.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

/// Events taken from the kernel at a time.
const EVENTS: usize = 1024;

/// What is new about a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct News {
    /// The number it was added with.
    pub number: u64,
    /// There is something to read, perhaps an end.
    pub is_readable: bool,
    /// There is room to write, or it has connected.
    pub is_writable: bool,
    /// The peer sends no more, or the connection is broken: read until that is seen.
    pub is_ending: bool,
}

/// The epoll instance of a thread.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    /// A new one.
    pub fn new() -> io::Result<Poller> {
        Ok(Poller {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: Vec::with_capacity(EVENTS),
        })
    }

    /// Watches a socket until it is closed.
    pub fn add(&self, socket: impl AsFd, number: u64) -> io::Result<()> {
        let wanted = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(
            &self.epoll,
            socket,
            EventData::new_u64(number),
            wanted,
        )?)
    }

    /// What is new now; waits for nothing.
    pub fn look(&mut self) -> io::Result<impl Iterator<Item = News> + '_> {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&now)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.iter().map(|event| {
            let (flags, data) = (event.flags, event.data);
            let broken = EventFlags::ERR | EventFlags::HUP;
            News {
                number: data.u64(),
                is_readable: flags.intersects(EventFlags::IN | EventFlags::RDHUP | broken),
                is_writable: flags.intersects(EventFlags::OUT | broken),
                is_ending: flags.intersects(EventFlags::RDHUP | broken),
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn news_come_once_and_again_when_there_is_more() {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let mut poller = Poller::new().unwrap();
        poller.add(&near, 7).unwrap();
        let mut look = || poller.look().unwrap().collect::<Vec<_>>();
        let first = look();
        assert_eq!((first.len(), first[0].number), (1, 7));
        assert!(first[0].is_writable && !first[0].is_readable);
        assert_eq!(look(), []);
        far.write_all(b"x").unwrap();
        assert!(look()[0].is_readable);
        assert_eq!(look(), [], "nothing new, though nothing was read");
        near.read_exact(&mut [0]).unwrap();
        drop(far);
        assert!(look()[0].is_ending);
    }
}
