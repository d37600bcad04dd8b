//! `causeway-bench flood`: more invitations than can be served.
//!
//! ```text
//! handsets ─INVITE▶ control ─start▶ browsers, which take it;   or browsers ─start▶ control ─INVITE▶ handsets
//! beside it: chats with media, which say something ten times a second
//! ```
//! First as many as there can be (closed, with more and more under way at a time), then a multiple of that by the
//! clock. Not here: calls with media, more than one control.

mod browsers;
mod farm;
mod report;
mod running;
mod tally;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::browser::Browser;
use super::conclude;
use super::place::Place;
use super::system::{Cpu, System};
use crate::load::Process;
use farm::Farm;
use report::{Chats, Report};
use running::{Chat, Meanwhile, Told};
pub use tally::times;
use tally::{Offer, Pace, Tally};

/// How long an invitation may stay without any answer.
const GIVE_UP: Duration = Duration::from_secs(10);
/// Handsets that browsers can call.
const HANDSETS: usize = 16;
/// Invitations that are under way at a time, while it is found out how many there can be a second.
const AT_ONCE: [usize; 5] = [4, 8, 16, 32, 64];
/// How long each of these is tried.
const TRY: Duration = Duration::from_millis(1500);
/// How long it is quiet before the flood.
const REST: Duration = Duration::from_secs(3);

/// Offer more than can be served, beside chats that run.
///
/// First it is found out how many invitations a second can be answered; then a multiple of that is offered by the
/// clock. Exit status 0: what could be served was, the rest was refused with the time to ask again, and the chats
/// went on. 1: not so. 2: nothing could be measured.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Who invites.
    #[arg(long, value_name = "WHO", value_enum, default_value_t = From::Handsets)]
    from: From,
    /// How many times as many as can be served.
    #[arg(long, value_name = "N", default_value_t = 2.0)]
    times: f64,
    /// Seconds of the flood.
    #[arg(long, value_name = "SECONDS", default_value_t = 20.0)]
    duration: f64,
    /// Browsers that are called, or call.
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1000))]
    browsers: u32,
    /// Chats that run meanwhile.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1000))]
    chats: u32,
    /// Take this as what can be served a second, instead of finding it out.
    #[arg(long, value_name = "N")]
    capacity: Option<f64>,
    #[command(flatten)]
    place: Place,
}

/// Who invites.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum From {
    /// Handsets, by INVITE.
    Handsets,
    /// Browsers, by `start`.
    Browsers,
}

impl Arguments {
    /// A result with the figures that this run will have.
    pub fn sample(&self) -> Report {
        let cpu = self.place.http.is_none().then_some(0.0);
        Report {
            control_cores: cpu,
            relay_cores: cpu,
            ..Report::default()
        }
    }
}

/// Measures.
pub fn main(arguments: &Arguments) -> ExitCode {
    conclude("flood", &arguments.place, run(arguments))
}

/// Those who invite and are invited.
struct Crowd {
    from: From,
    farm: mpsc::Sender<farm::Order>,
    guests: Vec<mpsc::Sender<browsers::Order>>,
    names: Vec<String>,
    ends: Vec<JoinHandle<Result<(), String>>>,
}

impl Crowd {
    async fn gather(arguments: &Arguments, system: &System) -> Result<Crowd, String> {
        let place = &arguments.place;
        let farm = Farm::open(system.sip, &place.domain).await?;
        let (orders, ordered) = mpsc::channel(1);
        tokio::spawn(farm.run(ordered));
        let mut crowd = Crowd {
            from: arguments.from,
            farm: orders,
            guests: Vec::new(),
            names: Vec::new(),
            ends: Vec::new(),
        };
        for number in 0..arguments.browsers as usize {
            let name = format!("guest{number}");
            let browser = Browser::connect(system.http, &place.application, &name).await?;
            let guest = browsers::Guest::new(browser, number, &place.domain);
            let (orders, ordered) = mpsc::channel(1);
            crowd.ends.push(tokio::spawn(guest.run(ordered)));
            crowd.guests.push(orders);
            crowd.names.push(name);
        }
        Ok(crowd)
    }

