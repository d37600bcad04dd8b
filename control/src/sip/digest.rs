//! Digest authentication as a client: challenges are read, answers computed. RFC 7616; RFC 8760; RFC 3261, 22.
//!
//! MD5, SHA-256 and SHA-512-256, each with `-sess`; `qop` is `auth`, or `auth-int` where nothing else is asked
//! for, or absent (RFC 2069's way, which old registrars still ask for).
//! Not here: which credentials are for whom (`account`), and when to ask again (`challenged`).

use std::fmt;

use md5::Md5;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256, Sha512_256};

use super::message::Message;
use super::text::{Scan, quote, unquote};

/// A hash, and whether the session's variant of it is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Algorithm {
    /// Which hash.
    pub hash: Hash,
    /// `-sess`: nonce and cnonce are hashed into the secret.
    pub session: bool,
}

/// What digests are made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hash {
    /// RFC 1321; what is meant where a challenge names none.
    Md5,
    /// RFC 8760.
    Sha256,
    /// RFC 8760.
    Sha512Trunc256,
}

const ALGORITHMS: [(&str, Hash); 3] = [
    ("MD5", Hash::Md5),
    ("SHA-256", Hash::Sha256),
    ("SHA-512-256", Hash::Sha512Trunc256),
];

impl Algorithm {
    /// Plain MD5.
    pub const MD5: Algorithm = Algorithm {
        hash: Hash::Md5,
        session: false,
    };

    /// The algorithm of this name, in any case; `None`: it is not one of ours.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        let upper = name.to_ascii_uppercase();
        let (plain, session) = match upper.strip_suffix("-SESS") {
            Some(plain) => (plain, true),
            None => (upper.as_str(), false),
        };
        let (_, hash) = ALGORITHMS.iter().find(|(known, _)| *known == plain)?;
        Some(Algorithm {
            hash: *hash,
            session,
        })
    }

    /// The hash of a text, in lower-case hexadecimal digits.
    fn of(self, text: impl AsRef<[u8]>) -> String {
        match self.hash {
            Hash::Md5 => hex(&Md5::digest(text)),
            Hash::Sha256 => hex(&Sha256::digest(text)),
            Hash::Sha512Trunc256 => hex(&Sha512_256::digest(text)),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = ALGORITHMS.iter().find(|(_, hash)| *hash == self.hash);
        f.write_str(name.map_or("", |(name, _)| name))?;
        f.write_str(if self.session { "-sess" } else { "" })
    }
}

/// What an answer protects: quality of protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Qop {
    /// Nothing is said of it; the answer has no count.
    Absent,
    /// `auth`: the request's first line.
    Auth,
    /// `auth-int`: its body too.
    AuthInt,
}

impl Qop {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Qop::Absent => "",
            Qop::Auth => "auth",
            Qop::AuthInt => "auth-int",
        }
    }
}

/// The request that an answer is for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its Request-URI.
    pub uri: &'a str,
    /// Its body.
    pub body: &'a [u8],
}

/// What a 401 or 407 asks for, as far as we can give it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// By a proxy (407), not by who was asked in the end (401).
    pub by_proxy: bool,
    /// For whose users.
    pub realm: String,
    /// What the answer must repeat.
    pub nonce: String,
    /// Likewise, if there is one.
    pub opaque: Option<String>,
    /// The hash.
    pub algorithm: Algorithm,
    /// Whether the challenge named it.
    pub algorithm_named: bool,
    /// What is protected.
    pub qop: Qop,
    /// The last answer was right, only its nonce too old.
    pub stale: bool,
}

impl Challenge {
    /// The challenges of a response that we can meet: of each realm the topmost, which the server likes
    /// best (RFC 8760, 2.4).
    pub fn all_of(response: &Message) -> Vec<Challenge> {
        let by_proxy = response.code() == 407;
        let name = if by_proxy {
            "Proxy-Authenticate"
        } else {
            "WWW-Authenticate"
        };
        let mut met: Vec<Challenge> = Vec::new();
        for value in response.header_lines(name) {
            if let Some(challenge) = Challenge::read(value, by_proxy)
                && met.iter().all(|known| known.realm != challenge.realm)
            {
                met.push(challenge);
            }
        }
        met
    }

