//! Messages as tests write them, line by line, with names in the place of URIs.

use link::Leg;

/// Lines as they are sent: each with its CRLF.
pub fn lines(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

/// The request that opens a WebSocket at `resource`; the key is that of RFC 6455, 1.3.
pub fn upgrade_request(resource: &str) -> String {
    lines(&[
        &format!("GET {resource} HTTP/1.1"),
        "Host: relay.invalid",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: msrp",
        "",
    ])
}

/// An MSRP message but for its paths, which depend on who says or hears it.
#[derive(Clone, Debug)]
pub struct Message {
    pub transaction: &'static str,
    /// Method, or status and comment.
    pub subject: &'static str,
    /// Lines after the paths.
    pub headers: Vec<&'static str>,
    /// What follows the blank line, if there is one.
    pub body: Option<String>,
    pub flag: char,
}

impl Message {
    /// A SEND of some text, whose response is wanted.
    pub fn send(transaction: &'static str, body: &str) -> Message {
        Message {
            transaction,
            subject: "SEND",
            headers: vec!["Message-ID: Mx77f0a1c2", "Content-Type: text/plain"],
            body: Some(body.into()),
            flag: '$',
        }
    }

    /// A message without body.
    pub fn bodiless(
        transaction: &'static str,
        subject: &'static str,
        headers: &[&'static str],
    ) -> Message {
        Message {
            transaction,
            subject,
            headers: headers.to_vec(),
            body: None,
            flag: '$',
        }
    }

    /// The same with one header more, before all others.
    pub fn with(mut self, header: &'static str) -> Message {
        self.headers.insert(0, header);
        self
    }

    /// The same with another flag.
    pub fn flagged(mut self, flag: char) -> Message {
        self.flag = flag;
        self
    }

    /// As a peer says it that stops before the end-line.
    pub fn begun_by(&self, leg: Leg) -> String {
        let said = self.by(leg);
        let end = format!("\r\n-------{}{}\r\n", self.transaction, self.flag);
        said.strip_suffix(&end).expect("it has a body").to_owned()
    }

    /// The response to it.
    pub fn answer(&self, status: &'static str) -> Message {
        Message::bodiless(self.transaction, status, &[])
    }

    /// As the peer of a leg says it to the relay.
    pub fn by(&self, leg: Leg) -> String {
        match leg {
            Leg::A => self.between("L(A)", "R(A)"),
            Leg::B => self.between("L(B)", "R(B)"),
        }
    }

    /// As the peer of a leg hears it from the relay.
    pub fn to(&self, leg: Leg) -> String {
        match leg {
            Leg::A => self.between("R(A)", "L(A)"),
            Leg::B => self.between("R(B)", "L(B)"),
        }
    }

    /// As the handset of the session with this number says it, on a connection that several share.
    pub fn by_handset(&self, number: usize) -> String {
        self.between(&format!("L(B)#{number}"), &format!("R(B)#{number}"))
    }

    /// As that handset hears it.
    pub fn to_handset(&self, number: usize) -> String {
        self.between(&format!("R(B)#{number}"), &format!("L(B)#{number}"))
    }

    /// With these paths.
    pub fn between(&self, to: &str, from: &str) -> String {
        let Message {
            transaction,
            subject,
            headers,
            body,
            flag,
        } = self;
        let body = body.as_ref().map(|body| format!("\r\n{body}\r\n"));
        format!(
            "MSRP {transaction} {subject}\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n{}{}\
             -------{transaction}{flag}\r\n",
            lines(headers),
            body.unwrap_or_default(),
        )
    }
}
