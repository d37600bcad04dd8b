//! Running a criterion for a message, and what to do when a script fails.

use std::collections::BTreeMap;

use super::bridge::{Alarm, BridgeId, Order};
use super::{Gateway, Turn, carry_out};
use crate::jsonrtc::{Members, SessionKey};
use crate::metrics::Counter;
use crate::packages::{self, BadFolder, Package};
use crate::script::{
    self, Actions, Clock, Criterion, Environment, Inbound, LogLevel, Outcome, Run, ScriptError,
    Scripts, SessionView, Source, Stores, SubsessionView,
};
use crate::sip::ServerId;

/// Why no script set could be made.
#[derive(Debug)]
pub enum LoadError {
    /// The operator's folder is no set of packages.
    Folder(BadFolder),
    /// A script.
    Script(ScriptError),
}

impl std::fmt::Display for LoadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LoadError::Folder(error) => error.fmt(f),
            LoadError::Script(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

/// The shipped packages, with those of an operator in their place or beside them. `files` are the
/// operator's: path relative to the folder, and text.
///
/// # Errors
/// The first file that cannot be where it is.
pub fn sources(files: &[(String, String)]) -> Result<Vec<Source>, LoadError> {
    let own = packages::from_files(files).map_err(LoadError::Folder)?;
    let packages = packages::overlay(packages::shipped(), own);
    let source = |package: Package| Source {
        package: package.name,
        file: package.file,
        text: package.text,
        test: package.test,
    };
    Ok(packages.into_iter().map(source).collect())
}

/// Compiles sources and runs their tests. `session_configs` are those that scripts may choose, and whether
/// each is for browsers; `clock` only bounds the scripts' time.
///
/// # Errors
/// What is wrong, with file, line and column where there is one.
pub fn load_scripts(
    sources: &[Source],
    constants: Members,
    session_configs: BTreeMap<String, bool>,
    clock: Clock,
) -> Result<Scripts, LoadError> {
    let environment = Environment {
        constants,
        session_configs,
        clock,
    };
    Scripts::load(sources, environment).map_err(LoadError::Script)
}

/// What became of a run.
pub enum Ran {
    /// It ran; its messages are to be carried out.
    Done(Vec<Order>),
    /// The package has no function for the message.
    NoCriterion,
    /// The script failed; it was logged.
    Failed,
}

impl Gateway {
    /// Runs the criterion for a message of a bridge. `session`: whose view and store the script gets, where
    /// the message is of one browser.
    pub(super) fn run(
        &mut self,
        id: BridgeId,
        session: Option<SessionKey>,
        criterion: Criterion,
        message: Inbound,
        server: Option<ServerId>,
    ) -> Ran {
        let unique_id = self.random.uuid();
        let Some(bridge) = self.bridges.get(&id) else {
            return Ran::Failed;
        };
        let branch = match session {
            Some(session) => bridge
                .branches
                .iter()
                .find(|branch| branch.session == session),
            None => bridge
                .branches
                .first()
                .filter(|_| bridge.branches.len() == 1),
        };
        let session = branch.map(|branch| branch.session).or(session);
        let seat = session.and_then(|session| self.seats.get(&session));
        let run = Run {
            package: bridge.package.clone(),
            application: bridge.application.clone(),
            criterion,
            message,
            user: bridge.user.clone(),
            unique_id,
            session: self.session_view(session),
            subsession: Some(SubsessionView {
                id: branch
                    .map(|branch| branch.subsession.clone())
                    .unwrap_or_default(),
                initiator: bridge.initiator.clone(),
                target: bridge.target.clone(),
                open: bridge.is_open(),
            }),
            stores: Stores {
                session: seat.map(|seat| seat.store.clone()).unwrap_or_default(),
                subsession: bridge.store.clone(),
                user: self.users.get(&bridge.user),
            },
            now_ms: self.wall_ms,
        };
        let actions = match self.run_script(&run) {
            Ok(Some(actions)) => actions,
            Ok(None) => return Ran::NoCriterion,
            Err(()) => return Ran::Failed,
        };
        if let Some(seat) = session.and_then(|session| self.seats.get_mut(&session)) {
            seat.store = actions.stores.session;
        }
        if let Some(bridge) = self.bridges.get_mut(&id) {
            bridge.store = actions.stores.subsession;
            if let Some(timer) = actions.timer {
                bridge.alarm = Some(Alarm {
                    name: timer.name,
                    fresh: Some(timer.ms),
                });
            }
        }
        self.users.put(&run.user, actions.stores.user);
        let orders = actions
            .outbound
            .into_iter()
            .map(|outbound| Order { outbound, server });
        Ran::Done(orders.collect())
    }

    /// One run, counted and logged. `Ok(None)`: there is no criterion.
    pub(super) fn run_script(&mut self, run: &Run) -> Result<Option<Actions>, ()> {
        self.counters.add(Counter::ScriptRuns);
        let outcome = self.scripts.run(run);
        if let Some(traces) = &mut self.traces {
            traces.push((run.user.clone(), script::traced(run, &outcome)));
        }
        match outcome {
            Ok(Outcome::Ran(actions)) => {
                for line in &actions.log {
                    let (package, text) = (run.package.as_str(), line.text.as_str());
                    match line.level {
                        LogLevel::Debug => tracing::debug!(package, "{text}"),
                        LogLevel::Info => tracing::info!(package, "{text}"),
                        LogLevel::Warn => tracing::warn!(package, "{text}"),
                        LogLevel::Error => tracing::error!(package, "{text}"),
                    }
                }
                Ok(Some(actions))
            }
            Ok(Outcome::NoCriterion) => {
                let (package, verb) = (run.package.as_str(), run.criterion.verb.as_str());
                tracing::debug!(package, verb, kind = ?run.criterion.kind, "no criterion");
                Ok(None)
            }
            Err(error) => {
                self.counters.add(Counter::ScriptErrors);
                tracing::error!(session = run.session.id, "a script failed: {error}");
                Err(())
            }
        }
    }

    /// What a script may know of a session.
    pub(super) fn session_view(&self, session: Option<SessionKey>) -> SessionView {
        session.map_or_else(SessionView::default, |key| SessionView {
            id: format!("s{}", key.0),
            remote: self.browsers.remote(key).to_owned(),
        })
    }

    /// Carries out what a run said; without effect on a bridge that has ended.
    pub(super) fn carry_out_all(
        &mut self,
        id: BridgeId,
        mut orders: Vec<Order>,
        turn: &mut Turn<'_>,
    ) {
        self.wind_alarm(id, turn);
        // What ends the bridge comes last, so that everything else of the run is still sent.
        orders.sort_by_key(|order| carry_out::ends(&order.outbound));
        for order in orders {
            self.carry_out(id, order, turn);
        }
        self.end_if_done(id, turn);
    }

    /// Sets the timer that a script has just asked for.
    pub(super) fn wind_alarm(&mut self, id: BridgeId, turn: &Turn<'_>) {
        let alarm = self.bridges.get_mut(&id).and_then(|b| b.alarm.as_mut());
        let Some(ms) = alarm.and_then(|alarm| alarm.fresh.take()) else {
            return;
        };
        self.alarms.set(id, (ms > 0).then_some(turn.now + ms));
    }

    /// The time of a script's timer has come.
    pub(super) fn alarm(&mut self, id: BridgeId, turn: &mut Turn<'_>) {
        let alarm = self.bridges.get_mut(&id).and_then(|b| b.alarm.take());
        let Some(alarm) = alarm else {
            return;
        };
        let criterion = Criterion::timer(&alarm.name);
        if let Ran::Done(orders) = self.run(id, None, criterion, Inbound::Timer, None) {
            self.carry_out_all(id, orders, turn);
        }
    }
}
