//! What goes in and out of [`Sip`](super::Sip): flows, ids, actions, events, requests to be sent.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::digest::Challenge;
use super::message::Message;
use super::method::Method;

/// Milliseconds of a monotonic clock; the caller chooses its zero.
pub type Millis = u64;

/// How messages travel on a [`Flow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SipTransport {
    /// One datagram, one message.
    Udp,
    /// A byte stream, framed by Content-Length.
    Tcp,
    /// The same inside TLS.
    Tls,
}

/// A way to a peer: where a message came from, or where one shall go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// The transport.
    pub transport: SipTransport,
    /// The peer's address, as the socket sees it.
    pub peer: SocketAddr,
    /// TCP and TLS only: the connection, by the number the edge gave it. `None` asks the edge to use any
    /// connection to `peer`, or to open one. `Some` asks for that very connection; if it is gone,
    /// the edge says so with `flow_lost`.
    pub connection: Option<u64>,
}

/// A request we sent and whose answer we await.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClientId(pub u64);

/// A request we received and are to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ServerId(pub u64);

/// A dialog, from the INVITE that may open it to its end. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DialogId(pub u64);

/// A subscription of ours. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubscriptionId(pub u64);

/// A browser's asking to be registered. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AttemptId(pub u64);

/// What the caller of [`Sip`](super::Sip) must do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send these bytes on this flow: one datagram, or a piece of the stream.
    Transmit {
        /// Where to.
        flow: Flow,
        /// One whole message.
        bytes: Vec<u8>,
    },
    /// See by pings, so far apart, that this connection is still there, and say by `flow_lost` if it is not.
    /// RFC 5626, 4.4.1.
    KeepAlive {
        /// A connection.
        flow: Flow,
        /// Between two pings.
        every_ms: Millis,
    },
    /// Tell the gateway.
    Event(Event),
}

/// What the gateway learns.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A request for a local user; answer it with [`Sip::respond`](super::Sip::respond).
    ///
    /// An INVITE that opens a dialog comes with the id of the dialog it would open, and has no To
    /// tag: [`Message::in_dialog`] is false. A re-INVITE, BYE, INFO… of a dialog has that dialog's id
    /// and `in_dialog()` is true. Retransmissions never show. `100 Trying` was sent already.
    Request {
        /// What to answer.
        server: ServerId,
        /// The dialog it opens or belongs to.
        dialog: Option<DialogId>,
        /// The request.
        message: Message,
    },
    /// An answer to a request of ours, 101 to 699. After a final one (200 and up) `client` is done.
    /// A final refusal of the INVITE that was to open `dialog` also ends `dialog`, without `Ended`.
    Response {
        /// What was asked.
        client: ClientId,
        /// The dialog of the request, if it has one.
        dialog: Option<DialogId>,
        /// The answer.
        message: Message,
    },
    /// A request of ours will get no answer any more; `client` is done. If it was the INVITE that was
    /// to open a dialog, or a BYE, that dialog is gone too, without `Ended`.
    Failed {
        /// What was asked.
        client: ClientId,
        /// Why.
        cause: Failure,
    },
    /// The peer cancelled its INVITE (or let it ring too long): 487 (480) was sent, `server` is done,
    /// and a dialog that INVITE was to open is gone, without `Ended`.
    Cancelled {
        /// The INVITE's.
        server: ServerId,
    },
    /// The peer has acknowledged our 2xx to its INVITE.
    Acked {
        /// The INVITE's dialog.
        dialog: DialogId,
    },
    /// News of a subscription of ours: a NOTIFY, which was answered 200. Where the notifier does not say any more that it is
    /// over, the last one is made up here, with `Subscription-State: terminated;reason=timeout`.
    Notified {
        /// Which.
        subscription: SubscriptionId,
        /// The NOTIFY.
        message: Message,
        /// There is no such subscription any more.
        over: bool,
    },
    /// An attempt of [`Sip::register`](super::Sip::register) has succeeded.
    Registered {
        /// Which.
        attempt: AttemptId,
        /// The user part.
        user: String,
        /// The user's public names as the registrar knows them, the default first (P-Associated-URI).
        associated: Vec<String>,
    },
    /// An attempt has failed; the user's registration, if it had one, is as it was. Or, without an attempt:
    /// a registration is over that was kept up until now.
    NotRegistered {
        /// Which; `None`: none.
        attempt: Option<AttemptId>,
        /// The user part.
        user: String,
        /// The registrar's status, or 408 (no answer) or 503 (no way).
        code: u16,
        /// Its phrase.
        reason: String,
        /// What the user would have to prove, at 401 and 407.
        challenges: Vec<Challenge>,
    },
    /// The dialog has gone on without the gateway's doing, because its session was refreshed: whatever was
    /// kept of it is old.
    Refreshed {
        /// Which.
        dialog: DialogId,
    },
    /// A next hop has come to answer, or not to.
    Hop {
        /// As it is configured or was found.
        name: String,
        /// It answers.
        is_up: bool,
    },
    /// The dialog is gone for a reason the gateway did not cause.
    Ended {
        /// Which.
        dialog: DialogId,
        /// Why.
        cause: EndCause,
    },
}

