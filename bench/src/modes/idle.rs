//! `causeway-bench idle`: what a session costs that says nothing.
//!
//! So many sessions are bound, with real connections, and left alone. What the relay's process and
//! the kernel have more than before is divided by their number. Both ends of each connection are on
//! this machine, so the kernel's part is that of the peers, too.
//!
//! Some of the relay's memory is there once, however many sessions there are: pages of the pools that the
//! first of them touch. What one session more costs is told by the difference from a quarter of them.

use std::fmt;
use std::net::IpAddr;
use std::process::ExitCode;
use std::time::Duration;

use link::Counter;
use serde::Serialize;

use super::memory::Memory;
use super::{Outcome, run};
use crate::load::{Faults, Held, Legs, Load, Offer, Place, Whereabouts, hold};

/// Bind sessions, let them be idle, and see what memory they take.
///
/// Exit status 0: all were bound and all memory that is counted came back. 1: not so. 2: nothing could
/// be measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// Sessions, each with two connections.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sessions: u32,
    /// How the legs travel, A (the browser's side) first: ws, wss, tcp or tls.
    #[arg(long, value_name = "LEGS", default_value = "ws-tcp")]
    legs: Legs,
    /// Seconds that they are left alone before the look.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    duration: f64,
    /// Own addresses to connect from, in turns: each has some 28000 ports.
    #[arg(
        long,
        value_name = "ADDRESSES",
        value_delimiter = ',',
        default_value = "127.0.0.1"
    )]
    sources: Vec<IpAddr>,
    #[command(flatten)]
    place: Whereabouts,
}

/// The result.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Sessions.
    pub sessions: u32,
    /// How their legs travelled.
    pub legs: Legs,
    /// Before there was any.
    pub before: Memory,
    /// When all were bound.
    pub idle: Memory,
    /// When all had ended.
    pub after: Memory,
    /// Memory of the relay's process for a session, in KiB.
    pub relay_kib_per_session: f64,
    /// What one session more costs the relay's process, in KiB: what all cost beyond a quarter of them,
    /// divided by the other three quarters.
    pub relay_kib_per_further_session: f64,
    /// The kernel's for a session, in KiB: both ends of both connections.
    pub kernel_kib_per_session: f64,
    /// Receive buffers that the relay held meanwhile.
    pub buffers_held: u64,
    /// Heap memory of the relay's shards meanwhile, in KiB.
    pub relay_heap_kib: u64,
    /// Gauges of the relay that are not zero after the end and must be.
    pub left_over: Vec<(&'static str, u64)>,
    /// What went wrong.
    pub faults: Faults,
}

/// Measures.
pub fn main(arguments: &Arguments) -> ExitCode {
    run("idle", &arguments.place, |place| measure(arguments, place))
}

fn measure(arguments: &Arguments, place: &Place) -> Result<Report, String> {
    let duration = crate::load::seconds(arguments.duration, 0.1);
    let silence = duration.ok_or("--duration: from 0.1 to 86400 seconds are possible")?;
    let quarter = arguments.sessions.div_ceil(4);
    let some = look(arguments, place, quarter, silence)?;
    let all = look(arguments, place, arguments.sessions, silence)?;
    let mut faults = some.faults.clone();
    faults.add(all.faults.clone());
    let more = all.used(|memory| memory.relay_kib) - some.used(|memory| memory.relay_kib);
    let further = f64::from((arguments.sessions - quarter).max(1));
    let each = |used: f64| used / f64::from(arguments.sessions);
    Ok(Report {
        sessions: arguments.sessions,
        legs: arguments.legs,
        relay_kib_per_session: each(all.used(|memory| memory.relay_kib)),
        relay_kib_per_further_session: more / further,
        kernel_kib_per_session: each(all.used(|memory| memory.slab_kib)),
        buffers_held: all.buffers_held,
        relay_heap_kib: all.relay_heap_kib,
        before: all.before,
        idle: all.idle,
        after: all.after,
        left_over: [some.left_over, all.left_over].concat(),
        faults,
    })
}

/// What was seen of so many sessions.
#[derive(Default)]
struct Seen {
    before: Memory,
    idle: Memory,
    after: Memory,
    buffers_held: u64,
    relay_heap_kib: u64,
    left_over: Vec<(&'static str, u64)>,
    faults: Faults,
}

impl Seen {
    /// What the sessions took, in KiB.
    fn used(&self, of: fn(&Memory) -> u64) -> f64 {
        of(&self.idle) as f64 - of(&self.before) as f64
    }
}

/// Binds so many sessions to a relay of their own, and looks before, when all have been silent for a while, and after.
fn look(
    arguments: &Arguments,
    place: &Place,
    sessions: u32,
    silence: Duration,
) -> Result<Seen, String> {
    let offer = Offer {
        load: Load::closed(300, sessions, 1, arguments.legs),
        duration: Duration::ZERO,
        warm_up: silence,
        cores: place.cores.clone(),
        progress: place.progress,
    };
    let mut seen = Seen::default();
    let faults = hold(
        &offer,
        &place.relay,
        &arguments.sources,
        &mut |held, relay, stub| {
            let memory = Memory::look(relay);
            match held {
                Held::Before => seen.before = memory,
                Held::Idle => {
                    seen.idle = memory;
                    seen.buffers_held = stub.counter(Counter::BuffersHeld);
                    seen.relay_heap_kib = stub.counter(Counter::AllocatedBytes) / 1024;
                }
                Held::After => {
                    seen.after = memory;
                    seen.left_over = Counter::left_over(|gauge| stub.counter(gauge));
                }
            }
        },
    )?;
    seen.faults = faults;
    Ok(seen)
}

impl Outcome for Report {
    fn is_good(&self) -> bool {
        self.faults.total() == 0 && self.left_over.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sessions, legs) = (self.sessions, self.legs);
        writeln!(f, "sessions    {sessions}, {legs}, all idle")?;
        writeln!(f, "KiB              before      idle     after  a session")?;
        let row = |of: fn(&Memory) -> u64| {
            let [before, idle, after] = [&self.before, &self.idle, &self.after].map(of);
            let each = (idle as f64 - before as f64) / f64::from(sessions);
            format!("{before:>9} {idle:>9} {after:>9} {each:>10.2}")
        };
        writeln!(f, "relay (PSS)   {}", row(|memory| memory.relay_kib))?;
        writeln!(f, "kernel slab   {}", row(|memory| memory.slab_kib))?;
        writeln!(f, "TCP queues    {}", row(|memory| memory.tcp_queues_kib))?;
        writeln!(
            f,
            "relay       {:.2} KiB for one session more",
            self.relay_kib_per_further_session
        )?;
        let (buffers, heap) = (self.buffers_held, self.relay_heap_kib);
        writeln!(
            f,
            "relay       {buffers} receive buffers held, {heap} KiB of heap while idle"
        )?;
        match (self.faults.total(), self.left_over.is_empty()) {
            (0, true) => write!(
                f,
                "verdict     good: all were bound, and nothing is left over"
            ),
            (0, false) => write!(f, "verdict     BAD, left over: {:?}", self.left_over),
            _ => write!(f, "verdict     BAD: {}", self.faults),
        }
    }
}
