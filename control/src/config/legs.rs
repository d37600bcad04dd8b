//! `[legs.NAME]`: session-configs, what the relay is asked for toward a peer.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// The session-config of legs toward browsers, where a script names no other.
const BROWSER: &str = "browser";

/// The session-config of legs toward handsets, where a script names no other.
const HANDSET: &str = "handset";

/// The longest name of a realm, in bytes, as the relay has it.
const REALM_BYTES_MAX: usize = 32;

/// The longest name of a session-config, in bytes.
const NAME_BYTES_MAX: usize = 32;

/// How MSRP travels on a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// WebSocket in the clear: for tests, or behind a TLS proxy of your own.
    Ws,
    /// WebSocket over TLS.
    Wss,
    /// TCP.
    Tcp,
    /// TLS.
    Tls,
}

impl Carrier {
    /// Whether its peers are browsers.
    pub fn is_websocket(self) -> bool {
        match self {
            Carrier::Ws | Carrier::Wss => true,
            Carrier::Tcp | Carrier::Tls => false,
        }
    }
}

/// A session-config.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegFile {
    /// `transport`: ws, wss, tcp or tls. A session description with another one is refused.
    pub transport: Carrier,
    /// `realm`: the relay's realm that these legs live in, with its addresses and its certificate.
    /// Default: the relay's default realm.
    #[serde(default)]
    pub realm: String,
    /// `grace_s`: a browser whose media connection is lost may come back for so many seconds; until then
    /// the handset's stays up. Default 30; 0 ends the chat at once. ws and wss only.
    pub grace_s: Option<u32>,
    /// `idle_s`: a session in which nothing has been passed on for so many seconds ends. Default 0: never.
    #[serde(default)]
    pub idle_s: u32,
    /// `keepalive_s`: a leg on which nothing has gone for so many seconds is sent a SEND without body, for
    /// NATs that forget. Default 0: never. tcp and tls only; browsers are pinged anyway.
    #[serde(default)]
    pub keepalive_s: u32,
    /// `user_timeout_s`: a connection fails when its peer has acknowledged nothing for so many seconds,
    /// 1 to 600; a silent one is probed after three times as long. Default: as the relay has it, 40.
    #[serde(default)]
    pub user_timeout_s: u32,
    /// `proof`: whether a TLS peer whose description has no fingerprint must show a certificate for its
    /// host from an authority that the relay trusts. Default true. tls only.
    pub proof: Option<bool>,
    /// `local_acknowledgement`: the relay answers SENDs of the leg's peer itself, and reports what the far
    /// side then has against them. Default false: the far endpoint answers.
    #[serde(default)]
    pub local_acknowledgement: bool,
    /// `report_only`: when the far leg fails, the leg's peer is sent reports where otherwise its SENDs
    /// would be answered. Default false.
    #[serde(default)]
    pub report_only: bool,
    /// `strict_ranges`: a Byte-Range that makes no sense is refused. Default false: it is the endpoints'
    /// affair.
    #[serde(default)]
    pub strict_ranges: bool,
    /// `session_id_only`: the leg's peer is known by its session-id alone, for NATs and ALGs that rewrite
    /// addresses. Default false.
    #[serde(default)]
    pub session_id_only: bool,
}

impl LegFile {
    /// One of this transport, all else by default.
    pub fn of(transport: Carrier) -> LegFile {
        LegFile {
            transport,
            realm: String::new(),
            grace_s: None,
            idle_s: 0,
            keepalive_s: 0,
            user_timeout_s: 0,
            proof: None,
            local_acknowledgement: false,
            report_only: false,
            strict_ranges: false,
            session_id_only: false,
        }
    }

    /// How long a lost browser may be away, in seconds.
    pub fn grace_s(&self) -> u32 {
        match self.transport {
            Carrier::Ws | Carrier::Wss => self.grace_s.unwrap_or(30),
            Carrier::Tcp | Carrier::Tls => 0,
        }
    }

    /// What is wrong with it under this name.
    fn mistake(&self, name: &str) -> Option<&'static str> {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_websocket = self.transport.is_websocket();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(known) {
            Some("a name has 1 to 32 letters, digits, `-` and `_`")
        } else if self.realm.len() > REALM_BYTES_MAX {
            Some("realm: no realm of the relay has a name of more than 32 bytes")
        } else if self.grace_s.is_some() && !is_websocket {
            Some("grace_s: only browsers come back: it goes with ws and wss")
        } else if self.keepalive_s > 0 && is_websocket {
            Some("keepalive_s: browsers are pinged anyway: it goes with tcp and tls")
        } else if self.proof.is_some() && self.transport != Carrier::Tls {
            Some("proof: it goes with tls")
        } else if self.user_timeout_s > 600 {
            Some("user_timeout_s: at most 600")
        } else if name == BROWSER && !is_websocket {
            Some("a browser comes by ws or wss")
        } else if name == HANDSET && is_websocket {
            Some(
                "a handset comes by tcp or tls; give a session-config of another kind another name",
            )
        } else {
            None
        }
    }
}

/// What was understood, in one line.
impl fmt::Display for LegFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let realm = match self.realm.as_str() {
            "" => "default",
            named => named,
        };
        let transport = format!("{:?}", self.transport).to_lowercase();
        write!(f, "{transport} in realm {realm}")?;
        for (seconds, what) in [
            (self.grace_s(), "grace"),
            (self.idle_s, "idle"),
            (self.keepalive_s, "keep-alive"),
            (self.user_timeout_s, "user timeout"),
        ] {
            if seconds > 0 {
                write!(f, ", {what} {seconds} s")?;
            }
        }
        for (is_on, what) in [
            (self.proof == Some(false), "no proof asked"),
            (self.local_acknowledgement, "local acknowledgement"),
            (self.report_only, "reports only"),
            (self.strict_ranges, "strict ranges"),
            (self.session_id_only, "session-id only"),
        ] {
            if is_on {
                write!(f, ", {what}")?;
            }
        }
        Ok(())
    }
}

/// The session-configs of a configuration that says nothing of them: browsers by TLS.
fn usual() -> BTreeMap<String, LegFile> {
    with_browsers_by(Carrier::Wss)
}

/// Those of a machine without a certificate, for trying things out.
pub fn in_the_clear() -> BTreeMap<String, LegFile> {
    with_browsers_by(Carrier::Ws)
}

fn with_browsers_by(carrier: Carrier) -> BTreeMap<String, LegFile> {
    [(BROWSER, carrier), (HANDSET, Carrier::Tcp)]
        .map(|(name, carrier)| (name.to_owned(), LegFile::of(carrier)))
        .into()
}

/// All session-configs by name; the two that are meant where none is named are always among them.
///
/// # Errors
/// Of which one, and what is wrong with it.
pub fn checked(
    written: BTreeMap<String, LegFile>,
) -> Result<BTreeMap<String, LegFile>, (String, &'static str)> {
    let mut legs = usual();
    legs.extend(written);
    for (name, leg) in &legs {
        if let Some(what) = leg.mistake(name) {
            return Err((name.clone(), what));
        }
    }
    Ok(legs)
}
