//! The manifests: who depends on whom, and why an outside crate is here.

use crate::tree::{File, Finding, Tree, assert_clean};

/// What a package of ours may depend on among our own. What is not listed fails.
const PACKAGES: &[(&str, &[&str])] = &[
    ("relay/wire", &[]),
    ("relay/link", &[]),
    ("relay", &["wire", "link"]),
    // Not on relay: signalling cannot name the forwarding core.
    ("control", &["wire", "link"]),
    // Speaks to a relay over its link, and else shares no code with what it measures, so that no
    // common mistake hides.
    ("bench", &["link"]),
    ("tests", &["wire", "link", "relay", "control"]),
];

const OURS: &[&str] = &["wire", "link", "relay", "control", "bench", "tests"];

/// The dependencies a manifest names, with their lines: every key of a table whose name ends so.
fn dependencies(file: &File) -> Vec<(usize, &str)> {
    let mut inside = false;
    let mut found = Vec::new();
    for (number, line) in file.lines() {
        let line = line.trim();
        if let Some(section) = line.strip_prefix('[') {
            inside = section.trim_end_matches(']').ends_with("dependencies");
        } else if inside && !line.starts_with('#') {
            // Continuation lines of an array hold no `name =` or `name.workspace =`.
            let name = line.split(['=', '.']).next().unwrap_or("").trim();
            let whole = !name.is_empty()
                && name
                    .chars()
                    .all(|next| next.is_alphanumeric() || "-_".contains(next));
            if whole && line.contains('=') {
                found.push((number, name));
            }
        }
    }
    found
}

fn check_direction(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
    {
        let Some((package, allowed)) = PACKAGES.iter().find(|(folder, _)| *folder == file.folder())
        else {
            continue;
        };
        for (line, name) in dependencies(file) {
            if OURS.contains(&name) && !allowed.contains(&name) {
                let text = format!(
                    "{package} may not depend on {name} (it may: {}): see docs/ARCHITECTURE.md, who imports whom",
                    allowed.join(", ")
                );
                findings.push(Finding::new(&file.path, line, text));
            }
        }
    }
    findings
}

/// Each outside crate stands in the root manifest under a comment of its own.
fn check_reasons(tree: &Tree) -> Vec<Finding> {
    let Some(file) = tree.find("Cargo.toml") else {
        return vec![Finding::new("Cargo.toml", 0, "there is no root manifest")];
    };
    let lines: Vec<&str> = file.text.lines().collect();
    let mut findings = Vec::new();
    for (number, name) in dependencies(file) {
        let above = number
            .checked_sub(2)
            .map_or("", |index| lines[index].trim());
        if !OURS.contains(&name) && !above.starts_with('#') {
            let text = format!("`{name}` has no comment above it: say in one line why it is here");
            findings.push(Finding::new(&file.path, number, text));
        }
    }
    findings
}

/// Members take versions from the root's table, so that there is one place to look.
fn check_versions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree
        .files
        .iter()
        .filter(|file| file.path.ends_with("/Cargo.toml"))
    {
        if file.path.starts_with("tests/fuzz/") {
            continue; // Outside the workspace.
        }
        let lines: Vec<&str> = file.text.lines().collect();
        for (number, name) in dependencies(file) {
            let line = lines[number - 1];
            if !line.contains("workspace = true") && !line.contains("path = ") {
                let text =
                    format!("`{name}` has a version of its own: put it into the root's table");
                findings.push(Finding::new(&file.path, number, text));
            }
        }
    }
    findings
}

#[test]
fn packages_depend_on_each_other_one_way_only() {
    assert_clean(&check_direction(&Tree::of_repository()));
}

#[test]
fn every_outside_crate_has_a_reason() {
    assert_clean(&check_reasons(&Tree::of_repository()));
}

#[test]
fn versions_stand_in_the_root_manifest() {
    assert_clean(&check_versions(&Tree::of_repository()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_against_the_flow_is_found() {
        let found = |path, text| check_direction(&Tree::of(&[(path, text)])).len();
        assert_eq!(
            found(
                "control/Cargo.toml",
                "[dependencies]\nrelay = { path = \"../relay\" }\n"
            ),
            1
        );
        assert_eq!(
            found(
                "bench/Cargo.toml",
                "[dependencies]\nwire.workspace = true\nlibc.workspace = true\n"
            ),
            1
        );
        assert_eq!(
            found(
                "relay/wire/Cargo.toml",
                "[dev-dependencies]\nlink.workspace = true\n"
            ),
            1
        );
        assert_eq!(
            found(
                "relay/Cargo.toml",
                "[dependencies]\nwire.workspace = true\n[package]\ntests = 1\n"
            ),
            0
        );
    }

    #[test]
    fn an_outside_crate_without_a_comment_of_its_own_is_found() {
        let manifest = "[workspace.dependencies]\nwire = { path = \"w\" }\n# Why.\na = \"1\"\nb = \"1\"\n\n[lints]\nc = 1\n";
        let found = check_reasons(&Tree::of(&[("Cargo.toml", manifest)]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].line, 5);
    }

    #[test]
    fn a_version_in_a_member_is_found() {
        let manifest = "[dependencies]\na.workspace = true\nb = { workspace = true }\nc = \"1\"\nd = { path = \"d\" }\n";
        let found = check_versions(&Tree::of(&[("x/Cargo.toml", manifest)]));
        assert_eq!(
            found.iter().map(|finding| finding.line).collect::<Vec<_>>(),
            [4]
        );
    }
}
