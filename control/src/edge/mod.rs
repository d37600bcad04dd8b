//! Every socket, file and clock of control, and the tasks that hold them.
//!
//! ```text
//! browsers (a task per socket) ┐                ┌ to each socket's queue
//! relay_link (one task)        ├▶ Input ▶ core ─┤ to the relay's commands
//! admin, look-ups              ┘  (one task)    └ to the SIP sockets, which core owns
//! ```
//!
//! Queues are bounded. Who fills the gateway's queue waits; who does not empty its own is let go.

mod admin;
mod browsers;
mod core;
pub mod dev;
mod files;
mod http;
mod listener;
mod packages;
mod relay_link;
pub mod sip_peers;
mod store;
#[cfg(test)]
mod tests;
mod upstream;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use self::core::{Core, Input};
use self::relay_link::RelayCounters;
use self::sip_peers::SipPeers;
use crate::config::{Carrier, Config, LegFile};
use crate::gateway::{self, Gateway, LoadError, Settings, load_scripts};
use crate::jsonrtc;
use crate::limits::GATEWAY_QUEUE_MAX;
use crate::random::Random;

/// How long peers have to hear that we end.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Which listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// For browsers.
    Http,
    /// For the operator.
    Admin,
    /// For SIP.
    Sip,
}

impl Listener {
    /// The setting that says where it is.
    pub fn setting(self) -> &'static str {
        match self {
            Listener::Http => "http.listen",
            Listener::Admin => "admin.listen",
            Listener::Sip => "sip.listen",
        }
    }
}

