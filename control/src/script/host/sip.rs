//! SIP messages: the one received, and those a script makes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Array, Dynamic, Engine, INT, Map};

use super::octets::Octets;
use super::{Checked, Shared, check};
use crate::script::limits::{CONTENT_BYTES_MAX, HEADERS_MAX};
use crate::script::{
    Content, Inbound, OutSipRequest, OutSipResponse, Outbound, SessionLegs, SipView,
};

/// `context.sipFactory`
#[derive(Clone)]
pub(super) struct SipFactory(pub(super) Arc<Shared>);

/// A SIP message. `shared` is there for those that can be sent.
#[derive(Clone)]
pub(crate) struct SipMessage {
    shared: Option<Arc<Shared>>,
    fields: Arc<Mutex<Fields>>,
}

/// All that a script reads or sets; the same for received and made messages.
#[derive(Default)]
struct Fields {
    view: SipView,
    contact_params: Vec<(String, Option<String>)>,
    contact_user: Option<String>,
    anchor: bool,
    legs: SessionLegs,
    outside: bool,
    sent: bool,
}

impl SipMessage {
    pub(crate) fn received(view: &SipView) -> SipMessage {
        SipMessage {
            shared: None,
            fields: Arc::new(Mutex::new(Fields {
                view: view.clone(),
                ..Fields::default()
            })),
        }
    }

    fn draft(shared: &Arc<Shared>, view: SipView) -> SipMessage {
        SipMessage {
            shared: Some(shared.clone()),
            fields: Arc::new(Mutex::new(Fields {
                view,
                ..Fields::default()
            })),
        }
    }

    fn fields(&self) -> MutexGuard<'_, Fields> {
        self.fields.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fields, if the message is one that may still be changed.
    fn change(&self) -> Checked<MutexGuard<'_, Fields>> {
        if self.shared.is_none() {
            return Err("a received message can't be changed".into());
        }
        let fields = self.fields();
        if fields.sent {
            return Err("this message was sent already".into());
        }
        Ok(fields)
    }

    fn header(&self, name: &str) -> Dynamic {
        let fields = self.fields();
        let mut found = fields
            .view
            .headers
            .iter()
            .filter(|(one, _)| one.eq_ignore_ascii_case(name));
        found
            .next()
            .map_or(Dynamic::UNIT, |(_, value)| value.clone().into())
    }

    fn headers(&self, name: &str) -> Array {
        let fields = self.fields();
        let found = fields
            .view
            .headers
            .iter()
            .filter(|(one, _)| one.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone().into()).collect()
    }

    fn add_header(&self, name: &str, value: &str, first: bool, replace: bool) -> Checked<()> {
        check::header_name(name)?;
        check::value(name, value)?;
        let mut fields = self.change()?;
        let headers = &mut fields.view.headers;
        if replace {
            headers.retain(|(one, _)| !one.eq_ignore_ascii_case(name));
        }
        if headers.len() >= HEADERS_MAX {
            return Err(format!("more than {HEADERS_MAX} header fields").into());
        }
        let at = if first { 0 } else { headers.len() };
        headers.insert(at, (name.to_string(), value.to_string()));
        Ok(())
    }

    pub(super) fn set_contact_parameter(&self, name: &str, value: Option<&str>) -> Checked<()> {
        check::name("contact parameter", name)?;
        if let Some(value) = value {
            check::parameter_value(name, value)?;
        }
        let mut fields = self.change()?;
        let params = &mut fields.contact_params;
        params.retain(|(one, _)| !one.eq_ignore_ascii_case(name));
        if params.len() >= HEADERS_MAX {
            return Err(format!("more than {HEADERS_MAX} contact parameters").into());
        }
        params.push((name.to_string(), value.map(str::to_string)));
        Ok(())
    }

    fn set_content(&self, data: &[u8], mime: &str) -> Checked<()> {
        check::mime(mime)?;
        if data.len() > CONTENT_BYTES_MAX {
            return Err(format!("a body has at most {CONTENT_BYTES_MAX} octets").into());
        }
        let mut fields = self.change()?;
        fields.view.content = data.to_vec();
        fields.view.content_type = mime.to_string();
        Ok(())
    }

    /// Anchors the request's offer with a session-config of this name, on the leg that `place` finds.
    fn choose_leg(
        &self,
        name: &str,
        toward_browser: bool,
        place: fn(&mut SessionLegs) -> &mut Option<String>,
    ) -> Checked<()> {
        let mut fields = self.change()?;
        let Some(shared) = self.shared.as_ref().filter(|_| fields.view.is_request) else {
            return Err("a session-config is chosen by the request that carries the offer".into());
        };
        *place(&mut fields.legs) = shared.session_config(name, toward_browser)?;
        fields.anchor = true;
        Ok(())
    }

    fn send(&self) -> Checked<()> {
        let mut fields = self.change()?;
        let Some(shared) = &self.shared else {
            return Ok(());
        };
        let view = &fields.view;
        let content = (!view.content_type.is_empty()).then(|| Content {
            mime: view.content_type.clone(),
            data: view.content.clone(),
        });
        let headers = view.headers.clone();
        let contact_params = fields.contact_params.clone();
        let contact_user = fields.contact_user.clone();
        let (anchor, outside) = (fields.anchor, fields.outside);
        shared.send(if view.is_request {
            Outbound::SipRequest(OutSipRequest {
                method: view.method.clone(),
                from: view.from.clone(),
                to: view.to.clone(),
                request_uri: (!view.request_uri.is_empty()).then(|| view.request_uri.clone()),
                headers,
                contact_params,
                contact_user,
                content,
                anchor,
                legs: fields.legs.clone(),
                outside,
            })
        } else {
            Outbound::SipResponse(OutSipResponse {
                code: view.status,
                reason: view.reason.clone(),
                headers,
                contact_params,
                contact_user,
                content,
                anchor,
            })
        })?;
        fields.sent = true;
        Ok(())
    }
}

