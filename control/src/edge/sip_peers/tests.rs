//! SIP peers on real sockets of the loopback interface.

mod secure;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::*;
use crate::sip::Method;

async fn peers(domain: &str, user: &str, seed: u8) -> SipPeers {
    bound(domain, user, seed, None).await
}

async fn bound(domain: &str, user: &str, seed: u8, tls: Option<SecureSettings>) -> SipPeers {
    let listen = "127.0.0.1:0".parse().unwrap();
    let settings = PeersSettings {
        tls,
        ..PeersSettings::new(listen, domain)
    };
    let mut peers = SipPeers::bind(settings, [seed; 32]).await.unwrap();
    peers.add_local(user);
    peers
}

/// Lets both sides run until `a` has an event.
async fn next(a: &mut SipPeers, b: &mut SipPeers) -> Event {
    tokio::select! {
        event = a.event() => event,
        event = b.event() => panic!("unexpected at the other side: {event:?}"),
    }
}

fn register(gateway: &SipPeers, transport: &str) -> OutRequest {
    let mut register = OutRequest::new(Method::Register, "sip:bob@localhost", "sip:bob@localhost");
    let tls = gateway.tls_address().filter(|_| transport.ends_with("tls"));
    let address = tls.unwrap_or(gateway.address());
    register.request_uri = Some(format!("sip:{address}{transport}"));
    register
}

async fn call(transport: &str, body: usize) {
    let gateway = peers("localhost", "alice", 1).await;
    let handset = peers("handset.invalid", "bob", 2).await;
    call_between(gateway, handset, transport, body).await;
}

async fn call_between(mut gateway: SipPeers, mut handset: SipPeers, transport: &str, body: usize) {
    handset
        .request(None, register(&gateway, transport))
        .unwrap();
    let Event::Response { message, .. } = next(&mut handset, &mut gateway).await else {
        panic!();
    };
    assert_eq!((message.code(), gateway.held().bindings), (200, 1));

    let mut invite = OutRequest::new(Method::Invite, "sip:alice@localhost", "sip:bob@localhost");
    invite.content = Some(("application/sdp".to_owned(), vec![b'x'; body]));
    let sent = gateway.request(None, invite).unwrap();
    let Event::Request {
        server,
        dialog: Some(theirs),
        message,
    } = next(&mut handset, &mut gateway).await
    else {
        panic!();
    };
    assert_eq!(message.body.len(), body);
    handset.respond(server, OutResponse::new(200)).unwrap();
    let answer = next(&mut gateway, &mut handset).await;
    assert!(matches!(answer, Event::Response { client, .. } if client == sent.client));
    gateway.ack(sent.dialog.unwrap());
    assert_eq!(
        next(&mut handset, &mut gateway).await,
        Event::Acked { dialog: theirs }
    );
    handset
        .request(Some(theirs), OutRequest::in_dialog(Method::Bye))
        .unwrap();
    let Event::Request { server, dialog, .. } = next(&mut gateway, &mut handset).await else {
        panic!();
    };
    assert_eq!(dialog, sent.dialog);
    gateway.respond(server, OutResponse::new(200)).unwrap();
    let Event::Response { message, .. } = next(&mut handset, &mut gateway).await else {
        panic!();
    };
    assert_eq!(
        (
            message.code(),
            gateway.held().dialogs,
            handset.held().dialogs
        ),
        (200, 0, 0)
    );
    let streams = usize::from(!transport.is_empty() || body > 1300);
    assert_eq!(
        (gateway.connections(), handset.connections()),
        (streams, streams)
    );
}

#[tokio::test]
async fn a_call_over_udp() {
    call("", 100).await;
}

#[tokio::test]
async fn a_call_over_the_connection_the_handset_registered_by() {
    call(";transport=tcp", 100).await;
}

#[tokio::test]
async fn a_large_invite_goes_over_tcp() {
    call("", 5000).await;
}

#[tokio::test]
async fn a_large_invite_goes_over_udp_where_nobody_listens_on_tcp() {
    let mut gateway = peers("localhost", "alice", 1).await;
    let handset = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let to = format!("sip:bob@{}", handset.local_addr().unwrap());
    let mut invite = OutRequest::new(Method::Invite, "sip:alice@localhost", &to);
    invite.content = Some(("application/sdp".to_owned(), vec![b'x'; 5000]));
    gateway.request(None, invite).unwrap();
    let mut datagram = vec![0; 65_535];
    let length = tokio::select! {
        received = handset.recv_from(&mut datagram) => received.unwrap().0,
        event = gateway.event() => panic!("{event:?}"),
    };
    let text = String::from_utf8_lossy(&datagram[..length]);
    assert!(
        length > 5000 && text.contains("Via: SIP/2.0/UDP "),
        "{text}"
    );
}

