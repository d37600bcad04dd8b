//! Realms on the real kernel: which address and port a connection leaves from, either family.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::process::Command as Program;

use link::{Command, Leg, PeerIdentity, SessionId, Transport};

use crate::peers::{A_PATH, B_PATH, Handset, Page, Stream};
use tests::process::{Relay, Told};

/// Set for the copy of a test that runs in a network of its own.
const INSIDE: &str = "INSIDE_A_NETWORK_NAMESPACE";

/// Two networks, with us at .20 in each; whoever binds to another address of theirs is a peer.
const NETWORKS: &str = "ip link set lo up && ip addr add 10.1.0.20/24 dev lo \
     && ip addr add 10.2.0.20/24 dev lo";

/// Runs a test again in a network namespace with two networks. `true`: this is the copy.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let this = std::env::current_exe().expect("the test's own program");
    let script = format!("{NETWORKS} && exec \"$0\" --exact {test} --nocapture");
    let mut unshare = Program::new("unshare");
    // Root needs no namespace of users, which there is none of in a chroot.
    let uid = std::fs::metadata("/proc/self").expect("/proc").uid();
    if uid != 0 {
        unshare.arg("--map-root-user");
    }
    unshare.args(["--net", "sh", "-c", &script]);
    let ran = unshare.arg(this).env(INSIDE, "1").output();
    let output = ran.expect("unshare is installed (Debian: util-linux, and iproute2 for ip)");
    assert!(
        output.status.success(),
        "in a network namespace of its own: {}{}\nIf it could not be made, run the test as root, or \
         allow user namespaces (sysctl kernel.unprivileged_userns_clone=1).",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    false
}

/// A handset that the relay connects to, and where the relay came from.
fn connect_to(relay: &mut Relay, id: u64, address: IpAddr) -> (Handset, SocketAddr, u16) {
    let listener = TcpListener::bind((address, 0)).expect("a port");
    let address = listener.local_addr().expect("its number");
    let path = format!("msrp://{address}/l1stens0123456789;tcp");
    let legs = relay.create(id, [Transport::Ws, Transport::Tcp], [A_PATH, &path]);
    relay.command(&Command::SetPeer {
        session: SessionId(id),
        leg: Leg::B,
        path: path.as_bytes(),
        connect: Some(address),
        identity: PeerIdentity::UNKNOWN,
    });
    let (stream, from) = listener.accept().expect("the relay connects");
    assert_eq!(relay.event(), Told::Up(Leg::B));
    let announced = legs[1].port();
    let mut handset = Handset::accepted(Stream::Clear(stream), &legs[1]);
    let greeting = handset.hear();
    handset.say(&greeting.response("200 OK"));
    (handset, from, announced)
}

#[test]
fn a_connection_leaves_from_the_address_of_the_network_that_the_peer_is_in() {
    let name = "realms::a_connection_leaves_from_the_address_of_the_network_that_the_peer_is_in";
    if !is_inside(name) {
        return;
    }
    for exclusive in [false, true] {
        let mut arguments = vec!["--address", "10.1.0.20,10.2.0.20"];
        if exclusive {
            arguments.push("--exclusive-ports");
        }
        let mut relay = Relay::start(&arguments);
        let mut handsets = Vec::new();
        for (id, network) in [(1, 1), (2, 2)] {
            let peer = IpAddr::from([10, network, 0, 7]);
            let (handset, from, announced) = connect_to(&mut relay, id, peer);
            handsets.push(handset);
            assert_eq!(from.ip(), IpAddr::from([10, network, 0, 20]));
            assert_eq!(
                from.port() == announced,
                exclusive,
                "{from}, announced {announced}"
            );
        }
    }
}

#[test]
fn both_legs_may_be_of_the_sixth_version() {
    let mut relay = Relay::start(&["--address", "::1"]);
    let legs = relay.create(1, [Transport::Ws, Transport::Tcp], [A_PATH, B_PATH]);
    assert!(legs.iter().all(|leg| leg.path.starts_with("msrp://[::1]:")));
    let mut page = Page::open(&legs[0]);
    assert_eq!(relay.event(), Told::Up(Leg::A));
    let mut handset = Handset::open(&legs[1]);
    assert_eq!(relay.event(), Told::Up(Leg::B));
    page.send("first", b"there you are", "");
    assert_eq!(handset.hear().body.as_deref(), Some(&b"there you are"[..]));
    let (_listening, from, _) = connect_to(&mut relay, 2, IpAddr::from(Ipv6Addr::LOCALHOST));
    assert_eq!(from.ip(), IpAddr::from(Ipv6Addr::LOCALHOST));
}
