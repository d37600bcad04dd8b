//! The client transactions. RFC 3261, 17.1; RFC 6026, 7.2; timers A, B, D, E, F, K, M.

use serde::{Deserialize, Serialize};

use super::super::api::Millis;
use super::super::settings::Timing;

/// A request we sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Client {
    invite: bool,
    /// Over TCP.
    reliable: bool,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// Nothing came yet (Calling, Trying).
    Sent {
        repeat: Option<Repeat>,
        until: Millis,
    },
    /// A 1xx came. An INVITE is not repeated any more; `until` is how long it may ring.
    Proceeding {
        repeat: Option<Repeat>,
        until: Millis,
    },
    /// A CANCEL was sent for this INVITE; a final answer must come until then.
    Cancelled { until: Millis },
    /// A final answer came, 2xx to an INVITE excepted; its repetitions are absorbed.
    Completed { until: Millis },
    /// A 2xx to an INVITE came; more may come.
    Accepted { until: Millis },
    /// Over.
    Terminated,
}

/// When to send again (timers A, E), and how long to wait after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Repeat {
    at: Millis,
    interval_ms: Millis,
}

/// What a machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Step {
    /// Nothing.
    Nothing,
    /// Send the request again.
    Repeat,
    /// Give the response to whoever asked.
    Pass,
    /// The same, and send the ACK of a refused INVITE.
    PassAndAck,
    /// Send that ACK again.
    Ack,
    /// It has rung too long: cancel it.
    RingOver,
    /// No final answer came; tell whoever asked. The machine is over.
    TimedOut,
    /// The machine is over.
    Over,
}

impl Client {
    /// The request goes out now.
    pub fn new(invite: bool, reliable: bool, timing: &Timing, now: Millis) -> Client {
        let interval_ms = timing.t1_ms;
        let repeat = (!reliable).then_some(Repeat {
            at: now + interval_ms,
            interval_ms,
        });
        let until = now + timing.give_up_ms();
        Client {
            invite,
            reliable,
            state: State::Sent { repeat, until },
        }
    }

    /// A response came.
    pub fn response(&mut self, code: u16, timing: &Timing, now: Millis) -> Step {
        let (state, step) = match (&self.state, code) {
            (State::Sent { repeat, until } | State::Proceeding { repeat, until }, 0..=199) => {
                let state = if self.invite {
                    State::Proceeding {
                        repeat: None,
                        until: now + timing.ring_ms,
                    }
                } else {
                    let repeat = repeat.map(|repeat| Repeat {
                        interval_ms: timing.t2_ms,
                        ..repeat
                    });
                    State::Proceeding {
                        repeat,
                        until: *until,
                    }
                };
                (state, Step::Pass)
            }
            (State::Cancelled { .. }, 0..=199) => return Step::Pass,
            (
                State::Sent { .. } | State::Proceeding { .. } | State::Cancelled { .. },
                200..=299,
            ) if self.invite => (
                State::Accepted {
                    until: now + timing.give_up_ms(),
                },
                Step::Pass,
            ),
            (State::Sent { .. } | State::Proceeding { .. } | State::Cancelled { .. }, _) => {
                let wait_ms = match (self.reliable, self.invite) {
                    (true, _) => 0,
                    (false, true) => timing.d_ms,
                    (false, false) => timing.t4_ms,
                };
                let step = if self.invite {
                    Step::PassAndAck
                } else {
                    Step::Pass
                };
                (
                    State::Completed {
                        until: now + wait_ms,
                    },
                    step,
                )
            }
            (State::Completed { .. }, 300..) if self.invite => return Step::Ack,
            (State::Accepted { .. }, 200..=299) => return Step::Pass,
            (State::Completed { .. } | State::Accepted { .. } | State::Terminated, _) => {
                return Step::Nothing;
            }
        };
        self.state = state;
        step
    }

    /// Time has passed.
    pub fn timeout(&mut self, timing: &Timing, now: Millis) -> Step {
        match &mut self.state {
            State::Sent { until, .. } | State::Cancelled { until } if *until <= now => {
                self.state = State::Terminated;
                Step::TimedOut
            }
            State::Proceeding { until, .. } if *until <= now => {
                if self.invite {
                    return Step::RingOver;
                }
                self.state = State::Terminated;
                Step::TimedOut
            }
            State::Completed { until } | State::Accepted { until } if *until <= now => {
                self.state = State::Terminated;
                Step::Over
            }
            State::Sent {
                repeat: Some(repeat),
                ..
            }
            | State::Proceeding {
                repeat: Some(repeat),
                ..
            } if repeat.at <= now => {
                // Timer A doubles without end, timer E up to T2.
                let longest = if self.invite {
                    Millis::MAX
                } else {
                    timing.t2_ms
                };
                repeat.interval_ms = (2 * repeat.interval_ms).min(longest);
                repeat.at = now + repeat.interval_ms;
                Step::Repeat
            }
            _ => Step::Nothing,
        }
    }

