//! `[pools]` and `[core.N]`: how much each shard may hold.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::Mistake;
use crate::limits::SESSIONS_MAX;

/// Sizes of the pools of a shard, as they stand in the file: in `[pools]` for every shard, in
/// `[core.N]` for the one on that core. Memory is reserved at start and touched as it is needed; when
/// a pool runs dry, what would have needed it waits or is refused, and nothing else happens.
#[derive(Deserialize, Debug, Clone, Default)]
#[serde(deny_unknown_fields, default)]
pub struct PoolsFile {
    /// As [`Pools::buffers`].
    pub buffers: Option<u16>,
    /// As [`Pools::blocks`].
    pub blocks: Option<u32>,
    /// As [`Pools::connections`].
    pub connections: Option<u32>,
    /// As [`Pools::sessions`].
    pub sessions: Option<u32>,
    /// As [`Pools::pending`].
    pub pending: Option<u32>,
    /// As [`Pools::half_open`].
    pub half_open: Option<u32>,
    /// As [`Pools::half_open_per_source`].
    pub half_open_per_source: Option<u32>,
    /// As [`Pools::handshakes_per_second`].
    pub handshakes_per_second: Option<u32>,
    /// As [`Pools::flow_bytes`].
    pub flow_bytes: Option<u32>,
    /// As [`Pools::max_message`].
    pub max_message: Option<u64>,
    /// As [`Pools::busy_poll_us`].
    pub busy_poll_us: Option<u32>,
    /// In `[core.N]` only: the ports of its shard, instead of an equal share.
    pub ports: Option<String>,
}

/// The same, complete and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pools {
    /// Receive buffers, 68 KiB each; a power of two. The kernel is given few of them at a time, so
    /// many cost address space but no cache; with too few, connections wait for each other.
    /// Default 512, of which each slow leg may hold three, and less when they become few.
    pub buffers: u16,
    /// Blocks, 20 KiB each: unfinished heads, heads that have grown, packed pieces, sealed records.
    /// Default 1024.
    pub blocks: u32,
    /// Connections; each leg is one, and each open listener reserves one. About 2 KiB each that is
    /// used. Default 16384, or what the limit of open files allows.
    pub connections: u32,
    /// Sessions. Default: half of the connections, since each has two.
    pub sessions: u32,
    /// Requests that wait for their response, 200 octets each. Default: twice the sessions.
    pub pending: u32,
    /// TLS handshakes that may be half done; who connects beyond them is turned away. Default 1024: what
    /// comes in four seconds at the default rate below.
    pub half_open: u32,
    /// Those among them that may be of one source: an IPv4 address, or an IPv6 network of 64 bits.
    /// Browsers behind one NAT are one source. Default: half of them.
    pub half_open_per_source: u32,
    /// TLS handshakes that are begun in a second; more wait. Each takes the time of some hundred
    /// messages, so this bounds what a flood of them can take from those who talk. Default 250, which
    /// is about a tenth of a core.
    pub handshakes_per_second: u32,
    /// Memory held for one slow leg, in octets, past which its source is not read. Default 256 KiB: what
    /// a path of 20 Mbit/s and 100 ms has under way.
    pub flow_bytes: u32,
    /// The largest message taken from a browser, in octets. A browser hands over whole messages
    /// only, so this bounds what it may keep in memory, not what the relay does. Default 64 MiB.
    pub max_message: u64,
    /// Microseconds for which the shard asks the network card itself before it sleeps (NAPI busy poll,
    /// Linux 6.9). Lower latency for a core that is then always busy. Default 0: never.
    pub busy_poll_us: u32,
}

/// What the defaults of `connections` may be at most.
const CONNECTIONS: u32 = 16384;

