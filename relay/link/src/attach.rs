//! Control's side of an attachment, and what both sides share: the greeting.
//!
//! Control connects and says which build it is. The relay answers with its own build, makes a region for
//! this control alone and passes its descriptor, the bell of control and the bell of each shard. After
//! that nothing is sent: the socket is kept because it hangs up when the process at its other end dies.
//! The relay's side of it is in `listener.rs`.

use crate::ends::{ControlEnd, control_ends};
use crate::eventfd::{EventFd, poll, watch};
use crate::layout::{LAYOUT_HASH, MAGIC, Mismatch, Shape, VERSION, check_build};
use crate::region::Region;
use crate::rights;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long control waits for the relay's greeting.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Control, attached to a relay.
pub struct Attachment {
    /// One end per shard of the relay.
    pub shards: Vec<ControlEnd>,
    /// Readable when an event queue whose receiver sleeps got an event, or a full command queue got
    /// room. Non-blocking. [`EventFd::clear`] it, then look at every shard.
    pub ready: EventFd,
    /// Hangs up when the relay dies or takes another control. Blocking; nothing is ever sent on it.
    pub socket: UnixStream,
    /// Which attachment of this relay it is: 1, 2, …
    pub epoch: u64,
}

/// What ended [`Attachment::wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Events wait, or there is room again. `ready` is cleared already.
    Ready,
    /// The relay is gone, or has taken another control. What it had published can still be popped.
    HungUp,
    /// Nothing happened in time.
    TimedOut,
}

impl Attachment {
    /// Attaches to the relay that serves the Unix socket at `path`, and so detaches any control that was
    /// attached before. Blocks until the relay answers, at most 5 seconds.
    ///
    /// # Errors
    /// Each says what to do: nobody is there, permission is lacking, the relay is of another build.
    pub fn connect(path: impl AsRef<Path>) -> io::Result<Attachment> {
        let path = path.as_ref();
        let mut socket = UnixStream::connect(path).map_err(|error| unreachable(path, error))?;
        Attachment::greet(&mut socket)
            .map_err(|error| unanswered(path, error))
            .and_then(|(shape, rights)| {
                Attachment::open(socket, shape, rights).map_err(|error| {
                    explain(
                        error,
                        format!("the relay at {} offers no usable memory", path.display()),
                    )
                })
            })
    }

    fn greet(socket: &mut UnixStream) -> io::Result<(Shape, rights::Received)> {
        socket.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        socket.set_write_timeout(Some(ANSWER_TIMEOUT))?;
        socket.write_all(&Greeting::of(NOTHING).to_bytes())?;
        let mut bytes = [0; GREETING_BYTES];
        let rights = rights::receive(socket, &mut bytes)?;
        socket.set_read_timeout(None)?;
        socket.set_write_timeout(None)?;
        let shape = Greeting::from_bytes(&bytes).check()?;
        Ok((shape, rights))
    }

    fn open(socket: UnixStream, shape: Shape, rights: rights::Received) -> io::Result<Attachment> {
        let mut fds = rights.into_iter();
        let (Some(memory), Some(ready)) = (fds.next(), fds.next()) else {
            return Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                "it sent none: its log says why (memory or descriptors are used up)",
            ));
        };
        let bells: Vec<Arc<EventFd>> = fds.map(|fd| Arc::new(EventFd::from(fd))).collect();
        if bells.len() != shape.shards as usize {
            let text = format!("{} bells came for {} shards", bells.len(), shape.shards);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let region = Arc::new(Region::open(memory, shape)?);
        let ready = EventFd::from(ready);
        let shards = control_ends(&region, &Arc::new(ready.try_clone()?), &bells);
        Ok(Attachment {
            shards,
            ready,
            socket,
            epoch: shape.epoch,
        })
    }

    /// Announces sleep to every shard and blocks this thread until one has something to say, there is
    /// room in a queue that was full, the relay hangs up, or `timeout` (`None`: never) is over. Returns
    /// at once if an event waits. For plain threads; an async program watches `ready` and `socket`.
    ///
    /// # Errors
    /// Those of `poll(2)`.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Woken> {
        let mut all_sleep = true;
        for end in &mut self.shards {
            all_sleep &= end.events.sleep();
        }
        let mut watched = [
            watch(self.ready.as_fd(), libc::POLLIN),
            watch(self.socket.as_fd(), libc::POLLIN | libc::POLLRDHUP),
        ];
        let waited = poll(
            &mut watched,
            if all_sleep {
                timeout
            } else {
                Some(Duration::ZERO)
            },
        );
        self.shards.iter_mut().for_each(|end| end.events.awake());
        waited?;
        let rang = watched[0].revents != 0 && self.ready.clear()?;
        if rang || !all_sleep {
            Ok(Woken::Ready)
        } else if watched[1].revents != 0 {
            Ok(Woken::HungUp)
        } else {
            Ok(Woken::TimedOut)
        }
    }
}

