//! SIP over TLS on real sockets.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::config::SipTls;

/// A folder with the certificate of one peer.
struct Files {
    folder: PathBuf,
    /// Its certificate.
    chain: String,
}

impl Files {
    /// A certificate, signed by itself, for these names.
    fn of(names: &[&str]) -> Files {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(format!("causeway-sip-tls-{process}-{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        let mut files = Files {
            folder,
            chain: String::new(),
        };
        files.renew(names);
        files
    }

    /// Another certificate in its place.
    fn renew(&mut self, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        self.chain = made.cert.pem();
        std::fs::write(self.folder.join("crt"), &self.chain).unwrap();
        std::fs::write(self.folder.join("key"), made.signing_key.serialize_pem()).unwrap();
    }

    /// TLS by this certificate; these are trusted.
    fn tls(&self, trusted: &[&Files], clients_required: bool) -> SecureSettings {
        let all: String = trusted.iter().map(|files| files.chain.as_str()).collect();
        std::fs::write(self.folder.join("authorities"), all).unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let identity = Identity::read(&SipTls {
            listen,
            name: None,
            certificate: self.folder.join("crt"),
            key: self.folder.join("key"),
            authorities: Some(self.folder.join("authorities")),
            clients_required,
        });
        SecureSettings {
            listen,
            name: None,
            identity: identity.unwrap(),
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What is left of it is in the way of nobody.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Gateway and handset, each with a certificate for its number.
struct Pair {
    gateway: Files,
    handset: Files,
}

impl Pair {
    fn new() -> Pair {
        Pair {
            gateway: Files::of(&["127.0.0.1"]),
            handset: Files::of(&["127.0.0.1"]),
        }
    }

    async fn gateway(&self, clients_required: bool) -> SipPeers {
        let tls = self.gateway.tls(&[&self.handset], clients_required);
        bound("localhost", "alice", 1, Some(tls)).await
    }

    async fn handset(&self) -> SipPeers {
        let tls = self.handset.tls(&[&self.gateway], false);
        bound("handset.invalid", "bob", 2, Some(tls)).await
    }
}

/// Whether a handset can register by TLS.
async fn registers(gateway: &mut SipPeers, handset: &mut SipPeers) -> bool {
    let wanted = register(gateway, ";transport=tls");
    handset.request(None, wanted).unwrap();
    match next(handset, gateway).await {
        Event::Response { message, .. } => message.code() == 200,
        Event::Failed { .. } => false,
        event => panic!("{event:?}"),
    }
}

#[tokio::test]
async fn a_call_over_tls_by_the_connection_the_handset_registered_by() {
    let pair = Pair::new();
    let (gateway, handset) = (pair.gateway(true).await, pair.handset().await);
    call_between(gateway, handset, ";transport=tls", 5000).await;
}

#[tokio::test]
async fn rfc5922_a_certificate_for_another_name_is_not_taken() {
    let mut pair = Pair::new();
    pair.gateway.renew(&["gateway.invalid"]);
    let (mut gateway, mut handset) = (pair.gateway(false).await, pair.handset().await);
    assert!(!registers(&mut gateway, &mut handset).await);
    // By the name that its certificate has, it is the one.
    let hop = |name: &str| Hop {
        flow: Flow {
            transport: SipTransport::Tls,
            peer: gateway.tls_address().unwrap(),
            connection: None,
        },
        name: name.to_owned(),
        rank: 0,
        weight: 0,
    };
    let hops = [hop("gateway.invalid")];
    handset.set_hops(hops.to_vec());
    assert!(registers(&mut gateway, &mut handset).await);
}

#[tokio::test]
async fn nobody_gets_in_without_a_certificate_of_our_authorities_where_one_is_required() {
    let pair = Pair::new();
    let stranger = Files::of(&["127.0.0.1"]);
    for (required, gets_in) in [(true, false), (false, true)] {
        let mut gateway = pair.gateway(required).await;
        let tls = stranger.tls(&[&pair.gateway], false);
        let mut handset = bound("handset.invalid", "bob", 2, Some(tls)).await;
        assert_eq!(registers(&mut gateway, &mut handset).await, gets_in);
    }
}

#[tokio::test]
async fn certificates_are_renewed_while_it_runs_and_bad_ones_are_left_out() {
    let mut pair = Pair::new();
    let tls = pair.gateway.tls(&[&pair.handset], false);
    let identity = tls.identity.clone();
    let mut gateway = bound("localhost", "alice", 1, Some(tls)).await;
    std::fs::write(pair.gateway.folder.join("crt"), "nonsense").unwrap();
    let said = identity.reload().unwrap_err().to_string();
    assert!(said.ends_with("crt: no certificate in it"), "{said}");
    let mut trusting_the_former = pair.handset().await;
    pair.gateway.renew(&["127.0.0.1"]);
    let mut trusting_the_new = pair.handset().await;
    assert!(registers(&mut gateway, &mut trusting_the_former).await);
    identity.reload().unwrap();
    assert!(registers(&mut gateway, &mut trusting_the_new).await);
}

#[tokio::test]
async fn a_connection_on_which_nobody_shakes_hands_is_not_kept_and_bothers_nobody() {
    let pair = Pair::new();
    let (mut gateway, mut handset) = (pair.gateway(false).await, pair.handset().await);
    let address = gateway.tls_address().unwrap();
    let plain = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(b"OPTIONS sip:localhost SIP/2.0\r\n")
            .await
            .unwrap();
        // What comes back is an alert, then the end.
        stream.read_to_end(&mut Vec::new()).await.is_ok()
    };
    let closed = tokio::select! {
        closed = plain => closed,
        event = gateway.event() => panic!("{event:?}"),
    };
    assert!(closed && registers(&mut gateway, &mut handset).await);
}

#[tokio::test]
async fn rfc5630_a_sips_request_comes_by_tls_and_is_answered_with_a_sips_contact() {
    let pair = Pair::new();
    let (mut gateway, mut handset) = (pair.gateway(false).await, pair.handset().await);
    let asked = |transport: &str, address: SocketAddr| {
        let mut options =
            OutRequest::new(Method::Options, "sip:bob@b.invalid", "sip:alice@localhost");
        options.request_uri = Some(format!("{transport}:alice@{address}"));
        options
    };
    let address = gateway.tls_address().unwrap();
    handset.request(None, asked("sips", address)).unwrap();
    let Event::Request {
        server, message, ..
    } = next(&mut gateway, &mut handset).await
    else {
        panic!();
    };
    assert!(message.contact_uri().starts_with("sips:bob@127.0.0.1:"));
    gateway.respond(server, OutResponse::new(200)).unwrap();
    let Event::Response { message, .. } = next(&mut handset, &mut gateway).await else {
        panic!();
    };
    assert_eq!(message.contact_uri(), format!("sips:alice@{address}"));
}
