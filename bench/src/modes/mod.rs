//! What else is measured of a relay, each by a command of its own.
//!
//! They use the generator of [`load`](crate::load): its control, its connections, its sessions.

pub mod churn;
pub mod handshake;
pub mod idle;
mod memory;
pub mod soak;
pub mod stall;

use std::fmt::Display;
use std::process::ExitCode;

use serde::Serialize;

use crate::load::{Place, Whereabouts, Wrong};

/// What every result can say of itself.
trait Outcome: Serialize + Display {
    /// Whether all was as it must be.
    fn is_good(&self) -> bool;
    /// Whether it says nothing, because the generator was the bottleneck.
    fn is_void(&self) -> bool {
        false
    }
}

/// Runs a mode: checks where, measures, shows and writes the result.
fn run<T: Outcome>(
    mode: &str,
    place: &Whereabouts,
    measure: impl FnOnce(&Place) -> Result<T, String>,
) -> ExitCode {
    let cores = crate::load::machine_cores();
    let place = place.clone().check(cores);
    let outcome = place
        .map_err(|wrong: Wrong| wrong.to_string())
        .and_then(|place| {
            let outcome = measure(&place)?;
            println!("{outcome}");
            place.write(&outcome)?;
            Ok(outcome)
        });
    match outcome {
        Ok(outcome) if outcome.is_good() => ExitCode::SUCCESS,
        Ok(outcome) if outcome.is_void() => ExitCode::from(3),
        Ok(_) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("causeway-bench {mode}: {why}");
            ExitCode::from(2)
        }
    }
}
