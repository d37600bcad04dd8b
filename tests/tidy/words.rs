//! One noun for one thing. `docs/words.md` lists them; what its column "not" names is not used as a
//! name in the code.

use crate::rust::tokens;
use crate::tree::{File, Finding, Tree, assert_clean};

const PAGE: &str = "docs/words.md";

/// A line of the table: the word we use, the words we do not, and where that holds (path prefixes).
#[derive(Debug, PartialEq, Eq)]
struct Word {
    word: String,
    not: Vec<String>,
    places: Vec<String>,
}

/// Reads tables of the form `| word | meaning | not | where |`; what counts in the last two columns
/// stands in backticks.
fn words_of(page: &File) -> Vec<Word> {
    let mut words = Vec::new();
    for (_, line) in page.lines() {
        let cells: Vec<&str> = line
            .trim()
            .trim_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        let [word, _, not, places] = cells[..] else {
            continue;
        };
        let quoted = |cell: &str| {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_string)
                .collect::<Vec<_>>()
        };
        if !quoted(not).is_empty() {
            words.push(Word {
                word: word.to_string(),
                not: quoted(not),
                places: quoted(places),
            });
        }
    }
    words
}

/// `SessionTable` and `session_table` are `session` and `table`.
fn parts(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut before = '_';
    for next in name.chars() {
        if next != '_' && (before == '_' || next.is_uppercase() && !before.is_uppercase()) {
            parts.push(String::new());
        }
        if next != '_' {
            parts
                .last_mut()
                .expect("pushed above")
                .extend(next.to_lowercase());
        }
        before = next;
    }
    parts
}

fn named(name: &str, word: &str) -> bool {
    let (parts, word) = (parts(name), parts(word));
    parts.windows(word.len()).any(|window| window == word)
}

/// Names that a file gives to things of its own: behind `fn`, `struct`, `enum` and the like, and
/// fields and arguments, which stand before a single colon.
fn defined(file: &File) -> Vec<(usize, &str)> {
    const KEYWORDS: &[&str] = &[
        "fn", "struct", "enum", "trait", "type", "const", "static", "mod", "let", "mut", "class",
        "function", "var",
    ];
    let tokens = tokens(&file.text);
    let mut found = Vec::new();
    for (at, token) in tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| token.is_word())
    {
        let behind = at > 0 && KEYWORDS.contains(&tokens[at - 1].text);
        let before = tokens.get(at + 1).is_some_and(|next| next.text == ":");
        if behind || before {
            found.push((token.line, token.text));
        }
    }
    found
}

fn check(tree: &Tree) -> Vec<Finding> {
    let Some(page) = tree.find(PAGE) else {
        return vec![Finding::new(PAGE, 0, "the list of words is missing")];
    };
    let words = words_of(page);
    let mut findings = Vec::new();
    if words.is_empty() {
        findings.push(Finding::new(
            PAGE,
            0,
            "no line of the form `| word | meaning | not | where |` is left",
        ));
    }
    for file in tree
        .files
        .iter()
        .filter(|file| file.is_rust() || file.is_javascript())
    {
        let here = |word: &&Word| {
            word.places
                .iter()
                .any(|place| file.path.starts_with(place.as_str()))
        };
        let words: Vec<&Word> = words.iter().filter(here).collect();
        if words.is_empty() {
            continue;
        }
        for (line, name) in defined(file) {
            for word in &words {
                if let Some(not) = word.not.iter().find(|not| named(name, not)) {
                    let text = format!(
                        "`{name}`: we say \"{}\", not \"{not}\" (docs/words.md)",
                        word.word
                    );
                    findings.push(Finding::new(&file.path, line, text));
                }
            }
        }
    }
    findings
}

#[test]
fn one_noun_is_used_for_one_thing() {
    assert_clean(&check(&Tree::of_repository()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_from_the_page() {
        let page = File {
            path: PAGE.into(),
            text: "| word | meaning | not | where |\n|---|---|---|---|\n\
                   | leg | one side | `side`, `half_session` | `relay/` |\n| chunk | of MSRP | | |\n"
                .into(),
        };
        let word = Word {
            word: "leg".into(),
            not: vec!["side".into(), "half_session".into()],
            places: vec!["relay/".into()],
        };
        assert_eq!(words_of(&page), [word]);
    }

    #[test]
    fn a_forbidden_word_is_found_in_a_name_and_only_there() {
        let check = |path, text| {
            let page = "| leg | x | `side`, `half_session` | `relay/` |\n";
            check(&Tree::of(&[(PAGE, page), (path, text)])).len()
        };
        assert_eq!(
            check("relay/src/a.rs", "struct LegSide; fn far_side() {}"),
            2
        );
        assert_eq!(check("relay/src/a.rs", "enum HalfSession {}"), 1);
        assert_eq!(check("relay/src/a.rs", "struct A { side: u8 }"), 1);
        assert_eq!(
            check(
                "relay/src/a.rs",
                "// the side\nfn aside() { x.side(); b::side::c }"
            ),
            0
        );
        assert_eq!(check("control/src/a.rs", "struct Side;"), 0);
    }

    #[test]
    fn names_are_parted_at_underscores_and_capitals() {
        assert_eq!(parts("SessionTable"), ["session", "table"]);
        assert_eq!(parts("FLOW_BYTES"), ["flow", "bytes"]);
        assert_eq!(parts("open_tcp2"), ["open", "tcp2"]);
    }
}
