//! What one script may use, each bound with its reason.

/// Octets of one script or one test. The shipped ones have a few thousand.
pub const SOURCE_BYTES_MAX: usize = 256 * 1024;
/// Packages of one set, the library not counted.
pub const PACKAGES_MAX: usize = 64;
/// Cases of one package's test.
pub const TEST_CASES_MAX: usize = 1000;

/// Steps of one run. 100 000 are about 4 ms; the longest shipped function takes a few hundred. It bounds the
/// memory too: a map grown by index assignment is checked by nothing else.
pub const OPERATIONS_MAX: u64 = 100_000;
/// CPU time of one run, in milliseconds: catches what is slow in few steps.
pub const RUN_MS_MAX: u64 = 50;
/// Steps between two looks at the clock; the time counts from the first look. One step with strings of the largest size
/// takes a few tens of microseconds.
pub(super) const OPERATIONS_PER_LOOK: u64 = 128;
/// Functions that call each other. A thread's stack of 2 MiB holds this many twice over in a debug build.
pub const CALL_LEVELS_MAX: usize = 24;
/// Nesting of expressions, at the top and in a function.
pub const EXPRESSION_DEPTH_MAX: usize = 48;
/// Variables in scope at once.
pub const VARIABLES_MAX: usize = 256;
/// Functions of one script.
pub const FUNCTIONS_MAX: usize = 512;
/// Octets of one string: a body of the largest size, twice.
pub const STRING_BYTES_MAX: usize = 2 * CONTENT_BYTES_MAX;
/// Elements of an array.
pub const ARRAY_MAX: usize = 1000;
/// Members of a map.
pub const MAP_MAX: usize = 1000;
/// How deep JSON may be nested on its way in or out.
pub const JSON_DEPTH_MAX: usize = 16;

/// Messages one run may send.
pub const OUTBOUND_MAX: usize = 10;
/// Octets of a SIP body.
pub const CONTENT_BYTES_MAX: usize = 64 * 1024;
/// Octets of a frame's header and payload together, as JSON.
pub const FRAME_BYTES_MAX: usize = 192 * 1024;
/// Header fields of one SIP message that a script sets.
pub const HEADERS_MAX: usize = 64;
/// Octets of one header field's value, an address or a parameter's value.
pub const VALUE_BYTES_MAX: usize = 4096;
/// Octets of a method's, header field's, parameter's or action's name.
pub const NAME_BYTES_MAX: usize = 64;
/// Octets of one store entry as JSON, its key included.
pub const STORE_ENTRY_BYTES_MAX: usize = 16 * 1024;
/// Octets of one store as JSON.
pub const STORE_BYTES_MAX: usize = 64 * 1024;
/// Milliseconds a script's timer may run: an hour.
pub const TIMER_MS_MAX: u64 = 3_600_000;
/// Lines one run may log; what is more is dropped.
pub const LOG_LINES_MAX: usize = 32;
/// Octets of one line; what is more is cut off.
pub const LOG_BYTES_MAX: usize = 1024;

const _: () = assert!(STORE_ENTRY_BYTES_MAX <= STORE_BYTES_MAX);
const _: () = assert!(
    CONTENT_BYTES_MAX < FRAME_BYTES_MAX,
    "a description fits into a frame"
);
