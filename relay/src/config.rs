//! Settings of the relay: a command line over a file over defaults, parsed once and checked.

mod realms;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::Parser;
use serde::Deserialize;

pub use realms::RealmFile;

use crate::certificates::Certificates;
use crate::shard;
use crate::transport::tls::SharedIdentity;

/// What can be said on the command line. Everything has a place in the file too, where it stands
/// under the same name; the command line wins.
#[derive(Parser, Debug)]
#[command(
    name = "causeway-relay",
    version,
    about = "Causeway's media relay: MSRP between \
    browsers (WebSocket) and RCS endpoints (TCP), one thread and one io_uring per core."
)]
pub struct Arguments {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Unix socket where control attaches [default: /run/causeway/relay.sock]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Cores to run on, one shard each, for example 2,3,4-7 [default: all this process may use]
    #[arg(long, value_name = "LIST")]
    pub cores: Option<String>,
    /// Addresses that media ports are opened on, such as 192.0.2.20,2001:db8::20 [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',')]
    pub address: Vec<IpAddr>,
    /// Name or address that peers are told to connect to [default: the address]
    #[arg(long, value_name = "HOST")]
    pub advertise: Option<String>,
    /// Media ports, shared out among the shards [default: 20000-29999]
    #[arg(long, value_name = "FIRST-LAST")]
    pub ports: Option<String>,
    /// Give each waiting leg a port of its own
    #[arg(long)]
    pub exclusive_ports: bool,
    /// Folder with NAME.crt and NAME.key, for WSS and TLS [default: none, and neither is served]
    #[arg(long, value_name = "FOLDER")]
    pub certificates: Option<PathBuf>,
    /// Use nothing newer than what Linux 6.1 has
    #[arg(long)]
    pub kernel_floor: bool,
    /// Say what this machine lacks to run the relay, and how to mend it, then exit
    #[arg(long)]
    pub check: bool,
}

/// The configuration file.
#[derive(Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// As `--socket`.
    pub socket: Option<PathBuf>,
    /// As `--cores`.
    pub cores: Option<String>,
    /// As `--address`.
    pub address: Option<IpAddr>,
    /// As `--advertise`.
    pub advertise: Option<String>,
    /// As `--ports`.
    pub ports: Option<String>,
    /// As `--exclusive-ports`.
    pub exclusive_ports: bool,
    /// As `--certificates`.
    pub certificates: Option<PathBuf>,
    /// The networks that the relay is in. Without any, `address` and `advertise` make one.
    pub realms: BTreeMap<String, RealmFile>,
    /// How much each shard may hold.
    pub pools: Pools,
}

/// Sizes of the pools of one shard. Memory is reserved at start and touched as it is needed; when
/// a pool runs dry, what would have needed it waits or is refused, and nothing else happens.
#[derive(Deserialize, Debug, Clone)]
#[serde(deny_unknown_fields, default)]
pub struct Pools {
    /// Receive buffers, 20 KiB each; a power of two. The kernel is given few of them at a time, so
    /// many cost address space but no cache; with too few, connections wait for each other.
    pub buffers: u16,
    /// Blocks, 20 KiB each: unfinished heads, and heads that have grown.
    pub blocks: u32,
    /// Connections; each leg is one, and each open listener reserves one.
    pub connections: u32,
    /// Sessions.
    pub sessions: u32,
    /// Requests that wait for their response, 200 octets each.
    pub pending: u32,
    /// TLS handshakes that may be half done; who connects beyond them is turned away.
    pub half_open: u32,
    /// Those among them that may be of one source: an IPv4 address, or an IPv6 network of 64 bits. Browsers
    /// behind one NAT are one source.
    pub half_open_per_source: u32,
    /// TLS handshakes that are begun in a second; more wait. Each takes the time of some hundred
    /// messages, so this bounds what a flood of them can take from those who talk.
    pub handshakes_per_second: u32,
    /// Memory held for one slow leg, in octets, past which its source is not read.
    pub flow_bytes: u32,
    /// The largest message taken from a browser, in octets. A browser hands over whole messages
    /// only, so this bounds what it may keep in memory, not what the relay does.
    pub max_message: u64,
}

impl Default for Pools {
    fn default() -> Pools {
        Pools {
            buffers: 1024,
            blocks: 1024,
            connections: 16384,
            sessions: 8192,
            pending: 16384,
            half_open: 1024,
            half_open_per_source: 512,
            handshakes_per_second: 250,
            flow_bytes: 256 << 10,
            max_message: 64 << 20,
        }
    }
}

