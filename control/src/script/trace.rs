//! A run as one line of JSON, in the form of a case of a package's test: what was seen in service can be
//! put into `test.json` as it is.

use serde_json::{Value, json};

use super::dryrun::{UNHANDLED, UNIQUE_ID};
use super::{Inbound, Outcome, Run, ScriptError};

/// The run and what came of it. `uniqueId` is replaced by the one that tests have.
pub fn traced(run: &Run, outcome: &Result<Outcome, ScriptError>) -> String {
    let Run { criterion, .. } = run;
    let mut when = json!({
        "criterion": criterion.to_string(),
        "user": run.user,
        "application": run.application,
        "session": run.session,
        "stores": run.stores,
    });
    match &run.message {
        Inbound::Web(frame) => when["web"] = json!(frame),
        Inbound::Sip(message) => when["sip"] = json!(message),
        Inbound::Timer => {}
    }
    when["now_ms"] = json!(run.now_ms);
    if let Some(subsession) = &run.subsession {
        when["subsession"] = json!(subsession);
    }
    let mut case = json!({ "name": format!("{}: {criterion}", run.package), "when": when });
    match outcome {
        Ok(Outcome::Ran(actions)) => {
            case["then"] = json!(actions.outbound);
            case["stores"] = json!(actions.stores);
            if let Some(timer) = &actions.timer {
                case["timer"] = json!(timer);
            }
        }
        Ok(Outcome::NoCriterion) => case["fails"] = json!(UNHANDLED),
        Err(error) => case["fails"] = json!(error.to_string()),
    }
    replaced(&mut case, &run.unique_id);
    case.to_string()
}

/// Every text that is the unique id becomes that of tests.
fn replaced(value: &mut Value, unique_id: &str) {
    match value {
        Value::String(text) if text == unique_id && !text.is_empty() => {
            *text = UNIQUE_ID.to_owned();
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| replaced(value, unique_id)),
        Value::Object(members) => {
            members
                .values_mut()
                .for_each(|value| replaced(value, unique_id));
        }
        _ => {}
    }
}
