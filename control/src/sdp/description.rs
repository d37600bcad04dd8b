//! Reading a session description from a peer.

use std::fmt;

use sdp_types::{ParserError, Session};

use super::anchor::{is_hop, written};
use super::{MessageMedia, Transport};

/// Octets of a session description. A chat's has some hundred.
const SDP_BYTES_MAX: usize = 64 * 1024;
/// Lines of one.
const LINES_MAX: usize = 2000;
/// m-lines of one: each is carried back and forth even if it is not served.
const MEDIAS_MAX: usize = 32;

/// Why a description is not taken. The variant says what its sender did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not a session description.
    Malformed {
        /// Counted from 1; 0 if no line is to blame.
        line: usize,
    },
    /// Larger than 64 KiB, or more lines or m-lines than we take.
    TooLarge,
    /// No `m=message` line with a port, or none of a known protocol.
    NoMessageMedia,
    /// The other side declined the line (port 0 in an answer).
    Declined,
    /// `a=path` is missing (RFC 4975, 8.2).
    PathMissing,
    /// `a=path` is not a list of MSRP URIs, or longer than the relay takes.
    PathInvalid,
    /// The path's transport is not the leg's, or the m-line's protocol is not the path's.
    TransportMismatch,
    /// The answer's roles leave nobody to connect.
    RoleClash,
    /// The answer has other m-lines than the offer (RFC 3264, 6).
    LinesDiffer,
}

impl Refusal {
    /// The SIP status (and JSON error code) that refuses an offer for this.
    pub fn status(&self) -> u16 {
        match self {
            Refusal::Malformed { .. } => 400,
            Refusal::TooLarge => 413,
            Refusal::NoMessageMedia
            | Refusal::Declined
            | Refusal::PathMissing
            | Refusal::PathInvalid
            | Refusal::TransportMismatch
            | Refusal::RoleClash
            | Refusal::LinesDiffer => 488,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Malformed { line } => write!(f, "not a session description (line {line})"),
            Refusal::TooLarge => write!(f, "session description too large"),
            Refusal::NoMessageMedia => write!(f, "no MSRP in the session description"),
            Refusal::Declined => write!(f, "MSRP declined"),
            Refusal::PathMissing => write!(f, "no path"),
            Refusal::PathInvalid => write!(f, "path is not a list of MSRP URIs"),
            Refusal::TransportMismatch => write!(f, "path has another transport than this side"),
            Refusal::RoleClash => write!(f, "neither side would connect"),
            Refusal::LinesDiffer => write!(f, "answer and offer have different m-lines"),
        }
    }
}

impl std::error::Error for Refusal {}

/// A checked offer: it has a line that can be anchored.
#[derive(Debug, Clone)]
pub struct Offer {
    pub(super) session: Session,
    pub(super) media: MessageMedia,
}

