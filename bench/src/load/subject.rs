//! The relay under load, and the control that the generator plays to it.

use super::offer::Load;
use super::place::Relay;
use super::process::{Process, Relaying};
use super::stub::Stub;

/// A relay and its control.
pub struct Subject {
    /// The control.
    pub stub: Stub,
    /// The relay's process.
    pub process: Process,
    /// What ends with this, if it was started here.
    _started: Option<Relaying>,
}

impl Subject {
    /// Starts the relay as a load needs it, or attaches to one.
    pub fn open(relay: &Relay, load: &Load) -> Result<Subject, String> {
        let (socket, started) = match relay {
            Relay::Attach(socket) => (socket.clone(), None),
            Relay::Start {
                program,
                cores,
                ports,
            } => {
                let started = Relaying::start(program, cores, ports, load)?;
                (started.socket.clone(), Some(started))
            }
        };
        let stub = Stub::attach(&socket)?;
        let process = match &started {
            Some(started) => started.process(),
            None => Process::at_other_end(stub.socket())?,
        };
        Ok(Subject {
            stub,
            process,
            _started: started,
        })
    }

    /// Nanoseconds that its shards were on their cores so far.
    pub fn cpu_ns(&self) -> Result<u64, String> {
        self.process.alone_cpu_ns(SHARD_THREADS)
    }
}

/// How the relay's shards are called.
pub const SHARD_THREADS: &str = "shard";
