//! The result of a comparison: for people and for programs.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::settings::{Case, Relay, Settings};
use super::turns::{Absent, Outcome, Turn, cannot};
use crate::load::Report;
use crate::machine::Machine;

/// A goal holds within this part of it: runs differ by as much.
const TOLERANCE: f64 = 0.05;

/// The whole result.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Comparison {
    /// Where it ran.
    pub machine: Machine,
    /// Seconds that were measured in each turn.
    pub seconds: f64,
    /// Turns of each relay with each load.
    pub rounds: u32,
    /// The core of the relays.
    pub relay_core: usize,
    /// The core of the generator.
    pub generator_core: usize,
    /// Who took no part.
    pub absent: Vec<Absent>,
    /// How the goals were met.
    #[serde(default)]
    pub goals: Goals,
    /// The table.
    pub rows: Vec<Row>,
    /// What it was made from.
    pub turns: Vec<Turn>,
}

/// One relay under one load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The load.
    pub load: Case,
    /// The relay.
    pub relay: Relay,
    /// Turns that gave figures.
    pub turns: usize,
    /// Why it can't take this load.
    pub cannot: Option<String>,
    /// Why the last turn that gave none did not.
    pub failure: Option<String>,
    /// Faults in all turns.
    pub faults: u64,
    /// The ratio it should have, if one is set.
    pub goal: Option<f64>,
    /// What was measured.
    pub figures: Option<Figures>,
}

/// What was measured of one relay under one load. Each figure is the median of its rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Microseconds of the relay's process on a core for a message.
    pub cpu_us: f64,
    /// That to the byte relay's in the same round.
    pub ratio: Option<Spread>,
    /// Messages a second.
    pub rate: f64,
    /// Microseconds from sending to having a message whole: half were faster.
    pub latency_p50_us: f64,
    /// 99 of 100 were faster.
    pub latency_p99_us: f64,
    /// Part of its core that the relay used.
    pub relay_load: f64,
    /// Part of that core that others used.
    pub others_load: f64,
    /// Part of its time in which the generator had something to do.
    pub generator_work: f64,
}

/// How the goals were met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Goals {
    /// Met, if only within 5 %.
    pub met: usize,
    /// Missed, or not known.
    pub missed: usize,
    /// The largest ratio as a multiple of its goal.
    pub worst: f64,
}

/// The middle of some figures, and how far they go.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// The middle one.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Comparison {
    /// Sums up the turns.
    pub fn new(
        settings: &Settings,
        machine: Machine,
        absent: Vec<Absent>,
        turns: Vec<Turn>,
    ) -> Comparison {
        let mut rows: Vec<Row> = Vec::new();
        for &load in &settings.cases {
            for &relay in &settings.relays {
                if absent.iter().all(|absent| absent.relay != relay) {
                    rows.push(Row::new(load, relay, settings.relay_core, &turns));
                }
            }
        }
        Comparison {
            machine,
            seconds: settings.duration.as_secs_f64(),
            rounds: settings.rounds,
            relay_core: settings.relay_core,
            generator_core: settings.core,
            absent,
            goals: Goals::of(&rows),
            rows,
            turns,
        }
    }

    /// Whether every turn gave figures and every message arrived as it should.
    pub fn is_good(&self) -> bool {
        let is_good = |row: &Row| row.failure.is_none() && row.faults == 0;
        self.rows.iter().all(is_good)
    }
}

impl Goals {
    fn of(rows: &[Row]) -> Goals {
        let mut goals = Goals::default();
        for row in rows {
            let Some(goal) = row.goal else { continue };
            match row.ratio() {
                Some(ratio) => {
                    goals.worst = goals.worst.max(ratio.median / goal);
                    let is_met = ratio.median <= goal * (1.0 + TOLERANCE);
                    goals.met += usize::from(is_met);
                    goals.missed += usize::from(!is_met);
                }
                None => goals.missed += 1,
            }
        }
        goals
    }
}

impl Row {
    fn new(load: Case, relay: Relay, relay_core: usize, turns: &[Turn]) -> Row {
        let of = |relay: Relay| {
            let turns = turns.iter();
            turns.filter(move |turn| turn.load == load && turn.relay == relay)
        };
        let reports: Vec<&Report> = of(relay).filter_map(Turn::report).collect();
        let failure = of(relay).rev().find_map(|turn| match &turn.outcome {
            Outcome::Failure(why) => Some(why.clone()),
            Outcome::Report(_) => None,
        });
        let ratios = of(relay).filter_map(|turn| {
            let floor = of(Relay::Bytes).find(|floor| floor.round == turn.round)?;
            let (own, floor) = (turn.report()?, floor.report()?);
            Some(own.relay_cpu_us_per_message / floor.relay_cpu_us_per_message)
        });
        Row {
            load,
            relay,
            turns: reports.len(),
            cannot: cannot(relay, load).map(str::to_owned),
            failure,
            faults: reports.iter().map(|report| report.faults_total).sum(),
            goal: load.goal().filter(|_| relay == Relay::Causeway),
            figures: Figures::new(&reports, ratios.collect(), relay_core),
        }
    }