/// Whether the process at the other end has closed its socket: it died, or it has let us go.
pub fn hung_up(socket: &UnixStream) -> bool {
    let mut watched = [watch(socket.as_fd(), libc::POLLIN | libc::POLLRDHUP)];
    // Nobody sends on this socket, so readable means the end of it.
    poll(&mut watched, Some(Duration::ZERO)).is_err() || watched[0].revents != 0
}

/// What each side says first. The first three fields are the same in every version of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Greeting {
    magic: u64,
    version: u64,
    layout: u64,
    shape: Shape,
}

/// Bytes of a greeting: three words, then epoch, shards and slots.
pub(crate) const GREETING_BYTES: usize = 40;

/// The shape in a greeting that offers no region.
pub(crate) const NOTHING: Shape = Shape {
    epoch: 0,
    shards: 0,
    slots: 0,
};

impl Greeting {
    /// This build's, with the region it offers.
    pub(crate) fn of(shape: Shape) -> Greeting {
        Greeting {
            magic: MAGIC,
            version: VERSION.into(),
            layout: LAYOUT_HASH,
            shape,
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; GREETING_BYTES] {
        let mut bytes = [0; GREETING_BYTES];
        bytes[..8].copy_from_slice(&self.magic.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.version.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.layout.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.shape.epoch.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.shape.shards.to_le_bytes());
        bytes[36..].copy_from_slice(&self.shape.slots.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; GREETING_BYTES]) -> Greeting {
        let (words, _) = bytes.as_chunks::<8>();
        let (halves, _) = bytes.as_chunks::<4>();
        Greeting {
            magic: u64::from_le_bytes(words[0]),
            version: u64::from_le_bytes(words[1]),
            layout: u64::from_le_bytes(words[2]),
            shape: Shape {
                epoch: u64::from_le_bytes(words[3]),
                shards: u32::from_le_bytes(halves[8]),
                slots: u32::from_le_bytes(halves[9]),
            },
        }
    }

    /// The region it offers, if the other side is of this build.
    pub(crate) fn check(self) -> Result<Shape, Mismatch> {
        check_build(self.magic, self.version, self.layout)?;
        Ok(self.shape)
    }
}

fn unreachable(path: &Path, error: io::Error) -> io::Error {
    let path = path.display();
    let text = match error.kind() {
        io::ErrorKind::NotFound => format!(
            "no relay at {path}: there is no such socket; start causeway-relay --socket {path}, or \
             give the path the relay was started with"
        ),
        io::ErrorKind::ConnectionRefused => format!(
            "no relay at {path}: the one that served it has ended; start causeway-relay --socket {path}"
        ),
        io::ErrorKind::PermissionDenied => format!(
            "may not open {path}: run as the relay's user, or as a member of its group if the relay \
             admits its group"
        ),
        _ => format!("can't connect to {path}"),
    };
    explain(error, text)
}

fn unanswered(path: &Path, error: io::Error) -> io::Error {
    let path = path.display();
    let text = match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => format!(
            "the relay at {path} does not answer: it hangs, or it is no relay; see its log, restart it"
        ),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            format!("the relay at {path} hung up without an answer; its log says why")
        }
        _ => format!("the program at {path} does not fit"),
    };
    explain(error, text)
}

/// The same kind of error with a sentence in front.
pub(crate) fn explain(error: io::Error, text: String) -> io::Error {
    io::Error::new(error.kind(), format!("{text} ({error})"))
}
