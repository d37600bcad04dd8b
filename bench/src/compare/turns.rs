//! Who has a turn when, and taking it.

use link::Transport;
use serde::{Deserialize, Serialize};

use super::forwarders;
use super::kamailio;
use super::settings::{Case, Relay, Settings};
use crate::load::{self, Legs, Offer, Report};
use crate::machine::Machine;

/// One relay under one load, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Turn {
    /// The load.
    pub load: Case,
    /// From 1.
    pub round: u32,
    /// The relay.
    pub relay: Relay,
    /// What was measured, or why nothing was.
    #[serde(flatten)]
    pub outcome: Outcome,
}

impl Turn {
    /// What was measured, if anything was.
    pub fn report(&self) -> Option<&Report> {
        match &self.outcome {
            Outcome::Report(report) => Some(report),
            Outcome::Failure(_) => None,
        }
    }
}

/// How a turn ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// What was measured.
    Report(Box<Report>),
    /// Why nothing was.
    Failure(String),
}

/// A relay that has no turns, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Absent {
    /// The relay.
    pub relay: Relay,
    /// Why.
    pub why: String,
}

/// All turns of a comparison.
pub struct Turns<'a> {
    settings: &'a Settings,
    present: Vec<Relay>,
    absent: Vec<Absent>,
}

impl<'a> Turns<'a> {
    /// For those relays that can be started on this machine.
    pub fn new(settings: &'a Settings, machine: &Machine) -> Turns<'a> {
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        for &relay in &settings.relays {
            match missing(relay, machine) {
                Some(why) => absent.push(Absent {
                    relay,
                    why: why.to_owned(),
                }),
                None => present.push(relay),
            }
        }
        Turns {
            settings,
            present,
            absent,
        }
    }

    /// Who has no turns.
    pub fn absent(&self) -> Vec<Absent> {
        self.absent.clone()
    }

    /// Takes all turns, one after the other.
    pub fn take_all(&self) -> Vec<Turn> {
        let order = self.order();
        let all = order.len();
        let mut done = Vec::with_capacity(all);
        for (number, (load, round, relay)) in order.into_iter().enumerate() {
            let outcome = match self.take(load, relay) {
                Ok(report) => Outcome::Report(Box::new(report)),
                Err(why) => Outcome::Failure(why),
            };
            if self.settings.progress {
                let number = number + 1;
                eprintln!("{number}/{all} {load} {}: {outcome}", relay.name());
            }
            done.push(Turn {
                load,
                round,
                relay,
                outcome,
            });
        }
        done
    }

    /// Load by load and round by round, so that what is compared is near in time; who begins moves
    /// on by one.
    fn order(&self) -> Vec<(Case, u32, Relay)> {
        let mut order = Vec::new();
        for &case in &self.settings.cases {
            for round in 0..self.settings.rounds {
                let first = round as usize % self.present.len().max(1);
                let (later, sooner) = self.present.split_at(first);
                let turns = sooner.iter().chain(later);
                let turns = turns.filter(|relay| cannot(**relay, case).is_none());
                order.extend(turns.map(|&relay| (case, round + 1, relay)));
            }
        }
        order
    }

    fn take(&self, case: Case, relay: Relay) -> Result<Report, String> {
        let Settings {
            relay_core, ports, ..
        } = self.settings;
        let core = *relay_core;
        let [_, b] = case.legs.0;
        let legs = match relay {
            // The floor is in clear text whatever the others do.
            Relay::Bytes => Legs::TCP_TCP,
            // It knows TLS, and no WebSocket.
            Relay::Haproxy | Relay::HaproxySplice if case.is_secure() => Legs([Transport::Tls, b]),
            _ => case.legs,
        };
        let offer = Offer {
            load: case.load(legs),
            duration: self.settings.duration,
            warm_up: self.settings.warm_up,
            cores: vec![self.settings.core],
            progress: false,
        };
        let place = forwarders::Place {
            core,
            sessions: case.sessions,
            is_secure: case.is_secure(),
        };
        let splices = relay == Relay::HaproxySplice;
        match relay {
            Relay::Bytes => load::run_through(&offer, &|back| forwarders::byte_relay(core, back)),
            Relay::Haproxy | Relay::HaproxySplice => {
                load::run_through(&offer, &|back| forwarders::haproxy(&place, splices, back))
            }
            Relay::Causeway => {
                let relay = load::Relay::Start {
                    program: self.settings.program.clone(),
                    cores: vec![core],
                    ports: ports.clone(),
                };
                load::run(&offer, &relay)
            }
            Relay::Kamailio => load::run_through(&offer, &|_| kamailio::start(&place)),
        }
    }
}

fn missing(relay: Relay, machine: &Machine) -> Option<&'static str> {
    match relay {
        Relay::Bytes | Relay::Causeway => None,
        Relay::Haproxy | Relay::HaproxySplice if machine.haproxy.is_some() => None,
        Relay::Haproxy | Relay::HaproxySplice => Some("not installed: apt install haproxy"),
        Relay::Kamailio if machine.kamailio.is_some() => None,
        Relay::Kamailio => Some(
            "not installed: apt install kamailio kamailio-websocket-modules kamailio-tls-modules",
        ),
    }
}

