//! The server transactions. RFC 3261, 17.2; RFC 6026, 7.1; timers G, H, I, J, L.

use serde::{Deserialize, Serialize};

use super::super::api::Millis;
use super::super::settings::Timing;

/// A request we received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in super::super) struct Server {
    invite: bool,
    /// Over TCP.
    reliable: bool,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum State {
    /// No final answer yet; one is due until then.
    Open { until: Millis },
    /// A final answer was sent; repeated requests get it again. A refused INVITE's is also repeated
    /// by itself (timer G: when, and how long after that) until its ACK.
    Completed {
        repeat: Option<(Millis, Millis)>,
        until: Millis,
    },
    /// The ACK of a refused INVITE came; its repetitions are absorbed.
    Confirmed { until: Millis },
    /// A 2xx to an INVITE was sent; repeated INVITEs are absorbed, the dialog repeats the 2xx.
    Accepted { until: Millis },
    /// Over.
    Terminated,
}

/// What a machine wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Step {
    /// Nothing.
    Nothing,
    /// Send the last response again, if there is one.
    Repeat,
    /// Nobody has answered in time.
    Unanswered,
    /// The machine is over.
    Over,
}

impl Server {
    /// A new request came.
    pub fn new(invite: bool, reliable: bool, timing: &Timing, now: Millis) -> Server {
        let patience_ms = if invite {
            timing.ring_ms
        } else {
            timing.give_up_ms()
        };
        Server {
            invite,
            reliable,
            state: State::Open {
                until: now + patience_ms,
            },
        }
    }

    /// The same request came again.
    pub fn repeated(&self) -> Step {
        match self.state {
            State::Open { .. } | State::Completed { .. } => Step::Repeat,
            State::Confirmed { .. } | State::Accepted { .. } | State::Terminated => Step::Nothing,
        }
    }

    /// An answer goes out. `false`: it must not, a final one has gone before.
    pub fn respond(&mut self, code: u16, timing: &Timing, now: Millis) -> bool {
        let give_up = now + timing.give_up_ms();
        match self.state {
            State::Open { .. } if code < 200 => {
                // RFC 3261, 16.7: ringing restarts the clock.
                if self.invite && code > 100 {
                    self.state = State::Open {
                        until: now + timing.ring_ms,
                    };
                }
            }
            State::Open { .. } => {
                self.state = match (self.invite, self.reliable) {
                    (true, _) if code < 300 => State::Accepted { until: give_up },
                    (true, reliable) => {
                        let first = now + timing.t1_ms;
                        let repeat = (!reliable).then_some((first, timing.t1_ms));
                        State::Completed {
                            repeat,
                            until: give_up,
                        }
                    }
                    (false, true) => State::Completed {
                        repeat: None,
                        until: now,
                    },
                    (false, false) => State::Completed {
                        repeat: None,
                        until: give_up,
                    },
                };
            }
            State::Accepted { .. } if (200..300).contains(&code) => {}
            _ => return false,
        }
        true
    }

    /// The ACK came. `true`: it belongs to a 2xx, so it is the dialog's.
    pub fn ack(&mut self, timing: &Timing, now: Millis) -> bool {
        match self.state {
            State::Completed { .. } if self.invite => {
                let wait_ms = if self.reliable { 0 } else { timing.t4_ms };
                self.state = State::Confirmed {
                    until: now + wait_ms,
                };
                false
            }
            State::Accepted { .. } => true,
            _ => false,
        }
    }

    /// Time has passed. After [`Step::Unanswered`] the caller answers or drops the machine.
    pub fn timeout(&mut self, timing: &Timing, now: Millis) -> Step {
        match &mut self.state {
            State::Open { until } if *until <= now => Step::Unanswered,
            State::Completed { until, .. }
            | State::Confirmed { until }
            | State::Accepted { until }
                if *until <= now =>
            {
                self.state = State::Terminated;
                Step::Over
            }
            State::Completed {
                repeat: Some((at, interval_ms)),
                ..
            } if *at <= now => {
                *interval_ms = (2 * *interval_ms).min(timing.t2_ms);
                *at = now + *interval_ms;
                Step::Repeat
            }
            _ => Step::Nothing,
        }
    }

    /// Whether the final answer is still to be given.
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. })
    }

    /// When to call [`Server::timeout`].
    pub fn deadline(&self) -> Option<Millis> {
        match &self.state {
            State::Open { until } | State::Confirmed { until } | State::Accepted { until } => {
                Some(*until)
            }
            State::Completed { repeat, until } => {
                Some(repeat.map_or(*until, |(at, _)| at.min(*until)))
            }
            State::Terminated => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timer_g_repeats_a_refusal_until_timer_h_or_the_ack() {
        let timing = Timing::default();
        let mut server = Server::new(true, false, &timing, 0);
        assert!(server.respond(180, &timing, 100) && server.respond(486, &timing, 1_000));
        let mut at = Vec::new();
        while let Some(next) = server.deadline() {
            at.push((next, server.timeout(&timing, next)));
        }
        let times: Vec<Millis> = at.iter().map(|(at, _)| *at).take(5).collect();
        assert_eq!(times, [1_500, 2_500, 4_500, 8_500, 12_500]);
        assert_eq!(at.last(), Some(&(33_000, Step::Over)));

        let mut server = Server::new(true, false, &timing, 0);
        server.respond(486, &timing, 0);
        assert!(!server.ack(&timing, 400));
        assert_eq!(server.repeated(), Step::Nothing);
        assert_eq!(server.deadline(), Some(5_400));
        assert_eq!(server.timeout(&timing, 5_400), Step::Over);
    }

    #[test]
    fn rfc6026_after_a_2xx_repeated_invites_are_absorbed_and_more_2xx_may_go() {
        let timing = Timing::default();
        let mut server = Server::new(true, true, &timing, 0);
        assert!(server.respond(200, &timing, 0) && server.respond(200, &timing, 1));
        assert!(!server.respond(486, &timing, 2));
        assert_eq!(server.repeated(), Step::Nothing);
        assert!(server.ack(&timing, 3));
        assert_eq!(server.timeout(&timing, 32_000), Step::Over);
    }

    #[test]
    fn one_final_answer_is_given_and_repeated_on_request() {
        let timing = Timing::default();
        let mut server = Server::new(false, false, &timing, 0);
        assert_eq!(server.repeated(), Step::Repeat);
        assert!(server.respond(200, &timing, 10) && !server.respond(200, &timing, 11));
        assert_eq!(server.repeated(), Step::Repeat);
        assert_eq!(server.deadline(), Some(32_010));
        let mut server = Server::new(false, false, &timing, 0);
        assert_eq!(server.timeout(&timing, 32_000), Step::Unanswered);
    }
}
