//! Reads Rust just far enough for the rules: tokens without comments and literals, and which module
//! each stands in.

use crate::tree::File;

/// A word, or one mark of punctuation (`::` is one mark).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'a> {
    /// From 1.
    pub line: usize,
    pub text: &'a str,
}

impl Token<'_> {
    /// A name or a keyword.
    pub fn is_word(&self) -> bool {
        self.text
            .starts_with(|first: char| first == '_' || first.is_alphabetic())
    }
}

/// The tokens of a file. Comments, strings, characters and lifetimes are left out.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut reader = Reader {
        text,
        at: 0,
        line: 1,
        tokens: Vec::new(),
    };
    while reader.at < text.len() {
        reader.step();
    }
    reader.tokens
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn step(&mut self) {
        let rest = self.rest();
        let first = rest.chars().next().expect("not at the end");
        if rest.starts_with("//") {
            self.skip(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.skip(block_comment(rest));
        } else if let Some(bytes) = string(rest) {
            self.skip(bytes);
        } else if first == '\'' {
            self.skip(character_or_lifetime(rest));
        } else if first == '_' || first.is_alphanumeric() {
            let more = |next: char| next == '_' || next.is_alphanumeric();
            let bytes = rest.find(|next| !more(next)).unwrap_or(rest.len());
            self.tokens.push(Token {
                line: self.line,
                text: &rest[..bytes],
            });
            self.skip(bytes);
        } else {
            let bytes = if rest.starts_with("::") {
                2
            } else {
                first.len_utf8()
            };
            if !first.is_whitespace() {
                self.tokens.push(Token {
                    line: self.line,
                    text: &rest[..bytes],
                });
            }
            self.skip(bytes);
        }
    }

    fn skip(&mut self, bytes: usize) {
        self.line += self.rest()[..bytes].matches('\n').count();
        self.at += bytes;
    }
}

