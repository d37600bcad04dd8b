//! The scripts of the packages: compiling them, running one for one message, bounding what it may use.
//!
//! A run is a pure function from a message and the stores to a list of messages to send and the
//! stores as they are then. A script gets no socket, no file and no clock; what it sends is carried
//! out by the host after the run. Not here: choosing the package of a message and reading package
//! folders (`packages`), carrying out what a run says (`gateway`).

mod criterion;
mod error;
mod message;

pub use criterion::{Criterion, Direction, Kind};
pub use error::{Fault, ScriptError};
pub use message::{
    Actions, Content, Inbound, JsonMap, LogLevel, LogLine, MessageState, OutSipRequest,
    OutSipResponse, OutWeb, Outbound, Outcome, Run, SessionView, SipView, Stores, SubsessionView,
    WebKind, WebView,
};

/// The text of one script and of its test.
#[derive(Debug, Clone)]
pub struct Source {
    /// The package's name; the library's is [`LIBRARY`].
    pub package: String,
    /// The name for error messages, such as `chat/chat.rhai`.
    pub file: String,
    /// The script.
    pub text: String,
    /// The package's test: name for error messages, JSON text. A package without one is not dry-run.
    pub test: Option<(String, String)>,
}

/// The name under which the library's source is given: its functions are callable from all packages.
pub const LIBRARY: &str = "library";

/// A compiled set of scripts: the library and the packages. Share it by `Arc`, swap it whole.
pub struct Scripts;

impl Scripts {
    /// Compiles all sources and runs every package's test.
    ///
    /// `constants` are what scripts read as `Constants.NAME`, beside the `const`s of the library and
    /// of their own package, which they override.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place. Nothing is kept then: the caller goes on with
    /// the set it has.
    pub fn load(sources: Vec<Source>, constants: JsonMap) -> Result<Scripts, ScriptError> {
        let _ = (sources, constants);
        todo!()
    }

    /// Runs the function that handles the message. Takes at most `limits::RUN_TIME_MAX`.
    ///
    /// # Errors
    /// The script failed or went over a limit; nothing it did counts.
    pub fn run(&self, run: &Run) -> Result<Outcome, ScriptError> {
        let _ = run;
        todo!()
    }

    /// The package that takes a SIP request outside of any dialog, by the library's
    /// `resolvePackageType(sipRequest)`. `None`: none does.
    ///
    /// # Errors
    /// As for [`Scripts::run`].
    pub fn resolve_package(&self, request: &SipView) -> Result<Option<String>, ScriptError> {
        let _ = request;
        todo!()
    }

    /// All packages with the names of their criteria functions, sorted.
    pub fn criteria(&self) -> Vec<(String, Vec<String>)> {
        todo!()
    }

    /// Whether there is a package of this name.
    pub fn has_package(&self, package: &str) -> bool {
        let _ = package;
        todo!()
    }
}
