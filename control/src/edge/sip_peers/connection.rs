//! One connection: frames what its peer sends, writes what is queued for it.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::{timeout, timeout_at};

use crate::sip::{Flow, Frame, Framer, PING, PONG};

/// A byte stream to a peer: TCP, or TLS in it.
pub trait Pipe: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Pipe for S {}

/// What a connection's task says.
pub enum Input {
    /// A whole message came.
    Message {
        /// By this connection.
        flow: Flow,
        /// Its octets.
        bytes: Vec<u8>,
    },
    /// The connection is gone.
    Lost {
        /// This one.
        flow: Flow,
    },
}

/// What a connection's task is told.
pub enum Order {
    /// Write these octets.
    Write(Vec<u8>),
    /// See so often that the peer is there.
    KeepAlive(Duration),
}

/// How long a connection may be of no use.
#[derive(Clone, Copy)]
pub struct Patience {
    /// Without traffic.
    pub idle: Duration,
    /// With a message half here, or without a first one.
    pub message: Duration,
    /// Without an answer to a ping.
    pub pong: Duration,
    /// We asked for it, or a whole message has come: it may be idle.
    pub known: bool,
}

/// The stream, for messages that are small and wait for an answer: nothing is gained by waiting for more.
pub fn prompt(stream: TcpStream) -> TcpStream {
    // If it can't be, it is slower, and no less right.
    let _ = stream.set_nodelay(true);
    stream
}

/// One connection until it ends: by its peer, by silence, or because it can't be understood.
pub async fn serve(
    stream: Box<dyn Pipe>,
    flow: Flow,
    mut queued: mpsc::Receiver<Order>,
    inputs: &mpsc::Sender<Input>,
    mut patience: Patience,
) {
    let (idle, message) = (patience.idle, patience.message);
    let after = |span: Duration| tokio::time::Instant::now() + span;
    let (mut reading, mut writing) = tokio::io::split(stream);
    let mut framer = Framer::new(super::DATAGRAM_BYTES_MAX);
    let mut buffer = vec![0; 4096];
    let mut until = after(if patience.known { idle } else { message });
    let (mut every, mut ping_at, mut pinged) = (None, after(idle), false);
    loop {
        tokio::select! {
            read = timeout_at(until, reading.read(&mut buffer)) => {
                let Ok(Ok(length @ 1..)) = read else {
                    return;
                };
                // Whatever it says, it is there.
                (pinged, ping_at) = (false, after(every.unwrap_or(idle)));
                let mut goes_on = framer.has_begun();
                framer.push(buffer.get(..length).unwrap_or_default());
                loop {
                    match framer.next_frame() {
                        Ok(None) => break,
                        Ok(Some(Frame::Message(bytes))) => {
                            (patience.known, goes_on) = (true, false);
                            if inputs.send(Input::Message { flow, bytes }).await.is_err() {
                                return;
                            }
                        }
                        Ok(Some(Frame::Ping)) => {
                            if !write(&mut writing, PONG, idle).await {
                                return;
                            }
                        }
                        Err(_) => return,
                    }
                }
                until = match framer.has_begun() {
                    _ if !patience.known => until,
                    true if goes_on => until,
                    true => after(message),
                    false => after(idle),
                };
            }
            () = tokio::time::sleep_until(ping_at), if every.is_some() => {
                if pinged || !write(&mut writing, PING, idle).await {
                    return;
                }
                framer.note_ping();
                (pinged, ping_at) = (true, after(patience.pong));
            }
            queued = queued.recv() => {
                let bytes = match queued {
                    Some(Order::Write(bytes)) => bytes,
                    Some(Order::KeepAlive(span)) => {
                        (every, ping_at) = (Some(span), after(span));
                        continue;
                    }
                    None => return,
                };
                if !write(&mut writing, &bytes, idle).await {
                    return;
                }
                if patience.known && !framer.has_begun() {
                    until = after(idle);
                }
            }
        }
    }
}

async fn write(writing: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8], idle: Duration) -> bool {
    let written = async {
        writing.write_all(bytes).await?;
        // TLS holds back what the socket has no room for.
        writing.flush().await
    };
    matches!(timeout(idle, written).await, Ok(Ok(())))
}