    /// Reads one; `None`: another scheme, or nothing we know how to answer.
    fn read(value: &str, by_proxy: bool) -> Option<Challenge> {
        let params = read_params(value)?;
        let param = |name: &str| {
            params
                .iter()
                .find(|(n, _)| n.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
        };
        let named = param("algorithm");
        let algorithm = match &named {
            Some(name) => Algorithm::from_name(name)?,
            None => Algorithm::MD5,
        };
        let qop = match param("qop") {
            None => Qop::Absent,
            Some(list) => {
                let named = |qop: &Qop| {
                    let same = |word: &str| word.trim().eq_ignore_ascii_case(qop.name());
                    list.split(',').any(same)
                };
                [Qop::Auth, Qop::AuthInt].into_iter().find(named)?
            }
        };
        Some(Challenge {
            by_proxy,
            realm: param("realm")?,
            nonce: param("nonce")?,
            opaque: param("opaque"),
            algorithm,
            algorithm_named: named.is_some(),
            qop,
            stale: param("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The header that answers it.
    pub fn answer_header(&self) -> &'static str {
        if self.by_proxy {
            "Proxy-Authorization"
        } else {
            "Authorization"
        }
    }

    /// The digest itself: `response` of RFC 7616, 3.4.1.
    fn digest(
        &self,
        credentials: &Credentials,
        asked: Asked<'_>,
        count: &str,
        cnonce: &str,
    ) -> Option<String> {
        let Asked { method, uri, body } = asked;
        let hash = |text: String| self.algorithm.of(&text);
        let (name, nonce) = (&credentials.username, &self.nonce);
        let mut secret = match &credentials.secret {
            Secret::Password(password) => hash(format!("{name}:{}:{password}", self.realm)),
            Secret::Hashed { hash, realm, ha1 } => {
                let fits = *hash == self.algorithm.hash && *realm == self.realm;
                fits.then(|| ha1.to_ascii_lowercase())?
            }
            Secret::Answer(_) => return None,
        };
        if self.algorithm.session {
            secret = hash(format!("{secret}:{nonce}:{cnonce}"));
        }
        let asked = match self.qop {
            Qop::Absent | Qop::Auth => hash(format!("{method}:{uri}")),
            Qop::AuthInt => hash(format!("{method}:{uri}:{}", self.algorithm.of(body))),
        };
        let qop = self.qop.name();
        Some(match self.qop {
            Qop::Absent => hash(format!("{secret}:{nonce}:{asked}")),
            Qop::Auth | Qop::AuthInt => {
                hash(format!("{secret}:{nonce}:{count}:{cnonce}:{qop}:{asked}"))
            }
        })
    }

    /// Whether an `Authorization` answers this challenge, which was ours. `None`: it is no answer to it.
    pub fn is_met_by(&self, value: &str, credentials: &Credentials, method: &str) -> Option<bool> {
        let params = read_params(value)?;
        let param = |name: &str| {
            let found = params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            found.map_or("", |(_, value)| value.as_str())
        };
        let named = Algorithm::from_name(match param("algorithm") {
            "" => "MD5",
            name => name,
        });
        if param("realm") != self.realm || named != Some(self.algorithm) {
            return None;
        }
        let asked = Asked {
            method,
            uri: param("uri"),
            body: &[],
        };
        let expected = self.digest(credentials, asked, param("nc"), param("cnonce"));
        let good = param("username") == credentials.username
            && param("qop").eq_ignore_ascii_case("auth")
            && expected.is_some_and(|expected| is_equal(&expected, param("response")));
        Some(good)
    }

    /// This challenge as a header's value.
    pub fn header(&self) -> String {
        let stale = if self.stale { ", stale=true" } else { "" };
        format!(
            "Digest realm={}, nonce={}, algorithm={}, qop=\"auth\"{stale}",
            quote(&self.realm),
            quote(&self.nonce),
            self.algorithm
        )
    }

    /// The value of that header. `count`: how often this nonce has been answered, this time included;
    /// `cnonce`: fresh and nobody's guess.
    pub fn answer(
        &self,
        credentials: &Credentials,
        asked: Asked<'_>,
        count: u32,
        cnonce: &str,
    ) -> Option<String> {
        let (uri, nonce) = (asked.uri, &self.nonce);
        let name = &credentials.username;
        if let Secret::Answer(answer) = &credentials.secret {
            return answer.for_nonce(nonce, name);
        }
        let response = self.digest(credentials, asked, &format!("{count:08x}"), cnonce)?;
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri=\"{uri}\", response=\"{response}\"",
            quote(name),
            quote(&self.realm),
            quote(nonce)
        );
        if self.algorithm_named {
            value.push_str(&format!(", algorithm={}", self.algorithm));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque={}", quote(opaque)));
        }
        if self.qop != Qop::Absent {
            let qop = self.qop.name();
            let counted = format!(", qop={qop}, nc={count:08x}, cnonce=\"{cnonce}\"");
            value.push_str(&counted);
        } else if self.algorithm.session {
            value.push_str(&format!(", cnonce=\"{cnonce}\""));
        }
        Some(value)
    }
}

/// Who somebody is to a challenger. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The name in the challenger's realm.
    pub username: String,
    /// What proves it.
    pub secret: Secret,
}

/// What proves a name.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Secret {
    /// The password itself.
    Password(String),
    /// H(username:realm:password), good in one realm and with one hash.
    Hashed {
        /// Which hash.
        hash: Hash,
        /// Which realm.
        realm: String,
        /// Hexadecimal digits.
        ha1: String,
    },
    /// The answer to one challenge, computed elsewhere: it serves once.
    Answer(Answer),
}

/// An answer to a challenge that somebody else has computed; texts without their quotes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// To a 407.
    pub by_proxy: bool,
    /// The challenge's realm.
    pub realm: String,
    /// The challenge's nonce.
    pub nonce: String,
    /// The digest-uri that was hashed.
    pub uri: String,
    /// The digest.
    pub response: String,
    /// `algorithm`, `opaque`, `cnonce`, `nc`, `qop`, as far as they were given.
    pub further: Vec<(String, String)>,
}

