//! What this machine offers and what it lacks, found out before anything is served.

use std::io;
use std::ops::RangeInclusive;

use io_uring::{IoUring, Probe, opcode};
use rustix::process::{Resource, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity};

/// Kernel features newer than the floor of Linux 6.1 that a shard makes use of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// Linux 6.6: submissions without their array of indices.
    pub no_submission_array: bool,
}

impl Features {
    /// Nothing but what Linux 6.1 has. Everything must work with this.
    pub const FLOOR: Features = Features {
        no_submission_array: false,
    };

    /// Tries out what the running kernel can do.
    pub fn probe() -> Features {
        let trial: io::Result<IoUring> = IoUring::builder().setup_no_sqarray().build(2);
        let no_submission_array = trial.is_ok();
        Features {
            no_submission_array,
        }
    }
}

/// One thing that is missing: what, and the command or setting that mends it.
#[derive(Debug, PartialEq, Eq)]
pub struct Lack(pub String);

/// Looks for all that the relay cannot do without: `limit` files may be open, of which it needs `files`,
/// and the kernel holds each ring's table of `connections` to the same limit.
pub fn lacks(limit: u64, connections: u32, files: u64, ports: RangeInclusive<u16>) -> Vec<Lack> {
    let mut lacks = Vec::new();
    lacks.extend(ring_lack());
    lacks.extend(files_lack(limit, connections, files));
    lacks.extend(ports_lack(ports));
    lacks
}

fn ring_lack() -> Option<Lack> {
    let version = read("/proc/sys/kernel/osrelease").unwrap_or_default();
    let built: io::Result<IoUring> = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(8);
    let ring = match built {
        Ok(ring) => ring,
        Err(error) => return Some(Lack(ring_sentence(&error, &version))),
    };
    let mut probe = Probe::new();
    let known = ring.submitter().register_probe(&mut probe).is_ok();
    let needed = [
        (opcode::RecvMulti::CODE, "recv"),
        (opcode::Send::CODE, "send"),
        (opcode::SendMsg::CODE, "sendmsg"),
        (opcode::Accept::CODE, "accept"),
        (opcode::Connect::CODE, "connect"),
        (opcode::Shutdown::CODE, "shutdown"),
        (opcode::Close::CODE, "close"),
        (opcode::AsyncCancel2::CODE, "cancel"),
        (opcode::PollAdd::CODE, "poll"),
    ];
    let missing: Vec<_> = needed
        .iter()
        .filter(|(code, _)| known && !probe.is_supported(*code))
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(Lack(format!(
        "the kernel's io_uring ({}) lacks {}: run Linux 6.1 or newer",
        version.trim(),
        missing.join(", ")
    )))
}

fn ring_sentence(error: &io::Error, version: &str) -> String {
    let disabled = read("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    match (error.raw_os_error(), disabled.trim()) {
        (Some(libc::EPERM), "1" | "2") => "io_uring is switched off on this machine: \
             `sysctl -w kernel.io_uring_disabled=0` switches it on"
            .into(),
        (Some(libc::EPERM), _) => "io_uring is forbidden to this process, most likely by a \
             container's seccomp profile: allow io_uring_setup, io_uring_enter, io_uring_register"
            .into(),
        (Some(libc::ENOSYS), _) => format!(
            "this kernel ({}) has no io_uring: run Linux 6.1 or newer, with CONFIG_IO_URING",
            version.trim()
        ),
        (Some(libc::EINVAL), _) => format!(
            "this kernel's io_uring ({}) is older than Linux 6.1 (no DEFER_TASKRUN): run Linux 6.1 \
             or newer",
            version.trim()
        ),
        (Some(libc::ENOMEM), _) => "io_uring gets no locked memory: raise the limit, \
             `ulimit -l unlimited` or LimitMEMLOCK=infinity in the unit"
            .into(),
        _ => format!("io_uring cannot be set up: {error}"),
    }
}

fn files_lack(limit: u64, connections: u32, files: u64) -> Option<Lack> {
    let (needed, setting) = match files > connections.into() {
        true => (files, "`ports`"),
        false => (connections.into(), "`connections`"),
    };
    (limit < needed).then(|| {
        Lack(format!(
            "this process may open {limit} files, and its settings need {needed}: raise the hard limit, \
             `ulimit -Hn {needed}` or LimitNOFILE={needed} in the unit, or lower {setting} in the \
             configuration"
        ))
    })
}

fn ports_lack(ports: RangeInclusive<u16>) -> Option<Lack> {
    let range = read("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let mut numbers = range.split_whitespace().map(|number| number.parse::<u16>());
    let (Some(Ok(first)), Some(Ok(last))) = (numbers.next(), numbers.next()) else {
        return None;
    };
    (*ports.start() <= last && first <= *ports.end()).then(|| {
        Lack(format!(
            "media ports {}-{} overlap the ports that the kernel gives to outgoing connections \
             ({first}-{last}), which will take some of them: choose ports below {first}, or \
             `sysctl -w net.ipv4.ip_local_port_range='32768 60999'`",
            ports.start(),
            ports.end()
        ))
    })
}

fn read(path: &str) -> io::Result<String> {
    std::fs::read_to_string(path)
}

/// Raises the soft limit of open files to the hard one, and returns it.
pub fn open_files_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let files = limit.maximum.unwrap_or(u64::MAX);
    limit.current = limit.maximum;
    // The soft limit may always rise to the hard one.
    match setrlimit(Resource::Nofile, limit) {
        Ok(()) => files,
        Err(_) => getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX),
    }
}

/// The cores that this process may run on, least first.
pub fn usable_cores() -> io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|core| set.is_set(*core))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switched_off_ring_is_told_with_its_remedy() {
        let sentence = ring_sentence(&io::Error::from_raw_os_error(libc::ENOSYS), "5.4.0\n");
        assert!(
            sentence.contains("5.4.0") && sentence.contains("Linux 6.1"),
            "{sentence}"
        );
        let sentence = ring_sentence(&io::Error::from_raw_os_error(libc::ENOMEM), "6.1");
        assert!(sentence.contains("LimitMEMLOCK"), "{sentence}");
    }

    #[test]
    fn too_few_files_are_told_with_the_setting_that_wants_them() {
        assert_eq!(files_lack(20_000, 16_384, 10_128), None);
        let told = |connections, files| files_lack(20_000, connections, files).map(|lack| lack.0);
        assert!(told(32_768, 128).is_some_and(|told| told.contains("`connections`")));
        assert!(told(16_384, 40_000).is_some_and(|told| told.contains("`ports`")));
    }

    #[test]
    fn ports_among_the_ephemeral_ones_are_told() {
        if let Some(Lack(sentence)) = ports_lack(1..=65535) {
            assert!(sentence.contains("choose ports below"), "{sentence}");
        }
        assert_eq!(ports_lack(1..=1), None);
    }
}
