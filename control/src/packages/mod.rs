//! Packages: a folder each, with one script and its test.
//!
//! `NAME/NAME.rhai` is the script, `NAME/test.json` its test, `library.rhai` beside the folders is what all
//! scripts share. What ships is inside the program; an operator's folder replaces packages or adds some.
//! Not here: what is in a script (`script`).

use std::path::Path;

/// The name of the library among the packages.
pub const LIBRARY: &str = "library";

/// One package as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its name, which is a frame's `package_type`: 1 to 64 of `a`-`z`, `0`-`9`, `_`.
    pub name: String,
    /// The script's name for error messages, such as `chat/chat.rhai`; a full path if it is an operator's.
    pub file: String,
    /// The script.
    pub text: String,
    /// The test's name and JSON text.
    pub test: Option<(String, String)>,
}

/// Why an operator's folder could not be taken.
#[derive(Debug)]
pub enum FolderError {
    /// The file or folder could not be read.
    Io {
        /// Which one.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// A script or test is larger than this.
    TooLarge {
        /// Which one.
        path: String,
        /// The limit.
        limit_bytes: u64,
    },
    /// More packages than this.
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The name is not one a package can have.
    BadName {
        /// Which one.
        path: String,
    },
}

/// The packages inside the program, the library first.
pub fn shipped() -> Vec<Package> {
    todo!()
}

/// Reads an operator's folder. Blocks on files: call it at start and when a reload is asked for.
///
/// # Errors
/// What could not be read, with its path.
pub fn read_folder(folder: &Path) -> Result<Vec<Package>, FolderError> {
    let _ = folder;
    todo!()
}

/// `own` packages replace those of `base` that have the same name; the others are added.
pub fn overlay(base: Vec<Package>, own: Vec<Package>) -> Vec<Package> {
    let _ = (base, own);
    todo!()
}

/// The package of a frame: its `package_type` (with aliases), else that of its subsession, else `register`.
pub fn of_frame<'a>(package_type: Option<&'a str>, subsession: Option<&'a str>) -> &'a str {
    let _ = subsession;
    package_type.unwrap_or("register")
}
