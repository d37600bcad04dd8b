//! `causeway-bench byte-relay`: forwards octets between two connections without looking at them.
//!
//! What relaying costs at least, and so what relays are compared with: one thread, epoll, one read
//! into a buffer of 64 KiB and one write out of it. For each connection that it accepts it makes
//! one to the other side. It is meant to be cheap and not to be safe from bad peers: what the
//! other side does not take is kept (at most one buffer), and the side it came from waits.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;

/// Octets read at a time.
const BUFFER_BYTES: usize = 64 * 1024;
/// Events taken from the kernel at a time.
const EVENTS: usize = 512;
/// The listener's number among the events; connections have smaller ones.
const LISTENER: u64 = u64::MAX;
/// What it says once it serves, with its address behind.
pub const READY: &str = "byte-relay: ready ";

/// Forward octets from one side to the other: the floor that `compare` measures relays against.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where connections are accepted; port 0 is any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where a connection is made to for each that is accepted.
    #[arg(long, value_name = "ADDRESS")]
    connect: SocketAddr,
}

/// Runs until it is killed.
pub fn main(arguments: &Arguments) -> ExitCode {
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("causeway-bench byte-relay: {error}");
            ExitCode::from(2)
        }
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    let mut relay = ByteRelay::open(arguments.listen, arguments.connect)?;
    println!("{READY}{}", relay.address()?);
    loop {
        relay.turn()?;
    }
}

/// One connection of a pair; the other has the number with the last bit changed.
struct End {
    stream: TcpStream,
    /// What was read from the other end and not taken by this one yet.
    rest: Vec<u8>,
    /// Whether this end has said that it sends no more.
    is_read_out: bool,
    interest: epoll::EventFlags,
}

/// The relay.
pub struct ByteRelay {
    epoll: std::os::fd::OwnedFd,
    listener: TcpListener,
    back: SocketAddr,
    /// Pairs stand side by side.
    ends: Vec<Option<End>>,
    buffer: Box<[u8]>,
    events: Vec<epoll::Event>,
}

impl ByteRelay {
    /// Listens at `front`; for each connection there it will make one to `back`.
    pub fn open(front: SocketAddr, back: SocketAddr) -> io::Result<ByteRelay> {
        let listener = TcpListener::bind(front)?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let number = epoll::EventData::new_u64(LISTENER);
        epoll::add(&epoll, &listener, number, epoll::EventFlags::IN)?;
        Ok(ByteRelay {
            epoll,
            listener,
            back,
            ends: Vec::new(),
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            events: Vec::with_capacity(EVENTS),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Waits for the kernel once, and does what there is to do.
    pub fn turn(&mut self) -> io::Result<()> {
        let mut events = std::mem::take(&mut self.events);
        match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => self.accept()?,
                number => self.move_octets(number as usize, event.flags)?,
            }
        }
        self.events = events;
        Ok(())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let Ok(other) = TcpStream::connect(self.back) else {
                continue;
            };
            let free = self.ends.chunks(2).position(|pair| {
                let [one, two] = pair else { return false };
                one.is_none() && two.is_none()
            });
            let first = free.map_or(self.ends.len(), |pair| pair * 2);
            self.ends
                .resize_with(self.ends.len().max(first + 2), || None);
            for (number, stream) in [(first, stream), (first + 1, other)] {
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let interest = epoll::EventFlags::IN;
                let data = epoll::EventData::new_u64(number as u64);
                epoll::add(&self.epoll, &stream, data, interest)?;
                self.ends[number] = Some(End {
                    stream,
                    rest: Vec::new(),
                    is_read_out: false,
                    interest,
                });
            }
        }
    }

    /// Moves octets of the end `number`; when it or the other is broken, both go.
    fn move_octets(&mut self, number: usize, flags: epoll::EventFlags) -> io::Result<()> {
        let first = number & !1;
        let Some([Some(one), Some(two)]) = self.ends.get_mut(first..first + 2) else {
            return Ok(()); // Its pair ended earlier in the same turn.
        };
        let (end, other) = if number == first {
            (one, two)
        } else {
            (two, one)
        };
        let moved = end.drain().and_then(|()| {
            if flags.intersects(!epoll::EventFlags::OUT) {
                end.forward(other, &mut self.buffer)?;
            }
            Ok(())
        });
        let is_over =
            end.is_read_out && other.is_read_out && end.rest.is_empty() && other.rest.is_empty();
        let gone = epoll::EventFlags::HUP | epoll::EventFlags::ERR;
        let is_gone = end.is_read_out && flags.intersects(gone);
        if moved.is_err() || is_over || is_gone {
            self.ends[first] = None;
            self.ends[first + 1] = None;
            return Ok(());
        }
        for (number, held) in [(number, other.rest.len()), (number ^ 1, end.rest.len())] {
            self.listen_to(number, held)?;
        }
        Ok(())
    }

