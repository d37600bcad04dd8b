//! What one m=message line says.

use super::{MsrpUri, Setup, Transport};

/// One `m=message` line with what belongs to it, session-level attributes included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageMedia {
    /// Which m-line it is, counted from 0.
    pub index: usize,
    /// The m-line's port; never 0.
    pub port: u16,
    /// What the path says it is carried by.
    pub transport: Transport,
    /// `a=path`, the next hop first, the endpoint last. Never empty.
    pub path: Vec<MsrpUri>,
    /// `a=setup`, the line's or the session's.
    pub setup: Option<Setup>,
    /// The address of the c-line that holds for it.
    pub connection: Option<String>,
    /// `a=msrp-cema` is there (RFC 6714, 4.2).
    pub cema: bool,
    /// `a=fingerprint`, the line's or the session's.
    pub fingerprint: Option<String>,
    /// `a=accept-types`, as it is.
    pub accept_types: Option<String>,
}

/// Where to connect to. The host may be a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Name, IPv4 or IPv6 address without brackets.
    pub host: String,
    /// Never 0.
    pub port: u16,
}

impl MessageMedia {
    /// The whole path in one string, URIs separated by one space, for the relay's `SetPeer`.
    pub fn path_text(&self) -> String {
        todo!()
    }

    /// Where the relay connects if it is the active side: the path's first URI; with CEMA the
    /// c- and m-line (RFC 6714, 4.3).
    pub fn target(&self) -> Target {
        todo!()
    }
}
