//! Which function of a package's script handles which message.
//!
//! `FROM_APP/start/request` is `fn from_app_start_request(context)`.

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a browser.
    FromApp,
    /// From the SIP side.
    FromNet,
}

/// What kind of message it is: the control type of a frame, or request or response for SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A request.
    Request,
    /// A response.
    Response,
    /// A frame that wants no answer.
    Message,
    /// A frame that ends a transaction with an error.
    Error,
}

/// The key by which a message finds its function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Criterion {
    /// Where the message came from.
    pub direction: Direction,
    /// `header.action` of a frame, the method of a SIP request, or the method a SIP response answers.
    pub verb: String,
    /// What kind of message it is.
    pub kind: Kind,
    /// The status of a SIP response, 100 to 699.
    pub status: Option<u16>,
}
