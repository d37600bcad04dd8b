//! Packages: a folder each, with one script and its test.
//!
//! `NAME/NAME.rhai` is the script, `NAME/test.json` its test, `library.rhai` and `library_*.rhai` beside the folders are
//! what all scripts share. What ships is inside the program; an operator's folder replaces packages or adds some.
//! Pure: who reads the operator's folder gives the files here. Not here: what is in a script (`script`).

use std::fmt;

/// The name of the library among the packages; further parts of it are called `library_…`.
pub const LIBRARY: &str = "library";
/// Characters of a package's name.
pub const NAME_CHARS_MAX: usize = 64;
/// How deep below an operator's folder files count: `NAME/NAME.rhai`.
pub const FOLDER_DEPTH: usize = 2;

const TEST: &str = "test.json";
const SCRIPT: &str = ".rhai";

/// One package as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name, which is a frame's `package_type`: 1 to 64 of `a`-`z`, `0`-`9`, `_`.
    pub name: String,
    /// The script's name for error messages, such as `chat/chat.rhai`.
    pub file: String,
    /// The script.
    pub text: String,
    /// The test's name for error messages, and its JSON text.
    pub test: Option<(String, String)>,
}

/// Why an operator's files are not a set of packages. All of them are the operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadFolder {
    /// The name is not one a package can have.
    Name {
        /// The file in question.
        file: String,
    },
    /// A script whose name is not that of its folder.
    Misplaced {
        /// The file in question.
        file: String,
    },
    /// A test without its script.
    TestAlone {
        /// The file in question.
        file: String,
    },
}

impl fmt::Display for BadFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadFolder::Name { file } => write!(
                f,
                "{file}: a package's name has 1 to {NAME_CHARS_MAX} of a-z, 0-9 and _"
            ),
            BadFolder::Misplaced { file } => write!(
                f,
                "{file}: a script has its folder's name, as in chat/chat.rhai"
            ),
            BadFolder::TestAlone { file } => {
                write!(f, "{file}: there is no script beside this test")
            }
        }
    }
}

impl std::error::Error for BadFolder {}

/// The packages inside the program, the library first.
pub fn shipped() -> Vec<Package> {
    let package = |name: &str, text: &str, test: Option<&str>| {
        let file = if is_library(name) {
            format!("{name}{SCRIPT}")
        } else {
            format!("{name}/{name}{SCRIPT}")
        };
        Package {
            name: name.to_string(),
            file,
            text: text.to_string(),
            test: test.map(|text| (format!("{name}/{TEST}"), text.to_string())),
        }
    };
    vec![
        package(LIBRARY, include_str!("../../packages/library.rhai"), None),
        package(
            "library_services",
            include_str!("../../packages/library_services.rhai"),
            None,
        ),
        package(
            "register",
            include_str!("../../packages/register/register.rhai"),
            Some(include_str!("../../packages/register/test.json")),
        ),
        package(
            "capability",
            include_str!("../../packages/capability/capability.rhai"),
            Some(include_str!("../../packages/capability/test.json")),
        ),
        package(
            "messaging",
            include_str!("../../packages/messaging/messaging.rhai"),
            Some(include_str!("../../packages/messaging/test.json")),
        ),
        package(
            "message_notification",
            include_str!("../../packages/message_notification/message_notification.rhai"),
            Some(include_str!(
                "../../packages/message_notification/test.json"
            )),
        ),
        package(
            "file_transfer",
            include_str!("../../packages/file_transfer/file_transfer.rhai"),
            Some(include_str!("../../packages/file_transfer/test.json")),
        ),
        package(
            "chat",
            include_str!("../../packages/chat/chat.rhai"),
            Some(include_str!("../../packages/chat/test.json")),
        ),
        package(
            "call",
            include_str!("../../packages/call/call.rhai"),
            Some(include_str!("../../packages/call/test.json")),
        ),
    ]
}

/// An operator's packages from the files of a folder: each with its path relative to the folder (with `/`)
/// and its text. Files that are neither script nor test are passed over, so that a README may stand there.
///
/// # Errors
/// The first file that can't be where it is.
pub fn from_files(files: &[(String, String)]) -> Result<Vec<Package>, BadFolder> {
    let mut packages = Vec::new();
    for (file, text) in files {
        let Some(stem) = file.strip_suffix(SCRIPT) else {
            continue;
        };
        let name = match stem.split_once('/') {
            None if is_library(stem) => stem,
            Some((folder, script)) if folder == script && !is_library(folder) => folder,
            _ => return Err(BadFolder::Misplaced { file: file.clone() }),
        };
        if !is_name(name) {
            return Err(BadFolder::Name { file: file.clone() });
        }
        let test = format!("{name}/{TEST}");
        packages.push(Package {
            name: name.to_string(),
            file: file.clone(),
            text: text.clone(),
            test: files
                .iter()
                .find(|(other, _)| *other == test)
                .map(|(_, text)| (test.clone(), text.clone())),
        });
    }
    for (file, _) in files {
        let alone = |folder: &str| !packages.iter().any(|package| package.name == folder);
        if file
            .strip_suffix(TEST)
            .and_then(|rest| rest.strip_suffix('/'))
            .is_some_and(alone)
        {
            return Err(BadFolder::TestAlone { file: file.clone() });
        }
    }
    Ok(packages)
}

