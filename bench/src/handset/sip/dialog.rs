//! A dialog: who talks to whom, with which numbers, along which way. RFC 3261, 12.

use super::message::Message;
use super::uri::{Address, Uri};

/// One side's view of a dialog.
#[derive(Debug, Clone)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: String,
    /// Our From (or To), with our tag.
    pub local: String,
    /// The peer's, with its tag once it is known.
    pub remote: String,
    /// Where the peer wants requests: its Contact.
    pub target: String,
    /// The Route headers of our requests.
    pub route: Vec<String>,
    /// The number of our last request.
    pub local_cseq: u32,
    /// The number of the peer's last request.
    pub remote_cseq: Option<u32>,
}

impl Dialog {
    /// The dialog that an incoming INVITE opens, answered with `tag`.
    pub fn of_invite(invite: &Message, tag: &str) -> Option<Dialog> {
        Some(Dialog {
            call_id: invite.header("Call-ID")?.to_owned(),
            local: format!("{};tag={tag}", invite.header("To")?),
            remote: invite.header("From")?.to_owned(),
            target: invite.address("Contact")?.uri,
            route: invite
                .list("Record-Route")
                .into_iter()
                .map(str::to_owned)
                .collect(),
            local_cseq: 0,
            remote_cseq: invite.cseq().map(|(number, _)| number),
        })
    }

    /// Takes from a response to our INVITE what the peer chose: tag, Contact, route.
    pub fn learn(&mut self, response: &Message) {
        if let Some(to) = response.header("To") {
            self.remote = to.to_owned();
        }
        if let Some(contact) = response.address("Contact") {
            self.target = contact.uri;
        }
        let route = response.list("Record-Route").into_iter().rev();
        self.route = route.map(str::to_owned).collect();
    }

    /// The peer's tag.
    pub fn remote_tag(&self) -> Option<String> {
        Address::parse(&self.remote)?
            .parameter("tag")
            .map(str::to_owned)
    }

    /// Our tag.
    pub fn local_tag(&self) -> Option<String> {
        Address::parse(&self.local)?
            .parameter("tag")
            .map(str::to_owned)
    }

    /// Whether an incoming request or response belongs here.
    pub fn matches(&self, message: &Message) -> bool {
        let (ours, theirs) = match message.status() {
            Some(_) => ("From", "To"),
            None => ("To", "From"),
        };
        message.header("Call-ID") == Some(self.call_id.as_str())
            && message.tag(ours) == self.local_tag()
            && (self.remote_tag().is_none() || message.tag(theirs) == self.remote_tag())
    }

    /// A request inside the dialog, without Via and Contact. ACK keeps the INVITE's number.
    pub fn request(&mut self, method: &str) -> Message {
        if method != "ACK" {
            self.local_cseq += 1;
        }
        let mut request = Message::request(method, &self.target);
        for route in &self.route {
            request.push("Route", route.clone());
        }
        request.push("Max-Forwards", "70");
        request.push("From", self.local.clone());
        request.push("To", self.remote.clone());
        request.push("Call-ID", self.call_id.clone());
        request.push("CSeq", format!("{} {method}", self.local_cseq));
        request
    }

    /// The URI of the next hop: the first Route, else the peer's Contact.
    pub fn next_hop(&self) -> Option<Uri> {
        let uri = match self.route.first() {
            Some(route) => Address::parse(route)?.uri,
            None => self.target.clone(),
        };
        Uri::parse(&uri)
    }
}

/// The user part and the host of From, without a port: `alice@localhost`.
pub fn short_name(value: &str) -> String {
    let uri = Address::parse(value)
        .map(|address| address.uri)
        .unwrap_or_default();
    match Uri::parse(&uri) {
        Some(Uri {
            user: Some(user),
            host,
            ..
        }) => format!("{user}@{host}"),
        Some(Uri { host, .. }) => host,
        None => uri,
    }
}
