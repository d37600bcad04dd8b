//! Every socket, file and clock of control, and the tasks that hold them.
//!
//! ```text
//! browsers (a task per socket) ┐                ┌ to each socket's queue
//! admin, look-ups              ├▶ Input ▶ core ─┤ to the relay's commands
//! relay_link (one task) ▶ FromRelay ┘ (one task) └ to the SIP sockets, which core owns
//! ```
//!
//! Queues are bounded. Who fills the gateway's queue waits; who does not empty its own is let go.

mod admin;
mod ask;
mod browsers;
mod core;
pub mod dev;
mod files;
mod fresh;
mod http;
mod inputs;
mod listener;
mod locate;
mod login;
mod packages;
mod place;
mod push;
mod relay_link;
pub mod sip_peers;
mod store;
#[cfg(test)]
mod tests;
mod upstream;

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use self::ask::ask;
use self::core::Core;
use self::inputs::{Input, Inputs};
pub use self::login::{Door, LoginError};
pub use self::packages::{Packages, Unsound};
use self::relay_link::RelayCounters;
use self::sip_peers::SipPeers;
use crate::config::{Carrier, Config, IceServer, LegFile};
use crate::gateway::{self, Gateway, Settings};
use crate::jsonrtc;
use crate::limits::{GATEWAY_QUEUE_MAX, HTTP_CONNECTION_MS};
use crate::random::Random;

/// How long the start waits for the names of proxies.
const LOCATE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the start waits for a relay that listens and does not answer.
const RELAY_TIMEOUT: Duration = Duration::from_secs(1);
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
    /// For SIP over TLS.
    SipTls,
}