impl Answer {
    /// The header's name.
    pub fn header(&self) -> &'static str {
        if self.by_proxy {
            "Proxy-Authorization"
        } else {
            "Authorization"
        }
    }

    /// The header's value, for the nonce it was made for.
    pub fn for_nonce(&self, nonce: &str, username: &str) -> Option<String> {
        if self.nonce != nonce {
            return None;
        }
        let mut value = format!("Digest username={}", quote(username));
        for (name, text) in [
            ("realm", &self.realm),
            ("nonce", &self.nonce),
            ("uri", &self.uri),
            ("response", &self.response),
        ] {
            value.push_str(&format!(", {name}={}", quote(text)));
        }
        for (name, text) in &self.further {
            let bare = matches!(name.as_str(), "algorithm" | "nc" | "qop");
            let text = if bare { text.clone() } else { quote(text) };
            value.push_str(&format!(", {name}={text}"));
        }
        (!value.chars().any(char::is_control)).then_some(value)
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// `Digest name=value, …`; `None`: another scheme, or malformed.
fn read_params(value: &str) -> Option<Vec<(String, String)>> {
    let mut scan = Scan::new(value.trim());
    if !scan.token()?.eq_ignore_ascii_case("Digest") {
        return None;
    }
    let mut params = Vec::new();
    loop {
        scan.space();
        let name = scan.token()?.to_owned();
        if !scan.separator('=') {
            return None;
        }
        let text = if scan.rest().starts_with('"') {
            unquote(scan.quoted()?)
        } else {
            scan.token()?.to_owned()
        };
        params.push((name, text));
        scan.space();
        if scan.is_done() {
            return Some(params);
        }
        if !scan.separator(',') {
            return None;
        }
    }
}

/// The nonce that an `Authorization` was made with, and which of its uses this is (`nc`).
pub(super) fn nonce_of(value: &str) -> Option<(String, u32)> {
    let params = read_params(value)?;
    let param = |name: &str| {
        let found = params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.clone())
    };
    let count = param("nc").filter(|digits| digits.len() == 8);
    let count = u32::from_str_radix(&count?, 16).ok()?;
    Some((param("nonce")?, count))
}

/// Whether both are the same, in a time that does not tell where they differ.
fn is_equal(one: &str, other: &str) -> bool {
    let differs = |(a, b): (u8, u8)| a.to_ascii_lowercase() ^ b.to_ascii_lowercase();
    one.len() == other.len()
        && one
            .bytes()
            .zip(other.bytes())
            .map(differs)
            .fold(0, |a, b| a | b)
            == 0
}

