//! Asking a control that runs, at its `admin.listen`, from the operator's command line.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long control may take to accept.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Sends one request and copies what comes back to `out`, until it ends.
///
/// # Errors
/// A sentence: nobody answers there, or the answer is no success; then the answer itself.
pub fn ask(
    admin: SocketAddr,
    method: &str,
    target: &str,
    out: &mut impl Write,
) -> Result<(), String> {
    let unreachable = |error: io::Error| {
        format!("no control answers at {admin} (admin.listen): {error}; is it running?")
    };
    let mut stream = TcpStream::connect_timeout(&admin, CONNECT_TIMEOUT).map_err(unreachable)?;
    // In HTTP/1.0 an answer is not chunked, and ends with its connection.
    write!(
        stream,
        "{method} {target} HTTP/1.0\r\nHost: {admin}\r\nContent-Length: 0\r\n\r\n"
    )
    .map_err(unreachable)?;
    let mut answer = BufReader::new(stream);
    let mut status = String::new();
    answer.read_line(&mut status).map_err(unreachable)?;
    let mut line = String::new();
    while answer.read_line(&mut line).map_err(unreachable)? > 2 {
        line.clear();
    }
    if status.split(' ').nth(1) != Some("200") {
        let mut said = Vec::new();
        io::copy(&mut answer, &mut said).map_err(unreachable)?;
        let said = String::from_utf8_lossy(&said);
        return Err(format!("{} ({})", said.trim_end(), status.trim_end()));
    }
    io::copy(&mut answer, out).map_err(unreachable)?;
    Ok(())
}
