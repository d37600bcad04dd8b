//! What control wishes for a leg: how it travels, in which realm, how long it may be silent or away,
//! which of MSRP's choices hold on it, and how a TLS peer proves who it is.

use crate::record::{Decoder, Encoder, Invalid, Transport};

/// Longest name of a realm, in bytes.
pub const REALM_BYTES_MAX: usize = 32;

/// Longest name that a peer's certificate may be asked to cover, in bytes. RFC 1035, 2.3.4.
pub const PEER_NAME_BYTES_MAX: usize = 255;

/// The shape of a leg's specification as the layout hash sees it: change it together with the codec.
pub(crate) const SPEC_SHAPE: &str = "transport,proof2,realm,u32*2,policy:(u32*3,switches4)";

/// The shape of a peer's identity.
pub(crate) const IDENTITY_SHAPE: &str = "identity:(fingerprint?:sha1|sha256,name)";

/// One leg of a session that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegSpec<'a> {
    /// How MSRP travels on it.
    pub transport: Transport,
    /// The realm it lives in, a name of the relay's configuration of at most [`REALM_BYTES_MAX`] bytes.
    /// Empty: the first realm.
    pub realm: &'a str,
    /// A leg nobody has bound so many milliseconds after `Created` expires. [`crate::Command::Rearm`]
    /// counts anew.
    pub bind_ms: u32,
    /// A connection of the leg fails when its peer's kernel has acknowledged nothing for so many
    /// milliseconds (TCP_USER_TIMEOUT, RFC 5482); one that is silent is probed after three times as long.
    /// 0: as the relay sees fit.
    pub user_timeout_ms: u32,
    /// What a TLS peer must prove.
    pub proof: PeerProof,
    /// What may be changed while the leg lives.
    pub policy: LegPolicy,
}

impl<'a> LegSpec<'a> {
    /// A leg of this transport in the first realm, to be bound within `bind_ms`, that ends when it is
    /// lost.
    pub const fn new(transport: Transport, bind_ms: u32) -> LegSpec<'a> {
        LegSpec {
            transport,
            realm: "",
            bind_ms,
            user_timeout_ms: 0,
            proof: PeerProof::WhenTold,
            policy: LegPolicy::PLAIN,
        }
    }

    pub(crate) fn encode(&self, fields: &mut Encoder<'_>) {
        fields.transport(self.transport);
        fields.u8(self.proof as u8);
        fields.text(self.realm.as_bytes(), REALM_BYTES_MAX, "realm");
        fields.u32(self.bind_ms);
        fields.u32(self.user_timeout_ms);
        self.policy.encode(fields);
    }

    pub(crate) fn decode(fields: &mut Decoder<'a>) -> Result<LegSpec<'a>, Invalid> {
        Ok(LegSpec {
            transport: fields.transport()?,
            proof: match fields.u8()? {
                0 => PeerProof::WhenTold,
                1 => PeerProof::Always,
                _ => return Err(Invalid::Value("proof")),
            },
            realm: fields.name(REALM_BYTES_MAX, "realm")?,
            bind_ms: fields.u32()?,
            user_timeout_ms: fields.u32()?,
            policy: LegPolicy::decode(fields)?,
        })
    }
}

/// What holds for a leg and may be changed while it lives. Zero milliseconds switch a timer off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LegPolicy {
    /// While both legs are up: when nothing has been passed on in either direction for so many
    /// milliseconds, the session ends. Pings and SENDs without body, which are between the relay and
    /// one peer, do not count.
    pub idle_ms: u32,
    /// A WebSocket leg that is lost waits so many milliseconds, detached, for its browser to come back.
    pub grace_ms: u32,
    /// A TCP or TLS leg on which nothing has gone either way for so many milliseconds is sent a SEND
    /// without body, so that NATs on its way do not forget it. A WebSocket leg is pinged anyway.
    pub keepalive_ms: u32,
    /// Which of MSRP's choices hold.
    pub switches: Switches,
}

impl LegPolicy {
    /// No timer, no switch.
    pub const PLAIN: LegPolicy = LegPolicy {
        idle_ms: 0,
        grace_ms: 0,
        keepalive_ms: 0,
        switches: Switches::NONE,
    };

    pub(crate) fn encode(&self, fields: &mut Encoder<'_>) {
        fields.u32(self.idle_ms);
        fields.u32(self.grace_ms);
        fields.u32(self.keepalive_ms);
        fields.u16(self.switches.to_bits());
    }

