//! Methods.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A request's method. Case-sensitive: `invite` is an [`Method::Other`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Method {
    /// RFC 3261, 13.
    Invite,
    /// RFC 3261, 13.2.2.4 and 17.1.1.3.
    Ack,
    /// RFC 3261, 15.
    Bye,
    /// RFC 3261, 9.
    Cancel,
    /// RFC 3261, 10.
    Register,
    /// RFC 3261, 11.
    Options,
    /// RFC 3428.
    Message,
    /// RFC 6086.
    Info,
    /// RFC 3311.
    Update,
    /// RFC 3262.
    Prack,
    /// RFC 6665.
    Subscribe,
    /// RFC 6665.
    Notify,
    /// RFC 3515.
    Refer,
    /// RFC 3903.
    Publish,
    /// A token we don't know.
    Other(String),
}

const NAMES: [(&str, Method); 14] = [
    ("INVITE", Method::Invite),
    ("ACK", Method::Ack),
    ("BYE", Method::Bye),
    ("CANCEL", Method::Cancel),
    ("REGISTER", Method::Register),
    ("OPTIONS", Method::Options),
    ("MESSAGE", Method::Message),
    ("INFO", Method::Info),
    ("UPDATE", Method::Update),
    ("PRACK", Method::Prack),
    ("SUBSCRIBE", Method::Subscribe),
    ("NOTIFY", Method::Notify),
    ("REFER", Method::Refer),
    ("PUBLISH", Method::Publish),
];

impl Method {
    /// The method of this name, which is taken to be a token.
    pub fn from_token(name: &str) -> Method {
        NAMES.iter().find(|(known, _)| *known == name).map_or_else(
            || Method::Other(name.to_owned()),
            |(_, method)| method.clone(),
        )
    }

    /// Whether it asks for a subscription, and so for a dialog.
    pub fn subscribes(&self) -> bool {
        matches!(self, Method::Subscribe | Method::Refer)
    }

    /// The name as it stands in a message.
    pub fn as_str(&self) -> &str {
        if let Method::Other(name) = self {
            return name;
        }
        NAMES
            .iter()
            .find(|(_, method)| method == self)
            .map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
