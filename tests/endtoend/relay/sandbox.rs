//! What the running relay has given up, as the kernel tells it.

use link::Transport;
use tests::process::Relay;

use crate::peers::{A_PATH, B_PATH};

#[test]
fn every_thread_has_a_filter_and_no_capability_and_gains_none() {
    let mut relay = Relay::start(&[]);
    // It serves, so all its threads are there.
    relay.create(1, [Transport::Ws, Transport::Tcp], [A_PATH, B_PATH]);
    let tasks = format!("/proc/{}/task", relay.pid());
    let mut threads = Vec::new();
    for task in std::fs::read_dir(tasks).expect("the relay is alive") {
        let status = task.expect("a thread").path().join("status");
        let status = std::fs::read_to_string(status).expect("a thread that stays");
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} {status}")).trim()
        };
        let none = "0000000000000000";
        for sets in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
            assert_eq!(value(sets), none, "{sets} {status}");
        }
        assert_eq!(value("NoNewPrivs:"), "1", "{status}");
        assert_eq!(value("Seccomp:"), "2", "{status}");
        threads.push(value("Name:").to_owned());
    }
    assert!(threads.iter().any(|name| name == "shard-0"), "{threads:?}");
    assert!(threads.len() > 1, "{threads:?}");
}
