//! The registrar of our own domain. RFC 3261, 10.3. Pure.
//!
//! Not here: who may register (`authority`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::api::{Flow, Millis};
use super::compose::sip_uri_of;
use super::message::Message;
use super::session_timer::lists;
use super::settings::{Limits, Timing};
use super::tables::{Target, reach};
use super::uri::{SipUri, Uri};

/// Proxies between a handset and us, at most.
const PATH_MAX: usize = 8;

/// Where a user can be reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Binding {
    /// The Contact's URI.
    pub contact: String,
    /// The Contact's parameters but `expires`, as text.
    params: String,
    expires: Millis,
    call_id: String,
    cseq: u32,
    /// Where the REGISTER came from.
    pub source: Option<Flow>,
    /// The proxies on the way to the contact, the nearest to us first: values of Route. RFC 3327.
    #[serde(default)]
    pub path: Vec<String>,
    /// Orders bindings by age.
    order: u64,
}

impl Binding {
    /// The contact as a URI.
    pub fn uri(&self) -> Option<SipUri> {
        Uri::parse(&self.contact)
            .ok()
            .and_then(|uri| uri.as_sip().cloned())
    }

    /// Where a request for the contact goes first.
    pub fn target(&self) -> Option<Target> {
        let first = match self.path.first() {
            Some(proxy) => sip_uri_of(proxy)?,
            None => self.uri()?,
        };
        reach(&first, self.source)
    }
}

/// What a REGISTER comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// 200 with these headers.
    Registered(Vec<(String, String)>),
    /// Another status, with its phrase and a header.
    Refused(u16, Option<&'static str>, Option<(String, String)>),
}

/// All bindings. A user stays known after the last one has gone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Registrar {
    users: BTreeMap<String, Vec<Binding>>,
    order: u64,
    /// Whose bindings have changed since somebody asked.
    #[serde(skip)]
    changed: BTreeSet<String>,
}

/// One Contact of a REGISTER.
struct Wanted {
    contact: Address,
    uri: SipUri,
    expires_s: u32,
}

impl Registrar {
    /// Bindings of a user, newest last; `None` if it never registered.
    pub fn bindings(&self, user: &str) -> Option<&[Binding]> {
        self.users.get(user).map(Vec::as_slice)
    }

    /// The binding that was made or refreshed last.
    pub fn newest(&self, user: &str) -> Option<&Binding> {
        self.bindings(user)?
            .iter()
            .max_by_key(|binding| binding.order)
    }

    /// The binding of this contact.
    pub fn of_contact(&self, user: &str, contact: &SipUri) -> Option<&Binding> {
        let same = |binding: &&Binding| binding.uri().is_some_and(|uri| uri.is_same(contact));
        self.bindings(user)?.iter().find(same)
    }

    /// How many bindings there are.
    pub fn len(&self) -> usize {
        self.users.values().map(Vec::len).sum()
    }

    /// When the user's first binding expires.
    pub fn deadline(&self, user: &str) -> Option<Millis> {
        self.bindings(user)?
            .iter()
            .map(|binding| binding.expires)
            .min()
    }

    /// Whose bindings have changed since this was last asked.
    pub fn take_changed(&mut self) -> Vec<String> {
        std::mem::take(&mut self.changed).into_iter().collect()
    }

    /// Everybody who has registered.
    pub fn users(&self) -> Vec<String> {
        self.users.keys().cloned().collect()
    }

    /// Takes bindings of an earlier process back.
    pub fn restore(&mut self, user: &str, bindings: Vec<Binding>) {
        let newest = bindings.iter().map(|binding| binding.order).max();
        self.order = self.order.max(newest.unwrap_or(0));
        self.users.insert(user.to_owned(), bindings);
    }

    /// Takes out what has expired.
    pub fn expire(&mut self, user: &str, now: Millis) {
        if let Some(bindings) = self.users.get_mut(user) {
            bindings.retain(|binding| binding.expires > now);
        }
    }

