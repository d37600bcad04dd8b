//! Holds `docs/conformance.md` to the tests: what it names is there, and what is there it names.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// How many rules each subject has.
const RULES: &[(char, usize)] = &[
    ('A', 7),
    ('B', 19),
    ('C', 13),
    ('D', 13),
    ('E', 8),
    ('F', 13),
    ('G', 10),
    ('H', 6),
    ('I', 10),
    ('J', 7),
    ('K', 16),
    ('L', 18),
    ('M', 10),
    ('N', 8),
    ('O', 16),
    ('P', 10),
    ('Q', 5),
    ('R', 13),
    ('S', 7),
    ('T', 10),
    ('U', 10),
    ('V', 5),
    ('W', 8),
    ('X', 84),
];

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ lies in the root").to_owned()
}

/// Rules and what stands in their last column, in the order of the page.
fn rows() -> Vec<(String, String)> {
    let page = std::fs::read_to_string(root().join("docs/conformance.md")).expect("the page");
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        match cells[..] {
            [rule, _, test] if rule != "rule" && !rule.starts_with('-') => {
                Some((rule.to_owned(), test.to_owned()))
            }
            _ => None,
        }
    };
    let in_table = |line: &&str| line.starts_with('|');
    page.lines().filter(in_table).filter_map(row).collect()
}

/// The names in backticks.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The tests of a folder and those below, by name.
fn tests_in(folder: &Path) -> HashSet<String> {
    let mut found = HashSet::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(tests_in(&path));
            continue;
        }
        if path.extension().is_none_or(|ending| ending != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("source text");
        for after in text.split("test]\n").skip(1) {
            let after = after.trim_start();
            let after = after.strip_prefix("async ").unwrap_or(after);
            let name = after.strip_prefix("fn ");
            let name = name.and_then(|rest| rest.split('(').next());
            found.extend(name.map(str::to_owned));
        }
    }
    found
}

/// The titles of the SDK's tests and of those in a browser, and of the cases of the packages' tests.
fn titles_in(folder: &Path) -> HashSet<String> {
    let mut found = HashSet::new();
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let start = match &*name {
            "node_modules" => continue,
            "test.json" => "\"name\": \"",
            name if name.ends_with(".test.js") => "\ntest(\"",
            name if name.ends_with(".test.mjs") => "\ntest('",
            _ if path.is_dir() => {
                found.extend(titles_in(&path));
                continue;
            }
            _ => continue,
        };
        let text = std::fs::read_to_string(&path).expect("source text");
        let titles = text
            .split(start)
            .skip(1)
            .filter_map(|rest| rest.split(&start[start.len() - 1..]).next());
        found.extend(titles.map(str::to_owned));
    }
    found
}

/// `K` and 12 of `k12_…`.
fn rule_of(test: &str) -> Option<String> {
    let (rule, _) = test.split_once('_')?;
    let number = rule.get(1..)?;
    let is_rule = rule.starts_with(|letter: char| letter.is_ascii_lowercase())
        && !number.is_empty()
        && number.chars().all(|digit| digit.is_ascii_digit());
    is_rule.then(|| rule.to_ascii_uppercase())
}

#[test]
fn every_rule_stands_in_the_table_once_and_in_order() {
    let expected: Vec<String> = RULES
        .iter()
        .flat_map(|(subject, rules)| (1..=*rules).map(move |rule| format!("{subject}{rule}")))
        .collect();
    let found: Vec<String> = rows().into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_test_that_the_table_names_exists() {
    let folders = ["tests/conformance", "tests/endtoend", "control/src"];
    let tests: HashSet<String> = (folders.iter())
        .flat_map(|folder| tests_in(&root().join(folder)))
        .chain(titles_in(&root().join("control/sdk/test")))
        .chain(titles_in(&root().join("control/packages")))
        .chain(titles_in(&root().join("tests/endtoend/browser")))
        .collect();
    for (rule, cell) in rows() {
        if cell == "—" {
            continue;
        }
        assert!(
            cell.starts_with('`'),
            "{rule}: `{cell}` is no list of tests"
        );
        for name in names(&cell) {
            assert!(tests.contains(name), "{rule}: there is no test `{name}`");
        }
    }
}

#[test]
fn every_test_of_a_rule_stands_in_the_rules_row() {
    let rows: HashMap<String, String> = rows().into_iter().collect();
    let mut tests = tests_in(&root().join("tests/conformance"));
    tests.extend(tests_in(&root().join("tests/endtoend/jsonrtc")));
    for test in tests {
        if let Some(rule) = rule_of(&test) {
            let cell = rows
                .get(&rule)
                .unwrap_or_else(|| panic!("{test}: no rule {rule}"));
            assert!(
                names(cell).any(|name| name == test),
                "{rule} does not name {test}"
            );
        }
    }
}
