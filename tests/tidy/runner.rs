//! `tests/run` adds up what the runners say. A number it misread would hide a failure.

use std::io::Write;
use std::process::{Command, Stdio};

/// What `tests/run --count` makes of a log: "passed failed".
fn count(log: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/run");
    let mut run = Command::new(root)
        .args(["--count", "/dev/stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tests/run starts");
    let mut input = run.stdin.take().expect("asked for a pipe");
    input.write_all(log.as_bytes()).expect("it reads all");
    drop(input);
    let output = run.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

#[test]
fn every_binary_of_cargo_test_is_counted() {
    let log = "running 3 tests\n\
        test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n\
        test result: FAILED. 10 passed; 2 failed; 1 ignored; 0 measured; 7 filtered out; finished in 1.00s\n";
    assert_eq!(count(log), "13 2");
}

#[test]
fn the_summary_of_nextest_is_counted_with_what_ran_out_of_time() {
    let all = "     Summary [   0.214s] 42 tests run: 42 passed (1 slow), 3 skipped\n";
    assert_eq!(count(all), "42 0");
    let some =
        "     Summary [   9.001s] 42 tests run: 38 passed, 3 failed, 1 timed out, 0 skipped\n";
    assert_eq!(count(some), "38 4");
}

#[test]
fn nextest_shows_the_summary_of_a_failed_test_which_counts_once() {
    let log = "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out\n\
        \x20    Summary [   1.000s] 2 tests run: 1 passed, 1 failed, 0 skipped\n";
    assert_eq!(count(log), "1 1");
}

#[test]
fn both_ways_in_which_node_reports_are_counted() {
    assert_eq!(
        count("1..4\n# tests 4\n# pass 2\n# fail 1\n# cancelled 1\n# skipped 0\n"),
        "2 2"
    );
    assert_eq!(
        count("ℹ tests 4\nℹ pass 3\nℹ fail 1\nℹ cancelled 0\n"),
        "3 1"
    );
}

#[test]
fn what_a_test_prints_is_not_mistaken_for_a_summary() {
    assert_eq!(
        count("the test result: 3 passed; 4 failed\nit will pass 3\n"),
        "0 0"
    );
}