    /// Its time to the byte relay's.
    pub fn ratio(&self) -> Option<Spread> {
        self.figures.as_ref()?.ratio
    }

    /// Where it stands to its goal, in words.
    pub fn verdict(&self) -> String {
        match (self.goal, self.ratio()) {
            (Some(goal), Some(ratio)) if ratio.median <= goal => format!("goal {goal:.2} met"),
            (Some(goal), Some(ratio)) if ratio.median <= goal * (1.0 + TOLERANCE) => {
                format!("goal {goal:.2} met within 5 %")
            }
            (Some(goal), _) => format!("goal {goal:.2} MISSED"),
            (None, _) => String::new(),
        }
    }
}

impl Figures {
    fn new(reports: &[&Report], ratios: Vec<f64>, relay_core: usize) -> Option<Figures> {
        let middle = |figure: &dyn Fn(&Report) -> f64| {
            let figures = reports.iter().map(|report| figure(report));
            spread(figures.collect()).map(|spread| spread.median)
        };
        let others = |report: &Report| {
            let all = report.cores_load.get(relay_core).copied();
            (all.unwrap_or(f64::NAN) - report.relay_load).max(0.0)
        };
        Some(Figures {
            cpu_us: middle(&|report| report.relay_cpu_us_per_message)?,
            ratio: spread(ratios),
            rate: middle(&|report| report.rate)?,
            latency_p50_us: middle(&|report| report.latency_us.p50)?,
            latency_p99_us: middle(&|report| report.latency_us.p99)?,
            relay_load: middle(&|report| report.relay_load)?,
            others_load: middle(&others)?,
            generator_work: middle(&|report| report.generator_work)?,
        })
    }
}

