//! MSRP URIs in parsed form, so that what is written was never pasted from a peer. RFC 4975, 6 and 9.

/// A checked MSRP URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MsrpUri {
    /// `msrps`
    pub secure: bool,
    /// Name, IPv4 or IPv6 address without brackets.
    pub host: String,
    /// The port, if the URI names one.
    pub port: Option<u16>,
    /// The session-id; empty if there is none.
    pub session: String,
    /// The transport token, lower case: `tcp`, `ws`, `wss`.
    pub transport: String,
}
