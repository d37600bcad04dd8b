//! The real ring: one `io_uring` per shard, everything of one turn in one system call.
//!
//! Direct descriptors, multishot receives into one group of provided buffers, single-shot accepts
//! (they are rare, and bring the peer's address). The floor is Linux 6.1; what is newer is asked
//! for only when [`super::probe::Features`] says it is there.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{
    BufRingEntry, CancelBuilder, DestinationSlot, Fd, Fixed, Napi, SubmitArgs, Timespec,
};
use io_uring::{IoUring, cqueue, opcode, squeue};
use rustix::thread::{CpuSet, sched_setaffinity};
use socket2::{Domain, Protocol, SockAddr, SockAddrStorage, Socket, TcpKeepalive, Type};

use super::memory::{Mapping, Memory};
use super::posting::Posting;
use super::probe::Features;
use super::restrict;
use super::{Completion, Op, Ring, Token};
use crate::buffers::Span;
use crate::limits::{
    ACCEPT_BACKLOG, DATA_BYTES, HEADROOM_BYTES, PROBED_AFTER_TIMEOUTS, SEND_SPANS_MAX, SUBMISSIONS,
};

/// The one group of receive buffers.
const GROUP: u16 = 0;

/// What one gathering send needs to stay where it is until it completes.
struct Gather {
    header: libc::msghdr,
    vectors: [libc::iovec; SEND_SPANS_MAX],
}

/// A listening socket and the place for the address of whoever connects next.
struct Listening {
    socket: Option<Socket>,
    peer: Box<(libc::sockaddr_storage, libc::socklen_t)>,
}

/// An `io_uring` with its buffers and its table of descriptors.
pub struct Uring {
    ring: IoUring,
    memory: Memory,
    /// The ring of provided buffers; the kernel reads it, we write it.
    provided: Mapping,
    provided_mask: u16,
    provided_tail: u16,
    posting: Posting,
    listening: Vec<Listening>,
    /// One per connection slot, filled in anew for each gathering send. Boxed so that the
    /// addresses given to the kernel hold for as long as the ring.
    gathers: Box<[MaybeUninit<Gather>]>,
    /// One per connection slot, filled in for a connect.
    addresses: Box<[MaybeUninit<SockAddr>]>,
    waker: Option<OwnedFd>,
    enters: u64,
}

impl Uring {
    /// Makes the ring and gives it `buffers` receive buffers, which are the first slots of
    /// `memory`. Before it sleeps, the kernel asks the network card for `busy_poll_us` microseconds (0: not
    /// at all). Must be called on the shard's own thread: the ring has a single issuer.
    pub fn new(
        memory: &Memory,
        buffers: u16,
        connections: u32,
        listeners: u32,
        busy_poll_us: u32,
        features: Features,
    ) -> io::Result<Uring> {
        assert!(
            buffers.is_power_of_two(),
            "the kernel wants a power of two of buffers"
        );
        let mut builder = IoUring::builder();
        builder
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .setup_r_disabled();
        builder.setup_cqsize(SUBMISSIONS * 4).setup_clamp();
        if features.no_submission_array {
            builder.setup_no_sqarray();
        }
        let ring = builder.build(SUBMISSIONS)?;
        ring.submitter().register_files_sparse(connections)?;
        let provided = Mapping::new(buffers as usize * size_of::<BufRingEntry>())?;
        // SAFETY: the mapping holds `buffers` entries, is page-aligned, and lives as long as the
        // ring: both are fields of the value made here, and `ring` is dropped first.
        unsafe {
            let address = provided.start() as u64;
            ring.submitter()
                .register_buf_ring_with_flags(address, buffers, GROUP, 0)?;
        }
        let mut this = Uring {
            ring,
            memory: memory.clone(),
            provided,
            provided_mask: buffers - 1,
            provided_tail: 0,
            posting: Posting::new(buffers),
            listening: Vec::with_capacity(listeners as usize),
            gathers: Box::new_uninit_slice(connections as usize),
            addresses: Box::new_uninit_slice(connections as usize),
            waker: None,
            enters: 0,
        };
        for _ in 0..listeners {
            // SAFETY: all zeroes is a valid `sockaddr_storage`.
            let storage = unsafe { std::mem::zeroed() };
            this.listening.push(Listening {
                socket: None,
                peer: Box::new((storage, 0)),
            });
        }
        if busy_poll_us > 0 {
            this.busy_poll(busy_poll_us);
        }
        this.post();
        restrict::enable(&this.ring)?;
        Ok(this)
    }

