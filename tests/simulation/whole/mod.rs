//! Control, link and relay together, with all that ships but their edges, between naive pages and naive
//! handsets, on one clock and under one seed.
//!
//! The parts: `server` is control's process, `relay` the relay's, `driver` what runs and kills them; `network` is
//! between them, with `streams`, and `page`, with its `chat`s and `calls`, and `handset`, whose media are `media` and whose SIP is `sip`; `plan`, `talk` and `words` say what
//! is to happen, `checks` what must hold.

mod calls;
mod chat;
mod checks;
mod driver;
mod handset;
mod media;
mod network;
mod page;
mod plan;
mod relay;
mod server;
mod sip;
mod streams;
mod talk;
mod words;
mod world;

use std::cell::Cell;

use plan::Plan;
use world::{Seen, World};

use crate::{for_each_seed, seeds};

/// Seeds of every test run; such a world costs more than one of a shard alone.
const SEEDS: u64 = 64;

/// Runs a plan for each seed, until all is ended and nothing may be left. Where `often` counts less than once in two
/// worlds, the worlds prove nothing.
fn for_each_whole_world(name: &str, plan: Plan, often: &[fn(&Seen) -> u64]) {
    thread_local! {
        static SEEN: Cell<Seen> = Cell::default();
    }
    for_each_seed(name, SEEDS, |seed| {
        let mut seen = SEEN.get();
        seen += lived(seed, plan).seen;
        SEEN.set(seen);
    });
    let (seen, worlds) = (SEEN.get(), seeds(SEEDS));
    eprintln!("{name}: {seen:?}");
    for (place, count) in often.iter().enumerate() {
        let few = worlds.end - worlds.start < SEEDS;
        assert!(
            few || 2 * count(&seen) >= SEEDS,
            "{name}, {place}: {seen:?}"
        );
    }
}

fn lived(seed: u64, plan: Plan) -> World {
    let mut world = World::new(seed, plan);
    world.live();
    world.end();
    world.check_answers();
    world.check_nothing_left();
    world.count();
    world
}

#[test]
fn pages_and_handsets_talk_and_nothing_stays_behind() {
    let often = [
        |seen: &Seen| seen.whole,
        |seen: &Seen| seen.messages / 10,
        |seen: &Seen| seen.words,
        |seen: &Seen| seen.calls,
    ];
    for_each_whole_world("whole", Plan::KIND, &often);
}

#[test]
fn datagrams_and_sockets_are_lost_and_talks_go_on() {
    let often = [
        |seen: &Seen| seen.whole,
        |seen: &Seen| seen.resumed,
        |seen: &Seen| seen.streams_cut,
        |seen: &Seen| seen.words,
    ];
    for_each_whole_world("whole, lossy", Plan::LOSSY, &often);
}

#[test]
fn control_dies_at_any_turn_and_talks_go_on() {
    let often = [|seen: &Seen| seen.outlived, |seen: &Seen| seen.resumed];
    for_each_whole_world("whole, control dies", Plan::CONTROL_DIES, &often);
}

#[test]
fn the_relay_dies_and_everybody_knows_within_five_seconds() {
    let often: [fn(&Seen) -> u64; 1] = [|seen| seen.relay_deaths];
    for_each_whole_world("whole, relay dies", Plan::RELAY_DIES, &often);
}

#[test]
fn browsers_lose_their_media_and_come_back() {
    let often = [|seen: &Seen| seen.rebound, |seen: &Seen| seen.resumed];
    for_each_whole_world("whole, media break", Plan::MEDIA_BREAK, &often);
}

#[test]
fn whatever_happens_at_once_everything_ends_and_is_given_back() {
    let often = [
        |seen: &Seen| seen.control_deaths,
        |seen: &Seen| seen.relay_deaths,
    ];
    for_each_whole_world("whole, everything", Plan::EVERYTHING, &often);
}

#[test]
fn a_whole_world_repeats_itself_exactly() {
    let trace = |seed| lived(seed, Plan::EVERYTHING).trace;
    for seed in 0..3 {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
    assert_ne!(trace(0), trace(1));
}
