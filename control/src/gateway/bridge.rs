//! A bridge: what joins one SIP dialog or request, the browsers' subsessions, and the relay's session.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::media::Media;
use crate::jsonrtc::{Members, SessionKey};
use crate::limits::PENDING_REQUESTS_MAX;
use crate::script::Outbound;
use crate::sip::{ClientId, DialogId, ServerId, SubscriptionId};

/// A bridge, by a number never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BridgeId(pub u64);

/// Where the SIP side of a bridge stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// No dialog: not yet, not any more, or never.
    Idle,
    /// Our INVITE is out.
    Inviting {
        /// The INVITE.
        client: ClientId,
        /// What it may open.
        dialog: DialogId,
    },
    /// Our INVITE was answered with 2xx; the browser has not completed it yet.
    Answered {
        /// What is open.
        dialog: DialogId,
    },
    /// The peer's INVITE waits for our answer.
    Invited {
        /// The INVITE.
        server: ServerId,
        /// What it may open.
        dialog: DialogId,
    },
    /// We answered the peer's INVITE with 2xx; its ACK is not here yet.
    Accepted {
        /// What is open.
        dialog: DialogId,
    },
    /// Answered and acknowledged.
    Open {
        /// What is open.
        dialog: DialogId,
    },
}

impl Line {
    /// The dialog, once there can be requests in it.
    pub fn dialog(self) -> Option<DialogId> {
        match self {
            Line::Idle => None,
            Line::Inviting { dialog, .. }
            | Line::Answered { dialog }
            | Line::Invited { dialog, .. }
            | Line::Accepted { dialog }
            | Line::Open { dialog } => Some(dialog),
        }
    }
}

/// A request between us and a browser that waits for its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Its `header.action`.
    pub action: String,
    /// Its `correlation_id`.
    pub correlation: String,
    /// Who asks, as clients see it.
    pub initiator: String,
    /// Who is asked, as clients see it.
    pub target: String,
}

/// One browser's part of a bridge: a subsession.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Branch {
    /// Of which session.
    pub session: SessionKey,
    /// Its `subsession_id` there.
    pub subsession: String,
    /// The package as the browser writes it, where that is not its name.
    pub spelling: Option<String>,
    /// The correlation id of the request that opened it.
    pub opening: String,
    /// The correlation id of the `start` of ours that the browser has answered and the peer has yet to confirm, if
    /// it is not the opening one.
    #[serde(default)]
    pub confirming: Option<String>,
    /// Requests of the browser's that we have to answer.
    pub from_browser: Vec<Asked>,
    /// Requests of ours that the browser has to answer.
    pub to_browser: Vec<Asked>,
    /// The browser knows that the subsession is over: it said so, or was told.
    pub over: bool,
}

impl Branch {
    /// A subsession without anything pending.
    pub fn new(session: SessionKey, subsession: String, opening: String) -> Branch {
        let (from_browser, to_browser) = (Vec::new(), Vec::new());
        Branch {
            session,
            subsession,
            spelling: None,
            opening,
            confirming: None,
            from_browser,
            to_browser,
            over: false,
        }
    }

    /// The package as frames to the browser have it.
    pub fn package<'a>(&'a self, name: &'a str) -> &'a str {
        self.spelling.as_deref().unwrap_or(name)
    }

    /// The browser's pending request with this action.
    pub fn asked(&self, action: &str) -> Option<&Asked> {
        self.from_browser
            .iter()
            .find(|asked| asked.action == action)
    }
}

/// A message of a script's that waits to be carried out.
#[derive(Clone, Debug)]
pub struct Order {
    /// What to send.
    pub outbound: Outbound,
    /// The SIP request that a response is for, if the run was about one.
    pub server: Option<ServerId>,
}

impl Asked {
    /// The header of an answer: whoever asks and is asked are those of the request.
    pub fn header(&self) -> Members {
        let named = [
            ("action", &self.action),
            ("initiator", &self.initiator),
            ("target", &self.target),
        ];
        let member = |(name, value): (&str, &String)| (name.to_owned(), value.as_str().into());
        named.into_iter().map(member).collect()
    }
}

