//! What RCS services put into the bodies and headers of SIP messages, read and written. Pure.
//!
//! ```text
//! multipart ▶ parts ┐
//! cpim ▶ envelope ──┴▶ imdn, composing, resource lists, presence, conference: XML (`xml`)
//! features: the tags in Contact and Accept-Contact
//! ```
//! Reading takes what deployed handsets write, within bounds; writing keeps to the RFCs. Every text that
//! can't be read gives a [`Malformed`] that says why. Not here: who asks for what (the packages' scripts).

pub mod composing;
pub mod conference;
pub mod cpim;
pub mod date;
pub mod features;
pub mod imdn;
pub mod multipart;
pub mod part;
pub mod presence;
pub mod resource_lists;
pub mod sipfrag;
mod xml;

use std::fmt;

/// A body or header that can't be read or written, in one sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// What reading gives.
pub type Read<T> = Result<T, Malformed>;

fn malformed<T>(why: impl Into<String>) -> Read<T> {
    Err(Malformed(why.into()))
}

/// A text that stands on one line: no control characters.
fn one_line(what: &str, text: &str) -> Read<()> {
    match text.chars().any(char::is_control) {
        true => malformed(format!("{what}: control characters are not allowed there")),
        false => Ok(()),
    }
}
