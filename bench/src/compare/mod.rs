//! `causeway-bench compare`: the same load through several relays, in turns.
//!
//! ```text
//! settings ▶ turns: load × round × relay ▶ load::run, load::run_through ▶ table, JSON
//! ```
//! What counts is the time that the kernel says a relay's process has spent on its core for each
//! message, and its ratio to that of the byte relay in the same round: it holds on a machine that
//! is not quiet. Relays take turns within a round, and who begins moves on by one each round. The
//! browser's way, WSS in and TCP out, is compared with the same floor, in clear text. Not here: open
//! load.

mod forwarders;
mod kamailio;
mod settings;
mod table;
mod turns;

use std::process::ExitCode;

use settings::Settings;
pub use settings::{Arguments, Case, Relay};
pub use table::{Comparison, Row};
pub use turns::Turn;
use turns::Turns;

use crate::machine::{Machine, Watch};

/// Compares.
pub fn main(arguments: Arguments) -> ExitCode {
    let cores = crate::load::machine_cores();
    match arguments
        .check(cores)
        .and_then(|settings| compare(&settings, cores))
    {
        Ok(comparison) if comparison.is_good() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("causeway-bench compare: {why}");
            ExitCode::from(2)
        }
    }
}

fn compare(settings: &Settings, cores: usize) -> Result<Comparison, String> {
    let mut machine = Machine::look(cores, &settings.program);
    let turns = Turns::new(settings, &machine);
    let watch = Watch::start();
    let done = turns.take_all();
    machine.finish(&watch);
    let comparison = Comparison::new(settings, machine, turns.absent(), done);
    println!("{comparison}");
    if let Some(path) = &settings.json {
        let json = serde_json::to_string(&comparison).map_err(|error| error.to_string())?;
        let written = std::fs::write(path, json + "\n");
        written.map_err(|error| format!("can't write {}: {error}", path.display()))?;
    }
    Ok(comparison)
}
