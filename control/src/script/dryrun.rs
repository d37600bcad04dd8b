//! Runs a package's test: messages in, messages out.
//!
//! A test is a JSON array of cases:
//! ```json
//! { "name": "a start becomes an INVITE",
//!   "when": { "criterion": "FROM_APP/start/request", "user": "alice@example.com", "web": { "header": {} } },
//!   "then": [ { "sip_request": { "method": "INVITE" } } ] }
//! ```
//! All that is sent must be there as it is, in that order. `"stores"` and `"timer"` beside `then` are compared if they are there;
//! `"fails": "text"` instead of `then` wants an error that contains the text.

use serde::Deserialize;

use super::error::{Fault, ScriptError};
use super::{
    Criterion, Direction, Inbound, JsonMap, Outbound, Outcome, Run, Scripts, SessionView, SipView,
    Stores, SubsessionView, Timer, WebView, limits,
};

/// What is said of a message that the package has no function for.
pub(super) const UNHANDLED: &str = "no function handles this";

/// `uniqueId` in a test.
pub(super) const UNIQUE_ID: &str = "test-1";

/// The time in a test that does not say one: the beginning of 2026.
const NOW_MS: u64 = 1_767_225_600_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    when: When,
    #[serde(default)]
    then: Option<Vec<Outbound>>,
    #[serde(default)]
    stores: Option<Stores>,
    #[serde(default)]
    timer: Option<Timer>,
    #[serde(default)]
    fails: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    criterion: String,
    #[serde(default)]
    user: String,
    #[serde(default)]
    application: Option<String>,
    #[serde(default)]
    web: Option<WebView>,
    #[serde(default)]
    sip: Option<SipView>,
    #[serde(default)]
    session: SessionView,
    #[serde(default)]
    subsession: Option<SubsessionView>,
    #[serde(default)]
    constants: JsonMap,
    #[serde(default)]
    now_ms: Option<u64>,
    #[serde(default)]
    stores: Stores,
}

/// One case of a package's test, and what became of it.
#[derive(Debug)]
pub struct TestCase {
    /// What it is about.
    pub name: String,
    /// What went otherwise, if anything did.
    pub outcome: Result<(), ScriptError>,
}

/// Runs all cases of a package's test.
///
/// # Errors
/// The test can't be read.
pub(super) fn run(
    scripts: &Scripts,
    package: &str,
    file: &str,
    text: &str,
) -> Result<Vec<TestCase>, ScriptError> {
    let refuse = |fault, line, column, message: String| ScriptError {
        fault,
        file: file.to_string(),
        line,
        column,
        function: String::new(),
        message,
    };
    if text.len() > limits::SOURCE_BYTES_MAX {
        let message = format!("larger than {} octets", limits::SOURCE_BYTES_MAX);
        return Err(refuse(Fault::Source, 0, 0, message));
    }
    let cases: Vec<Case> = serde_json::from_str(text).map_err(|error| {
        refuse(
            Fault::Compile,
            error.line(),
            error.column(),
            error.to_string(),
        )
    })?;
    if cases.len() > limits::TEST_CASES_MAX {
        let message = format!("more than {} cases", limits::TEST_CASES_MAX);
        return Err(refuse(Fault::Source, 0, 0, message));
    }
    let checked = |case: Case| TestCase {
        outcome: check(scripts, package, &case).map_err(|why| {
            let line = line_of(text, &case.name);
            refuse(Fault::Test, line, 0, format!("{}: {why}", case.name))
        }),
        name: case.name,
    };
    Ok(cases.into_iter().map(checked).collect())
}

/// The line in which a case has its name, 0 if it is written with escapes.
fn line_of(text: &str, name: &str) -> usize {
    let quoted = format!("\"{name}\"");
    let found = text.lines().position(|line| line.contains(&quoted));
    found.map_or(0, |at| at + 1)
}

fn check(scripts: &Scripts, package: &str, case: &Case) -> Result<(), String> {
    let run = case.when.run(package)?;
    let outcome = scripts.run_tested(&run, &case.when.constants);
    if let Some(expected) = &case.fails {
        return match outcome {
            Err(error) if error.to_string().contains(expected) => Ok(()),
            Ok(Outcome::NoCriterion) if expected == UNHANDLED => Ok(()),
            Err(error) => Err(format!(
                "expected a failure with {expected:?}, got: {error}"
            )),
            Ok(_) => Err(format!("expected a failure with {expected:?}, but it ran")),
        };
    }
    let Some(then) = &case.then else {
        return Err("neither `then` nor `fails`".to_string());
    };
    let actions = match outcome {
        Ok(Outcome::Ran(actions)) => actions,
        Ok(Outcome::NoCriterion) => return Err(UNHANDLED.to_string()),
        Err(error) => return Err(error.to_string()),
    };
    for at in 0..then.len().max(actions.outbound.len()) {
        let (wanted, sent) = (then.get(at), actions.outbound.get(at));
        if wanted != sent {
            let number = at + 1;
            let (wanted, sent) = (shown(wanted), shown(sent));
            return Err(format!("message {number}: expected {wanted}, sent {sent}"));
        }
    }
    if case.timer.is_some() && case.timer != actions.timer {
        let (wanted, set) = (shown(case.timer.as_ref()), shown(actions.timer.as_ref()));
        return Err(format!("timer: expected {wanted}, set {set}"));
    }
    match &case.stores {
        Some(stores) if *stores != actions.stores => Err(format!(
            "stores: expected {}, got {}",
            shown(Some(stores)),
            shown(Some(&actions.stores))
        )),
        _ => Ok(()),
    }
}

fn shown<T: serde::Serialize>(value: Option<&T>) -> String {
    let Some(value) = value else {
        return "nothing".to_string();
    };
    serde_json::to_string(value).unwrap_or_else(|error| error.to_string())
}

impl When {
    fn run(&self, package: &str) -> Result<Run, String> {
        let mut criterion = Criterion::parse(&self.criterion)
            .ok_or_else(|| format!("{} is no criterion", self.criterion))?;
        let message = match (&self.web, &self.sip) {
            (Some(frame), None) => Inbound::Web(frame.clone()),
            (None, Some(message)) => {
                criterion.status = (message.status > 0).then_some(message.status);
                let mut message = message.clone();
                message.is_request = message.status == 0;
                if message.method.is_empty() {
                    message.method.clone_from(&criterion.verb);
                }
                Inbound::Sip(message)
            }
            (None, None) if criterion.direction == Direction::FromTimer => Inbound::Timer,
            _ => return Err("`when` needs either `web` or `sip`".to_string()),
        };
        Ok(Run {
            package: package.to_string(),
            application: self.application.clone().unwrap_or("default".to_string()),
            criterion,
            message,
            user: self.user.clone(),
            unique_id: UNIQUE_ID.to_string(),
            session: self.session.clone(),
            subsession: self.subsession.clone(),
            now_ms: self.now_ms.unwrap_or(NOW_MS),
            stores: self.stores.clone(),
        })
    }
}
