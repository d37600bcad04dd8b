//! SIP: messages, transactions, dialogs, the registrar and the proxy of our own domain. Pure.
//!
//! ```text
//! bytes ▶ reader ▶ check ▶ transaction ▶ dialog ▶ Event to the gateway
//!                                      ▶ registrar (REGISTER)
//!                                      ▶ proxy (handset to handset)
//! gateway ▶ request/respond/ack/cancel ▶ dialog ▶ transaction ▶ Transmit
//! ```
//!
//! [`Sip`] is one machine: bytes and time in, [`Action`]s out. It opens no socket and reads no clock;
//! its state is `serde`-serialisable. The edge calls [`Sip::receive`], [`Sip::flow_lost`] and, when
//! [`Sip::deadline`] has come, [`Sip::timeout`]; the gateway calls the rest.

mod api;
mod message;
mod method;
mod settings;

pub use api::*;
pub use message::{Message, StartLine};
pub use method::Method;
pub use settings::{Limits, Settings, Timing};

/// The machine.
pub struct Sip {}

impl Sip {
    /// A machine without any state. `seed` is what its branches, tags and Call-IDs come from: from the
    /// kernel's generator in the program, fixed in tests.
    pub fn new(_settings: Settings, _seed: [u8; 32]) -> Sip {
        todo!()
    }

    /// One datagram, or one message a [`Framer`] cut out of a stream.
    pub fn receive(&mut self, _flow: Flow, _message: &[u8], _now: Millis, _out: &mut Vec<Action>) {
        todo!()
    }

    /// A TCP connection broke or could not be opened.
    pub fn flow_lost(&mut self, _flow: Flow, _now: Millis, _out: &mut Vec<Action>) {
        todo!()
    }

    /// The time of [`Sip::deadline`] has come.
    pub fn timeout(&mut self, _now: Millis, _out: &mut Vec<Action>) {
        todo!()
    }

    /// When to call [`Sip::timeout`], if ever.
    pub fn deadline(&self) -> Option<Millis> {
        todo!()
    }

    /// Requests for `user` (the user part: `alice`) of our domain go to the gateway from now on.
    pub fn add_local(&mut self, _user: &str) {
        todo!()
    }

    /// They don't any more. Dialogs go on.
    pub fn remove_local(&mut self, _user: &str) {
        todo!()
    }

    /// Sends a request, in a dialog or outside; an INVITE outside opens a dialog.
    ///
    /// Outside a dialog it goes to: a local user, through our own address; else the newest binding of
    /// the Request-URI's user, if the domain is ours; else the URI's numeric host and port.
    pub fn request(
        &mut self,
        _dialog: Option<DialogId>,
        _request: OutRequest,
        _now: Millis,
        _out: &mut Vec<Action>,
    ) -> Result<Sent, Refused> {
        todo!()
    }

    /// Answers a request. A 2xx to an INVITE is repeated until its ACK comes ([`Event::Acked`]).
    pub fn respond(
        &mut self,
        _server: ServerId,
        _response: OutResponse,
        _now: Millis,
        _out: &mut Vec<Action>,
    ) -> Result<(), Refused> {
        todo!()
    }

    /// Acknowledges the 2xx to our INVITE (the latest, in this dialog), and every repetition of it.
    /// To be called once a 2xx [`Event::Response`] has come. Without effect on an unknown dialog.
    pub fn ack(&mut self, _dialog: DialogId, _now: Millis, _out: &mut Vec<Action>) {
        todo!()
    }

    /// Cancels our INVITE: at once if a 1xx has come, else as soon as one comes. The end is told by a
    /// [`Event::Response`] (487, or another final refusal) or [`Event::Failed`]; a 2xx that crosses is
    /// acknowledged and ended here, and told as [`Failure::Cancelled`]. Without effect when finished.
    pub fn cancel(&mut self, _client: ClientId, _now: Millis, _out: &mut Vec<Action>) {
        todo!()
    }
}
