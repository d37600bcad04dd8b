//! `causeway-bench frames`: JSON over many browsers' sockets, and what control's memory does meanwhile.
//!
//! Each browser says something, waits for what answers it, and says the next thing: a `ping`, a request of its
//! session, a request that can only be refused, an enquiry, a text to another browser. Not here: chats, which are
//! `signal`'s.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};

use super::browser::{Browser, Heard};
use super::flood::times;
use super::memory::{Memory, Watch};
use super::place::Place;
use super::{Outcome, conclude};
use crate::load::{Latency, Process};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(40);
/// What is said in turns. A text goes through SIP, so there are few.
const ROUND: [Say; 10] = [
    Say::Ping,
    Say::Ice,
    Say::Nowhere,
    Say::Ping,
    Say::Ice,
    Say::Nowhere,
    Say::Ping,
    Say::Ice,
    Say::Enquiry,
    Say::Text,
];

/// Send JSON over many browsers' sockets, and see what control's memory does.
///
/// Exit status 0: everything was answered as it must be, and nothing is left over. 1: not so. 2: nothing could be
/// measured.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// What browsers send in all.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    frames: u64,
    /// Browsers that send it.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    browsers: u32,
    #[command(flatten)]
    place: Place,
}

/// The result.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Browsers that sent.
    pub browsers: u32,
    /// Seconds it took.
    pub seconds: f64,
    /// What they sent.
    pub sent: u64,
    /// The same, a second.
    pub sent_per_second: f64,
    /// What they were sent.
    pub received: u64,
    /// Of those, refused for load, with the time to ask again: as many under way at a time as there are browsers keep
    /// control busy without a pause.
    pub refused: u64,
    /// Until the answer.
    pub answer_us: Latency,
    /// CPU time of control for each that was sent, microseconds; `None`: it was not started here.
    pub control_cpu_us_per_frame: Option<f64>,
    /// The same of the browsers.
    pub generator_cpu_us_per_frame: f64,
    /// What was not answered as it must be.
    pub faults: u64,
    /// The first of those, in words.
    pub first_fault: Option<String>,
    /// Memory meanwhile; `None`: the system was not started here.
    pub memory: Option<Memory>,
}

impl Arguments {
    /// A result with the figures that this run will have.
    pub fn sample(&self) -> Report {
        let is_started = self.place.http.is_none();
        Report {
            control_cpu_us_per_frame: is_started.then_some(0.0),
            memory: is_started.then(Memory::default),
            ..Report::default()
        }
    }
}

/// Measures.
pub fn main(arguments: &Arguments) -> ExitCode {
    conclude("frames", &arguments.place, run(arguments))
}

#[derive(Debug, Clone, Copy)]
enum Say {
    /// The text that is no JSON.
    Ping,
    /// A request of the session itself.
    Ice,
    /// A request in a subsession that does not exist.
    Nowhere,
    /// What another user can do.
    Enquiry,
    /// A text to another user.
    Text,
}

struct Tally {
    sent: u64,
    refused: u64,
    received: u64,
    answer_ns: Histogram<u64>,
    fault: Option<String>,
}

async fn run(arguments: &Arguments) -> Result<Report, String> {
    let place = &arguments.place;
    let system = place.open().await?;
    let mut browsers = Vec::new();
    for number in 0..arguments.browsers {
        let name = format!("talker{number}");
        browsers.push(Browser::connect(system.http, &place.application, &name).await?);
    }
    let (before, own_before) = (system.cpu_ns(), Process::own().alone_cpu_ns("")?);
    let watch = Watch::begin(&system);
    let begin = Instant::now();
    let all = u64::from(arguments.browsers);
    let talking = browsers.into_iter().zip(0u64..).map(|(browser, number)| {
        let own = arguments.frames / all + u64::from(number < arguments.frames % all);
        let peer = format!("talker{}@{}", (number + 1) % all, place.domain);
        tokio::spawn(talk(browser, number, peer, own))
    });
    let talking: Vec<_> = talking.collect();
    let mut report = Report {
        browsers: arguments.browsers,
        ..Report::default()
    };
    let (mut answer_ns, mut browsers) = (times(), Vec::new());
    for one in talking {
        let (browser, tally) = one.await.map_err(|error| error.to_string())?;
        report.sent += tally.sent;
        report.received += tally.received;
        report.refused += tally.refused;
        report.faults += u64::from(tally.fault.is_some());
        report.first_fault = report.first_fault.or(tally.fault);
        let added = answer_ns.add(&tally.answer_ns);
        added.map_err(|error| error.to_string())?;
        browsers.push(browser);
    }
    report.seconds = begin.elapsed().as_secs_f64();
    report.sent_per_second = report.sent as f64 / report.seconds;
    report.answer_us = (&answer_ns).into();
    let each = |ns: u64| ns as f64 / 1000.0 / report.sent.max(1) as f64;
    report.memory = watch.map(Watch::end);
    report.control_cpu_us_per_frame = before
        .zip(system.cpu_ns())
        .map(|(before, after)| each(after.control_ns.saturating_sub(before.control_ns)));
    report.generator_cpu_us_per_frame = each(Process::own().alone_cpu_ns("")? - own_before);
    for browser in browsers {
        browser.leave().await;
    }
    if let Some(memory) = &mut report.memory {
        memory.settle(&system).await?;
    }
    Ok(report)
}

