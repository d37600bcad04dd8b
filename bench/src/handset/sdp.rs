//! The session descriptions of a handset: one MSRP session over TCP. RFC 4975, 8; RFC 6135.

use std::net::IpAddr;

use super::files::{FileOffer, Says};

/// What the handset takes; `*` lets files through.
const ACCEPT_TYPES: &str = "text/plain message/cpim *";
/// What it takes when it wants everything in an envelope, as RCS handsets do.
const WRAPPED_TYPES: &str = "message/cpim application/im-iscomposing+xml\r\n\
     a=accept-wrapped-types:text/plain message/imdn+xml";
/// What a focus takes: it must see whose it is. RFC 7701, 6.3.
const MIXED_TYPES: &str = "message/cpim\r\na=accept-wrapped-types:*";

/// Who connects. RFC 6135, 4.2; RFC 4145, 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// This side connects.
    Active,
    /// This side waits.
    Passive,
    /// Either way.
    Actpass,
}

impl Setup {
    fn word(self) -> &'static str {
        match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
            Setup::Actpass => "actpass",
        }
    }
}

/// The MSRP session that a description offers or accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// The URIs of `a=path`.
    pub path: String,
    /// `a=setup`, if there is one that can be used.
    pub setup: Option<Setup>,
    /// Whether bare text is taken, and not only text in a CPIM wrapper.
    pub takes_plain: bool,
    /// The file it is for.
    pub file: Option<FileOffer>,
    /// Which of the m-lines it is.
    index: usize,
    /// Protocol and port of every m-line, for an answer.
    lines: Vec<String>,
}

/// Why a description is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No `m=message` in `TCP/MSRP` with a port.
    NoMessages,
    /// Such a line, without a usable `a=path`.
    NoPath,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Refusal::NoMessages => "the description has no m=message line in TCP/MSRP",
            Refusal::NoPath => "the description has no a=path with msrp://..;tcp",
        })
    }
}

impl Media {
    /// Finds the first MSRP session over clear TCP.
    pub fn read(description: &[u8]) -> Result<Media, Refusal> {
        let text = String::from_utf8_lossy(description);
        let mut sections: Vec<Vec<&str>> = vec![Vec::new()];
        for line in text.lines().map(str::trim_end) {
            if line.starts_with("m=") {
                sections.push(Vec::new());
            }
            sections
                .last_mut()
                .expect("there is always the session's part")
                .push(line);
        }
        let (session, media) = sections
            .split_first()
            .expect("there is always the session's part");
        let is_ours = |section: &Vec<&str>| {
            let words: Vec<&str> = section[0].split(' ').collect();
            words[0] == "m=message" && words.get(2) == Some(&"TCP/MSRP") && words[1] != "0"
        };
        let index = media.iter().position(is_ours).ok_or(Refusal::NoMessages)?;
        let attribute = |name: &str| {
            let value = |line: &&str| line.strip_prefix(name).map(str::to_owned);
            let own = media[index].iter().find_map(value);
            own.or_else(|| session.iter().find_map(value))
        };
        let path = attribute("a=path:").ok_or(Refusal::NoPath)?;
        let usable = |uri: &str| uri.starts_with("msrp://") && uri.ends_with(";tcp");
        if !path
            .split(' ')
            .all(|uri| crate::msrp::session_id(uri).is_some())
            || !path.split(' ').next().is_some_and(usable)
        {
            return Err(Refusal::NoPath);
        }
        let setup = attribute("a=setup:").and_then(|word| match word.as_str() {
            "active" => Some(Setup::Active),
            "passive" => Some(Setup::Passive),
            "actpass" => Some(Setup::Actpass),
            _ => None,
        });
        let accept = attribute("a=accept-types:").unwrap_or_else(|| "*".to_owned());
        let takes_plain = accept
            .split(' ')
            .any(|kind| kind == "*" || kind == "text/plain");
        let lines = media.iter().map(|section| section[0].to_owned()).collect();
        Ok(Media {
            path,
            setup,
            takes_plain,
            file: FileOffer::read(&media[index]),
            index,
            lines,
        })
    }

