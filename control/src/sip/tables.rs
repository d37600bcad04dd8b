//! The running transactions, by id and by what their messages carry.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::api::{ClientId, DialogId, Flow, ServerId, SipTransport, SubscriptionId};
use super::compose::response;
use super::message::Message;
use super::method::Method;
use super::reader::Head;
use super::reliable::{Branch, Reliable};
use super::transaction::{client, server};
use super::uri::SipUri;

/// A request of ours under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Client {
    pub machine: client::Client,
    pub owner: ClientOwner,
    pub method: Method,
    /// As it is sent, with our Via on top.
    pub request: Message,
    pub flow: Flow,
    /// It goes over TCP for its size alone; if that fails, here is where UDP would take it.
    pub fallback: Option<Flow>,
    /// What was asked for, before its size was looked at.
    pub target: Target,
    /// The next hop it went to, if it did.
    pub hop: Option<Flow>,
    pub tries: Tries,
    /// Of an INVITE: who has answered reliably so far.
    pub branches: Vec<Branch>,
    pub cancel: Cancel,
    /// The ACK of a refused INVITE.
    pub ack: Option<Message>,
    key: String,
}

/// What a request has been through before it was sent as it is now.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tries {
    /// Realms whose challenges it has met.
    pub answered: Vec<String>,
    /// Hops that have failed it.
    pub hops: Vec<Flow>,
    /// How often it crossed a change of the peer's.
    pub glares: u8,
    /// It asks for a longer session already.
    pub lengthened: bool,
}

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ClientOwner {
    /// The gateway, in this dialog.
    Gateway(Option<DialogId>),
    /// The proxy, for this request.
    Proxy(ServerId),
    /// A user's registration.
    Registration,
    /// A SUBSCRIBE or REFER; `asked`: the gateway waits for its answer.
    Subscription { id: SubscriptionId, asked: bool },
    /// A NOTIFY in this dialog.
    Notify(DialogId),
    /// A publication is refreshed, or taken back.
    Publication,
    /// We, to know whether a hop is there.
    Probe,
    /// We, to know whether this dialog's peer is there.
    Refresh(DialogId),
    /// We, because a provisional answer in this dialog wants to be acknowledged.
    Prack(DialogId),
    /// Nobody waits for the answer; this dialog (if any) goes with it.
    Nobody(Option<DialogId>),
}

/// Whether an INVITE is to be cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Cancel {
    No,
    /// As soon as a 1xx has come.
    Wanted,
    Sent,
}

/// A request of a peer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Server {
    pub machine: server::Server,
    pub owner: ServerOwner,
    pub method: Method,
    pub cseq: u32,
    /// Without its body.
    pub request: Message,
    /// Where its answers go.
    pub flow: Flow,
    /// Where they go if its connection is lost.
    pub listens: SocketAddr,
    /// Of an INVITE that requires it: our provisional answers.
    pub reliable: Option<Reliable>,
    /// The last answer.
    pub last: Option<Vec<u8>>,
    /// Ours, if the request has none.
    pub to_tag: String,
    key: String,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ServerOwner {
    /// The gateway, in this dialog.
    Gateway(Option<DialogId>),
    /// The proxy, once this request of its own is answered.
    Proxy(ClientId),
    /// We have answered.
    Own,
}

impl Client {
    pub fn new(
        machine: client::Client,
        owner: ClientOwner,
        sent: (Message, Flow),
        branch: &str,
    ) -> Client {
        let (request, flow) = sent;
        let method = request.method();
        let key = client_key(branch, &method);
        Client {
            machine,
            owner,
            method,
            request,
            flow,
            target: Target { flow, fixed: true },
            hop: None,
            tries: Tries::default(),
            branches: Vec::new(),
            fallback: None,
            cancel: Cancel::No,
            ack: None,
            key,
        }
    }
}

impl Client {
    /// Whether it is not wanted any more.
    pub fn is_to_be_cancelled(&self) -> bool {
        self.cancel != Cancel::No
    }
}

