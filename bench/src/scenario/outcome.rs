//! What came of scenarios: for people and for programs.

use std::fmt;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::machine::Machine;

/// What scenarios came to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcomes {
    /// Where they ran.
    pub machine: Machine,
    /// Each.
    pub scenarios: Vec<Outcome>,
}

/// What a scenario came to.
#[derive(Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Its file.
    pub file: String,
    /// What it is.
    pub title: String,
    /// What it is for.
    pub about: String,
    /// Its steps.
    pub steps: Vec<StepOutcome>,
    /// The worst of theirs.
    pub verdict: Verdict,
}

/// What a step came to.
#[derive(Debug, Serialize, Deserialize)]
pub struct StepOutcome {
    /// What it is called.
    pub name: String,
    /// The mode it ran.
    pub mode: String,
    /// With these options.
    pub options: Vec<String>,
    /// Seconds it took.
    pub seconds: f64,
    /// Its exit status; `None`: it was killed.
    pub status: Option<i32>,
    /// What was demanded of it.
    pub checks: Vec<Check>,
    /// What it measured.
    pub result: Value,
    /// Whether it passed.
    pub verdict: Verdict,
}

/// A demand, and whether it holds.
#[derive(Debug, Serialize, Deserialize)]
pub struct Check {
    /// The figure.
    pub figure: String,
    /// What it was; `None`: there is none.
    pub value: Option<f64>,
    /// The earlier step's figure that it was compared with.
    pub base: Option<f64>,
    /// What was demanded.
    pub demanded: String,
    /// Whether it holds.
    pub holds: bool,
}

/// Whether something passed. Each is worse than those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything held.
    Pass,
    /// Nobody knows: the generator was the bottleneck.
    None,
    /// Something did not hold.
    Fail,
    /// It could not be run.
    NotRun,
}

impl Verdict {
    /// The worst of several; without any, a pass.
    pub fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
        verdicts.max().unwrap_or(Verdict::Pass)
    }

    /// How the program ends.
    pub fn exit_code(self) -> ExitCode {
        match self {
            Verdict::Pass => ExitCode::SUCCESS,
            Verdict::Fail => ExitCode::FAILURE,
            Verdict::NotRun => ExitCode::from(2),
            Verdict::None => ExitCode::from(3),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Pass => "pass",
            Verdict::None => "no verdict: the generator was the bottleneck",
            Verdict::Fail => "FAIL",
            Verdict::NotRun => "NOT RUN",
        })
    }
}

impl Outcomes {
    /// The worst of all.
    pub fn verdict(&self) -> Verdict {
        Verdict::worst(self.scenarios.iter().map(|scenario| scenario.verdict))
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.machine)?;
        for scenario in &self.scenarios {
            let Outcome {
                file,
                title,
                verdict,
                ..
            } = scenario;
            writeln!(f, "\n{title} ({file}): {verdict}")?;
            for step in &scenario.steps {
                let StepOutcome {
                    name,
                    mode,
                    seconds,
                    verdict,
                    ..
                } = step;
                writeln!(f, "  {name} ({mode}, {seconds:.0} s): {verdict}")?;
                for check in &step.checks {
                    writeln!(f, "    {check}")?;
                }
            }
        }
        write!(f, "\nverdict     {}", self.verdict())
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let holds = if self.holds { "holds" } else { "FAILS" };
        let value = self.value.map_or("not there".to_owned(), figure);
        write!(
            f,
            "{holds}  {} {value}, demanded {}",
            self.figure, self.demanded
        )?;
        self.base
            .map_or(Ok(()), |base| write!(f, ", which is {}", figure(base)))
    }
}

/// With as many digits as mean something.
fn figure(value: f64) -> String {
    match value.abs() {
        size if value.fract() == 0.0 && size < 1e15 => format!("{value}"),
        size if size < 10.0 => format!("{value:.3}"),
        size if size < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_verdict_decides() {
        let worst = |verdicts: &[Verdict]| Verdict::worst(verdicts.iter().copied());
        assert_eq!(worst(&[]), Verdict::Pass);
        assert_eq!(worst(&[Verdict::None, Verdict::Pass]), Verdict::None);
        assert_eq!(worst(&[Verdict::None, Verdict::Fail]), Verdict::Fail);
        assert_eq!(worst(&[Verdict::NotRun, Verdict::Fail]), Verdict::NotRun);
    }

    #[test]
    fn a_check_is_told_in_one_line() {
        let check = |value, base, holds| Check {
            figure: "latency_us.p99".to_owned(),
            value,
            base,
            demanded: "<= 1.1 times that of \"alone\"".to_owned(),
            holds,
        };
        assert_eq!(
            check(Some(1234.56), Some(1000.0), false).to_string(),
            "FAILS  latency_us.p99 1235, demanded <= 1.1 times that of \"alone\", which is 1000"
        );
        assert!(check(None, None, false).to_string().contains("not there"));
    }
}
