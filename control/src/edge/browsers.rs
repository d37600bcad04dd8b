//! The browsers' WebSockets: the handshake, and one task per socket between it and the gateway.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::mpsc;

use super::inputs::{Input, ToBrowser};
use super::login::Door;
use crate::config::Application;
use crate::jsonrtc::{Login, SocketId, close};
use crate::limits::{MESSAGE_BYTES_MAX, SOCKET_QUEUE_MAX, SOCKETS_MAX, SOCKETS_PER_SOURCE_MAX};

/// The subprotocols we speak; they are one.
const PROTOCOLS: [&str; 2] = ["webrtc.oracle.com", "jsonrtc"];
/// Octets that are read from a socket at a time. The buffer is cleared before each read, and every socket has one:
/// the usual 128 KiB cost a fiftieth of control's time, and 2.5 GB of 20 000 sockets.
const READ_BYTES: usize = 8 * 1024;
/// How long a browser may take to take one message off our hands.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a browser may take to agree to a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What every handshake needs.
pub struct Browsers {
    applications: BTreeMap<String, (Application, Door)>,
    /// Open sockets by where they come from.
    sources: Mutex<HashMap<IpAddr, usize>>,
    gateway: mpsc::Sender<Input>,
    last: AtomicU64,
    open: AtomicUsize,
    /// Gone when the last socket is, and the last handshake.
    _alive: mpsc::Sender<Infallible>,
}

impl Browsers {
    /// Browsers of these applications, for this gateway. The receiver ends when no browser is left, and
    /// none can come any more.
    pub fn new(
        applications: BTreeMap<String, (Application, Door)>,
        gateway: mpsc::Sender<Input>,
    ) -> (Arc<Browsers>, mpsc::Receiver<Infallible>) {
        let (alive, last_gone) = mpsc::channel(1);
        let browsers = Browsers {
            applications,
            sources: Mutex::default(),
            gateway,
            last: AtomicU64::new(0),
            open: AtomicUsize::new(0),
            _alive: alive,
        };
        (Arc::new(browsers), last_gone)
    }
}