/// The settings, checked.
#[derive(Debug)]
pub struct Config {
    /// Where control attaches.
    pub socket: PathBuf,
    /// One shard for each of these cores.
    pub cores: Vec<usize>,
    /// All media ports.
    pub ports: RangeInclusive<u16>,
    /// What each shard is made with, its slice of the ports included.
    pub shards: Vec<shard::Settings>,
    /// The folder with certificates, and what was made of it, for all shards alike.
    pub identity: Option<(Certificates, SharedIdentity)>,
    /// Our names toward TLS peers, each of which a certificate must cover.
    pub public_names: Vec<String>,
    /// Use nothing newer than the floor.
    pub kernel_floor: bool,
}

/// A setting that cannot be used: what is wrong, where, and what would be right.
#[derive(Debug)]
pub struct Mistake(pub String);

/// Ports that browsers refuse to connect to (WHATWG Fetch, 2.9), from 1024 on.
const BLOCKED_BY_BROWSERS: [u16; 21] = [
    1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669,
    6679, 6697, 10080, 4242, 4900,
];

impl Config {
    /// Puts command line, file and defaults together, and checks all of it.
    pub fn new(arguments: &Arguments) -> Result<Config, Mistake> {
        let file = match &arguments.config {
            Some(path) => read(path)?,
            None => File::default(),
        };
        let socket = arguments.socket.clone().or(file.socket);
        let mut addresses = arguments.address.clone();
        if addresses.is_empty() {
            addresses.extend(file.address);
        }
        let advertise = arguments.advertise.clone().or(file.advertise);
        let exclusive = arguments.exclusive_ports || file.exclusive_ports;
        let is_plain = file.realms.is_empty() || !addresses.is_empty() || advertise.is_some();
        if addresses.is_empty() {
            addresses.push(IpAddr::from([127, 0, 0, 1]));
        }
        let plain = is_plain.then(|| RealmFile {
            addresses,
            // The one realm serves whatever there is a certificate for.
            public_name: Some(String::new()),
            advertise,
            ..RealmFile::default()
        });
        let realms = realms::realms(file.realms, plain, exclusive)?;
        let cores = match arguments.cores.as_ref().or(file.cores.as_ref()) {
            Some(list) => cores(list)?,
            None => all_cores()?,
        };
        let text = arguments
            .ports
            .clone()
            .or(file.ports)
            .unwrap_or("20000-29999".into());
        let ports = ports(&text)?;
        check_pools(&file.pools)?;
        let usable: Vec<u16> = ports
            .clone()
            .filter(|port| !BLOCKED_BY_BROWSERS.contains(port))
            .collect();
        let slice = usable.len() / cores.len();
        if slice < 2 {
            return Err(Mistake(format!(
                "ports {text} are {} for {} shard(s), and each needs two at least: give more",
                usable.len(),
                cores.len()
            )));
        }
        let folder = arguments
            .certificates
            .as_ref()
            .or(file.certificates.as_ref());
        let names = realms.iter().filter_map(|realm| realm.public_host.clone());
        let names: Vec<String> = names.collect();
        if folder.is_some() && names.is_empty() {
            return Err(Mistake(
                "there are certificates, and no realm that would show them: add a `public_name` to \
                 the realms that serve WSS or TLS"
                    .into(),
            ));
        }
        let identity = folder.map(|folder| identity(folder, &names)).transpose()?;
        let pools = &file.pools;
        let shards = usable
            .chunks(slice)
            .take(cores.len())
            .map(|ports| shard::Settings {
                realms: realms.clone(),
                ports: ports.to_vec(),
                buffers: pools.buffers,
                blocks: pools.blocks,
                connections: pools.connections,
                sessions: pools.sessions,
                pending: pools.pending,
                half_open: pools.half_open,
                half_open_per_source: pools.half_open_per_source,
                handshakes_per_second: pools.handshakes_per_second,
                flow_bytes: pools.flow_bytes,
                message_bytes_max: pools.max_message,
                reload: None,
                identity: identity.as_ref().map(|(_, shared)| shared.clone()),
            });
        Ok(Config {
            socket: socket.unwrap_or_else(|| "/run/causeway/relay.sock".into()),
            shards: shards.collect(),
            cores,
            ports,
            public_names: names,
            kernel_floor: arguments.kernel_floor,
            identity,
        })
    }

