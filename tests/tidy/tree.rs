//! The files of the repository, read once, and what a rule finds in them.

use std::fmt;
use std::path::{Path, PathBuf};

/// One text file. `path` is relative to the repository, with `/` between its parts.
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    /// The part behind the last dot of the name, or nothing.
    pub fn extension(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or("");
        name.rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    pub fn is_rust(&self) -> bool {
        self.extension() == "rs"
    }

    pub fn is_javascript(&self) -> bool {
        matches!(self.extension(), "js" | "mjs")
    }

    pub fn is_markdown(&self) -> bool {
        self.extension() == "md"
    }

    /// The folder the file lies in; empty at the top.
    pub fn folder(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Lines with their number, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }
}

/// All text files, and the paths of those that are not text.
pub struct Tree {
    pub files: Vec<File>,
    pub binaries: Vec<String>,
}

impl Tree {
    /// This repository as it lies on the disk: what is not committed yet counts too. Left out are
    /// hidden folders, `node_modules`, and whatever cargo built.
    pub fn of_repository() -> Tree {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("tests/ lies in the root");
        let mut tree = Tree {
            files: Vec::new(),
            binaries: Vec::new(),
        };
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for path in entries(&folder) {
                if path.is_dir() {
                    if !skipped(&path) {
                        folders.push(path);
                    }
                } else if path != root.join(".git") {
                    // In a worktree of git's, `.git` is a file and names a folder of the machine.
                    tree.add(root, &path);
                }
            }
        }
        tree.files.sort_by(|one, other| one.path.cmp(&other.path));
        tree.binaries.sort();
        tree
    }

    /// A made-up tree, to show a rule at work.
    pub fn of(files: &[(&str, &str)]) -> Tree {
        let file = |(path, text): &(&str, &str)| File {
            path: path.to_string(),
            text: text.to_string(),
        };
        Tree {
            files: files.iter().map(file).collect(),
            binaries: Vec::new(),
        }
    }

    pub fn find(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether `path` names a file, or a folder with a file in it.
    pub fn holds(&self, path: &str) -> bool {
        let below = format!("{path}/");
        let mut paths = self
            .files
            .iter()
            .map(|file| &file.path)
            .chain(&self.binaries);
        path.is_empty() || paths.any(|file| file == path || file.starts_with(&below))
    }

    fn add(&mut self, root: &Path, path: &Path) {
        let relative = path.strip_prefix(root).expect("found below the root");
        let relative = relative.to_string_lossy().replace('\\', "/");
        // A file may be gone again between listing and reading, when an editor swaps it.
        let Ok(bytes) = std::fs::read(path) else {
            return;
        };
        match String::from_utf8(bytes) {
            Ok(text) => self.files.push(File {
                path: relative,
                text,
            }),
            Err(_) => self.binaries.push(relative),
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect()
}

fn skipped(folder: &Path) -> bool {
    let name = folder
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let hidden = name.starts_with('.') && name != ".ci";
    hidden || name == "node_modules" || name == "target" || folder.join("CACHEDIR.TAG").exists()
}

/// Something a rule does not allow.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub path: String,
    /// From 1; 0 when the whole file is meant.
    pub line: usize,
    /// What was found, and what to do about it.
    pub text: String,
}

impl Finding {
    pub fn new(path: &str, line: usize, text: impl Into<String>) -> Finding {
        Finding {
            path: path.to_string(),
            line,
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.path, self.text),
            line => write!(formatter, "{}:{line}: {}", self.path, self.text),
        }
    }
}

/// Fails with one line per finding.
#[track_caller]
pub fn assert_clean(findings: &[Finding]) {
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert!(
        lines.is_empty(),
        "{} found:\n{}\n",
        lines.len(),
        lines.join("\n")
    );
}

#[test]
fn the_repository_has_its_manifest_and_this_file() {
    let tree = Tree::of_repository();
    assert!(tree.find("Cargo.toml").is_some());
    assert!(tree.find("tests/tidy/tree.rs").is_some());
    assert!(tree.holds("tests/tidy") && !tree.holds("tests/tid"));
    assert!(!tree.holds("target"));
}

#[test]
fn a_finding_names_file_and_line() {
    assert_eq!(Finding::new("a.rs", 3, "no").to_string(), "a.rs:3: no");
    assert_eq!(Finding::new("a.rs", 0, "no").to_string(), "a.rs: no");
}

#[test]
#[should_panic(expected = "a.rs:3: no")]
fn findings_fail_the_test() {
    assert_clean(&[Finding::new("a.rs", 3, "no")]);
}