    async fn offer(&mut self, pace: Pace, duration: Duration) -> Result<Tally, String> {
        let begin = Instant::now();
        let offer = Offer {
            pace,
            begin,
            duration,
        };
        let mut told = Vec::new();
        let gone = "whoever was to invite has ended".to_owned();
        match self.from {
            From::Handsets => {
                let (reply, answer) = oneshot::channel();
                let order = farm::Order {
                    offer,
                    browsers: self.names.clone(),
                    reply,
                };
                self.farm.send(order).await.map_err(|_| gone.clone())?;
                told.push(answer);
            }
            From::Browsers => {
                for guest in &self.guests {
                    let (reply, answer) = oneshot::channel();
                    let all = self.guests.len();
                    let order = browsers::Order { offer, all, reply };
                    guest.send(order).await.map_err(|_| gone.clone())?;
                    told.push(answer);
                }
            }
        }
        let mut whole = Tally::new(&offer);
        for answer in told {
            match answer.await {
                Ok(tally) => whole.add(&tally)?,
                Err(_) => return Err(self.why_gone().await.unwrap_or(gone)),
            }
        }
        match self.why_gone().await {
            Some(why) => Err(why),
            None => Ok(whole),
        }
    }

    /// Why one of the browsers has ended, if one has.
    async fn why_gone(&mut self) -> Option<String> {
        let at = self.ends.iter().position(JoinHandle::is_finished)?;
        let ended = self.ends.remove(at).await;
        Some(match ended {
            Ok(Ok(())) => "a browser has ended".to_owned(),
            Ok(Err(why)) => why,
            Err(error) => error.to_string(),
        })
    }

    /// The most that can be answered a second.
    async fn capacity(&mut self) -> Result<f64, String> {
        let mut most = 0.0_f64;
        for at_once in AT_ONCE {
            let tally = self.offer(Pace::Closed(at_once), TRY).await?;
            most = most.max(tally.answered_per_second());
        }
        match most > 0.0 {
            true => Ok(most),
            false => Err("not one invitation was answered".to_owned()),
        }
    }
}

async fn run(arguments: &Arguments) -> Result<Report, String> {
    let duration = crate::load::seconds(arguments.duration, 1.0);
    let duration = duration.ok_or("--duration: from 1 to 86400 seconds are possible")?;
    let place = &arguments.place;
    let system = place.open().await?;
    let mut crowd = Crowd::gather(arguments, &system).await?;
    let (now_is, meanwhile) = watch::channel(Meanwhile::Calm);
    let mut chats = Vec::new();
    for number in 0..arguments.chats as usize {
        let chat = Chat::open(place, &system, number).await?;
        chats.push(tokio::spawn(chat.run(meanwhile.clone())));
    }
    let capacity = match arguments.capacity {
        Some(capacity) => capacity,
        None => crowd.capacity().await?,
    };
    tokio::time::sleep(REST).await;

    let rate = capacity * arguments.times;
    now_is.send_replace(Meanwhile::Flood);
    let (before, own_before) = (system.cpu_ns(), Process::own().alone_cpu_ns("")?);
    let begin = Instant::now();
    // The chats end while there still is too much to do.
    let ending = tokio::spawn(async move {
        tokio::time::sleep(duration.mul_f64(0.8)).await;
        now_is.send_replace(Meanwhile::End);
    });
    let flood = crowd.offer(Pace::Open(rate), duration).await?;
    let seconds = begin.elapsed().as_secs_f64();
    let (after, own_after) = (system.cpu_ns(), Process::own().alone_cpu_ns("")?);
    let mut told = Vec::new();
    for chat in chats {
        told.push(chat.await.map_err(|error| error.to_string())?);
    }
    ending.await.map_err(|error| error.to_string())?;
    let spent = |of: fn(&Cpu) -> u64| {
        let (before, after) = (before.as_ref()?, after.as_ref()?);
        Some(of(after).saturating_sub(of(before)) as f64 / 1e9 / seconds)
    };
    let mut report = Report::new(capacity, rate, &flood);
    report.chats = Chats::new(&told)?;
    report.control_cores = spent(|cpu| cpu.control_ns);
    report.relay_cores = spent(|cpu| cpu.relay_ns);
    report.generator_cores = own_after.saturating_sub(own_before) as f64 / 1e9 / seconds;
    Ok(report)
}

impl Chats {
    fn new(told: &[Told]) -> Result<Chats, String> {
        let mut all = [times(), times(), times()];
        for one in told {
            for (all, own) in all
                .iter_mut()
                .zip([&one.calm_ns, &one.flood_ns, &one.end_ns])
            {
                all.add(own).map_err(|error| error.to_string())?;
            }
        }
        let [calm, flood, end] = all;
        let faults = || told.iter().filter_map(|one| one.fault.as_ref());
        Ok(Chats {
            running: told.len() as u64,
            texts: told.iter().map(|one| one.texts).sum(),
            faults: faults().count() as u64,
            first_fault: faults().next().cloned(),
            calm_us: (&calm).into(),
            flood_us: (&flood).into(),
            end_us: (&end).into(),
        })
    }
}