/// `own` packages replace those of `base` that have the same name; the others are added.
pub fn overlay(base: Vec<Package>, own: Vec<Package>) -> Vec<Package> {
    let mut all = base;
    for package in own {
        match all.iter_mut().find(|other| other.name == package.name) {
            Some(place) => *place = package,
            None => all.push(package),
        }
    }
    all
}

/// The package of a frame: its `package_type`, else that of its subsession, else `register`.
pub fn of_frame<'a>(package_type: Option<&'a str>, subsession: Option<&'a str>) -> &'a str {
    match package_type {
        Some("fileTransfer") => "file_transfer",
        Some(package) => package,
        None => subsession.unwrap_or("register"),
    }
}

/// The package of a SIP message: that of its subsession if it has one, else what the scripts resolved.
pub fn of_sip<'a>(subsession: Option<&'a str>, resolved: Option<&'a str>) -> Option<&'a str> {
    subsession.or(resolved)
}

/// Whether a script of this name is one that all others share.
pub fn is_library(name: &str) -> bool {
    name.split('_').next() == Some(LIBRARY)
}

fn is_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> Vec<(String, String)> {
        names
            .iter()
            .map(|name| (name.to_string(), format!("// {name}")))
            .collect()
    }

    #[test]
    fn what_ships_has_a_test_for_every_package() {
        let shipped = shipped();
        assert_eq!(shipped[0].name, LIBRARY);
        let mut scripts = shipped.iter().filter(|package| !is_library(&package.name));
        assert!(scripts.all(|package| package.test.is_some()));
    }

    #[test]
    fn a_folder_becomes_packages_with_their_tests() {
        let found = from_files(&files(&[
            "README.md",
            "library.rhai",
            "library_own.rhai",
            "chat/chat.rhai",
            "chat/test.json",
            "greeting/greeting.rhai",
        ]))
        .unwrap();
        let names: Vec<_> = found.iter().map(|package| package.name.as_str()).collect();
        assert_eq!(names, [LIBRARY, "library_own", "chat", "greeting"]);
        assert_eq!(
            found[2].test,
            Some(("chat/test.json".into(), "// chat/test.json".into()))
        );
        assert_eq!(found[3].test, None);
    }

    #[test]
    fn a_file_that_cannot_be_where_it_is_is_named() {
        let bad = |name: &str| from_files(&files(&[name])).unwrap_err();
        let file = |name: &str| name.to_string();
        for name in [
            "chat.rhai",
            "chat/other.rhai",
            "a/b/c.rhai",
            "library/library.rhai",
            "library_own/library_own.rhai",
        ] {
            assert_eq!(bad(name), BadFolder::Misplaced { file: file(name) });
        }
        let name = "Chat/Chat.rhai";
        assert_eq!(bad(name), BadFolder::Name { file: file(name) });
        let name = "chat/test.json";
        assert_eq!(bad(name), BadFolder::TestAlone { file: file(name) });
    }

    #[test]
    fn an_operators_package_replaces_the_shipped_one_and_others_stay() {
        let own = from_files(&files(&["chat/chat.rhai", "greeting/greeting.rhai"])).unwrap();
        let all = overlay(shipped(), own);
        let names: Vec<_> = all.iter().map(|package| package.name.as_str()).collect();
        let expected = [
            LIBRARY,
            "library_services",
            "register",
            "capability",
            "messaging",
            "message_notification",
            "file_transfer",
            "chat",
            "call",
            "greeting",
        ];
        assert_eq!(names, expected);
        let chat = &all[7];
        assert_eq!(chat.text, "// chat/chat.rhai");
        assert_eq!(
            chat.test, None,
            "the shipped test goes with the shipped script"
        );
    }

    #[test]
    fn a_frame_without_a_package_belongs_to_its_subsession_or_to_register() {
        assert_eq!(of_frame(Some("chat"), Some("call")), "chat");
        assert_eq!(of_frame(None, Some("call")), "call");
        assert_eq!(of_frame(None, None), "register");
        assert_eq!(of_frame(Some("fileTransfer"), None), "file_transfer");
        assert_eq!(of_sip(Some("chat"), Some("call")), Some("chat"));
        assert_eq!(of_sip(None, Some("call")), Some("call"));
    }
}
