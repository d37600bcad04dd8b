//! Status codes and the comment that goes with each. RFC 4975, 10; RFC 4976; RFC 7701.

/// The transaction was successful.
pub const OK: u16 = 200;
/// The request was unintelligible.
pub const BAD_REQUEST: u16 = 400;
/// Not allowed; do not try again.
pub const FORBIDDEN: u16 = 403;
/// Something downstream did not answer in time.
pub const TIMEOUT: u16 = 408;
/// Stop sending this message.
pub const STOP: u16 = 413;
/// The media type is not understood.
pub const MEDIA_TYPE: u16 = 415;
/// A parameter is out of bounds.
pub const OUT_OF_BOUNDS: u16 = 423;
/// No such session.
pub const NO_SESSION: u16 = 481;
/// The method is not understood.
pub const UNKNOWN_METHOD: u16 = 501;
/// The session is bound to another connection.
pub const BOUND_ELSEWHERE: u16 = 506;

/// The standard comment of a code, to be written into start and Status lines.
pub fn comment(code: u16) -> &'static str {
    match code {
        OK..=299 => "OK",
        BAD_REQUEST => "Bad Request",
        401 => "Unauthorized",
        FORBIDDEN => "Forbidden",
        TIMEOUT => "Request Timeout",
        STOP => "Stop Sending Message",
        MEDIA_TYPE => "Unsupported Media Type",
        OUT_OF_BOUNDS => "Parameter Out of Bounds",
        424 => "Malformed Nickname",
        425 => "Nickname Reserved or In Use",
        NO_SESSION => "Session Does Not Exist",
        UNKNOWN_METHOD => "Method Not Understood",
        BOUND_ELSEWHERE => "Session Already Bound",
        _ => "Error",
    }
}
