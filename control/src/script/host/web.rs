//! Frames: the one received, and those a script makes for the browser.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Dynamic, Engine, INT, Map};

use super::{Checked, Shared, check};
use crate::script::json::{map_from_script, map_to_script, written_bytes};
use crate::script::limits::{FRAME_BYTES_MAX, NAME_BYTES_MAX};
use crate::script::{MessageState, OutWeb, Outbound, SessionLegs, WebKind, WebView};

/// `context.webFactory`
#[derive(Clone)]
pub(super) struct WebFactory(pub(super) Arc<Shared>);

/// A frame.
#[derive(Clone)]
pub(super) struct WebMessage {
    shared: Arc<Shared>,
    frame: Arc<Mutex<Frame>>,
}

struct Frame {
    standing: Standing,
    control: Map,
    header: Map,
    payload: Map,
    anchor: bool,
    others: bool,
    legs: SessionLegs,
}

/// What may be done with a frame.
enum Standing {
    Received,
    Draft {
        kind: WebKind,
        action: String,
        state: Option<MessageState>,
    },
    Sent,
}

impl WebMessage {
    pub(super) fn received(shared: &Arc<Shared>, view: &WebView) -> WebMessage {
        WebMessage {
            shared: shared.clone(),
            frame: Arc::new(Mutex::new(Frame {
                standing: Standing::Received,
                control: map_to_script(&view.control),
                header: map_to_script(&view.header),
                payload: map_to_script(&view.payload),
                anchor: false,
                others: false,
                legs: SessionLegs::default(),
            })),
        }
    }

    fn frame(&self) -> MutexGuard<'_, Frame> {
        self.frame.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_control(&self, control: &Map) -> Checked<()> {
        match control.get("message_state") {
            Some(state) => self.set_state(&state.to_string()),
            None => Ok(()),
        }
    }

    fn set_state(&self, word: &str) -> Checked<()> {
        let wanted = match word {
            "initial" => MessageState::Initial,
            "subsequent" => MessageState::Subsequent,
            "final" => MessageState::Final,
            _ => return Err(format!("message_state: {word} is none").into()),
        };
        if let Standing::Draft { state, .. } = &mut self.frame().standing {
            *state = Some(wanted);
        }
        Ok(())
    }

    /// Anchors the frame's offer with a session-config of this name, on the leg that `place` finds.
    fn choose_leg(
        &self,
        name: &str,
        toward_browser: bool,
        place: fn(&mut SessionLegs) -> &mut Option<String>,
    ) -> Checked<()> {
        let chosen = self.shared.session_config(name, toward_browser)?;
        let mut frame = self.frame();
        let Standing::Draft {
            kind: WebKind::Request,
            ..
        } = frame.standing
        else {
            return Err("a session-config is chosen by the request that carries the offer".into());
        };
        frame.anchor = true;
        *place(&mut frame.legs) = chosen;
        Ok(())
    }

    fn send(&self) -> Checked<()> {
        let mut frame = self.frame();
        let (kind, action, state) = match &frame.standing {
            Standing::Draft {
                kind,
                action,
                state,
            } => (*kind, action.clone(), *state),
            Standing::Received => return Err("a received frame can't be sent".into()),
            Standing::Sent => return Err("this frame was sent already".into()),
        };
        let mut header = map_from_script(&frame.header).map_err(|why| format!("header: {why}"))?;
        let payload = map_from_script(&frame.payload).map_err(|why| format!("payload: {why}"))?;
        header.remove("action");
        if written_bytes(&header).saturating_add(written_bytes(&payload)) > FRAME_BYTES_MAX {
            return Err(format!("a frame has at most {FRAME_BYTES_MAX} octets").into());
        }
        let code = header
            .get("response_code")
            .and_then(serde_json::Value::as_i64);
        let state = state.or(match kind {
            WebKind::Request => Some(MessageState::Initial),
            WebKind::Response if code.is_some_and(|code| code < 200) => {
                Some(MessageState::Subsequent)
            }
            WebKind::Response => Some(MessageState::Final),
            WebKind::Message | WebKind::Error => None,
        });
        self.shared.send(Outbound::Web(OutWeb {
            kind,
            action,
            state,
            header,
            payload,
            anchor: frame.anchor,
            others: frame.others && kind == WebKind::Message,
            legs: frame.legs.clone(),
        }))?;
        frame.standing = Standing::Sent;
        Ok(())
    }
}

