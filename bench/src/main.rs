//! Load generator, comparisons and simulated handsets for Causeway.

mod byte_relay;
mod child;
mod compare;
mod handset;
mod load;
mod machine;
mod modes;
mod msrp;
mod report;
mod scenario;
mod signal;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use serde_json::Value;

/// Measures Causeway, and plays the peers it needs.
#[derive(Parser)]
#[command(name = "causeway-bench", version)]
struct Program {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Play a handset: SIP and MSRP over TCP.
    Handset(handset::Arguments),
    /// Offer a relay a load, check every octet, measure.
    Media(load::Arguments),
    /// Make sessions and end them, as many a second as there can be.
    Churn(modes::churn::Arguments),
    /// Bind sessions that say nothing, and see what memory each takes.
    Idle(modes::idle::Arguments),
    /// Shake hands in TLS, fully and resumed, as often as there can be.
    Handshake(modes::handshake::Arguments),
    /// Time messages with and without receivers that do not keep up.
    Stall(modes::stall::Arguments),
    /// Load a relay for long, in rounds, and look for what grows.
    Soak(modes::soak::Arguments),
    /// Set chats up through a whole system, from the browser's start to the end, and time each step.
    Signal(signal::setups::Arguments),
    /// Offer more invitations than can be served, and see what becomes of them and of chats that run.
    Flood(signal::flood::Arguments),
    /// Send JSON over many browsers' sockets, and see what control's memory does.
    Frames(signal::frames::Arguments),
    /// Offer the same load to a byte relay, to Causeway, to HAProxy, in turns.
    Compare(compare::Arguments),
    /// Run scenarios, and judge them by what their files demand.
    Run(scenario::Arguments),
    /// Make a page with plots of what was measured.
    Report(report::Arguments),
    /// Forward octets: the floor that relays are compared with.
    ByteRelay(byte_relay::Arguments),
    /// Become a program that ends with the one that started it.
    #[command(hide = true)]
    Child(child::Arguments),
}

fn main() -> ExitCode {
    match Program::parse().job {
        Job::Handset(arguments) => handset::main(arguments),
        Job::Media(arguments) => load::main(arguments),
        Job::Churn(arguments) => modes::churn::main(&arguments),
        Job::Idle(arguments) => modes::idle::main(&arguments),
        Job::Handshake(arguments) => modes::handshake::main(&arguments),
        Job::Stall(arguments) => modes::stall::main(&arguments),
        Job::Soak(arguments) => modes::soak::main(&arguments),
        Job::Signal(arguments) => signal::setups::main(&arguments),
        Job::Flood(arguments) => signal::flood::main(&arguments),
        Job::Frames(arguments) => signal::frames::main(&arguments),
        Job::Compare(arguments) => compare::main(arguments),
        Job::Run(arguments) => scenario::main(&arguments, &modes()),
        Job::Report(arguments) => report::main(&arguments),
        Job::ByteRelay(arguments) => byte_relay::main(&arguments),
        Job::Child(arguments) => child::main(&arguments),
    }
}

/// What scenarios can do: all that writes a result.
fn modes() -> scenario::Modes {
    scenario::Modes {
        program: Program::command(),
        sample: |words| {
            let name = std::iter::once("causeway-bench");
            let words = name.chain(words.iter().map(String::as_str));
            Program::try_parse_from(words).ok()?.job.sample().ok()
        },
    }
}

impl Job {
    /// A result with the figures that such a run will have, each of any value.
    fn sample(&self) -> serde_json::Result<Value> {
        use serde_json::to_value;
        match self {
            Job::Media(arguments) => to_value(arguments.sample()),
            Job::Churn(arguments) => to_value(arguments.sample()),
            Job::Idle(_) => to_value(modes::idle::Report::default()),
            Job::Handshake(_) => to_value(modes::handshake::Report::default()),
            Job::Stall(_) => to_value(modes::stall::Report::default()),
            Job::Soak(_) => to_value(modes::soak::Report::default()),
            Job::Signal(arguments) => to_value(arguments.sample()),
            Job::Flood(arguments) => to_value(arguments.sample()),
            Job::Frames(arguments) => to_value(arguments.sample()),
            Job::Compare(_) => to_value(compare::Comparison::default()),
            _ => Ok(Value::Null),
        }
    }
}
