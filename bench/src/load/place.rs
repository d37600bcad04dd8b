//! Where a load runs: on which cores, against which relay, and where its result goes.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::settings::Wrong;

/// What every mode that loads a relay takes.
#[derive(Debug, Clone, clap::Args)]
pub struct Whereabouts {
    /// The cores of the generator, one thread each; default: all but the relay's.
    #[arg(long, value_name = "CORES", value_delimiter = ',')]
    cores: Vec<usize>,
    /// The cores of the relay, one shard each.
    #[arg(
        long,
        value_name = "CORES",
        value_delimiter = ',',
        default_value = "0",
        conflicts_with = "socket"
    )]
    relay_core: Vec<usize>,
    /// The relay to start; default: causeway-relay beside this program.
    #[arg(long, value_name = "PATH", conflicts_with = "socket")]
    relay: Option<PathBuf>,
    /// The ports of the relay that is started.
    #[arg(
        long,
        value_name = "FROM-TO",
        default_value = "20000-24999",
        conflicts_with = "socket"
    )]
    ports: String,
    /// Attach to the relay that serves this socket, instead of starting one. It loses the control
    /// it has.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Write the result to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// No progress line.
    #[arg(long)]
    quiet: bool,
}

/// Which relay is put under load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Relay {
    /// One that is started for it.
    Start {
        /// The program.
        program: PathBuf,
        /// Its cores.
        cores: Vec<usize>,
        /// Its ports.
        ports: String,
    },
    /// One that runs.
    Attach(PathBuf),
}

/// What the arguments mean.
#[derive(Debug, Clone)]
pub struct Place {
    /// Who is put under load.
    pub relay: Relay,
    /// The generator's cores.
    pub cores: Vec<usize>,
    /// Whether there is a progress line.
    pub progress: bool,
    /// Where the result is written.
    pub json: Option<PathBuf>,
}

impl Whereabouts {
    /// Checks what was typed against what `cores` of this machine allow.
    pub fn check(self, cores: usize) -> Result<Place, Wrong> {
        let relay = match self.socket {
            Some(socket) => Relay::Attach(socket),
            None => {
                let program = self.relay.unwrap_or_else(beside_this_program);
                if !program.is_file() {
                    return Err(Wrong::NoRelay(program));
                }
                Relay::Start {
                    program,
                    cores: self.relay_core.clone(),
                    ports: self.ports,
                }
            }
        };
        let own_cores = if self.cores.is_empty() {
            let others = (0..cores).filter(|core| !self.relay_core.contains(core));
            let others: Vec<usize> = others.collect();
            if others.is_empty() { vec![0] } else { others }
        } else {
            self.cores
        };
        let mut all = own_cores.iter().chain(&self.relay_core);
        if let Some(&core) = all.find(|&&core| core >= cores) {
            return Err(Wrong::Core(core));
        }
        Ok(Place {
            relay,
            cores: own_cores,
            progress: !self.quiet,
            json: self.json,
        })
    }
}

impl Place {
    /// Writes a result to the file it was asked for.
    pub fn write(&self, result: &impl Serialize) -> Result<(), String> {
        write_json(self.json.as_deref(), result)
    }
}

/// Writes a result to a file, if one was asked for. Fails in a sentence that names it.
pub fn write_json(path: Option<&Path>, result: &impl Serialize) -> Result<(), String> {
    let Some(path) = path else {
        return Ok(());
    };
    let json = serde_json::to_string_pretty(result).map_err(|error| error.to_string())?;
    let written = std::fs::write(path, json + "\n");
    written.map_err(|error| format!("can't write {}: {error}", path.display()))
}

/// Where the relay is when both were built together.
pub fn beside_this_program() -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.with_file_name("causeway-relay")
}
