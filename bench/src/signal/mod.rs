//! What is asked of a whole system: control, relay, and the peers on both sides of them.
//!
//! ```text
//! browser ─start▶ control ─INVITE▶ handset ─200▶ control ─answer▶ browser ─WebSocket▶ relay ─text▶ handset
//! ```
//! Both ends are in this program and share no code with control. Not here: TLS.

mod browser;
pub mod flood;
pub mod frames;
mod memory;
mod place;
pub mod setups;
mod system;

use std::fmt::Display;
use std::process::ExitCode;

use serde::Serialize;

use place::Place;

/// What every result can say of itself.
trait Outcome: Serialize + Display {
    /// Whether all was as it must be.
    fn is_good(&self) -> bool;
}

/// Runs a mode: measures, shows and writes the result. Exit status 0: all was as it must be. 1: something was not.
/// 2: nothing could be measured.
fn conclude<T: Outcome>(
    mode: &str,
    place: &Place,
    measure: impl Future<Output = Result<T, String>>,
) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(measure);
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(format!("can't start: {error}")),
    };
    let written = outcome.and_then(|outcome| {
        println!("{outcome}");
        place.write(&outcome)?;
        Ok(outcome.is_good())
    });
    match written {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("causeway-bench {mode}: {why}");
            ExitCode::from(2)
        }
    }
}
