//! Requests that were passed on and wait for their response: remembered, found again, forgotten.

use link::Leg;

use super::failure::Account;
use super::pending::{Acknowledgement, Answered};
use super::{LegStage, OWN_TRANSACTION, Request, Sessions};
use crate::limits::PENDING_PER_DIRECTION_MAX;

/// A request that is passed on and will be answered.
pub(super) struct Asked<'a> {
    pub(super) is_send: bool,
    pub(super) transaction: &'a [u8],
    /// From-Path, if it is not the one that is known.
    pub(super) from_path: Option<&'a [u8]>,
    /// Mark of the message that it carries a chunk of.
    pub(super) message: u64,
    /// What a REPORT on it would say.
    pub(super) account: Option<Account>,
    /// Its sender waits for a 200.
    pub(super) wants_200: bool,
}

impl Sessions {
    /// Remembers a request for its response. At the bounds it is not remembered but counted: a
    /// response that no request is found for then goes back by the path that is known. Not to read
    /// on instead would not do: responses stand in line behind requests, and two legs that waited
    /// for each other's would wait for ever.
    pub(super) fn remember(&mut self, index: u32, leg: Leg, asked: &Asked<'_>) -> Option<u32> {
        let waiting = self[index].pending.counts[leg.index()];
        let is_full = self.pending.is_full() || waiting >= PENDING_PER_DIRECTION_MAX;
        // From-Path is nearly always what the peer's session description said, and not kept.
        let kept = match asked.from_path {
            Some(path) if !is_full && self.texts.has_spare() => self.texts.put(path).map(Some),
            Some(_) => None,
            None => Some(None),
        };
        match kept {
            Some(from_path) if !is_full => {
                let switches = self[index].legs[leg.index()].policy.switches;
                let mut account = None;
                if asked.is_send && (switches.local_acknowledgement || switches.report_only) {
                    account = self.put_account(asked.account.as_ref());
                }
                // What could not be reported on later is not vouched for now.
                let is_ours = switches.local_acknowledgement && asked.wants_200;
                let acknowledgement = match account {
                    Some(_) if is_ours => Acknowledgement::Due,
                    _ => Acknowledgement::Theirs,
                };
                let request = Request {
                    session: index,
                    from: leg,
                    is_send: asked.is_send,
                    from_path,
                    message: asked.message,
                    account,
                    acknowledgement,
                };
                let mut list = self[index].pending;
                let number = self.pending.insert(&mut list, request, asked.transaction);
                self[index].pending = list;
                self[index].legs[leg.index()].open_request = Some(number);
                Some(number)
            }
            _ => {
                let from = &mut self[index].legs[leg.index()];
                from.unremembered += 1;
                from.unremembered_until = u64::MAX;
                None
            }
        }
    }

    /// The request that a response from the other leg answers.
    pub(super) fn recall(
        &mut self,
        index: u32,
        asker: Leg,
        transaction: &[u8],
    ) -> Option<Answered> {
        let mut list = self[index].pending;
        let found = self.pending.take(&mut list, index, asker, transaction);
        self[index].pending = list;
        if let Some(answered) = &found {
            let open = &mut self[index].legs[asker.index()].open_request;
            if *open == Some(answered.number) {
                // Answered before all of it has come.
                *open = None;
            }
            return found;
        }
        if transaction.starts_with(OWN_TRANSACTION) {
            return None;
        }
        let now = self.now;
        let from = &mut self[index].legs[asker.index()];
        if now >= from.unremembered_until {
            from.unremembered = 0;
        }
        from.unremembered = from.unremembered.checked_sub(1)?;
        let request = Request {
            session: index,
            from: asker,
            is_send: true,
            from_path: None,
            message: 0,
            account: None,
            acknowledgement: Acknowledgement::Theirs,
        };
        Some(Answered {
            request,
            number: u32::MAX,
            renamed_from: None,
        })
    }

    /// Forgets requests whose response has not come in time. RFC 4975, 7.1.1: their senders count
    /// the same 30 s, so nobody needs to be told, but for whom we have acknowledged a request: that
    /// is to be reported on.
    pub fn expire_pending(&mut self, now: u64) -> Option<Request> {
        self.now = now;
        while let Some(session) = self.pending.expired(now) {
            let oldest = self.pending.oldest()?;
            let is_ours = oldest.acknowledgement == Acknowledgement::Sent;
            let asker = &self[session].legs[oldest.from.index()];
            if is_ours && matches!(asker.stage, LegStage::Detached(_)) {
                // Who asked may come back to hear it.
                self.pending.postpone(now);
                continue;
            }
            let mut list = self[session].pending;
            let request = self.pending.take_oldest(&mut list);
            self[session].pending = list;
            if is_ours {
                return Some(request);
            }
            self.let_go(&request);
        }
        None
    }
}
