//! The whole generator over real connections, against a relay in the test that can be told to be
//! a bad one. Time is the test's: it goes on when the test says so.

mod relay;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use link::Transport;

use super::crew::{Crew, Route};
use super::offer::{Arrivals, Direction, Legs, Load, Pace};
use super::phase::{Clock, Limits, Phase, Shared};
use super::plan::{LegPlan, Plan};
use super::tally::Tally;
use relay::{Harm, Relay, To};

const OWN: [&str; 2] = [
    "msrp://127.0.0.1:2855/load00;tcp",
    "msrp://127.0.0.1:2855/load01;tcp",
];
const RELAY: [&str; 2] = [
    "msrp://127.0.0.1:2/relay0;tcp",
    "msrp://127.0.0.1:2/relay1;tcp",
];
const MILLISECOND_NS: u64 = 1_000_000;

/// A generator with one session, and a relay.
struct Bed {
    shared: Arc<Shared>,
    crew: Crew,
    relay: Relay,
}

impl Bed {
    fn new(load: &Load) -> Bed {
        let relay = Relay::new(load.legs.has_tls());
        let plan = Plan {
            index: 0,
            legs: [0, 1].map(|number| leg(number, load.legs.0[number], relay.address())),
        };
        let clock = Clock::Set(AtomicU64::new(0));
        let limits = Limits::of(1);
        let shared = Arc::new(Shared::with_clock(1, limits, clock));
        let crew = Crew::new(0, Route::Link(vec![plan]), load, shared.clone()).unwrap();
        Bed {
            shared,
            crew,
            relay,
        }
    }

    /// Turns generator and relay until `done`, while the clock stands still.
    fn until(&mut self, done: impl Fn(&Bed) -> bool) {
        let until = Instant::now() + Duration::from_secs(30);
        while !done(self) {
            assert!(Instant::now() < until, "the generator stands still");
            self.crew.turn().unwrap();
            self.relay.turn();
        }
    }

    fn bind(&mut self) {
        self.until(|bed| bed.shared.bound.load(Ordering::Acquire) == 1);
        self.shared.set_phase(Phase::Measure);
        self.crew.turn().unwrap();
    }

    /// Runs until a hundred messages have arrived, then ends.
    fn run(mut self) -> Tally {
        self.bind();
        self.until(|bed| bed.crew.tally().messages >= 100);
        self.finish(None)
    }

    /// The same when one of what `count` counts will be missing.
    fn run_without_one(mut self, count: fn(&Tally) -> u64) -> Tally {
        self.bind();
        self.until(|bed| bed.crew.tally().messages >= 100);
        self.finish(Some(count))
    }

    /// Sends no more, waits for what is on its way, ends. When one will be missing, time passes.
    fn finish(mut self, missing: Option<fn(&Tally) -> u64>) -> Tally {
        self.shared.set_phase(Phase::Drain);
        if let Some(count) = missing {
            self.until(|bed| count(bed.crew.tally()) + 1 == bed.crew.sent());
            self.pass(Duration::from_secs(11));
        }
        self.until(|bed| bed.shared.drained.load(Ordering::Acquire) == 1);
        self.shared.set_phase(Phase::Close);
        self.relay.close();
        self.until(|bed| bed.crew.is_over());
        self.crew.finish()
    }

    fn pass(&self, time: Duration) {
        let now_ns = self.shared.now_ns() + u64::try_from(time.as_nanos()).unwrap();
        self.shared.set_now_ns(now_ns);
    }
}

fn leg(number: usize, transport: Transport, address: SocketAddr) -> LegPlan {
    LegPlan {
        transport,
        address,
        source: None,
        resource: String::new(),
        to_path: RELAY[number].to_owned(),
        relay_uri: RELAY[number].to_owned(),
        own_uri: OWN[number].to_owned(),
    }
}

fn load() -> Load {
    Load::closed(300, 1, 8, Legs::TCP_TCP)
}

