//! Who connects: from what was offered and answered to the relay's part on a leg.
//!
//! RFC 4145, 4; RFC 6135, 4.2. A browser connects in every case (RFC 7977, 5.1).

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

impl Transport {
    /// Whether the peer is a browser, which can't be connected to.
    pub fn is_websocket(self) -> bool {
        match self {
            Transport::Ws | Transport::Wss => true,
            Transport::Tcp | Transport::Tls => false,
        }
    }

    /// The protocol of an m-line (RFC 4975, 8.1).
    pub(super) fn protocol(self) -> &'static str {
        match self {
            Transport::Ws | Transport::Tcp => "TCP/MSRP",
            Transport::Wss | Transport::Tls => "TCP/TLS/MSRP",
        }
    }
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

impl Setup {
    /// The value of `a=setup`; `None` for a word that is none.
    pub(super) fn of_word(word: &str) -> Option<Setup> {
        [
            Setup::Active,
            Setup::Passive,
            Setup::Actpass,
            Setup::Holdconn,
        ]
        .into_iter()
        .find(|setup| setup.word().eq_ignore_ascii_case(word.trim()))
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::Actpass => "actpass",
            Setup::Holdconn => "holdconn",
        }
    }
}

impl From<Role> for Setup {
    fn from(role: Role) -> Setup {
        match role {
            Role::Active => Setup::Active,
            Role::Passive => Setup::Passive,
        }
    }
}

/// What the relay offers on a leg: `actpass`, or `active` where nobody can reach it; never `passive`
/// (RFC 6135, 4.2.2).
pub fn setup_to_offer(transport: Transport, reachable: bool) -> Setup {
    if transport.is_websocket() || reachable {
        Setup::Actpass
    } else {
        Setup::Active
    }
}

/// The relay's role on the leg whose peer answered our offer. An answer that does not choose (nothing,
/// `holdconn`, `actpass`) leaves connecting to the offerer, that is the relay (RFC 4975, 8.5).
///
/// # Errors
/// [`Refusal::RoleClash`]: the answer leaves nobody to connect.
pub fn role_after_answer(
    transport: Transport,
    offered: Setup,
    answered: Option<Setup>,
) -> Result<Role, Refusal> {
    match (transport.is_websocket(), answered) {
        (true, Some(Setup::Passive)) => Err(Refusal::RoleClash),
        (true, _) => Ok(Role::Passive),
        (false, Some(Setup::Active)) if offered == Setup::Active => Err(Refusal::RoleClash),
        (false, Some(Setup::Active)) => Ok(Role::Passive),
        (false, Some(Setup::Passive | Setup::Actpass | Setup::Holdconn) | None) => Ok(Role::Active),
    }
}

/// The relay's role on the leg whose peer offered; as [`Setup`] it is what our answer says.
pub fn role_after_offer(transport: Transport, offered: Option<Setup>, reachable: bool) -> Role {
    if transport.is_websocket() {
        return Role::Passive;
    }
    match offered {
        // Not allowed in an offer (RFC 6135, 4.2.2), but there is only one way to serve it.
        Some(Setup::Passive) => Role::Active,
        Some(Setup::Actpass) if !reachable => Role::Active,
        Some(Setup::Actpass | Setup::Active | Setup::Holdconn) | None => Role::Passive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETUPS: [Option<Setup>; 5] = [
        None,
        Some(Setup::Active),
        Some(Setup::Passive),
        Some(Setup::Actpass),
        Some(Setup::Holdconn),
    ];

    #[test]
    fn rfc6135_4_2_2_we_never_offer_passive() {
        for transport in [Transport::Tcp, Transport::Tls] {
            assert_eq!(setup_to_offer(transport, true), Setup::Actpass);
            assert_eq!(setup_to_offer(transport, false), Setup::Active);
        }
        for transport in [Transport::Ws, Transport::Wss] {
            assert_eq!(setup_to_offer(transport, true), Setup::Actpass);
            assert_eq!(setup_to_offer(transport, false), Setup::Actpass);
        }
    }

    #[test]
    fn the_answer_to_our_offer_decides_who_connects() {
        let expected = |answers: [Result<Role, Refusal>; 5], offered| {
            for transport in [Transport::Tcp, Transport::Tls] {
                for (answered, role) in SETUPS.into_iter().zip(&answers) {
                    let got = role_after_answer(transport, offered, answered);
                    assert_eq!(&got, role, "{offered:?} {answered:?}");
                }
            }
        };
        let (active, passive) = (Ok(Role::Active), Ok(Role::Passive));
        expected(
            [
                active.clone(),
                passive,
                active.clone(),
                active.clone(),
                active.clone(),
            ],
            Setup::Actpass,
        );
        expected(
            [
                active.clone(),
                Err(Refusal::RoleClash),
                active.clone(),
                active.clone(),
                active,
            ],
            Setup::Active,
        );
    }

    #[test]
    fn an_offer_decides_who_connects() {
        use Role::{Active, Passive};
        for transport in [Transport::Tcp, Transport::Tls] {
            for (reachable, roles) in [
                (true, [Passive, Passive, Active, Passive, Passive]),
                (false, [Passive, Passive, Active, Active, Passive]),
            ] {
                for (offered, role) in SETUPS.into_iter().zip(roles) {
                    let got = role_after_offer(transport, offered, reachable);
                    assert_eq!(got, role, "{offered:?} reachable {reachable}");
                }
            }
        }
    }

    #[test]
    fn rfc7977_5_1_a_browser_connects_whatever_it_says() {
        for transport in [Transport::Ws, Transport::Wss] {
            for setup in SETUPS {
                assert_eq!(role_after_offer(transport, setup, true), Role::Passive);
                let answered = role_after_answer(transport, Setup::Actpass, setup);
                let wanted = match setup {
                    Some(Setup::Passive) => Err(Refusal::RoleClash),
                    _ => Ok(Role::Passive),
                };
                assert_eq!(answered, wanted, "{setup:?}");
            }
        }
    }

    #[test]
    fn a_setup_is_read_in_any_case_and_only_if_it_is_one() {
        assert_eq!(Setup::of_word(" ActPass "), Some(Setup::Actpass));
        assert_eq!(Setup::of_word("both"), None);
    }
}
