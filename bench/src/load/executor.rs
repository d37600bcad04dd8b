//! One thread of the generator: a glommio executor on its own core, which turns its crew.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use glommio::{LocalExecutorBuilder, Placement, yield_if_needed};
use rustix::thread::set_current_timer_slack;

use super::crew::{Crew, Route};
use super::offer::Load;
use super::phase::Shared;
use super::tally::Tally;

/// How long a thread sleeps that found nothing to do, in a closed load: long enough to leave the
/// core to others, short beside the time a round of messages takes. In an open load it looks again
/// at once, so that a message is sent when it is due and taken when it is there.
///
/// It is the thread that sleeps and not a timer of glommio's: those are now and then lost under
/// load (version 0.9.0 on Linux 6.18: it waits in its main ring, and the ring with the timer does
/// not wake it), and the thread has no other task.
const IDLE: Duration = Duration::from_micros(20);

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
            .preempt_timer(Duration::from_millis(1))
            .spawn(move || async move {
                let result = run(number, route, &load, shared.clone()).await;
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

async fn run(
    number: usize,
    route: Route,
    load: &Load,
    shared: Arc<Shared>,
) -> Result<Tally, String> {
    // Else the kernel may wake the thread 50 us late. Where it can't be set, it may.
    let _ = set_current_timer_slack(NonZeroU64::new(1000));
    let mut crew = Crew::new(number, route, load, shared)?;
    while !crew.is_over() {
        if crew.turn()? || crew.is_on_time() {
            yield_if_needed().await;
        } else {
            std::thread::sleep(IDLE);
        }
    }
    Ok(crew.finish())
}