impl Server {
    pub fn new(
        machine: server::Server,
        owner: ServerOwner,
        head: &Head,
        received: (&Message, Flow),
        key: String,
        to_tag: String,
    ) -> Server {
        let (message, flow) = received;
        let request = Message {
            start: message.start.clone(),
            headers: message.headers.clone(),
            body: Vec::new(),
        };
        Server {
            machine,
            owner,
            method: head.method.clone(),
            cseq: head.cseq,
            request,
            flow: head.via.reply_flow(flow),
            listens: head.via.sent_from(flow.peer.ip()),
            reliable: None,
            last: None,
            to_tag,
            key,
        }
    }
}

impl Server {
    /// Whether it outlives the process: a text of a peer's that the gateway was told, and must not be told again when
    /// the peer repeats it. RFC 3261, 17.2.2.
    pub fn is_kept(&self) -> bool {
        self.method == Method::Message && self.owner == ServerOwner::Gateway(None)
    }

    /// The same without what no answer repeats.
    pub fn without_the_rest(&self) -> Server {
        let mut kept = self.clone();
        kept.request.headers = response(&self.request, 100, None, "").headers;
        kept
    }
}

/// What the answers to a request of ours carry. RFC 3261, 17.1.3.
pub(super) fn client_key(branch: &str, method: &Method) -> String {
    format!("{branch} {method}")
}

/// What a request and its repetitions carry; for an ACK or CANCEL with `method` INVITE: what the
/// INVITE it belongs to carries. RFC 3261, 17.2.3.
pub(super) fn server_key(message: &Message, head: &Head, method: &Method) -> String {
    let via = &head.via;
    match via.branch() {
        Some(branch) => format!(
            "{branch} {}:{} {method}",
            via.host,
            via.port.unwrap_or(5060)
        ),
        // RFC 2543 had no unique branches: everything that makes a request the same is compared.
        None => {
            let (from, uri) = (head.from.tag().unwrap_or(""), message.request_uri());
            let (call_id, cseq) = (message.call_id(), head.cseq);
            format!("{uri}\n{call_id}\n{from}\n{cseq}\n{via}\n{method}")
        }
    }
}

macro_rules! table {
    ($(#[$doc:meta])* $name:ident, $id:ty, $entry:ty) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        pub(super) struct $name {
            by_id: BTreeMap<$id, $entry>,
            /// Only looked up, never walked: its order is not the same in two runs.
            by_key: HashMap<String, $id>,
        }

        impl $name {
            pub fn insert(&mut self, id: $id, entry: $entry) {
                self.by_key.insert(entry.key.clone(), id);
                self.by_id.insert(id, entry);
            }

            pub fn of(&self, id: $id) -> Option<&$entry> {
                self.by_id.get(&id)
            }

            pub fn of_mut(&mut self, id: $id) -> Option<&mut $entry> {
                self.by_id.get_mut(&id)
            }

            pub fn find(&self, key: &str) -> Option<$id> {
                self.by_key.get(key).copied()
            }

            pub fn remove(&mut self, id: $id) -> Option<$entry> {
                let entry = self.by_id.remove(&id)?;
                if self.by_key.get(&entry.key) == Some(&id) {
                    self.by_key.remove(&entry.key);
                }
                Some(entry)
            }

            pub fn iter_mut(&mut self) -> impl Iterator<Item = ($id, &mut $entry)> {
                self.by_id.iter_mut().map(|(id, entry)| (*id, entry))
            }

            pub fn len(&self) -> usize {
                self.by_id.len()
            }
        }
    };
}

table!(
    /// All requests of ours.
    Clients, ClientId, Client
);
table!(
    /// All requests of peers.
    Servers, ServerId, Server
);

impl Servers {
    /// Those that outlive the process.
    pub fn kept(&self) -> Vec<ServerId> {
        let kept = self.by_id.iter().filter(|(_, server)| server.is_kept());
        kept.map(|(id, _)| *id).collect()
    }
}

/// Where a request is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Target {
    pub flow: Flow,
    /// The transport was named, so the message's size does not change it.
    pub fixed: bool,
}

