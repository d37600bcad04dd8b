//! Who connects: from what was offered and answered to the relay's part on a leg.

use super::Refusal;

/// What carries a leg's MSRP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `msrp://…;ws`
    Ws,
    /// `msrps://…;ws`, or `;wss`
    Wss,
    /// `msrp://…;tcp`
    Tcp,
    /// `msrps://…;tcp`
    Tls,
}

/// Which end opens the connection of a leg, seen from the relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The relay connects to the peer.
    Active,
    /// The relay waits for the peer.
    Passive,
}

/// `a=setup`. RFC 4145, 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// Will connect.
    Active,
    /// Will wait.
    Passive,
    /// Either.
    Actpass,
    /// Not for now.
    Holdconn,
}

/// What the relay offers on a leg: `actpass`, or `active` where nobody can reach it. RFC 6135, 4.2.2.
pub fn setup_to_offer(transport: Transport, reachable: bool) -> Setup {
    let _ = (transport, reachable);
    todo!()
}

/// The relay's role on the leg whose peer answered our offer.
///
/// # Errors
/// The answer leaves nobody to connect.
pub fn role_after_answer(
    transport: Transport,
    offered: Setup,
    answered: Option<Setup>,
) -> Result<Role, Refusal> {
    let _ = (transport, offered, answered);
    todo!()
}

/// The relay's role on the leg whose peer offered; what our answer says with `a=setup`.
pub fn role_after_offer(transport: Transport, offered: Option<Setup>, reachable: bool) -> Role {
    let _ = (transport, offered, reachable);
    todo!()
}
