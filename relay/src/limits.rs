//! Every bound of a shard with its reason, and how the bounds relate.
//!
//! What an operator may tune is in [`crate::config::Pools`]; here stands what nobody should.

use std::time::Duration;

/// The longest path (`a=path` or `To-Path`) that a leg may have, in octets; control answers 488
/// above it.
pub const PATH_BYTES_MAX: usize = link::PATH_BYTES_MAX;

/// Room left free before the data of a receive buffer, and of a block that holds a head, in which a head can grow to the left when it is
/// rewritten: start line, both path lines of full length, and a WebSocket frame header.
pub const HEADROOM_BYTES: usize = 3072;

/// Octets one receive can bring: all that TCP hands over at once, so that chunks rarely lie in two.
pub const DATA_BYTES: usize = 65 * 1024;

/// One receive buffer: whole pages, and an odd number of them, so that the beginnings of buffers do
/// not all fall on the same places of the cache.
pub const BUFFER_BYTES: usize = HEADROOM_BYTES + DATA_BYTES;

/// An unfinished head or record that a block can hold.
pub const BLOCK_DATA_BYTES: usize = 17 * 1024;

/// One block, a whole number of pages.
pub const BLOCK_BYTES: usize = HEADROOM_BYTES + BLOCK_DATA_BYTES;

/// The longest beginning of a chunk that we write ourselves: start line, perhaps with a longer
/// transaction id than it came with, `To-Path`, `From-Path`.
pub const PREFIX_BYTES_MAX: usize = wire::limits::START_LINE_BYTES_MAX
    + wire::limits::TRANSACTION_BYTES_MAX
    + 2 * (PATH_BYTES_MAX + PATH_LINE_BYTES);

/// `From-Path: ` and the line's end.
const PATH_LINE_BYTES: usize = 13;

/// A server's WebSocket frame header, which has no mask.
pub const FRAME_HEADER_BYTES_MAX: usize = 10;

/// What handling one part of a chunk may write at most into the shard's arena: a prefix with its
/// frame header, and a response of our own. Looked for before a part is read, so that a part once
/// read can always be passed on.
pub const ARENA_RESERVE: usize = 2 * PREFIX_BYTES_MAX + 1024;

/// Pieces for each receive buffer: one set aside for when it is an input, the rest for what is
/// made of it, which are many when messages are small.
pub const PIECES_PER_BUFFER: u32 = 8;

/// Pieces that handling one part may append to queues at most: frame header with held octets,
/// prefix, rest, and one answer of our own.
pub const PIECES_RESERVE: u32 = 6;

/// A piece up to this length is packed with others when too much memory is held for a slow leg.
pub const PACKED_PIECE_BYTES_MAX: u32 = BUFFER_BYTES as u32 / 4;

/// The same of a piece that has a block to itself.
pub const PACKED_PIECE_BYTES_MAX_OF_BLOCK: u32 = BLOCK_BYTES as u32 / 4;

/// Pieces that may wait for one leg. Past it its source is not read, however small they are.
pub const PIECES_PER_LEG_MAX: u32 = 256;

/// Pieces set aside for what ends connections in form: frames that say good-bye, ends of chunks.
pub const FAREWELL_PIECES: u32 = 64;

/// Spans that one send gathers at most. More waits for the next send.
pub const SEND_SPANS_MAX: usize = 32;

/// Octets of records that are made ready for one connection at most: enough to keep the kernel busy
/// until the next turn. What waits beyond them waits unsealed.
pub const SEALED_BYTES_MAX: u64 = 64 << 10;

/// Certificates that one folder may hold.
pub const CERTIFICATES_MAX: usize = 256;

/// The largest file with certificates, a key, or authorities.
pub const CERTIFICATE_FILE_BYTES_MAX: u64 = 2 << 20;

/// Steps of handshakes that are taken in one turn: those who talk wait for no more than these.
pub const HANDSHAKE_STEPS_PER_TURN: u32 = 2;

/// A handshake with whoever connects to us must be done by then.
pub const HANDSHAKE_FOR: Duration = Duration::from_secs(10);

/// Receive buffers that the kernel is given at least.
pub const POSTED_BUFFERS_MIN: u16 = 8;

/// Octets that one turn may receive before what came first has left the core's own cache, which on
/// most machines holds twice this.
pub const WARM_BYTES: u32 = 512 << 10;

/// Entries of the submission queue; when a turn asks for more, it enters the kernel twice.
pub const SUBMISSIONS: u32 = 4096;

/// Connections that the kernel keeps for us until we accept them, per listener.
pub const ACCEPT_BACKLOG: i32 = 1024;

/// Commands taken from control in one turn, so that a flood of them does not starve the media.
pub const COMMANDS_PER_TURN: usize = 64;

/// An upgrade request of a browser may be as long as this.
pub const UPGRADE_BYTES_MAX: usize = wire::limits::UPGRADE_BYTES_MAX;