    /// Connections of all shards together, each of which is an open file.
    pub fn connections(&self) -> u32 {
        self.shards.iter().map(|shard| shard.connections).sum()
    }
}

fn read(path: &Path) -> Result<File, Mistake> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Mistake(format!("cannot read {}: {error}", path.display())))?;
    toml::from_str(&text).map_err(|error| Mistake(format!("{}: {error}", path.display())))
}

fn identity(folder: &Path, names: &[String]) -> Result<(Certificates, SharedIdentity), Mistake> {
    let certificates = Certificates::open(folder).map_err(|unusable| Mistake(unusable.0))?;
    let identity = certificates
        .read(names)
        .map_err(|unusable| Mistake(unusable.0))?;
    Ok((certificates, SharedIdentity::new(identity)))
}

fn cores(list: &str) -> Result<Vec<usize>, Mistake> {
    let mistake = || {
        Mistake(format!(
            "`{list}` is no list of cores: write for example 2,3 or 4-7"
        ))
    };
    let mut cores = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let first: usize = first.trim().parse().map_err(|_| mistake())?;
        let last: usize = last.trim().parse().map_err(|_| mistake())?;
        if first > last || last > 4095 {
            return Err(mistake());
        }
        cores.extend(first..=last);
    }
    let mut unique = cores.clone();
    unique.sort_unstable();
    unique.dedup();
    if unique.len() < cores.len() {
        return Err(Mistake(format!("`{list}` names a core twice (cores)")));
    }
    let machine = std::thread::available_parallelism().map_or(1, usize::from);
    if let Some(core) = cores
        .iter()
        .find(|core| **core >= machine.max(all_cores_count()))
    {
        return Err(Mistake(format!(
            "core {core} is not on this machine (cores)"
        )));
    }
    Ok(cores)
}

fn all_cores_count() -> usize {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let last = online
        .trim()
        .rsplit(['-', ','])
        .next()
        .and_then(|last| last.parse::<usize>().ok());
    last.map_or(1, |last| last + 1)
}

