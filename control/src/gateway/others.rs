//! What one session of a user's is told because of another one's subsession.

use super::bridge::{Branch, BridgeId};
use super::carry_out::frame;
use super::{Gateway, Turn};
use crate::script::OutWeb;

impl Gateway {
    /// Tells those sessions of the user that a subsession is not of. For each the message stands alone: nobody has a
    /// subsession by it.
    pub(super) fn tell_others(&mut self, id: BridgeId, web: &OutWeb, turn: &mut Turn<'_>) {
        let Some(bridge) = self.bridges.get(&id) else {
            return;
        };
        for session in self.sessions_for(&bridge.user, &bridge.package) {
            if bridge
                .branches
                .iter()
                .any(|branch| branch.session == session)
            {
                continue;
            }
            let branch = Branch::new(session, self.random.uuid(), String::new());
            let frame = frame(
                &bridge.package,
                &branch,
                web,
                &bridge.peer,
                &bridge.user,
                None,
            );
            self.browsers.send(session, frame, turn.now, &mut self.web);
        }
    }
}
