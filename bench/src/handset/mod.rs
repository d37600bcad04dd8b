//! `causeway-bench handset`: a simulated RCS handset, with SIP and MSRP of its own.
//!
//! ```text
//! sip sockets ▶ transactions ▶ agent (calls, registration) ▶ chat, a task each ▶ msrp connection
//! ```
//! It shares no code with the gateway, so that no common mistake hides. With `--focus` it is the network's mixer of
//! group chats instead. Not here: TLS, digest passwords, session timers, making groups.

mod agent;
mod callee;
mod calls;
mod chat;
mod console;
mod cpim;
mod endpoint;
mod files;
mod focus;
mod group_files;
mod icon;
mod incoming;
mod outgoing;
mod parts;
mod registration;
mod sdp;
mod services;
mod settings;
pub mod sip;
#[cfg(test)]
mod tests;

use std::io::{BufRead, Write};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use agent::Agent;
pub use callee::Callee;
use console::Command;
pub use console::Event;
pub use settings::Arguments;
use settings::Settings;

/// What the handset calls itself.
const USER_AGENT: &str = concat!("causeway-bench-handset/", env!("CARGO_PKG_VERSION"));

/// Commands that may wait.
const COMMANDS: usize = 64;

/// Runs a handset until it is told to quit.
pub fn main(arguments: Arguments) -> ExitCode {
    let settings = match arguments.check() {
        Ok(settings) => settings,
        Err(wrong) => return refuse(&wrong.to_string()),
    };
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    match runtime.worker_threads(2).enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(run(settings));
            // The thread that reads commands may be waiting for a line that never comes.
            runtime.shutdown_background();
            code
        }
        Err(error) => refuse(&format!("can't start: {error}")),
    }
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("causeway-bench handset: {why}");
    ExitCode::from(2)
}

async fn run(settings: Settings) -> ExitCode {
    let (event_sender, mut events) = mpsc::unbounded_channel();
    let (commands, command_queue) = mpsc::channel(COMMANDS);
    let json = settings.json;
    let agent = match Agent::open(settings, event_sender.clone(), command_queue).await {
        Ok(agent) => agent,
        Err(error) => return refuse(&error.to_string()),
    };
    let reader = commands.clone();
    std::thread::spawn(move || read_commands(&reader, &event_sender));
    tokio::spawn(quit_on_signals(commands));
    let mut working = tokio::spawn(agent.run());
    loop {
        tokio::select! {
            biased;
            Some(event) = events.recv() => {
                let mut out = std::io::stdout().lock();
                if writeln!(out, "{}", event.line(json)).and_then(|()| out.flush()).is_err() {
                    return ExitCode::FAILURE;
                }
            }
            ended = &mut working => {
                return if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            }
        }
    }
}

/// Reads commands from standard input. When it ends the handset goes on without.
fn read_commands(commands: &mpsc::Sender<Command>, events: &mpsc::UnboundedSender<Event>) {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        if line.trim().is_empty() {
            continue;
        }
        match Command::parse(&line) {
            Ok(command) => {
                if commands.blocking_send(command).is_err() {
                    return;
                }
            }
            Err(why) => {
                let _ = events.send(Event::Problem { why });
            }
        }
    }
}

async fn quit_on_signals(commands: mpsc::Sender<Command>) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let _ = commands.send(Command::Quit).await;
}
