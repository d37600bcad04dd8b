//! The thread of a shard: pinned to its core, one ring, one loop.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use link::{Command, Counter, Record, ShardEnd};

use super::{Random, Settings, Shard};
use crate::limits::COMMANDS_PER_TURN;
use crate::ring::probe::Features;
use crate::ring::{Ring, Uring, allocations_of_this_thread, pin_to_core};

/// Where the main thread leaves the end of a new attachment for the shard to find.
#[derive(Clone, Default)]
pub struct Inbox {
    end: Arc<Mutex<Option<ShardEnd>>>,
    full: Arc<AtomicBool>,
}

impl Inbox {
    /// Leaves an end; the shard is woken by its bell. An end left before and not yet found is
    /// dropped: its control has been succeeded.
    pub fn put(&self, end: ShardEnd) {
        if let Ok(mut place) = self.end.lock() {
            *place = Some(end);
        }
        self.full.store(true, Ordering::Release);
    }

    fn take(&self) -> Option<ShardEnd> {
        // One load in the common case; the lock is only taken when something is there.
        if !self.full.load(Ordering::Acquire) {
            return None;
        }
        self.full.store(false, Ordering::Relaxed);
        self.end.lock().ok()?.take()
    }
}

/// What a shard's thread is started with.
pub struct Start {
    /// The core it is bound to.
    pub core: usize,
    /// The shard's sizes and addresses.
    pub settings: Settings,
    /// What the kernel offers.
    pub features: Features,
    /// Control's bell, in a form the ring can wait for.
    pub waker: OwnedFd,
    /// Where attachments arrive.
    pub inbox: Inbox,
}

/// Runs a shard for ever; returns only if it cannot be set up, or if the kernel refuses the ring.
/// `ready` is called when it serves.
pub fn run(start: Start, ready: impl FnOnce()) -> io::Result<()> {
    pin_to_core(start.core)?;
    let settings = start.settings;
    let memory = settings.memory()?;
    let listeners = settings.listeners();
    let mut ring = Uring::new(
        &memory,
        settings.buffers,
        settings.connections,
        listeners,
        settings.busy_poll_us,
        start.features,
    )?;
    ring.watch(start.waker.as_fd().try_clone_to_owned()?)?;
    let random: Random = Box::new(|octets| {
        if let Err(error) = getrandom::fill(octets) {
            // Without it no path would be secret; nothing can be served.
            panic!("the kernel gives no random octets: {error}");
        }
    });
    let mut shard = Shard::new(settings, ring, memory, random);
    let mut end: Option<ShardEnd> = None;
    let mut record = Record::new();
    let epoch = Instant::now();
    let (allocations_at_start, _) = allocations_of_this_thread();
    ready();
    loop {
        let now = epoch.elapsed().as_millis() as u64;
        if let Some(new) = start.inbox.take() {
            shard.attached();
            end = Some(new);
        }
        let commands_wait = match &mut end {
            Some(end) => shard.take_commands(end, &mut record, now),
            None => false,
        };
        shard.work(now);
        if let Some(end) = &mut end {
            shard.give_events(end, &mut record);
            let (allocations, _) = allocations_of_this_thread();
            shard.count_allocations(allocations - allocations_at_start);
            end.counters.publish(shard.metrics().values());
        }
        let wait = shard.may_sleep(end.as_mut(), commands_wait, now);
        shard.enter(wait)?;
        if let Some(end) = &mut end {
            end.commands.awake();
        }
    }
}

impl<R: Ring> Shard<R> {
    /// Carries out commands of control's; whether more may wait.
    pub fn take_commands(&mut self, end: &mut ShardEnd, record: &mut Record, now: u64) -> bool {
        for _ in 0..COMMANDS_PER_TURN {
            if !self.takes_commands() {
                // Control must read what it was told first, and rings when it has.
                return false;
            }
            match end.commands.pop(record) {
                Ok(true) => {}
                // Corrupt: control has lost its mind; its successor will attach anew.
                Ok(false) | Err(_) => return false,
            }
            match Command::decode(record) {
                Ok(command) => self.command(&command, now),
                Err(_) => self.count(Counter::CommandsInvalid),
            }
        }
        true
    }

    /// Tells control what there is to tell, as far as there is room.
    pub fn give_events(&mut self, end: &mut ShardEnd, record: &mut Record) {
        let mut any = false;
        while let Some(told) = self.next_event(record) {
            if end.events.push_quiet(record).is_err() {
                self.count(Counter::EventsDeferred);
                break;
            }
            self.told(told);
            self.count(Counter::Events);
            any = true;
        }
        if any {
            end.events.wake_if_sleeping();
        }
    }

    /// For how long the shard may sleep if nothing completes and its bell is not rung; `None`: until then.
    /// Whoever wakes it says [`awake`](link::Receiver::awake).
    pub fn may_sleep(
        &mut self,
        end: Option<&mut ShardEnd>,
        commands_wait: bool,
        now: u64,
    ) -> Option<Duration> {
        if commands_wait {
            return Some(Duration::ZERO);
        }
        // While no command may be taken, commands that wait are no reason to stay awake: control
        // rings when it has read what it was told.
        if let Some(end) = end
            && self.takes_commands()
            && !end.commands.sleep()
        {
            return Some(Duration::ZERO);
        }
        let due = self.deadline()?;
        Some(Duration::from_millis(due.saturating_sub(now)))
    }
}
