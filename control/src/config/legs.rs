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
    /// `grace_s`: the relay keeps the leg of a browser that is lost for so many seconds. Default 0:
    /// browsers are not yet told of the new way in by which they could come back.
    #[serde(default)]
    pub grace_s: u32,
    /// `proof`: whether a TLS peer whose description has no fingerprint must show a certificate for its
    /// host from an authority that the relay trusts. Default false.
    #[serde(default)]
    pub proof: bool,
}

impl LegFile {
    fn of(transport: Carrier) -> LegFile {
        LegFile {
            transport,
            realm: String::new(),
            grace_s: 0,
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
