//! What a script may not do, and where it is cut off.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::*;

#[test]
fn what_was_received_cannot_be_changed() {
    let body = r#"
        context.webMessage.header.action = "other";
        if context.webMessage.header.action != "start" { throw "changed"; }
    "#;
    try_body(body).unwrap_or_else(|error| panic!("{error}"));
    let error = try_body("context.webMessage.send()").unwrap_err();
    assert!(error.message.contains("received"), "{error}");
    assert!(try_body("context.user = \"eve\"").is_err());
}

/// Bodies that must fail as the script's own fault, each with a word of its message and the line it stands in.
#[test]
fn what_a_script_may_not_do_is_refused_with_its_line() {
    let request = "let r = context.sipFactory.createSipRequest(\"X\");\n";
    let rows = [
        (
            "r.setHeader(\"Subject\", \"a\\r\\nVia: b\");",
            "not allowed",
        ),
        ("r.setHeader(\"Sub ject\", \"a\");", "not a token"),
        ("r.setHeader(\"Via\", \"a\");", "set by the system"),
        ("r.addHeader(\"call-ID\", \"a\");", "set by the system"),
        ("r.setContent(\"x\", \"text\\r\\nX: y/z\");", "not allowed"),
        (
            "r.setSipContactParameter(\"a\", \"b>;c\");",
            "quoted string",
        ),
        ("r.setContactUser(\"a@b\");", "not a token"),
        ("r.requestURI = \"sip:a\\nb\";", "not allowed"),
        ("r.send(); r.send();", "sent already"),
        ("r.send(); r.setHeader(\"A\", \"b\");", "sent already"),
        (
            "context.sipFactory.createSipRequest(\"IN VITE\");",
            "not a token",
        ),
        ("context.sipFactory.createSipResponse(99);", "between 101"),
        ("context.sipFactory.createSipResponse(700);", "between 101"),
        (
            "context.sipFactory.createSipResponse(200, \"a\\nb\");",
            "control characters",
        ),
        (
            "context.webFactory.createWebErrorResponse(\"start\", 200, \"\");",
            "between 300",
        ),
        ("context.webFactory.createWebMessage(\"\");", "action"),
        ("context.subSessionStore.put(\"f\", |x| x);", "not JSON"),
        ("Constants.NO_SUCH", "no constant"),
        ("sleep(1);", "wait"),
        ("throw \"mine\";", "mine"),
        ("noSuchFunction(1);", "noSuchFunction"),
    ];
    for (line, word) in rows {
        let error = try_body(&format!("{request}{line}")).unwrap_err();
        assert_eq!(error.fault, Fault::Runtime, "{line}: {error}");
        assert!(error.message.contains(word), "{line}: {error}");
        assert_eq!(
            (error.file.as_str(), error.line),
            ("p/p.rhai", 3),
            "{line}: {error}"
        );
        assert_eq!(error.function, "from_app_start_request", "{line}");
    }
}

#[test]
fn a_run_that_never_ends_is_cut_off() {
    for body in [
        "loop {}",
        "let x = 0; while true { x += 1; }",
        "let y = 0; for x in 0..9999999999 { y = x; }",
    ] {
        let error = try_body(body).unwrap_err();
        assert_eq!(error.fault, Fault::Limit, "{body}: {error}");
        assert_eq!(
            (error.file.as_str(), error.line),
            ("p/p.rhai", 1),
            "{error}"
        );
        assert_eq!(error.function, "from_app_start_request");
    }
}

#[test]
fn a_run_that_takes_too_long_is_cut_off() {
    static NOW_MS: AtomicU64 = AtomicU64::new(0);
    let slow = Environment {
        constants: JsonMap::new(),
        session_configs: BTreeMap::new(),
        clock: Box::new(|| NOW_MS.fetch_add(20, Ordering::Relaxed)),
    };
    let text = "fn from_app_start_request(context) { for x in 0..1000 { print(x); } }";
    let scripts = Scripts::load(&[source("p", text)], slow).unwrap();
    let run = web_run("p", "FROM_APP/start/request", json!({}));
    let error = scripts.run(&run).unwrap_err();
    assert_eq!(error.fault, Fault::Limit);
    assert_eq!(error.message, "longer than 50 ms");
    // The next run starts with a clock of its own.
    let text = "fn from_app_start_request(context) {}";
    let scripts = Scripts::load(&[source("p", text)], environment()).unwrap();
    assert!(scripts.run(&run).is_ok());
}

#[test]
fn a_limit_can_not_be_caught_by_the_script() {
    let error = try_body("try { loop {} } catch {}").unwrap_err();
    assert_eq!(error.fault, Fault::Limit);
}

