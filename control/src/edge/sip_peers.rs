//! The SIP sockets: UDP and TCP on the same port, and the [`Sip`] machine they drive.
//!
//! [`SipPeers`] is owned by one task, the gateway's. That task alone calls it, so there is one order
//! of things: `event().await` gives what peers did, the other functions are plain calls that take
//! effect (and hand the bytes to the sockets) before they return. What such a call causes besides its
//! result comes out of the next `event()`.
//!
//! ```ignore
//! let mut peers = SipPeers::bind(listen, domain, seed).await?;
//! loop {
//!     tokio::select! {
//!         event = peers.event() => gateway.sip(event, &mut peers),
//!         frame = browsers.recv() => gateway.web(frame, &mut peers),
//!     }
//! }
//! ```

use std::io;
use std::net::SocketAddr;

use crate::sip::{
    ClientId, DialogId, Event, OutRequest, OutResponse, Refused, Sent, ServerId, Settings, Sip,
};

/// What [`SipPeers::bind`] is told.
#[derive(Clone, Debug)]
pub struct PeersSettings {
    /// Where to listen; port 0 takes any that is free for both UDP and TCP.
    pub listen: SocketAddr,
    /// The address peers are told, if it isn't the bound one.
    pub advertised: Option<SocketAddr>,
    /// The domain we serve.
    pub domain: String,
    /// TCP connections, in and out, at most.
    pub connections_max: usize,
    /// Messages waiting for one slow TCP peer; one more and it is cut.
    pub queue_messages_max: usize,
    /// A TCP connection without traffic for so long is closed.
    pub idle_ms_max: u64,
}

impl PeersSettings {
    /// Defaults for everything else.
    pub fn new(listen: SocketAddr, domain: &str) -> PeersSettings {
        PeersSettings {
            listen,
            advertised: None,
            domain: domain.to_owned(),
            connections_max: 4096,
            queue_messages_max: 64,
            idle_ms_max: 900_000,
        }
    }
}

/// The sockets and the machine.
pub struct SipPeers {
    sip: Sip,
}

impl SipPeers {
    /// Opens the sockets. `seed` must come from the kernel's generator.
    pub async fn bind(_settings: PeersSettings, _seed: [u8; 32]) -> io::Result<SipPeers> {
        let _: fn(Settings, [u8; 32]) -> Sip = Sip::new;
        todo!()
    }

    /// The bound address; UDP and TCP have the same port.
    pub fn address(&self) -> SocketAddr {
        todo!()
    }

    /// The next thing a peer did. Cancel-safe.
    pub async fn event(&mut self) -> Event {
        todo!()
    }

    /// [`Sip::add_local`].
    pub fn add_local(&mut self, user: &str) {
        self.sip.add_local(user);
    }

    /// [`Sip::remove_local`].
    pub fn remove_local(&mut self, user: &str) {
        self.sip.remove_local(user);
    }

    /// [`Sip::request`].
    pub fn request(
        &mut self,
        _dialog: Option<DialogId>,
        _request: OutRequest,
    ) -> Result<Sent, Refused> {
        todo!()
    }

    /// [`Sip::respond`].
    pub fn respond(&mut self, _server: ServerId, _response: OutResponse) -> Result<(), Refused> {
        todo!()
    }

    /// [`Sip::ack`].
    pub fn ack(&mut self, _dialog: DialogId) {
        todo!()
    }

    /// [`Sip::cancel`].
    pub fn cancel(&mut self, _client: ClientId) {
        todo!()
    }
}