/// Messages of one leg that may be under way at once, chunks of one between those of another, if all are to
/// be reported on when the session fails. Of more, the oldest is forgotten.
pub const OPEN_MESSAGES_PER_LEG_MAX: usize = 4;

/// Requests of one session and direction that are remembered for their response. More are passed
/// on without being remembered.
pub const PENDING_PER_DIRECTION_MAX: u32 = 1024;

/// A request whose response has not come by then is forgotten; its sender counts the same 30 s
/// (RFC 4975, 7.1.1).
pub const PENDING_FOR: Duration = Duration::from_secs(30);

/// A chunk or a head that has begun must go on by then; else it is cut off, so that it does not
/// keep from the other peer what it is owed.
pub const HALF_DONE_FOR: Duration = Duration::from_secs(30);

/// A peer that has ended its direction while what it sent waits for the other leg is waited with
/// for so long.
pub const FAREWELL_FOR: Duration = Duration::from_secs(30);

/// An accept that failed, most likely because the machine is short of something, is tried again
/// after this long.
pub const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// A connection that has been accepted must say by then whom it is for (RFC 4976, 6.1).
pub const UNBOUND_FOR: Duration = Duration::from_secs(30);

/// A connection of ours must be made by then.
pub const CONNECTING_FOR: Duration = Duration::from_secs(30);

/// A peer that takes no octet for this long while some wait for it has failed.
pub const STALLED_FOR: Duration = Duration::from_secs(30);

/// A connection whose peer acknowledges nothing for this long is failed by the kernel. The shard, which
/// knows more, comes first.
pub const UNACKNOWLEDGED_FOR: Duration = Duration::from_secs(40);

/// The least that control may set in its place: below it, packets that are merely late end connections.
pub const USER_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// How many user timeouts the shared listeners of a shard may have at once, if legs of every transport wish
/// for each: a listener hands its own on to what it accepts, so each takes listeners of its own.
pub const USER_TIMEOUTS_MAX: u32 = 4;

/// A TCP peer that is silent is probed after so many times its user timeout, and then four times in as
/// long again until it is gone.
pub const PROBED_AFTER_TIMEOUTS: u32 = 3;

/// A browser that has not been heard of for this long is pinged, and each time again
/// (RFC 7977, 6).
pub const PING_EVERY: Duration = Duration::from_secs(25);

/// Pings without an answer of any kind after which a browser is gone.
pub const PINGS_UNANSWERED_MAX: u8 = 2;

/// Where sessions share a connection, what one of them sends to a leg that is not there holds up the
/// others for so long: handsets give up what is not answered within some seconds.
pub const ABSENT_FOR: Duration = Duration::from_secs(5);

/// A chunk on a shared connection that others wait for to end must have done so by then: early enough for
/// those who have waited to go before they are refused.
pub const ENDED_FOR_OTHERS_BY: Duration = Duration::from_secs(10);

/// What it sends to a leg that is slow, or that is waiting for chunks of others to end, holds them up for
/// so long. Well within the 30 s in which what the others have sent must be answered (RFC 4975, 7.1.1).
pub const HELD_UP_FOR: Duration = Duration::from_secs(15);

/// What is queued when a leg ends gets this long to go out.
pub const DRAINING_FOR: Duration = Duration::from_secs(1);

/// The longest deadline that control may give a leg.
pub const DEADLINE_MAX: Duration = Duration::from_secs(600);

/// A port that one leg had for itself rests for so long before another gets it: what was meant for
/// the one, a SYN sent again and again, must not meet the other.
pub const PORT_RESTS_FOR: Duration = Duration::from_secs(60);

/// The longest name of a realm.
pub const REALM_BYTES_MAX: usize = link::REALM_BYTES_MAX;

/// Addresses that a realm may have.
pub const REALM_ADDRESSES_MAX: usize = 4;

/// Sessions a shard can be given at most; session numbers travel in five letters of a session-id.
pub const SESSIONS_MAX: u32 = 1 << 20;

const _: () = assert!(HEADROOM_BYTES >= PREFIX_BYTES_MAX + FRAME_HEADER_BYTES_MAX);
const _: () = assert!(
    BLOCK_DATA_BYTES >= wire::limits::HEAD_BYTES_MAX,
    "a head fits in a block"
);
const _: () = assert!(
    BLOCK_DATA_BYTES >= UPGRADE_BYTES_MAX,
    "so does an upgrade request"
);
const _: () = assert!(ARENA_RESERVE <= BLOCK_BYTES);
const _: () = assert!(PACKED_PIECE_BYTES_MAX as usize <= BLOCK_BYTES);
const _: () = assert!(BLOCK_BYTES.is_multiple_of(4096) && BUFFER_BYTES.is_multiple_of(4096));
const _: () = assert!(UNACKNOWLEDGED_FOR.as_secs() > STALLED_FOR.as_secs());
const _: () = assert!(ENDED_FOR_OTHERS_BY.as_secs() < HELD_UP_FOR.as_secs());
const _: () = assert!(HELD_UP_FOR.as_secs() + ABSENT_FOR.as_secs() < PENDING_FOR.as_secs());
