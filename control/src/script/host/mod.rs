//! What a script sees: `context` and what hangs on it.
//!
//! The objects are handles on one run's state, so that a script may hand them to its own functions. What was
//! received can be read, not changed. A member that is not there reads as `()`.

mod bodies;
mod check;
mod octets;
mod sip;
mod stores;
mod web;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Dynamic, Engine, EvalAltResult, INT, Map, NativeCallContext};

use super::limits::{LOG_BYTES_MAX, LOG_LINES_MAX, OUTBOUND_MAX, TIMER_MS_MAX};
use super::{Actions, Inbound, LogLevel, LogLine, Outbound, Run, SipView, Stores, Timer, json};
use crate::bodies::date;
pub(super) use sip::SipMessage;
use stores::{Store, StoreKind};
use web::WebMessage;

/// The result of a host function.
type Checked<T> = Result<T, Box<EvalAltResult>>;

/// What all handles of one run share.
pub(super) struct Shared {
    run: Run,
    constants: Arc<Map>,
    session_configs: Arc<BTreeMap<String, bool>>,
    state: Mutex<State>,
}

/// What a run has done so far.
struct State {
    outbound: Vec<Outbound>,
    stores: Stores,
    log: Vec<LogLine>,
    timer: Option<Timer>,
}

impl Shared {
    pub(super) fn new(
        run: &Run,
        constants: Arc<Map>,
        session_configs: Arc<BTreeMap<String, bool>>,
    ) -> Arc<Shared> {
        Arc::new(Shared {
            state: Mutex::new(State {
                outbound: Vec::new(),
                stores: run.stores.clone(),
                log: Vec::new(),
                timer: None,
            }),
            run: run.clone(),
            constants,
            session_configs,
        })
    }

    /// The name of a session-config, for a leg toward a browser or toward the network.
    fn session_config(&self, name: &str, toward_browser: bool) -> Checked<Option<String>> {
        let known = || {
            let names: Vec<&str> = self.session_configs.keys().map(String::as_str).collect();
            names.join(", ")
        };
        match self.session_configs.get(name) {
            None => {
                let name = name.escape_debug();
                Err(format!("there is no session-config {name}; there are {}", known()).into())
            }
            Some(false) if toward_browser => Err(format!(
                "the session-config {name} is not for browsers: theirs are ws or wss"
            )
            .into()),
            Some(_) => Ok(Some(name.to_string())),
        }
    }

    /// What the run has done; leaves nothing behind.
    pub(super) fn take(&self) -> Actions {
        let mut state = self.state();
        Actions {
            outbound: std::mem::take(&mut state.outbound),
            stores: std::mem::take(&mut state.stores),
            log: std::mem::take(&mut state.log),
            timer: state.timer.take(),
        }
    }

    /// A run is one thread's; a panic in a host function is a bug that ends the run anyway.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, message: Outbound) -> Checked<()> {
        let mut state = self.state();
        if state.outbound.len() >= OUTBOUND_MAX {
            return Err(format!("more than {OUTBOUND_MAX} messages sent in one run").into());
        }
        state.outbound.push(message);
        Ok(())
    }

    fn log(&self, level: LogLevel, text: &str) {
        let mut state = self.state();
        if state.log.len() >= LOG_LINES_MAX {
            return;
        }
        let mut text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        let mut end = text.len().min(LOG_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        state.log.push(LogLine { level, text });
    }
}

/// `context`
#[derive(Clone)]
pub(super) struct Context(pub(super) Arc<Shared>);

/// `Constants`
#[derive(Clone)]
struct Constants(Arc<Map>);

/// `context.log`
#[derive(Clone)]
struct Log(Arc<Shared>);

/// Makes the host's types known to the engine.
pub(super) fn register(engine: &mut Engine) {
    register_context(engine);
    register_log(engine);
    register_constants(engine);
    web::register(engine);
    sip::register(engine);
    stores::register(engine);
    bodies::register(engine);
    octets::register(engine);
}

