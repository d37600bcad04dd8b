//! Tests of the whole: sources in, outcomes out. What is shipped is compiled and dry-run here too.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::*;

fn environment() -> Environment {
    Environment {
        constants: JsonMap::new(),
        clock: Box::new(|| 0),
    }
}

fn source(package: &str, text: &str) -> Source {
    Source {
        package: package.to_string(),
        file: format!("{package}/{package}.rhai"),
        text: text.to_string(),
        test: None,
    }
}

fn shipped(package: &str, text: &str, test: Option<&str>) -> Source {
    Source {
        test: test.map(|text| (format!("{package}/test.json"), text.to_string())),
        ..source(package, text)
    }
}

fn library() -> Source {
    source(LIBRARY, include_str!("../../packages/library.rhai"))
}

fn web_run(package: &str, key: &str, frame: serde_json::Value) -> Run {
    Run {
        package: package.to_string(),
        application: "default".to_string(),
        criterion: Criterion::parse(key).unwrap(),
        message: Inbound::Web(serde_json::from_value(frame).unwrap()),
        user: "alice@localhost".to_string(),
        unique_id: "u1".to_string(),
        session: SessionView::default(),
        subsession: None,
        stores: Stores::default(),
    }
}

/// Runs `fn from_app_start_request(context)` with this body.
fn try_body(body: &str) -> Result<Actions, ScriptError> {
    let text = format!("fn from_app_start_request(context) {{\n{body}\n}}");
    let scripts = Scripts::load(vec![library(), source("p", &text)], environment())?;
    let frame = json!({"header": {"action": "start", "target": "bob@localhost", "n": 7}});
    match scripts.run(&web_run("p", "FROM_APP/start/request", frame))? {
        Outcome::Ran(actions) => Ok(actions),
        Outcome::NoCriterion => panic!("the function was not found"),
    }
}

#[test]
fn the_shipped_packages_pass_their_tests() {
    let scripts = Scripts::load(
        vec![
            library(),
            shipped(
                "register",
                include_str!("../../packages/register/register.rhai"),
                Some(include_str!("../../packages/register/test.json")),
            ),
            shipped(
                "chat",
                include_str!("../../packages/chat/chat.rhai"),
                Some(include_str!("../../packages/chat/test.json")),
            ),
        ],
        environment(),
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let criteria = scripts.criteria();
    assert_eq!(criteria[0].0, "chat");
    assert!(criteria[0].1.contains(&"from_net_invite_response_2xx".to_string()));
    assert!(scripts.has_package("register") && !scripts.has_package(LIBRARY));
}

#[test]
fn scripts_can_be_shared_between_threads() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Scripts>();
}
