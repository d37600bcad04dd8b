//! The built load generator against the built relay, and against the whole system: small loads, to
//! see that every mode works from its command line to its result. No figure is judged by its size.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tests::process::{fresh_folder, ports, program};

/// What a run came to.
struct Run {
    status: Option<i32>,
    /// What it wrote as JSON; null if nothing.
    result: Value,
    /// What it said.
    told: String,
}

impl Run {
    /// The figure that stands there in the JSON.
    fn figure(&self, place: &str) -> f64 {
        let figure = self.result.pointer(place).and_then(Value::as_f64);
        figure.unwrap_or_else(|| panic!("no figure {place} in {}", self.result))
    }

    fn expect_status(&self, status: i32) {
        assert_eq!(self.status, Some(status), "{}", self.told);
    }

    /// All went well; whether the machine was quiet enough for a verdict is another matter.
    fn expect_no_fault(&self) {
        assert!(matches!(self.status, Some(0 | 3)), "{}", self.told);
    }
}

/// Runs the generator in a folder.
fn bench(folder: &Path, words: &[&str]) -> Run {
    let json = folder.join("result.json");
    let output = Command::new(program("causeway-bench"))
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("the generator starts");
    let text = std::fs::read_to_string(json).unwrap_or_default();
    Run {
        status: output.status.code(),
        result: serde_json::from_str(&text).unwrap_or_default(),
        told: [output.stdout, output.stderr]
            .map(|octets| String::from_utf8_lossy(&octets).into_owned())
            .concat(),
    }
}

/// One run of a mode that puts a relay under load.
fn mode(words: &str) -> Run {
    let folder = fresh_folder("bench");
    let ports = ports();
    let mut all: Vec<&str> = words.split(' ').collect();
    all.extend(["--ports", &ports, "--json", "result.json"]);
    let run = bench(&folder, &all);
    let _ = std::fs::remove_dir_all(&folder);
    run
}

#[test]
fn a_closed_load_arrives() {
    let run = mode("media --sessions 5 --in-flight 2 --duration 0.3 --warm-up 0.1 --quiet");
    run.expect_status(0);
    assert!(run.figure("/messages") > 0.0);
    assert_eq!(run.figure("/sent"), run.figure("/arrived"));
    assert!(run.result.pointer("/lateness_us/p99").is_none());
    assert!(run.told.contains("verdict     good"), "{}", run.told);
}

#[test]
fn an_open_load_tells_latency_and_lateness() {
    let run = mode(
        "media --sessions 5 --rate 200 --direction both --responses on --reports on --duration 0.5 \
         --warm-up 0.1 --quiet",
    );
    run.expect_no_fault();
    assert!(run.figure("/latency_us/count") > 0.0);
    assert_eq!(
        run.figure("/latency_us/count"),
        run.figure("/lateness_us/count")
    );
    assert_eq!(run.figure("/reports"), run.figure("/sent"));
}

#[test]
fn sessions_come_and_go() {
    for how in [
        "--at link",
        "--at connections --legs ws-tcp",
        "--at connections --legs wss-tls",
    ] {
        let run = mode(&format!("churn --sessions 8 --duration 0.3 --quiet {how}"));
        run.expect_status(0);
        assert!(run.figure("/done") > 0.0);
        assert_eq!(run.result["bound_us"].is_null(), how == "--at link");
    }
}

#[test]
fn idle_sessions_are_weighed() {
    for legs in ["ws-tcp", "wss-tls"] {
        let run = mode(&format!(
            "idle --sessions 20 --duration 0.2 --legs {legs} --quiet"
        ));
        run.expect_status(0);
        assert_eq!(run.figure("/buffers_held"), 0.0);
        assert!(run.figure("/idle/relay_kib") > 0.0);
        assert!(
            run.figure("/idle/tcp_sockets") >= 80.0,
            "both ends of both connections"
        );
    }
}

#[test]
fn handshakes_are_full_and_then_resumed() {
    let run = mode("handshake --sessions 2 --duration 0.5 --quiet");
    run.expect_status(0);
    assert_eq!(run.figure("/full/resumed"), 0.0);
    assert!(run.figure("/resumed/resumed") > 0.0);
}

#[test]
fn receivers_that_stall_find_everything_in_the_end() {
    let run =
        mode("stall --sessions 4 --stuck 1 --slow 1 --rate 100 --duration 0.5 --rounds 1 --quiet");
    run.expect_no_fault();
    assert_eq!(run.figure("/rounds/0/with/offered/stalled/stuck"), 1.0);
    for turn in ["with", "without"] {
        assert_eq!(run.figure(&format!("/rounds/0/{turn}/faults_total")), 0.0);
    }
}

#[test]
fn rounds_of_load_leave_nothing_over() {
    let run = mode("soak --sessions 5 --round 1 --duration 2 --legs wss-tcp --quiet");
    run.expect_status(0);
    assert!(run.figure("/rounds/0/messages") > 0.0);
    assert_eq!(
        run.result.pointer("/rounds/0/left_over"),
        Some(&Value::Array(Vec::new()))
    );
}

