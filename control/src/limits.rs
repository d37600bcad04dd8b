//! Every bound of control that nobody should have to tune, with its reason, and how bounds relate.
//!
//! What an operator may want to change is in `config`, with these as defaults where they have one.

/// Milliseconds of a monotonic clock whose zero is the start of the process.
pub type Millis = u64;

/// Bytes of one JsonRTC message, either way. SDP with its candidates fits many times over.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024;
/// Characters of `session_id`, `subsession_id` and `correlation_id`. A UUID has 36.
pub const ID_CHARS_MAX: usize = 128;
/// Characters of `header.action`.
pub const ACTION_CHARS_MAX: usize = 64;
/// Characters of a package's name.
pub const PACKAGE_CHARS_MAX: usize = 64;
/// Bytes of a user's or peer's address in a frame.
pub const IDENTITY_BYTES_MAX: usize = 256;
/// Extension headers of one frame.
pub const EXTENSIONS_MAX: usize = 32;
/// Bytes of all extension headers of one frame together.
pub const EXTENSION_BYTES_MAX: usize = 4 * 1024;
/// Largest sequence number; a session that gets there is closed.
pub const SEQUENCE_MAX: u32 = i32::MAX as u32;

/// Unreadable texts in a row after which a socket is closed with 1007.
pub const UNREADABLE_IN_A_ROW_MAX: u8 = 5;
/// How long a socket may stay without its `connect`.
pub const OPENING_MS: Millis = 10_000;
/// How long it may stay after a challenge: somebody has to type a password.
pub const CHALLENGED_MS: Millis = 60_000;
/// Challenges on one socket: the first, and after each answer that proves nothing.
pub const CHALLENGES_MAX: u8 = 4;
/// Frames received after which an acknowledgement goes out, if nothing else carried one.
pub const ACK_AFTER_FRAMES: u32 = 16;
/// Time after which an acknowledgement goes out, if nothing else carried one.
pub const ACK_AFTER_MS: Millis = 10_000;
/// Frames one session keeps for an absent browser.
pub const KEPT_FRAMES_MAX: usize = 1000;
/// Bytes one session keeps for an absent browser.
pub const KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Requests of one subsession that wait for their answer, per side.
pub const PENDING_REQUESTS_MAX: usize = 8;

/// Users for whom scripts keep something: each a store of 64 KiB at most, and mostly a line.
pub const USER_STORES_MAX: usize = 50_000;

/// Longest time a hibernating session is kept, in seconds.
pub const HIBERNATE_S_MAX: u32 = 86_400;
/// Octets of what a browser says of its device, for whoever is to wake it up. A push subscription has a few hundred.
pub const DEVICE_BYTES_MAX: usize = 4 * 1024;
/// Push servers that are being told something at once; further ones are left out.
pub const PUSHES_MAX: usize = 64;
/// How long an invitation waits for a user all of whose browsers hibernate.
pub const WAKE_MS: Millis = 30_000;

/// Texts that wait for one slow browser socket; then the socket is closed and the session resumes. A resume
/// sends all that was kept at once.
pub const SOCKET_QUEUE_MAX: usize = KEPT_FRAMES_MAX + 256;
/// HTTP connections at once, WebSockets not counted; further ones wait to be accepted.
pub const HTTP_CONNECTIONS_MAX: usize = 1024;
/// How long a client may take to send the head of a request, from the connection on.
pub const HTTP_HEAD_MS: Millis = 10_000;
/// How long an HTTP connection may last, unless it becomes a WebSocket.
pub const HTTP_CONNECTION_MS: Millis = 120_000;
/// Bytes of the head of a request.
pub const HTTP_HEAD_BYTES_MAX: usize = 64 * 1024;

/// Failed logins of one source within a minute; then it has to wait.
pub const LOGIN_FAILURES_MAX: u32 = 10;
/// Sources of failed logins that are remembered.
pub const LOGIN_SOURCES_MAX: usize = 10_000;
/// Tokens out of URLs that were used and have not expired.
pub const SPENT_TOKENS_MAX: usize = 100_000;
/// Bytes of a token.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Sockets of one source that are open at once: a large office behind one address.
pub const SOCKETS_PER_SOURCE_MAX: usize = 2_000;
/// A browser may send at once what it may send in so many seconds on average.
pub const TEXTS_BURST_S: u32 = 8;

/// Sockets that are open at once, joined to a session or not.
pub const SOCKETS_MAX: usize = 20_000;
/// Inputs that wait for the gateway; then their sources wait.
pub const GATEWAY_QUEUE_MAX: usize = 4096;
/// Commands that wait for one shard of the relay, beyond what its ring holds.
pub const SHARD_QUEUE_MAX: usize = 4096;
/// Messages that wait inside one subsession for the relay's answer.
pub const WAITING_MESSAGES_MAX: usize = 32;

/// New requests that wait for what is under way, of browsers and of SIP peers each.
pub const BACKLOG_MAX: usize = 1024;
/// So many may wait however slowly they are begun.
pub const BACKLOG_MIN: usize = 16;
/// Else as many may as are begun in this time.
pub const BACKLOG_ROOM_MS: Millis = 200;
/// How long one may wait. Over UDP it would be said again after 500 ms.
pub const BACKLOG_WAIT_MS_MAX: Millis = 250;
/// Of a time in which the gateway's task did not get to look, so much counts as waiting: it is longer only where the
/// process has no core.
pub const BACKLOG_STEP_MS_MAX: Millis = 20;

/// Of a session's subsessions, invitations of one caller that ring may have this part: one in so many.
pub const RINGING_PART: usize = 8;

/// How long the relay may take to make a session.
pub const RELAY_ANSWER_MS: Millis = 2_000;
/// How long a request of a browser's package other than an invitation may stay unanswered.
pub const REQUEST_MS: Millis = 32_000;
/// How long a browser may take from an answer to its `complete`.
pub const COMPLETE_MS: Millis = 32_000;
/// How long a dialog outlives its lost media, so that what the relay still has goes out before the peer is
/// told to hang up.
pub const DRAIN_MS: Millis = 1_000;
/// How long after a restart of ours a relay may take to be attached and to tell its sessions.
pub const RELAY_BACK_MS: Millis = 5_000;
/// Pause between attempts to attach to the relay.
pub const RELAY_RETRY_MS: Millis = 1_000;

const _: () = assert!(
    KEPT_BYTES_MAX >= 4 * MESSAGE_BYTES_MAX,
    "a few large frames must fit"
);
const _: () = assert!(
    SOCKET_QUEUE_MAX > KEPT_FRAMES_MAX,
    "a resume fits in the queue"
);
const _: () = assert!(EXTENSION_BYTES_MAX < MESSAGE_BYTES_MAX);
const _: () = assert!(
    RELAY_ANSWER_MS < COMPLETE_MS,
    "the relay answers within a set-up"
);
