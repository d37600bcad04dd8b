//! A handset inside another program: registered, and ready to be called.

use std::time::{Duration, Instant};

use clap::Parser;
use tokio::sync::mpsc;

use super::agent::Agent;
use super::console::{Command, Event};
use super::settings::Arguments;

/// How long a registration may take.
const REGISTERING: Duration = Duration::from_secs(10);

/// The handset's command line.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// A handset that takes every call.
pub struct Callee {
    events: mpsc::UnboundedReceiver<(Instant, Event)>,
    /// As long as they are there the handset waits for commands.
    commands: mpsc::Sender<Command>,
}

impl Callee {
    /// Starts a handset of this address and registers it at `registrar`.
    pub async fn start(aor: &str, registrar: &str) -> Result<Callee, String> {
        let words = ["handset", "--aor", aor, "--registrar", registrar];
        let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
        let settings = line.arguments.check().map_err(|wrong| wrong.to_string())?;
        let (sender, mut heard) = mpsc::unbounded_channel();
        let (commands, queue) = mpsc::channel(4);
        let agent = Agent::open(settings, sender, queue).await;
        let agent = agent.map_err(|error| format!("{aor}: {error}"))?;
        tokio::spawn(agent.run());
        let (stamped, events) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(event) = heard.recv().await {
                if stamped.send((Instant::now(), event)).is_err() {
                    return;
                }
            }
        });
        let mut callee = Callee { events, commands };
        let registered = |event: &Event| matches!(event, Event::Registered { .. });
        let registered = callee.until(REGISTERING, registered).await;
        registered.map_err(|why| format!("{aor} was not registered: {why}"))?;
        Ok(callee)
    }

    /// Waits for an event, passing over others; gives when it was.
    pub async fn until(
        &mut self,
        limit: Duration,
        is_it: impl Fn(&Event) -> bool,
    ) -> Result<Instant, String> {
        let mut last = None;
        let waiting = async {
            while let Some((at, event)) = self.events.recv().await {
                if is_it(&event) {
                    return Some(at);
                }
                last = Some(event);
            }
            None
        };
        match tokio::time::timeout(limit, waiting).await {
            Ok(Some(at)) => Ok(at),
            Ok(None) => Err("the handset has ended".to_owned()),
            Err(_) => {
                let seconds = limit.as_secs();
                Err(format!(
                    "not within {seconds} s; the handset's last word: {last:?}"
                ))
            }
        }
    }

    /// Lets the handset take leave.
    pub async fn quit(self) {
        // It may have ended by itself.
        let _ = self.commands.send(Command::Quit).await;
    }
}
