//! Settings of the relay: a command line over a file over defaults, parsed once and checked.

mod cores;
mod pools;
mod realms;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::Parser;
use serde::Deserialize;

pub use pools::{Pools, PoolsFile};
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
    /// Group whose members may attach too [default: none, only the relay's own user may]
    #[arg(long, value_name = "GROUP")]
    pub socket_group: Option<String>,
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
    /// The group whose members may attach, beside the relay's own user.
    pub socket_group: Option<String>,
    /// How much each shard may hold.
    pub pools: PoolsFile,
    /// What the shard on one core has otherwise: `[core.3]`.
    pub core: BTreeMap<String, PoolsFile>,
}

/// What the machine allows this process.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Cores that it may run on.
    pub cores: Vec<usize>,
    /// Files that it may have open.
    pub files: u64,
}

/// The settings, checked.
#[derive(Debug)]
pub struct Config {
    /// Where control attaches.
    pub socket: PathBuf,
    /// The group whose members may attach too.
    pub socket_group: Option<u32>,
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
    pub fn new(arguments: &Arguments, machine: &Machine) -> Result<Config, Mistake> {
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
            Some(list) => cores::listed(list, &machine.cores)?,
            None => machine.cores.clone(),
        };
        let text = arguments
            .ports
            .clone()
            .or(file.ports)
            .unwrap_or("20000-29999".into());
        let ports = ports(&text)?;
        let slices = slices(&file.pools, &file.core, &cores, &text, &ports)?;
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
        let shards = cores.iter().zip(slices).map(|(core, ports)| {
            let own = file.core.get(&core.to_string()).map(|own| (own, *core));
            let pools = Pools::new(&file.pools, own, machine.files)?;
            Ok(shard::Settings {
                realms: realms.clone(),
                ports,
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
                busy_poll_us: pools.busy_poll_us,
                reload: None,
                identity: identity.as_ref().map(|(_, shared)| shared.clone()),
            })
        });
        let shards = shards.collect::<Result<_, Mistake>>()?;
        let group = arguments
            .socket_group
            .as_ref()
            .or(file.socket_group.as_ref());
        Ok(Config {
            socket: socket.unwrap_or_else(|| "/run/causeway/relay.sock".into()),
            socket_group: group.map(|name| group_number(name)).transpose()?,
            shards,
            cores,
            ports,
            public_names: names,
            kernel_floor: arguments.kernel_floor,
            identity,
        })
    }

    /// Files that the relay may have open at once. A connection is none, it is in its ring's table only;
    /// a listener is one.
    pub fn files(&self) -> u64 {
        let of_shard = |shard: &shard::Settings| u64::from(shard.listeners_open_max());
        self.shards.iter().map(of_shard).sum::<u64>() + FILES_BESIDE
    }

    /// The largest table of connections.
    pub fn connections_max(&self) -> u32 {
        let sizes = self.shards.iter().map(|shard| shard.connections);
        sizes.max().unwrap_or(0)
    }
}

/// Files beside the listeners: rings, bells, attachments, sockets on their way into a table.
const FILES_BESIDE: u64 = 128;

/// The ports of each shard: its own if `[core.N]` says so, else an equal share of the others.
fn slices(
    pools: &PoolsFile,
    own_pools: &BTreeMap<String, PoolsFile>,
    cores: &[usize],
    text: &str,
    ports: &RangeInclusive<u16>,
) -> Result<Vec<Vec<u16>>, Mistake> {
    let mut own = Vec::new();
    for (name, pools) in own_pools {
        let place = cores.iter().position(|core| core.to_string() == *name);
        let Some(place) = place else {
            return Err(Mistake(format!(
                "[core.{name}] is for no shard: none runs on core {name} (cores)"
            )));
        };
        if let Some(text) = &pools.ports {
            own.push((place, text, self::ports(text)?));
        }
    }
    if pools.ports.is_some() {
        return Err(Mistake(
            "pools.ports: `ports` stands above the tables, or in [core.N] for one shard".into(),
        ));
    }
    for (at, (place, text, range)) in own.iter().enumerate() {
        let meets = |(_, _, other): &&(usize, &String, RangeInclusive<u16>)| {
            range.start() <= other.end() && other.start() <= range.end()
        };
        if let Some((other, ..)) = own[..at].iter().find(meets) {
            return Err(Mistake(format!(
                "core.{}.ports, {text}, are in part those of core {}",
                cores[*place], cores[*other]
            )));
        }
    }
    let usable =
        |range: RangeInclusive<u16>| range.filter(|port| !BLOCKED_BY_BROWSERS.contains(port));
    let is_own = |port: &u16| own.iter().any(|(_, _, range)| range.contains(port));
    let shared: Vec<u16> = usable(ports.clone()).filter(|port| !is_own(port)).collect();
    let share = shared.len() / (cores.len() - own.len()).max(1);
    let mut shares = shared.chunks(share.max(1));
    let mut slices = Vec::new();
    for (place, core) in cores.iter().enumerate() {
        let slice = match own.iter().find(|(own, ..)| *own == place) {
            Some((.., range)) => usable(range.clone()).collect(),
            None => shares.next().unwrap_or_default().to_vec(),
        };
        if slice.len() < 2 {
            return Err(Mistake(format!(
                "the shard on core {core} gets {} of the ports {text}, and each needs two at least: \
                 give more",
                slice.len()
            )));
        }
        slices.push(slice);
    }
    Ok(slices)
}

