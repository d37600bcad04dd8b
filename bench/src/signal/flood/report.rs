//! The result of a flood.

use std::fmt;

use serde::Serialize;

use super::tally::Tally;
use crate::load::Latency;
use crate::signal::Outcome;

/// The part of what can be served that must be, however much is offered.
const GOODPUT_MIN: f64 = 0.8;

/// The result.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Invitations that can be answered a second.
    pub capacity_per_second: f64,
    /// That were offered a second.
    pub offered_per_second: f64,
    /// All that were offered.
    pub offered: u64,
    /// Of those, answered.
    pub answered: u64,
    /// Answered a second, while the flood lasted.
    pub answered_per_second: f64,
    /// The same as a part of what can be.
    pub goodput: f64,
    /// The same in the second that had the fewest.
    pub goodput_worst_second: f64,
    /// Refused with 503 and the time to ask again.
    pub refused: u64,
    /// Refused with 503 alone.
    pub refused_bare: u64,
    /// Refused in another way.
    pub refused_otherwise: u64,
    /// The first of those, in words.
    pub first_otherwise: Option<String>,
    /// Without any final answer in ten seconds.
    pub timed_out: u64,
    /// Answered, and their BYE was not.
    pub unended: u64,
    /// Requests that were sent once more, because nothing was heard.
    pub repeated: u64,
    /// From when an invitation was due to its answer.
    pub answer_us: Latency,
    /// To its refusal.
    pub refusal_us: Latency,
    /// The chats beside it.
    pub chats: Chats,
    /// Cores that control used meanwhile; `None`: it was not started here.
    pub control_cores: Option<f64>,
    /// The same of the relay.
    pub relay_cores: Option<f64>,
    /// The same of the simulated browsers and handsets.
    pub generator_cores: f64,
}

/// What became of the chats that ran.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Chats {
    /// How many.
    pub running: u64,
    /// Texts that arrived.
    pub texts: u64,
    /// Chats in which something did not arrive, or that did not end as they should.
    pub faults: u64,
    /// The first of those, in words.
    pub first_fault: Option<String>,
    /// How long a text took before the flood.
    pub calm_us: Latency,
    /// How long it took in it.
    pub flood_us: Latency,
    /// From the browser's end, in the flood, to the handset's.
    pub end_us: Latency,
}

impl Report {
    /// What the flood came to.
    pub fn new(capacity: f64, rate: f64, flood: &Tally) -> Report {
        let answered_per_second = flood.answered_per_second();
        Report {
            capacity_per_second: capacity,
            offered_per_second: rate,
            offered: flood.offered,
            answered: flood.answered,
            answered_per_second,
            goodput: answered_per_second / capacity,
            goodput_worst_second: flood.worst_second() as f64 / capacity,
            refused: flood.refused,
            refused_bare: flood.refused_bare,
            refused_otherwise: flood.otherwise,
            first_otherwise: flood.first_otherwise.clone(),
            timed_out: flood.timed_out,
            unended: flood.unended,
            repeated: flood.repeated,
            answer_us: (&flood.answer_ns).into(),
            refusal_us: (&flood.refusal_ns).into(),
            ..Report::default()
        }
    }
}

impl Outcome for Report {
    fn is_good(&self) -> bool {
        let strays = self.refused_bare + self.refused_otherwise + self.timed_out + self.unended;
        self.goodput >= GOODPUT_MIN && strays == 0 && self.chats.faults == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            offered, answered, ..
        } = self;
        writeln!(
            f,
            "capacity    {:.0} invitations a second; offered {:.0}, {offered} in all",
            self.capacity_per_second, self.offered_per_second
        )?;
        writeln!(
            f,
            "answered    {answered}, {:.0} a second: {:.2} of the capacity, {:.2} in the worst second",
            self.answered_per_second, self.goodput, self.goodput_worst_second
        )?;
        writeln!(
            f,
            "refused     {} with 503 and the time to ask again, {} with 503 alone, {} otherwise",
            self.refused, self.refused_bare, self.refused_otherwise
        )?;
        writeln!(
            f,
            "unanswered  {}; not ended {}; said once more {}",
            self.timed_out, self.unended, self.repeated
        )?;
        writeln!(f, "to answer   {}", self.answer_us)?;
        writeln!(f, "to refusal  {}", self.refusal_us)?;
        let chats = &self.chats;
        writeln!(
            f,
            "chats       {} ran, {} texts, {} faults",
            chats.running, chats.texts, chats.faults
        )?;
        writeln!(f, "text, calm  {}", chats.calm_us)?;
        writeln!(f, "text, flood {}", chats.flood_us)?;
        writeln!(f, "their end   {}", chats.end_us)?;
        if let (Some(control), Some(relay)) = (self.control_cores, self.relay_cores) {
            writeln!(
                f,
                "cores       control {control:.2}, relay {relay:.2}, browsers and handsets {:.2}",
                self.generator_cores
            )?;
        }
        let first = self.first_otherwise.as_ref().or(chats.first_fault.as_ref());
        match (self.is_good(), first) {
            (true, _) => write!(
                f,
                "verdict     good: what can be served was, the rest was refused"
            ),
            (false, None) => write!(f, "verdict     BAD"),
            (false, Some(first)) => write!(f, "verdict     BAD; first: {first}"),
        }
    }
}