impl Browsers {
    fn sources(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET /ws/webrtc/{application}`
pub async fn handshake(
    State(browsers): State<Arc<Browsers>>,
    Path(application): Path<String>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Some((profile, door)) = browsers.applications.get(&application) else {
        return (StatusCode::NOT_FOUND, "no such application\n").into_response();
    };
    if !is_allowed(profile, &headers) {
        tracing::info!(application, "a page of a foreign origin was refused");
        return (StatusCode::FORBIDDEN, "this origin is not allowed\n").into_response();
    }
    let Some(protocol) = chosen_protocol(&headers) else {
        let text = "offer the WebSocket subprotocol webrtc.oracle.com or jsonrtc\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let source = source(remote, &headers);
    // Taken before the login, which may take a while: the bounds hold for it too.
    let Some(place) = Place::take(&browsers, source) else {
        let retry = [(header::RETRY_AFTER, "10")];
        let text = "too many browsers\n";
        return (StatusCode::SERVICE_UNAVAILABLE, retry, text).into_response();
    };
    let login = match door
        .admit(&headers, query.as_deref().unwrap_or_default(), source)
        .await
    {
        Ok(login) => login,
        Err(denied) => {
            tracing::info!(application, ?denied, "a browser was not let in");
            return door.refuse(&denied);
        }
    };
    upgrade
        .protocols([protocol])
        // More than we take: what is a little too large is read, and its sender gets to see why not.
        .max_message_size(2 * MESSAGE_BYTES_MAX)
        .max_frame_size(2 * MESSAGE_BYTES_MAX)
        .read_buffer_size(READ_BYTES)
        .on_upgrade(move |socket| async move {
            serve(socket, place, application, login, remote).await;
        })
}

/// Where a browser is: a proxy on this machine says it for it, behind what others may have said before.
fn source(remote: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let told = || {
        let text = headers.get_all("x-forwarded-for").iter().next_back()?;
        text.to_str().ok()?.rsplit(',').next()?.trim().parse().ok()
    };
    let told = remote.ip().is_loopback().then(told).flatten();
    told.unwrap_or(remote.ip())
}

/// One of the sockets we have room for; gives its room back at its end, however that comes.
struct Place {
    browsers: Arc<Browsers>,
    socket: SocketId,
    source: IpAddr,
}

impl Place {
    /// `None`: there is no room, at all or for this source.
    fn take(browsers: &Arc<Browsers>, source: IpAddr) -> Option<Place> {
        let mut sources = browsers.sources();
        let open: usize = browsers.open.load(Ordering::Relaxed);
        let of_source = sources.get(&source).copied().unwrap_or(0);
        if open >= SOCKETS_MAX || of_source >= SOCKETS_PER_SOURCE_MAX {
            return None;
        }
        sources.insert(source, of_source + 1);
        drop(sources);
        browsers.open.fetch_add(1, Ordering::Relaxed);
        let socket = SocketId(browsers.last.fetch_add(1, Ordering::Relaxed) + 1);
        Some(Place {
            browsers: Arc::clone(browsers),
            socket,
            source,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.browsers.open.fetch_sub(1, Ordering::Relaxed);
        let mut sources = self.browsers.sources();
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

/// Whether the page may open a socket. Only browsers say where a page is from; others are let through.
fn is_allowed(application: &Application, headers: &HeaderMap) -> bool {
    let Some(origins) = &application.origins else {
        return true;
    };
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().map(str::to_ascii_lowercase);
    origin.is_ok_and(|origin| origins.contains(&origin))
}

/// The first subprotocol offered that we speak.
fn chosen_protocol(headers: &HeaderMap) -> Option<&'static str> {
    let offers = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let texts = offers.iter().filter_map(|offer| offer.to_str().ok());
    let mut names = texts.flat_map(|text| text.split(',').map(str::trim));
    names.find_map(|name| PROTOCOLS.into_iter().find(|known| *known == name))
}

async fn serve(
    mut browser: WebSocket,
    place: Place,
    application: String,
    login: Login,
    remote: SocketAddr,
) {
    let (socket, gateway) = (place.socket, place.browsers.gateway.clone());
    let (to_browser, mut outgoing) = mpsc::channel(SOCKET_QUEUE_MAX);
    let opened = Input::Opened {
        socket,
        application,
        login,
        remote,
        to_browser,
    };
    if gateway.send(opened).await.is_err() {
        return;
    }
    let code = loop {
        tokio::select! {
            message = browser.recv() => {
                let input = match message {
                    Some(Ok(Message::Text(text))) if text.len() > MESSAGE_BYTES_MAX => {
                        Input::TooLarge(socket)
                    }
                    Some(Ok(Message::Text(text))) => Input::Text { socket, text: text.to_string() },
                    Some(Ok(Message::Binary(_))) => Input::Binary(socket),
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => Input::Alive(socket),
                    Some(Ok(Message::Close(frame))) => {
                        // Our own close frame goes out when the next message is asked for.
                        let _ = tokio::time::timeout(CLOSE_TIMEOUT, browser.recv()).await;
                        break frame.map(|frame| frame.code);
                    }
                    Some(Err(error)) if is_too_large(&error) => {
                        // The rest of it can't be told from new messages: say why, and end.
                        let (code, reason) = (close::TOO_LARGE, "the message is too large");
                        send(&mut browser, ToBrowser::Close { code, reason }).await;
                        break None;
                    }
                    Some(Err(_)) | None => break None,
                };
                if gateway.send(input).await.is_err() {
                    break None;
                }
            }
            message = outgoing.recv() => match message {
                Some(message) => {
                    if !send(&mut browser, message).await {
                        break None;
                    }
                }
                None => break None,
            },
        }
    };
    // The gateway may have ended before its browsers.
    let _ = gateway.send(Input::Closed { socket, code }).await;
}

/// Sends one message. Whether there can be another.
async fn send(browser: &mut WebSocket, message: ToBrowser) -> bool {
    match message {
        ToBrowser::Text(text) => {
            let sent = tokio::time::timeout(SEND_TIMEOUT, browser.send(Message::Text(text.into())));
            matches!(sent.await, Ok(Ok(())))
        }
        ToBrowser::Close { code, reason } => {
            let frame = CloseFrame {
                code,
                reason: reason.into(),
            };
            let closed = async {
                browser.send(Message::Close(Some(frame))).await?;
                // Unread octets would make the kernel reset the connection, and the frame be lost.
                while let Some(Ok(_)) = browser.recv().await {}
                Ok::<(), axum::Error>(())
            };
            // Whether it arrives or not, this was the last one.
            let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
            false
        }
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref());
    matches!(cause, Some(tungstenite::Error::Capacity(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering(protocols: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for protocol in protocols {
            headers.append(header::SEC_WEBSOCKET_PROTOCOL, protocol.parse().unwrap());
        }
        headers
    }

    #[test]
    fn the_first_subprotocol_offered_that_we_speak_is_chosen() {
        assert_eq!(
            chosen_protocol(&offering(&["jsonrtc, webrtc.oracle.com"])),
            Some("jsonrtc")
        );
        assert_eq!(
            chosen_protocol(&offering(&["x", "webrtc.oracle.com,jsonrtc"])),
            Some("webrtc.oracle.com")
        );
        assert_eq!(chosen_protocol(&offering(&["msrp"])), None);
        assert_eq!(chosen_protocol(&HeaderMap::new()), None);
    }

    #[test]
    fn a_proxy_on_this_machine_says_where_a_browser_is_and_nobody_else_does() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "1.2.3.4, 192.0.2.7".parse().unwrap());
        let from = |remote: &str| source(remote.parse().unwrap(), &headers).to_string();
        assert_eq!(from("127.0.0.1:5000"), "192.0.2.7");
        assert_eq!(from("198.51.100.1:5000"), "198.51.100.1");
    }

    #[test]
    fn a_foreign_origin_is_refused_where_origins_are_listed() {
        let from = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            headers
        };
        let listed = Application {
            origins: Some(vec!["https://app.example.com".into()]),
            ..Application::default()
        };
        assert!(is_allowed(&listed, &from("https://APP.example.com")));
        assert!(!is_allowed(
            &listed,
            &from("https://app.example.com.evil.example")
        ));
        assert!(!is_allowed(&listed, &from("null")));
        assert!(is_allowed(&listed, &HeaderMap::new()));
        assert!(is_allowed(
            &Application::default(),
            &from("https://anywhere.example")
        ));
    }
}
