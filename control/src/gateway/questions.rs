//! Questions that several browsers have at the same time, and that the peer is asked once.

use std::collections::HashMap;

use super::bridge::BridgeId;
use crate::sip::ClientId;

/// Requests without dialog that are under way, and who else waits for their answers.
#[derive(Debug, Default)]
pub struct Questions {
    by_text: HashMap<String, ClientId>,
    asked: HashMap<ClientId, Question>,
}

#[derive(Debug)]
struct Question {
    text: String,
    /// Who waits beside the bridge that has asked.
    others: Vec<BridgeId>,
}

impl Questions {
    /// One more waits for the answer to a question that was asked already. `None`: it was not.
    pub fn join(&mut self, text: &str, id: BridgeId) -> Option<ClientId> {
        let client = *self.by_text.get(text)?;
        self.asked.get_mut(&client)?.others.push(id);
        Some(client)
    }

    /// A question was asked.
    pub fn asked(&mut self, text: String, client: ClientId) {
        self.by_text.insert(text.clone(), client);
        let others = Vec::new();
        self.asked.insert(client, Question { text, others });
    }

    /// It has its answer: who waits for that beside the one who asked.
    pub fn answered(&mut self, client: ClientId) -> Vec<BridgeId> {
        let Some(question) = self.asked.remove(&client) else {
            return Vec::new();
        };
        self.by_text.remove(&question.text);
        question.others
    }

    /// One does not wait any more.
    pub fn left(&mut self, client: ClientId, id: BridgeId) {
        if let Some(question) = self.asked.get_mut(&client) {
            question.others.retain(|other| *other != id);
        }
    }

    /// The one who asked does not wait any more: who takes its place. `None`: nobody.
    pub fn heir(&mut self, client: ClientId) -> Option<BridgeId> {
        let question = self.asked.get_mut(&client)?;
        if question.others.is_empty() {
            self.answered(client);
            return None;
        }
        Some(question.others.remove(0))
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.asked.len()
    }
}
