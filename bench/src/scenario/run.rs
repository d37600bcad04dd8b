//! Runs the steps of a scenario, each in a process of this same program.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::process::Stdio;
use std::time::Instant;

use rustix::fs::{MemfdFlags, memfd_create};
use serde_json::Value;

use super::outcome::{Check, Outcome, StepOutcome, Verdict};
use super::read::{Scenario, Step};
use crate::child;

/// Octets of a step's result.
const RESULT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Runs a scenario; `file` is what it is called.
pub fn run(file: &str, scenario: &Scenario, is_told: bool) -> Result<Outcome, String> {
    let mut steps: Vec<StepOutcome> = Vec::new();
    for (number, step) in scenario.steps.iter().enumerate() {
        if is_told {
            let of = scenario.steps.len();
            eprintln!("{file}, {}/{of}: {} ({})", number + 1, step.name, step.mode);
        }
        let outcome = run_step(step, &steps, is_told)?;
        if is_told {
            eprintln!("{file}, {}: {}", step.name, outcome.verdict);
        }
        steps.push(outcome);
    }
    let verdict = Verdict::worst(steps.iter().map(|step| step.verdict));
    Ok(Outcome {
        file: file.to_owned(),
        title: scenario.title.clone(),
        about: scenario.about.clone(),
        steps,
        verdict,
    })
}

fn run_step(step: &Step, earlier: &[StepOutcome], is_told: bool) -> Result<StepOutcome, String> {
    let begin = Instant::now();
    let failed = |error: std::io::Error| format!("step \"{}\": {error}", step.name);
    let program = std::env::current_exe().map_err(failed)?;
    let result =
        memfd_create("result", MemfdFlags::CLOEXEC).map_err(|error| failed(error.into()))?;
    let mut result = File::from(result);
    let path = format!("/proc/{}/fd/{}", std::process::id(), result.as_raw_fd());
    let mut command = child::command(program, None).map_err(|why| format!("step: {why}"))?;
    command.arg(&step.mode).args(&step.options);
    command.args(["--json", &path]);
    if !is_told && step.has_quiet {
        command.arg("--quiet");
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let status = command.status().map_err(failed)?;
    let mut text = String::new();
    result.seek(SeekFrom::Start(0)).map_err(failed)?;
    let read = result.take(RESULT_BYTES_MAX).read_to_string(&mut text);
    read.map_err(failed)?;
    let value: Option<Value> = serde_json::from_str(&text).ok();
    Ok(judge(
        step,
        earlier,
        status.code(),
        value,
        begin.elapsed().as_secs_f64(),
    ))
}

/// What an exit status and a result amount to.
fn judge(
    step: &Step,
    earlier: &[StepOutcome],
    status: Option<i32>,
    result: Option<Value>,
    seconds: f64,
) -> StepOutcome {
    let result = result.unwrap_or(Value::Null);
    let checks: Vec<Check> = step
        .demands
        .iter()
        .map(|demand| {
            let base = demand.times.as_ref().and_then(|name| {
                let other = earlier.iter().find(|other| other.name == *name)?;
                demand.figure_in(&other.result)
            });
            let value = demand.figure_in(&result);
            Check {
                figure: demand.figure.clone(),
                value,
                base,
                demanded: demand.to_string(),
                holds: value.is_some_and(|value| demand.holds(value, base)),
            }
        })
        .collect();
    let all_hold = checks.iter().all(|check| check.holds);
    let verdict = match status {
        Some(0 | 1 | 3) if result.is_null() => Verdict::NotRun,
        Some(0) if all_hold => Verdict::Pass,
        Some(0 | 1) => Verdict::Fail,
        Some(3) => Verdict::None,
        _ => Verdict::NotRun,
    };
    StepOutcome {
        name: step.name.clone(),
        mode: step.mode.clone(),
        options: step.options.clone(),
        seconds,
        status,
        checks,
        result,
        verdict,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::demand::Demand;
    use super::*;

    fn step() -> Step {
        let demand = |figure: &str, max: f64, times: Option<&str>| Demand {
            figure: figure.to_owned(),
            min: None,
            max: Some(max),
            times: times.map(str::to_owned),
        };
        Step {
            name: "later".to_owned(),
            mode: "media".to_owned(),
            options: Vec::new(),
            has_quiet: true,
            figures: Vec::new(),
            demands: vec![
                demand("faults", 0.0, None),
                demand("p99", 1.1, Some("alone")),
            ],
        }
    }

    #[test]
    fn a_step_passes_when_its_process_and_its_figures_say_so() {
        let alone = judge(&step(), &[], Some(0), Some(json!({"p99": 10.0})), 1.0);
        let earlier = [StepOutcome {
            name: "alone".to_owned(),
            ..alone
        }];
        let verdict = |status, result| judge(&step(), &earlier, status, result, 1.0).verdict;
        let good = json!({"faults": 0, "p99": 10.5});
        assert_eq!(verdict(Some(0), Some(good.clone())), Verdict::Pass);
        assert_eq!(verdict(Some(1), Some(good.clone())), Verdict::Fail);
        assert_eq!(verdict(Some(2), Some(good.clone())), Verdict::NotRun);
        assert_eq!(verdict(Some(3), Some(good.clone())), Verdict::None);
        assert_eq!(verdict(None, Some(good)), Verdict::NotRun, "it was killed");
        assert_eq!(verdict(Some(0), None), Verdict::NotRun);
        let slow = json!({"faults": 0, "p99": 12.0});
        assert_eq!(verdict(Some(0), Some(slow)), Verdict::Fail);
        assert_eq!(
            verdict(Some(0), Some(json!({"p99": 1.0}))),
            Verdict::Fail,
            "a figure lacks"
        );
    }
}
