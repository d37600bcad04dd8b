//! The relay's side of an attachment: the socket control connects to.

use crate::attach::{GREETING_BYTES, Greeting, NOTHING, explain};
use crate::ends::{ShardEnd, shard_ends};
use crate::eventfd::EventFd;
use crate::layout::{SHARDS_MAX, SLOTS_DEFAULT, Shape};
use crate::region::Region;
use crate::rights;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, iter};

/// How long a caller may take to say what it is. Nobody else can attach meanwhile.
const GREETING_TIMEOUT: Duration = Duration::from_secs(1);

/// Callers that may wait while one is being attached.
const BACKLOG: i32 = 16;

/// What a relay can choose about its listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Shards of this relay, 1 to [`SHARDS_MAX`].
    pub shards: usize,
    /// Slots of each queue: a power of two. Each costs 2 KiB, in two queues per shard.
    pub slots: u32,
    /// The number of a group whose members may attach too (mode 0660). `None`: only our user (mode 0600).
    pub group: Option<u32>,
}

impl Options {
    /// `shards` shards, 256 slots, for this user only.
    pub fn new(shards: usize) -> Options {
        Options {
            shards,
            slots: SLOTS_DEFAULT,
            group: None,
        }
    }
}

/// Where control attaches to this relay. Dropping it removes the socket's file.
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Device and inode of the file we made, to remove no other.
    file: (u64, u64),
    options: Options,
    /// One per shard, for the relay's whole life: every control gets duplicates.
    bells: Vec<Arc<EventFd>>,
    epoch: u64,
}

/// One control, attached. What the former one had is worth nothing any more: drop it.
pub struct Attached {
    /// One end per shard, to be handed to the shards' threads.
    pub shards: Vec<ShardEnd>,
    /// Hangs up when control dies. Drop it to let control go. Blocking; nothing is ever sent on it.
    pub socket: UnixStream,
    /// Which attachment of this relay it is: 1, 2, …
    pub epoch: u64,
}

/// Why nobody was attached.
#[derive(Debug)]
pub enum AcceptError {
    /// The caller's fault: another build, no greeting in time, gone again. Accept the next one.
    Caller(io::Error),
    /// Memory or descriptors are used up. The caller was told to go. Trying again may help.
    Resources(io::Error),
    /// The listening socket itself fails: nobody will ever attach.
    Listener(io::Error),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcceptError::Caller(error) => write!(f, "a caller was not attached: {error}"),
            AcceptError::Resources(error) => write!(f, "no memory for an attachment: {error}"),
            AcceptError::Listener(error) => write!(f, "the control socket fails: {error}"),
        }
    }
}

impl std::error::Error for AcceptError {}

impl From<AcceptError> for io::Error {
    fn from(error: AcceptError) -> io::Error {
        let (AcceptError::Caller(inner)
        | AcceptError::Resources(inner)
        | AcceptError::Listener(inner)) = &error;
        io::Error::new(inner.kind(), error.to_string())
    }
}

impl Listener {
    /// Opens the socket at `path` for a relay of `shards` shards, with the default [`Options`].
    ///
    /// # Errors
    /// As [`Listener::bind_with`].
    pub fn bind(path: impl AsRef<Path>, shards: usize) -> io::Result<Listener> {
        Listener::bind_with(path, Options::new(shards))
    }

    /// Opens the socket at `path`. A socket file on which nobody answers is removed first.
    ///
    /// # Errors
    /// Another relay answers at `path`; something there is no socket; the folder is missing or closed to
    /// us; the options are impossible.
    pub fn bind_with(path: impl AsRef<Path>, options: Options) -> io::Result<Listener> {
        let path = path.as_ref();
        // Says what is wrong with the options before anything is made.
        drop(Region::create(shape_of(options, 0)?)?);
        clear_stale(path)?;
        let socket = listen(path, options.group)
            .map_err(|error| explain(error, format!("can't open the socket {}", path.display())))?;
        let made = fs::symlink_metadata(path)?;
        let bells = iter::repeat_with(|| EventFd::new().map(Arc::new));
        Ok(Listener {
            socket,
            path: path.to_owned(),
            file: (made.dev(), made.ino()),
            options,
            bells: bells.take(options.shards).collect::<io::Result<_>>()?,
            epoch: 0,
        })
    }

    /// The bell of each shard: readable when a command queue whose receiver sleeps got a command, or a
    /// full event queue got room. The same bells for every control that attaches, so a shard can wait for
    /// its bell from the start. Non-blocking: to be polled, inside a ring or outside.
    ///
    /// # Errors
    /// No descriptor is free.
    pub fn shard_wakers(&self) -> io::Result<Vec<EventFd>> {
        self.bells.iter().map(|bell| bell.try_clone()).collect()
    }

