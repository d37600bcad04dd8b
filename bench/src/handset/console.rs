//! What the handset tells and what it is told: events and commands, one a line.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// The number of a chat, from 1.
pub type ChatNumber = u32;

/// Something happened. `Display` is the line for people, serde the one for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the fields are named as they are printed")]
pub enum Event {
    /// The sockets are open.
    Listening { sip: String, msrp: String },
    /// The registrar has taken us.
    Registered { aor: String, expires: u32 },
    /// The registrar has forgotten us, as asked.
    Unregistered { aor: String },
    /// The registrar has not taken us; it is tried again.
    RegistrationFailed { why: String },
    /// A call comes in.
    Incoming { chat: ChatNumber, from: String },
    /// A call goes out.
    Calling { chat: ChatNumber, to: String },
    /// The other side rings.
    Ringing { chat: ChatNumber },
    /// The call is answered.
    Answered { chat: ChatNumber },
    /// Messages can flow.
    Open { chat: ChatNumber },
    /// A text came.
    Message {
        chat: ChatNumber,
        from: String,
        id: String,
        text: String,
    },
    /// Something else came, or a long text.
    Received {
        chat: ChatNumber,
        from: String,
        id: String,
        content_type: String,
        bytes: u64,
        sha256: String,
    },
    /// A file is offered.
    Offered {
        chat: ChatNumber,
        from: String,
        name: String,
        bytes: Option<u64>,
    },
    /// What was offered has an icon.
    Icon {
        chat: ChatNumber,
        content_type: String,
        bytes: u64,
    },
    /// A file is wanted.
    Wanted {
        chat: ChatNumber,
        from: String,
        name: String,
        hash: Option<String>,
    },
    /// The other side types, or does not any more.
    Typing { chat: ChatNumber, active: bool },
    /// A single message came.
    Text {
        from: String,
        id: String,
        text: String,
    },
    /// A single message of ours was answered.
    TextAnswered { id: String, status: u16 },
    /// What became of a message of ours, as its receiver says.
    Notified {
        from: String,
        id: String,
        status: String,
    },
    /// Somebody wanted to know what this handset can do, and said what they can.
    Asked { from: String, tags: String },
    /// What somebody can do.
    Capabilities {
        of: String,
        status: u16,
        tags: String,
    },
    /// The peer has answered every chunk of a message.
    Sent { chat: ChatNumber, id: String },
    /// The peer reports that it has the message.
    Delivered { chat: ChatNumber, id: String },
    /// A message did not get through.
    Failed {
        chat: ChatNumber,
        id: String,
        status: u16,
    },
    /// A call is over before it was answered.
    Declined {
        chat: ChatNumber,
        status: u16,
        reason: String,
    },
    /// A call is over.
    Ended { chat: ChatNumber, why: String },
    /// The chats there are.
    Chat {
        chat: ChatNumber,
        with: String,
        current: bool,
    },
    /// Something is wrong, and what to do about it.
    Problem { why: String },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Listening { sip, msrp } => write!(f, "listening, SIP {sip}, MSRP {msrp}"),
            Event::Registered { aor, expires } => {
                write!(f, "registered as {aor} for {expires} s")
            }
            Event::Unregistered { aor } => write!(f, "unregistered {aor}"),
            Event::RegistrationFailed { why } => write!(f, "not registered: {why}"),
            Event::Incoming { chat, from } => write!(f, "incoming from {from} (chat {chat})"),
            Event::Calling { chat, to } => write!(f, "calling {to} (chat {chat})"),
            Event::Ringing { chat } => write!(f, "ringing (chat {chat})"),
            Event::Answered { chat } => write!(f, "answered (chat {chat})"),
            Event::Open { chat } => write!(f, "open (chat {chat})"),
            Event::Message { from, text, .. } => write!(f, "message from {from}: {text}"),
            Event::Received {
                from,
                content_type,
                bytes,
                sha256,
                ..
            } => {
                write!(
                    f,
                    "received from {from}: {content_type}, {bytes} octets, sha256 {sha256}"
                )
            }
            Event::Offered {
                from, name, bytes, ..
            } => {
                let bytes = bytes.map_or("unknown".to_owned(), |bytes| bytes.to_string());
                write!(f, "offered by {from}: {name}, {bytes} octets")
            }
            Event::Icon {
                content_type,
                bytes,
                ..
            } => write!(f, "with an icon: {content_type}, {bytes} octets"),
            Event::Wanted {
                from, name, hash, ..
            } => {
                let hash = hash.as_deref().unwrap_or("no hash");
                write!(f, "wanted by {from}: {name}, {hash}")
            }
            Event::Typing { active: true, .. } => write!(f, "typing"),
            Event::Typing { active: false, .. } => write!(f, "not typing"),
            Event::Text { from, text, .. } => write!(f, "text from {from}: {text}"),
            Event::TextAnswered { id, status } => write!(f, "text {id} answered: {status}"),
            Event::Notified { id, status, .. } => write!(f, "notified {id}: {status}"),
            Event::Asked { from, tags } => write!(f, "asked by {from}: {tags}"),
            Event::Capabilities { of, status, tags } => {
                write!(f, "capabilities of {of}: {status} {tags}")
            }
            Event::Sent { id, .. } => write!(f, "sent {id}"),
            Event::Delivered { id, .. } => write!(f, "delivered {id}"),
            Event::Failed { id, status, .. } => write!(f, "failed {id}: {status}"),
            Event::Declined {
                chat,
                status,
                reason,
            } => {
                write!(f, "declined: {status} {reason} (chat {chat})")
            }
            Event::Ended { chat, why } => write!(f, "ended: {why} (chat {chat})"),
            Event::Chat {
                chat,
                with,
                current,
            } => {
                write!(
                    f,
                    "chat {chat} with {with}{}",
                    if *current { ", current" } else { "" }
                )
            }
            Event::Problem { why } => write!(f, "problem: {why}"),
        }
    }
}