/// A subscription of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// Which.
    pub id: SubscriptionId,
    /// The value of its Event header; empty for one that a REFER has made.
    pub event: String,
    /// The request that asked for it, until it is answered.
    pub client: Option<ClientId>,
}

/// A bridge.
#[derive(Debug)]
pub struct Bridge {
    /// The package whose scripts handle it.
    pub package: String,
    /// The application of the browser.
    pub application: String,
    /// Our user, as clients see it.
    pub user: String,
    /// The other party, as clients see it.
    pub peer: String,
    /// Who opened it, as clients see it.
    pub initiator: String,
    /// Who was called, as clients see it.
    pub target: String,
    /// The browsers' subsessions: one, or while an invitation rings, one for each of the user's sessions.
    pub branches: Vec<Branch>,
    /// The dialog.
    pub line: Line,
    /// Our pending requests other than the first INVITE, with their methods.
    pub clients: Vec<(ClientId, String)>,
    /// The peer's pending requests other than the first INVITE, with their methods.
    pub servers: Vec<(ServerId, String)>,
    /// All whom the invitation is for hibernate, and have been told to wake up.
    pub wakes: bool,
    /// What we have subscribed to.
    pub subscriptions: Vec<Subscribed>,
    /// The dialog in which the peer has subscribed to something, if that is not the one above.
    pub watched: Option<DialogId>,
    /// The relay's session.
    pub media: Media,
    /// What waits for the relay.
    pub waiting: VecDeque<Order>,
    /// What scripts put away for the subsession.
    pub store: Members,
    /// The script's timer. It outlives the process only beside a text that waits for its answer.
    pub alarm: Option<Alarm>,
}

/// A script's timer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// The name of its function.
    pub name: String,
    /// Milliseconds to go from now on, where it was just set; 0: it is taken back.
    pub fresh: Option<u64>,
}

impl Bridge {
    /// A bridge without any connection yet.
    pub fn new(package: &str, application: &str, initiator: &str, target: &str) -> Bridge {
        Bridge {
            package: package.to_owned(),
            application: application.to_owned(),
            user: initiator.to_owned(),
            peer: target.to_owned(),
            initiator: initiator.to_owned(),
            target: target.to_owned(),
            branches: Vec::new(),
            line: Line::Idle,
            clients: Vec::new(),
            servers: Vec::new(),
            wakes: false,
            subscriptions: Vec::new(),
            watched: None,
            media: Media::None,
            waiting: VecDeque::new(),
            store: Members::new(),
            alarm: None,
        }
    }

    /// Where in `branches` this subsession is.
    pub fn branch_of(&self, session: SessionKey, subsession: &str) -> Option<usize> {
        let same = |branch: &Branch| branch.session == session && branch.subsession == subsession;
        self.branches.iter().position(same)
    }

    /// Whether the opening was confirmed by both sides.
    pub fn is_open(&self) -> bool {
        matches!(self.line, Line::Open { .. })
    }

    /// Whether nothing can happen any more: no dialog, nobody waits for an answer.
    pub fn is_done(&self) -> bool {
        let quiet =
            |branch: &Branch| branch.from_browser.is_empty() && branch.to_browser.is_empty();
        self.line == Line::Idle
            && self.clients.is_empty()
            && self.servers.is_empty()
            && self.subscriptions.is_empty()
            && self.watched.is_none()
            && self.waiting.is_empty()
            && self.branches.iter().all(quiet)
    }

    /// Whether one more request may wait, on any side.
    pub fn has_room(&self) -> bool {
        let full = |branch: &Branch| {
            branch.from_browser.len() >= PENDING_REQUESTS_MAX
                || branch.to_browser.len() >= PENDING_REQUESTS_MAX
        };
        self.clients.len() < PENDING_REQUESTS_MAX
            && self.servers.len() < PENDING_REQUESTS_MAX
            && !self.branches.iter().any(full)
    }
}
