//! One shard under seeds: everything above the kernel is the code that ships, the ring is fake and
//! unkind, the peers are written from the RFCs. In `whole` control is in it, too, with its SIP and JsonRTC peers.
//!
//! `SEED=17 cargo test -p tests --test simulation` replays one seed, `SEEDS=100000` runs so many, from
//! `FIRST` on.

mod checks;
mod control;
mod peers;
mod whole;
mod world;

use std::panic::RefUnwindSafe;

use link::Counter;
use world::{Plan, World};

/// Seeds of every test run.
const SEEDS: u64 = 256;

fn seeds(usual: u64) -> std::ops::Range<u64> {
    let read = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let first = read("FIRST").unwrap_or(0);
    match read("SEED") {
        Some(seed) => seed..seed + 1,
        None => first..first + read("SEEDS").unwrap_or(usual),
    }
}

/// Runs the test for each seed, `usual` of them if nobody says otherwise, and says which seed failed.
fn for_each_seed(name: &str, usual: u64, test: impl Fn(u64) + RefUnwindSafe) {
    for seed in seeds(usual) {
        if let Err(panic) = std::panic::catch_unwind(|| test(seed)) {
            eprintln!("{name}: seed {seed} failed; SEED={seed} replays it");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Runs a plan for each seed, with TLS in half of them: until all is quiet, `check`, until all is ended,
/// and then nothing may be left.
fn for_each_world(name: &str, plan: impl Fn(u64) -> Plan + RefUnwindSafe, check: fn(&mut World)) {
    for_each_seed(name, SEEDS, |seed| {
        let secure = seed % 4 > 1;
        let plan = Plan {
            secure,
            ..plan(seed)
        };
        let leaves = plan.leaves;
        let mut world = World::new(seed, plan);
        check(&mut world);
        world.end_everything();
        if leaves {
            world.check_prefixes();
        }
        world.check_nothing_left();
    });
}

fn all_is_heard(world: &mut World) {
    world.run_until_quiet();
    world.check_complete();
}

fn what_is_heard_is_what_was_said(world: &mut World) {
    world.run_until_quiet();
    world.check_prefixes();
}

#[test]
fn what_is_sent_arrives_once_in_order_and_unchanged() {
    let plan = |seed: u64| Plan {
        exclusive_ports: seed.is_multiple_of(2),
        ..Plan::QUIET
    };
    for_each_world("kind", plan, all_is_heard);
}

#[test]
fn peers_may_leave_at_any_point_and_nothing_stays_behind() {
    let plan = |seed: u64| Plan {
        leaves: true,
        exclusive_ports: seed.is_multiple_of(2),
        ..Plan::QUIET
    };
    for_each_world("leaving", plan, what_is_heard_is_what_was_said);
}

#[test]
fn sessions_that_share_a_connection_do_not_meet() {
    let plan = |_| Plan {
        trunk: true,
        ..Plan::QUIET
    };
    for_each_world("shared", plan, all_is_heard);
}

#[test]
fn who_leaves_a_shared_connection_leaves_the_others_as_they_are() {
    let plan = |_| Plan {
        trunk: true,
        leaves: true,
        ..Plan::QUIET
    };
    for_each_world("shared and leaving", plan, what_is_heard_is_what_was_said);
}

#[test]
fn one_who_does_not_read_stops_the_others_of_its_connection_for_a_while_only() {
    let plan = |_| Plan {
        trunk: true,
        deaf: 2,
        ..Plan::QUIET
    };
    for_each_world("shared and deaf", plan, |world| {
        world.wait_for_the_deaf();
        world.check_requests_arrive();
    });
}

#[test]
fn peers_that_do_not_read_stop_nobody_else() {
    let plan = |_| Plan {
        deaf: 4,
        ..Plan::QUIET
    };
    for_each_world("deaf", plan, all_is_heard);
}

#[test]
fn where_every_pool_is_as_small_as_it_may_be_nobody_starves() {
    let plan = |_| Plan {
        scarce: true,
        ..Plan::QUIET
    };
    for_each_world("scarce", plan, all_is_heard);
}

#[test]
fn peers_that_do_not_read_stop_nobody_else_where_pools_are_small() {
    let plan = |_| Plan {
        scarce: true,
        deaf: 4,
        ..Plan::QUIET
    };
    for_each_world("scarce and deaf", plan, all_is_heard);
}

#[test]
fn control_may_be_slow_and_die_and_those_who_talk_do_not_notice() {
    let plan = |seed: u64| Plan {
        link_faults: true,
        exclusive_ports: seed.is_multiple_of(2),
        ..Plan::QUIET
    };
    for_each_world("link", plan, all_is_heard);
}

#[test]
fn control_may_be_slow_and_die_while_peers_leave() {
    let plan = |_| Plan {
        link_faults: true,
        leaves: true,
        ..Plan::QUIET
    };
    for_each_world("link and leaving", plan, what_is_heard_is_what_was_said);
}

#[test]
fn a_browser_that_falls_silent_is_noticed_and_its_session_ends() {
    let plan = |_| Plan::QUIET;
    for_each_world("silent", plan, |world| {
        world.run_until_quiet();
        world.fall_silent();
        world.check_browsers_are_missed();
    });
}

#[test]
fn a_seed_repeats_a_run_exactly() {
    let run = |seed| {
        let mut world = World::new(
            seed,
            Plan {
                leaves: true,
                ..Plan::QUIET
            },
        );
        world.run_until_quiet();
        world.end_everything();
        let metrics = world.shard.metrics();
        [
            Counter::Turns,
            Counter::Completions,
            Counter::OctetsSent,
            Counter::OctetsReceived,
        ]
        .map(|counter| metrics.get(counter))
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