fn register_context(engine: &mut Engine) {
    engine
        .register_type_with_name::<Context>("Context")
        .register_indexer_get(|_: &mut Context, _: &str| Dynamic::UNIT)
        .register_get("webMessage", |context: &mut Context| {
            match &context.0.run.message {
                Inbound::Web(frame) => Dynamic::from(WebMessage::received(&context.0, frame)),
                Inbound::Sip(_) | Inbound::Timer => Dynamic::UNIT,
            }
        })
        .register_get("originatingSipMessage", |context: &mut Context| {
            context.sip(|_| true)
        })
        .register_get("sipRequest", |context: &mut Context| {
            context.sip(|message| message.is_request)
        })
        .register_get("sipResponse", |context: &mut Context| {
            context.sip(|message| !message.is_request)
        })
        .register_get("direction", |context: &mut Context| {
            let key = context.0.run.criterion.to_string();
            key.split('/').next().unwrap_or_default().to_string()
        })
        .register_get("criterion", |context: &mut Context| {
            context.0.run.criterion.to_string()
        })
        .register_get("packageType", |context: &mut Context| {
            context.0.run.package.clone()
        })
        .register_get("application", |context: &mut Context| {
            context.0.run.application.clone()
        })
        .register_get("uniqueId", |context: &mut Context| {
            context.0.run.unique_id.clone()
        })
        .register_get("user", |context: &mut Context| context.0.run.user.clone())
        .register_get("now", |context: &mut Context| {
            date::written(context.0.run.now_ms)
        })
        .register_get("nowMs", |context: &mut Context| {
            INT::try_from(context.0.run.now_ms).unwrap_or(INT::MAX)
        })
        .register_fn("setTimer", |context: &mut Context, name: &str, ms: INT| {
            context.set_timer(name, ms)
        })
        .register_fn("clearTimer", |context: &mut Context| {
            context.set_timer("none", 0)
        })
        .register_get("session", |context: &mut Context| {
            let session = &context.0.run.session;
            let mut map = Map::new();
            map.insert("id".into(), session.id.clone().into());
            map.insert("remote".into(), session.remote.clone().into());
            map
        })
        .register_get("subSession", |context: &mut Context| {
            let Some(subsession) = &context.0.run.subsession else {
                return Dynamic::UNIT;
            };
            let mut map = Map::new();
            map.insert("id".into(), subsession.id.clone().into());
            map.insert("initiator".into(), subsession.initiator.clone().into());
            map.insert("target".into(), subsession.target.clone().into());
            map.insert("open".into(), subsession.open.into());
            map.into()
        })
        .register_get("webFactory", |context: &mut Context| {
            web::WebFactory(context.0.clone())
        })
        .register_get("sipFactory", |context: &mut Context| {
            sip::SipFactory(context.0.clone())
        })
        .register_get("subSessionStore", |context: &mut Context| {
            Store(context.0.clone(), StoreKind::SubSession)
        })
        .register_get("sessionStore", |context: &mut Context| {
            Store(context.0.clone(), StoreKind::Session)
        })
        .register_get("userStore", |context: &mut Context| {
            Store(context.0.clone(), StoreKind::User)
        })
        .register_get("store", |context: &mut Context| {
            Store(context.0.clone(), StoreKind::Session)
        })
        .register_get("log", |context: &mut Context| Log(context.0.clone()));
}

impl Context {
    fn set_timer(&self, name: &str, ms: INT) -> Checked<()> {
        check::name("timer", name)?;
        let ms = u64::try_from(ms).ok().filter(|ms| *ms <= TIMER_MS_MAX);
        let Some(ms) = ms else {
            return Err(format!("a timer runs at most {TIMER_MS_MAX} ms").into());
        };
        if self.0.run.subsession.is_none() {
            return Err("there is no subsession whose timer it could be".into());
        }
        self.0.state().timer = Some(Timer {
            name: name.to_string(),
            ms,
        });
        Ok(())
    }

    fn sip(&self, wanted: impl Fn(&SipView) -> bool) -> Dynamic {
        match &self.0.run.message {
            Inbound::Sip(message) if wanted(message) => {
                Dynamic::from(SipMessage::received(message))
            }
            Inbound::Sip(_) | Inbound::Web(_) | Inbound::Timer => Dynamic::UNIT,
        }
    }
}

fn register_log(engine: &mut Engine) {
    engine.register_type_with_name::<Log>("Log");
    for (name, level) in [
        ("debug", LogLevel::Debug),
        ("info", LogLevel::Info),
        ("warn", LogLevel::Warn),
        ("error", LogLevel::Error),
    ] {
        engine.register_fn(name, move |log: &mut Log, text: Dynamic| {
            log.0.log(level, &text.to_string());
        });
    }
    // `print(x)` and `debug(x)` are what one tries first. Text has functions of its own in the engine, which
    // would be found before one for any value.
    for name in ["print", "debug"] {
        engine.register_fn(name, |context: NativeCallContext, value: Dynamic| {
            printed(&context, &value.to_string())
        });
        engine.register_fn(name, |context: NativeCallContext, text: &str| {
            printed(&context, text)
        });
    }
}

fn printed(context: &NativeCallContext, text: &str) -> String {
    if let Some(run) = context.tag().and_then(|tag| tag.read_lock::<Context>()) {
        run.0.log(LogLevel::Info, text);
    }
    text.to_string()
}

fn register_constants(engine: &mut Engine) {
    engine
        .register_type_with_name::<Constants>("Constants")
        .register_indexer_get(|constants: &mut Constants, name: &str| {
            let found = constants.0.get(name).cloned();
            found.ok_or_else(|| -> Box<EvalAltResult> {
                format!("there is no constant {name}").into()
            })
        });
    #[expect(deprecated, reason = "on_var is only marked as volatile")]
    engine.on_var(|name, _, context| {
        if name != super::CONSTANTS {
            return Ok(None);
        }
        let run = context.tag().read_lock::<Context>();
        Ok(run.map(|run| Dynamic::from(Constants(run.0.constants.clone()))))
    });
}

/// What a script gave as JSON; `what` names it in the error.
fn json_of(value: &Dynamic, what: &str) -> Checked<serde_json::Value> {
    json::from_script(value).map_err(|why| format!("{what}: {why}").into())
}
