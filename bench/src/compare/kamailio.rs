//! Starts Kamailio with its module msrp: the relay of RFC 4976 that a carrier may have already.
//!
//! One process reads TCP, another TLS' or none, all on one core; buffers are as large as its
//! largest frames, and the script is the shortest that does: a relay answers for the next hop
//! (RFC 4976, 5.1), and of what is sent here only greetings want an answer, and they go no further.
//! Sessions need no table: the next URI of a To-Path holds the address that a connection comes from.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use link::Transport;

use super::forwarders::{Held, Place, certificate, stop};
use crate::child;
use crate::load::{Forwarder, Front};

/// The largest body that it forwards: its frames have 16 384 octets at most, with their head and
/// what its script needs.
pub const SIZE_MAX: usize = 14_000;

const PROGRAM: &str = "kamailio";
/// How long it may take to listen.
const LISTENING: Duration = Duration::from_secs(10);

/// Starts it. It has no way of telling that it listens; what is asked is the ports themselves.
pub fn start(place: &Place) -> Result<Forwarder, String> {
    let addresses = free_addresses()?;
    let pem = match place.is_secure {
        true => certificate()?
            .iter()
            .map(|text| Held::new(text))
            .collect::<Vec<_>>(),
        false => Vec::new(),
    };
    let pem: Vec<Held> = pem.into_iter().collect::<Result<_, String>>()?;
    let paths: Vec<String> = pem.iter().map(Held::path).collect();
    let text = configuration(place.sessions, &paths, addresses);
    let configuration = Held::new(&text)?;
    let child = child::command(PROGRAM, Some(place.core))?
        .args(["-DD", "-E", "-m", "256", "-M", "16", "-f"])
        .arg(configuration.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = child.map_err(|error| format!("can't start {PROGRAM}: {error}"))?;
    let until = Instant::now() + LISTENING;
    while addresses.map(TcpStream::connect).iter().any(Result::is_err) {
        let ended = child.try_wait().map_err(|error| error.to_string())?;
        if ended.is_some() || Instant::now() > until {
            stop(&mut child);
            return Err(format!(
                "{PROGRAM} does not listen: are kamailio-websocket-modules and \
                 kamailio-tls-modules installed, of its own version?"
            ));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let transport = match place.is_secure {
        true => Transport::Wss,
        false => Transport::Tcp,
    };
    let front = Front::Paths {
        transport,
        addresses,
    };
    let files = pem.into_iter().chain([configuration]);
    Ok(Forwarder::new(
        child,
        front,
        files.map(Held::into_file).collect(),
    ))
}

/// Two that nobody listens at. Somebody might before they are used; then the turn fails.
fn free_addresses() -> Result<[SocketAddr; 2], String> {
    let listen = || TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string());
    let address = |listener: &TcpListener| listener.local_addr().map_err(|e| e.to_string());
    let (one, other) = (listen()?, listen()?);
    Ok([address(&one)?, address(&other)?])
}

/// `pem`: certificate and key, if leg A comes in a WebSocket in TLS.
fn configuration(sessions: u32, pem: &[String], [a, b]: [SocketAddr; 2]) -> String {
    let connections = 2 * sessions + 64;
    let (scheme, is_on, modules, websocket, handshake) = match pem {
        [certificate, key] => (
            "tls",
            "yes",
            format!(
                "loadmodule \"tls.so\"\nloadmodule \"pv.so\"\nloadmodule \"sl.so\"\n\
                 loadmodule \"xhttp.so\"\n\
                 modparam(\"tls\", \"tls_method\", \"TLSv1.2+\")\n\
                 modparam(\"tls\", \"certificate\", \"{certificate}\")\n\
                 modparam(\"tls\", \"private_key\", \"{key}\")\n"
            ),
            // After msrp: else it does not speak the subprotocol.
            "loadmodule \"websocket.so\"\n",
            "event_route[xhttp:request] {\n    ws_handle_handshake();\n}\n",
        ),
        _ => ("tcp", "no", String::new(), "", ""),
    };
    format!(
        "#!KAMAILIO\n\
         debug=-1\nlog_stderror=yes\nfork=yes\nchildren=1\ntcp_children=1\n\
         tcp_max_connections={connections}\ntls_max_connections={connections}\n\
         tcp_connection_lifetime=3600\ntcp_rd_buf_size=65536\ntcp_accept_no_cl=yes\n\
         enable_tls={is_on}\nlisten={scheme}:{a}\nlisten=tcp:{b}\n\
         {modules}loadmodule \"msrp.so\"\n{websocket}\
         request_route {{ drop; }}\n{handshake}\
         event_route[msrp:frame-in] {{\n    \
         if ($msrp(msgid) =~ \"^greeting\") {{\n        \
         msrp_reply(\"200\", \"OK\");\n        \
         exit;\n    }}\n    \
         msrp_relay();\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_connections_for_both_legs_of_all_sessions() {
        let addresses = ["127.0.0.1:4711", "127.0.0.1:4712"].map(|text| text.parse().unwrap());
        let text = configuration(100, &[], addresses);
        assert!(text.contains("\ntcp_max_connections=264\n"), "{text}");
        assert!(text.contains("\nlisten=tcp:127.0.0.1:4711\nlisten=tcp:127.0.0.1:4712\n"));
        assert!(text.ends_with("    msrp_relay();\n}\n") && !text.contains("tls.so"));
        let pem = ["/crt".to_owned(), "/key".to_owned()];
        let secure = configuration(100, &pem, addresses);
        assert!(secure.contains("\nlisten=tls:127.0.0.1:4711\nlisten=tcp:127.0.0.1:4712\n"));
        assert!(secure.contains("\"private_key\", \"/key\""));
    }
}