    /// Asks the kernel for what end `number` waits for, while the other end has yet to take `held`
    /// octets.
    fn listen_to(&mut self, number: usize, held: usize) -> io::Result<()> {
        let Some(end) = &mut self.ends[number] else {
            return Ok(());
        };
        let mut wanted = epoll::EventFlags::empty();
        if held == 0 && !end.is_read_out {
            wanted |= epoll::EventFlags::IN;
        }
        if !end.rest.is_empty() {
            wanted |= epoll::EventFlags::OUT;
        }
        if wanted != end.interest {
            end.interest = wanted;
            let data = epoll::EventData::new_u64(number as u64);
            epoll::modify(&self.epoll, &end.stream, data, wanted)?;
        }
        Ok(())
    }
}

impl End {
    /// Writes what was kept.
    fn drain(&mut self) -> io::Result<()> {
        if !self.rest.is_empty() {
            let written = written(self.stream.write(&self.rest))?;
            self.rest.drain(..written);
        }
        Ok(())
    }

    /// Reads once and writes once.
    fn forward(&mut self, to: &mut End, buffer: &mut [u8]) -> io::Result<()> {
        if !to.rest.is_empty() || self.is_read_out {
            return Ok(());
        }
        match self.stream.read(buffer) {
            Ok(0) => {
                self.is_read_out = true;
                to.stream.shutdown(Shutdown::Write)
            }
            Ok(bytes) => {
                let taken = written(to.stream.write(&buffer[..bytes]))?;
                to.rest.extend_from_slice(&buffer[taken..bytes]);
                Ok(())
            }
            Err(error) if is_for_now(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn written(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if is_for_now(&error) => Ok(0),
        other => other,
    }
}

fn is_for_now(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

/// A relay in a thread, until it is over; gives its address.
#[cfg(test)]
pub fn start_thread(back: SocketAddr, is_over: impl Fn() -> bool + Send + 'static) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut relay = ByteRelay::open("127.0.0.1:0".parse().unwrap(), back).unwrap();
        tell.send(relay.address().unwrap()).unwrap();
        while !is_over() && relay.turn().is_ok() {}
    });
    told.recv().unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A relay that runs on, and the listener behind it.
    fn start() -> (SocketAddr, TcpListener) {
        let behind = TcpListener::bind("127.0.0.1:0").unwrap();
        let back = behind.local_addr().unwrap();
        (start_thread(back, || false), behind)
    }

    #[test]
    fn each_connection_gets_one_behind_and_octets_go_both_ways() {
        let (front, behind) = start();
        for round in 0..5u8 {
            let mut one = TcpStream::connect(front).unwrap();
            let (mut other, _) = behind.accept().unwrap();
            one.write_all(&[round, 1, 2]).unwrap();
            let mut got = [0; 3];
            other.read_exact(&mut got).unwrap();
            assert_eq!(got, [round, 1, 2]);
            other.write_all(&[7, 8, round]).unwrap();
            one.read_exact(&mut got).unwrap();
            assert_eq!(got, [7, 8, round]);
        }
    }

    #[test]
    fn a_slow_reader_holds_the_writer_up_and_loses_nothing() {
        let (front, behind) = start();
        let octets: Vec<u8> = (0..30_000_000u32).map(|n| (n % 251) as u8).collect();
        let sent = octets.clone();
        let mut one = TcpStream::connect(front).unwrap();
        let (mut other, _) = behind.accept().unwrap();
        let writer = std::thread::spawn(move || {
            one.write_all(&sent).unwrap();
            one.shutdown(Shutdown::Write).unwrap();
            let mut answer = Vec::new();
            one.read_to_end(&mut answer).unwrap();
            answer
        });
        let mut got = vec![0; 10];
        other.read_exact(&mut got).unwrap();
        while got.len() < octets.len() {
            let mut part = [0; 100_000];
            let bytes = other.read(&mut part).unwrap();
            got.extend_from_slice(&part[..bytes]);
        }
        assert!(got == octets, "every octet, in order");
        other.write_all(b"bye").unwrap();
        drop(other);
        assert_eq!(
            writer.join().unwrap(),
            b"bye",
            "the other way outlives an end"
        );
    }

    #[test]
    fn when_one_side_breaks_off_the_other_hears_of_it() {
        let (front, behind) = start();
        let one = TcpStream::connect(front).unwrap();
        let (mut other, _) = behind.accept().unwrap();
        drop(one);
        assert_eq!(other.read(&mut [0; 10]).unwrap(), 0);
    }
}
