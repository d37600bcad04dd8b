//! Reading a session description from a peer.

use super::{MessageMedia, Transport};

/// Why a description is not taken. The variant says what its sender did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not a session description.
    Malformed {
        /// Counted from 1; 0 if no line is to blame.
        line: usize,
    },
    /// Larger than `limits::SDP_BYTES_MAX`, or more lines or m-lines than we take.
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
    /// The answer has not as many m-lines as the offer (RFC 3264, 6).
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

/// A checked offer: it has a line that can be anchored.
#[derive(Debug, Clone)]
pub struct Offer {
    pub(super) session: sdp_types::Session,
    pub(super) media: MessageMedia,
}

impl Offer {
    /// Reads an offer whose path must have the transport of the leg it came over.
    ///
    /// # Errors
    /// The offer is to be refused with [`Refusal::status`].
    pub fn read(text: &[u8], transport: Transport) -> Result<Offer, Refusal> {
        let _ = (text, transport);
        todo!()
    }

    /// The line that is anchored.
    pub fn media(&self) -> &MessageMedia {
        &self.media
    }
}

/// A checked answer, whose m-lines are those of its offer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) session: sdp_types::Session,
    pub(super) index: usize,
    pub(super) media: Result<MessageMedia, Refusal>,
}

impl Answer {
    /// Reads the answer to the offer that was anchored from `offer`. A declined or unusable message line is
    /// no error here: it is passed on with port 0, see [`Answer::media`].
    ///
    /// # Errors
    /// It can't be passed on at all: not a description, or lines that don't match the offer's.
    pub fn read(text: &[u8], offer: &Offer, transport: Transport) -> Result<Answer, Refusal> {
        let _ = (text, offer, transport);
        todo!()
    }

    /// The anchored line, or why there is none: then the relay's session is to be deleted, and the
    /// answer is passed with port 0 (or the call ended).
    pub fn media(&self) -> Result<&MessageMedia, &Refusal> {
        self.media.as_ref()
    }
}
