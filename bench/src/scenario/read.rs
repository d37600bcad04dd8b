//! Reads a scenario's file. Every word is checked; what is wrong is told with line and column.

use std::fmt;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Modes;
use super::demand::{Demand, figures};

/// Steps of one scenario.
const STEPS_MAX: usize = 64;
/// Options that a step may not set, because `run` does.
const OWN_OPTIONS: [&str; 2] = ["json", "quiet"];

/// What a file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What it is, in a few words.
    pub title: String,
    /// What it is for, in sentences.
    pub about: String,
    /// What is done, in this order.
    pub steps: Vec<Step>,
}

/// A run of one mode.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What it is called, unlike any other of its scenario.
    pub name: String,
    /// The mode.
    pub mode: String,
    /// Its options, as on the command line.
    pub options: Vec<String>,
    /// Whether it can be told to be quiet.
    pub has_quiet: bool,
    /// The names of what it will have measured.
    pub figures: Vec<String>,
    /// What must hold of its result.
    pub demands: Vec<Demand>,
}

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    line: usize,
    column: usize,
    what: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}

/// What is wrong, and at which octets.
type Problem = (Range<usize>, String);
type Table<'a> = DeTable<'a>;

impl Scenario {
    /// Reads a file's text. What modes there are, their options and their figures, `modes` says.
    pub fn read(text: &str, modes: &Modes) -> Result<Scenario, Wrong> {
        let read = match DeTable::parse(text) {
            Ok(table) => scenario(&table, modes),
            Err(error) => Err((error.span().unwrap_or(0..0), error.message().to_owned())),
        };
        read.map_err(|(span, what)| {
            let before = text.get(..span.start).unwrap_or(text);
            let line = before.rsplit('\n').next().unwrap_or("");
            Wrong {
                line: before.matches('\n').count() + 1,
                column: line.chars().count() + 1,
                what,
            }
        })
    }
}

fn scenario(table: &Spanned<Table<'_>>, modes: &Modes) -> Result<Scenario, Problem> {
    only(table.get_ref(), &["title", "about", "step"])?;
    let (span, table) = (table.span(), table.get_ref());
    let title = text(table, "title", &span)?;
    let about = match table.get("about") {
        Some(_) => text(table, "about", &span)?,
        None => String::new(),
    };
    let list = table.get("step").ok_or((span, need("[[step]]")))?;
    let items = list.get_ref().as_array();
    let items = items.ok_or_else(|| (list.span(), "steps are written [[step]]".to_owned()))?;
    let mut steps: Vec<Step> = Vec::new();
    for item in items.iter() {
        let wrong = |what: &str| (item.span(), what.to_owned());
        if steps.len() == STEPS_MAX {
            return Err(wrong("a scenario has at most 64 steps"));
        }
        let fields = item.get_ref().as_table();
        let fields = fields.ok_or_else(|| wrong("a step is written [[step]]"))?;
        let next = step(fields, &item.span(), &steps, modes)?;
        steps.push(next);
    }
    Ok(Scenario {
        title,
        about,
        steps,
    })
}

fn step(
    table: &Table<'_>,
    span: &Range<usize>,
    earlier: &[Step],
    modes: &Modes,
) -> Result<Step, Problem> {
    only(table, &["name", "mode", "offer", "pass"])?;
    let name = text(table, "name", span)?;
    if earlier.iter().any(|step| step.name == name) {
        return Err((
            at(table, "name"),
            format!("two steps are called \"{name}\""),
        ));
    }
    let mode = text(table, "mode", span)?;
    let measuring = measuring(&modes.program);
    let Some(command) = measuring.iter().find(|command| command.get_name() == mode) else {
        let names: Vec<&str> = measuring.iter().map(|command| command.get_name()).collect();
        return Err((at(table, "mode"), unknown("mode", &mode, &names)));
    };
    let options = match table.get("offer") {
        Some(offer) => options(inner(offer, "offer")?, &offer.span(), command)?,
        None => Vec::new(),
    };
    let words: Vec<String> = std::iter::once(&mode).chain(&options).cloned().collect();
    let figures = (modes.sample)(&words).map_or(Vec::new(), |sample| figures(&sample));
    let demands = match table.get("pass") {
        Some(pass) => demands(inner(pass, "pass")?, &figures, earlier)?,
        None => Vec::new(),
    };
    Ok(Step {
        name,
        mode,
        options,
        has_quiet: has(command, "quiet"),
        figures,
        demands,
    })
}

/// What can be measured: what writes its result as JSON, but for scenarios themselves.
fn measuring(program: &clap::Command) -> Vec<&clap::Command> {
    let modes = program.get_subcommands().filter(|command| {
        let is_file = |argument: &clap::Arg| {
            argument.get_long() == Some("json") && argument.get_action().takes_values()
        };
        command.get_name() != "run" && command.get_arguments().any(is_file)
    });
    modes.collect()
}

fn has(command: &clap::Command, option: &str) -> bool {
    let mut all = command.get_arguments();
    all.any(|argument| argument.get_long() == Some(option))
}