    /// A connection is gone: its users are reached by their contacts' addresses, if at all.
    pub fn flow_lost(&mut self, lost: Flow) {
        for binding in self.users.values_mut().flatten() {
            if binding.source == Some(lost) {
                binding.source = None;
            }
        }
    }

    /// Carries out a REGISTER for `user`; all of it or nothing.
    pub fn register(
        &mut self,
        user: &str,
        request: &Message,
        cseq: u32,
        source: Flow,
        rules: (&Limits, &Timing),
        now: Millis,
    ) -> Outcome {
        let (limits, timing) = rules;
        self.changed.insert(user.to_owned());
        self.expire(user, now);
        let known = self.users.contains_key(user);
        if !known && self.users.len() >= limits.users && !self.forget_one() {
            return refused(503);
        }
        let mut bindings = self.users.get(user).cloned().unwrap_or_default();
        let call_id = request.call_id();
        let is_stale = |b: &Binding| b.call_id == call_id && cseq <= b.cseq;
        if request.header_values("Contact").any(|value| value == "*") {
            let all = request.header_values("Contact").count() == 1
                && request.header("Expires").and_then(read_seconds) == Some(0);
            if !all {
                return Outcome::Refused(
                    400,
                    Some("* needs to stand alone, with Expires: 0"),
                    None,
                );
            }
            if bindings.iter().any(is_stale) {
                return Outcome::Refused(500, Some("CSeq is out of order"), None);
            }
            bindings.clear();
        }
        let path: Vec<String> = request.header_values("Path").map(str::to_owned).collect();
        if path.len() > PATH_MAX || path.iter().any(|proxy| sip_uri_of(proxy).is_none()) {
            return Outcome::Refused(400, Some("Path"), None);
        }
        let wanted = match wanted(request, timing) {
            Ok(wanted) => wanted,
            Err(refusal) => return refusal,
        };
        for Wanted {
            contact,
            uri,
            expires_s,
        } in wanted
        {
            let same = |b: &Binding| b.uri().is_some_and(|known| known.is_same(&uri));
            let found = bindings.iter().position(same);
            if found.is_some_and(|at| is_stale(&bindings[at])) {
                return Outcome::Refused(500, Some("CSeq is out of order"), None);
            }
            if let Some(at) = found {
                bindings.remove(at);
            }
            if expires_s == 0 {
                continue;
            }
            if bindings.len() >= limits.bindings_per_user {
                return Outcome::Refused(503, Some("too many contacts"), None);
            }
            self.order += 1;
            let mut params = contact.params;
            params.remove("expires");
            bindings.push(Binding {
                contact: uri.to_string(),
                params: params.to_string(),
                expires: now + Millis::from(expires_s) * 1000,
                call_id: call_id.to_owned(),
                cseq,
                source: Some(source),
                path: path.clone(),
                order: self.order,
            });
        }
        let mut answer = contacts(&bindings, now);
        if lists(request, "Supported", "path") {
            answer.extend(path.into_iter().map(|proxy| ("Path".to_owned(), proxy)));
        }
        if known || !bindings.is_empty() {
            self.users.insert(user.to_owned(), bindings);
        }
        Outcome::Registered(answer)
    }

    /// Makes room by forgetting one user without bindings.
    fn forget_one(&mut self) -> bool {
        let idle = self.users.iter().find(|(_, bindings)| bindings.is_empty());
        match idle.map(|(user, _)| user.clone()) {
            Some(user) => self.users.remove(&user).is_some(),
            None => false,
        }
    }
}

