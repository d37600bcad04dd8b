//! Tests of the whole: sources in, outcomes out. What is shipped is compiled and dry-run here too.

use serde_json::json;

use super::*;

mod bodies;
mod bounds;

fn environment() -> Environment {
    Environment {
        constants: JsonMap::new(),
        session_configs: [("browser", true), ("handset", false), ("rcs-tls", false)]
            .map(|(name, is_browsers)| (name.to_string(), is_browsers))
            .into(),
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
    let text = concat!(
        include_str!("../../packages/library.rhai"),
        include_str!("../../packages/library_services.rhai")
    );
    source(LIBRARY, text)
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
        now_ms: 1_767_225_600_000,
        stores: Stores::default(),
    }
}

/// Runs `fn from_app_start_request(context)` with this body.
fn try_body(body: &str) -> Result<Actions, ScriptError> {
    let text = format!("fn from_app_start_request(context) {{\n{body}\n}}");
    let scripts = Scripts::load(&[library(), source("p", &text)], environment())?;
    let frame = json!({"header": {"action": "start", "target": "bob@localhost", "n": 7}});
    match scripts.run(&web_run("p", "FROM_APP/start/request", frame))? {
        Outcome::Ran(actions) => Ok(actions),
        Outcome::NoCriterion => panic!("the function was not found"),
    }
}

