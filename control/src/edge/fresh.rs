//! When files are to be read anew: at SIGHUP, and when they have changed and are at rest.

use std::future::pending;
use std::time::{Duration, SystemTime};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often files are looked at. What has changed is read when it is the same at the next look: an
/// editor, or a copy of many files, is done then.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// A file from outside: its length and last change.
pub type About = (u64, Option<SystemTime>);

/// Of a file, what can be seen of it without reading it.
pub fn about(metadata: &std::fs::Metadata) -> About {
    (metadata.len(), metadata.modified().ok())
}

/// Watches files of which `L` is what they look like.
pub struct Fresh<L> {
    /// `None`: it can't be waited for.
    hangup: Option<Signal>,
    looks: Interval,
    /// As they were when they were last read.
    used: L,
    /// As they were at the last look.
    seen: L,
}

impl<L: Clone + PartialEq> Fresh<L> {
    /// `used` is what they looked like before they were read.
    pub fn new(used: L) -> Fresh<L> {
        let hangup = signal(SignalKind::hangup())
            .inspect_err(|error| tracing::error!("cannot wait for SIGHUP: {error}"));
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Fresh {
            hangup: hangup.ok(),
            looks,
            seen: used.clone(),
            used,
        }
    }

    /// Waits until they are to be read. May be given up at any time.
    pub async fn stale<F: Future<Output = L>>(&mut self, look: impl Fn() -> F) {
        loop {
            tokio::select! {
                () = hung_up(&mut self.hangup) => {
                    self.seen = look().await;
                    return;
                }
                _ = self.looks.tick() => {
                    let now = look().await;
                    let is_still = now == self.seen;
                    self.seen = now;
                    if is_still && self.seen != self.used {
                        return;
                    }
                }
            }
        }
    }

    /// They are read now.
    pub fn taken(&mut self) {
        self.used.clone_from(&self.seen);
    }
}

async fn hung_up(hangup: &mut Option<Signal>) {
    match hangup {
        Some(hangup) => drop(hangup.recv().await),
        None => pending().await,
    }
}