/// Options of a mode; each is tried alone, so that a wrong one is known, then all together.
fn options(
    table: &Table<'_>,
    span: &Range<usize>,
    command: &clap::Command,
) -> Result<Vec<String>, Problem> {
    let long = |argument: &clap::Arg| argument.get_long().map(str::to_owned);
    let known: Vec<String> = command.get_arguments().filter_map(long).collect();
    let known = known.iter().map(String::as_str);
    let known: Vec<&str> = known.filter(|name| !OWN_OPTIONS.contains(name)).collect();
    let mut words = Vec::new();
    for (key, value) in table.iter() {
        let name: &str = key.get_ref();
        if !known.contains(&name) {
            return Err((key.span(), unknown("option", name, &known)));
        }
        let option = match value.get_ref() {
            DeValue::Boolean(true) => format!("--{name}"),
            DeValue::Boolean(false) => continue,
            other => match word(other) {
                Some(word) => format!("--{name}={word}"),
                None => {
                    let what = format!("{name}: a text, a number, true, or a list of those");
                    return Err((value.span(), what));
                }
            },
        };
        let is_about_another = |kind| {
            use clap::error::ErrorKind::{ArgumentConflict, MissingRequiredArgument};
            matches!(kind, ArgumentConflict | MissingRequiredArgument)
        };
        match try_options(command, std::slice::from_ref(&option)) {
            Err((kind, why)) if !is_about_another(kind) => return Err((value.span(), why)),
            _ => words.push(option),
        }
    }
    match try_options(command, &words) {
        Err((_, why)) => Err((span.clone(), why)),
        Ok(()) => Ok(words),
    }
}

fn try_options(
    command: &clap::Command,
    words: &[String],
) -> Result<(), (clap::error::ErrorKind, String)> {
    let all = std::iter::once(command.get_name().to_owned()).chain(words.iter().cloned());
    let tried = command.clone().try_get_matches_from(all);
    tried.map(drop).map_err(|error| {
        let text = error.to_string();
        let line = text.lines().next().unwrap_or("").trim();
        let line = line.strip_prefix("error: ").unwrap_or(line);
        (error.kind(), line.to_owned())
    })
}

/// A value as it is typed on a command line.
fn word(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Array(items) => {
            let words: Option<Vec<String>> =
                items.iter().map(|item| word(item.get_ref())).collect();
            words.map(|words| words.join(","))
        }
        _ => None,
    }
}

fn demands(
    table: &Table<'_>,
    figures: &[String],
    earlier: &[Step],
) -> Result<Vec<Demand>, Problem> {
    let mut demands = Vec::new();
    for (key, value) in table.iter() {
        let figure: &str = key.get_ref();
        let is_measured = |figures: &[String]| figures.iter().any(|known| known == figure);
        if !is_measured(figures) {
            let known: Vec<&str> = figures.iter().map(String::as_str).collect();
            return Err((key.span(), unknown("figure", figure, &known)));
        }
        let bounds = inner(value, figure)?;
        only(bounds, &["min", "max", "times"])?;
        let bound = |name: &str| match bounds.get(name) {
            Some(value) => number(value.get_ref())
                .map(Some)
                .ok_or_else(|| (value.span(), format!("{name} is a number"))),
            None => Ok(None),
        };
        let (min, max) = (bound("min")?, bound("max")?);
        if min.is_none() && max.is_none() {
            return Err((value.span(), format!("{figure}: {}", need("min or max"))));
        }
        let times = match bounds.get("times") {
            Some(_) => Some(text(bounds, "times", &value.span())?),
            None => None,
        };
        if let Some(name) = &times {
            let Some(base) = earlier.iter().find(|step| step.name == *name) else {
                let names: Vec<&str> = earlier.iter().map(|step| &step.name[..]).collect();
                return Err((at(bounds, "times"), unknown("earlier step", name, &names)));
            };
            if !is_measured(&base.figures) {
                let what = format!("step \"{name}\" has no figure \"{figure}\"");
                return Err((at(bounds, "times"), what));
            }
        }
        demands.push(Demand {
            figure: figure.to_owned(),
            min,
            max,
            times,
        });
    }
    Ok(demands)
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    let text = match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => return None,
    };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn only(table: &Table<'_>, known: &[&str]) -> Result<(), Problem> {
    let wrong = table.keys().find(|key| {
        let name: &str = key.get_ref();
        !known.contains(&name)
    });
    match wrong {
        Some(key) => Err((key.span(), unknown("word", key.get_ref(), known))),
        None => Ok(()),
    }
}

