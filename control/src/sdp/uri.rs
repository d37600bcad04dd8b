//! One MSRP URI of a path, checked, and in the form in which it is passed on.

use std::fmt;

use wire::msrp::uri::Uri;

use super::Transport;

/// A checked MSRP URI. What it prints was written from the parsed form, never pasted from a peer.
#[derive(Clone, PartialEq, Eq)]
pub struct MsrpUri {
    text: String,
    host: String,
    port: Option<u16>,
    transport: Transport,
}

impl MsrpUri {
    /// Parses one URI with nothing around it; `None` if it is none, or of a transport we don't know.
    pub fn parse(text: &str) -> Option<MsrpUri> {
        let uri = Uri::parse(text.as_bytes()).ok()?;
        let transport = match (uri.is_websocket(), uri.is_secure()) {
            (true, true) => Transport::Wss,
            (true, false) => Transport::Ws,
            (false, secure) if uri.transport.eq_ignore_ascii_case(b"tcp") => {
                if secure {
                    Transport::Tls
                } else {
                    Transport::Tcp
                }
            }
            (false, _) => return None,
        };
        let host = str::from_utf8(uri.host).ok()?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some(MsrpUri {
            text: uri.to_string(),
            host: host.to_string(),
            port: uri.port.filter(|port| *port > 0),
            transport,
        })
    }

    /// Name, IPv4 or IPv6 address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, if the URI names one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// What carries it.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The whole URI. Its session-id is a secret: not for logs.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Without the session-id.
impl fmt::Debug for MsrpUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port, transport) = (&self.host, self.port, self.transport);
        write!(f, "MsrpUri({host} {port:?} {transport:?})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_and_transport_say_what_carries_it() {
        for (text, transport) in [
            ("msrp://h:1/s;ws", Transport::Ws),
            ("msrps://h:1/s;ws", Transport::Wss),
            ("msrps://h:1/s;wss", Transport::Wss),
            ("msrp://h:1/s;wss", Transport::Wss),
            ("msrp://h:1/s;tcp", Transport::Tcp),
            ("MSRPS://h:1/s;TCP", Transport::Tls),
        ] {
            assert_eq!(
                MsrpUri::parse(text).map(|uri| uri.transport),
                Some(transport),
                "{text}"
            );
        }
        assert_eq!(MsrpUri::parse("msrp://h:1/s;sctp"), None);
    }

    #[test]
    fn an_ipv6_host_loses_its_brackets_and_the_text_keeps_them() {
        let uri = MsrpUri::parse("msrp://[2001:db8::1]:2855/s;tcp").unwrap();
        assert_eq!((uri.host(), uri.port()), ("2001:db8::1", Some(2855)));
        assert_eq!(uri.as_str(), "msrp://[2001:db8::1]:2855/s;tcp");
    }

    #[test]
    fn the_session_id_is_not_shown_in_logs() {
        let uri = MsrpUri::parse("msrp://h:1/secret;tcp").unwrap();
        assert!(!format!("{uri:?}").contains("secret"));
    }

    #[test]
    fn what_could_smuggle_a_line_is_no_uri() {
        for text in [
            "msrp://h:1/s;tcp\r\na=x",
            "msrp://h:1/s;tcp ",
            "msrp://h:1/s x;tcp",
            "",
        ] {
            assert_eq!(MsrpUri::parse(text), None, "{text:?}");
        }
    }
}