/// The Contacts of a REGISTER, `*` left out, with how long each is to stay.
fn wanted(request: &Message, timing: &Timing) -> Result<Vec<Wanted>, Outcome> {
    let of_header = request.header("Expires").and_then(read_seconds);
    let mut wanted = Vec::new();
    for value in request
        .header_values("Contact")
        .filter(|value| *value != "*")
    {
        let contact =
            Address::parse(value).map_err(|what| Outcome::Refused(400, Some(what), None))?;
        // A contact that is no SIP URI is legal (RFC 3261, 10.2.1), but we could not reach it.
        let uri = contact.uri.as_sip().cloned().ok_or_else(|| refused(416))?;
        let of_contact = contact.params.value("expires").and_then(read_seconds);
        let asked = of_contact.or(of_header).unwrap_or(timing.expires_s_default);
        if asked != 0 && asked < timing.expires_s_min {
            let least = ("Min-Expires".to_owned(), timing.expires_s_min.to_string());
            return Err(Outcome::Refused(423, None, Some(least)));
        }
        wanted.push(Wanted {
            contact,
            uri,
            expires_s: asked.min(timing.expires_s_max),
        });
    }
    Ok(wanted)
}

/// Seconds; a malformed text counts as absent (RFC 3261, 20.19), too large a one as the largest.
fn read_seconds(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

/// The Contact lines of a 200, and Expires for the sake of clients that look only there.
fn contacts(bindings: &[Binding], now: Millis) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    let left_s = |b: &Binding| b.expires.saturating_sub(now).div_ceil(1000);
    for binding in bindings {
        let Binding {
            contact, params, ..
        } = binding;
        let value = format!("<{contact}>{params};expires={}", left_s(binding));
        headers.push(("Contact".to_owned(), value));
    }
    if let Some(longest) = bindings.iter().map(left_s).max() {
        headers.push(("Expires".to_owned(), longest.to_string()));
    }
    headers
}

fn refused(code: u16) -> Outcome {
    Outcome::Refused(code, None, None)
}

#[cfg(test)]
mod tests {
    use super::super::api::SipTransport;
    use super::super::message::StartLine;
    use super::super::method::Method;
    use super::*;

    const NOW: Millis = 1_000_000;

    fn register(registrar: &mut Registrar, cseq: u32, headers: &[(&str, &str)]) -> Outcome {
        let uri = "sip:localhost".to_owned();
        let start = StartLine::Request {
            method: Method::Register,
            uri,
        };
        let mut request = Message {
            start,
            headers: Vec::new(),
            body: Vec::new(),
        };
        request.push("Call-ID", "c1");
        for (name, value) in headers {
            request.push(name, *value);
        }
        let peer = "10.0.0.2:5060".parse().unwrap();
        let source = Flow {
            transport: SipTransport::Udp,
            peer,
            connection: None,
        };
        let limits = Limits {
            users: 2,
            bindings_per_user: 2,
            ..Limits::default()
        };
        registrar.register(
            "bob",
            &request,
            cseq,
            source,
            (&limits, &Timing::default()),
            NOW,
        )
    }

    fn code(outcome: &Outcome) -> u16 {
        match outcome {
            Outcome::Registered(_) => 200,
            Outcome::Refused(code, ..) => *code,
        }
    }

    #[test]
    fn several_contacts_are_listed_refreshed_and_removed() {
        let mut registrar = Registrar::default();
        let two = "<sip:bob@10.0.0.2>;expires=100;+g.oma.sip-im, <sip:bob@10.0.0.3>";
        let answer = register(
            &mut registrar,
            1,
            &[("Contact", two), ("Expires", "9999999999")],
        );
        let Outcome::Registered(headers) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(headers[0].1, "<sip:bob@10.0.0.2>;+g.oma.sip-im;expires=100");
        assert_eq!(headers[1].1, "<sip:bob@10.0.0.3>;expires=7200");
        assert_eq!(registrar.newest("bob").unwrap().contact, "sip:bob@10.0.0.3");
        register(
            &mut registrar,
            2,
            &[("Contact", "<sip:bob@10.0.0.2>;q=0.1")],
        );
        assert_eq!(registrar.newest("bob").unwrap().contact, "sip:bob@10.0.0.2");
        let gone = [("Contact", "<sip:bob@10.0.0.2>"), ("Expires", "0")];
        assert_eq!(code(&register(&mut registrar, 3, &gone)), 200);
        assert_eq!(registrar.len(), 1);
        assert_eq!(code(&register(&mut registrar, 4, &[])), 200);
        assert_eq!(
            code(&register(
                &mut registrar,
                5,
                &[("Contact", "*"), ("Expires", "0")]
            )),
            200
        );
        assert_eq!(registrar.bindings("bob").map(<[_]>::len), Some(0));
        assert!(registrar.bindings("carol").is_none());
    }

