//! Programs that this one starts: on one core, and never longer than it lives.
//!
//! `causeway-bench child` asks the kernel for a signal at the death of whoever started it, settles
//! on its core, if it has one, and becomes the program. So there is no moment at which a killed run leaves a relay
//! behind, and no message that a relay forwards on another core.

use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Become a program that ends with the one that started it.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The process it ends with; it must be the one that starts this.
    #[arg(long, value_name = "PID")]
    with: i32,
    /// The only core it may use; else it may use those of its starter's process.
    #[arg(long, value_name = "CORE")]
    core: Option<usize>,
    /// The program and its arguments.
    #[arg(required = true, last = true)]
    program: Vec<OsString>,
}

/// Starts `program`, on `core` only, and ends it when the calling thread ends, however it does.
pub fn command(program: impl AsRef<Path>, core: Option<usize>) -> Result<Command, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(own);
    command.args(["child", "--with", &std::process::id().to_string()]);
    if let Some(core) = core {
        command.args(["--core", &core.to_string()]);
    }
    command.arg("--").arg(program.as_ref());
    Ok(command)
}

/// Becomes the program.
pub fn main(arguments: &Arguments) -> ExitCode {
    let Err(why) = become_program(arguments);
    eprintln!("causeway-bench child: {why}");
    ExitCode::from(2)
}

fn become_program(arguments: &Arguments) -> Result<Infallible, String> {
    let asked = set_parent_process_death_signal(Some(Signal::TERM));
    asked.map_err(|error| format!("can't be told of the end of what started this: {error}"))?;
    // It may have ended just before.
    if getppid() != Pid::from_raw(arguments.with) {
        return Err("what started this has ended".to_owned());
    }
    let cores = match arguments.core {
        Some(core) => {
            let mut cores = CpuSet::new();
            cores.set(core);
            Ok(cores)
        }
        // Of its main thread: the one that started this may have settled on a core.
        None => sched_getaffinity(Pid::from_raw(arguments.with)),
    };
    let settled = cores.and_then(|cores| sched_setaffinity(None, &cores));
    settled.map_err(|error| format!("can't run on the cores it should: {error}"))?;
    let (program, words) = arguments.program.split_first().ok_or("no program")?;
    let error = Command::new(program).args(words).exec();
    Err(format!("can't start {}: {error}", program.display()))
}