impl SipFactory {
    fn request(&self, method: &str, from: &str, to: &str) -> Checked<SipMessage> {
        check::name("method", method)?;
        check::value("from", from)?;
        check::value("to", to)?;
        let view = SipView {
            is_request: true,
            method: method.to_string(),
            from: from.to_string(),
            to: to.to_string(),
            ..SipView::default()
        };
        Ok(SipMessage::draft(&self.0, view))
    }

    /// From the user to the other party of the subsession; without one, to whom the frame names.
    fn request_to_peer(&self, method: &str) -> Checked<SipMessage> {
        let run = &self.0.run;
        let named = match &run.message {
            Inbound::Web(frame) => frame
                .header
                .get("target")
                .and_then(|target| target.as_str()),
            Inbound::Sip(_) | Inbound::Timer => None,
        };
        let peer = match &run.subsession {
            Some(subsession) if subsession.initiator == run.user => subsession.target.as_str(),
            Some(subsession) => subsession.initiator.as_str(),
            None => named.unwrap_or_default(),
        };
        self.request(method, &sip_uri(&run.user), &sip_uri(peer))
    }

    fn response(&self, code: INT, reason: &str) -> Checked<SipMessage> {
        let Some(status) = u16::try_from(code)
            .ok()
            .filter(|code| (101..=699).contains(code))
        else {
            return Err(format!("status: {code} is not between 101 and 699").into());
        };
        check::line("reason", reason)?;
        let method = match &self.0.run.message {
            Inbound::Sip(message) => message.method.clone(),
            Inbound::Web(_) | Inbound::Timer => String::new(),
        };
        let view = SipView {
            status,
            reason: reason.to_string(),
            method,
            ..SipView::default()
        };
        Ok(SipMessage::draft(&self.0, view))
    }
}

/// The bare form `user@domain` as a URI; what has a scheme stays.
fn sip_uri(text: &str) -> String {
    let scheme = text
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let has_scheme = text.contains(':') && ["sip", "sips", "tel", "urn"].contains(&scheme.as_str());
    if text.is_empty() || has_scheme || text.contains('<') {
        return text.to_string();
    }
    format!("sip:{text}")
}

/// `"Bob" <sip:bob@example.com>;tag=1` as `#{ displayName, URI }`. RFC 3261, 20.10.
fn address(text: &str) -> Checked<Map> {
    check::line("address", text)?;
    let (name, uri) = match quoted_prefix(text) {
        Some((name, rest)) => (name, rest),
        None => {
            let at = text.find('<').unwrap_or(0);
            (text[..at].trim().to_string(), &text[at..])
        }
    };
    let uri = uri.trim();
    let uri = match uri.strip_prefix('<') {
        Some(rest) => rest.split('>').next().unwrap_or_default(),
        // Without brackets, parameters are the header's.
        None => uri.split(';').next().unwrap_or_default(),
    };
    let mut map = Map::new();
    map.insert("displayName".into(), name.into());
    map.insert("URI".into(), sip_uri(uri.trim()).into());
    Ok(map)
}

/// A quoted display name without its quotes, and what follows it.
fn quoted_prefix(text: &str) -> Option<(String, &str)> {
    let inner = text.trim_start().strip_prefix('"')?;
    let mut name = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Some((name, &inner[at + 1..])),
            '\\' => name.extend(characters.next().map(|(_, c)| c)),
            c => name.push(c),
        }
    }
    None
}

pub(super) fn register(engine: &mut Engine) {
    register_factory(engine);
    register_reading(engine);
    register_writing(engine);
}

