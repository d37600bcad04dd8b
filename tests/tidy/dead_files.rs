//! Nothing lies about unused: every Rust file is a module of something, every file of the SDK is
//! imported, every page of `docs` can be reached from the README.

use std::collections::HashSet;

use crate::links::{links_of, resolve};
use crate::rust::tokens;
use crate::tree::{File, Finding, Tree, assert_clean};

/// Files that cargo, or an explicit `path` in a manifest, starts from.
fn rust_roots(tree: &Tree) -> Vec<String> {
    let mut roots = Vec::new();
    for manifest in tree
        .files
        .iter()
        .filter(|file| file.path.ends_with("Cargo.toml"))
    {
        let folder = manifest.folder();
        let below = |path: &str| {
            if folder.is_empty() {
                path.to_string()
            } else {
                format!("{folder}/{path}")
            }
        };
        roots.extend(["src/lib.rs", "src/main.rs", "build.rs"].map(below));
        let sections = ["src/bin/", "tests/", "benches/", "examples/"].map(below);
        for file in tree.files.iter().filter(|file| file.is_rust()) {
            let Some(rest) = sections
                .iter()
                .find_map(|section| file.path.strip_prefix(section.as_str()))
            else {
                continue;
            };
            if !rest.contains('/') || rest.ends_with("/main.rs") && rest.matches('/').count() == 1 {
                roots.push(file.path.clone());
            }
        }
        for line in manifest.text.lines() {
            if let Some(path) = line
                .trim()
                .strip_prefix("path = \"")
                .and_then(|rest| rest.strip_suffix('"'))
            {
                roots.push(below(path));
            }
        }
    }
    roots
}

/// The files that the `mod` lines of `file` lead to. Both places a module may stand in are given.
fn modules_of(file: &File) -> Vec<String> {
    let name = file
        .path
        .rsplit('/')
        .next()
        .unwrap_or("")
        .trim_end_matches(".rs");
    let folder = file.folder();
    let own = if matches!(name, "mod" | "lib" | "main" | "build") {
        folder.to_string()
    } else {
        format!("{folder}/{name}")
    };
    let mut found = Vec::new();
    for (_, line) in file.lines() {
        if let Some(path) = line
            .trim()
            .strip_prefix("#[path = \"")
            .and_then(|rest| rest.strip_suffix("\"]"))
        {
            found.push(resolve(folder, path));
        }
    }
    for three in tokens(&file.text).windows(3) {
        if three[0].text == "mod" && three[2].text == ";" {
            // A root of another name (`[[test]] path`) has its modules beside it.
            for base in [own.as_str(), folder] {
                found.push(format!("{base}/{}.rs", three[1].text));
                found.push(format!("{base}/{}/mod.rs", three[1].text));
            }
        }
    }
    found
}

fn reach(roots: Vec<String>, next: impl Fn(&str) -> Vec<String>) -> HashSet<String> {
    let mut reached = HashSet::new();
    let mut open = roots;
    while let Some(path) = open.pop() {
        if reached.insert(path.clone()) {
            open.extend(next(&path));
        }
    }
    reached
}

fn check_rust(tree: &Tree) -> Vec<Finding> {
    let reached = reach(rust_roots(tree), |path| {
        tree.find(path).map(modules_of).unwrap_or_default()
    });
    let dead = |file: &&File| file.is_rust() && !reached.contains(&file.path);
    let text = "no `mod` line leads here: add one, or delete the file";
    tree.files
        .iter()
        .filter(dead)
        .map(|file| Finding::new(&file.path, 0, text))
        .collect()
}

const SDK: &str = "control/sdk/src/";

/// The relative paths a JavaScript file imports or exports from.
fn imports_of(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for (start, _) in file.text.match_indices("./") {
        let Some(quote @ ('\'' | '"' | '`')) =
            file.text[..start].trim_end_matches('.').chars().last()
        else {
            continue;
        };
        let start = file.text[..start]
            .rfind(quote)
            .map_or(start, |open| open + 1);
        if let Some(bytes) = file.text[start..].find(quote) {
            found.push(resolve(file.folder(), &file.text[start..start + bytes]));
        }
    }
    found
}