/// The way to `uri`, for a peer whose messages come by `source`. `None`: there is none we know of.
///
/// 1. A peer that speaks to us over a TCP connection is answered over that one (RFC 5923), unless the
///    URI says UDP.
/// 2. A number is taken at its word, unless the peer's datagrams come from another address: then it is
///    behind a NAT, and they come from where it can be reached.
/// 3. A name is not resolved yet; the source has to do.
pub(super) fn reach(uri: &SipUri, source: Option<Flow>) -> Option<Target> {
    let asked = match uri.param("transport") {
        // RFC 3261, 26.2.2: whatever it says, it has to be secure.
        _ if uri.secure => Some(SipTransport::Tls),
        None => None,
        Some(name) if name.eq_ignore_ascii_case("udp") => Some(SipTransport::Udp),
        Some(name) if name.eq_ignore_ascii_case("tcp") => Some(SipTransport::Tcp),
        Some(name) if name.eq_ignore_ascii_case("tls") => Some(SipTransport::Tls),
        Some(_) => return None,
    };
    let transport = asked.unwrap_or(SipTransport::Udp);
    let of_uri = uri.address().map(|peer| Flow {
        transport,
        peer,
        connection: None,
    });
    let flow = match (of_uri, source) {
        (_, Some(source))
            if source.transport.is_stream()
                && asked != Some(SipTransport::Udp)
                && (asked != Some(SipTransport::Tls) || source.transport == SipTransport::Tls) =>
        {
            source
        }
        (Some(flow), Some(source))
            if flow.transport == source.transport && flow.peer.ip() != source.peer.ip() =>
        {
            source
        }
        (Some(flow), _) => flow,
        (None, Some(source)) if source.transport == transport => source,
        (None, _) => return None,
    };
    let fixed = flow.transport.is_stream() || asked.is_some();
    Some(Target { flow, fixed })
}

#[cfg(test)]
mod tests {
    use super::super::compose::sip_uri;
    use super::*;

    #[test]
    fn a_peer_is_reached_by_its_connection_its_number_or_its_source() {
        let flow = |transport, peer: &str, connection| Flow {
            transport,
            peer: peer.parse().unwrap(),
            connection,
        };
        let (udp, tcp, tls) = (SipTransport::Udp, SipTransport::Tcp, SipTransport::Tls);
        let connection = flow(tcp, "10.0.0.2:40000", Some(7));
        let nat = flow(udp, "192.0.2.9:1024", None);
        let near = flow(udp, "10.0.0.2:1024", None);
        for (uri, source, expected) in [
            (
                "sip:a@10.0.0.2",
                None,
                Some(flow(udp, "10.0.0.2:5060", None)),
            ),
            (
                "sip:a@10.0.0.2:99;transport=TCP",
                None,
                Some(flow(tcp, "10.0.0.2:99", None)),
            ),
            ("sip:a@10.0.0.2", Some(connection), Some(connection)),
            (
                "sip:a@x.invalid;transport=tcp",
                Some(connection),
                Some(connection),
            ),
            (
                "sip:a@10.0.0.2;transport=udp",
                Some(connection),
                Some(flow(udp, "10.0.0.2:5060", None)),
            ),
            ("sip:a@10.0.0.2:99", Some(nat), Some(nat)),
            (
                "sip:a@10.0.0.2:99",
                Some(near),
                Some(flow(udp, "10.0.0.2:99", None)),
            ),
            ("sip:a@x.invalid", Some(near), Some(near)),
            ("sip:a@x.invalid", None, None),
            (
                "sips:a@10.0.0.2",
                None,
                Some(flow(tls, "10.0.0.2:5061", None)),
            ),
            (
                "sip:a@10.0.0.2;transport=tls",
                None,
                Some(flow(tls, "10.0.0.2:5061", None)),
            ),
            (
                "sips:a@10.0.0.2",
                Some(connection),
                Some(flow(tls, "10.0.0.2:5061", None)),
            ),
            ("sip:a@10.0.0.2;transport=sctp", None, None),
        ] {
            let found = reach(&sip_uri(uri).unwrap(), source).map(|target| target.flow);
            assert_eq!(found, expected, "{uri}");
        }
    }
}
