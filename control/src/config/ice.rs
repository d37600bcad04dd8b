//! `[ice]`: the STUN and TURN servers that browsers are told.

use serde::Deserialize;

/// Servers at most; browsers warn of more than a few.
const SERVERS_MAX: usize = 16;

/// STUN and TURN servers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ice {
    /// `ice.ttl_s`: a TURN user that is made of a shared secret is good for so many seconds. Default 3600.
    pub ttl_s: u32,
    /// `ice.servers`. Default none: a page brings its own.
    pub servers: Vec<IceServer>,
}

impl Default for Ice {
    fn default() -> Ice {
        Ice {
            ttl_s: 3600,
            servers: Vec::new(),
        }
    }
}

/// One of `[[ice.servers]]`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IceServer {
    /// `urls`: where it is, such as `turns:turn.example.com:5349?transport=tcp` (RFC 7064, RFC 7065).
    pub urls: Vec<String>,
    /// `username`, the same for everybody.
    pub username: Option<String>,
    /// `credential`, the same for everybody.
    pub credential: Option<String>,
    /// `secret`: shared with a TURN server that takes users of limited time.
    pub secret: Option<String>,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IceServer({})", self.urls.join(" "))
    }
}

impl Ice {
    /// What is wrong with it.
    pub(super) fn mistake(&self) -> Option<&'static str> {
        if self.servers.len() > SERVERS_MAX {
            return Some("ice.servers: at most 16");
        }
        if self.ttl_s < 60 {
            return Some("ice.ttl_s: at least 60: a call is set up with it");
        }
        self.servers.iter().find_map(IceServer::mistake)
    }
}

impl IceServer {
    fn mistake(&self) -> Option<&'static str> {
        let begins = |url: &str, schemes: &[&str]| {
            let scheme = url.split_once(':').filter(|(_, rest)| !rest.is_empty());
            scheme.is_some_and(|(scheme, _)| schemes.contains(&scheme))
        };
        let is_known = |url: &String| begins(url, &["stun", "stuns", "turn", "turns"]);
        let is_turn = |url: &String| begins(url, &["turn", "turns"]);
        let is_fixed = self.username.is_some() && self.credential.is_some();
        if self.urls.is_empty() || !self.urls.iter().all(is_known) {
            Some(
                "ice.servers: urls are `stun:`, `stuns:`, `turn:` or `turns:` and a host, one at least",
            )
        } else if self.username.is_some() != self.credential.is_some() {
            Some("ice.servers: username and credential go together")
        } else if is_fixed && self.secret.is_some() {
            Some("ice.servers: either username and credential, or a secret")
        } else if self.urls.iter().any(is_turn) && !is_fixed && self.secret.is_none() {
            Some("ice.servers: a TURN server wants username and credential, or a secret")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_urls_and_a_turn_server_a_way_to_log_in() {
        let read = |text: &str| toml::from_str::<Ice>(text).map_err(|error| error.to_string());
        let fine = "ttl_s = 600\n[[servers]]\nurls = [\"stun:a\", \"stuns:b:5349\"]\n\
             [[servers]]\nurls = [\"turn:a\"]\nsecret = \"s\"\n\
             [[servers]]\nurls = [\"turns:a?transport=tcp\"]\nusername = \"u\"\ncredential = \"c\"\n";
        assert_eq!(read(fine).unwrap().mistake(), None);
        assert_eq!(Ice::default().mistake(), None);
        for (wrong, told) in [
            ("ttl_s = 59", "at least 60"),
            ("[[servers]]\nurls = []", "one at least"),
            ("[[servers]]\nurls = [\"http://a\"]", "one at least"),
            (
                "[[servers]]\nurls = [\"turn:\"]\nsecret = \"s\"",
                "one at least",
            ),
            ("[[servers]]\nurls = [\"turn:a\"]", "wants"),
            (
                "[[servers]]\nurls = [\"stun:a\"]\nusername = \"u\"",
                "together",
            ),
            (
                "[[servers]]\nurls = [\"turn:a\"]\nusername = \"u\"\ncredential = \"c\"\nsecret = \"s\"",
                "either",
            ),
        ] {
            let mistake = read(wrong).unwrap().mistake();
            assert!(
                mistake.is_some_and(|what| what.contains(told)),
                "{wrong}: {mistake:?}"
            );
        }
        let many = "[[servers]]\nurls = [\"stun:a\"]\n".repeat(17);
        assert!(
            read(&many)
                .unwrap()
                .mistake()
                .is_some_and(|what| what.contains("16"))
        );
    }
}
