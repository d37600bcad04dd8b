//! Records as a name server of our own has them.

use std::sync::{Arc, Mutex};

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::A;
use hickory_resolver::proto::rr::{Name, Record};
use tokio::net::UdpSocket;

use super::*;

/// What a name server knows.
type Records = Arc<Mutex<Vec<(&'static str, RData)>>>;

/// A name server that knows these records, each good for a minute.
async fn serving(records: &Records) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (address, records) = (socket.local_addr().unwrap(), records.clone());
    tokio::spawn(async move {
        let mut datagram = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
            let asked = Message::from_vec(&datagram[..length]).unwrap();
            let query = asked.queries[0].clone();
            let mut answer = Message::response(asked.metadata.id, OpCode::Query);
            let name = query.name().to_ascii().to_ascii_lowercase();
            let known = records.lock().unwrap().clone();
            let of_name = known.iter().filter(|(of, _)| *of == name);
            if of_name.clone().next().is_none() {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            for (_, data) in of_name.filter(|(_, data)| data.record_type() == query.query_type()) {
                answer.add_answer(Record::from_rdata(query.name().clone(), 60, data.clone()));
            }
            answer.add_query(query);
            let sent = socket.send_to(&answer.to_vec().unwrap(), from).await;
            sent.unwrap();
        }
    });
    address
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn address(text: &str) -> RData {
    RData::A(A(text.parse().unwrap()))
}

fn srv(priority: u16, weight: u16, port: u16, host: &str) -> RData {
    RData::SRV(SRV::new(priority, weight, port, name(host)))
}

fn naptr(order: u16, preference: u16, service: &str, to: &str) -> RData {
    let boxed = |text: &str| text.as_bytes().into();
    let (flags, service) = (boxed("s"), boxed(service));
    RData::NAPTR(NAPTR::new(
        order,
        preference,
        flags,
        service,
        boxed(""),
        name(to),
    ))
}

fn proxy(host: &str, port: Option<u16>, transport: Option<Transport>) -> Proxy {
    Proxy {
        host: host.to_owned(),
        port,
        transport,
    }
}

/// Transport, address, rank and weight of all that is found.
async fn found(records: &Records, proxies: &[Proxy], tls: bool) -> Vec<String> {
    let servers = [serving(records).await];
    let locator = Locator::new(proxies, &servers, Speaks { tls, ipv4: true }).unwrap();
    let found = locator.find().await;
    let line = |hop: &Hop| {
        let (
            Flow {
                transport, peer, ..
            },
            rank,
            weight,
        ) = (hop.flow, hop.rank, hop.weight);
        format!("{transport:?} {peer} {rank} {weight}")
    };
    found.hops.iter().map(line).collect()
}

fn example() -> Records {
    Arc::new(Mutex::new(vec![
        (
            "example.com.",
            naptr(30, 20, "SIP+D2U", "_sip._udp.example.com."),
        ),
        (
            "example.com.",
            naptr(30, 10, "sip+d2t", "_sip._tcp.example.com."),
        ),
        (
            "example.com.",
            naptr(20, 10, "SIPS+D2T", "_sips._tcp.example.com."),
        ),
        ("example.com.", naptr(10, 10, "E2U+sip", "x.example.com.")),
        (
            "_sips._tcp.example.com.",
            srv(0, 1, 5061, "one.example.com."),
        ),
        (
            "_sip._tcp.example.com.",
            srv(1, 1, 5062, "two.example.com."),
        ),
        (
            "_sip._tcp.example.com.",
            srv(0, 80, 5060, "one.example.com."),
        ),
        (
            "_sip._tcp.example.com.",
            srv(0, 20, 5063, "two.example.com."),
        ),
        (
            "_sip._udp.example.com.",
            srv(0, 1, 5070, "two.example.com."),
        ),
        ("one.example.com.", address("192.0.2.1")),
        ("two.example.com.", address("192.0.2.2")),
        ("two.example.com.", address("192.0.2.3")),
        ("bare.example.com.", address("192.0.2.4")),
        ("no.example.com.", address("192.0.2.5")),
        ("_sip._udp.no.example.com.", srv(0, 0, 0, ".")),
    ]))
}

#[tokio::test]
async fn rfc3263_4_records_decide_about_transport_port_and_order() {
    let records = example();
    let any = [proxy("example.com", None, None)];
    let plain = [
        "Tcp 192.0.2.1:5060 1 80",
        "Tcp 192.0.2.2:5063 1 20",
        "Tcp 192.0.2.3:5063 1 20",
        "Tcp 192.0.2.2:5062 2 1",
        "Tcp 192.0.2.3:5062 2 1",
        "Udp 192.0.2.2:5070 3 1",
        "Udp 192.0.2.3:5070 3 1",
    ];
    assert_eq!(found(&records, &any, false).await, plain);
    // RFC 3403, 4.1: the first order that can be used is the only one.
    assert_eq!(
        found(&records, &any, true).await,
        ["Tls 192.0.2.1:5061 1 1"]
    );
    let udp = [proxy("example.com", None, Some(Transport::Udp))];
    let expected = ["Udp 192.0.2.2:5070 1 1", "Udp 192.0.2.3:5070 1 1"];
    assert_eq!(found(&records, &udp, true).await, expected);
}

#[tokio::test]
async fn rfc3263_4_2_without_records_or_with_a_port_there_are_only_addresses() {
    let records = example();
    for (proxy, expected) in [
        (
            proxy("two.example.com", Some(5090), None),
            "Udp 192.0.2.2:5090 1 0",
        ),
        (
            proxy("bare.example.com", None, Some(Transport::Tls)),
            "Tls 192.0.2.4:5061 1 0",
        ),
        (
            proxy("bare.example.com", None, None),
            "Udp 192.0.2.4:5060 1 0",
        ),
        (
            proxy("no.example.com", None, None),
            "Udp 192.0.2.5:5060 1 0",
        ),
        (
            proxy("192.0.2.9", None, Some(Transport::Tcp)),
            "Tcp 192.0.2.9:5060 1 0",
        ),
    ] {
        let all = found(&records, std::slice::from_ref(&proxy), true).await;
        assert_eq!(all[0], expected, "{proxy:?}");
    }
    let nobody = [proxy("nobody.example.com", None, None)];
    assert!(found(&records, &nobody, true).await.is_empty());
}

#[tokio::test]
async fn proxies_are_tried_in_the_order_in_which_they_are_configured() {
    let records = example();
    let proxies = [
        proxy("192.0.2.9", None, None),
        proxy("bare.example.com", None, None),
        proxy("192.0.2.9", None, None),
    ];
    let expected = ["Udp 192.0.2.9:5060 1 0", "Udp 192.0.2.4:5060 2 0"];
    assert_eq!(found(&records, &proxies, false).await, expected);
}

#[tokio::test]
async fn what_has_changed_is_told_and_what_is_lost_stays() {
    let records = example();
    let servers = [serving(&records).await];
    let speaks = Speaks {
        tls: false,
        ipv4: true,
    };
    // A new one each time, which has kept nothing.
    let locator = || {
        let bare = [proxy("bare.example.com", None, None)];
        Locator::new(&bare, &servers, speaks).unwrap()
    };
    let mut known = locator().find().await;
    let left = known.until.unwrap().duration_since(Instant::now());
    assert!((50..=60).contains(&left.as_secs()), "{left:?}");
    assert_eq!(locator().find_again(&mut known).await, None);
    let more = ("bare.example.com.", address("192.0.2.6"));
    records.lock().unwrap().push(more);
    let told = locator().find_again(&mut known).await;
    assert_eq!(told.map(|hops| hops.len()), Some(2));
    records.lock().unwrap().clear();
    assert_eq!(locator().find_again(&mut known).await, None);
    assert_eq!(known.hops.len(), 2);
}