/// Why a request of ours failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// No final answer in time (RFC 3261: as if it were 408).
    Timeout,
    /// It could not be sent, or its connection broke (RFC 3261: as if it were 503).
    Transport,
    /// We cancelled it, and it was answered with 2xx all the same; that call has been ended.
    Cancelled,
}

/// Why a dialog ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndCause {
    /// Our 2xx was never acknowledged; a BYE was sent.
    NoAck,
    /// The peer answered a request of this dialog with 481 or 408, or not at all: it has no such dialog
    /// any more (RFC 3261, 12.2.1.2).
    PeerForgot,
    /// A BYE came, and was never answered by the gateway.
    Bye,
    /// The subscription of a peer's that it was there for has not been refreshed; it was told so.
    Expired,
}

/// A request the gateway wants sent. What `sip` itself writes is not in here: Via, Max-Forwards,
/// From and To tags, Call-ID, CSeq, Contact, Route, Content-Length; such headers are skipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutRequest {
    /// Not ACK and not CANCEL: these have their own functions.
    pub method: Method,
    /// Outside a dialog, what to put on the first line instead of the URI of `to`.
    pub request_uri: Option<String>,
    /// A URI or name-addr (`"Alice" <sip:alice@localhost>`), without tag. Unused in a dialog.
    pub from: String,
    /// As `from`. Unused in a dialog.
    pub to: String,
    /// Further headers, in this order.
    pub headers: Vec<(String, String)>,
    /// Parameters of our Contact: name, value without quotes. `+g.…` values are printed quoted.
    pub contact_params: Vec<(String, Option<String>)>,
    /// Content-Type and body.
    pub content: Option<(String, Vec<u8>)>,
}

impl OutRequest {
    /// A bare request.
    pub fn new(method: Method, from: &str, to: &str) -> OutRequest {
        OutRequest {
            method,
            request_uri: None,
            from: from.to_owned(),
            to: to.to_owned(),
            headers: Vec::new(),
            contact_params: Vec::new(),
            content: None,
        }
    }

    /// A bare request inside a dialog, whose From and To are known.
    pub fn in_dialog(method: Method) -> OutRequest {
        OutRequest::new(method, "", "")
    }
}

/// An answer the gateway wants sent. As [`OutRequest`]: what `sip` writes itself is skipped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutResponse {
    /// 101 to 699.
    pub code: u16,
    /// `None` for the usual phrase.
    pub reason: Option<String>,
    /// Further headers, in this order.
    pub headers: Vec<(String, String)>,
    /// Parameters of our Contact, which 101–299 to an INVITE and 2xx to OPTIONS carry.
    pub contact_params: Vec<(String, Option<String>)>,
    /// Content-Type and body.
    pub content: Option<(String, Vec<u8>)>,
}

impl OutResponse {
    /// A bare answer.
    pub fn new(code: u16) -> OutResponse {
        OutResponse {
            code,
            reason: None,
            headers: Vec::new(),
            contact_params: Vec::new(),
            content: None,
        }
    }
}

/// A request is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What its answers will be called.
    pub client: ClientId,
    /// The dialog: the one it was sent in, or the one this INVITE may open.
    pub dialog: Option<DialogId>,
    /// The subscription that it may open, refreshes or ends.
    pub subscription: Option<SubscriptionId>,
}

/// Why [`Sip`](super::Sip) did not do what the gateway asked. Nothing was sent, nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Caller's fault: no such dialog, or it is over.
    DialogUnknown,
    /// Caller's fault: no such request, or it has had its final answer.
    ServerUnknown,
    /// Caller's fault: this method or code does not go this way, or not in this state.
    Misused,
    /// Caller's fault: a URI, header or parameter that cannot stand in a SIP message; says which.
    Malformed(&'static str),
    /// An INVITE of ours is still under way in this dialog.
    Pending,
    /// The user is of our domain and unknown here. Answer 404.
    UserUnknown,
    /// The user is of our domain and not reachable now. Answer 480.
    Unavailable,
    /// The URI names a host we can't resolve (only numeric hosts for now), or a scheme we don't route.
    /// Answer 404 or 503.
    Unresolvable,
    /// Over a limit. Answer 503.
    Full,
    /// There is no next hop that takes requests now. Answer 503.
    NoHop,
}

impl Refused {
    /// The status that tells it to who is behind the gateway.
    pub fn status(self) -> u16 {
        match self {
            Refused::DialogUnknown | Refused::ServerUnknown => 481,
            Refused::Misused => 500,
            Refused::Malformed(_) => 400,
            Refused::Pending => 491,
            Refused::UserUnknown | Refused::Unresolvable => 404,
            Refused::Unavailable => 480,
            Refused::Full | Refused::NoHop => 503,
        }
    }
}