    /// The host and port that the connecting side connects to: those of the first URI.
    pub fn next_hop(&self) -> Option<String> {
        let uri = self.path.split(' ').next()?;
        let authority = uri.strip_prefix("msrp://")?.split('/').next()?;
        Some(authority.rsplit('@').next().unwrap_or(authority).to_owned())
    }

    /// Our role when we answer this offer. RFC 6135, 4.2.2.
    pub fn role_as_answerer(&self, prefer_passive: bool) -> Setup {
        match self.setup {
            Some(Setup::Actpass) if prefer_passive => Setup::Passive,
            Some(Setup::Actpass | Setup::Passive) => Setup::Active,
            // Without a=setup the offerer connects: RFC 4975, 8.5.
            Some(Setup::Active) | None => Setup::Passive,
        }
    }

    /// Our role when this answers our offer of `actpass`.
    pub fn role_as_offerer(&self) -> Setup {
        match self.setup {
            Some(Setup::Active) => Setup::Passive,
            Some(Setup::Passive | Setup::Actpass) | None => Setup::Active,
        }
    }
}

/// Our side of the session.
#[derive(Debug, Clone)]
pub struct Local {
    /// The address of the MSRP listener.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// Our URI.
    pub uri: String,
    /// Number of the description, for `o=`.
    pub version: u64,
    /// Whether it wants texts in envelopes.
    pub wraps: bool,
    /// Whether it passes on what it gets.
    pub mixes: bool,
    /// Which way messages go, if not both: `sendonly` or `recvonly`.
    pub direction: Option<&'static str>,
}

impl Local {
    /// An offer, perhaps of a file: either side may connect.
    pub fn offer(&self, file: Option<&FileOffer>) -> Vec<u8> {
        let line = format!("m=message {} TCP/MSRP *", self.port);
        let says = |file: &FileOffer| {
            if file.is_wanted {
                Says::Wants
            } else {
                Says::Has
            }
        };
        let file = file.map(|file| file.lines(says(file)));
        (self.session() + &self.media(&line, Setup::Actpass, file)).into_bytes()
    }

    /// The answer to an offer; `given` is the file it wants. Its other m-lines are refused.
    pub fn answer(&self, offer: &Media, role: Setup, given: Option<&FileOffer>) -> Vec<u8> {
        let mut text = self.session();
        for (index, line) in offer.lines.iter().enumerate() {
            if index == offer.index {
                let given = given.map(|file| file.lines(Says::Has));
                let taken = || Some(offer.file.as_ref()?.lines(Says::Takes));
                let file = given.or_else(taken);
                text += &self.media(&format!("m=message {} TCP/MSRP *", self.port), role, file);
            } else {
                let mut words: Vec<&str> = line.split(' ').collect();
                if let Some(port) = words.get_mut(1) {
                    *port = "0";
                }
                text += &(words.join(" ") + "\r\n");
            }
        }
        text.into_bytes()
    }

    fn session(&self) -> String {
        let (version, address) = (self.version, self.address);
        let family = if address.is_ipv6() { "IP6" } else { "IP4" };
        format!(
            "v=0\r\no=handset {version} {version} IN {family} {address}\r\ns=-\r\n\
             c=IN {family} {address}\r\nt=0 0\r\n"
        )
    }

