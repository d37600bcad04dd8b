//! Who may import whom. What a table does not list fails.
//!
//! The tables are the flow of `docs/ARCHITECTURE.md` said the other way round: a module knows what is
//! below it and nothing beside it.

use crate::rust::{Token, module_of, tokens, uses};
use crate::tree::{Finding, Tree, assert_clean};

/// One crate's table: a module, and what it may name (modules at the root, and our own crates).
/// `lib.rs` only lists the modules and is not in the table; a module may always name itself.
struct Table {
    /// The crate's name, as `main.rs` writes it.
    name: &'static str,
    source: &'static str,
    rows: &'static [(&'static str, &'static [&'static str])],
}

const RELAY: Table = Table {
    name: "relay",
    source: "relay/src",
    rows: &[
        (
            "main",
            &[
                "shard",
                "ring",
                "transport",
                "certificates",
                "config",
                "sandbox",
                "limits",
                "metrics",
                "link",
            ],
        ),
        (
            "shard",
            &[
                "ring",
                "transport",
                "session",
                "link",
                "wire",
                "buffers",
                "limits",
                "metrics",
            ],
        ),
        // The kernel; knows bytes and descriptors only.
        ("ring", &["buffers", "limits"]),
        // Knows no sessions.
        ("transport", &["wire", "buffers", "limits"]),
        // Knows neither sockets nor TLS nor WebSocket; of the link only its words.
        ("session", &["wire", "link words", "buffers", "limits"]),
        ("buffers", &["limits"]),
        // What was written, turned into what a shard takes.
        ("config", &["shard", "certificates", "transport", "limits"]),
        // Gives up what a relay that serves does not need.
        ("sandbox", &[]),
        // Reads files, makes identities of them.
        ("certificates", &["transport", "limits"]),
        ("metrics", &["link words"]),
        // Knows the sizes of what is read and shared, to relate its bounds to them.
        ("limits", &["wire", "link words"]),
    ],
};

const CONTROL: Table = Table {
    name: "control",
    source: "control/src",
    rows: &[
        ("main", &["edge", "config"]),
        // Feeds and empties what is below, and reads packages from a folder.
        (
            "edge",
            &[
                "gateway", "admin", "jsonrtc", "sip", "script", "packages", "state", "link",
                "config", "backlog", "limits", "metrics", "random", "timers",
            ],
        ),
        // Of bodies only where a description stands among other parts.
        (
            "gateway",
            &[
                "jsonrtc", "sip", "sdp", "script", "packages", "state", "link", "bodies",
                "backlog", "limits", "metrics", "random", "timers",
            ],
        ),
        // These six do not know each other.
        ("jsonrtc", &["limits", "random", "timers"]),
        ("sip", &["backlog", "limits", "random", "timers"]),
        // Of wire only how an MSRP URI is read.
        ("sdp", &["wire", "limits"]),
        // A script may call what reads and writes bodies.
        ("script", &["bodies", "limits"]),
        ("packages", &["limits"]),
        ("state", &["limits", "random", "timers"]),
        ("admin", &["state", "metrics", "limits"]),
        ("config", &["limits"]),
        ("bodies", &[]),
        ("metrics", &[]),
        ("random", &[]),
        ("timers", &["limits"]),
        ("backlog", &["limits"]),
        ("limits", &[]),
    ],
};

/// What "link words" stands for: the vocabulary of commands and events, without the shared memory.
const LINK_WORDS: &[&str] = &[
    "Cause",
    "Counter",
    "Fingerprint",
    "Leg",
    "LegPolicy",
    "LegState",
    "PATH_BYTES_MAX",
    "REALM_BYTES_MAX",
    "PeerIdentity",
    "PeerProof",
    "Refusal",
    "SessionCounts",
    "SessionId",
    "Switches",
    "Transport",
    "OWN_PATH_BYTES_MAX",
    "RESOURCE_BYTES_MAX",
];

