//! The attachment to the relay: kept up, its commands pushed in order, its events handed to the gateway.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use link::{Attachment, Counter, CountersReader, PushError, Record, Sender};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};

use super::inputs::FromRelay;
use crate::admin::RelayNumber;
use crate::limits::{RELAY_RETRY_MS, SHARD_QUEUE_MAX};

/// Events taken from one shard before the others get their turn.
const EVENTS_PER_TURN: usize = 64;

/// The counters of the attached relay, for whoever wants to read them; empty while none is attached.
#[derive(Clone, Default)]
pub struct RelayCounters(Arc<Mutex<Vec<CountersReader>>>);

impl RelayCounters {
    /// What the shards last published.
    pub fn numbers(&self) -> Vec<RelayNumber> {
        let readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if readers.is_empty() {
            return Vec::new();
        }
        let snapshots: Vec<_> = readers.iter().map(CountersReader::snapshot).collect();
        let number = |&counter: &Counter| RelayNumber {
            name: counter.name(),
            what: counter.what(),
            is_gauge: counter.is_gauge(),
            values: snapshots
                .iter()
                .map(|snapshot| snapshot[counter.index()])
                .collect(),
        };
        Counter::ALL.iter().map(number).collect()
    }

    fn set(&self, readers: Vec<CountersReader>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = readers;
    }
}

/// Keeps the relay at `path` attached until the gateway is gone. `tried` is dropped when the gateway has been told
/// of the first one, or that could not be attached.
pub async fn run(
    path: PathBuf,
    gateway: mpsc::Sender<FromRelay>,
    counters: RelayCounters,
    tried: oneshot::Sender<()>,
) {
    let mut tried = Some(tried);
    let mut complained = String::new();
    while !gateway.is_closed() {
        match connect(&path).await {
            Ok(attachment) => {
                complained.clear();
                let (shards, epoch) = (attachment.shards.len(), attachment.epoch);
                tracing::info!(shards, epoch, "the relay is attached");
                let ended = serve(attachment, &gateway, &counters, tried.take()).await;
                counters.set(Vec::new());
                match ended {
                    Ok(Gone::Relay) => {
                        tracing::warn!("the relay is gone; waiting for it to come back");
                    }
                    // It ends, or has given the relay up and said so.
                    Ok(Gone::Gateway) => {}
                    Err(error) => tracing::error!("the link to the relay failed: {error}"),
                }
                if gateway.send(FromRelay::Lost).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                drop(tried.take());
                // Once for each kind of trouble, not every second.
                let text = error.to_string();
                if complained != text {
                    tracing::warn!("{text}; trying again");
                    complained = text;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(RELAY_RETRY_MS)).await;
    }
}

async fn connect(path: &Path) -> io::Result<Attachment> {
    let path = path.to_owned();
    let attached = tokio::task::spawn_blocking(move || Attachment::connect(path)).await;
    attached.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// One shard as this task sees it.
struct Shard {
    commands: Sender,
    events: link::Receiver,
    /// What did not fit into its ring.
    waiting: VecDeque<Box<Record>>,
}

impl Shard {
    /// Pushes what waits, in order, as far as there is room.
    fn push(&mut self) -> io::Result<()> {
        while let Some(record) = self.waiting.front() {
            match self.commands.push(record) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(PushError::Full) => break,
                Err(PushError::Corrupt) => return Err(corrupt()),
            }
        }
        Ok(())
    }
}

fn corrupt() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the relay's queues are not sound",
    )
}

/// Who ended an attachment.
enum Gone {
    Relay,
    Gateway,
}

