//! The value of Via. RFC 3261, 20.42; RFC 3581.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::api::{Flow, SipTransport};
use super::text::{Params, Scan};
use super::uri::{Host, parse_port};

/// What a branch begins with when its maker follows RFC 3261.
pub(super) const COOKIE: &str = "z9hG4bK";

/// One Via.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Via {
    /// `UDP`, `TCP`, …
    pub transport: String,
    /// Who sent it, by its own account.
    pub host: Host,
    /// `None`: 5060, or 5061 with TLS.
    pub port: Option<u16>,
    /// branch, received, rport, …
    pub params: Params,
}

impl Via {
    /// Reads one Via; `Err` says what is wrong.
    pub fn parse(text: &str) -> Result<Via, &'static str> {
        let wrong = "a Via is malformed";
        let mut scan = Scan::new(text.trim());
        let name = scan.token().ok_or(wrong)?;
        if !scan.separator('/') {
            return Err(wrong);
        }
        let version = scan.token().ok_or(wrong)?;
        if !scan.separator('/') || !name.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return Err("a Via of another protocol");
        }
        let transport = scan.token().ok_or(wrong)?.to_owned();
        let before = scan.rest();
        scan.space();
        if scan.rest() == before {
            return Err(wrong);
        }
        let host = if scan.rest().starts_with('[') {
            scan.take_while(|c| c.is_ascii_hexdigit() || "[:].".contains(c))
        } else {
            scan.take_while(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        };
        // `[::1]:5060` was taken whole, port and all.
        let (host, mut port) = match host.rsplit_once("]:") {
            Some((_, digits)) => (
                &host[..host.len() - digits.len() - 1],
                Some(parse_port(digits)?),
            ),
            None => (host, None),
        };
        let host = Host::parse(host)?;
        if port.is_none() && scan.separator(':') {
            port = Some(parse_port(scan.take_while(|c| c.is_ascii_digit()))?);
        }
        let params = scan.params().ok_or("a Via's parameters are malformed")?;
        Ok(Via {
            transport,
            host,
            port,
            params,
        })
    }

    /// The branch, if it is one that is unique by itself.
    pub fn branch(&self) -> Option<&str> {
        let branch = self.params.value("branch")?;
        let cookie = branch.get(..COOKIE.len())?;
        (cookie.eq_ignore_ascii_case(COOKIE) && branch.len() > COOKIE.len()).then_some(branch)
    }

    /// Notes where the message really came from. RFC 3261, 18.2.1; RFC 3581, 4.
    pub fn note_source(&mut self, source: SocketAddr) {
        let wants_port = self.params.value("rport").is_some();
        if wants_port {
            self.params.set("rport", Some(&source.port().to_string()));
        }
        if wants_port || self.host != Host::Address(source.ip()) {
            self.params.set("received", Some(&source.ip().to_string()));
        } else {
            self.params.remove("received");
        }
    }

    /// Where to answer a message that came by `flow`. RFC 3261, 18.2.2.
    pub fn reply_flow(&self, flow: Flow) -> Flow {
        match flow.transport {
            SipTransport::Tcp | SipTransport::Tls => flow,
            SipTransport::Udp if self.params.value("rport").is_some() => flow,
            SipTransport::Udp => Flow {
                peer: self.sent_from(flow.peer.ip()),
                ..flow
            },
        }
    }

    /// Where its sender listens, given the address it was seen from.
    pub fn sent_from(&self, seen: IpAddr) -> SocketAddr {
        SocketAddr::new(seen, self.port_or_usual())
    }

    /// The port its sender listens at. RFC 3261, 18.2.2.
    pub fn port_or_usual(&self) -> u16 {
        let secure = self.transport.eq_ignore_ascii_case("TLS");
        self.port.unwrap_or(if secure { 5061 } else { 5060 })
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vias_are_read_whatever_their_white_space() {
        for (text, printed) in [
            (
                "SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKx",
                "SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKx",
            ),
            (
                "SIP  / 2.0\t/ TCP     spindle.example.com   : 5061 ;\tbranch  =   z9hG4bK9ikj8",
                "SIP/2.0/TCP spindle.example.com:5061;branch=z9hG4bK9ikj8",
            ),
            (
                "SIP/2.0/UDP [2001:db8::1]:5070;received=::1",
                "SIP/2.0/UDP [2001:db8::1]:5070;received=::1",
            ),
            ("SIP/2.0/UDP [2001:db8::1]", "SIP/2.0/UDP [2001:db8::1]"),
        ] {
            assert_eq!(Via::parse(text).unwrap().to_string(), printed);
        }
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDPhost",
            "SIP/3.0/UDP h",
            "SIP/2.0/UDP h:x",
            "SIP/2.0/UDP h;;",
        ] {
            assert!(Via::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rfc3581_answers_go_to_the_port_they_came_from() {
        let peer = "192.0.2.1:4040".parse().unwrap();
        let flow = Flow {
            transport: SipTransport::Udp,
            peer,
            connection: None,
        };
        let mut via = Via::parse("SIP/2.0/UDP 10.0.0.1:5070;rport;branch=z9hG4bKx").unwrap();
        via.note_source(peer);
        assert_eq!(
            via.to_string(),
            "SIP/2.0/UDP 10.0.0.1:5070;rport=4040;branch=z9hG4bKx;received=192.0.2.1"
        );
        assert_eq!(via.reply_flow(flow).peer, peer);
        let mut via = Via::parse("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKx").unwrap();
        via.note_source(peer);
        assert_eq!(via.reply_flow(flow).peer, "192.0.2.1:5070".parse().unwrap());
    }
}