    /// Watches a non-blocking eventfd, by which control rings; each ring is a completion of
    /// [`Op::Wake`].
    pub fn watch(&mut self, waker: OwnedFd) -> io::Result<()> {
        self.waker = Some(waker);
        self.watch_again();
        Ok(())
    }

    fn busy_poll(&self, micros: u32) {
        let mut settings = Napi::new().set_busy_poll_timeout(micros);
        if let Err(error) = self.ring.submitter().register_napi(&mut settings) {
            tracing::warn!(
                "the kernel does not ask the network card by itself ({error}): busy_poll_us wants \
                 Linux 6.9 with CONFIG_NET_RX_BUSY_POLL, and has no effect here"
            );
        }
    }

    fn watch_again(&mut self) {
        let Some(waker) = &self.waker else { return };
        let token = Token {
            op: Op::Wake,
            generation: 0,
            slot: 0,
        };
        let poll = opcode::PollAdd::new(Fd(waker.as_raw_fd()), libc::POLLIN as u32).multi(true);
        self.push(poll.build(), token);
    }

    fn push(&mut self, entry: squeue::Entry, token: Token) {
        let entry = entry.user_data(token.to_bits());
        loop {
            // SAFETY: every pointer in an entry names memory that lives until its completion:
            // spans are held by the shard, gathers, addresses and listeners are fields of `self`
            // which stay in place while their slot's one operation is under way.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return;
            }
            // The queue is full: hand over what is there, and go on filling it.
            self.enters += 1;
            if let Err(error) = self.ring.submit() {
                // Only a lack of kernel memory or an overflown completion queue end up here;
                // both pass when completions are taken in.
                tracing::warn!(%error, "io_uring refuses submissions for the moment");
                std::thread::yield_now();
            }
        }
    }

    /// Gives the kernel as many buffers as it is to have.
    fn post(&mut self) {
        self.posting.turn();
        while let Some(buffer) = self.posting.next() {
            self.give(buffer);
        }
    }

    /// Gives the kernel one more buffer.
    fn give(&mut self, buffer: u16) {
        let span = Span {
            slot: buffer as u32,
            start: HEADROOM_BYTES as u32,
            bytes: DATA_BYTES as u32,
        };
        let address = self.memory.address(span) as u64;
        let entries = self.provided.start().cast::<BufRingEntry>();
        let index = (self.provided_tail & self.provided_mask) as usize;
        // SAFETY: `index` is below the number of entries of the mapping.
        let place = unsafe { entries.add(index) };
        // SAFETY: the kernel does not read an entry at or past the tail, which is where this one
        // is, and `&mut self` makes us the only writer.
        let entry = unsafe { &mut *place };
        entry.set_addr(address);
        entry.set_len(DATA_BYTES as u32);
        entry.set_bid(buffer);
        self.provided_tail = self.provided_tail.wrapping_add(1);
        // SAFETY: `entries` is the first entry of a registered ring of buffers.
        let tail = unsafe { BufRingEntry::tail(entries) };
        // SAFETY: this is where the kernel keeps the tail; it is aligned for 16 bits and only ever
        // touched atomically from here on.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        // Pairs with the kernel's acquiring load: whoever sees the tail sees the entry.
        tail.store(self.provided_tail, Ordering::Release);
    }

    fn empty_waker(&self) {
        let Some(waker) = &self.waker else { return };
        let mut count = 0u64;
        // The bell may be empty already: two rings close together are one count but two
        // completions. It does not block, so that is harmless.
        // SAFETY: eight octets of our own are written at most.
        unsafe { libc::read(waker.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
}

impl Ring for Uring {
    fn listen(&mut self, listener: u32, at: SocketAddr, user_timeout: Duration) -> io::Result<()> {
        let socket = tcp_socket(at, user_timeout)?;
        socket.set_reuse_address(true)?;
        if at.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.bind(&at.into())?;
        socket.listen(ACCEPT_BACKLOG)?;
        self.listening[listener as usize].socket = Some(socket);
        Ok(())
    }

    fn unlisten(&mut self, listener: u32) {
        let Some(socket) = self.listening[listener as usize].socket.take() else {
            return;
        };
        // Ending a listening socket's reading wakes the accept that waits on it.
        let _ = socket.shutdown(std::net::Shutdown::Both);
    }

    fn accept(&mut self, listener: u32, token: Token) {
        let listening = &mut self.listening[listener as usize];
        let Some(socket) = &listening.socket else {
            panic!("accept on listener {listener}, which is not open");
        };
        listening.peer.1 = size_of::<libc::sockaddr_storage>() as u32;
        let fd = Fd(socket.as_raw_fd());
        let peer = &raw mut listening.peer.0;
        let bytes = &raw mut listening.peer.1;
        let slot = DestinationSlot::try_from_slot_target(token.slot)
            .unwrap_or_else(|slot| panic!("{slot} is no connection slot"));
        let accept = opcode::Accept::new(fd, peer.cast(), bytes).file_index(Some(slot));
        self.push(accept.build(), token);
    }

    fn accepted_from(&self, listener: u32) -> Option<SocketAddr> {
        let (from_kernel, bytes) = *self.listening[listener as usize].peer;
        let mut storage = SockAddrStorage::zeroed();
        // SAFETY: the view is of the very type that the storage is made for.
        let view = unsafe { storage.view_as::<libc::sockaddr_storage>() };
        *view = from_kernel;
        // SAFETY: the kernel wrote a socket address of `bytes` octets into what was zeroed before.
        let address = unsafe { SockAddr::new(storage, bytes) };
        address.as_socket()
    }

    fn connect(
        &mut self,
        from: SocketAddr,
        peer: SocketAddr,
        user_timeout: Duration,
        token: Token,
    ) -> io::Result<()> {
        let socket = tcp_socket(peer, user_timeout)?;
        if from.port() > 0 {
            // A listener may have had the port before.
            socket.set_reuse_address(true)?;
        } else {
            // The port is chosen when it is known for whom, so that peers can have the same one.
            choose_port_later(&socket)?;
        }
        socket.bind(&from.into())?;
        self.ring
            .submitter()
            .register_files_update(token.slot, &[socket.as_raw_fd()])?;
        let address = self.addresses[token.slot as usize].write(SockAddr::from(peer));
        let (pointer, bytes) = (address.as_ptr(), address.len());
        let connect = opcode::Connect::new(Fixed(token.slot), pointer.cast(), bytes);
        self.push(connect.build(), token);
        Ok(())
    }

    fn source_toward(&mut self, peer: SocketAddr) -> Option<IpAddr> {
        // Nothing is sent: to connect a datagram socket is to ask which way there is.
        let socket = Socket::new(Domain::for_address(peer), Type::DGRAM.cloexec(), None).ok()?;
        socket.connect(&peer.into()).ok()?;
        Some(socket.local_addr().ok()?.as_socket()?.ip())
    }

    fn receive(&mut self, token: Token) {
        self.push(
            opcode::RecvMulti::new(Fixed(token.slot), GROUP).build(),
            token,
        );
    }

    fn send(&mut self, spans: &[Span], token: Token) {
        let fd = Fixed(token.slot);
        if let [span] = spans {
            let address = self.memory.address(*span);
            let send = opcode::Send::new(fd, address, span.bytes).flags(libc::MSG_NOSIGNAL);
            return self.push(send.build(), token);
        }
        assert!(
            spans.len() <= SEND_SPANS_MAX,
            "a send gathers {SEND_SPANS_MAX} spans at most"
        );
        let mut vectors = [libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        }; SEND_SPANS_MAX];
        for (vector, span) in vectors.iter_mut().zip(spans) {
            vector.iov_base = self.memory.address(*span).cast();
            vector.iov_len = span.bytes as usize;
        }
        // SAFETY: all zeroes is a valid, empty `msghdr`.
        let header = unsafe { std::mem::zeroed() };
        let gather = self.gathers[token.slot as usize].write(Gather { header, vectors });
        gather.header.msg_iov = gather.vectors.as_mut_ptr();
        gather.header.msg_iovlen = spans.len() as _;
        let message = &raw const gather.header;
        let send = opcode::SendMsg::new(fd, message).flags(libc::MSG_NOSIGNAL as u32);
        self.push(send.build(), token);
    }

    fn shutdown(&mut self, token: Token) {
        self.push(
            opcode::Shutdown::new(Fixed(token.slot), libc::SHUT_WR).build(),
            token,
        );
    }

    fn close(&mut self, token: Token) {
        self.push(opcode::Close::new(Fixed(token.slot)).build(), token);
    }

    fn cancel(&mut self, token: Token) {
        let which = CancelBuilder::user_data(token.to_bits());
        let answer = Token {
            op: Op::Cancel,
            ..token
        };
        self.push(opcode::AsyncCancel2::new(which).build(), answer);
    }

    fn provide(&mut self, buffer: u16) {
        self.posting.free(buffer);
    }

    fn turn(&mut self, wait: Option<Duration>) -> io::Result<()> {
        self.post();
        self.enters += 1;
        let submitter = self.ring.submitter();
        let outcome = match wait {
            None => submitter.submit_and_wait(1),
            Some(wait) => {
                let time = Timespec::new()
                    .sec(wait.as_secs())
                    .nsec(wait.subsec_nanos());
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&time))
            }
        };
        match outcome {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                // Time is up, a signal came, or completions must be taken in first.
                Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN) => Ok(()),
                _ => Err(error),
            },
        }
    }

    fn completion(&mut self) -> Option<Completion> {
        loop {
            let entry = self.ring.completion().next()?;
            let Some(token) = Token::from_bits(entry.user_data()) else {
                panic!("the kernel completed an operation nobody asked for");
            };
            let more = cqueue::more(entry.flags());
            match token.op {
                Op::Cancel => continue,
                Op::Wake => {
                    self.empty_waker();
                    if !more {
                        self.watch_again();
                    }
                }
                _ => {}
            }
            let result = u32::try_from(entry.result()).map_err(|_| -entry.result());
            let buffer = cqueue::buffer_select(entry.flags());
            if buffer.is_some() {
                self.posting.filled(result.unwrap_or(0));
            } else if result == Err(libc::ENOBUFS) {
                self.posting.ran_out();
            }
            return Some(Completion {
                token,
                result,
                buffer,
                more,
            });
        }
    }

    fn enters(&self) -> u64 {
        self.enters
    }
}

