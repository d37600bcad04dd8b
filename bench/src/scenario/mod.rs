//! `causeway-bench run`: scenarios, which say what is offered and what counts as a pass.
//!
//! ```text
//! file ▶ read (every word checked, line and column) ▶ steps: a mode of this program each ▶ its JSON
//!      ▶ demands ▶ outcome: table, JSON, page
//! ```
//! A step is a run of this same program, with options named as on its command line, so that what a
//! scenario does can be done by hand, too. Not here: what a mode measures, and how.

mod demand;
mod outcome;
mod read;
mod run;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

pub use outcome::Outcomes;
use read::Scenario;
use serde_json::Value;

use crate::machine::{Machine, Watch};

/// Octets of a scenario's file.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Run scenarios, and judge them by what their files demand.
///
/// Exit status 0: everything that is demanded held. 1: something did not. 2: a scenario is wrong,
/// or a step could not be run. 3: no verdict, because the generator was the bottleneck.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The scenarios' files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Only check the files.
    #[arg(long)]
    check: bool,
    /// Write what was measured to this file, for `causeway-bench report`.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Say nothing until the table is there.
    #[arg(long)]
    quiet: bool,
}

/// What steps can do.
pub struct Modes {
    /// This program's command line.
    pub program: clap::Command,
    /// A result with the figures that a run with these words has; `None` if there is no such run.
    pub sample: fn(&[String]) -> Option<Value>,
}

/// Runs them.
pub fn main(arguments: &Arguments, modes: &Modes) -> ExitCode {
    match run_all(arguments, modes) {
        Ok(Some(outcomes)) => outcomes.verdict().exit_code(),
        Ok(None) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("causeway-bench run: {why}");
            ExitCode::from(2)
        }
    }
}

fn run_all(arguments: &Arguments, modes: &Modes) -> Result<Option<Outcomes>, String> {
    // All are read before the first is run: an hour later is too late to hear of a wrong word.
    let read = |path: &PathBuf| {
        let failed = |error: std::io::Error| format!("can't read {}: {error}", path.display());
        if fs::metadata(path).map_err(failed)?.len() > FILE_BYTES_MAX {
            return Err(format!("{}: more than 64 KiB", path.display()));
        }
        let text = fs::read_to_string(path).map_err(failed)?;
        Scenario::read(&text, modes).map_err(|wrong| format!("{}:{wrong}", path.display()))
    };
    let scenarios: Result<Vec<_>, _> = arguments.files.iter().map(read).collect();
    let scenarios = scenarios?;
    if arguments.check {
        let steps: usize = scenarios.iter().map(|scenario| scenario.steps.len()).sum();
        println!(
            "{} scenarios, {steps} steps: nothing wrong",
            scenarios.len()
        );
        return Ok(None);
    }
    let relay = crate::load::beside_this_program();
    let mut machine = Machine::look(crate::load::machine_cores(), &relay);
    let watch = Watch::start();
    let mut outcomes = Vec::new();
    for (path, scenario) in arguments.files.iter().zip(&scenarios) {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        outcomes.push(run::run(&file, scenario, !arguments.quiet)?);
    }
    machine.finish(&watch);
    let outcomes = Outcomes {
        machine,
        scenarios: outcomes,
    };
    println!("{outcomes}");
    crate::load::write_json(arguments.json.as_deref(), &outcomes)?;
    Ok(Some(outcomes))
}