/// Names that a file defines at any depth, modules left out: what stands in `lib.rs` itself is the
/// whole crate's vocabulary.
fn definitions<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let defines = |text| matches!(text, "struct" | "enum" | "type" | "const" | "fn" | "trait");
    tokens
        .windows(2)
        .filter(|pair| defines(pair[0].text))
        .map(|pair| pair[1].text)
        .collect()
}

/// Our own crates that relay and control are made with (`manifests.rs` sees to it).
const CRATES: &[&str] = &["wire", "link"];

fn check(table: &Table, tree: &Tree) -> Vec<Finding> {
    let root = tree.find(&format!("{}/lib.rs", table.source));
    let defined = root
        .map(|file| definitions(&tokens(&file.text)))
        .unwrap_or_default();
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust()) {
        let Some(module) = module_of(file, table.source) else {
            continue;
        };
        let Some(top) = module.first() else { continue };
        let Some((_, allowed)) = table.rows.iter().find(|(name, _)| name == top) else {
            findings.push(Finding::new(
                &file.path,
                0,
                format!("module `{top}` is not in the table of tests/tidy/imports.rs: add it with what it may import"),
            ));
            continue;
        };
        // The root of the program is a crate of its own: its inner modules start again at depth 0.
        // Only it names the library by its name.
        let (inner, own) = if top == "main" {
            (&module[1..], table.name)
        } else {
            (&module[..], "")
        };
        for found in uses(&tokens(&file.text), inner, own, CRATES) {
            let name = if found.from.is_empty() {
                found.target
            } else {
                found.from
            };
            let word = found.from == "link" && LINK_WORDS.contains(&found.target);
            if name == top || allowed.contains(&name) || word && allowed.contains(&"link words") {
                continue;
            }
            if defined.contains(&found.target) {
                continue;
            }
            if top == "main"
                && found.from.is_empty()
                && !table.rows.iter().any(|(module, _)| *module == name)
            {
                continue; // A name of the program's own root, in its tests.
            }
            findings.push(Finding::new(
                &file.path,
                found.line,
                format!(
                    "`{top}` may not import `{}` (it may: {}): move the code to where it may, or pass the \
                     value in; if the design has changed, change the table and docs/ARCHITECTURE.md together",
                    if found.from.is_empty() { found.target.to_string() } else { format!("{}::{}", found.from, found.target) },
                    allowed.join(", ")
                ),
            ));
        }
    }
    findings
}

/// What a pure module may not name: sockets, clocks, files, threads, randomness. Time and random
/// seeds come in as arguments, so that a simulation can repeat a run exactly.
const IMPURE: &[&[&str]] = &[
    &["tokio", "::"],
    &["TcpStream"],
    &["TcpListener"],
    &["UdpSocket"],
    &["UnixStream"],
    &["Instant", "::", "now"],
    &["SystemTime", "::", "now"],
    &["thread", "::", "sleep"],
    &["thread", "::", "spawn"],
    &["fs", "::"],
    &["getrandom", "::"],
];

/// The modules that must be pure.
const PURE: &[&str] = &[
    "relay/wire/src/",
    "relay/src/session",
    "relay/src/transport",
    "relay/src/buffers",
    "control/src/gateway",
    "control/src/jsonrtc",
    "control/src/sip",
    "control/src/sdp",
    "control/src/script",
    "control/src/packages",
    "control/src/state",
    "control/src/admin",
];

/// Places that may, each with its reason.
const IMPURE_ALLOWED: &[(&str, &str)] = &[];

fn check_purity(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let pure = |path: &str| PURE.iter().any(|start| path.starts_with(start));
    for file in tree
        .files
        .iter()
        .filter(|file| file.is_rust() && pure(&file.path))
    {
        if IMPURE_ALLOWED.iter().any(|(path, _)| *path == file.path) {
            continue;
        }
        let tokens = tokens(&file.text);
        for at in 0..tokens.len() {
            let reads = |pattern: &&&[&str]| {
                pattern.iter().enumerate().all(|(step, text)| {
                    tokens
                        .get(at + step)
                        .is_some_and(|token| token.text == *text)
                })
            };
            if let Some(pattern) = IMPURE.iter().find(reads) {
                let what = pattern.concat();
                findings.push(Finding::new(
                    &file.path,
                    tokens[at].line,
                    format!("`{what}` in a pure module: let `shard` or `edge` do it and pass the result in"),
                ));
            }
        }
    }
    findings
}