/// A TCP socket that sends small messages at once, and whose dead peer is noticed in time.
fn tcp_socket(address: SocketAddr, user_timeout: Duration) -> io::Result<Socket> {
    // Blocking on purpose: the ring waits by itself, and takes a non-blocking socket at its word.
    let kind = Type::STREAM.cloexec();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::TCP))?;
    // Accepted connections inherit these options from their listener.
    socket.set_tcp_nodelay(true)?;
    let probed_after = user_timeout * PROBED_AFTER_TIMEOUTS;
    let second = Duration::from_secs(1);
    let probes = TcpKeepalive::new()
        .with_time(probed_after)
        .with_interval((probed_after / 4).max(second))
        .with_retries(4);
    socket.set_tcp_keepalive(&probes)?;
    // What is sent and not acknowledged for this long fails the connection, which the kernel would
    // otherwise try to save for a quarter of an hour.
    socket.set_tcp_user_timeout(Some(user_timeout))?;
    Ok(socket)
}

/// Has a bind to port 0 choose no port: the connect will.
fn choose_port_later(socket: &Socket) -> io::Result<()> {
    let yes: libc::c_int = 1;
    // SAFETY: the option's value is an int, whose address and size are given.
    let outcome = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const yes).cast(),
            size_of_val(&yes) as libc::socklen_t,
        )
    };
    if outcome == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Binds the calling thread to one core.
pub fn pin_to_core(core: usize) -> io::Result<()> {
    let mut cores = CpuSet::new();
    if core >= CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    cores.set(core);
    Ok(sched_setaffinity(None, &cores)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_the_user_timeout_that_was_wished_and_probes_after_three_of_them() {
        for seconds in [1, 40, 600] {
            let wished = Duration::from_secs(seconds);
            let socket = tcp_socket(SocketAddr::from(([127, 0, 0, 1], 0)), wished).unwrap();
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(wished));
            assert_eq!(socket.tcp_keepalive_time().unwrap(), 3 * wished);
            assert!(socket.keepalive().unwrap());
        }
    }
}