    #[test]
    fn what_cannot_be_done_is_refused_and_nothing_changes() {
        let mut registrar = Registrar::default();
        register(&mut registrar, 5, &[("Contact", "<sip:bob@10.0.0.2>")]);
        for (cseq, headers, expected) in [
            (6, &[("Contact", "<sip:bob@10.0.0.3>;expires=5")][..], 423),
            (6, &[("Contact", "*")], 400),
            (6, &[("Contact", "*"), ("Expires", "1")], 400),
            (6, &[("Contact", "*, <sip:a@b>"), ("Expires", "0")], 400),
            (6, &[("Contact", "sip:bob@b?x=y")], 400),
            (6, &[("Contact", "<tel:1>")], 416),
            (5, &[("Contact", "<sip:bob@10.0.0.2>;expires=0")], 500),
            (4, &[("Contact", "*"), ("Expires", "0")], 500),
            (6, &[("Contact", "<sip:a@b>, <sip:c@d>")], 503),
        ] {
            assert_eq!(
                code(&register(&mut registrar, cseq, headers)),
                expected,
                "{headers:?}"
            );
            assert_eq!(registrar.len(), 1);
        }
    }

    #[test]
    fn rfc3327_5_3_proxies_on_the_way_are_kept_and_told_to_who_knows_the_word() {
        let mut registrar = Registrar::default();
        let contact = ("Contact", "<sip:bob@10.0.0.2>");
        let path = ("Path", "<sip:edge@10.0.0.9:5070;lr>, <sip:10.0.0.8;lr>");
        let answer = register(
            &mut registrar,
            1,
            &[contact, path, ("Supported", "gruu, path")],
        );
        let Outcome::Registered(headers) = answer else {
            panic!("{answer:?}");
        };
        let told: Vec<&str> = headers
            .iter()
            .filter(|(name, _)| name == "Path")
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(told, ["<sip:edge@10.0.0.9:5070;lr>", "<sip:10.0.0.8;lr>"]);
        let bob = registrar.newest("bob").unwrap();
        assert_eq!(
            (bob.path.len(), bob.contact.as_str()),
            (2, "sip:bob@10.0.0.2")
        );
        // Who does not know the word is not told, and the next registration may come another way.
        let Outcome::Registered(headers) = register(&mut registrar, 2, &[contact]) else {
            panic!("refused");
        };
        assert!(headers.iter().all(|(name, _)| name != "Path"));
        assert!(registrar.newest("bob").unwrap().path.is_empty());
        for wrong in [
            "<tel:1>".to_owned(),
            ["<sip:10.0.0.9;lr>"; PATH_MAX + 1].join(", "),
        ] {
            assert_eq!(
                code(&register(&mut registrar, 3, &[contact, ("Path", &wrong)])),
                400
            );
        }
    }

    #[test]
    fn bindings_expire_and_their_user_stays_known() {
        let mut registrar = Registrar::default();
        register(
            &mut registrar,
            1,
            &[("Contact", "<sip:bob@10.0.0.2>;expires=60")],
        );
        assert_eq!(registrar.deadline("bob"), Some(NOW + 60_000));
        registrar.expire("bob", NOW + 59_999);
        assert_eq!(registrar.len(), 1);
        registrar.expire("bob", NOW + 60_000);
        assert_eq!((registrar.len(), registrar.deadline("bob")), (0, None));
        assert!(registrar.bindings("bob").is_some() && registrar.newest("bob").is_none());
    }
}
