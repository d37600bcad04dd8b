//! One thread of the generator: a glommio executor on its own core, which turns its crew.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use glommio::{LocalExecutorBuilder, Placement};
use rustix::thread::set_current_timer_slack;

use super::crew::{Crew, Route};
use super::offer::Load;
use super::phase::Shared;
use super::tally::Tally;

/// How long a thread sleeps that found nothing to do, in a closed load: long enough to leave the
/// core to others, short beside the time a round of messages takes. In an open load it looks again
/// at once, so that a message is sent when it is due and taken when it is there.
const IDLE: Duration = Duration::from_micros(20);
/// After which the executor would have its tasks take turns: never, for there is one.
///
/// It must not come while the executor looks for work. If it does, and under load that is a matter
/// of time, glommio 0.9.0 takes a queue it has not looked into for an empty one and sleeps for good,
/// with the task in it. For the same reason the task does not yield: the thread is its own.
const PREEMPTION: Duration = Duration::from_secs(1 << 20);

/// One thread.
pub struct Executor(glommio::ExecutorJoinHandle<Result<Tally, String>>);

impl Executor {
    /// Starts thread number `number` on `core`; its sessions come by `route`.
    pub fn start(
        number: usize,
        core: usize,
        route: Route,
        load: Load,
        shared: Arc<Shared>,
    ) -> Result<Executor, String> {
        LocalExecutorBuilder::new(Placement::Fixed(core))
            .name(&format!("load-{core}"))
            .io_memory(64 << 10)
            .preempt_timer(PREEMPTION)
            .spawn(move || async move {
                let result = run(number, route, &load, shared.clone());
                shared.ended.fetch_add(1, Ordering::AcqRel);
                result
            })
            .map(Executor)
            .map_err(|error| {
                format!("can't start a thread on core {core}: {error} (see `ulimit -l`: 512 KiB)")
            })
    }

    /// Waits for what it counted.
    pub fn join(self) -> Result<Tally, String> {
        self.0
            .join()
            .map_err(|error| format!("a thread died: {error}"))?
    }
}

fn run(number: usize, route: Route, load: &Load, shared: Arc<Shared>) -> Result<Tally, String> {
    // Else the kernel may wake the thread 50 us late. Where it can't be set, it may.
    let _ = set_current_timer_slack(NonZeroU64::new(1000));
    let mut crew = Crew::new(number, route, load, shared)?;
    while !crew.is_over() {
        if !crew.turn()? && !crew.is_on_time() {
            std::thread::sleep(IDLE);
        }
    }
    Ok(crew.finish())
}