/// What comes of a relay that does this to the fifth of those.
fn harmed(load: &Load, harm: Harm, to: To) -> Tally {
    let mut bed = Bed::new(load);
    bed.relay.harm = (harm, to);
    match (harm, to) {
        (Harm::Drop, To::Messages) => bed.run_without_one(|tally| tally.messages),
        (Harm::Drop, To::Responses) => bed.run_without_one(|tally| tally.responses),
        (Harm::Drop, To::Reports) => bed.run_without_one(|tally| tally.reports),
        _ => bed.run(),
    }
}

#[test]
fn a_good_relay_gets_a_good_verdict_and_every_latency_is_counted() {
    let tally = Bed::new(&load()).run();
    assert_eq!(tally.faults.total(), 0, "{}", tally.faults);
    assert_eq!(tally.sent, tally.arrived);
    assert!(tally.latency.len() >= 100);
}

#[test]
fn chunks_sizes_ways_responses_and_reports_may_be_mixed() {
    let mut load = load();
    load.sizes = "16:1,300:2,5000:2,70000:1".parse().unwrap();
    load.chunk = Some(2048);
    load.responses = true;
    load.reports = true;
    for direction in [Direction::BToA, Direction::Both, Direction::Mix(30)] {
        load.direction = direction;
        let tally = Bed::new(&load).run();
        assert_eq!(tally.faults.total(), 0, "{}", tally.faults);
        assert_eq!(tally.sent, tally.arrived);
        assert_eq!(tally.reports, tally.sent);
        assert!(tally.responses > 2 * tally.sent, "one for each chunk");
    }
}

#[test]
fn messages_travel_in_tls() {
    let mut load = load();
    load.legs = "tls-tls".parse().unwrap();
    load.sizes = "300:1,70000:1".parse().unwrap();
    load.responses = true;
    let tally = Bed::new(&load).run();
    assert_eq!(tally.faults.total(), 0, "{}", tally.faults);
    assert_eq!(tally.sent, tally.arrived);
}

#[test]
fn a_handshake_ends_for_the_relay_too_when_nothing_more_is_sent() {
    let mut relay = Relay::new(true);
    let client = super::tls::Client::new(true).unwrap();
    let target = super::line::Target {
        transport: Transport::Tls,
        address: relay.address(),
        resource: "",
        source: None,
    };
    let mut line = super::line::Line::connect(&target, Some(&client)).unwrap();
    let mut poller = super::poller::Poller::new().unwrap();
    poller.add(line.socket(), 0).unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while !line.has_tickets() {
        assert!(
            Instant::now() < until,
            "the relay sends its tickets when its handshake is over"
        );
        relay.turn();
        for news in poller.look().unwrap() {
            line.news(news);
        }
        if line.advance().unwrap() == super::line::Progress::Open {
            line.receive_into(&mut [0; 16]);
        }
    }
}

#[test]
fn stalled_receivers_get_all_in_the_end_and_are_not_timed() {
    let mut load = load();
    for stalled in [(1, 0), (0, 1)] {
        (load.stalled.stuck, load.stalled.slow) = stalled;
        let mut bed = Bed::new(&load);
        bed.bind();
        // The sender's outbox is kept full, also when all of it was taken.
        bed.until(|bed| bed.relay.taken > 1000);
        let held_back = bed.relay.taken - bed.crew.tally().messages;
        assert!(held_back > 500, "{stalled:?}: {held_back}");
        let tally = bed.finish(None);
        assert_eq!(tally.faults.total(), 0, "{}", tally.faults);
        assert_eq!((tally.sent, tally.latency.len()), (tally.arrived, 0));
    }
}

#[test]
fn a_relay_that_drops_a_message_is_found_out() {
    let tally = harmed(&load(), Harm::Drop, To::Messages);
    let lost = (tally.faults.lost, tally.sent - tally.arrived);
    assert_eq!(lost, (1, 1), "{}", tally.faults);
    assert_eq!(tally.faults.total(), 1);
}

#[test]
fn a_relay_that_doubles_a_message_is_found_out() {
    let faults = harmed(&load(), Harm::Double, To::Messages).faults;
    assert_eq!((faults.doubled, faults.total()), (1, 1), "{faults}");
}

#[test]
fn a_relay_that_changes_an_octet_is_found_out() {
    let faults = harmed(&load(), Harm::Corrupt, To::Messages).faults;
    assert_eq!((faults.changed, faults.total()), (1, 1), "{faults}");
}

