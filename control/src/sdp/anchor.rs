//! Puts the relay into a description, line by line.
//!
//! | line | becomes |
//! |---|---|
//! | `o=` | the relay's, see [`Origin`] |
//! | `c=` | the relay's address, wherever there was one, and in the anchored section |
//! | `m=` of the anchored line | the relay's port, the leg's protocol |
//! | `a=path` | the relay's URI; toward a browser `a=ws-resource-path` follows |
//! | `a=setup` | the role, in the place where it was, else behind the path |
//! | `a=fingerprint` | the relay's own or none; TLS ends here (RFC 6714, 6.5) |
//! | `a=connection`, `a=msrp-cema`, `a=ws-resource-path` | gone (RFC 6135, 4.4; RFC 6714, 6.2) |
//! | the same at session level | gone: each holds for the anchored section now |
//! | any other m-line | port 0, without addresses; one that is not `m=message` without anything else |
//!
//! All other lines stay as and where they are.

use std::net::IpAddr;

use sdp_types::{AddrType, Attribute, Connection, Media, NetType, Session};

use super::{Answer, MsrpUri, Offer, Setup, Transport};

/// Attributes that hold for one hop only.
const HOP_ATTRIBUTES: &[&str] = &[
    "path",
    "ws-resource-path",
    "setup",
    "connection",
    "fingerprint",
    "msrp-cema",
];

/// The relay's own end of the leg toward whom the description goes.
#[derive(Debug, Clone, Copy)]
pub struct LocalLeg<'a> {
    /// What carries it.
    pub transport: Transport,
    /// The relay's own URI for this leg, as the relay gave it, with a port.
    pub path: &'a str,
    /// The WebSocket resource path; `None` for TCP and TLS.
    pub resource: Option<&'a str>,
    /// `a=setup`: of an offer from [`super::setup_to_offer`], of an answer from the role. A browser is offered
    /// `actpass` and answered `passive`.
    pub setup: Setup,
    /// The value of `a=fingerprint` of the relay's certificate, for TLS (and WSS if wanted).
    pub fingerprint: Option<&'a str>,
}

/// The [`LocalLeg`] given is none: its path does not parse, or transport, resource, setup and fingerprint don't
/// fit together. Our own mistake, not a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLeg;

/// The `o=` line of what we send on one leg; keep one for as long as the leg's dialog lives.
///
/// The version grows by one only when something else changed since the last description
/// (RFC 4975, 8.4; RFC 3264, 8).
#[derive(Debug, Clone)]
pub struct Origin {
    id: u64,
    version: u64,
    /// What was sent last, with version 0.
    last: Vec<u8>,
}

impl Origin {
    /// `id` is any number below 2^62 that is new for this leg, such as seconds since 1900 or a random one.
    pub fn new(id: u64) -> Origin {
        Origin {
            id: id & ((1 << 62) - 1),
            version: 0,
            last: Vec::new(),
        }
    }

    /// Its number and version, for [`Origin::restored`].
    pub fn parts(&self) -> (u64, u64) {
        (self.id, self.version)
    }

    /// The origin with these parts. What is written next counts as a change.
    pub fn restored(id: u64, version: u64) -> Origin {
        Origin {
            version,
            ..Origin::new(id)
        }
    }

    /// Writes the description under this origin.
    fn write(&mut self, session: &mut Session, host: &str) -> Vec<u8> {
        let address = address(host);
        let id = self.id.to_string();
        session.origin = sdp_types::Origin::new(id, 0, NetType::In, address.addrtype, host);
        let unversioned = written(session);
        if unversioned != self.last {
            self.version += 1;
            self.last = unversioned;
        }
        session.origin.sess_version = self.version;
        written(session)
    }
}

/// The offer as it goes to the other side over `leg`.
///
/// # Errors
/// Only if `leg` is not what it says: our own fault.
pub fn anchor_offer(
    offer: &Offer,
    leg: &LocalLeg<'_>,
    origin: &mut Origin,
) -> Result<Vec<u8>, BadLeg> {
    let fits = match leg.setup {
        Setup::Actpass => true,
        Setup::Active => !leg.transport.is_websocket(),
        Setup::Passive | Setup::Holdconn => false,
    };
    let own = leg.check(fits)?;
    let mut session = offer.session.clone();
    anchor(&mut session, Some(offer.media.index), leg, &own);
    Ok(origin.write(&mut session, own.host()))
}