    /// A CANCEL for it goes out.
    pub fn cancelled(&mut self, timing: &Timing, now: Millis) {
        if self.is_proceeding() {
            self.state = State::Cancelled {
                until: now + timing.give_up_ms(),
            };
        }
    }

    /// It goes out again, by another transport.
    pub fn restart(&mut self, reliable: bool, timing: &Timing, now: Millis) {
        *self = Client::new(self.invite, reliable, timing, now);
    }

    /// Whether a 1xx came and nothing more: the state in which an INVITE can be cancelled.
    pub fn is_proceeding(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }

    /// Whether the final answer is still to come.
    pub fn is_open(&self) -> bool {
        matches!(
            self.state,
            State::Sent { .. } | State::Proceeding { .. } | State::Cancelled { .. }
        )
    }

    /// When to call [`Client::timeout`].
    pub fn deadline(&self) -> Option<Millis> {
        match &self.state {
            State::Sent { repeat, until } | State::Proceeding { repeat, until } => {
                Some(repeat.map_or(*until, |repeat| repeat.at.min(*until)))
            }
            State::Cancelled { until } | State::Completed { until } | State::Accepted { until } => {
                Some(*until)
            }
            State::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the machine's own timers up to `end`; what it did, and when.
    fn run(client: &mut Client, timing: &Timing, end: Millis) -> Vec<(Millis, Step)> {
        let mut steps = Vec::new();
        while let Some(at) = client.deadline().filter(|at| *at <= end) {
            let step = client.timeout(timing, at);
            steps.push((at, step));
            if step == Step::RingOver {
                break;
            }
        }
        steps
    }

    #[test]
    fn timer_a_doubles_until_timer_b_gives_up() {
        let timing = Timing::default();
        let mut client = Client::new(true, false, &timing, 0);
        let steps = run(&mut client, &timing, 100_000);
        let at: Vec<Millis> = steps.iter().map(|(at, _)| *at).collect();
        assert_eq!(at, [500, 1_500, 3_500, 7_500, 15_500, 31_500, 32_000]);
        assert_eq!(steps[6].1, Step::TimedOut);
        assert_eq!(client.deadline(), None);
    }

    #[test]
    fn timer_e_doubles_up_to_t2_and_stays_there_once_a_provisional_came() {
        let timing = Timing::default();
        let mut client = Client::new(false, false, &timing, 0);
        let steps = run(&mut client, &timing, 32_000);
        let at: Vec<Millis> = steps.iter().take(5).map(|(at, _)| *at).collect();
        assert_eq!(at, [500, 1_500, 3_500, 7_500, 11_500]);
        let mut client = Client::new(false, false, &timing, 0);
        assert_eq!(client.response(100, &timing, 100), Step::Pass);
        assert_eq!(run(&mut client, &timing, 5_000).len(), 2);
    }

    #[test]
    fn over_tcp_nothing_is_repeated_and_nothing_lingers() {
        let timing = Timing::default();
        let mut client = Client::new(false, true, &timing, 0);
        assert_eq!(
            run(&mut client, &timing, 40_000),
            [(32_000, Step::TimedOut)]
        );
        let mut client = Client::new(true, true, &timing, 0);
        assert_eq!(client.response(486, &timing, 10), Step::PassAndAck);
        assert_eq!(run(&mut client, &timing, 10), [(10, Step::Over)]);
    }

    #[test]
    fn rfc6026_a_2xx_is_passed_as_often_as_it_comes_and_a_refusal_once() {
        let timing = Timing::default();
        let mut client = Client::new(true, false, &timing, 0);
        assert_eq!(client.response(180, &timing, 10), Step::Pass);
        assert_eq!(client.response(200, &timing, 20), Step::Pass);
        assert_eq!(client.response(200, &timing, 30), Step::Pass);
        assert_eq!(client.response(486, &timing, 30), Step::Nothing);
        assert_eq!(run(&mut client, &timing, 90_000), [(32_020, Step::Over)]);
        let mut client = Client::new(true, false, &timing, 0);
        assert_eq!(client.response(486, &timing, 10), Step::PassAndAck);
        assert_eq!(client.response(486, &timing, 20), Step::Ack);
        assert_eq!(client.response(200, &timing, 20), Step::Nothing);
    }

    #[test]
    fn an_invite_that_rings_too_long_is_cancelled_and_then_given_up() {
        let timing = Timing::default();
        let mut client = Client::new(true, false, &timing, 0);
        client.response(180, &timing, 0);
        assert_eq!(
            run(&mut client, &timing, 1_000_000),
            [(timing.ring_ms, Step::RingOver)]
        );
        client.cancelled(&timing, timing.ring_ms);
        assert_eq!(
            run(&mut client, &timing, 1_000_000),
            [(timing.ring_ms + 32_000, Step::TimedOut)]
        );
    }
}