fn all_cores() -> Result<Vec<usize>, Mistake> {
    let number = std::thread::available_parallelism().map_or(1, usize::from);
    Ok((0..number).collect())
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, Mistake> {
    let parsed = text.split_once('-').and_then(|(first, last)| {
        Some(first.trim().parse::<u16>().ok()?..=last.trim().parse::<u16>().ok()?)
    });
    match parsed {
        Some(ports) if *ports.start() >= 1024 && ports.start() < ports.end() => Ok(ports),
        _ => Err(Mistake(format!(
            "`{text}` is no range of ports: write for example 20000-29999, from 1024 up (ports)"
        ))),
    }
}

fn check_pools(pools: &Pools) -> Result<(), Mistake> {
    let wrong = |text: String| Err(Mistake(text));
    if !pools.buffers.is_power_of_two() || pools.buffers < 16 {
        return wrong(format!(
            "pools.buffers is {}, and must be a power of two from 16 to 32768",
            pools.buffers
        ));
    }
    if pools.blocks < 8 || pools.blocks > 1 << 20 {
        return wrong(format!(
            "pools.blocks is {}, and must be 8 to 1048576",
            pools.blocks
        ));
    }
    if pools.connections < 4 || pools.connections > 1 << 20 {
        return wrong(format!(
            "pools.connections is {}, and must be 4 to 1048576",
            pools.connections
        ));
    }
    if pools.sessions == 0 || pools.sessions > crate::limits::SESSIONS_MAX {
        return wrong(format!(
            "pools.sessions is {}, and must be 1 to {}",
            pools.sessions,
            crate::limits::SESSIONS_MAX
        ));
    }
    if pools.pending == 0 || pools.pending > 1 << 24 {
        return wrong(format!(
            "pools.pending is {}, and must be 1 to 16777216",
            pools.pending
        ));
    }
    if pools.half_open == 0 || pools.half_open > 1 << 16 {
        return wrong(format!(
            "pools.half_open is {}, and must be 1 to 65536",
            pools.half_open
        ));
    }
    if pools.half_open_per_source == 0 || pools.half_open_per_source > pools.half_open {
        return wrong(format!(
            "pools.half_open_per_source is {}, and must be 1 to half_open, which is {}",
            pools.half_open_per_source, pools.half_open
        ));
    }
    if pools.handshakes_per_second == 0 || pools.handshakes_per_second > 100_000 {
        return wrong(format!(
            "pools.handshakes_per_second is {}, and must be 1 to 100000",
            pools.handshakes_per_second
        ));
    }
    if pools.flow_bytes < 64 << 10 {
        return wrong(format!(
            "pools.flow_bytes is {}, and must be 65536 up",
            pools.flow_bytes
        ));
    }
    if pools.max_message < 4096 {
        return wrong(format!(
            "pools.max_message is {}, and must be 4096 up",
            pools.max_message
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Result<Config, Mistake> {
        let arguments = ["causeway-relay"].iter().chain(arguments);
        Config::new(&Arguments::parse_from(arguments))
    }

    #[test]
    fn each_shard_gets_a_slice_of_the_ports_of_its_own() {
        let config = config(&["--cores", "0-1", "--ports", "20000-20009"]).unwrap();
        assert_eq!(config.shards[0].ports, [20000, 20001, 20002, 20003, 20004]);
        assert_eq!(config.shards[1].ports, [20005, 20006, 20007, 20008, 20009]);
    }

    #[test]
    fn ports_that_browsers_block_are_left_out() {
        let config = config(&["--cores", "0", "--ports", "10079-10082"]).unwrap();
        assert_eq!(config.shards[0].ports, [10079, 10081, 10082]);
    }

    #[test]
    fn a_mistake_is_told_with_what_would_be_right() {
        let told = |arguments: &[&str]| config(arguments).unwrap_err().0;
        assert!(told(&["--ports", "9"]).contains("20000-29999"));
        assert!(told(&["--cores", "1-0"]).contains("4-7"));
        assert!(told(&["--cores", "0,0"]).contains("twice"));
        assert!(told(&["--address", "0.0.0.0"]).contains("--advertise"));
        assert!(told(&["--advertise", "a b"]).contains("host name"));
        assert!(told(&["--config", "/nonexistent.toml"]).contains("/nonexistent.toml"));
    }

    #[test]
    fn an_unknown_key_in_the_file_is_named() {
        let error = toml::from_str::<File>("[pools]\nbufers = 3\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("bufers") && error.contains("buffers"),
            "{error}"
        );
    }

    #[test]
    fn an_ipv6_address_is_advertised_in_brackets() {
        let config = config(&["--address", "::1", "--cores", "0"]).unwrap();
        assert_eq!(config.shards[0].realms[0].host, "[::1]");
    }

    fn realms_of(text: &str) -> Result<Vec<shard::Realm>, Mistake> {
        let file: File = toml::from_str(text).map_err(|error| Mistake(error.to_string()))?;
        realms::realms(file.realms, None, false)
    }

    #[test]
    fn realms_have_addresses_and_names_and_the_default_one_is_first() {
        let realms = realms_of(
            "[realms.access]\naddresses = [\"192.0.2.20\", \"2001:db8::20\"]\n\
             advertise = \"192.0.2.20\"\npublic_name = \"media.example.com\"\n\
             [realms.default]\naddresses = [\"2001:db8::1\"]\nexclusive_ports = true\n\
             sources = [\"2001:db8::2\"]\n",
        )
        .unwrap();
        let names: Vec<_> = realms.iter().map(|realm| realm.name.as_str()).collect();
        assert_eq!(names, ["default", "access"]);
        assert_eq!(realms[0].host, "[2001:db8::1]");
        assert!(realms[0].ports_exclusive && !realms[1].ports_exclusive);
        assert_eq!(realms[1].host, "192.0.2.20");
        assert_eq!(realms[0].public_host, None);
        assert_eq!(realms[1].public_host.as_deref(), Some("media.example.com"));
    }

    #[test]
    fn a_realm_that_cannot_be_is_told_with_what_would_be_right() {
        let told = |text: &str| realms_of(text).unwrap_err().0;
        assert!(told("[realms.x]\n").contains("addresses = "));
        assert!(told("[realms.\"a b\"]\naddresses = [\"::1\"]").contains("letters"));
        assert!(told("[realms.x]\naddresses = [\"::1\", \"::1\"]").contains("twice"));
        assert!(told("[realms.x]\naddresses = [\"::\", \"::1\"]").contains("exclude"));
        assert!(told("[realms.x]\naddresses = [\"::\"]").contains("advertise"));
        let two = "[realms.x]\naddresses = [\"::1\"]\n[realms.y]\naddresses = [\"::1\"]\n";
        assert!(told(two).contains("`default`"));
    }
}