fn text(table: &Table<'_>, name: &str, span: &Range<usize>) -> Result<String, Problem> {
    let value = table.get(name).ok_or((span.clone(), need(name)))?;
    match value.get_ref().as_str() {
        Some(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        _ => Err((value.span(), format!("{name} is a text, and not empty"))),
    }
}

fn inner<'a, 'b>(value: &'a Spanned<DeValue<'b>>, name: &str) -> Result<&'a Table<'b>, Problem> {
    let table = value.get_ref().as_table();
    table.ok_or_else(|| (value.span(), format!("{name} is a table: {{ … }}")))
}

fn at(table: &Table<'_>, name: &str) -> Range<usize> {
    table.get(name).map_or(0..0, Spanned::span)
}

fn need(name: &str) -> String {
    format!("{name} is missing")
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    if known.is_empty() {
        return format!("there is no {what} \"{name}\": there is none at all");
    }
    format!(
        "there is no {what} \"{name}\": there are {}",
        known.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
title = "A chat"
about = "Small."

[[step]]
name = "alone"
mode = "media"
offer = { sessions = 10, legs = "ws-tcp", duration = 0.5, cores = [0, 1], quick = false }

[[step]]
name = "again"
mode = "media"
offer.sessions = 10
[step.pass]
faults_total = { max = 0 }
"latency_us.p99" = { max = 1.1, times = "alone" }
"#;

    const CHURN: &str = r#"
title = "A chat, and sessions that come and go"

[[step]]
name = "alone"
mode = "media"

[[step]]
name = "many"
mode = "churn"
[step.pass]
"made_us.p99" = { max = 1.1, min = 1.0,  times = "alone" }
"#;

    fn read(text: &str) -> Result<Scenario, String> {
        Scenario::read(text, &crate::modes()).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn a_step_has_the_options_of_its_mode() {
        let scenario = read(&GOOD.replace(", quick = false", "")).unwrap();
        assert_eq!(
            scenario.steps[0].options,
            [
                "--cores=0,1",
                "--duration=0.5",
                "--legs=ws-tcp",
                "--sessions=10"
            ]
        );
        let demands = &scenario.steps[1].demands;
        assert_eq!(demands.len(), 2);
        assert_eq!(demands[1].times.as_deref(), Some("alone"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let good = GOOD.replace(", quick = false", "");
        let wrong = |from: &str, to: &str| read(&good.replacen(from, to, 1)).unwrap_err();
        assert!(
            read(GOOD)
                .unwrap_err()
                .starts_with("8:75: there is no option \"quick\"")
        );
        assert!(
            wrong("title", "tittle")
                .starts_with("2:1: there is no word \"tittle\": there are title,")
        );
        assert!(wrong("\"media\"", "\"medium\"").starts_with("7:8: there is no mode \"medium\""));
        assert!(wrong("\"media\"", "\"byte-relay\"").contains("no mode"));
        assert!(wrong("= 10,", "= -1,").starts_with("8:22: "));
        assert!(wrong("legs = \"ws-tcp\"", "legs = \"x\"").starts_with("8:33: invalid value 'x'"));
        assert!(
            wrong("times = \"alone\"", "times = \"later\"").contains("no earlier step \"later\"")
        );
        assert!(wrong("name = \"again\"", "name = \"alone\"").contains("two steps"));
        let why = wrong("faults_total", "fault_total");
        assert!(
            why.starts_with("15:1: there is no figure \"fault_total\""),
            "{why}"
        );
        assert!(
            why.contains(" faults_total,") && why.contains(" latency_us.p99,"),
            "{why}"
        );
        assert!(
            !why.contains("lateness_us"),
            "only an open load has it: {why}"
        );
        let why = wrong("faults_total", "\"latency_us.curve\"");
        assert!(why.contains("no figure \"latency_us.curve\""), "{why}");
        let why = read(&CHURN.replace("made_us", "latency_us")).unwrap_err();
        assert!(why.contains("there is no figure"), "{why}");
        let why = read(CHURN).unwrap_err();
        assert!(
            why.starts_with("12:50: step \"alone\" has no figure"),
            "{why}"
        );
        assert!(wrong("{ max = 0 }", "{ }").contains("min or max is missing"));
        assert!(wrong("{ max = 0 }", "{ max = nan }").contains("max is a number"));
        assert!(wrong("{ max = 0 }", "0").contains("is a table"));
        assert!(wrong("sessions = 10,", "json = \"x\",").contains("no option \"json\""));
        assert!(wrong("\"A chat\"", "\"\"").starts_with("2:9: title is a text"));
        assert!(wrong("about", "abo ut").starts_with("3:"));
        assert!(
            read("title = \"x\"")
                .unwrap_err()
                .contains("[[step]] is missing")
        );
    }

    #[test]
    fn every_scenario_that_ships_can_be_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let files = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut modes = Vec::new();
        for file in files {
            let scenario = read(&std::fs::read_to_string(&file).unwrap());
            let scenario = scenario.unwrap_or_else(|why| panic!("{}:{why}", file.display()));
            modes.extend(scenario.steps.into_iter().map(|step| step.mode));
        }
        let lacks = |mode: &&&clap::Command| !modes.iter().any(|name| name == mode.get_name());
        let known = crate::modes();
        let all = measuring(&known.program);
        let lacking: Vec<&str> = all
            .iter()
            .filter(lacks)
            .map(|mode| mode.get_name())
            .collect();
        assert!(lacking.is_empty(), "no scenario of {lacking:?}");
    }

    #[test]
    fn a_column_counts_characters() {
        let text = "title = \"ä\" x";
        assert!(read(text).unwrap_err().starts_with("1:13: "));
    }
}
