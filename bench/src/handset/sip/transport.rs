//! The handset's SIP sockets: one for UDP, or a listener and connections for TCP.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::message::{MESSAGE_BYTES_MAX, Malformed, framed};

/// Messages that may wait to be written to one connection.
const OUTBOX: usize = 64;

/// Connections that peers may have open; more are closed at once.
const CONNECTIONS_MAX: usize = 64;

/// Messages that may wait to be read by the handset.
const INBOX: usize = 256;

/// What SIP goes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Transport {
    /// Datagrams; requests are repeated until answered.
    Udp,
    /// Connections.
    Tcp,
}

impl Transport {
    /// As Via writes it.
    pub fn via(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
        }
    }
}

/// Where a message came from or goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Datagrams or connections.
    pub transport: Transport,
    /// The other end.
    pub peer: SocketAddr,
}

/// What the sockets bring.
#[derive(Debug)]
pub enum Arrival {
    /// One complete message.
    Message(Flow, Vec<u8>),
    /// A connection could not be made or is gone.
    Lost(Flow),
    /// The peer's stream can't be followed any more; the connection was closed.
    Unreadable(Flow, Malformed),
}

enum Kind {
    Udp(Arc<UdpSocket>),
    Tcp {
        connections: HashMap<SocketAddr, Connection>,
    },
}

struct Connection {
    outbox: mpsc::Sender<Vec<u8>>,
}

/// The sockets. Arrivals come out of the receiver that [`Sockets::open`] gives.
pub struct Sockets {
    kind: Kind,
    local: SocketAddr,
    arrivals: mpsc::Sender<Arrival>,
    accepted: Option<mpsc::Receiver<(SocketAddr, TcpStream)>>,
    tasks: Vec<AbortHandle>,
}

impl Sockets {
    /// Opens the socket or the listener at `address`; port 0 takes any free one.
    pub async fn open(
        transport: Transport,
        address: SocketAddr,
    ) -> io::Result<(Sockets, mpsc::Receiver<Arrival>)> {
        let (arrivals, inbox) = mpsc::channel(INBOX);
        let sockets = match transport {
            Transport::Udp => {
                let socket = Arc::new(UdpSocket::bind(address).await?);
                let local = socket.local_addr()?;
                let task = tokio::spawn(read_datagrams(socket.clone(), arrivals.clone()));
                let tasks = vec![task.abort_handle()];
                Sockets {
                    kind: Kind::Udp(socket),
                    local,
                    arrivals,
                    accepted: None,
                    tasks,
                }
            }
            Transport::Tcp => {
                let listener = TcpListener::bind(address).await?;
                let local = listener.local_addr()?;
                let (accepts, accepted) = mpsc::channel(16);
                let task = tokio::spawn(accept(listener, accepts));
                let kind = Kind::Tcp {
                    connections: HashMap::new(),
                };
                let tasks = vec![task.abort_handle()];
                Sockets {
                    kind,
                    local,
                    arrivals,
                    accepted: Some(accepted),
                    tasks,
                }
            }
        };
        Ok((sockets, inbox))
    }

    /// Where the socket is bound, or the listener.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends one message. What can't be sent now is dropped: UDP loses datagrams anyway, and a
    /// connection that takes nothing shows as a transaction without answer.
    pub fn send(&mut self, peer: SocketAddr, bytes: Vec<u8>) {
        match &mut self.kind {
            Kind::Udp(socket) => {
                let _ = socket.try_send_to(&bytes, peer);
            }
            Kind::Tcp { connections } => {
                connections.retain(|_, connection| !connection.outbox.is_closed());
                let connection = connections
                    .entry(peer)
                    .or_insert_with(|| Connection::open(peer, None, self.arrivals.clone()));
                let _ = connection.outbox.try_send(bytes);
            }
        }
    }

    /// Waits until a peer has made a connection, and takes it over.
    pub async fn accepting(&mut self) {
        let Some(accepted) = &mut self.accepted else {
            return std::future::pending().await;
        };
        match accepted.recv().await {
            Some((peer, stream)) => {
                let connection = Connection::open(peer, Some(stream), self.arrivals.clone());
                if let Kind::Tcp { connections } = &mut self.kind {
                    connections.retain(|_, connection| !connection.outbox.is_closed());
                    if connections.len() < CONNECTIONS_MAX {
                        connections.insert(peer, connection);
                    }
                }
            }
            None => std::future::pending().await,
        }
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Connection {
    fn open(peer: SocketAddr, stream: Option<TcpStream>, arrivals: mpsc::Sender<Arrival>) -> Self {
        let (outbox, messages) = mpsc::channel(OUTBOX);
        tokio::spawn(async move {
            let flow = Flow {
                transport: Transport::Tcp,
                peer,
            };
            let stream = match stream {
                Some(stream) => Ok(stream),
                None => TcpStream::connect(peer).await,
            };
            let ended = match stream {
                Ok(stream) => serve(stream, flow, messages, &arrivals).await,
                Err(error) => Err(error),
            };
            if ended.is_err() {
                let _ = arrivals.send(Arrival::Lost(flow)).await;
            }
        });
        Connection { outbox }
    }
}

/// Reads and writes one connection until either side closes it. The write end closes when the
/// handset drops its end of `messages`.
async fn serve(
    mut stream: TcpStream,
    flow: Flow,
    mut messages: mpsc::Receiver<Vec<u8>>,
    arrivals: &mpsc::Sender<Arrival>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut reader, mut writer) = stream.split();
    let mut buffer = Vec::new();
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Some(bytes) => writer.write_all(&bytes).await?,
                None => return Ok(()),
            },
            read = reader.read_buf(&mut buffer) => {
                if read? == 0 {
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                loop {
                    match framed(&buffer) {
                        Ok(Some(range)) => {
                            let message = buffer[range.clone()].to_vec();
                            buffer.drain(..range.end);
                            let _ = arrivals.send(Arrival::Message(flow, message)).await;
                        }
                        Ok(None) => break,
                        Err(malformed) => {
                            let _ = arrivals.send(Arrival::Unreadable(flow, malformed)).await;
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
}

async fn read_datagrams(socket: Arc<UdpSocket>, arrivals: mpsc::Sender<Arrival>) {
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    loop {
        // An error here is an ICMP message about an earlier datagram; the next one may be good.
        let Ok((bytes, peer)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let flow = Flow {
            transport: Transport::Udp,
            peer,
        };
        let message = Arrival::Message(flow, buffer[..bytes].to_vec());
        if bytes > 4 && arrivals.send(message).await.is_err() {
            return;
        }
    }
}

async fn accept(listener: TcpListener, accepts: mpsc::Sender<(SocketAddr, TcpStream)>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if accepts.send((peer, stream)).await.is_err() {
                    return;
                }
            }
            // Out of descriptors: the backlog holds the peer until some are free again.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
        }
    }
}

/// The address peers can reach when the socket is bound to `local`: the wildcard becomes the
/// address this machine uses toward `peer`.
pub async fn reachable(local: IpAddr, peer: Option<SocketAddr>) -> io::Result<IpAddr> {
    if !local.is_unspecified() {
        return Ok(local);
    }
    let Some(peer) = peer else {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    };
    let probe = UdpSocket::bind(SocketAddr::new(local, 0)).await?;
    probe.connect(peer).await?;
    Ok(probe.local_addr()?.ip())
}
