//! The sockets: datagrams, and a table of connections, each with a task of its own.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::connection::{Input, Order, Patience, Pipe, prompt, serve};
use super::{DATAGRAM_BYTES_MAX, PeerCounts, PeersSettings};
use crate::edge::{Listener, StartError};
use crate::sip::{Flow, Hop, SipTransport};

/// Messages of all connections that wait for the owner; then connections are not read.
const INPUTS_MAX: usize = 1024;
/// Of datagrams that have come and are not read yet. The kernel counts 1 to 2 KiB for each, and gives no more than
/// `net.core.rmem_max` allows, twice.
const UNREAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a connection may take to open, a handshake included.
const CONNECT_MS: u64 = 5_000;
/// How long a peer may take to answer a ping. RFC 5626, 4.4.1.
const PONG_MS: u64 = 10_000;
/// Pause after the kernel could not give us a connection (too many open files).
const ACCEPT_PAUSE_MS: u64 = 100;
/// How often a port that is free for TCP may turn out to be taken for UDP.
const PORT_ATTEMPTS: usize = 32;

/// Everything that is open.
pub struct Sockets {
    udp: UdpSocket,
    listener: TcpListener,
    tls_listener: Option<TcpListener>,
    /// Of UDP and TCP.
    pub address: SocketAddr,
    settings: PeersSettings,
    datagram: Vec<u8>,
    connections: HashMap<u64, Connection>,
    by_peer: HashMap<(SipTransport, SocketAddr), u64>,
    /// What the certificate of who is at an address must be for, if not the address.
    names: HashMap<SocketAddr, String>,
    last_connection: u64,
    /// Their tasks; dropping the set ends them.
    tasks: JoinSet<()>,
    inputs: mpsc::Receiver<Input>,
    to_inputs: mpsc::Sender<Input>,
    pub counts: PeerCounts,
    /// Where [`Sockets::ready`] has looked first.
    looks_at_datagrams: bool,
    /// Not to be asked for connections before then.
    accept_paused_until: Option<Instant>,
}

/// A connection as its owner sees it.
struct Connection {
    of: (SipTransport, SocketAddr),
    queue: mpsc::Sender<Order>,
    task: AbortHandle,
}

/// What has happened.
pub enum Wake {
    /// A datagram has come: its length, and from where.
    Datagram(usize, SocketAddr),
    /// A connection's task says something.
    Input(Input),
    /// Something that is nobody's business, or the time has come.
    Nothing,
}

impl Sockets {
    /// Opens them.
    ///
    /// # Errors
    /// The first address that can't be listened at.
    pub async fn bind(settings: PeersSettings) -> Result<Sockets, StartError> {
        let fails = |listener: Listener, address: SocketAddr| {
            move |error| StartError::Listen {
                listener,
                address,
                error,
            }
        };
        let plain = fails(Listener::Sip, settings.listen);
        let (listener, udp) = bind_both(settings.listen).await.map_err(plain)?;
        let address = listener.local_addr().unwrap_or(settings.listen);
        let tls_listener = match &settings.tls {
            Some(tls) => {
                let bound = TcpListener::bind(tls.listen).await;
                Some(bound.map_err(fails(Listener::SipTls, tls.listen))?)
            }
            None => None,
        };
        // What finds no room is lost, and said again half a second later: that is more work, not less.
        let _ = socket2::SockRef::from(&udp).set_recv_buffer_size(UNREAD_BYTES_MAX);
        // Else the first `try_send_to` would find the socket not known to be writable.
        udp.writable()
            .await
            .map_err(fails(Listener::Sip, address))?;
        let (to_inputs, inputs) = mpsc::channel(INPUTS_MAX);
        Ok(Sockets {
            udp,
            listener,
            tls_listener,
            address,
            settings,
            datagram: vec![0; DATAGRAM_BYTES_MAX],
            connections: HashMap::new(),
            by_peer: HashMap::new(),
            names: HashMap::new(),
            last_connection: 0,
            tasks: JoinSet::new(),
            inputs,
            to_inputs,
            counts: PeerCounts::default(),
            looks_at_datagrams: false,
            accept_paused_until: None,
        })
    }

