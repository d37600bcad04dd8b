//! Unsafe code lives in two places and is argued for there.

use crate::rust::tokens;
use crate::tree::{Finding, Tree, assert_clean};

/// Folders that may hold `unsafe`; each block there has a `SAFETY` comment (clippy insists).
const ALLOWED: &[&str] = &[
    "relay/link/src/",
    "relay/link/tests/",
    "relay/src/ring/",
    "relay/src/ring.rs",
];

/// Single files that may, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[];

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust()) {
        let allowed = ALLOWED.iter().any(|start| file.path.starts_with(start))
            || EXCEPTIONS.iter().any(|(path, _)| *path == file.path);
        if allowed {
            continue;
        }
        for token in tokens(&file.text)
            .iter()
            .filter(|token| token.text == "unsafe")
        {
            findings.push(Finding::new(
                &file.path,
                token.line,
                "`unsafe` outside relay/link and relay/src/ring: wrap it there behind a safe call",
            ));
        }
    }
    findings
}

#[test]
fn unsafe_code_stays_in_link_and_ring() {
    assert_clean(&check(&Tree::of_repository()));
}

#[test]
fn unsafe_elsewhere_is_found_but_not_in_comments_or_attributes() {
    let found = |path, text| check(&Tree::of(&[(path, text)])).len();
    assert_eq!(
        found("control/src/edge/mod.rs", "fn f() { unsafe { g() } }"),
        1
    );
    assert_eq!(found("relay/src/ringing.rs", "unsafe fn f() {}"), 1);
    assert_eq!(found("relay/src/ring/memory.rs", "unsafe fn f() {}"), 0);
    assert_eq!(
        found("relay/wire/src/lib.rs", "#![forbid(unsafe_code)] // unsafe"),
        0
    );
}