/// Why control can't start.
#[derive(Debug)]
pub enum StartError {
    /// An address can't be listened at.
    Listen {
        /// For what.
        listener: Listener,
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// State can't be kept, or what was kept can't be read.
    State(io::Error),
    /// A proxy's address isn't known.
    ProxyUnknown {
        /// Its name.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// The operator's packages can't be read.
    Packages(io::Error),
    /// The packages are not sound.
    Scripts(LoadError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Listen {
                listener,
                address,
                error,
            } => {
                let setting = listener.setting();
                match error.kind() {
                    io::ErrorKind::AddrInUse => write!(
                        f,
                        "{address} ({setting}) is taken: end the program that uses it, or choose another port"
                    ),
                    io::ErrorKind::PermissionDenied => write!(
                        f,
                        "{address} ({setting}) is not allowed: choose a port from 1024 up, or let the \
                         service manager grant CAP_NET_BIND_SERVICE"
                    ),
                    io::ErrorKind::AddrNotAvailable => write!(
                        f,
                        "{address} ({setting}) is no address of this machine: choose one of `ip address`"
                    ),
                    _ => write!(f, "can't listen at {address} ({setting}): {error}"),
                }
            }
            StartError::State(error) => write!(f, "state.folder: {error}"),
            StartError::ProxyUnknown { host, error } => write!(
                f,
                "sip.proxies: the address of {host} is not found ({error}): check the name, or write a number"
            ),
            StartError::Packages(error) => write!(f, "packages.folder: {error}"),
            StartError::Scripts(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

/// Control, running.
pub struct Server {
    /// Where browsers come to.
    pub http: SocketAddr,
    /// Where SIP peers come to, UDP and TCP.
    pub sip: SocketAddr,
    inputs: mpsc::Sender<Input>,
    stop: watch::Sender<bool>,
    browsers_gone: mpsc::Receiver<Infallible>,
    tasks: JoinSet<()>,
}

/// Reads and compiles what `check` and `run` both need: the packages.
///
/// # Errors
/// What is wrong with them.
pub fn load_packages(config: &Config) -> Result<crate::script::Scripts, StartError> {
    let files = match &config.packages {
        Some(folder) => packages::read(folder).map_err(StartError::Packages)?,
        None => Vec::new(),
    };
    let constants = config
        .constants
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    let started = Instant::now();
    let clock = Box::new(move || started.elapsed().as_millis() as u64);
    load_scripts(&files, constants, clock).map_err(StartError::Scripts)
}

impl Server {
    /// Opens every socket and starts every task.
    ///
    /// # Errors
    /// The first thing that is not possible; nothing runs then.
    pub async fn start(config: &Config) -> Result<Server, StartError> {
        let scripts = Arc::new(load_packages(config)?);
        let http = listen(Listener::Http, config.http).await?;
        let shares = config.admin == Some(config.http);
        let admin = match config.admin.filter(|_| !shares) {
            Some(address) => Some(listen(Listener::Admin, address).await?),
            None => None,
        };
        let mut random = Random::new(fill);
        let peers = upstream::peers_settings(config).await?;
        let peers = SipPeers::bind(peers, random.seed())
            .await
            .map_err(|error| StartError::Listen {
                listener: Listener::Sip,
                address: config.sip.listen,
                error,
            })?;
        let (http_address, sip_address) = (address_of(&http, config.http), peers.address());

        let (inputs, input) = mpsc::channel(GATEWAY_QUEUE_MAX);
        let gateway = Gateway::new(settings(config), scripts, random);
        let mut tasks = JoinSet::new();
        let mut core = Core::new(gateway, peers, inputs.clone());
        if let Some(folder) = &config.state {
            core.restore(store::Store::open(folder).map_err(StartError::State)?);
        }
        tasks.spawn(core.run(input));
        let counters = RelayCounters::default();
        tasks.spawn(relay_link::run(
            config.relay.clone(),
            inputs.clone(),
            counters.clone(),
        ));

        let pages = http::Pages {
            demo: config.demo,
            folder: config.sdk_folder.clone(),
        };
        let (browsers, browsers_gone) =
            browsers::Browsers::new(config.applications.clone(), inputs.clone());
        let mut routes = http::router(browsers, pages);
        let operator = admin::router(admin::Numbers {
            gateway: inputs.clone(),
            relay: counters,
        });
        if shares {
            routes = routes.merge(operator.clone());
        }
        let (stop, stopping) = watch::channel(false);
        tasks.spawn(listener::serve(http, routes, stopping.clone()));
        if let Some(admin) = admin {
            tasks.spawn(listener::serve(admin, operator, stopping));
        }
        Ok(Server {
            http: http_address,
            sip: sip_address,
            inputs,
            stop,
            browsers_gone,
            tasks,
        })
    }

    /// Waits until a task ends, which none should.
    pub async fn failed(&mut self) {
        self.tasks.join_next().await;
    }

    /// Ends every subsession, tells every peer, closes every socket.
    pub async fn stop(mut self) {
        let (asker, stopped) = oneshot::channel();
        let told = async {
            if self.inputs.send(Input::Stop(asker)).await.is_ok() {
                // An error means that the gateway has ended; that is what is waited for.
                let _ = stopped.await;
            }
        };
        let _ = tokio::time::timeout(STOP_TIMEOUT, told).await;
        // Nobody listens any more if all servers have ended.
        let _ = self.stop.send(true);
        // The gateway has let go of its browsers: each ends when it was sent what was queued.
        let _ = tokio::time::timeout(STOP_TIMEOUT, self.browsers_gone.recv()).await;
        self.tasks.shutdown().await;
    }
}

async fn listen(listener: Listener, address: SocketAddr) -> Result<TcpListener, StartError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| StartError::Listen {
        listener,
        address,
        error,
    })
}

fn address_of(listener: &TcpListener, asked: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(asked)
}

fn settings(config: &Config) -> Settings {
    let limits = config.limits;
    let millis = |seconds: u32| u64::from(seconds) * 1000;
    let applications: HashMap<_, _> = config
        .applications
        .iter()
        .map(|(name, application)| {
            let packages = application.packages.clone();
            (name.clone(), gateway::Application { packages })
        })
        .collect();
    Settings {
        domain: config.domain.clone(),
        applications,
        ring_ms: millis(limits.ring_s),
        leg_ms: millis(limits.leg_s),
        subsessions_per_session: limits.subsessions_per_session,
        browsers: jsonrtc::Limits {
            idle_ms: millis(limits.idle_s),
            disconnect_ms: millis(limits.disconnect_s),
            sessions: limits.sessions,
            sessions_per_user: limits.sessions_per_user,
        },
        registrar: (config.sip.register.as_ref()).map(|register| register.registrar.clone()),
        legs: [&config.legs.browser, &config.legs.handset].map(leg_config),
    }
}

fn leg_config(leg: &LegFile) -> gateway::LegConfig {
    gateway::LegConfig {
        transport: match leg.transport {
            Carrier::Ws => link::Transport::Ws,
            Carrier::Wss => link::Transport::Wss,
            Carrier::Tcp => link::Transport::Tcp,
            Carrier::Tls => link::Transport::Tls,
        },
        realm: leg.realm.clone(),
        grace_ms: leg.grace_s.saturating_mul(1000),
        proof: if leg.proof {
            link::PeerProof::Always
        } else {
            link::PeerProof::WhenTold
        },
    }
}

/// Bytes of the kernel's generator. Without it nothing here is secret: better to end.
fn fill(bytes: &mut [u8]) {
    if let Err(error) = getrandom::fill(bytes) {
        tracing::error!("the kernel gives no random bytes: {error}");
        std::process::abort();
    }
}