fn register_factory(engine: &mut Engine) {
    engine
        .register_type_with_name::<SipFactory>("SipFactory")
        .register_fn(
            "createSipRequest",
            |factory: &mut SipFactory, method: &str| factory.request_to_peer(method),
        )
        .register_fn(
            "createSipRequest",
            |factory: &mut SipFactory, method: &str, from: &str, to: &str| {
                factory.request(method, from, to)
            },
        )
        .register_fn(
            "createSipResponse",
            |factory: &mut SipFactory, code: INT| factory.response(code, ""),
        )
        .register_fn(
            "createSipResponse",
            |factory: &mut SipFactory, code: INT, reason: &str| factory.response(code, reason),
        )
        .register_fn("createSipAddress", |_: &mut SipFactory, text: &str| {
            address(text)
        })
        .register_fn("parseSipAddress", address)
        .register_fn(
            "createSipUri",
            |_: &mut SipFactory, text: &str| -> Checked<String> {
                check::value("address", text)?;
                Ok(sip_uri(text))
            },
        );
}

fn register_reading(engine: &mut Engine) {
    engine
        .register_type_with_name::<SipMessage>("SipMessage")
        .register_indexer_get(|_: &mut SipMessage, _: &str| Dynamic::UNIT)
        .register_get("method", |message: &mut SipMessage| {
            message.fields().view.method.clone()
        })
        .register_get("isRequest", |message: &mut SipMessage| {
            message.fields().view.is_request
        })
        .register_get("inDialog", |message: &mut SipMessage| {
            message.fields().view.in_dialog
        })
        .register_get("status", |message: &mut SipMessage| {
            INT::from(message.fields().view.status)
        })
        .register_get("reasonPhrase", |message: &mut SipMessage| {
            message.fields().view.reason.clone()
        })
        .register_get("from", |message: &mut SipMessage| {
            message.fields().view.from.clone()
        })
        .register_get("sender", |message: &mut SipMessage| {
            let view = &message.fields().view;
            let known = [&view.sender, &view.from];
            known
                .into_iter()
                .find(|text| !text.is_empty())
                .cloned()
                .unwrap_or_default()
        })
        .register_get("to", |message: &mut SipMessage| {
            message.fields().view.to.clone()
        })
        .register_get("requestURI", |message: &mut SipMessage| {
            message.fields().view.request_uri.clone()
        })
        .register_get("contentType", |message: &mut SipMessage| {
            message.fields().view.content_type.clone()
        })
        // Text if it is UTF-8, else octets.
        .register_get("content", |message: &mut SipMessage| {
            Octets::or_text(message.fields().view.content.clone())
        })
        .register_get("anchor", |message: &mut SipMessage| message.fields().anchor)
        .register_fn("getHeader", |message: &mut SipMessage, name: &str| {
            message.header(name)
        })
        .register_fn("getHeaders", |message: &mut SipMessage, name: &str| {
            message.headers(name)
        })
        .register_fn("toString", |text: &mut rhai::ImmutableString| text.clone());
}

fn register_writing(engine: &mut Engine) {
    engine
        .register_set(
            "requestURI",
            |message: &mut SipMessage, uri: &str| -> Checked<()> {
                check::value("requestURI", uri)?;
                message.change()?.view.request_uri = uri.to_string();
                Ok(())
            },
        )
        .register_set(
            "anchor",
            |message: &mut SipMessage, anchor: bool| -> Checked<()> {
                message.change()?.anchor = anchor;
                Ok(())
            },
        )
        // What goes to the network came from the browser.
        .register_set(
            "inMsrpSessionLeg",
            |message: &mut SipMessage, name: &str| {
                message.choose_leg(name, true, |legs| &mut legs.from)
            },
        )
        .register_set(
            "outMsrpSessionLeg",
            |message: &mut SipMessage, name: &str| {
                message.choose_leg(name, false, |legs| &mut legs.to)
            },
        )
        .register_set(
            "inDialog",
            |message: &mut SipMessage, inside: bool| -> Checked<()> {
                message.change()?.outside = !inside;
                Ok(())
            },
        )
        .register_fn(
            "setHeader",
            |message: &mut SipMessage, name: &str, value: &str| {
                message.add_header(name, value, false, true)
            },
        )
        .register_fn(
            "addHeader",
            |message: &mut SipMessage, name: &str, value: &str| {
                message.add_header(name, value, false, false)
            },
        )
        .register_fn(
            "setContactUser",
            |message: &mut SipMessage, user: &str| -> Checked<()> {
                check::name("contact user", user)?;
                message.change()?.contact_user = Some(user.to_string());
                Ok(())
            },
        )
        .register_fn(
            "setSipContactParameter",
            |message: &mut SipMessage, name: &str, value: &str| {
                message.set_contact_parameter(name, Some(value))
            },
        )
        .register_fn(
            "setSipContactParameter",
            |message: &mut SipMessage, name: &str, (): ()| {
                message.set_contact_parameter(name, None)
            },
        )
        .register_fn(
            "setContent",
            |message: &mut SipMessage, data: Dynamic, mime: &str| {
                message.set_content(&Octets::of(&data)?, mime)
            },
        )
        .register_fn("send", |message: &mut SipMessage| message.send());
    for name in ["addAddressHeader", "addParameterableHeader"] {
        engine.register_fn(
            name,
            |message: &mut SipMessage, name: &str, value: &str, first: bool| {
                message.add_header(name, value, first, false)
            },
        );
    }
}