impl Event {
    /// The line to print.
    pub fn line(&self, json: bool) -> String {
        if json {
            // These types have no map keys and no floats that could fail.
            serde_json::to_string(self).unwrap_or_default()
        } else {
            self.to_string().replace(['\r', '\n'], "\u{23ce}")
        }
    }
}

/// What the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Send a text in the current chat.
    Say(String),
    /// Send a file in the current chat.
    File(PathBuf),
    /// Call somebody, perhaps with a first message.
    Call(String, Option<String>),
    /// Offer somebody a file.
    Send(String, PathBuf),
    /// Share an image with somebody.
    Share(String, PathBuf),
    /// Ask somebody for a file.
    Want(String, String),
    /// Break the connection of the current chat or file off.
    Cut,
    /// Ask what somebody can do.
    Options(String),
    /// Send a text without a call.
    Text(String, String),
    /// Say in the current chat that the user types, or does not any more.
    Typing(bool),
    /// End the current chat, or the call that would become one.
    Bye,
    /// Tell which chats there are.
    Chats,
    /// Make a chat the current one.
    Use(ChatNumber),
    /// End everything, unregister, leave.
    Quit,
}

impl Command {
    /// Reads a line; the error says what can be written.
    pub fn parse(line: &str) -> Result<Command, String> {
        let line = line.trim_end_matches(['\r', '\n']);
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match (word.trim(), rest) {
            ("say", text) if !text.is_empty() => Ok(Command::Say(text.to_owned())),
            ("file", path) if !path.is_empty() => Ok(Command::File(path.trim().into())),
            ("options", uri) if !uri.is_empty() => Ok(Command::Options(uri.trim().to_owned())),
            ("text", rest) if rest.trim().contains(' ') => {
                let (uri, text) = rest.trim().split_once(' ').unwrap_or((rest, ""));
                Ok(Command::Text(uri.to_owned(), text.to_owned()))
            }
            ("send", rest) if rest.trim().contains(' ') => {
                let (uri, path) = rest.trim().split_once(' ').unwrap_or((rest, ""));
                Ok(Command::Send(uri.to_owned(), path.into()))
            }
            ("share", rest) if rest.trim().contains(' ') => {
                let (uri, path) = rest.trim().split_once(' ').unwrap_or((rest, ""));
                Ok(Command::Share(uri.to_owned(), path.into()))
            }
            ("want", rest) if rest.trim().contains(' ') => {
                let (uri, which) = rest.trim().split_once(' ').unwrap_or((rest, ""));
                Ok(Command::Want(uri.to_owned(), which.to_owned()))
            }
            ("cut", "") => Ok(Command::Cut),
            ("typing", "on") => Ok(Command::Typing(true)),
            ("typing", "off") => Ok(Command::Typing(false)),
            ("call", rest) if !rest.trim().is_empty() => {
                let (uri, text) = rest.trim().split_once(' ').unwrap_or((rest.trim(), ""));
                let first = (!text.is_empty()).then(|| text.to_owned());
                Ok(Command::Call(uri.to_owned(), first))
            }
            ("use", number) if number.trim().parse::<u32>().is_ok() => {
                Ok(Command::Use(number.trim().parse().unwrap_or(0)))
            }
            ("bye", "") => Ok(Command::Bye),
            ("chats", "") => Ok(Command::Chats),
            ("quit", "") => Ok(Command::Quit),
            _ => Err(format!(
                "\"{word}\" is no command: write say TEXT, typing on or off, file PATH, call URI [TEXT], \
                 text URI TEXT, send URI PATH, share URI PATH, want URI HASH or NAME, options URI, cut, bye, chats, use N or quit"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_and_others_explained() {
        assert_eq!(
            Command::parse("say two  words\n"),
            Ok(Command::Say("two  words".into()))
        );
        assert_eq!(
            Command::parse("call sip:a@b"),
            Ok(Command::Call("sip:a@b".into(), None))
        );
        assert_eq!(
            Command::parse("call sip:a@b Hi there"),
            Ok(Command::Call("sip:a@b".into(), Some("Hi there".into())))
        );
        assert_eq!(Command::parse("use 2"), Ok(Command::Use(2)));
        assert_eq!(Command::parse("quit\r\n"), Ok(Command::Quit));
        for line in ["", "say", "hello", "use x", "bye now"] {
            assert!(
                Command::parse(line).unwrap_err().contains("say TEXT"),
                "{line}"
            );
        }
    }

    #[test]
    fn an_event_is_one_line_in_both_forms() {
        let (from, text) = ("alice@localhost".to_owned(), "one\ntwo".to_owned());
        let event = Event::Message {
            chat: 1,
            from,
            id: "m".into(),
            text,
        };
        assert_eq!(
            event.line(false),
            "message from alice@localhost: one\u{23ce}two"
        );
        let json =
            r#"{"event":"message","chat":1,"from":"alice@localhost","id":"m","text":"one\ntwo"}"#;
        assert_eq!(event.line(true), json);
    }
}
