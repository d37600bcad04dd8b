//! Has certificates read anew, by a thread that may take its time over files.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use super::Shard;
use crate::ring::Ring;

/// Asks the reading thread. One for all shards, cloned.
#[derive(Clone, Debug)]
pub struct Reload {
    asked: Arc<AtomicU64>,
    /// Of what was asked last before the last reading began: its number, twice, and 1 if all could
    /// be read.
    done: Arc<AtomicU64>,
    wake: Sender<()>,
}

/// The reading thread's end.
#[derive(Debug)]
pub struct Reloads {
    reload: Reload,
    wakes: Receiver<()>,
}

impl Reload {
    /// Both ends.
    pub fn new() -> (Reload, Reloads) {
        let (wake, wakes) = channel();
        let reload = Reload {
            asked: Arc::default(),
            done: Arc::default(),
            wake,
        };
        (reload.clone(), Reloads { reload, wakes })
    }

    /// Asks; the number by which the outcome is known.
    pub fn ask(&self) -> u64 {
        let number = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        // The thread lives as long as the process; were it gone, nothing would ever be done.
        let _ = self.wake.send(());
        number
    }

    /// Whether all could be read, once what was asked under this number is done.
    pub fn outcome(&self, number: u64) -> Option<bool> {
        let done = self.done.load(Ordering::Acquire);
        (done >> 1 >= number).then_some(done & 1 == 1)
    }
}

impl Reloads {
    /// Reads whenever it is asked, for ever; `read` says whether all could be read.
    pub fn serve(self, mut read: impl FnMut() -> bool, mut tell: impl FnMut()) {
        while self.wakes.recv().is_ok() {
            // Several that have asked are served by one reading that begins now.
            while self.wakes.try_recv().is_ok() {}
            let number = self.reload.asked.load(Ordering::Acquire);
            let is_complete = read();
            let done = number << 1 | u64::from(is_complete);
            self.reload.done.store(done, Ordering::Release);
            tell();
        }
    }
}

impl<R: Ring> Shard<R> {
    /// Control wants certificates read anew.
    pub(super) fn reload(&mut self, token: u64) {
        match &self.settings.reload {
            Some(reload) => self.reloading = Some((token, reload.ask())),
            // There are none: all of them could be read.
            None => self.reports.reloaded(token, true),
        }
    }

    /// Tells control when it is done.
    pub(super) fn look_after_reload(&mut self) {
        if let Some((token, number)) = self.reloading
            && let Some(reload) = &self.settings.reload
            && let Some(is_complete) = reload.outcome(number)
        {
            self.reloading = None;
            self.reports.reloaded(token, is_complete);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_while_reading_is_not_taken_for_done() {
        let (reload, reloads) = Reload::new();
        let first = reload.ask();
        let asker = reload.clone();
        let (tell, told) = channel();
        let mut seconds = Vec::new();
        std::thread::spawn(move || {
            reloads.serve(
                || {
                    seconds.push(asker.ask());
                    seconds.len() == 1
                },
                || {
                    let _ = tell.send(());
                },
            );
        });
        assert_eq!(told.recv(), Ok(()));
        assert!(reload.outcome(first).is_some());
        // Each reading has asked once more, and so there is always one that is not done.
        assert_eq!(told.recv(), Ok(()));
        assert_eq!(reload.outcome(first + 1), Some(false));
        assert_eq!(reload.outcome(u64::MAX >> 1), None);
    }
}
