//! What the kernel says of memory: a process's, and its own.

use std::fs;

use serde::Serialize;

use crate::load::Process;

/// Memory at a moment, in KiB.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// Of the relay's process; pages that it shares are divided (PSS).
    pub relay_kib: u64,
    /// Of the kernel's own objects (slab), of the whole machine: sockets among them.
    pub slab_kib: u64,
    /// In the queues of all TCP sockets of this network namespace.
    pub tcp_queues_kib: u64,
    /// TCP sockets that are in use in this network namespace.
    pub tcp_sockets: u64,
}

impl Memory {
    /// As it is now.
    pub fn look(relay: Process) -> Memory {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let (tcp_sockets, pages) = sockets(&read("/proc/net/sockstat"));
        Memory {
            relay_kib: relay.memory_kib().unwrap_or(0),
            slab_kib: slab(&read("/proc/meminfo")).unwrap_or(0),
            tcp_queues_kib: pages * 4,
            tcp_sockets,
        }
    }
}

fn slab(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("Slab:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Sockets in use, and pages in their queues.
fn sockets(sockstat: &str) -> (u64, u64) {
    let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP: "));
    let words: Vec<&str> = line.unwrap_or_default().split(' ').collect();
    let after = |name: &str| {
        let pair = words.windows(2).find(|pair| pair[0] == name);
        pair.and_then(|pair| pair[1].parse().ok()).unwrap_or(0)
    };
    (after("inuse"), after("mem"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        assert_eq!(slab("MemFree: 1 kB\nSlab:     1234 kB\n"), Some(1234));
        let text = "sockets: used 5\nTCP: inuse 3 orphan 0 tw 9 alloc 4 mem 17\nUDP: inuse 1\n";
        assert_eq!(sockets(text), (3, 17));
        assert_eq!(sockets(""), (0, 0));
    }
}
