//! `causeway-bench media`: a load over a relay, every octet checked.
//!
//! ```text
//! settings ▶ process (the relay) ▶ stub (its control) ▶ executors: a crew of sessions each ▶ report
//! crew: poller ▶ line (TCP, TLS, WebSocket) ▶ session ▶ checker;  schedule ▶ session ▶ line
//! ```
//! The generator shares only the link's vocabulary with the relay: its MSRP is that of the bench,
//! its frame heads are tungstenite's, its TLS is rustls' own, its threads are glommio's. The same
//! load can be offered to a forwarder, which knows no sessions (`through`).

mod chance;
mod checker;
mod crew;
mod executor;
mod framing;
mod line;
mod offer;
mod phase;
mod place;
mod plan;
mod poller;
mod process;
mod report;
mod run;
mod schedule;
mod session;
mod settings;
mod strangers;
mod stub;
mod subject;
mod tally;
#[cfg(test)]
mod tests;
mod through;
mod tls;
mod traffic;

use std::process::ExitCode;

use rustix::process::{Resource, getrlimit, setrlimit};

pub use checker::Faults;
pub use line::{Line, Progress, Received, Target};
pub use offer::{Arrivals, Legs, Load, Offer, Pace, SIZE_MAX, SIZE_MIN, Sizes, Stalled};
pub use phase::{Limits, Phase, Shared};
pub use place::{Place, Relay, Whereabouts, beside_this_program, write_json};
pub use poller::Poller;
pub use process::{Forwarder, Front, Process, Relaying};
#[cfg(test)]
pub use report::tests::report as sample_report;
pub use report::{Latency, Report, Verdict};
pub use run::{Held, hold, run, run_through};
pub use session::{Session, Turn};
pub use settings::{Arguments, Wrong, seconds};
pub use stub::Stub;
pub use subject::Subject;
pub use tally::Tally;
pub use tls::Client;
pub use traffic::Pattern;

/// Descriptors beside two for each session.
const DESCRIPTORS_SPARE: u64 = 256;

/// Runs one load.
pub fn main(arguments: Arguments) -> ExitCode {
    let settings = match arguments.check(machine_cores()) {
        Ok(settings) => settings,
        Err(wrong) => return refuse(&wrong.to_string()),
    };
    let report = match run(&settings.offer, &settings.place.relay) {
        Ok(report) => report,
        Err(why) => return refuse(&why),
    };
    println!("{report}");
    if let Err(why) = settings.place.write(&report) {
        return refuse(&why);
    }
    exit_code(&report.verdict)
}

/// How the program ends.
pub fn exit_code(verdict: &Verdict) -> ExitCode {
    match verdict {
        Verdict::Good => ExitCode::SUCCESS,
        Verdict::Bad => ExitCode::FAILURE,
        Verdict::None(_) => ExitCode::from(3),
    }
}

/// How many cores this machine has.
pub fn machine_cores() -> usize {
    std::fs::read_dir("/sys/devices/system/cpu").map_or(1, |entries| {
        let names = entries.flatten().map(|entry| entry.file_name());
        names
            .filter(|name| is_core(&name.to_string_lossy()))
            .count()
            .max(1)
    })
}

fn is_core(name: &str) -> bool {
    let number = name.strip_prefix("cpu");
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("causeway-bench media: {why}");
    ExitCode::from(2)
}

/// Two connections for each session need descriptors. What is started afterwards may open as many.
pub fn raise_descriptors(sessions: u32) -> Result<(), String> {
    let needed = 2 * u64::from(sessions) + DESCRIPTORS_SPARE;
    let mut limit = getrlimit(Resource::Nofile);
    // `None` is no limit at all.
    let (soft, hard) = (
        limit.current.unwrap_or(u64::MAX),
        limit.maximum.unwrap_or(u64::MAX),
    );
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        return Err(format!(
            "{sessions} sessions need {needed} open files, and {hard} are allowed: raise it with \
             `ulimit -Hn {needed}` as root, or ask for fewer --sessions"
        ));
    }
    limit.current = Some(needed.max(hard.min(1 << 20)));
    let raised = setrlimit(Resource::Nofile, limit);
    raised.map_err(|error| format!("the limit of open files can't be raised: {error}"))
}