/// Why a relay can't take a load, if so.
pub fn cannot(relay: Relay, case: Case) -> Option<&'static str> {
    match relay {
        Relay::Kamailio if case.size > kamailio::SIZE_MAX => Some("forwards no chunk above 14 KiB"),
        Relay::HaproxySplice if case.is_secure() => Some("what is in TLS can't be spliced"),
        _ => None,
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Outcome::Report(report) => write!(
                f,
                "{:.2} us a message, {:.0} a second, {} faults",
                report.relay_cpu_us_per_message, report.rate, report.faults_total
            ),
            Outcome::Failure(why) => f.write_str(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpStream;
    use std::process::{Command, Stdio};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::byte_relay::start_thread;

    fn settings() -> Settings {
        Settings {
            cases: vec!["300x2x1".parse().unwrap(), "9000x1x2".parse().unwrap()],
            duration: Duration::from_millis(100),
            warm_up: Duration::ZERO,
            rounds: 2,
            relays: Relay::ALL.to_vec(),
            relay_core: 0,
            core: 0,
            program: "/nowhere".into(),
            ports: "1-2".to_owned(),
            json: None,
            progress: false,
        }
    }

    #[test]
    fn turns_go_around_and_another_begins_each_round() {
        let settings = settings();
        let mut machine = Machine::look(1, std::path::Path::new("/nowhere"));
        (machine.haproxy, machine.kamailio) = (None, None);
        let turns = Turns::new(&settings, &machine);
        let names = |order: &[(Case, u32, Relay)]| {
            let names = order.iter().map(|(_, round, relay)| (*round, relay.name()));
            names.collect::<Vec<_>>()
        };
        let (byte_relay, causeway) = ("byte-relay", "causeway");
        assert_eq!(
            names(&turns.order()[..4]),
            [
                (1, byte_relay),
                (1, causeway),
                (2, causeway),
                (2, byte_relay)
            ]
        );
        assert_eq!(turns.order().len(), 8);
        let absent: Vec<_> = turns.absent().iter().map(|absent| absent.relay).collect();
        assert_eq!(
            absent,
            [Relay::Haproxy, Relay::HaproxySplice, Relay::Kamailio]
        );
        assert!(turns.absent()[0].why.contains("apt install haproxy"));
        machine.haproxy = Some("HAProxy version 2".to_owned());
        machine.kamailio = Some("version: kamailio 5".to_owned());
        let with = Turns::new(&settings, &machine);
        assert_eq!(with.order().len(), 20);
    }

    #[test]
    fn who_cannot_take_a_load_has_no_turn_with_it() {
        let mut settings = settings();
        settings.cases = vec!["65536x1x1".parse().unwrap()];
        let mut machine = Machine::look(1, std::path::Path::new("/nowhere"));
        machine.kamailio = Some("version: kamailio 5".to_owned());
        let order = Turns::new(&settings, &machine).order();
        assert!(order.iter().all(|(_, _, relay)| *relay != Relay::Kamailio));
        assert!(!order.is_empty());
    }

    #[test]
    fn a_load_goes_through_a_forwarder_and_every_octet_is_checked() {
        let offer = Offer {
            load: "5000x20x3".parse::<Case>().unwrap().load(Legs::TCP_TCP),
            duration: Duration::from_millis(100),
            warm_up: Duration::ZERO,
            cores: vec![0],
            progress: false,
        };
        // A process that only stands for the forwarder, which is in this one and ends with it.
        let start = |back| {
            let mut stand_in = Command::new("sleep");
            let mut child = stand_in.arg("600").stdout(Stdio::piped()).spawn().unwrap();
            let mut stdout = child.stdout.take().unwrap();
            let is_over = Arc::new(AtomicBool::new(false));
            let over = is_over.clone();
            let front = start_thread(back, move || over.load(Ordering::Acquire));
            std::thread::spawn(move || {
                stdout.read_to_end(&mut Vec::new()).unwrap();
                is_over.store(true, Ordering::Release);
                drop(TcpStream::connect(front));
            });
            let front = load::Front::Octets {
                transport: link::Transport::Tcp,
                address: front,
            };
            Ok(load::Forwarder::new(child, front, Vec::new()))
        };
        let report = load::run_through(&offer, &start).unwrap();
        assert_eq!(report.faults_total, 0, "{}", report.faults);
        assert_eq!(report.sent, report.arrived);
        assert!(report.counted.is_none());
    }

    #[test]
    fn a_forwarder_that_does_not_start_ends_the_turn_with_its_reason() {
        let offer = Offer {
            load: settings().cases[0].load(Legs::TCP_TCP),
            duration: Duration::from_millis(100),
            warm_up: Duration::ZERO,
            cores: vec![0],
            progress: false,
        };
        let why = load::run_through(&offer, &|_| Err("no such program".to_owned()));
        assert_eq!(why.unwrap_err(), "no such program");
    }
}
