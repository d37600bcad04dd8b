//! What one m=message line says.

use sdp_types::{Attribute, Media, Session};

use super::description::Refusal;
use super::{MsrpUri, Setup, Transport};

/// URIs of one path. Two relays on either side are already unusual.
const PATH_URIS_MAX: usize = 8;
/// Octets of a whole path: what the relay keeps of it.
const PATH_BYTES_MAX: usize = 1024;

/// One `m=message` line with what belongs to it, session-level attributes included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageMedia {
    /// Which m-line it is, counted from 0.
    pub index: usize,
    /// The m-line's port; never 0. An active peer's may be anything.
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
    /// Every `a=fingerprint` of the line, or if it has none, of the session. RFC 8122, 5.
    pub fingerprints: Vec<String>,
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
    /// The whole path in one string, URIs separated by one space, for the relay's `SetPeer`. At most 1024 octets.
    pub fn path_text(&self) -> String {
        let uris: Vec<&str> = self.path.iter().map(MsrpUri::as_str).collect();
        uris.join(" ")
    }

    /// Where the relay connects if it is the active side: to the path's first URI; with CEMA to what c- and
    /// m-line say (RFC 6714, 4.3).
    pub fn target(&self) -> Target {
        let first = self.path.first();
        let host = first.map(MsrpUri::host).unwrap_or_default();
        let port = first.and_then(MsrpUri::port).unwrap_or(self.port);
        match &self.connection {
            Some(address) if self.cema => Target {
                host: address.clone(),
                port: self.port,
            },
            Some(_) | None => Target {
                host: host.to_string(),
                port,
            },
        }
    }

    /// Reads the line at `index`, which must be one that the leg's transport can carry.
    pub(super) fn read(
        session: &Session,
        index: usize,
        transport: Transport,
    ) -> Result<MessageMedia, Refusal> {
        let media = session.medias.get(index).ok_or(Refusal::LinesDiffer)?;
        let secure = match media.proto.to_ascii_uppercase().as_str() {
            "TCP/MSRP" => false,
            "TCP/TLS/MSRP" => true,
            _ => return Err(Refusal::NoMessageMedia),
        };
        if media.media != "message" {
            return Err(Refusal::NoMessageMedia);
        }
        if media.port == 0 {
            return Err(Refusal::Declined);
        }
        let path = read_path(media)?;
        let first = path.first().ok_or(Refusal::PathMissing)?.transport();
        // RFC 4975, 8.1: m-line and scheme agree. Between browser and relay they need not.
        let agrees = transport.is_websocket() || secure == (transport == Transport::Tls);
        if first != transport || !agrees {
            return Err(Refusal::TransportMismatch);
        }
        let connection = media.connections.first().or(session.connection.as_ref());
        let connection = connection.map(|connection| &connection.connection_address);
        let address = connection.and_then(|address| address.split('/').next());
        let either = |name| value(media, session, name);
        Ok(MessageMedia {
            index,
            port: media.port,
            transport,
            path,
            setup: either("setup").and_then(|word| Setup::of_word(&word)),
            connection: address.map(str::to_string),
            cema: media.has_attribute("msrp-cema") || session.has_attribute("msrp-cema"),
            fingerprints: all_values(media, session, "fingerprint"),
            accept_types: either("accept-types"),
        })
    }
}

fn read_path(media: &Media) -> Result<Vec<MsrpUri>, Refusal> {
    let path = match media.get_first_attribute_value("path").flatten() {
        Some(path) if !path.trim().is_empty() => path,
        Some(_) | None => return Err(Refusal::PathMissing),
    };
    let uris: Vec<&str> = path.split(' ').filter(|uri| !uri.is_empty()).collect();
    if uris.len() > PATH_URIS_MAX || path.len() > PATH_BYTES_MAX {
        return Err(Refusal::PathInvalid);
    }
    uris.into_iter()
        .map(|uri| MsrpUri::parse(uri).ok_or(Refusal::PathInvalid))
        .collect()
}

/// Every value of an attribute that the line has, or if it has none, the session.
fn all_values(media: &Media, session: &Session, name: &str) -> Vec<String> {
    let of = |attributes: &[Attribute]| -> Vec<String> {
        let named = attributes.iter().filter(|it| it.attribute == name);
        named.filter_map(|it| it.value.clone()).collect()
    };
    let own = of(&media.attributes);
    if own.is_empty() {
        of(&session.attributes)
    } else {
        own
    }
}

/// An attribute's value: the line's own, else the session's.
fn value(media: &Media, session: &Session, name: &str) -> Option<String> {
    let own = media.get_first_attribute_value(name);
    let found = own.or_else(|| session.get_first_attribute_value(name));
    found.flatten().map(str::to_string)
}
