//! Nothing half done and nothing of one person's machine is left in the files.

use crate::rust::tokens;
use crate::tree::{File, Finding, Tree, assert_clean};

/// Put together here, so that this file does not contain what it looks for.
const MACHINE: &[(&str, &str)] = &[
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/fa", "rm/"), "a path of one machine"),
    (concat!("/tmp/", "t-"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/.lib", "rary"), "a path of one machine"),
    (concat!("../sha", "red"), "a path outside the repository"),
    (
        concat!("DEVELO", "PERS.md"),
        "a page outside the repository",
    ),
    (
        concat!("sub", "agent"),
        "about who wrote it, not about what it is",
    ),
];

const UNFINISHED: &[&str] = &[
    concat!("FIX", "ME"),
    concat!("TO", "DO:"),
    concat!("XX", "X:"),
    concat!("HA", "CK:"),
    concat!("#[ig", "nore"),
    concat!("test.", "skip("),
    concat!("test.", "only("),
];

/// Macros that end a run because nobody wrote the rest.
const MACROS: &[&str] = &["todo", "unimplemented"];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "handy", "shared", "misc",
];

fn generated(file: &File) -> bool {
    file.path.ends_with("Cargo.lock") || file.path.ends_with("package-lock.json")
}

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| !generated(file)) {
        for (number, line) in file.lines() {
            for (text, why) in MACHINE.iter().filter(|(text, _)| line.contains(text)) {
                findings.push(Finding::new(
                    &file.path,
                    number,
                    format!("`{text}` is {why}: take it out"),
                ));
            }
            for text in UNFINISHED.iter().filter(|text| line.contains(**text)) {
                let what = "finish it, or write down in docs what is absent";
                findings.push(Finding::new(
                    &file.path,
                    number,
                    format!("`{text}`: {what}"),
                ));
            }
        }
        if file.is_rust() {
            findings.extend(check_macros(file));
        }
        findings.extend(check_name(file));
    }
    findings
}

fn check_macros(file: &File) -> Vec<Finding> {
    let tokens = tokens(&file.text);
    let pairs = tokens
        .windows(2)
        .filter(|pair| MACROS.contains(&pair[0].text) && pair[1].text == "!");
    pairs
        .map(|pair| {
            Finding::new(
                &file.path,
                pair[0].line,
                format!("`{}!`: write what is missing", pair[0].text),
            )
        })
        .collect()
}

fn check_name(file: &File) -> Option<Finding> {
    let mut parts = file
        .path
        .split('/')
        .map(|part| part.split('.').next().unwrap_or(""));
    let part = parts.find(|part| EMPTY_NAMES.contains(part))?;
    let text = format!("`{part}` says nothing about what is inside: name the thing");
    Some(Finding::new(&file.path, 0, text))
}

#[test]
fn nothing_is_left_half_done_or_bound_to_one_machine() {
    assert_clean(&check(&Tree::of_repository()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&Tree::of(&[(path, text)])).len()
    }

    #[test]
    fn paths_of_a_machine_are_found_in_any_file() {
        for (text, _) in MACHINE {
            assert_eq!(found("docs/a.md", &format!("see {text}x")), 1, "{text}");
        }
        assert_eq!(found("docs/a.md", "see docs/b.md and the network"), 0);
    }

    #[test]
    fn unfinished_code_is_found() {
        for text in UNFINISHED {
            assert_eq!(found("a/src/lib.rs", &format!("// {text}")), 1, "{text}");
        }
        assert_eq!(found("a/src/lib.rs", concat!("fn f() { to", "do!() }")), 1);
        assert_eq!(
            found(
                "a/src/lib.rs",
                concat!("fn f() { unimple", "mented!(\"x\") }")
            ),
            1
        );
        assert_eq!(found("a/src/lib.rs", "let todo = 1; // what is to do"), 0);
    }

    #[test]
    fn a_name_that_says_nothing_is_found() {
        assert_eq!(found("relay/src/utils.rs", ""), 1);
        assert_eq!(found("relay/src/common/mod.rs", ""), 1);
        assert_eq!(found("relay/src/shard/mod.rs", ""), 0);
    }
}