/// Says so much, one after the other.
async fn talk(mut browser: Browser, number: u64, peer: String, count: u64) -> (Browser, Tally) {
    let mut tally = Tally {
        sent: 0,
        refused: 0,
        received: 0,
        answer_ns: times(),
        fault: None,
    };
    for turn in 0..count {
        let say = ROUND[((turn + number) % ROUND.len() as u64) as usize];
        let begin = Instant::now();
        let id = format!("t{number}x{turn}");
        let said = tokio::time::timeout(
            PATIENCE,
            exchange(&mut browser, say, &id, &peer, &mut tally),
        );
        let said = match said.await {
            Ok(said) => said,
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
        };
        if let Err(why) = said {
            tally.fault = Some(format!("{say:?}: {why}"));
            break;
        }
        let took = begin.elapsed().as_nanos();
        tally
            .answer_ns
            .saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
    }
    // What the others still have to say needs answers.
    let quiet = Duration::from_secs(3);
    while let Ok(Ok(heard)) = tokio::time::timeout(quiet, browser.hear()).await {
        if let Heard::Frame(frame) = heard {
            tally.received += 1;
            if answer(&mut browser, &frame).await.is_err() {
                break;
            }
        }
    }
    (browser, tally)
}

async fn exchange(
    browser: &mut Browser,
    say: Say,
    id: &str,
    peer: &str,
    tally: &mut Tally,
) -> Result<(), String> {
    let request = |package: &str, action: &str| {
        json!({
            "control": {"type": "request", "package_type": package, "correlation_id": format!("c{id}")},
            "header": {"action": action, "target": peer},
        })
    };
    let mut frame = match say {
        Say::Ping => {
            browser.ping().await?;
            Value::Null
        }
        Say::Ice => request("register", "iceEnquiry"),
        Say::Nowhere => request("chat", "prack"),
        Say::Enquiry => request("capability", "enquiry"),
        Say::Text => request("messaging", "send"),
    };
    if let Say::Nowhere | Say::Enquiry | Say::Text = say {
        frame["control"]["subsession_id"] = id.into();
    }
    if let Say::Text = say {
        frame["payload"] = json!({"content": format!("text {id}")});
    }
    if !frame.is_null() {
        browser.send(frame).await?;
    }
    tally.sent += 1;
    let correlation = format!("c{id}");
    loop {
        let heard = browser.hear().await?;
        tally.received += 1;
        let frame = match (heard, say) {
            (Heard::Pong, Say::Ping) => return Ok(()),
            (Heard::Pong, _) => return Err("a pong that nobody waits for".to_owned()),
            (Heard::Frame(frame), _) => frame,
        };
        if frame["control"]["correlation_id"] != correlation.as_str()
            || frame["control"]["type"] == "request"
        {
            tally.sent += answer(browser, &frame).await?;
            continue;
        }
        let code = |name: &str| frame["header"][name].as_u64();
        if matches!(say, Say::Enquiry | Say::Text) && code("retry_after").is_some() {
            tally.refused += 1;
            return Ok(());
        }
        let is_right = match say {
            Say::Ping => false,
            Say::Ice => code("response_code") == Some(200),
            Say::Nowhere => code("error_code") == Some(481),
            // Who asks too often is told so.
            Say::Enquiry => code("response_code") == Some(200) || code("error_code") == Some(429),
            Say::Text => code("response_code").is_some(),
        };
        return match is_right {
            true => Ok(()),
            false => Err(format!("was answered {frame}")),
        };
    }
}

/// Answers what another browser wants; gives how many frames that took.
async fn answer(browser: &mut Browser, frame: &Value) -> Result<u64, String> {
    if frame["control"]["type"] != "request" {
        return Ok(0);
    }
    browser.respond(frame, Value::Null).await.map(|()| 1)
}

impl Outcome for Report {
    fn is_good(&self) -> bool {
        let left_over = self.memory.as_ref().map_or(0, |memory| memory.left_over);
        self.faults == 0 && self.sent > 0 && left_over == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "frames      {} sent by {} browsers in {:.1} s, {:.0} a second; {} received; {} refused for load",
            self.sent,
            self.browsers,
            self.seconds,
            self.sent_per_second,
            self.received,
            self.refused
        )?;
        writeln!(f, "to answer   {}", self.answer_us)?;
        if let Some(control) = self.control_cpu_us_per_frame {
            writeln!(
                f,
                "CPU a frame control {control:.1} us, browsers {:.1} us",
                self.generator_cpu_us_per_frame
            )?;
        }
        if let Some(memory) = &self.memory {
            writeln!(f, "{memory}")?;
        }
        match (self.is_good(), &self.first_fault) {
            (true, _) => write!(f, "verdict     good: everything was answered"),
            (false, None) => write!(f, "verdict     BAD"),
            (false, Some(first)) => {
                write!(f, "verdict     BAD, {} faults; first: {first}", self.faults)
            }
        }
    }
}