    pub(crate) fn decode(fields: &mut Decoder<'_>) -> Result<LegPolicy, Invalid> {
        Ok(LegPolicy {
            idle_ms: fields.u32()?,
            grace_ms: fields.u32()?,
            keepalive_ms: fields.u32()?,
            switches: Switches::from_bits(fields.u16()?).ok_or(Invalid::Value("switches"))?,
        })
    }
}

/// Where MSRP leaves a choice, the one that is not the default. All are about what comes from the
/// leg's peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Switches {
    /// The relay answers 200 as soon as it has all of a SEND's chunk; what the far side then says
    /// against it comes as a REPORT. RFC 4976, 6.4.1.
    pub local_acknowledgement: bool,
    /// When the far side fails, REPORTs are sent where otherwise a SEND would be answered.
    pub report_only: bool,
    /// A Byte-Range that makes no sense is refused with 400, not passed on.
    pub strict_ranges: bool,
    /// From-Path is held against the peer's path by session-id only, for peers behind a NAT or an ALG
    /// that rewrites their addresses. RFC 4975, 14.1.
    pub session_id_only: bool,
}

impl Switches {
    /// All defaults.
    pub const NONE: Switches = Switches {
        local_acknowledgement: false,
        report_only: false,
        strict_ranges: false,
        session_id_only: false,
    };

    fn to_bits(self) -> u16 {
        let all = [
            self.local_acknowledgement,
            self.report_only,
            self.strict_ranges,
            self.session_id_only,
        ];
        all.into_iter()
            .enumerate()
            .fold(0, |bits, (place, is_on)| bits | u16::from(is_on) << place)
    }

    fn from_bits(bits: u16) -> Option<Switches> {
        let is_on = |place: u32| bits >> place & 1 == 1;
        let switches = Switches {
            local_acknowledgement: is_on(0),
            report_only: is_on(1),
            strict_ranges: is_on(2),
            session_id_only: is_on(3),
        };
        (switches.to_bits() == bits).then_some(switches)
    }
}

/// What is asked of a TLS peer's certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeerProof {
    /// It must have the fingerprint or cover the name that was told, if one was told. A peer that the
    /// relay connects to proves itself always.
    WhenTold,
    /// It must, and where no fingerprint was told its chain must lead to a root that is trusted and it
    /// must cover the host of the peer's leftmost URI. RFC 4975, 5.4.
    Always,
}

/// The hash of a certificate, from a peer's `a=fingerprint`. RFC 8122.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fingerprint {
    /// SHA-1, which old handsets write.
    Sha1([u8; 20]),
    /// SHA-256.
    Sha256([u8; 32]),
}

/// How a TLS peer's certificate is known to be its own. Means nothing on other legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PeerIdentity<'a> {
    /// The certificate's hash.
    pub fingerprint: Option<Fingerprint>,
    /// A name that the certificate must cover, at most [`PEER_NAME_BYTES_MAX`] bytes. Empty: none was
    /// told.
    pub name: &'a str,
}

impl<'a> PeerIdentity<'a> {
    /// Nothing is known.
    pub const UNKNOWN: PeerIdentity<'static> = PeerIdentity {
        fingerprint: None,
        name: "",
    };

    pub(crate) fn encode(&self, fields: &mut Encoder<'_>) {
        match &self.fingerprint {
            None => fields.u8(0),
            Some(Fingerprint::Sha1(hash)) => fields.hash(1, hash),
            Some(Fingerprint::Sha256(hash)) => fields.hash(2, hash),
        }
        fields.text(self.name.as_bytes(), PEER_NAME_BYTES_MAX, "peer's name");
    }

    pub(crate) fn decode(fields: &mut Decoder<'a>) -> Result<PeerIdentity<'a>, Invalid> {
        let fingerprint = match fields.u8()? {
            0 => None,
            1 => Some(Fingerprint::Sha1(fields.array()?)),
            2 => Some(Fingerprint::Sha256(fields.array()?)),
            _ => return Err(Invalid::Value("fingerprint")),
        };
        let name = fields.name(PEER_NAME_BYTES_MAX, "peer's name")?;
        Ok(PeerIdentity { fingerprint, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_is_a_bit_of_its_own_and_no_other_bit_means_anything() {
        for place in 0..16 {
            let bits = 1 << place;
            let switches = Switches::from_bits(bits);
            assert_eq!(switches.map(Switches::to_bits), (place < 4).then_some(bits));
        }
        assert_eq!(Switches::from_bits(0), Some(Switches::NONE));
    }
}