    /// Blocks until a control has attached, and makes a region for it, with a higher epoch than any
    /// before. The former attachment is not touched: drop it when the shards have taken the new ends.
    ///
    /// # Errors
    /// See [`AcceptError`]: it says whether to go on accepting.
    pub fn accept(&mut self) -> Result<Attached, AcceptError> {
        let (mut socket, _) = self
            .socket
            .accept()
            .map_err(|error| match error.raw_os_error() {
                Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOBUFS) => {
                    AcceptError::Resources(error)
                }
                Some(libc::ECONNABORTED | libc::EINTR) => AcceptError::Caller(error),
                _ => AcceptError::Listener(error),
            })?;
        greet(&mut socket).map_err(AcceptError::Caller)?;
        let epoch = self.epoch + 1;
        let shape = shape_of(self.options, epoch).map_err(AcceptError::Listener)?;
        let (shards, rights) = self.offer(shape).map_err(|error| {
            // Without descriptors it means: no memory. That the caller is gone does not matter.
            let _ = rights::send(&socket, &Greeting::of(NOTHING).to_bytes(), &[]);
            AcceptError::Resources(error)
        })?;
        let fds: Vec<BorrowedFd<'_>> = rights.iter().map(|fd| fd.as_fd()).collect();
        rights::send(&socket, &Greeting::of(shape).to_bytes(), &fds)
            .map_err(AcceptError::Caller)?;
        socket.set_read_timeout(None).map_err(AcceptError::Caller)?;
        socket
            .set_write_timeout(None)
            .map_err(AcceptError::Caller)?;
        self.epoch = epoch;
        Ok(Attached {
            shards,
            socket,
            epoch,
        })
    }

    /// A new region: our ends, and what the caller gets: memory, its bell, the shards' bells.
    fn offer(&self, shape: Shape) -> io::Result<(Vec<ShardEnd>, Vec<OwnedFd>)> {
        let (region, memory) = Region::create(shape)?;
        let control = Arc::new(EventFd::new()?);
        let mut rights = vec![memory, control.try_clone()?.into()];
        for bell in &self.bells {
            rights.push(bell.try_clone()?.into());
        }
        Ok((shard_ends(&Arc::new(region), &control, &self.bells), rights))
    }
}

impl AsFd for Listener {
    /// Readable when [`Listener::accept`] has a caller.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // Another relay may have taken the path over; its file stays.
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.file);
        if ours {
            let _ = fs::remove_file(&self.path); // a sandbox may forbid it; the next start removes it
        }
    }
}

fn shape_of(options: Options, epoch: u64) -> io::Result<Shape> {
    match u32::try_from(options.shards) {
        Ok(shards) => Ok(Shape {
            epoch,
            shards,
            slots: options.slots,
        }),
        Err(_) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("a relay has at most {SHARDS_MAX} shards"),
        )),
    }
}

/// Reads who calls, and tells a caller of another build who we are, so that it can say so too.
fn greet(socket: &mut UnixStream) -> io::Result<()> {
    socket.set_read_timeout(Some(GREETING_TIMEOUT))?;
    socket.set_write_timeout(Some(GREETING_TIMEOUT))?;
    let mut bytes = [0; GREETING_BYTES];
    socket
        .read_exact(&mut bytes)
        .map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => {
                let text = format!("it said nothing for {GREETING_TIMEOUT:?}");
                io::Error::new(io::ErrorKind::TimedOut, text)
            }
            io::ErrorKind::UnexpectedEof => explain(error, "it hung up without a greeting".into()),
            _ => error,
        })?;
    if let Err(mismatch) = Greeting::from_bytes(&bytes).check() {
        let _ = rights::send(socket, &Greeting::of(NOTHING).to_bytes(), &[]);
        return Err(mismatch.into());
    }
    Ok(())
}

/// Removes the socket file of a relay that is gone.
fn clear_stale(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(explain(error, format!("can't look at {}", path.display()))),
    };
    let in_use = |text: &str| {
        io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("{} {text}", path.display()),
        )
    };
    if !found.file_type().is_socket() {
        return Err(in_use(
            "is there and is no socket; remove it or choose another path",
        ));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(in_use(
            "is served by another relay; stop that one or choose another path",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| explain(error, format!("can't remove the stale {}", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()), // gone meanwhile
        Err(error) => Err(explain(
            error,
            format!("can't tell whether {} is in use", path.display()),
        )),
    }
}

/// A listening socket whose file is closed to others from its first moment on.
fn listen(path: &Path, group: Option<u32>) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?; // close-on-exec
    // The file takes over the socket's own mode less the umask: never more than what we want.
    let descriptor = File::from(OwnedFd::from(socket));
    descriptor.set_permissions(Permissions::from_mode(0o600))?;
    let socket = Socket::from(OwnedFd::from(descriptor));
    socket.bind(&SockAddr::unix(path)?)?;
    if group.is_some() {
        chown(path, None, group).map_err(|error| {
            let sentence = "only a member of a group, or root, can give it a file (socket_group)";
            explain(error, sentence.into())
        })?;
        fs::set_permissions(path, Permissions::from_mode(0o660))?;
    }
    socket.listen(BACKLOG)?;
    Ok(UnixListener::from(OwnedFd::from(socket)))
}
