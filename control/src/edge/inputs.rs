//! What the gateway's task takes from others, and what it tells the browsers' sockets.

use std::net::SocketAddr;
use std::sync::Arc;

use link::Record;
use tokio::sync::{mpsc, oneshot};

use crate::gateway::Resolve;
use crate::jsonrtc::{Login, SocketId};
use crate::metrics::{Counters, Gauges};
use crate::script::Scripts;
use crate::sip::Hop;

/// What other tasks tell the gateway.
pub enum Input {
    /// A browser opened a socket; what it is sent goes to `to_browser`.
    Opened {
        /// Its number.
        socket: SocketId,
        /// The application it came to, which exists.
        application: String,
        /// Who it has proven to be.
        login: Login,
        /// Where the browser is.
        remote: SocketAddr,
        /// Its queue. When it is full the browser is too slow, and the socket is closed.
        to_browser: mpsc::Sender<ToBrowser>,
    },
    /// A text came.
    Text {
        /// On which socket.
        socket: SocketId,
        /// The text.
        text: String,
    },
    /// A binary message came.
    Binary(SocketId),
    /// A message over the limit came.
    TooLarge(SocketId),
    /// A ping or pong came.
    Alive(SocketId),
    /// A socket was closed, with this code if there was one.
    Closed {
        /// Which.
        socket: SocketId,
        /// The code of the browser's close frame.
        code: Option<u16>,
    },
    /// A name was looked up.
    Resolved {
        /// Which.
        resolve: Resolve,
        /// What was found.
        address: Option<SocketAddr>,
    },
    /// Where the proxies are now.
    Hops(Vec<Hop>),
    /// New scripts; `None`: those that were read are not sound.
    Scripts(Option<Arc<Scripts>>),
    /// Somebody wants to see what scripts do.
    Trace(Tracer),
    /// Somebody wants the numbers.
    Numbers(oneshot::Sender<(Counters, Gauges)>),
    /// The program ends: tell every peer, then say so.
    Stop(oneshot::Sender<()>),
}

/// What the relay's task tells. It has a queue of its own: however much browsers have to say, the relay is heard.
pub enum FromRelay {
    /// A relay is attached.
    Attached {
        /// How many shards it has.
        shards: usize,
        /// Where commands go: shard and record.
        commands: mpsc::Sender<(usize, Box<Record>)>,
    },
    /// The relay is gone.
    Lost,
    /// The relay told something.
    Event {
        /// The shard that did.
        shard: usize,
        /// An encoded [`link::Event`].
        record: Box<Record>,
    },
}

/// What [`Core::run`](super::core::Core::run) takes.
pub struct Inputs {
    /// Of browsers, look-ups, and the operator.
    pub usual: mpsc::Receiver<Input>,
    /// Of the relay.
    pub relay: mpsc::Receiver<FromRelay>,
}

/// Who sees what scripts do.
pub struct Tracer {
    /// Only for messages of this user.
    pub user: Option<String>,
    /// A line for each run. When it is full, lines are left out, and a line says how many.
    pub lines: mpsc::Sender<String>,
    /// Lines that were left out and not yet told of.
    pub lost: u64,
}

impl Tracer {
    /// Says one line, or counts it.
    pub fn tell(&mut self, line: &str) {
        if self.lost > 0 {
            let told = format!("# {} left out: this reader is too slow\n", self.lost);
            if self.lines.try_send(told).is_err() {
                self.lost += 1;
                return;
            }
            self.lost = 0;
        }
        if self.lines.try_send(format!("{line}\n")).is_err() {
            self.lost += 1;
        }
    }
}

/// What a browser's socket is to do.
pub enum ToBrowser {
    /// Send a text.
    Text(String),
    /// Close.
    Close {
        /// The WebSocket's close code.
        code: u16,
        /// The reason.
        reason: &'static str,
    },
}