/// The answer as it goes to the offerer over `leg`. Where [`Answer::media`] is a refusal, every line has port 0.
///
/// # Errors
/// As for [`anchor_offer`].
pub fn anchor_answer(
    answer: &Answer,
    leg: &LocalLeg<'_>,
    origin: &mut Origin,
) -> Result<Vec<u8>, BadLeg> {
    let fits = match leg.setup {
        Setup::Passive => true,
        Setup::Active => !leg.transport.is_websocket(),
        Setup::Actpass | Setup::Holdconn => false,
    };
    let own = leg.check(fits)?;
    let mut session = answer.session.clone();
    let index = answer.media().ok().map(|media| media.index);
    anchor(&mut session, index, leg, &own);
    Ok(origin.write(&mut session, own.host()))
}

impl LocalLeg<'_> {
    fn check(&self, setup_fits: bool) -> Result<MsrpUri, BadLeg> {
        let own = MsrpUri::parse(self.path).ok_or(BadLeg)?;
        let printable = |text: &str| text.bytes().all(|octet| (b'!'..=b'~').contains(&octet));
        let resource_fits = match self.resource {
            Some(path) => self.transport.is_websocket() && path.starts_with('/') && printable(path),
            None => !self.transport.is_websocket(),
        };
        let fingerprint_fits = self.fingerprint.is_none_or(|text| {
            let secure = matches!(self.transport, Transport::Wss | Transport::Tls);
            secure && text.split(' ').all(printable)
        });
        let fits = setup_fits && resource_fits && fingerprint_fits;
        if fits && own.transport() == self.transport && own.port().is_some() {
            Ok(own)
        } else {
            Err(BadLeg)
        }
    }
}

/// Rewrites all that table says; `live` is the line that is anchored, if any is.
fn anchor(session: &mut Session, live: Option<usize>, leg: &LocalLeg<'_>, own: &MsrpUri) {
    let connection = address(own.host());
    if session.session_name.is_empty() {
        // RFC 8866, 5.3: never empty.
        session.session_name = "-".to_string();
    }
    session.attributes.retain(|attribute| !is_hop(attribute));
    let shared = session.connection.is_some();
    if shared {
        session.connection = Some(connection.clone());
    }
    for (index, media) in session.medias.iter_mut().enumerate() {
        media.num_ports = None;
        if Some(index) == live {
            anchor_media(media, leg, own);
            media.connections = vec![connection.clone()];
        } else {
            refuse_media(media);
            // RFC 8866, 5.7: every section has a c-line if the session has none.
            media.connections = if shared {
                Vec::new()
            } else {
                vec![connection.clone()]
            };
        }
    }
}

fn anchor_media(media: &mut Media, leg: &LocalLeg<'_>, own: &MsrpUri) {
    media.port = own.port().unwrap_or_default();
    media.proto = leg.transport.protocol().to_string();
    media.fmt = "*".to_string();
    let mut roles = vec![Attribute::with_value("setup", leg.setup.word())];
    roles.extend(
        leg.fingerprint
            .map(|value| Attribute::with_value("fingerprint", value)),
    );
    let setup_has_a_place = media.has_attribute("setup");
    let mut path = vec![Attribute::with_value("path", own.as_str())];
    path.extend(
        leg.resource
            .map(|value| Attribute::with_value("ws-resource-path", value)),
    );
    if !setup_has_a_place {
        path.append(&mut roles);
    }
    let mut attributes = Vec::with_capacity(media.attributes.len() + 3);
    for attribute in media.attributes.drain(..) {
        // Only the first of a kind counts: `append` leaves nothing for a second.
        if attribute.attribute.eq_ignore_ascii_case("path") {
            attributes.append(&mut path);
        } else if attribute.attribute.eq_ignore_ascii_case("setup") {
            attributes.append(&mut roles);
        } else if !is_hop(&attribute) {
            attributes.push(attribute);
        }
    }
    media.attributes = attributes;
}

/// RFC 3264, 6 and 8.2: port 0. What described the transport is meaningless then, and would show addresses
/// of one side to the other; what describes a file is mirrored (RFC 5547, 8.3).
fn refuse_media(media: &mut Media) {
    media.port = 0;
    if media.media == "message" {
        media.attributes.retain(|attribute| !is_hop(attribute));
    } else {
        media.attributes.clear();
        media.bandwidths.clear();
        media.key = None;
        media.media_title = None;
    }
}

pub(super) fn is_hop(attribute: &Attribute) -> bool {
    HOP_ATTRIBUTES
        .iter()
        .any(|name| attribute.attribute.eq_ignore_ascii_case(name))
}

/// The c-line for a host. A name counts as IP4, as everybody writes it.
fn address(host: &str) -> Connection {
    let kind = match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(_)) => AddrType::Ip6,
        Ok(IpAddr::V4(_)) | Err(_) => AddrType::Ip4,
    };
    Connection::new(NetType::In, kind, host)
}

pub(super) fn written(session: &Session) -> Vec<u8> {
    let mut text = Vec::new();
    match session.write(&mut text) {
        Ok(()) => text,
        // Writing to memory does not fail.
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