#[test]
fn a_relay_that_changes_the_order_is_found_out() {
    let faults = harmed(&load(), Harm::Delay, To::Messages).faults;
    assert_eq!((faults.reordered, faults.total()), (1, 1), "{faults}");
}

#[test]
fn a_relay_that_hangs_up_is_found_out() {
    let mut bed = Bed::new(&load());
    bed.relay.harm = (Harm::HangUp, To::Messages);
    bed.bind();
    bed.until(|bed| bed.crew.tally().faults.ended == 1);
    bed.shared.set_phase(Phase::Drain);
    bed.crew.turn().unwrap();
    bed.pass(Duration::from_secs(11));
    let tally = bed.finish(None);
    assert!(tally.faults.lost > 0, "{}", tally.faults);
}

#[test]
fn a_relay_that_drops_or_doubles_a_response_is_found_out() {
    let mut load = load();
    load.responses = true;
    let faults = harmed(&load, Harm::Drop, To::Responses).faults;
    assert_eq!((faults.unanswered, faults.total()), (1, 1), "{faults}");
    let faults = harmed(&load, Harm::Double, To::Responses).faults;
    assert_eq!((faults.unexpected, faults.total()), (1, 1), "{faults}");
}

#[test]
fn a_relay_that_drops_or_doubles_a_report_is_found_out() {
    let mut load = load();
    load.reports = true;
    let faults = harmed(&load, Harm::Drop, To::Reports).faults;
    assert_eq!((faults.unreported, faults.total()), (1, 1), "{faults}");
    let faults = harmed(&load, Harm::Double, To::Reports).faults;
    assert_eq!((faults.unexpected, faults.total()), (1, 1), "{faults}");
}

#[test]
fn a_session_that_is_never_bound_is_named_with_what_it_waits_for() {
    let mut bed = Bed::new(&load());
    bed.crew.turn().unwrap();
    bed.pass(Duration::from_secs(3600));
    let why = std::iter::repeat_with(|| bed.crew.turn())
        .find_map(Result::err)
        .unwrap();
    assert!(
        why.contains("leg A: its first SEND is not answered"),
        "{why}"
    );
}

/// Runs ten seconds of the test's time under a relay that passes nothing on for one of them.
fn paused(load: &Load) -> Tally {
    let mut bed = Bed::new(load);
    bed.bind();
    for now_ms in 0..=9_999 {
        bed.shared.set_now_ns(now_ms * MILLISECOND_NS);
        bed.relay.is_paused = (4000..5000).contains(&now_ms);
        bed.crew.turn().unwrap();
        let is_paused = bed.relay.is_paused;
        bed.until(|bed| {
            let seen = if is_paused {
                bed.relay.taken
            } else {
                bed.crew.tally().messages
            };
            seen == bed.crew.sent()
        });
    }
    bed.shared.set_now_ns(10_000 * MILLISECOND_NS);
    bed.finish(None)
}

#[test]
fn a_relay_that_pauses_for_a_second_shows_in_all_percentiles_it_should() {
    let mut load = load();
    load.pace = Pace::Open {
        rate: 1000.0,
        arrivals: Arrivals::Constant,
        seed: 1,
        ramp: 0.0,
    };
    let tally = paused(&load);
    assert_eq!(tally.faults.total(), 0, "{}", tally.faults);
    assert_eq!((tally.sent, tally.latency.len()), (10_000, 10_000));
    assert_eq!(tally.lateness.max(), 0, "the generator was never late");
    // A thousand of ten thousand were due in the pause: they waited from one second to nothing.
    let at = |quantile: f64| tally.latency.value_at_quantile(quantile) / MILLISECOND_NS;
    assert_eq!((at(0.5), at(0.9)), (0, 0));
    for (quantile, waited_ms) in [
        (0.91, 100),
        (0.95, 500),
        (0.99, 900),
        (0.999, 990),
        (1.0, 1000),
    ] {
        let off = at(quantile).abs_diff(waited_ms);
        assert!(
            off <= 3,
            "{quantile}: {} instead of {waited_ms} ms",
            at(quantile)
        );
    }
}