/// The length of a comment that may hold others.
fn block_comment(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0);
    while at < bytes.len() {
        match &bytes[at..(at + 2).min(bytes.len())] {
            b"/*" => (at, depth) = (at + 2, depth + 1),
            b"*/" => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of a string literal of any kind, when one begins here.
fn string(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| {
            rest.starts_with('"')
                || prefix.ends_with('r') && rest.trim_start_matches('#').starts_with('"')
        })
    })?;
    let rest = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        if hashes == 0 && !rest.starts_with('"') {
            return None;
        }
        let close = format!("\"{}", "#".repeat(hashes));
        let body = &rest[hashes + 1..];
        let end = body
            .find(&close)
            .map_or(body.len(), |end| end + close.len());
        return Some(prefix.len() + hashes + 1 + end);
    }
    let mut escaped = false;
    for (index, next) in rest.char_indices().skip(1) {
        match next {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(prefix.len() + index + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// The length of `'a'`, `'\n'` or `'static`.
fn character_or_lifetime(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    let Some((_, first)) = characters.next() else {
        return 1;
    };
    if first == '\\' {
        characters.next();
        return characters
            .find(|(_, next)| *next == '\'')
            .map_or(text.len(), |(index, _)| index + 1);
    }
    match characters.next() {
        Some((index, '\'')) => index + 1,
        _ => 1, // A lifetime: its name follows as a word, which harms nobody.
    }
}

/// The module a source file is, seen from its crate's root: `a/b.rs` is `["a", "b"]`, `lib.rs` is
/// empty. `source` is the folder of the root, such as `relay/src`.
pub fn module_of(file: &File, source: &str) -> Option<Vec<String>> {
    let inner = file
        .path
        .strip_prefix(source)?
        .strip_prefix('/')?
        .strip_suffix(".rs")?;
    let mut parts: Vec<String> = inner.split('/').map(str::to_string).collect();
    match parts.last().map(String::as_str) {
        Some("mod") => drop(parts.pop()),
        Some("lib") if parts.len() == 1 => parts.clear(),
        _ => {}
    }
    Some(parts)
}

/// A path in the code whose first part below a crate's root is known.
#[derive(Debug, PartialEq, Eq)]
pub struct Use<'a> {
    pub line: usize,
    /// Another crate of ours, or nothing when the path stays in its own.
    pub from: &'a str,
    /// What is named at that crate's root; `*` for a glob.
    pub target: &'a str,
}

/// Every path in `tokens` that leads to a module at the root of this crate, be it by `crate`, by
/// `super` or by the crate's own `name`, and every path that begins with one of `crates`.
pub fn uses<'a>(
    tokens: &[Token<'a>],
    module: &[String],
    name: &str,
    crates: &[&str],
) -> Vec<Use<'a>> {
    let mut found = Vec::new();
    let mut depth = module.len();
    let mut braces: Vec<bool> = Vec::new();
    for at in 0..tokens.len() {
        let token = tokens[at];
        let text = |offset: usize| tokens.get(at + offset).map_or("", |token| token.text);
        let begins = at == 0 || tokens[at - 1].text != "::";
        match token.text {
            "{" => {
                let inline = at >= 2 && tokens[at - 2].text == "mod" && tokens[at - 1].is_word();
                depth += usize::from(inline);
                braces.push(inline);
            }
            "}" => depth -= usize::from(braces.pop().unwrap_or(false)),
            "super" if begins && text(1) == "::" => {
                let climbs = (0..).take_while(|step| text(2 * step) == "super").count();
                if climbs >= depth {
                    first_parts(tokens, at + 2 * climbs, "", &mut found);
                }
            }
            "crate" if begins && text(1) == "::" => first_parts(tokens, at + 2, "", &mut found),
            word if begins && word == name && text(1) == "::" => {
                first_parts(tokens, at + 2, "", &mut found);
            }
            word if begins && crates.contains(&word) && text(1) == "::" => {
                first_parts(tokens, at + 2, word, &mut found);
            }
            _ => {}
        }
    }
    found
}

/// The first parts of the path at `at`, which may be one name, `*`, or a group in braces.
fn first_parts<'a>(tokens: &[Token<'a>], at: usize, from: &'a str, found: &mut Vec<Use<'a>>) {
    let Some(first) = tokens.get(at) else { return };
    if first.text != "{" {
        found.push(Use {
            line: first.line,
            from,
            target: first.text,
        });
        return;
    }
    let mut depth = 0;
    for pair in tokens[at..].windows(2) {
        match pair[0].text {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
        if depth == 1 && matches!(pair[0].text, "{" | ",") && pair[1].text != "}" {
            found.push(Use {
                line: pair[1].line,
                from,
                target: pair[1].text,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    fn targets<'a>(text: &'a str, module: &[&str]) -> Vec<&'a str> {
        let module: Vec<String> = module.iter().map(|part| part.to_string()).collect();
        let tokens = tokens(text);
        let named = |found: &Use<'a>| {
            if found.from.is_empty() {
                found.target
            } else {
                found.from
            }
        };
        uses(&tokens, &module, "relay", &["wire", "link"])
            .iter()
            .map(named)
            .collect()
    }

    #[test]
    fn comments_and_literals_are_no_tokens() {
        assert_eq!(words("a // crate::b\nc"), ["a", "c"]);
        assert_eq!(words("a /* x /* y */ z */ c"), ["a", "c"]);
        assert_eq!(
            words(r##"f("x \" y", r#"q " q"#, b"z", 'c', '\'', '\u{1F600}')"##).join(""),
            "f(,,,,,)"
        );
        assert_eq!(
            words("raw(brother, r)"),
            ["raw", "(", "brother", ",", "r", ")"]
        );
    }

    #[test]
    fn a_lifetime_does_not_swallow_the_code_behind_it() {
        assert_eq!(
            words("fn f<'a>(x: &'a u8) {}").join(" "),
            "fn f < a > ( x : & a u8 ) { }"
        );
    }

    #[test]
    fn lines_are_counted_through_strings_and_comments() {
        let tokens = tokens("\"one\ntwo\" /* \n */ here");
        assert_eq!(
            tokens,
            [Token {
                line: 3,
                text: "here"
            }]
        );
    }

    #[test]
    fn the_module_of_a_file_follows_its_path() {
        let module = |path: &str| {
            module_of(
                &File {
                    path: path.into(),
                    text: String::new(),
                },
                "relay/src",
            )
            .map(|module| module.join("::"))
        };
        assert_eq!(module("relay/src/lib.rs").as_deref(), Some(""));
        assert_eq!(module("relay/src/main.rs").as_deref(), Some("main"));
        assert_eq!(module("relay/src/ring/mod.rs").as_deref(), Some("ring"));
        assert_eq!(
            module("relay/src/ring/uring.rs").as_deref(),
            Some("ring::uring")
        );
        assert_eq!(module("control/src/lib.rs"), None);
    }

    #[test]
    fn a_path_from_the_root_is_found_wherever_it_stands() {
        assert_eq!(targets("use crate::shard::Shard;", &["ring"]), ["shard"]);
        assert_eq!(
            targets("fn f() -> crate::limits::Limit { todo }", &["ring"]),
            ["limits"]
        );
        assert_eq!(
            targets("use crate::{a::{x, y}, b, c as d};", &["ring"]),
            ["a", "b", "c"]
        );
        assert_eq!(
            targets("use relay::config::Settings;", &["main"]),
            ["config"]
        );
        assert_eq!(
            targets("use wire::msrp; let x = link::Leg::A;", &["ring"]),
            ["wire", "link"]
        );
    }

    #[test]
    fn super_is_followed_only_when_it_climbs_to_the_root() {
        assert_eq!(targets("use super::shard;", &["ring"]), ["shard"]);
        assert_eq!(targets("use super::token;", &["ring", "uring"]), [""; 0]);
        assert_eq!(
            targets("use super::super::shard;", &["ring", "uring"]),
            ["shard"]
        );
        assert_eq!(
            targets("mod tests { use super::*; } use super::shard;", &["ring"]),
            ["shard"]
        );
        assert_eq!(
            targets(
                "mod tests { use super::super::{shard, session}; }",
                &["ring"]
            ),
            ["shard", "session"]
        );
    }
}
