//! The handset's MSRP listener: a connection goes to the chat that its first request names.
//! RFC 4975, 5.4.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::AbortHandle;

use super::sip::token;
use crate::msrp::{Event, FailureReport, Reader, session_id, writer};

/// How long a connection may take to name its session.
const FIRST_REQUEST: Duration = Duration::from_secs(30);
/// Connections that may be about to.
const UNBOUND_MAX: usize = 256;
/// Octets that are read before the first request must be known.
const FIRST_BYTES_MAX: usize = 16 * 1024;

/// A connection, and what was read from it to find out where it belongs.
#[derive(Debug)]
pub struct Bound {
    /// The connection.
    pub stream: TcpStream,
    /// Its first octets, to be read again.
    pub read: Vec<u8>,
}

enum Slot {
    Waiting(oneshot::Sender<Bound>),
    Taken,
}

type Slots = Arc<Mutex<HashMap<String, Slot>>>;

/// The listener and the sessions it knows.
pub struct Endpoint {
    address: SocketAddr,
    slots: Slots,
    task: AbortHandle,
}

/// One session at the endpoint. It is forgotten when this is dropped.
pub struct Place {
    /// Our URI of the session.
    pub uri: String,
    session: String,
    slots: Slots,
}

impl Endpoint {
    /// Listens at `address`; `advertised` is how peers reach it.
    pub async fn open(address: SocketAddr, advertised: std::net::IpAddr) -> io::Result<Endpoint> {
        let listener = TcpListener::bind(address).await?;
        let address = SocketAddr::new(advertised, listener.local_addr()?.port());
        let slots = Slots::default();
        let task = tokio::spawn(accept(listener, slots.clone())).abort_handle();
        Ok(Endpoint {
            address,
            slots,
            task,
        })
    }

    /// How peers reach it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new session: its place, and what gives the connection once there is one.
    pub fn session(&self) -> (Place, oneshot::Receiver<Bound>) {
        let session = token(16);
        let uri = format!("msrp://{}/{session};tcp", self.address);
        let (sender, receiver) = oneshot::channel();
        lock(&self.slots).insert(session.clone(), Slot::Waiting(sender));
        (
            Place {
                uri,
                session,
                slots: self.slots.clone(),
            },
            receiver,
        )
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.slots).remove(&self.session);
    }
}

async fn accept(listener: TcpListener, slots: Slots) {
    let unbound = Arc::new(Semaphore::new(UNBOUND_MAX));
    loop {
        let Ok(permit) = unbound.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let slots = slots.clone();
                tokio::spawn(async move {
                    let bound = tokio::time::timeout(FIRST_REQUEST, bind(stream, slots));
                    // A connection that names no session is closed; nobody else is concerned.
                    let _ = bound.await;
                    drop(permit);
                });
            }
            // Out of descriptors: the backlog holds the peer until some are free again.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// Reads until the first head is known and hands the connection over, or refuses it.
async fn bind(mut stream: TcpStream, slots: Slots) -> io::Result<()> {
    let mut read = Vec::new();
    loop {
        let mut part = [0; 4096];
        let bytes = stream.read(&mut part).await?;
        if bytes == 0 || read.len() + bytes > FIRST_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        read.extend_from_slice(&part[..bytes]);
        let mut reader = Reader::with_capacity(0);
        reader.space()[..read.len()].copy_from_slice(&read);
        reader.filled(read.len());
        let event = reader.event().map_err(|_| io::ErrorKind::InvalidData)?;
        let Some(Event::Head(head)) = event else {
            continue;
        };
        let session = session_id(head.target()).unwrap_or("");
        let status = match claim(&slots, session) {
            Ok(chat) => {
                let _ = chat.send(Bound { stream, read });
                return Ok(());
            }
            Err(status) => status,
        };
        if head.failure_report != FailureReport::No {
            let mut out = Vec::new();
            writer::Answer::to(&head).write(&mut out, head.to_path, status);
            stream.write_all(&out).await?;
        }
        return stream.shutdown().await;
    }
}

fn claim(slots: &Slots, session: &str) -> Result<oneshot::Sender<Bound>, u16> {
    let mut slots = lock(slots);
    let slot = slots.get_mut(session).ok_or(481u16)?;
    match std::mem::replace(slot, Slot::Taken) {
        Slot::Waiting(chat) if !chat.is_closed() => Ok(chat),
        _ => Err(506),
    }
}

fn lock(slots: &Slots) -> MutexGuard<'_, HashMap<String, Slot>> {
    // A table of senders is whole after any panic.
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn first_answer(address: SocketAddr, uri: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut out = Vec::new();
        writer::bodiless(&mut out, "tid12345", uri, "msrp://a:1/b;tcp", "m1");
        stream.write_all(&out).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text.lines().next().unwrap_or("").to_owned()
    }

    #[tokio::test]
    async fn rfc4975_5_4_unknown_sessions_get_481_and_taken_ones_506() {
        let local = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = Endpoint::open(local, local.ip()).await.unwrap();
        let address = endpoint.address();
        let unknown = format!("msrp://{address}/nobody;tcp");
        assert_eq!(
            first_answer(address, &unknown).await,
            "MSRP tid12345 481 No Such Session"
        );

        let (place, bound) = endpoint.session();
        let mut first = TcpStream::connect(address).await.unwrap();
        let mut out = Vec::new();
        writer::bodiless(&mut out, "tid12345", &place.uri, "msrp://a:1/b;tcp", "m1");
        first.write_all(&out).await.unwrap();
        assert_eq!(bound.await.unwrap().read, out);
        assert_eq!(
            first_answer(address, &place.uri).await,
            "MSRP tid12345 506 Session In Use"
        );
        drop(place);
        let (_place, _bound) = endpoint.session();
        assert_eq!(lock(&endpoint.slots).len(), 1);
    }
}
