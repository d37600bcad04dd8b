//! Links in the pages lead somewhere: to a file of the repository, and to a heading in it.

use crate::tree::{File, Finding, Tree, assert_clean};

/// A link of a Markdown page, as written.
#[derive(Debug, PartialEq, Eq)]
pub struct Link {
    pub line: usize,
    pub target: String,
}

impl Link {
    /// The file it leads to, seen from `file`, without the heading.
    pub fn path(&self, file: &File) -> String {
        let path = self.target.split('#').next().unwrap_or("");
        if path.is_empty() {
            file.path.clone()
        } else {
            resolve(file.folder(), path)
        }
    }

    fn heading(&self) -> Option<&str> {
        self.target.split_once('#').map(|(_, heading)| heading)
    }

    fn leaves_the_repository(&self) -> bool {
        self.target.contains("://") || self.target.starts_with("mailto:")
    }
}

/// `../a/./b` seen from `folder`.
pub fn resolve(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Lines outside fenced code, with what stands in backticks taken out.
fn prose(file: &File) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let outside = line.split('`').step_by(2);
            lines.push((number, outside.collect::<Vec<_>>().join("`")));
        }
    }
    lines
}

/// The links that lead into the repository: `[text](target)`, images too.
pub fn links_of(file: &File) -> Vec<Link> {
    let mut links = Vec::new();
    for (line, text) in prose(file) {
        for part in text.split("](").skip(1) {
            let target = part.split([')', ' ']).next().unwrap_or("").to_string();
            links.push(Link { line, target });
        }
        for attribute in ["src=\"", "href=\""] {
            for part in text.split(attribute).skip(1) {
                let target = part.split('"').next().unwrap_or("").to_string();
                links.push(Link { line, target });
            }
        }
    }
    links.retain(|link| !link.leaves_the_repository());
    links
}

/// The anchors of a page's headings, by the rule that GitHub and others use.
fn anchors_of(file: &File) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    let mut fenced = false;
    for (_, line) in file.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let title = line.trim_start_matches('#');
        if fenced || title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().to_lowercase();
        let kept = kept
            .chars()
            .filter(|next| next.is_alphanumeric() || matches!(next, ' ' | '-' | '_'));
        let anchor: String = kept
            .map(|next| if next == ' ' { '-' } else { next })
            .collect();
        let same = anchors.iter().filter(|other| **other == anchor).count();
        anchors.push(if same == 0 {
            anchor
        } else {
            format!("{anchor}-{same}")
        });
    }
    anchors
}

fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_markdown()) {
        for link in links_of(file) {
            let path = link.path(file);
            if !tree.holds(&path) {
                let text = format!(
                    "the link `{}` leads to no file: {path} is not there",
                    link.target
                );
                findings.push(Finding::new(&file.path, link.line, text));
                continue;
            }
            let Some(heading) = link.heading() else {
                continue;
            };
            let page = tree.find(&path).filter(|page| page.is_markdown());
            if page.is_some_and(|page| !anchors_of(page).iter().any(|anchor| anchor == heading)) {
                let text = format!(
                    "the link `{}` leads to no heading: {path} has none of that name",
                    link.target
                );
                findings.push(Finding::new(&file.path, link.line, text));
            }
        }
    }
    findings
}

#[test]
fn every_link_leads_somewhere() {
    assert_clean(&check(&Tree::of_repository()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_missing_files_and_headings_are_found() {
        let tree = Tree::of(&[
            (
                "README.md",
                "[a](docs/a.md) [b](docs/b.md)\n![x](docs/no.png) [c](docs/a.md#two-words) [d](#here)",
            ),
            (
                "docs/a.md",
                "# Two words\n[up](../README.md) [web](https://example.com/x) [no](a.md#three)",
            ),
        ]);
        let found: Vec<(usize, String)> = check(&tree)
            .into_iter()
            .map(|finding| (finding.line, finding.path))
            .collect();
        let readme = || "README.md".to_string();
        assert_eq!(
            found,
            [
                (1, readme()),
                (2, readme()),
                (2, readme()),
                (2, "docs/a.md".to_string())
            ]
        );
    }

    #[test]
    fn code_is_no_link() {
        let tree = Tree::of(&[("README.md", "`a[0](b)`\n```\n[x](y.md)\n```\n")]);
        assert!(check(&tree).is_empty());
    }

    #[test]
    fn anchors_follow_the_headings() {
        let file = File {
            path: "a.md".into(),
            text: "# One: `two`, three!\n## Same\n## Same\n```\n# code\n```\n#no\n".into(),
        };
        assert_eq!(anchors_of(&file), ["one-two-three", "same", "same-1"]);
    }

    #[test]
    fn a_link_to_a_folder_leads_somewhere() {
        let tree = Tree::of(&[
            ("README.md", "[d](docs/decisions)"),
            ("docs/decisions/1.md", ""),
        ]);
        assert!(check(&tree).is_empty());
    }
}
