//! Session-configs: which one a leg is made with. A script chooses by name at the message that carries the
//! offer; without a word from it there is one for browsers and one for handsets.

use std::sync::Arc;

use link::{Leg, LegSpec};

use super::super::{Gateway, LegConfig};
use super::{legs_of, source_of};
use crate::script::Outbound;
use crate::sdp::Transport;

/// The session-config toward browsers, where none is named.
pub const BROWSER: &str = "browser";

/// The session-config toward handsets, where none is named.
pub const HANDSET: &str = "handset";

/// Those of leg A and leg B of one session.
#[derive(Clone, Debug)]
pub(super) struct SessionConfigs(Arc<[(String, LegConfig); 2]>);

impl SessionConfigs {
    /// What carries a leg.
    pub fn transport(&self, leg: Leg) -> Transport {
        match self.0[leg.index()].1.transport {
            link::Transport::Ws => Transport::Ws,
            link::Transport::Wss => Transport::Wss,
            link::Transport::Tcp => Transport::Tcp,
            link::Transport::Tls => Transport::Tls,
        }
    }

    /// Their names.
    pub fn names(&self) -> [String; 2] {
        [0, 1].map(|leg: usize| self.0[leg].0.clone())
    }

    /// What the relay is asked for; nobody needs to have come for `bind_ms`.
    pub fn specs(&self, bind_ms: u32) -> [LegSpec<'_>; 2] {
        let [a, b] = &*self.0;
        [a, b].map(|(_, config)| LegSpec {
            realm: &config.realm,
            user_timeout_ms: config.user_timeout_ms,
            proof: config.proof,
            policy: config.policy,
            ..LegSpec::new(config.transport, bind_ms)
        })
    }
}

impl Gateway {
    /// The session-configs that a message with an offer asks for. `None`: there is none of that name.
    pub(super) fn session_configs(&self, offer: &Outbound) -> Option<SessionConfigs> {
        let (from, to) = legs_of(offer);
        let [a, b] = match source_of(offer) {
            Leg::A => [from, to],
            Leg::B => [to, from],
        };
        self.session_configs_named([a.unwrap_or(BROWSER), b.unwrap_or(HANDSET)])
    }

    /// Those of these names, for leg A and leg B. `None`: one of them is not there.
    pub(super) fn session_configs_named(&self, names: [&str; 2]) -> Option<SessionConfigs> {
        let named = |name: &str| {
            let (name, config) = self.settings.legs.get_key_value(name)?;
            Some((name.clone(), config.clone()))
        };
        let [a, b] = names.map(named);
        Some(SessionConfigs(Arc::new([a?, b?])))
    }
}