impl Listener {
    /// The setting that says where it is.
    pub fn setting(self) -> &'static str {
        match self {
            Listener::Http => "http.listen",
            Listener::Admin => "admin.listen",
            Listener::Sip => "sip.listen",
            Listener::SipTls => "sip.tls.listen",
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
    /// The login of an application: its name, and what is wrong.
    Login(String, LoginError),
    /// The push server of an application: its name, and what is no URL of one.
    Push(String, String),
    /// State can't be kept, or what was kept can't be read.
    State(io::Error),
    /// A certificate of the SIP side can't be used; says which file.
    SipTls(io::Error),
    /// Names of proxies can't be looked up; says why.
    Resolver(String),
    /// The packages can't be read, or are not sound.
    Packages(Unsound),
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
            StartError::Login(name, error) => write!(f, "applications.{name}.{error}"),
            StartError::Push(name, url) => {
                write!(f, "applications.{name}.push: `{url}` is no http:// URL")
            }
            StartError::State(error) => write!(f, "state.folder: {error}"),
            StartError::SipTls(error) => write!(f, "sip.tls: {error}"),
            StartError::Resolver(error) => write!(
                f,
                "sip.proxies: names can't be looked up ({error}): mend /etc/resolv.conf, write \
                 sip.name_servers, or write numbers"
            ),
            StartError::Packages(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

/// Control, running.
pub struct Server {
    /// Where browsers come to.
    pub http: SocketAddr,
    /// Where the operator comes to, if that is not where browsers do.
    pub admin: Option<SocketAddr>,
    /// Where SIP peers come to, UDP and TCP.
    pub sip: SocketAddr,
    inputs: mpsc::Sender<Input>,
    stop: watch::Sender<bool>,
    browsers_gone: mpsc::Receiver<Infallible>,
    tasks: JoinSet<()>,
}

/// Where the packages of a configuration are, and what they are given.
pub fn packages_of(config: &Config) -> Packages {
    Packages {
        folder: config.packages.clone(),
        constants: config.constants.clone(),
        session_configs: (config.legs.iter())
            .map(|(name, leg)| (name.clone(), leg.transport.is_websocket()))
            .collect(),
    }
}

/// Each application with what decides about its browsers.
///
/// # Errors
/// A file that a login needs can't be used.
pub fn open_doors(
    config: &Config,
) -> Result<BTreeMap<String, (crate::config::Application, Door)>, StartError> {
    let open = |(name, application): (&String, &crate::config::Application)| {
        let door = Door::open(application.login.as_ref(), &config.domain)
            .map_err(|error| StartError::Login(name.clone(), error))?;
        Ok((name.clone(), (application.clone(), door)))
    };
    config.applications.iter().map(open).collect()
}

impl Server {
    /// Opens every socket and starts every task.
    ///
    /// # Errors
    /// The first thing that is not possible; nothing runs then.
    pub async fn start(config: &Config) -> Result<Server, StartError> {
        let packages = packages_of(config);
        let looked = packages::look(packages.folder.clone()).await;
        let scripts = Arc::new(packages.load().map_err(StartError::Packages)?);
        let doors = open_doors(config)?;
        let pushes = push::Pushes::of(config)?;
        let http = listen(Listener::Http, config.http).await?;
        let shares = config.admin == Some(config.http);
        let admin = match config.admin.filter(|_| !shares) {
            Some(address) => Some(listen(Listener::Admin, address).await?),
            None => None,
        };
        let mut random = Random::new(fill);
        let locator = upstream::locator(config)?;
        let found = timeout(LOCATE_TIMEOUT, locator.find()).await;
        let found = found.unwrap_or_default();
        if found.hops.is_empty() && !config.sip.proxies.is_empty() {
            tracing::error!("sip.proxies: no address is found yet");
        }
        let mut peers = upstream::peers_settings(config)?;
        peers.hops.clone_from(&found.hops);
        let identity = peers.tls.as_ref().map(|tls| tls.identity.clone());
        let peers = SipPeers::bind(peers, random.seed()).await?;
        let (http_address, sip_address) = (address_of(&http, config.http), peers.address());

        let (inputs, input) = mpsc::channel(GATEWAY_QUEUE_MAX);
        let gateway = Gateway::new(settings(config), scripts, random);
        let mut tasks = JoinSet::new();
        let mut core = Core::new(gateway, peers, pushes, inputs.clone());
        if let Some(folder) = &config.state {
            core.restore(store::Store::open(folder).map_err(StartError::State)?);
        }
        let (from_relay, relay) = mpsc::channel(GATEWAY_QUEUE_MAX);
        tasks.spawn(core.run(Inputs {
            usual: input,
            relay,
        }));
        tasks.spawn(locator.watch(found, inputs.clone()));
        if let Some(identity) = identity {
            tasks.spawn(identity.keep_fresh());
        }
        let counters = RelayCounters::default();
        let (tried, relay_tried) = oneshot::channel();
        tasks.spawn(relay_link::run(
            config.relay.clone(),
            from_relay,
            counters.clone(),
            tried,
        ));
        // A page that came sooner would be told that there is no relay. One that is not there is not waited for.
        let _ = timeout(RELAY_TIMEOUT, relay_tried).await;

        let (asks, asked) = mpsc::channel(1);
        tasks.spawn(packages::keep_fresh(
            packages,
            looked,
            inputs.clone(),
            asked,
        ));

        let pages = http::Pages {
            demo: config.demo,
            folder: config.sdk_folder.clone(),
        };
        let (browsers, browsers_gone) = browsers::Browsers::new(doors, inputs.clone());
        let mut routes = http::router(browsers, pages);
        let numbers = admin::Numbers {
            gateway: inputs.clone(),
            relay: counters,
            packages: asks,
        };
        if shares {
            routes = routes.merge(admin::numbers(numbers.clone()));
        }
        let admin_address = admin.as_ref().and_then(|admin| admin.local_addr().ok());
        let (stop, stopping) = watch::channel(false);
        let age_max = Some(Duration::from_millis(HTTP_CONNECTION_MS));
        tasks.spawn(listener::serve(http, routes, age_max, stopping.clone()));
        if let Some(admin) = admin {
            let operator = admin::numbers(numbers.clone()).merge(admin::scripts(numbers));
            // An operator may watch for as long as it takes.
            tasks.spawn(listener::serve(admin, operator, None, stopping));
        }
        Ok(Server {
            http: http_address,
            admin: admin_address,
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
        let _ = timeout(STOP_TIMEOUT, told).await;
        // Nobody listens any more if all servers have ended.
        let _ = self.stop.send(true);
        // The gateway has let go of its browsers: each ends when it was sent what was queued.
        let _ = timeout(STOP_TIMEOUT, self.browsers_gone.recv()).await;
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
            let wakes = application.push.is_some();
            (name.clone(), gateway::Application { packages, wakes })
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
            texts_per_s: limits.texts_per_s,
        },
        registrar: (config.sip.register.as_ref()).map(|register| register.registrar.clone()),
        legs: (config.legs.iter())
            .map(|(name, leg)| (name.clone(), leg_config(leg)))
            .collect(),
        ice: config.ice.servers.iter().map(ice_server).collect(),
        ice_ttl_s: config.ice.ttl_s,
    }
}

fn ice_server(server: &IceServer) -> gateway::IceServer {
    let login = match (&server.secret, &server.username, &server.credential) {
        (Some(secret), _, _) => gateway::IceLogin::Timed(secret.clone()),
        (None, Some(username), Some(credential)) => {
            gateway::IceLogin::Fixed(username.clone(), credential.clone())
        }
        (None, _, _) => gateway::IceLogin::None,
    };
    let urls = server.urls.clone();
    gateway::IceServer { urls, login }
}

fn leg_config(leg: &LegFile) -> gateway::LegConfig {
    let millis = |seconds: u32| seconds.saturating_mul(1000);
    gateway::LegConfig {
        transport: match leg.transport {
            Carrier::Ws => link::Transport::Ws,
            Carrier::Wss => link::Transport::Wss,
            Carrier::Tcp => link::Transport::Tcp,
            Carrier::Tls => link::Transport::Tls,
        },
        realm: leg.realm.clone(),
        user_timeout_ms: millis(leg.user_timeout_s),
        policy: link::LegPolicy {
            idle_ms: millis(leg.idle_s),
            grace_ms: millis(leg.grace_s()),
            keepalive_ms: millis(leg.keepalive_s),
            switches: link::Switches {
                local_acknowledgement: leg.local_acknowledgement,
                report_only: leg.report_only,
                strict_ranges: leg.strict_ranges,
                session_id_only: leg.session_id_only,
            },
        },
        proof: match leg.proof {
            Some(false) => link::PeerProof::WhenTold,
            Some(true) | None => link::PeerProof::Always,
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