impl Pools {
    /// The pools of one shard: `own` over `common` over the defaults. `whose` is the table in the file
    /// that a mistake is looked for in first, `files` the limit of open files, which the kernel holds each
    /// ring's connections to.
    pub(super) fn new(
        common: &PoolsFile,
        own: Option<(&PoolsFile, usize)>,
        files: u64,
    ) -> Result<Pools, Mistake> {
        macro_rules! said {
            ($field:ident) => {
                own.and_then(|(own, _)| own.$field).or(common.$field)
            };
        }
        let fits = CONNECTIONS
            .min(u32::try_from(files).unwrap_or(u32::MAX))
            .max(4);
        let connections = said!(connections).unwrap_or(fits);
        let sessions = said!(sessions).unwrap_or((connections / 2).min(SESSIONS_MAX));
        let half_open = said!(half_open).unwrap_or(1024);
        let pools = Pools {
            buffers: said!(buffers).unwrap_or(512),
            blocks: said!(blocks).unwrap_or(1024),
            connections,
            sessions,
            pending: said!(pending).unwrap_or(sessions.saturating_mul(2)),
            half_open,
            half_open_per_source: said!(half_open_per_source).unwrap_or((half_open / 2).max(1)),
            handshakes_per_second: said!(handshakes_per_second).unwrap_or(250),
            flow_bytes: said!(flow_bytes).unwrap_or(256 << 10),
            max_message: said!(max_message).unwrap_or(64 << 20),
            busy_poll_us: said!(busy_poll_us).unwrap_or(0),
        };
        match pools.mistake() {
            None => Ok(pools),
            Some((name, sentence)) => {
                let table = own.map_or("pools".into(), |(_, core)| format!("core.{core}"));
                Err(Mistake(format!("{table}.{name} {sentence}")))
            }
        }
    }

    /// The first size that cannot be: its name, and what it may be.
    fn mistake(&self) -> Option<(&'static str, String)> {
        let Pools {
            connections,
            sessions,
            half_open,
            ..
        } = *self;
        if !self.buffers.is_power_of_two() {
            let sentence = format!("is {}, and must be a power of two", self.buffers);
            return Some(("buffers", sentence));
        }
        let ranges: [(&str, u64, RangeInclusive<u64>); 11] = [
            ("buffers", self.buffers.into(), 16..=32768),
            ("blocks", self.blocks.into(), 8..=1 << 20),
            ("connections", connections.into(), 4..=1 << 20),
            ("sessions", sessions.into(), 1..=SESSIONS_MAX.into()),
            ("pending", self.pending.into(), 1..=1 << 24),
            ("half_open", half_open.into(), 1..=1 << 16),
            (
                "half_open_per_source",
                self.half_open_per_source.into(),
                1..=half_open.into(),
            ),
            (
                "handshakes_per_second",
                self.handshakes_per_second.into(),
                1..=100_000,
            ),
            ("flow_bytes", self.flow_bytes.into(), 64 << 10..=1 << 30),
            ("max_message", self.max_message, 4096..=1 << 40),
            ("busy_poll_us", self.busy_poll_us.into(), 0..=10_000),
        ];
        let (name, value, range) = ranges
            .into_iter()
            .find(|(_, value, range)| !range.contains(value))?;
        let sentence = format!(
            "is {value}, and must be {} to {}",
            range.start(),
            range.end()
        );
        Some((name, sentence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pools(common: &str, own: Option<&str>, files: u64) -> Result<Pools, Mistake> {
        let read = |text: &str| toml::from_str::<PoolsFile>(text).unwrap();
        let own = own.map(read);
        Pools::new(&read(common), own.as_ref().map(|own| (own, 3)), files)
    }

    #[test]
    fn the_defaults_fit_the_machine() {
        let small = pools("", None, 1000).unwrap();
        assert_eq!(
            (small.connections, small.sessions, small.pending),
            (1000, 500, 1000)
        );
        let large = pools("", None, 1 << 30).unwrap();
        assert_eq!(
            (large.connections, large.sessions, large.pending),
            (16384, 8192, 16384)
        );
    }

    #[test]
    fn a_core_s_own_size_comes_before_that_of_all() {
        let pools = pools("buffers = 64\nblocks = 32", Some("buffers = 128"), 1000).unwrap();
        assert_eq!((pools.buffers, pools.blocks), (128, 32));
    }

    #[test]
    fn a_size_that_cannot_be_is_told_with_its_table_and_range() {
        let told = |common, own| pools(common, own, 1000).unwrap_err().0;
        assert!(told("buffers = 100", None).contains("pools.buffers is 100, and must be a power"));
        assert!(told("buffers = 8", None).contains("16 to 32768"));
        assert!(
            told("", Some("blocks = 7")).contains("core.3.blocks is 7, and must be 8 to 1048576")
        );
        assert!(told("half_open = 2", Some("half_open_per_source = 3")).contains("1 to 2"));
    }
}
