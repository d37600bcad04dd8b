//! A file is about one thing, and a reader can hold it. Past the limit, ask which two things it has
//! become and part them there; what has a reason to be longer is listed with it.

use crate::tree::{Finding, Tree, assert_clean};

const LINES_MAX: usize = 700;

/// Files over the limit, each with its reason.
const LONGER: &[(&str, &str)] = &[(
    "control/sdk/src/wsc.global.js",
    "made of the modules beside it by build/classic.js, which `npm test` checks",
)];

fn check(tree: &Tree, longer: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        let lines = file.text.lines().count();
        let listed = longer.iter().any(|(path, _)| *path == file.path);
        let code =
            file.is_rust() || file.is_javascript() || matches!(file.extension(), "rhai" | "sh");
        if code && lines > LINES_MAX && !listed {
            let text = format!(
                "{lines} lines, more than {LINES_MAX}: part it where it has become two things, or list it \
                 in tests/tidy/sizes.rs with the reason"
            );
            findings.push(Finding::new(&file.path, 0, text));
        }
        if listed && lines <= LINES_MAX {
            let text = "listed in tests/tidy/sizes.rs as too long, and is not any more: take it off the list";
            findings.push(Finding::new(&file.path, 0, text));
        }
    }
    findings
}

#[test]
fn files_are_of_a_size_one_can_read() {
    assert_clean(&check(&Tree::of_repository(), LONGER));
}

#[test]
fn a_long_file_is_found_unless_it_is_listed() {
    let long = "x\n".repeat(LINES_MAX + 1);
    let tree = Tree::of(&[
        ("a.rs", &long),
        ("b.js", &long),
        ("c.md", &long),
        ("d.rs", "x\n"),
    ]);
    let found = |longer| {
        check(&tree, longer)
            .into_iter()
            .map(|finding| finding.path)
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&[]), ["a.rs", "b.js"]);
    assert_eq!(found(&[("a.rs", "why"), ("d.rs", "why")]), ["b.js", "d.rs"]);
}