/// SHA-256 of a text, in hexadecimal digits.
pub(super) fn sha256_hex(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::machine::bare_request;
    use super::super::message::StartLine;
    use super::super::method::Method;
    use super::*;

    fn challenged(code: u16, headers: &[(&str, &str)]) -> Vec<Challenge> {
        let mut response = bare_request(Method::Options, String::new());
        response.start = StartLine::Response {
            code,
            reason: String::new(),
        };
        for (name, value) in headers {
            response.push(name, *value);
        }
        Challenge::all_of(&response)
    }

    fn password(username: &str, password: &str) -> Credentials {
        Credentials {
            username: username.to_owned(),
            secret: Secret::Password(password.to_owned()),
        }
    }

    fn asked<'a>(method: &'a str, uri: &'a str) -> Asked<'a> {
        Asked {
            method,
            uri,
            body: b"body",
        }
    }

    fn response_of(value: &str) -> String {
        let params = read_params(value).unwrap();
        let found = params.iter().find(|(name, _)| name == "response");
        found.unwrap().1.clone()
    }

    #[test]
    fn rfc7616_3_9_1_the_examples_of_the_rfc() {
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (algorithm, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let value = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"{nonce}\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            let found = challenged(401, &[("WWW-Authenticate", &value)]);
            let credentials = password("Mufasa", "Circle of Life");
            let answer = found[0].answer(&credentials, asked("GET", "/dir/index.html"), 1, cnonce);
            assert_eq!(response_of(&answer.unwrap()), expected, "{algorithm}");
        }
    }

    #[test]
    fn rfc2069_without_qop_and_with_a_hashed_secret() {
        let challenge =
            "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
        let found = challenged(407, &[("Proxy-Authenticate", challenge)]);
        let credentials = password("Mufasa", "CircleOfLife");
        let uri = asked("GET", "/dir/index.html");
        let answer = found[0].answer(&credentials, uri, 1, "c").unwrap();
        assert_eq!(response_of(&answer), "1949323746fe6a43ef61f9606e7febea");
        assert!(
            !answer.contains("qop") && !answer.contains("algorithm"),
            "{answer}"
        );
        assert_eq!(found[0].answer_header(), "Proxy-Authorization");
        let hashed = |realm: &str| Credentials {
            username: "Mufasa".to_owned(),
            secret: Secret::Hashed {
                hash: Hash::Md5,
                realm: realm.to_owned(),
                ha1: Algorithm::MD5.of("Mufasa:testrealm@host.com:CircleOfLife"),
            },
        };
        let same = found[0].answer(&hashed("testrealm@host.com"), uri, 1, "c");
        assert_eq!(same.as_ref(), Some(&answer));
        assert_eq!(found[0].answer(&hashed("elsewhere"), uri, 1, "c"), None);
    }

    #[test]
    fn rfc7616_3_4_3_auth_int_protects_the_body_where_nothing_else_is_asked_for() {
        let value = "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth-int\"";
        let found = challenged(401, &[("WWW-Authenticate", value)]);
        assert_eq!(found[0].qop, Qop::AuthInt);
        let alice = password("alice", "pw");
        let answer = found[0].answer(&alice, asked("INVITE", "sip:bob@r"), 2, "c");
        let answer = answer.unwrap();
        assert!(answer.contains("qop=auth-int, nc=00000002"), "{answer}");
        // By another implementation.
        let expected = "17d91d7d139fe38818d127913a7911e7cc6ce2fbf012555352512a526f7e938b";
        assert_eq!(response_of(&answer), expected);
    }

    #[test]
    fn rfc8760_2_4_the_topmost_challenge_that_can_be_met_is_met() {
        let of = |algorithm: &str, more: &str| {
            format!("Digest realm=\"r\", nonce=\"n\", algorithm={algorithm}{more}")
        };
        let values = [
            of("SHA-512", ""),
            of("SHA-256", ", qop=\"auth-conf\""),
            of("SHA-256", ", qop=\"auth\", stale=TRUE"),
            of("MD5", ""),
            "Basic realm=\"r\"".to_owned(),
            "Digest realm=\"s\", nonce=\"n".to_owned(),
        ];
        let headers: Vec<_> = values
            .iter()
            .map(|value| ("WWW-Authenticate", value.as_str()))
            .collect();
        let found = challenged(401, &headers);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].algorithm.to_string(), "SHA-256");
        assert!(found[0].stale && found[0].qop == Qop::Auth);
        assert!(challenged(407, &headers).is_empty());
    }

    #[test]
    fn an_answer_that_was_made_elsewhere_serves_for_its_nonce_only() {
        let answer = Answer {
            by_proxy: false,
            realm: "r".to_owned(),
            nonce: "n".to_owned(),
            uri: "sip:r".to_owned(),
            response: "00".to_owned(),
            further: vec![
                ("qop".to_owned(), "auth".to_owned()),
                ("cnonce".to_owned(), "x\"".to_owned()),
            ],
        };
        assert_eq!(
            answer.for_nonce("n", "al").unwrap(),
            "Digest username=\"al\", realm=\"r\", nonce=\"n\", uri=\"sip:r\", response=\"00\", \
             qop=auth, cnonce=\"x\\\"\""
        );
        assert_eq!(answer.for_nonce("m", "al"), None);
        assert_eq!(answer.for_nonce("n", "a\r\nb"), None);
        let hidden = format!("{:?}", password("al", "secret"));
        assert!(!hidden.contains("secret"));
    }
}