#[tokio::test]
async fn a_request_to_where_nobody_listens_fails() {
    let mut gateway = peers("localhost", "alice", 1).await;
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let to = format!("sip:bob@{free};transport=tcp");
    let sent = gateway
        .request(
            None,
            OutRequest::new(Method::Message, "sip:alice@localhost", &to),
        )
        .unwrap();
    let failed = gateway.event().await;
    assert!(matches!(failed, Event::Failed { client, .. } if client == sent.client));
    assert_eq!((gateway.held().clients, gateway.connections()), (0, 0));
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_cut() {
    let mut gateway = peers("localhost", "alice", 1).await;
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("sip:bob@{};transport=tcp", deaf.local_addr().unwrap());
    while gateway.counts().connections_cut == 0 {
        let mut message = OutRequest::new(Method::Message, "sip:alice@localhost", &to);
        message.content = Some(("text/plain".to_owned(), vec![b'x'; 60_000]));
        gateway.request(None, message).unwrap();
    }
    assert!(matches!(gateway.event().await, Event::Failed { .. }));
    assert_eq!((gateway.held().clients, gateway.connections()), (0, 0));
}

#[tokio::test]
async fn a_connection_without_a_whole_message_is_not_kept() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let settings = PeersSettings {
        message_ms_max: 50,
        ..PeersSettings::new(listen, "localhost")
    };
    let mut gateway = SipPeers::bind(settings, [1; 32]).await.unwrap();
    let address = gateway.address();
    let options = "OPTIONS sip:localhost SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKx\r\n\
                   Max-Forwards: 70\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:localhost>\r\n\
                   Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";
    for sent in [
        "",
        "\r\n\r\n",
        "OPTIONS sip:",
        options,
        &format!("{options}OPTIONS"),
    ] {
        let client = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(sent.as_bytes()).await.unwrap();
            if sent == options {
                // A whole message came and nothing else has begun: this one may stay.
                return stream.read(&mut [0; 4096]).await.unwrap() > 0;
            }
            stream.read_to_end(&mut Vec::new()).await.is_ok()
        };
        let served = tokio::select! {
            served = client => served,
            event = gateway.event() => panic!("{event:?}"),
        };
        assert!(served, "{sent:?}");
    }
}

#[tokio::test]
async fn too_many_connections_are_refused() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let settings = PeersSettings {
        connections_max: 1,
        ..PeersSettings::new(listen, "localhost")
    };
    let mut gateway = SipPeers::bind(settings, [1; 32]).await.unwrap();
    let address = gateway.address();
    let client = async move {
        let mut first = TcpStream::connect(address).await.unwrap();
        // The answer to a ping says that the first one is being served.
        first.write_all(b"\r\n\r\n").await.unwrap();
        let mut pong = [0; 2];
        first.read_exact(&mut pong).await.unwrap();
        let mut second = TcpStream::connect(address).await.unwrap();
        second.read(&mut [0]).await.unwrap_or(0)
    };
    let read = tokio::select! {
        read = client => read,
        event = gateway.event() => panic!("{event:?}"),
    };
    assert_eq!((read, gateway.counts().connections_refused), (0, 1));
}

#[tokio::test]
async fn rfc5626_a_connection_whose_peer_answers_pings_stays_and_another_is_lost() {
    let (inputs, mut input) = tokio::sync::mpsc::channel(4);
    let flow = Flow {
        transport: SipTransport::Tcp,
        peer: "127.0.0.1:1".parse().unwrap(),
        connection: Some(1),
    };
    let (near, mut far) = tokio::io::duplex(1024);
    let (orders, queued) = tokio::sync::mpsc::channel(4);
    let span = Duration::from_millis(5);
    let patience = connection::Patience {
        idle: Duration::from_secs(60),
        message: Duration::from_secs(60),
        pong: Duration::from_millis(100),
        known: true,
    };
    let served = tokio::spawn(async move {
        connection::serve(Box::new(near), flow, queued, &inputs, patience).await;
    });
    orders
        .send(connection::Order::KeepAlive(span))
        .await
        .unwrap();
    let mut ping = [0; 4];
    for _ in 0..3 {
        far.read_exact(&mut ping).await.unwrap();
        assert_eq!(&ping, crate::sip::PING);
        far.write_all(crate::sip::PONG).await.unwrap();
    }
    // Now it says nothing any more.
    far.read_exact(&mut ping).await.unwrap();
    served.await.unwrap();
    assert!(input.recv().await.is_none());
}