/// Serves one attachment until the relay hangs up, or the gateway does.
async fn serve(
    attachment: Attachment,
    gateway: &mpsc::Sender<FromRelay>,
    counters: &RelayCounters,
    tried: Option<oneshot::Sender<()>>,
) -> io::Result<Gone> {
    let Attachment {
        shards,
        ready,
        socket,
        ..
    } = attachment;
    // An eventfd is waited for and read like a pipe: eight bytes, and then nothing until it rings again.
    let bell = pipe::Receiver::from_owned_fd_unchecked(ready.as_fd().try_clone_to_owned()?)?;
    socket.set_nonblocking(true)?;
    let life = UnixStream::from_std(socket)?;
    let mut readers = Vec::new();
    let mut ends = Vec::new();
    for end in shards {
        readers.push(end.counters);
        let waiting = VecDeque::new();
        ends.push(Shard {
            commands: end.commands,
            events: end.events,
            waiting,
        });
    }
    counters.set(readers);
    let (to_shards, mut commands) = mpsc::channel(SHARD_QUEUE_MAX * ends.len().max(1));
    let attached = FromRelay::Attached {
        shards: ends.len(),
        commands: to_shards,
    };
    if gateway.send(attached).await.is_err() {
        return Ok(Gone::Gateway);
    }
    drop(tried);
    let mut hung_up = false;
    loop {
        let mut more = false;
        for (index, shard) in ends.iter_mut().enumerate() {
            shard.push()?;
            more |= take_events(index, shard, gateway).await?;
        }
        if more {
            continue;
        }
        if hung_up {
            // What it had said before was heard.
            return Ok(Gone::Relay);
        }
        let mut all_sleep = true;
        for shard in &mut ends {
            all_sleep &= shard.events.sleep();
        }
        if all_sleep {
            tokio::select! {
                rang = bell.readable() => {
                    rang?;
                    while bell.try_read(&mut [0; 8]).is_ok() {}
                }
                // Nothing is ever sent on it: readable means that the relay is gone.
                gone = life.readable() => {
                    gone?;
                    hung_up = true;
                }
                // What is not taken fills the gateway's queue, and a full one makes it give the relay up.
                command = commands.recv(), if has_room(&ends) => match command {
                    Some((shard, record)) => {
                        take_command(&mut ends, shard, record);
                        take_commands(&mut ends, &mut commands);
                    }
                    // The gateway has given this relay up.
                    None => return Ok(Gone::Gateway),
                },
            }
        }
        ends.iter_mut().for_each(|shard| shard.events.awake());
    }
}

/// Whether a shard that takes nothing would still not make us hold too much.
fn has_room(ends: &[Shard]) -> bool {
    ends.iter()
        .all(|shard| shard.waiting.len() < SHARD_QUEUE_MAX)
}

/// Takes the commands there are, as far as there is room for them.
fn take_commands(ends: &mut [Shard], commands: &mut mpsc::Receiver<(usize, Box<Record>)>) {
    while has_room(ends)
        && let Ok((shard, record)) = commands.try_recv()
    {
        take_command(ends, shard, record);
    }
}

fn take_command(ends: &mut [Shard], shard: usize, record: Box<Record>) {
    if let Some(shard) = ends.get_mut(shard) {
        shard.waiting.push_back(record);
    }
}

/// Hands some events to the gateway. Whether there may be more.
async fn take_events(
    index: usize,
    shard: &mut Shard,
    gateway: &mpsc::Sender<FromRelay>,
) -> io::Result<bool> {
    for _ in 0..EVENTS_PER_TURN {
        let mut record = Box::new(Record::new());
        if !shard.events.pop(&mut record).map_err(|_| corrupt())? {
            return Ok(false);
        }
        if gateway
            .send(FromRelay::Event {
                shard: index,
                record,
            })
            .await
            .is_err()
        {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_that_takes_nothing_fills_the_gateways_queue_and_not_our_memory() {
        let mut both = link::in_process(1, 2).unwrap();
        let end = both.controls.remove(0);
        let mut ends = [Shard {
            commands: end.commands,
            events: end.events,
            waiting: VecDeque::new(),
        }];
        let (to_shards, mut commands) = mpsc::channel(2 * SHARD_QUEUE_MAX);
        for _ in 0..2 * SHARD_QUEUE_MAX {
            to_shards.try_send((0, Box::new(Record::new()))).unwrap();
        }
        take_commands(&mut ends, &mut commands);
        ends[0].push().unwrap();
        assert_eq!(
            ends[0].waiting.len(),
            SHARD_QUEUE_MAX - 2,
            "two slots are in the ring"
        );
        take_commands(&mut ends, &mut commands);
        assert_eq!(ends[0].waiting.len(), SHARD_QUEUE_MAX);
        assert_eq!(commands.len(), SHARD_QUEUE_MAX - 2);
    }
}