    /// Where TLS is listened at.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_listener.as_ref()?.local_addr().ok()
    }

    /// Connections that are open or being opened.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// The datagram that has come.
    pub fn datagram(&self, length: usize) -> &[u8] {
        self.datagram.get(..length).unwrap_or_default()
    }

    /// By which names these are known, whose certificates must say so.
    pub fn set_names(&mut self, hops: &[Hop]) {
        let named = hops.iter().map(|hop| (hop.flow.peer, hop.name.clone()));
        self.names = named.collect();
    }

    /// Waits for a socket, a connection's task, or this time. Cancel-safe.
    pub async fn wake(&mut self, due: Option<Instant>) -> Wake {
        // Tasks that have ended are only swept up here; what they had to say was said by `Lost`.
        while self.tasks.try_join_next().is_some() {}
        self.accept_paused_until
            .take_if(|until| *until <= Instant::now());
        let paused = self.accept_paused_until.is_some();
        let until = [due, self.accept_paused_until].into_iter().flatten().min();
        let sleep = async {
            match until {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let tls_listener = &self.tls_listener;
        let accept_tls = async {
            match tls_listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        let (transport, accepted) = tokio::select! {
            received = self.udp.recv_from(&mut self.datagram) => return match received {
                Ok((length, peer)) => Wake::Datagram(length, peer),
                // An earlier datagram of ours found nobody; its transaction will find out.
                Err(_) => Wake::Nothing,
            },
            accepted = self.listener.accept(), if !paused => (SipTransport::Tcp, accepted),
            accepted = accept_tls, if !paused => (SipTransport::Tls, accepted),
            Some(input) = self.inputs.recv() => return Wake::Input(input),
            () = sleep => return Wake::Nothing,
        };
        match accepted {
            Ok((stream, peer)) => self.accepted(transport, stream, peer),
            Err(_) => {
                let pause = Duration::from_millis(ACCEPT_PAUSE_MS);
                self.accept_paused_until = Some(Instant::now() + pause);
            }
        }
        Wake::Nothing
    }

    /// What has come by now, over connections and in datagrams by turns.
    pub fn ready(&mut self) -> Option<Wake> {
        self.looks_at_datagrams = !self.looks_at_datagrams;
        for datagrams in [self.looks_at_datagrams, !self.looks_at_datagrams] {
            let found = match datagrams {
                true => match self.udp.try_recv_from(&mut self.datagram) {
                    Ok((length, peer)) => Some(Wake::Datagram(length, peer)),
                    // Nothing is there, or what `wake` would not tell either.
                    Err(_) => None,
                },
                false => self.inputs.try_recv().ok().map(Wake::Input),
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// Sends a message, opening a connection if need be. `Err`: this flow is lost.
    pub fn send(&mut self, flow: Flow, bytes: Vec<u8>) -> Result<(), Flow> {
        if flow.transport == SipTransport::Udp {
            if self.udp.try_send_to(&bytes, flow.peer).is_err() {
                self.counts.datagrams_unsent += 1;
            }
            return Ok(());
        }
        let of = (flow.transport, flow.peer);
        let known = flow.connection.or_else(|| self.by_peer.get(&of).copied());
        let id = match known {
            Some(id) => id,
            None => self.connect(of).ok_or(flow)?,
        };
        let connection = self.connections.get(&id).ok_or(flow)?;
        match connection.queue.try_send(Order::Write(bytes)) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(flow),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.counts.connections_cut += 1;
                connection.task.abort();
                let lost = Flow {
                    connection: Some(id),
                    ..flow
                };
                self.forget(lost);
                Err(lost)
            }
        }
    }

    /// Pings the peer at the other end of a connection from now on.
    pub fn keep_alive(&mut self, flow: Flow, every: Duration) {
        let connection = flow.connection.and_then(|id| self.connections.get(&id));
        if let Some(connection) = connection {
            // A full queue means that there is traffic; the next registration asks again.
            let _ = connection.queue.try_send(Order::KeepAlive(every));
        }
    }

    /// A connection is gone.
    pub fn forget(&mut self, flow: Flow) {
        let Some(id) = flow.connection else {
            return;
        };
        if let Some(connection) = self.connections.remove(&id)
            && self.by_peer.get(&connection.of) == Some(&id)
        {
            self.by_peer.remove(&connection.of);
        }
    }

    fn connect(&mut self, of: (SipTransport, SocketAddr)) -> Option<u64> {
        let (transport, peer) = of;
        let tls = match (transport, &self.settings.tls) {
            (SipTransport::Tls, None) => return None,
            (SipTransport::Tls, Some(tls)) => Some(tls.identity.clone()),
            (SipTransport::Tcp | SipTransport::Udp, _) => None,
        };
        let name = self.names.get(&peer).cloned();
        self.start(of, true, async move {
            let stream = prompt(TcpStream::connect(peer).await.ok()?);
            match tls {
                Some(tls) => tls.connect(stream, name, peer).await,
                None => Some(Box::new(stream) as Box<dyn Pipe>),
            }
        })
    }

    fn accepted(&mut self, transport: SipTransport, stream: TcpStream, peer: SocketAddr) {
        let tls = self.settings.tls.as_ref().map(|tls| tls.identity.clone());
        let stream = prompt(stream);
        // Over the limit the stream is dropped, and so closed.
        self.start((transport, peer), false, async move {
            match tls.filter(|_| transport == SipTransport::Tls) {
                Some(tls) => tls.accept(stream, peer).await,
                None => Some(Box::new(stream) as Box<dyn Pipe>),
            }
        });
    }

    /// Starts the task of a connection; `asked_for`: by us. `None`: there are too many.
    fn start(
        &mut self,
        of: (SipTransport, SocketAddr),
        asked_for: bool,
        stream: impl Future<Output = Option<Box<dyn Pipe>>> + Send + 'static,
    ) -> Option<u64> {
        if self.connections.len() >= self.settings.connections_max {
            self.counts.connections_refused += 1;
            return None;
        }
        self.last_connection += 1;
        let id = self.last_connection;
        let (transport, peer) = of;
        let flow = Flow {
            transport,
            peer,
            connection: Some(id),
        };
        let (queue, queued) = mpsc::channel(self.settings.queue_messages_max.max(1));
        let inputs = self.to_inputs.clone();
        let patience = Patience {
            idle: Duration::from_millis(self.settings.idle_ms_max),
            message: Duration::from_millis(self.settings.message_ms_max),
            pong: Duration::from_millis(PONG_MS),
            known: asked_for,
        };
        let task = self.tasks.spawn(async move {
            let opened = timeout(Duration::from_millis(CONNECT_MS), stream).await;
            if let Ok(Some(stream)) = opened {
                serve(stream, flow, queued, &inputs, patience).await;
            }
            // The owner may be gone; then nobody needs to know.
            let _ = inputs.send(Input::Lost { flow }).await;
        });
        self.connections.insert(id, Connection { of, queue, task });
        self.by_peer.insert(of, id);
        Some(id)
    }
}

/// Both sockets on the same port.
async fn bind_both(listen: SocketAddr) -> io::Result<(TcpListener, UdpSocket)> {
    let mut attempts = if listen.port() == 0 { PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        let listener = TcpListener::bind(listen).await?;
        match UdpSocket::bind(listener.local_addr()?).await {
            Ok(udp) => return Ok((listener, udp)),
            Err(error) if attempts == 0 => return Err(error),
            Err(_) => {}
        }
    }
}