impl Offer {
    /// Reads an offer whose path must have the transport of the leg it came over. Of several message lines the
    /// first that can be anchored is.
    ///
    /// # Errors
    /// The offer is to be refused with [`Refusal::status`].
    pub fn read(text: &[u8], transport: Transport) -> Result<Offer, Refusal> {
        let session = parse(text)?;
        let mut refusal = Refusal::NoMessageMedia;
        for index in 0..session.medias.len() {
            match MessageMedia::read(&session, index, transport) {
                Ok(media) => return Ok(Offer { session, media }),
                Err(Refusal::NoMessageMedia | Refusal::Declined) => {}
                // The first line that was meant says why.
                Err(why) if refusal == Refusal::NoMessageMedia => refusal = why,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    /// The line that is anchored.
    pub fn media(&self) -> &MessageMedia {
        &self.media
    }

    /// Whether a later offer of the same peer's differs in nothing but its media's place.
    pub fn is_only_moved(&self, later: &Offer) -> bool {
        let place = |offer: &Offer| offer.media.index;
        is_same_but_for((&self.session, place(self)), (&later.session, place(later)))
    }

    /// The description, to be read again.
    pub fn text(&self) -> Vec<u8> {
        written(&self.session)
    }
}

/// Whether two descriptions say the same but for where the line that is anchored is, and who they are by.
fn is_same_but_for(one: (&Session, usize), other: (&Session, usize)) -> bool {
    let rest = |(session, index): (&Session, usize)| {
        let mut session = session.clone();
        session.origin = sdp_types::Origin::new(
            "0",
            0,
            sdp_types::NetType::In,
            sdp_types::AddrType::Ip4,
            "0",
        );
        session.connection = None;
        session.attributes.retain(|attribute| !is_hop(attribute));
        if let Some(media) = session.medias.get_mut(index) {
            media.port = 0;
            media.connections.clear();
            media.attributes.retain(|attribute| !is_hop(attribute));
        }
        written(&session)
    };
    rest(one) == rest(other)
}

/// A checked answer, whose m-lines are those of its offer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) session: Session,
    media: Result<MessageMedia, Refusal>,
}

impl Answer {
    /// Reads the answer to what was anchored from `offer`. A declined or unusable message line is
    /// no error here: it is passed on with port 0, see [`Answer::media`].
    ///
    /// # Errors
    /// It can't be passed on at all: not a description, or lines that don't match the offer's.
    pub fn read(text: &[u8], offer: &Offer, transport: Transport) -> Result<Answer, Refusal> {
        let session = parse(text)?;
        let offered = &offer.session.medias;
        let same = |(one, other): (&sdp_types::Media, &sdp_types::Media)| one.media == other.media;
        if session.medias.len() != offered.len() || !session.medias.iter().zip(offered).all(same) {
            return Err(Refusal::LinesDiffer);
        }
        let media = MessageMedia::read(&session, offer.media.index, transport);
        Ok(Answer { session, media })
    }

    /// What was offered once, as what answers another offer with the same m-lines.
    pub fn of(offer: Offer) -> Answer {
        Answer {
            session: offer.session,
            media: Ok(offer.media),
        }
    }

    /// Whether a later offer of the same peer's differs in nothing but its media's place.
    pub fn is_only_moved(&self, later: &Offer) -> bool {
        self.media.as_ref().is_ok_and(|media| {
            let now = (&later.session, later.media.index);
            is_same_but_for((&self.session, media.index), now)
        })
    }

    /// The anchored line, or why there is none: then the relay's session is to be deleted, and the
    /// answer is passed with port 0 (or the call ended).
    ///
    /// # Errors
    /// What the answer lacks.
    pub fn media(&self) -> Result<&MessageMedia, &Refusal> {
        self.media.as_ref()
    }

    /// The description, to be read again.
    pub fn text(&self) -> Vec<u8> {
        written(&self.session)
    }
}

fn parse(text: &[u8]) -> Result<Session, Refusal> {
    let lines = text.iter().filter(|octet| **octet == b'\n').count();
    if text.len() > SDP_BYTES_MAX || lines > LINES_MAX {
        return Err(Refusal::TooLarge);
    }
    let session = Session::parse(text).map_err(|error| Refusal::Malformed {
        line: line_of(&error),
    })?;
    if session.medias.len() > MEDIAS_MAX {
        return Err(Refusal::TooLarge);
    }
    Ok(session)
}

/// Which line the parser stopped at.
fn line_of(error: &ParserError) -> usize {
    match error {
        ParserError::InvalidLineFormat(line, _)
        | ParserError::InvalidFieldEncoding(line, _)
        | ParserError::InvalidFieldFormat(line, _)
        | ParserError::MissingField(line, _)
        | ParserError::FieldTrailingData(line, _)
        | ParserError::InvalidVersion(line, _)
        | ParserError::MultipleVersions(line)
        | ParserError::MultipleOrigins(line)
        | ParserError::MultipleSessionNames(line)
        | ParserError::MultipleSessionDescription(line)
        | ParserError::MultipleUris(line)
        | ParserError::MultipleConnections(line)
        | ParserError::MultipleTimeZones(line)
        | ParserError::MultipleMediaTitles(line)
        | ParserError::MultipleKeys(line)
        | ParserError::RepeatWithoutTime(line) => *line,
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