#[test]
fn chats_are_set_up_through_the_whole_system() {
    program("causeway");
    let run = mode("signal --browsers 2 --duration 0.5");
    run.expect_status(0);
    assert!(run.figure("/chats") > 0.0);
    for step in [
        "start_to_invite",
        "invite_to_answer",
        "answer_to_media",
        "message",
        "end_to_bye",
    ] {
        assert_eq!(
            run.figure(&format!("/steps_us/{step}/count")),
            run.figure("/chats")
        );
    }
    assert!(run.figure("/control_cpu_us_per_chat") > 0.0);
}

#[test]
fn invitations_from_either_side_are_settled_and_chats_beside_them_go_on() {
    program("causeway");
    for from in ["handsets", "browsers"] {
        let run = mode(&format!(
            "flood --from {from} --browsers 4 --chats 1 --capacity 20 --times 1 --duration 1"
        ));
        assert_eq!(run.figure("/offered"), 20.0, "{}", run.told);
        let settled = run.figure("/answered") + run.figure("/refused");
        assert_eq!(settled, 20.0, "{}", run.told);
        assert_eq!(run.figure("/unended"), 0.0, "{}", run.told);
        assert_eq!(run.figure("/chats/faults"), 0.0, "{}", run.told);
        assert!(run.figure("/chats/end_us/count") > 0.0);
    }
}

#[test]
fn frames_are_answered_and_leave_nothing_over() {
    program("causeway");
    // Eight of a round have nothing to do with SIP, whose transactions are remembered for half a minute.
    let run = mode("frames --frames 8 --browsers 1");
    run.expect_status(0);
    assert_eq!(run.figure("/sent"), 8.0);
    assert_eq!(run.figure("/memory/left_over"), 0.0);
}

#[test]
fn what_cannot_be_run_is_refused_with_its_reason() {
    let run = mode("media --relay /nowhere/relay --quiet");
    run.expect_status(2);
    assert!(
        run.told.contains("there is no relay at /nowhere/relay"),
        "{}",
        run.told
    );
}

/// A relay that is compared with the floor, and the page of it.
#[test]
fn relays_are_compared_and_the_page_shows_it() {
    let folder = fresh_folder("compare");
    let run = bench(
        &folder,
        &[
            "compare",
            "--relays",
            "causeway",
            "--loads",
            "300x2x1,wss-tcp:300x2x1",
            "--seconds",
            "0.2",
            "--warm-up",
            "0",
            "--rounds",
            "1",
            "--ports",
            &ports(),
            "--json",
            "result.json",
            "--quiet",
        ],
    );
    run.expect_status(0);
    let relays = ["/rows/0/relay", "/rows/1/relay"].map(|place| run.result.pointer(place));
    assert_eq!(
        relays,
        [Some(&"byte-relay".into()), Some(&"causeway".into())]
    );
    assert!(run.figure("/rows/3/figures/ratio/median") > 0.0);
    let page = bench(&folder, &["report", "result.json"]);
    page.expect_status(0);
    assert!(page.told.starts_with("<!doctype html>") && page.told.contains("<svg"));
    let _ = std::fs::remove_dir_all(&folder);
}

/// One step in a file, with these demands; gives the run of it.
fn scenario(relay: &str, demands: &str) -> Run {
    let folder = fresh_folder("scenario");
    let text = format!(
        "title = \"a few\"\n[[step]]\nname = \"all\"\nmode = \"media\"\n[step.offer]\nsessions = 2\n\
         duration = 0.2\nwarm-up = 0\nports = \"{}\"\n{relay}\n[step.pass]\n{demands}\n",
        ports()
    );
    std::fs::write(folder.join("few.toml"), text).expect("a file");
    let run = bench(
        &folder,
        &["run", "few.toml", "--quiet", "--json", "result.json"],
    );
    let _ = std::fs::remove_dir_all(&folder);
    run
}

#[test]
fn a_scenario_whose_demands_hold_passes() {
    let run = scenario("", "faults_total = { max = 0 }\nmessages = { min = 1 }");
    run.expect_status(0);
    assert_eq!(run.result["scenarios"][0]["verdict"], "pass");
}

#[test]
fn a_scenario_whose_demand_does_not_hold_fails() {
    let run = scenario("", "faults_total = { max = 0 }\nrate = { min = 1e12 }");
    run.expect_status(1);
    assert_eq!(run.result["scenarios"][0]["verdict"], "fail");
    assert!(run.told.contains("FAILS  rate "), "{}", run.told);
}

#[test]
fn a_scenario_that_demands_a_figure_there_is_not_is_not_begun() {
    let run = scenario("", "fault_total = { max = 0 }");
    run.expect_status(2);
    let wrong = "few.toml:12:1: there is no figure \"fault_total\": there are arrived, ";
    assert!(
        run.told.contains(wrong) && run.told.contains(" faults_total,"),
        "{}",
        run.told
    );
    assert!(run.result.is_null());
}

#[test]
fn a_scenario_whose_step_cannot_be_run_says_so() {
    let run = scenario("relay = \"/nowhere/relay\"", "faults_total = { max = 0 }");
    run.expect_status(2);
    assert_eq!(run.result["scenarios"][0]["verdict"], "not-run");
}