#[test]
fn the_shipped_packages_pass_their_tests() {
    let scripts = Scripts::load(
        &[
            library(),
            shipped(
                "register",
                include_str!("../../packages/register/register.rhai"),
                Some(include_str!("../../packages/register/test.json")),
            ),
            shipped(
                "capability",
                include_str!("../../packages/capability/capability.rhai"),
                Some(include_str!("../../packages/capability/test.json")),
            ),
            shipped(
                "messaging",
                include_str!("../../packages/messaging/messaging.rhai"),
                Some(include_str!("../../packages/messaging/test.json")),
            ),
            shipped(
                "file_transfer",
                include_str!("../../packages/file_transfer/file_transfer.rhai"),
                Some(include_str!("../../packages/file_transfer/test.json")),
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
    assert_eq!(criteria[1].0, "chat");
    assert!(
        criteria[1]
            .1
            .contains(&"from_net_invite_response_2xx".to_string())
    );
    assert!(scripts.has_package("register") && !scripts.has_package(LIBRARY));
}

#[test]
fn scripts_can_be_shared_between_threads() {
    fn shareable<T: Send + Sync>() {}
    shareable::<Scripts>();
}

#[test]
fn a_package_or_function_that_is_not_there_is_no_criterion() {
    let text = "fn from_app_start_request(context) {}";
    let scripts = Scripts::load(&[source("p", text)], environment()).unwrap();
    let ran = |package: &str, key: &str| {
        let outcome = scripts.run(&web_run(package, key, json!({}))).unwrap();
        matches!(outcome, Outcome::Ran(_))
    };
    assert!(ran("p", "FROM_APP/start/request"));
    assert!(!ran("p", "FROM_APP/start/response"));
    assert!(!ran("q", "FROM_APP/start/request"));
}

#[test]
fn an_application_may_have_a_function_of_its_own_and_any_catches_the_rest() {
    let text = r#"
        fn from_app_start_request(context) { print("general"); }
        fn from_app_start_request_at_shop(context) { print("shop"); }
        fn from_app_any_request(context) { print("any"); }
    "#;
    let scripts = Scripts::load(&[source("p", text)], environment()).unwrap();
    let said = |application: &str, key: &str| {
        let run = Run {
            application: application.to_string(),
            ..web_run("p", key, json!({}))
        };
        match scripts.run(&run).unwrap() {
            Outcome::Ran(actions) => actions.log[0].text.clone(),
            Outcome::NoCriterion => String::new(),
        }
    };
    assert_eq!(said("default", "FROM_APP/start/request"), "general");
    assert_eq!(said("shop", "FROM_APP/start/request"), "shop");
    assert_eq!(said("shop", "FROM_APP/other/request"), "any");
    assert_eq!(said("shop", "FROM_APP/other/message"), "");
}

#[test]
fn what_a_script_sees_has_the_names_of_the_patent_and_missing_members_are_unit() {
    let body = r#"
        let all = [
            context.direction == "FROM_APP",
            context.criterion == "FROM_APP/start/request",
            context.packageType == "p",
            context.application == "default",
            context.uniqueId == "u1",
            context.user == "alice@localhost",
            context.webMessage.header.action == "start",
            context.webMessage.header.n == 7,
            context.webMessage.header.missing == (),
            context.webMessage.payload.missing?.deeper == (),
            context.webMessage.missing == (),
            context.missing == (),
            context.subSession == (),
            context.subSession?.open == (),
            context.originatingSipMessage == (),
            context.sipRequest?.method == (),
            context.session.remote == "",
        ];
        for (one, at) in all { if !one { throw `member ${at}`; } }
    "#;
    try_body(body).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn a_request_is_sent_as_it_was_made() {
    let body = r#"
        let message = context.sipFactory.createSipRequest("MESSAGE");
        message.setHeader("Subject", "one");
        message.setHeader("subject", "two");
        message.addHeader("X-A", "1");
        message.addHeader("X-A", "2");
        message.addAddressHeader("X-A", "<sip:a@b>", true);
        message.setSipContactParameter("+g.a", ());
        message.setSipContactParameter("+g.b", "\"x y\"");
        message.setContactUser("alice.1");
        message.requestURI = "sip:elsewhere@localhost";
        message.setContent("hi", "text/plain;charset=UTF-8");
        message.anchor = true;
        if message.getHeader("SUBJECT") != "two" || message.getHeaders("x-a").len != 3 { throw "headers"; }
        message.send();
    "#;
    let sent = try_body(body)
        .unwrap_or_else(|error| panic!("{error}"))
        .outbound;
    let expected = json!([{"sip_request": {
        "method": "MESSAGE", "from": "sip:alice@localhost", "to": "sip:bob@localhost",
        "request_uri": "sip:elsewhere@localhost",
        "headers": [["X-A", "<sip:a@b>"], ["subject", "two"], ["X-A", "1"], ["X-A", "2"]],
        "contact_params": [["+g.a", null], ["+g.b", "\"x y\""]], "contact_user": "alice.1",
        "content": {"type": "text/plain;charset=UTF-8", "data": "hi"}, "anchor": true}}]);
    assert_eq!(serde_json::to_value(&sent).unwrap(), expected);
}

#[test]
fn frames_get_the_state_that_fits_their_kind() {
    let body = r#"
        let ringing = context.webFactory.createWebResponse("start");
        ringing.header.response_code = 180;
        ringing.send();
        context.webFactory.createWebResponse("start").send();
        context.webFactory.createWebRequest("start").send();
        context.webFactory.createWebMessage("notify").send();
        let set = context.webFactory.createWebResponse("start");
        set.control.message_state = "subsequent";
        set.header = #{ a: #{ b: [1, 2.5, true, ()] }, gone: () };
        set.payload.text = "hi";
        set.send();
    "#;
    let sent = try_body(body)
        .unwrap_or_else(|error| panic!("{error}"))
        .outbound;
    let expected = json!([
        {"web": {"kind": "response", "action": "start", "state": "subsequent", "header": {"response_code": 180}}},
        {"web": {"kind": "response", "action": "start", "state": "final"}},
        {"web": {"kind": "request", "action": "start", "state": "initial"}},
        {"web": {"kind": "message", "action": "notify"}},
        {"web": {"kind": "response", "action": "start", "state": "subsequent",
            "header": {"a": {"b": [1, 2.5, true, null]}}, "payload": {"text": "hi"}}},
    ]);
    assert_eq!(serde_json::to_value(&sent).unwrap(), expected);
}

#[test]
fn an_error_in_the_library_names_the_library() {
    let error = try_body("sipAddressToString(5);").unwrap_err();
    assert_eq!(error.file, "library/library.rhai");
    assert_eq!(error.function, "sipAddressToString");
    assert!(error.line > 0, "{error}");
}

#[test]
fn the_library_may_have_several_parts_that_know_each_other() {
    let parts = [
        source(LIBRARY, "const A = 1; fn first() { second() }"),
        source(
            "library_more",
            "const B = 2; fn second() { Constants.A + Constants.B }",
        ),
        source(
            "p",
            "fn from_app_start_request(context) { print(`${first()}`); }",
        ),
    ];
    let scripts = Scripts::load(&parts, environment()).unwrap();
    let run = web_run("p", "FROM_APP/start/request", json!({}));
    match scripts.run(&run).unwrap() {
        Outcome::Ran(actions) => assert_eq!(actions.log[0].text, "3"),
        Outcome::NoCriterion => panic!(),
    }
    assert!(!scripts.has_package("library_more"));
}

#[test]
fn constants_are_read_by_name_the_outside_over_the_package_over_the_library() {
    let library = source(
        LIBRARY,
        "const A = 1; const B = 1; const C = 1; fn a() { Constants.A }",
    );
    let text = "const B = 2; const C = 2; const D = #{ deep: [1] };
        fn from_app_start_request(context) {
            print(`${a()} ${Constants.B} ${Constants.C} ${Constants.D.deep[0]}`);
        }";
    let mut environment = environment();
    environment.constants.insert("C".to_string(), json!(3));
    let scripts = Scripts::load(&[library, source("p", text)], environment).unwrap();
    let run = web_run("p", "FROM_APP/start/request", json!({}));
    match scripts.run(&run).unwrap() {
        Outcome::Ran(actions) => assert_eq!(actions.log[0].text, "1 2 3 1"),
        Outcome::NoCriterion => panic!(),
    }
}

#[test]
fn a_constant_used_by_its_bare_name_is_refused_with_the_way_out() {
    let text = "const PORT = 1;\nfn from_app_start_request(context) {\n    PORT + 1\n}";
    let error = Scripts::load(&[source("p", text)], environment())
        .err()
        .unwrap();
    assert_eq!(
        (error.fault, error.line, error.column),
        (Fault::Compile, 3, 5)
    );
    assert!(error.message.contains("Constants.PORT"), "{error}");
}

#[test]
fn a_syntax_error_refuses_the_whole_set_and_names_the_place() {
    let good = source("good", "fn from_app_start_request(context) {}");
    let bad = source(
        "bad",
        "fn from_app_start_request(context) {\n  let x = ;\n}",
    );
    let error = Scripts::load(&[good, bad], environment()).err().unwrap();
    assert_eq!(error.fault, Fault::Compile);
    assert_eq!(
        (error.file.as_str(), error.line, error.column),
        ("bad/bad.rhai", 2, 11)
    );
    assert!(
        error.to_string().starts_with("bad/bad.rhai:2:11: "),
        "{error}"
    );
}

#[test]
fn a_handler_with_the_wrong_number_of_parameters_is_refused() {
    let text = "\n\nfn from_app_start_request(context, more) {}";
    let error = Scripts::load(&[source("p", text)], environment())
        .err()
        .unwrap();
    assert_eq!((error.fault, error.line), (Fault::Compile, 3));
}

#[test]
fn a_package_given_twice_or_too_large_is_refused() {
    let twice = vec![source("p", ""), source("p", "")];
    assert_eq!(
        Scripts::load(&twice, environment()).err().unwrap().fault,
        Fault::Source
    );
    let large = vec![source("p", &" ".repeat(limits::SOURCE_BYTES_MAX + 1))];
    assert_eq!(
        Scripts::load(&large, environment()).err().unwrap().fault,
        Fault::Source
    );
}

#[test]
fn a_package_may_replace_a_function_of_the_library_for_itself() {
    let text = "fn webErrorCode(status) { 1 } fn from_app_start_request(context) { print(webErrorCode(500)); }";
    let other = "fn from_app_start_request(context) { print(webErrorCode(500)); }";
    let scripts = Scripts::load(
        &[library(), source("p", text), source("q", other)],
        environment(),
    )
    .unwrap();
    for (package, expected) in [("p", "1"), ("q", "503")] {
        match scripts
            .run(&web_run(package, "FROM_APP/start/request", json!({})))
            .unwrap()
        {
            Outcome::Ran(actions) => assert_eq!(actions.log[0].text, expected),
            Outcome::NoCriterion => panic!(),
        }
    }
}

#[test]
fn a_session_config_is_chosen_by_the_name_of_one_that_there_is() {
    let sent = try_body(
        "let invite = context.sipFactory.createSipRequest(\"INVITE\");\n\
         invite.outMsrpSessionLeg = \"rcs-tls\"; invite.send();",
    );
    let sent = sent.unwrap().outbound;
    let Outbound::SipRequest(invite) = &sent[0] else {
        panic!("{sent:?}")
    };
    assert!(invite.anchor, "to choose a leg is to anchor");
    assert_eq!(
        (&invite.legs.from, invite.legs.to.as_deref()),
        (&None, Some("rcs-tls"))
    );
    for (body, told) in [
        (
            "let it = context.sipFactory.createSipRequest(\"INVITE\"); it.outMsrpSessionLeg = \"nowhere\";",
            "there is no session-config nowhere; there are browser, handset, rcs-tls",
        ),
        (
            "let it = context.sipFactory.createSipRequest(\"INVITE\"); it.inMsrpSessionLeg = \"rcs-tls\";",
            "the session-config rcs-tls is not for browsers",
        ),
        (
            "let it = context.webFactory.createWebRequest(\"start\"); it.outMsrpSessionLeg = \"handset\";",
            "the session-config handset is not for browsers",
        ),
        (
            "let it = context.webFactory.createWebResponse(\"start\"); it.outMsrpSessionLeg = \"browser\";",
            "by the request that carries the offer",
        ),
    ] {
        let error = try_body(body).unwrap_err();
        assert!(error.message.contains(told), "{error}");
        assert_eq!(
            (error.file.as_str(), error.line),
            ("p/p.rhai", 2),
            "{error}"
        );
    }
}

#[test]
fn a_set_that_chooses_an_unknown_session_config_is_refused_with_its_place() {
    let text = "fn from_app_start_request(context) {\n\
         let invite = context.sipFactory.createSipRequest(\"INVITE\");\n\
         invite.outMsrpSessionLeg = \"rcs-tsl\";\ninvite.send();\n}";
    let test = "[{\"name\": \"it is sent\", \"when\": {\"criterion\": \"FROM_APP/start/request\", \
         \"web\": {}}, \"then\": []}]";
    let error = Scripts::load(&[shipped("p", text, Some(test))], environment());
    let error = error.err().unwrap().to_string();
    assert!(error.contains("p/test.json:1"), "{error}");
    assert!(error.contains("p/p.rhai:3:"), "{error}");
    assert!(error.contains("no session-config rcs-tsl"), "{error}");
}

#[test]
fn a_package_whose_test_fails_is_refused_with_the_case() {
    let load = |test: &str| {
        let text = "fn from_app_start_request(context) { context.webFactory.createWebMessage(\"x\").send(); }";
        Scripts::load(&[shipped("p", text, Some(test))], environment()).err()
    };
    let case = |rest: &str| {
        format!(
            "[\n{{\"name\": \"it works\", \"when\": {{\"criterion\": \"FROM_APP/start/request\", \"web\": {{}}}}, {rest}}}]"
        )
    };
    assert_eq!(
        load(&case(
            "\"then\": [{\"web\": {\"kind\": \"message\", \"action\": \"x\"}}]"
        )),
        None
    );
    let failed = [
        ("\"then\": []", "message 1: expected nothing"),
        (
            "\"then\": [{\"web\": {\"kind\": \"message\", \"action\": \"y\"}}]",
            "message 1",
        ),
        ("\"fails\": \"boom\"", "but it ran"),
        (
            "\"then\": [{\"web\": {\"kind\": \"message\", \"action\": \"x\"}}], \"stores\": {\"session\": {\"a\": 1}}",
            "stores",
        ),
        ("\"stores\": {}", "neither"),
    ];
    for (rest, word) in failed {
        let error = load(&case(rest)).unwrap();
        assert_eq!(
            (error.fault, error.file.as_str(), error.line),
            (Fault::Test, "p/test.json", 2)
        );
        assert!(
            error.message.contains("it works") && error.message.contains(word),
            "{error}"
        );
    }
    let unread = load("[\n  {\"nmae\": 1}]").unwrap();
    assert_eq!((unread.fault, unread.line), (Fault::Compile, 2));
}

fn sip(method: &str, accept_contact: Option<&str>, body: &str) -> SipView {
    SipView {
        is_request: true,
        method: method.to_string(),
        headers: accept_contact
            .map(|value| ("accept-contact".to_string(), value.to_string()))
            .into_iter()
            .collect(),
        content_type: "application/sdp".to_string(),
        content: body.replace('\n', "\r\n").into_bytes(),
        ..SipView::default()
    }
}

const LARGE: &str = "*;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.largemsg\"";

/// An INVITE whose first message says what a file's description says.
fn with_first_message(body: &str) -> SipView {
    let text = format!(
        "--b\nContent-Type: application/sdp\n\n{body}\n--b\nContent-Type: text/plain\n\na\na=file-selector:x\n--b--\n"
    );
    SipView {
        content_type: "multipart/mixed;boundary=b".to_string(),
        ..sip("INVITE", None, &text)
    }
}

#[test]
fn a_sip_request_finds_its_package() {
    let scripts = Scripts::load(&[library()], environment()).unwrap();
    let msrp = "v=0\nm=message 9 TCP/MSRP *\n";
    let rows = [
        (sip("INVITE", None, msrp), Some("chat")),
        (
            sip(
                "INVITE",
                None,
                "v=0\nm=message 9 TCP/MSRP *\na=file-selector:x\n",
            ),
            Some("file_transfer"),
        ),
        (
            sip("INVITE", None, "v=0\nm=audio 9 RTP/AVP 0\na=x:m=message \n"),
            Some("call"),
        ),
        (sip("INVITE", None, ""), Some("call")),
        (with_first_message(msrp), Some("chat")),
        (
            sip("INVITE", Some(LARGE), &format!("{msrp}a=sendonly\n")),
            Some("messaging"),
        ),
        (sip("INVITE", Some(LARGE), msrp), Some("chat")),
        (sip("MESSAGE", None, "hi"), Some("messaging")),
        (
            sip("OPTIONS", Some("*;+g.oma.sip-im"), ""),
            Some("capability"),
        ),
        (sip("OPTIONS", Some("*;audio"), ""), None),
        (sip("OPTIONS", None, ""), None),
        (sip("SUBSCRIBE", None, ""), None),
    ];
    for (request, package) in rows {
        let found = scripts
            .resolve_package(&request)
            .unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(found.as_deref(), package, "{}", request.method);
    }
    let mut octets = sip("INVITE", None, "");
    octets.content = vec![0xff, 0xfe];
    assert_eq!(
        scripts.resolve_package(&octets).unwrap().as_deref(),
        Some("call")
    );
    let none = Scripts::load(&[], environment()).unwrap();
    assert_eq!(none.resolve_package(&octets).unwrap(), None);
}

#[test]
fn a_resolving_function_that_returns_nonsense_is_an_error() {
    let text = "fn resolvePackageType(sipRequest) { 5 }";
    let scripts = Scripts::load(&[source(LIBRARY, text)], environment()).unwrap();
    assert!(scripts.resolve_package(&sip("INVITE", None, "")).is_err());
}

#[test]
fn addresses_become_what_frames_write() {
    let rows = [
        ("sip:bob@localhost", "bob@localhost"),
        (
            "\"Bob <x>\" <sip:bob@localhost;user=phone>;tag=1",
            "bob@localhost",
        ),
        (
            "\"Jos\u{e9} \\\"B\\\"\" <SIPS:bob@localhost>",
            "bob@localhost",
        ),
        ("Bob <sip:bob@localhost>", "bob@localhost"),
        ("sip:bob@localhost;tag=1", "bob@localhost"),
        ("<tel:+1;phone-context=x>", "tel:+1;phone-context=x"),
        ("", ""),
        ("<", ""),
        ("\"", ""),
    ];
    for (address, expected) in rows {
        let text = format!("print(sipAddressToString({address:?}));");
        let log = try_body(&text)
            .unwrap_or_else(|error| panic!("{address}: {error}"))
            .log;
        let said = log.first().map_or("", |line| line.text.as_str());
        assert_eq!(said.trim_matches('"'), expected, "{address}");
    }
}

/// The text of the first block of this language after the heading.
fn block<'a>(page: &'a str, heading: &str, language: &str) -> &'a str {
    let (_, rest) = page.split_once(heading).unwrap();
    let (_, rest) = rest.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[test]
fn the_worked_example_of_the_scripting_page_works() {
    let page = include_str!("../../../docs/scripting.md");
    let heading = "## A worked example";
    let script = format!(
        "{}\n{}",
        include_str!("../../packages/chat/chat.rhai"),
        block(page, heading, "rhai")
    );
    let test = block(page, heading, "json");
    let sources = vec![library(), shipped("chat", &script, Some(test))];
    let scripts = Scripts::load(&sources, environment()).unwrap_or_else(|error| panic!("{error}"));
    let handlers = &scripts.criteria()[0].1;
    assert!(handlers.contains(&"from_app_start_request_at_kiosk".to_string()));
}

#[test]
fn the_scripting_page_names_every_limit_as_it_is() {
    let page = include_str!("../../../docs/scripting.md");
    for (what, value) in [
        ("steps", limits::OPERATIONS_MAX as usize),
        ("ms", limits::RUN_MS_MAX as usize),
        ("calls deep", limits::CALL_LEVELS_MAX),
        ("variables", limits::VARIABLES_MAX),
        ("functions", limits::FUNCTIONS_MAX),
        ("KiB of text", limits::STRING_BYTES_MAX / 1024),
        ("elements", limits::ARRAY_MAX),
        ("messages", limits::OUTBOUND_MAX),
        ("KiB of body", limits::CONTENT_BYTES_MAX / 1024),
        ("KiB of frame", limits::FRAME_BYTES_MAX / 1024),
        ("header fields", limits::HEADERS_MAX),
        ("KiB per value", limits::VALUE_BYTES_MAX / 1024),
        ("KiB per entry", limits::STORE_ENTRY_BYTES_MAX / 1024),
        ("KiB per store", limits::STORE_BYTES_MAX / 1024),
        ("lines", limits::LOG_LINES_MAX),
        ("KiB of script", limits::SOURCE_BYTES_MAX / 1024),
        ("packages", limits::PACKAGES_MAX),
    ] {
        let digits = value.to_string();
        let grouped = match digits.len() {
            5.. => format!(
                "{} {}",
                &digits[..digits.len() - 3],
                &digits[digits.len() - 3..]
            ),
            _ => digits,
        };
        let expected = format!("{grouped} {what}");
        assert!(page.contains(&expected), "{expected}");
    }
}

#[test]
fn a_run_that_was_traced_is_a_case_that_passes() {
    let text = r#"fn from_app_start_request(context) {
        context.sessionStore.put("seen", context.uniqueId);
        let request = context.sipFactory.createSipRequest("INVITE");
        request.addHeader("Contribution-ID", context.uniqueId);
        request.send();
    }"#;
    let scripts = Scripts::load(&[library(), source("p", text)], environment()).unwrap();
    let mut run = web_run("p", "FROM_APP/start/request", json!({}));
    run.unique_id = "x7-4711".to_owned();
    let outcome = scripts.run(&run);
    let line = traced(&run, &outcome);
    assert!(
        line.contains("Contribution-ID") && !line.contains("x7-4711"),
        "{line}"
    );
    let unhandled = web_run("p", "FROM_APP/shutdown/message", json!({}));
    let other = traced(&unhandled, &scripts.run(&unhandled));
    let test = format!("[{line},\n{other}]");
    let tested = scripts.test(&shipped("p", text, Some(&test))).unwrap();
    assert_eq!(tested.len(), 2);
    for case in tested {
        case.outcome.unwrap();
    }
}