impl WebFactory {
    fn create(&self, kind: WebKind, action: &str, header: Map) -> Checked<WebMessage> {
        if action.is_empty()
            || action.len() > NAME_BYTES_MAX
            || action.chars().any(char::is_control)
        {
            return Err("action: empty, too long, or with control characters".into());
        }
        let mut header = header;
        if let Some(subsession) = &self.0.run.subsession {
            let parties = [
                ("initiator", &subsession.initiator),
                ("target", &subsession.target),
            ];
            for (key, party) in parties.into_iter().filter(|(_, party)| !party.is_empty()) {
                header.insert(key.into(), party.clone().into());
            }
        }
        Ok(WebMessage {
            shared: self.0.clone(),
            frame: Arc::new(Mutex::new(Frame {
                standing: Standing::Draft {
                    kind,
                    action: action.to_string(),
                    state: None,
                },
                control: Map::new(),
                header,
                payload: Map::new(),
                anchor: false,
                others: false,
                legs: SessionLegs::default(),
            })),
        })
    }

    fn create_error(&self, action: &str, code: INT, reason: &str) -> Checked<WebMessage> {
        if !(300..=699).contains(&code) {
            return Err(format!("error code: {code} is not between 300 and 699").into());
        }
        check::line("reason", reason)?;
        let mut header = Map::new();
        header.insert("error_code".into(), code.into());
        if !reason.is_empty() {
            header.insert("reason".into(), reason.into());
        }
        self.create(WebKind::Error, action, header)
    }
}

pub(super) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<WebFactory>("WebFactory")
        .register_fn(
            "createWebMessage",
            |factory: &mut WebFactory, action: &str| {
                factory.create(WebKind::Message, action, Map::new())
            },
        )
        .register_fn(
            "createWebResponse",
            |factory: &mut WebFactory, action: &str| {
                factory.create(WebKind::Response, action, Map::new())
            },
        )
        .register_fn(
            "createWebRequest",
            |factory: &mut WebFactory, action: &str| {
                factory.create(WebKind::Request, action, Map::new())
            },
        )
        .register_fn(
            "createWebErrorResponse",
            |factory: &mut WebFactory, action: &str, code: INT, reason: &str| {
                factory.create_error(action, code, reason)
            },
        )
        .register_fn(
            "createWebErrorResponse",
            |factory: &mut WebFactory, action: &str, code: INT| {
                factory.create_error(action, code, "")
            },
        );
    engine
        .register_type_with_name::<WebMessage>("WebMessage")
        .register_indexer_get(|_: &mut WebMessage, _: &str| Dynamic::UNIT)
        .register_get("control", |message: &mut WebMessage| {
            message.frame().control.clone()
        })
        .register_get("header", |message: &mut WebMessage| {
            message.frame().header.clone()
        })
        .register_get("payload", |message: &mut WebMessage| {
            message.frame().payload.clone()
        })
        .register_get("anchor", |message: &mut WebMessage| message.frame().anchor)
        .register_set("control", |message: &mut WebMessage, control: Map| {
            message.set_control(&control)
        })
        .register_set("header", |message: &mut WebMessage, header: Map| {
            let mut frame = message.frame();
            if !matches!(frame.standing, Standing::Received) {
                frame.header = header;
            }
        })
        .register_set("payload", |message: &mut WebMessage, payload: Map| {
            let mut frame = message.frame();
            if !matches!(frame.standing, Standing::Received) {
                frame.payload = payload;
            }
        })
        .register_set("anchor", |message: &mut WebMessage, anchor: bool| {
            message.frame().anchor = anchor;
        })
        .register_set("others", |message: &mut WebMessage, others: bool| {
            message.frame().others = others;
        })
        // What goes to the browser came from the network.
        .register_set(
            "inMsrpSessionLeg",
            |message: &mut WebMessage, name: &str| {
                message.choose_leg(name, false, |legs| &mut legs.from)
            },
        )
        .register_set(
            "outMsrpSessionLeg",
            |message: &mut WebMessage, name: &str| {
                message.choose_leg(name, true, |legs| &mut legs.to)
            },
        )
        .register_set("messageState", |message: &mut WebMessage, word: &str| {
            message.set_state(word)
        })
        .register_fn("send", |message: &mut WebMessage| message.send());
}
