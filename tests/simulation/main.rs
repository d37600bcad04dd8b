//! One shard under seeds: everything above the kernel is the code that ships, the ring is fake and
//! unkind, the peers are written from the RFCs.
//!
//! `SEED=17 cargo test -p tests --test simulation` replays one seed, `SEEDS=100000` runs so many.

mod checks;
mod peers;
mod world;

use link::Counter;
use world::{Plan, World};

/// Seeds of every test run.
const SEEDS: u64 = 256;

fn seeds() -> std::ops::Range<u64> {
    let read = |name| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    match (read("SEED"), read("SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, Some(seeds)) => 0..seeds,
        (None, None) => 0..SEEDS,
    }
}

/// Runs the test for each seed, and says which seed failed.
fn for_each_seed(name: &str, test: impl Fn(u64) + std::panic::RefUnwindSafe) {
    for seed in seeds() {
        if let Err(panic) = std::panic::catch_unwind(|| test(seed)) {
            eprintln!("{name}: seed {seed} failed; SEED={seed} replays it");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn what_is_sent_arrives_once_in_order_and_unchanged() {
    for_each_seed("kind", |seed| {
        let mut world = World::new(
            seed,
            Plan {
                exclusive_ports: seed % 2 == 0,
                secure: seed % 4 > 1,
                ..Plan::QUIET
            },
        );
        world.run_until_quiet();
        world.check_complete();
        world.end_everything();
        world.check_nothing_left();
    });
}

#[test]
fn peers_may_leave_at_any_point_and_nothing_stays_behind() {
    for_each_seed("leaving", |seed| {
        let mut world = World::new(
            seed,
            Plan {
                leaves: true,
                exclusive_ports: seed % 2 == 0,
                secure: seed % 4 > 1,
                ..Plan::QUIET
            },
        );
        world.run_until_quiet();
        world.check_prefixes();
        world.end_everything();
        world.check_prefixes();
        world.check_nothing_left();
    });
}

#[test]
fn sessions_that_share_a_connection_do_not_meet() {
    for_each_seed("shared", |seed| {
        let mut world = World::new(
            seed,
            Plan {
                trunk: true,
                secure: seed % 4 > 1,
                ..Plan::QUIET
            },
        );
        world.run_until_quiet();
        world.check_complete();
        world.end_everything();
        world.check_nothing_left();
    });
}

#[test]
fn who_leaves_a_shared_connection_leaves_the_others_as_they_are() {
    for_each_seed("shared and leaving", |seed| {
        let mut world = World::new(
            seed,
            Plan {
                trunk: true,
                leaves: true,
                secure: seed % 4 > 1,
                ..Plan::QUIET
            },
        );
        world.run_until_quiet();
        world.check_prefixes();
        world.end_everything();
        world.check_prefixes();
        world.check_nothing_left();
    });
}

#[test]
fn one_who_does_not_read_stops_the_others_of_its_connection_for_a_while_only() {
    for_each_seed("shared and deaf", |seed| {
        let mut world = World::new(
            seed,
            Plan {
                trunk: true,
                deaf: 2,
                secure: seed % 4 > 1,
                ..Plan::QUIET
            },
        );
        world.wait_for_the_deaf();
        world.check_requests_arrive();
        world.end_everything();
        world.check_nothing_left();
    });
}

#[test]
fn peers_that_do_not_read_stop_nobody_else() {
    for_each_seed("deaf", |seed| {
        let mut world = World::new(
            seed,
            Plan {
                deaf: 4,
                secure: seed % 4 > 1,
                ..Plan::QUIET
            },
        );
        world.run_until_quiet();
        world.check_complete();
        world.end_everything();
        world.check_nothing_left();
    });
}

#[test]
fn a_browser_that_falls_silent_is_noticed_and_its_session_ends() {
    for_each_seed("silent", |seed| {
        let mut world = World::new(
            seed,
            Plan {
                secure: seed % 4 > 1,
                ..Plan::QUIET
            },
        );
        world.run_until_quiet();
        world.fall_silent();
        world.check_browsers_are_missed();
        world.end_everything();
        world.check_nothing_left();
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