/// The middle of an even number of figures is the mean of the two in the middle.
fn spread(mut figures: Vec<f64>) -> Option<Spread> {
    figures.retain(|figure| figure.is_finite());
    figures.sort_by(f64::total_cmp);
    let (min, max) = (*figures.first()?, *figures.last()?);
    let (low, high) = ((figures.len() - 1) / 2, figures.len() / 2);
    let median = f64::midpoint(figures[low], figures[high]);
    Some(Spread { median, min, max })
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.machine)?;
        writeln!(
            f,
            "relays on core {}, generator on core {}; medians of {} turns of {} s",
            self.relay_core, self.generator_core, self.rounds, self.seconds
        )?;
        let mut load = None;
        for row in &self.rows {
            if load != Some(row.load) {
                load = Some(row.load);
                writeln!(
                    f,
                    "\n{}\n\
                     {:<15}{:>8}{:>7}  {:<12}{:>9}{:>9}{:>9}{:>7}{:>8}{:>11}",
                    row.load.in_words(),
                    "relay",
                    "CPU us",
                    "ratio",
                    "from-to",
                    "msg/s",
                    "p50 us",
                    "p99 us",
                    "core",
                    "others",
                    "generator"
                )?;
            }
            writeln!(f, "{row}")?;
        }
        if !self.absent.is_empty() {
            writeln!(f)?;
        }
        for absent in &self.absent {
            writeln!(f, "{:<15}{}", absent.relay.name(), absent.why)?;
        }
        Ok(())
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<15}", self.relay.name())?;
        if let Some(figures) = &self.figures {
            let ratio = figures
                .ratio
                .map_or([String::new(), String::new()], |ratio| {
                    [
                        format!("{:.2}", ratio.median),
                        format!("{:.2}-{:.2}", ratio.min, ratio.max),
                    ]
                });
            let percent = |part: f64| format!("{:.0} %", part * 100.0);
            write!(
                f,
                "{:>8.2}{:>7}  {:<12}{:>9.0}{:>9.0}{:>9.0}{:>7}{:>8}{:>11}  {}",
                figures.cpu_us,
                ratio[0],
                ratio[1],
                figures.rate,
                figures.latency_p50_us,
                figures.latency_p99_us,
                percent(figures.relay_load),
                percent(figures.others_load),
                percent(figures.generator_work),
                self.verdict()
            )?;
        }
        if self.faults > 0 {
            write!(f, "  {} FAULTS", self.faults)?;
        }
        if let Some(why) = &self.cannot {
            write!(f, "  {why}")?;
        }
        self.failure
            .as_ref()
            .map_or(Ok(()), |why| write!(f, "  FAILED: {why}"))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::settings::Arguments;
    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    const CASE: &str = "300x100x1";

    fn machine() -> Machine {
        let mut machine = Machine::look(2, std::path::Path::new("/nowhere"));
        (machine.haproxy, machine.kamailio) = (None, None);
        machine
    }

    fn turn(relay: Relay, round: u32, cpu_us: f64) -> Turn {
        let load: Case = CASE.parse().unwrap();
        let report = Report {
            offered: load.load(crate::load::Legs::TCP_TCP),
            relay_cpu_us_per_message: cpu_us,
            relay_load: 0.5,
            generator_load: 0.9,
            cores_load: vec![0.75, 1.0],
            ..crate::load::sample_report()
        };
        let outcome = Outcome::Report(Box::new(report));
        Turn {
            load,
            round,
            relay,
            outcome,
        }
    }

    fn comparison(turns: Vec<Turn>) -> Comparison {
        let words = ["compare", "--relay", "/bin/true", "--loads", CASE];
        let arguments = Line::try_parse_from(words).unwrap().arguments;
        let settings = arguments.check(2).unwrap();
        let absent = [Relay::Haproxy, Relay::HaproxySplice, Relay::Kamailio];
        let absent = absent.map(|relay| Absent {
            relay,
            why: "not installed: apt install it".to_owned(),
        });
        Comparison::new(&settings, machine(), absent.to_vec(), turns)
    }

    #[test]
    fn a_ratio_is_taken_within_a_round_and_the_middle_one_is_told() {
        let turns = vec![
            turn(Relay::Bytes, 1, 10.0),
            turn(Relay::Causeway, 1, 11.0),
            turn(Relay::Causeway, 2, 18.0),
            turn(Relay::Bytes, 2, 20.0),
            turn(Relay::Bytes, 3, 10.0),
            turn(Relay::Causeway, 3, 30.0),
        ];
        let comparison = comparison(turns);
        let row = &comparison.rows[1];
        let ratio = row.ratio().unwrap();
        assert_eq!((ratio.median, ratio.min, ratio.max), (1.1, 0.9, 3.0));
        let figures = row.figures.as_ref().unwrap();
        assert_eq!((figures.cpu_us, figures.others_load), (18.0, 0.25));
        assert_eq!(row.verdict(), "goal 1.00 MISSED");
        assert_eq!(comparison.rows[0].ratio().unwrap().median, 1.0);
        assert!(comparison.is_good());
        let goals = comparison.goals;
        assert_eq!((goals.met, goals.missed, goals.worst), (0, 1, 1.1));
        let json = serde_json::to_string(&comparison).unwrap();
        let read: Comparison = serde_json::from_str(&json).unwrap();
        assert_eq!(read.rows, comparison.rows);
    }

    #[test]
    fn a_goal_is_met_within_a_twentieth() {
        let verdict = |cpu_us| {
            let turns = vec![
                turn(Relay::Bytes, 1, 10.0),
                turn(Relay::Causeway, 1, cpu_us),
            ];
            comparison(turns).rows[1].verdict()
        };
        assert_eq!(verdict(10.0), "goal 1.00 met");
        assert_eq!(verdict(10.4), "goal 1.00 met within 5 %");
        assert_eq!(verdict(10.6), "goal 1.00 MISSED");
    }

    #[test]
    fn a_turn_that_failed_is_told_and_spoils_the_verdict() {
        let mut failed = turn(Relay::Causeway, 1, 1.0);
        failed.outcome = Outcome::Failure("it fell over".to_owned());
        let comparison = comparison(vec![turn(Relay::Bytes, 1, 10.0), failed]);
        assert!(!comparison.is_good());
        let text = comparison.to_string();
        assert!(
            text.contains("causeway         FAILED: it fell over\n"),
            "{text}"
        );
        assert!(text.contains("\nkamailio       not installed: apt install it\n"));
        assert!(text.lines().all(|line| line.len() < 140));
        let json = serde_json::to_value(&comparison).unwrap();
        assert_eq!(json["turns"][1]["failure"], "it fell over");
        assert_eq!(json["turns"][0]["report"]["messages"], 1000);
        assert_eq!(json["rows"][0]["relay"], "byte-relay");
    }

    #[test]
    fn the_middle_of_two_is_between_them() {
        assert_eq!(spread(vec![]), None);
        assert_eq!(spread(vec![3.0, 1.0]).unwrap().median, 2.0);
        assert_eq!(spread(vec![3.0, 1.0, 9.0, f64::NAN]).unwrap().median, 3.0);
    }
}
