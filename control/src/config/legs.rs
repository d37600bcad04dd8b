//! `[legs.browser]` and `[legs.handset]`: what the relay is asked for toward either side.

use serde::Deserialize;

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

/// One side of the sessions that the relay is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LegFile {
    /// `transport`: ws, wss, tcp or tls. A session description with another one is refused.
    pub transport: Carrier,
    /// `realm`: the relay's realm that these legs live in. Default: the relay's default realm.
    #[serde(default)]
    pub realm: String,
    /// `grace_s`: a browser whose media connection is lost may come back for so many seconds; until then
    /// the handset's stays up. Default 30; 0 ends the chat at once. Of no effect on tcp and tls.
    #[serde(default = "default_grace_s")]
    pub grace_s: u32,
    /// `proof`: whether a TLS peer whose description has no fingerprint must show a certificate for its
    /// host from an authority that the relay trusts. Default false.
    #[serde(default)]
    pub proof: bool,
}

fn default_grace_s() -> u32 {
    30
}

impl LegFile {
    fn of(transport: Carrier) -> LegFile {
        LegFile {
            transport,
            realm: String::new(),
            grace_s: default_grace_s(),
            proof: false,
        }
    }
}

/// Both sides.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Legs {
    /// `legs.browser`: leg A. Default: ws.
    pub browser: LegFile,
    /// `legs.handset`: leg B. Default: tcp.
    pub handset: LegFile,
}

impl Default for Legs {
    fn default() -> Legs {
        Legs {
            browser: LegFile::of(Carrier::Ws),
            handset: LegFile::of(Carrier::Tcp),
        }
    }
}
