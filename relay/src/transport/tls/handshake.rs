//! The handshake, which rustls makes; here it is fed and asked.
//!
//! It is shown one record more at a time, never one that comes after the handshake's last: what
//! follows that is for [`super::records`].

use rustls::HandshakeKind;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};

use super::records::{Kernel, Records};
use super::{Broken, PeerCertificate, Step, alert, broken_in_the_clear, record_bytes};

/// A handshake under way.
pub(super) struct Handshake {
    role: Role,
    /// Octets at the input's beginning that rustls has seen and not let go of: the first records
    /// of a message in several.
    seen: usize,
}

/// Which side of it is ours.
#[allow(
    clippy::large_enum_variant,
    reason = "boxed by the one who holds it, and short-lived"
)]
pub(super) enum Role {
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

/// What rustls says when it has been shown some records.
enum Said {
    /// It has written so many octets to be sent.
    Wrote(usize),
    /// Ask again.
    Again,
    /// More records are needed.
    Blocked,
    /// The handshake is done.
    Done,
    /// It cannot go on.
    Failed,
}

impl Handshake {
    pub(super) fn new(role: Role) -> Handshake {
        Handshake { role, seen: 0 }
    }

    pub(super) fn read(&mut self, input: &mut [u8], out: &mut [u8]) -> Result<Step, Broken> {
        let mut shown = self.seen.min(input.len());
        loop {
            let (used, said) = self.show(&mut input[..shown], out);
            self.seen = shown - used;
            match said {
                Said::Wrote(bytes) => return Ok(Step::Send { used, bytes }),
                Said::Done => return Ok(Step::Established(used)),
                Said::Failed => return Err(self.last_words(&mut input[used..shown], out)),
                Said::Again | Said::Blocked if used > 0 => return Ok(Step::Nothing(used)),
                Said::Again => {}
                Said::Blocked => match record_bytes(&input[shown..]) {
                    Ok(bytes) if shown + bytes > input.len() => {
                        return Ok(Step::More(shown + bytes - input.len()));
                    }
                    Ok(bytes) => shown += bytes,
                    Err(description) => return Err(broken_in_the_clear(out, description)),
                },
            }
        }
    }

    fn show(&mut self, input: &mut [u8], out: &mut [u8]) -> (usize, Said) {
        let (used, said) = match &mut self.role {
            Role::Server(connection) => ask(connection.process_tls_records(input), out),
            Role::Client(connection) => ask(connection.process_tls_records(input), out),
        };
        let goes_on = match &self.role {
            Role::Server(connection) => connection.is_handshaking(),
            Role::Client(connection) => connection.is_handshaking(),
        };
        match said {
            // The server may write before the client has finished; it does not want to.
            Said::Done if goes_on => (used, Said::Blocked),
            said => (used, said),
        }
    }

    /// The alert that rustls has left, if any.
    fn last_words(&mut self, input: &mut [u8], out: &mut [u8]) -> Broken {
        match self.show(input, out) {
            (_, Said::Wrote(bytes)) => Broken { bytes },
            _ => Broken { bytes: 0 },
        }
    }

    pub(super) fn is_resumed(&self) -> bool {
        let kind = match &self.role {
            Role::Server(connection) => connection.handshake_kind(),
            Role::Client(connection) => connection.handshake_kind(),
        };
        kind == Some(HandshakeKind::Resumed)
    }

    /// Takes out the secrets. The error is the alert that says why not.
    pub(super) fn finish(self) -> Result<(Records, Option<PeerCertificate>), u8> {
        let peer = match &self.role {
            Role::Server(connection) => connection.peer_certificates(),
            Role::Client(connection) => connection.peer_certificates(),
        };
        let peer = peer.and_then(PeerCertificate::of);
        let taken = match self.role {
            Role::Server(connection) => connection
                .dangerous_into_kernel_connection()
                .map(|(secrets, kernel)| (secrets, Kernel::Server(kernel))),
            Role::Client(connection) => connection
                .dangerous_into_kernel_connection()
                .map(|(secrets, kernel)| (secrets, Kernel::Client(kernel))),
        };
        let (secrets, kernel) = taken.map_err(|_| alert::INTERNAL_ERROR)?;
        Ok((Records::new(secrets, kernel)?, peer))
    }
}

fn ask<Data>(status: UnbufferedStatus<'_, '_, Data>, out: &mut [u8]) -> (usize, Said) {
    let said = match status.state {
        Ok(ConnectionState::EncodeTlsData(mut data)) => match data.encode(out) {
            Ok(bytes) => Said::Wrote(bytes),
            Err(_) => Said::Failed,
        },
        Ok(ConnectionState::TransmitTlsData(data)) => {
            // What was written is queued to be sent before anything else is.
            data.done();
            Said::Again
        }
        Ok(ConnectionState::BlockedHandshake) => Said::Blocked,
        Ok(ConnectionState::WriteTraffic(_)) => Said::Done,
        // Data before the handshake's end, or a close in the middle of it.
        _ => Said::Failed,
    };
    (status.discard, said)
}
