//! Puts the relay into a description: table O of the MSRP rules, line by line.

use super::{Answer, Offer, Setup, Transport};

/// The relay's own end of the leg toward whom the description goes.
#[derive(Debug, Clone, Copy)]
pub struct LocalLeg<'a> {
    /// What carries it.
    pub transport: Transport,
    /// The relay's own URI for this leg, as the relay gave it.
    pub path: &'a str,
    /// The WebSocket resource path; `None` for TCP and TLS.
    pub resource: Option<&'a str>,
    /// `a=setup`: of an offer from [`super::setup_to_offer`], of an answer from the role.
    pub setup: Setup,
    /// The value of `a=fingerprint` of the relay's certificate, for TLS (and WSS if wanted).
    pub fingerprint: Option<&'a str>,
}

/// The `o=` line of what we send on one leg; keep one for as long as the leg's dialog lives.
///
/// The version grows by one only when something else changed since the last description
/// (RFC 4975, 8.4; RFC 3264, 8).
#[derive(Debug, Clone)]
pub struct Origin {
    id: u64,
}

impl Origin {
    /// `id` is any number below 2^62 that is new for this leg, such as seconds since 1900 or a random one.
    pub fn new(id: u64) -> Origin {
        Origin { id }
    }
}

/// The offer as it goes to the other side over `leg`.
///
/// # Errors
/// Only if `leg` is not what it says (its path is no MSRP URI, its resource not a path): our own fault.
pub fn anchor_offer(offer: &Offer, leg: &LocalLeg<'_>, origin: &mut Origin) -> Result<Vec<u8>, BadLeg> {
    let _ = (offer, leg, origin);
    todo!()
}

/// The answer as it goes to the offerer over `leg`. Where [`Answer::media`] is a refusal, every line has port 0.
///
/// # Errors
/// As for [`anchor_offer`].
pub fn anchor_answer(answer: &Answer, leg: &LocalLeg<'_>, origin: &mut Origin) -> Result<Vec<u8>, BadLeg> {
    let _ = (answer, leg, origin);
    todo!()
}

/// The [`LocalLeg`] given is none: its path does not parse, its transport or resource don't fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLeg;