#[test]
fn deep_recursion_is_cut_off() {
    let text = "fn f(n) { f(n + 1) + 1 }\nfn from_app_start_request(context) { f(0); }";
    let scripts = Scripts::load(&[source("p", text)], environment()).unwrap();
    let error = scripts
        .run(&web_run("p", "FROM_APP/start/request", json!({})))
        .unwrap_err();
    assert_eq!(error.fault, Fault::Limit, "{error}");
    let deep = format!("fn f(x) {{ {}x{} }}", "(".repeat(5000), ")".repeat(5000));
    let error = Scripts::load(&[source("p", &deep)], environment())
        .err()
        .unwrap();
    assert_eq!(error.fault, Fault::Compile);
}

#[test]
fn huge_values_are_refused() {
    for body in [
        "let s = \"x\"; loop { s += s; }",
        "let s = \"x\"; s.pad(1000000000, 'y');",
        "let a = []; a.pad(1000000000, 1);",
        "let a = []; loop { a.push(1); }",
        "let m = #{}; let n = 0; loop { m[`k${n}`] = n; n += 1; }",
        "let a = []; loop { a = [a, a]; }",
        "let b = blob(1000000000);",
        "let s = \"x\"; for n in 0..9999999 { s = `${s}${s}`; }",
    ] {
        let error = try_body(body).unwrap_err();
        assert_ne!(error.fault, Fault::Compile, "{body}: {error}");
    }
    let big = "let s = \"\"; s.pad(70000, 'x'); ";
    let body = "context.sipFactory.createSipRequest(\"X\").setContent(s, \"a/b\");";
    assert!(
        try_body(&format!("{big}{body}"))
            .unwrap_err()
            .message
            .contains("65536")
    );
    let body = "s.pad(120000, 'x'); let w = context.webFactory.createWebMessage(\"x\");
        w.payload.a = s; w.header.a = s; w.send();";
    assert!(
        try_body(&format!("{big}{body}"))
            .unwrap_err()
            .message
            .contains("196608")
    );
}

#[test]
fn only_so_many_messages_are_sent_and_lines_logged() {
    let body = "for n in 0..11 { context.sipFactory.createSipRequest(\"X\").send(); }";
    assert!(try_body(body).unwrap_err().message.contains("10 messages"));
    let body = "for n in 0..100 { context.log.warn(\"line\\n\" + n); } let s = \"\"; s.pad(9999, 'ä'); print(s);";
    let log = try_body(body).unwrap().log;
    assert_eq!(log.len(), limits::LOG_LINES_MAX);
    assert_eq!(
        log[3],
        LogLine {
            level: LogLevel::Warn,
            text: "line 3".to_string()
        }
    );
    let log = try_body("let s = \"\"; s.pad(9999, 'ä'); context.log.error(s); debug(1);")
        .unwrap()
        .log;
    assert_eq!(
        (log[0].level, log[0].text.len()),
        (LogLevel::Error, limits::LOG_BYTES_MAX)
    );
    assert_eq!(log[1].text, "1");
}

#[test]
fn stores_keep_json_within_their_limits() {
    let body = r#"
        context.subSessionStore.put("a", #{ n: 1 });
        context.sessionStore["b"] = "x";
        if context.subSessionStore.get("a").n != 1 || context.store.b != "x" { throw "read"; }
        if context.subSessionStore.get("none") != () { throw "none"; }
        context.subSessionStore.put("c", 1);
        if context.subSessionStore.remove("c") != 1 { throw "remove"; }
    "#;
    let actions = try_body(body).unwrap_or_else(|error| panic!("{error}"));
    let expected = json!({"session": {"b": "x"}, "subsession": {"a": {"n": 1}}});
    assert_eq!(serde_json::to_value(&actions.stores).unwrap(), expected);
    let entry = "let s = \"\"; s.pad(16384, 'x'); context.store.put(\"k\", s);";
    assert!(try_body(entry).unwrap_err().message.contains("16384"));
    let store = "let s = \"\"; s.pad(16000, 'x'); for n in 0..5 { context.store.put(`k${n}`, s); }";
    assert!(try_body(store).unwrap_err().message.contains("65536"));
}

#[test]
fn a_run_that_fails_leaves_the_stores_as_they_were() {
    let text = "fn from_app_start_request(context) { context.store.put(\"a\", 2); throw \"no\"; }";
    let scripts = Scripts::load(&[source("p", text)], environment()).unwrap();
    let mut run = web_run("p", "FROM_APP/start/request", json!({}));
    run.stores.session.insert("a".to_string(), json!(1));
    assert!(scripts.run(&run).is_err());
    assert_eq!(run.stores.session["a"], json!(1));
}

#[test]
fn a_script_can_neither_load_code_nor_read_the_clock() {
    for body in ["eval(\"1\");", "import \"x\" as x;", "timestamp();"] {
        assert!(try_body(body).is_err(), "{body}");
    }
}

#[test]
fn statements_outside_of_functions_are_bounded_too() {
    let error = Scripts::load(&[source("p", "loop {}")], environment())
        .err()
        .unwrap();
    assert_eq!(error.fault, Fault::Limit);
    let error = Scripts::load(&[source("p", "const F = |x| x;")], environment())
        .err()
        .unwrap();
    assert_eq!(error.fault, Fault::Compile);
}