    fn media(&self, line: &str, setup: Setup, file: Option<String>) -> String {
        let types = match (&file, self.wraps) {
            _ if self.mixes => MIXED_TYPES,
            (Some(_), _) => "*",
            (None, true) => WRAPPED_TYPES,
            (None, false) => ACCEPT_TYPES,
        };
        let direction = self.direction.unwrap_or("sendrecv");
        let rest = file.unwrap_or_else(|| format!("a={direction}\r\n"));
        format!(
            "{line}\r\na=path:{}\r\na=setup:{}\r\na=accept-types:{types}\r\n{rest}",
            self.uri,
            setup.word()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(setup: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 h\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n\
             m=message 2855 TCP/MSRP *\r\n{setup}a=accept-types:message/cpim\r\n\
             a=path:msrp://h:2855/s1;tcp\r\n"
        )
    }

    #[test]
    fn rfc6135_4_2_2_the_answerer_takes_the_role_the_offer_leaves() {
        for (line, default, preferring_passive) in [
            ("a=setup:actpass\r\n", Setup::Active, Setup::Passive),
            ("a=setup:active\r\n", Setup::Passive, Setup::Passive),
            ("a=setup:passive\r\n", Setup::Active, Setup::Active),
            ("a=setup:holdconn\r\n", Setup::Passive, Setup::Passive),
            ("", Setup::Passive, Setup::Passive),
        ] {
            let media = Media::read(offer(line).as_bytes()).unwrap();
            assert_eq!(media.role_as_answerer(false), default, "{line}");
            assert_eq!(media.role_as_answerer(true), preferring_passive, "{line}");
        }
    }

    #[test]
    fn an_answer_has_as_many_lines_as_the_offer_and_refuses_the_others() {
        let media = Media::read(offer("a=setup:actpass\r\n").as_bytes()).unwrap();
        assert!(!media.takes_plain);
        assert_eq!(media.next_hop().as_deref(), Some("h:2855"));
        let uri = "msrp://127.0.0.1:7/s2;tcp".to_owned();
        let local = Local {
            address: [127, 0, 0, 1].into(),
            port: 7,
            uri,
            version: 1,
            wraps: false,
            mixes: false,
            direction: None,
        };
        let file = FileOffer {
            name: "a b%22.jpg".to_owned(),
            content_type: "image/jpeg".to_owned(),
            bytes: Some(7),
            hashes: vec!["sha-1:72:AF".to_owned()],
            id: "t1".to_owned(),
            range: Some((3, None)),
            icon: Some("i1@h".to_owned()),
            is_wanted: false,
        };
        let offer = Media::read(&local.offer(Some(&file))).unwrap();
        assert_eq!(offer.file.as_ref(), Some(&file));
        let answer = String::from_utf8(local.answer(&offer, Setup::Active, None)).unwrap();
        assert!(
            answer.contains(
                "a=recvonly\r\na=file-selector:name:\"a b%22.jpg\" type:image/jpeg size:7\r\n\
                 a=file-transfer-id:t1\r\na=file-range:3-*\r\n"
            ),
            "{answer}"
        );
        let answer = local.answer(&media, Setup::Active, None);
        let text = String::from_utf8(answer.clone()).unwrap();
        assert!(
            text.contains("m=audio 0 RTP/AVP 0\r\nm=message 7 TCP/MSRP *\r\n"),
            "{text}"
        );
        let read = Media::read(&answer).unwrap();
        assert_eq!(read.role_as_offerer(), Setup::Passive);
        assert_eq!(read.path, "msrp://127.0.0.1:7/s2;tcp");
        assert!(read.takes_plain);
    }

    #[test]
    fn descriptions_without_a_usable_session_are_refused() {
        assert_eq!(Media::read(b""), Err(Refusal::NoMessages));
        assert_eq!(
            Media::read(b"v=0\r\nm=message 0 TCP/MSRP *\r\n"),
            Err(Refusal::NoMessages)
        );
        assert_eq!(
            Media::read(b"m=message 9 TCP/TLS/MSRP *\r\n"),
            Err(Refusal::NoMessages)
        );
        assert_eq!(
            Media::read(b"m=message 9 TCP/MSRP *\r\n"),
            Err(Refusal::NoPath)
        );
        let secure = b"m=message 9 TCP/MSRP *\r\na=path:msrps://h:1/s;tcp\r\n";
        assert_eq!(Media::read(secure), Err(Refusal::NoPath));
    }
}