#[test]
fn relay_imports_go_one_way() {
    assert_clean(&check(&RELAY, &Tree::of_repository()));
}

#[test]
fn control_imports_go_one_way() {
    assert_clean(&check(&CONTROL, &Tree::of_repository()));
}

#[test]
fn below_shard_and_edge_nothing_opens_a_socket_or_reads_a_clock() {
    assert_clean(&check_purity(&Tree::of_repository()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(path: &str, text: &str) -> Vec<String> {
        let tree = Tree::of(&[(path, text)]);
        check(&RELAY, &tree)
            .iter()
            .map(Finding::to_string)
            .collect()
    }

    #[test]
    fn an_import_beside_the_table_is_found_with_its_line() {
        let found = relay(
            "relay/src/session/table.rs",
            "use wire::msrp;\nuse crate::shard::Shard;\n",
        );
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("relay/src/session/table.rs:2: `session` may not import `shard`")
        );
    }

    #[test]
    fn an_import_through_super_or_in_a_group_is_found_too() {
        assert_eq!(relay("relay/src/session.rs", "use super::ring;").len(), 1);
        assert_eq!(
            relay(
                "relay/src/session.rs",
                "use crate::{limits, transport::Tls};"
            )
            .len(),
            1
        );
        assert_eq!(
            relay("relay/src/session.rs", "fn f(x: crate::ring::Token) {}").len(),
            1
        );
        assert_eq!(relay("relay/src/transport.rs", "use link::Leg;").len(), 1);
        let found = relay("relay/src/session.rs", "use link::{Leg, Listener};");
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("may not import `link::Listener`"));
    }

    #[test]
    fn a_glob_of_the_root_is_refused_because_it_hides_what_is_used() {
        assert_eq!(relay("relay/src/session/mod.rs", "use crate::*;").len(), 1);
    }

    #[test]
    fn what_the_table_lists_passes() {
        assert!(
            relay(
                "relay/src/session/mod.rs",
                "use crate::buffers::Span; use crate::session::x;"
            )
            .is_empty()
        );
        assert!(
            relay(
                "relay/src/session/mod.rs",
                "mod tests { use super::*; use super::table; }"
            )
            .is_empty()
        );
        assert!(
            relay(
                "relay/src/main.rs",
                "use relay::shard; mod tests { use super::*; }"
            )
            .is_empty()
        );
        assert!(relay("relay/src/lib.rs", "pub use crate::ring::uring;").is_empty());
    }

    #[test]
    fn what_the_root_defines_is_for_all_and_what_it_re_exports_is_not() {
        let root = (
            "relay/src/lib.rs",
            "pub type Millis = u64; pub use shard::Shard;",
        );
        let check = |text| check(&RELAY, &Tree::of(&[root, ("relay/src/session.rs", text)])).len();
        assert_eq!(check("use crate::Millis;"), 0);
        assert_eq!(check("use crate::Shard;"), 1);
    }

    #[test]
    fn a_module_without_a_row_is_refused() {
        assert!(relay("relay/src/surprise.rs", "")[0].contains("`surprise` is not in the table"));
    }

    #[test]
    fn a_clock_a_socket_or_a_file_in_a_pure_module_is_found() {
        let found =
            |text: &str| check_purity(&Tree::of(&[("relay/src/session/mod.rs", text)])).len();
        assert_eq!(found("let now = std::time::Instant::now();"), 1);
        assert_eq!(found("let x = tokio::spawn(y);"), 1);
        assert_eq!(found("std::fs::read(p)"), 1);
        assert_eq!(found("fn f(now: Instant) {} // Instant::now()"), 0);
        assert_eq!(
            check_purity(&Tree::of(&[("relay/src/shard/mod.rs", "Instant::now()")])).len(),
            0
        );
    }
}