fn check_sdk(tree: &Tree) -> Vec<Finding> {
    let in_sdk = |file: &&File| file.path.starts_with(SDK) && file.is_javascript();
    // A file starts something when the package names it, or when control does, which serves it.
    let starters: Vec<&File> = tree
        .files
        .iter()
        .filter(|file| {
            file.path == "control/sdk/package.json" || file.path.starts_with("control/src/")
        })
        .collect();
    let roots = tree
        .files
        .iter()
        .filter(in_sdk)
        .map(|file| file.path.clone())
        .filter(|path| {
            let named = format!("src/{}", &path[SDK.len()..]);
            let served = format!("\"{}\"", &path[SDK.len()..]);
            starters
                .iter()
                .any(|file| file.text.contains(&named) || file.text.contains(&served))
        });
    let reached = reach(roots.collect(), |path| {
        tree.find(path).map(imports_of).unwrap_or_default()
    });
    let dead = |file: &&File| in_sdk(file) && !reached.contains(&file.path);
    let text =
        "nothing that package.json or control names imports this file: import it, or delete it";
    tree.files
        .iter()
        .filter(dead)
        .map(|file| Finding::new(&file.path, 0, text))
        .collect()
}

fn check_docs(tree: &Tree) -> Vec<Finding> {
    let next = |path: &str| match tree.find(path) {
        Some(file) if file.is_markdown() => links_of(file)
            .into_iter()
            .map(|link| link.path(file))
            .collect(),
        _ => Vec::new(),
    };
    let reached = reach(vec!["README.md".to_string()], next);
    let names = tree
        .files
        .iter()
        .map(|file| &file.path)
        .chain(&tree.binaries);
    let dead = names.filter(|path| path.starts_with("docs/") && !reached.contains(*path));
    let text =
        "no link leads here from README.md: link it from a page that is linked, or delete it";
    dead.map(|path| Finding::new(path, 0, text)).collect()
}

#[test]
fn every_rust_file_is_a_module_of_something() {
    assert_clean(&check_rust(&Tree::of_repository()));
}

#[test]
fn every_file_of_the_sdk_is_imported() {
    assert_clean(&check_sdk(&Tree::of_repository()));
}

#[test]
fn every_page_of_docs_can_be_reached_from_the_readme() {
    assert_clean(&check_docs(&Tree::of_repository()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(findings: Vec<Finding>) -> Vec<String> {
        findings.into_iter().map(|finding| finding.path).collect()
    }

    #[test]
    fn a_rust_file_without_a_mod_line_is_dead() {
        let tree = Tree::of(&[
            (
                "a/Cargo.toml",
                "[[test]]\nname = \"t\"\npath = \"t/all.rs\"\n",
            ),
            ("a/src/lib.rs", "mod live; mod folder; // mod dead;"),
            ("a/src/live.rs", "mod inner;"),
            ("a/src/live/inner.rs", ""),
            ("a/src/folder/mod.rs", "#[path = \"odd.rs\"]\nmod other;"),
            ("a/src/folder/odd.rs", ""),
            ("a/src/dead.rs", ""),
            ("a/src/folder/inner.rs", ""),
            ("a/t/all.rs", "mod part;"),
            ("a/t/part.rs", ""),
            ("a/tests/whole.rs", ""),
        ]);
        assert_eq!(
            paths(check_rust(&tree)),
            ["a/src/dead.rs", "a/src/folder/inner.rs"]
        );
    }

    #[test]
    fn a_file_of_the_sdk_that_nobody_imports_is_dead() {
        let tree = Tree::of(&[
            ("control/sdk/package.json", "{\"main\": \"./src/index.js\"}"),
            (
                "control/sdk/src/index.js",
                "export { Chat } from './chat.js';\nimport \"./msrp/all.js\";",
            ),
            ("control/sdk/src/chat.js", "// nothing"),
            (
                "control/sdk/src/msrp/all.js",
                "await import('../errors.js');",
            ),
            ("control/sdk/src/errors.js", ""),
            ("control/sdk/src/dead.js", "import './chat.js';"),
        ]);
        assert_eq!(paths(check_sdk(&tree)), ["control/sdk/src/dead.js"]);
    }

    #[test]
    fn a_page_that_no_page_links_is_dead() {
        let tree = Tree::of(&[
            ("README.md", "See [the design](docs/A.md)."),
            ("docs/A.md", "and [more](b/c.md#there)"),
            ("docs/b/c.md", ""),
            ("docs/dead.md", "[back](A.md)"),
        ]);
        assert_eq!(paths(check_docs(&tree)), ["docs/dead.md"]);
    }
}