/// The number of a group, by its name or itself.
fn group_number(name: &str) -> Result<u32, Mistake> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    number_in(&groups, name).ok_or_else(|| {
        Mistake(format!(
            "there is no group `{name}` in /etc/group: make it, `groupadd --system {name}`, or write \
             its number (socket_group)"
        ))
    })
}

/// Of group(5): NAME:PASSWORD:NUMBER:MEMBERS.
fn number_in(groups: &str, name: &str) -> Option<u32> {
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    };
    groups.lines().find_map(of_line)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn config(arguments: &[&str]) -> Result<Config, Mistake> {
        let arguments = ["causeway-relay"].iter().chain(arguments);
        let machine = Machine {
            cores: vec![0, 1],
            files: 20_000,
        };
        Config::new(&Arguments::parse_from(arguments), &machine)
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
        assert!(told(&["--cores", "2"]).contains("0-1"));
        assert!(told(&["--socket-group", "no such"]).contains("groupadd"));
        assert!(told(&["--address", "0.0.0.0"]).contains("--advertise"));
        assert!(told(&["--advertise", "a b"]).contains("host name"));
        assert!(told(&["--config", "/nonexistent.toml"]).contains("/nonexistent.toml"));
    }

    fn slices_of(text: &str) -> Result<Vec<Vec<u16>>, Mistake> {
        let file: File = toml::from_str(text).map_err(|error| Mistake(error.to_string()))?;
        slices(
            &file.pools,
            &file.core,
            &[4, 5, 6],
            "20000-20005",
            &(20000..=20005),
        )
    }

    #[test]
    fn a_core_may_have_ports_of_its_own_and_the_others_share_the_rest() {
        let slices = slices_of("[core.5]\nports = \"20004-20007\"\n").unwrap();
        assert_eq!(slices[0], [20000, 20001]);
        assert_eq!(slices[1], [20004, 20005, 20006, 20007]);
        assert_eq!(slices[2], [20002, 20003]);
    }

    #[test]
    fn ports_of_a_core_that_cannot_be_are_told() {
        let told = |text: &str| slices_of(text).unwrap_err().0;
        assert!(told("[core.7]\n").contains("none runs on core 7"));
        assert!(told("[pools]\nports = \"1-2\"").contains("[core.N]"));
        let two = "[core.4]\nports = \"30000-30004\"\n[core.5]\nports = \"30004-30008\"";
        assert!(told(two).contains("in part"));
        assert!(told("[core.5]\nports = \"20000-20004\"").contains("core 4 gets 1"));
    }

    #[test]
    fn a_group_is_found_by_its_name() {
        let groups = "root:x:0:\ncauseway:x:998:web,sip\n";
        assert_eq!(number_in(groups, "causeway"), Some(998));
        assert_eq!(number_in(groups, "cause"), None);
    }

    #[test]
    fn connections_are_no_files_and_listeners_are() {
        let shared = config(&["--cores", "0-1"]).unwrap();
        assert_eq!(
            (shared.connections_max(), shared.files()),
            (16384, 128 + 2 * 32)
        );
        let exclusive = config(&["--cores", "0-1", "--exclusive-ports"]).unwrap();
        assert_eq!(exclusive.files(), 128 + 10_000);
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
        for origin in [
            "chat.example.com",
            "https://a.example/chat",
            "wss://a.example",
        ] {
            let text = format!("[realms.x]\naddresses = [\"::1\"]\norigins = [\"{origin}\"]");
            assert!(told(&text).contains("is no origin"), "{origin}");
        }
        let two = "[realms.x]\naddresses = [\"::1\"]\n[realms.y]\naddresses = [\"::1\"]\n";
        assert!(told(two).contains("`default`"));
    }
}
