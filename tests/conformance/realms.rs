//! Where legs are listened for and where connections of ours leave from: realms and ports.

use std::net::{IpAddr, SocketAddr};

use link::{Cause, Counter, LegSpec, Refusal};
use relay::shard::Realm;

use crate::bed::{A, B, Bed, LEG_MS, Tcp, Told, Ws};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 20));
const THERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 20));
const HERE_V6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x20));

fn handset() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 20000))
}

/// A bed whose one realm has these addresses and sources.
fn bed_of(addresses: &[IpAddr], sources: &[IpAddr], ports_exclusive: bool) -> Bed {
    let (addresses, sources) = (addresses.to_vec(), sources.to_vec());
    Bed::with(|settings| {
        settings.realms[0] = Realm {
            host: "relay.invalid".into(),
            addresses,
            sources,
            ports_exclusive,
            ..Realm::of("default", HERE)
        };
    })
}

/// Where the relay leaves from for a handset that listens.
fn left_from(bed: &mut Bed) -> SocketAddr {
    bed.listens(handset());
    let session = bed.session(Tcp, Tcp);
    let path = format!("msrp://{}/h;tcp", handset());
    bed.set_peer(session, B, &path, Some(handset()));
    let peer = bed.is_dialled(session, handset()).expect("it connects");
    bed.dialled_from(peer)
}

#[test]
fn k1_a_shared_listener_opens_with_its_first_leg_and_closes_with_its_last() {
    let mut bed = bed_of(&[HERE], &[], false);
    let (one, two) = (bed.session(Tcp, Ws), bed.session(Ws, Tcp));
    assert_eq!(bed.port(one, A), bed.port(two, B), "of one kind");
    assert_ne!(bed.port(one, A), bed.port(one, B), "of two kinds");
    bed.delete(one);
    assert!(bed.dials(two, A).is_some() && bed.dials(two, B).is_some());
    bed.delete(two);
    assert!(bed.dials(two, A).is_none() && bed.dials(two, B).is_none());
    assert_eq!(bed.counter(Counter::PortsUsed), 0);
}

#[test]
fn k1_ports_that_run_out_are_a_refusal_and_a_port_rests_before_another_leg_gets_it() {
    let mut bed = Bed::with(|settings| {
        settings.ports.truncate(3);
        settings.realms[0].ports_exclusive = true;
    });
    let one = bed.session(Ws, Tcp);
    let two = bed.create(Ws, Tcp, LEG_MS);
    assert_eq!(bed.told(two), [Told::Refused(Refusal::NoPorts)]);
    assert_eq!(
        bed.counter(Counter::PortsUsed),
        2,
        "half a session keeps none"
    );
    bed.delete(one);
    let again = bed.create(Ws, Tcp, LEG_MS);
    assert_eq!(
        bed.told(again),
        [Told::Refused(Refusal::NoPorts)],
        "they rest"
    );
    bed.waits(60_000);
    let after = bed.create(Ws, Tcp, LEG_MS);
    assert_eq!(bed.told(after), [Told::Created]);
}

#[test]
fn k1_a_realm_of_several_addresses_listens_at_each_on_one_port() {
    for ports_exclusive in [false, true] {
        let mut bed = bed_of(&[HERE, HERE_V6], &[], ports_exclusive);
        let session = bed.session(Ws, Tcp);
        for leg in [A, B] {
            let port = bed.port(session, leg);
            for address in [HERE, HERE_V6] {
                assert!(
                    bed.dials_at(session, SocketAddr::new(address, port))
                        .is_some()
                );
            }
        }
        assert_eq!(bed.counter(Counter::Listeners), 4);
        assert_eq!(bed.counter(Counter::PortsUsed), 2);
        bed.delete(session);
        assert_eq!(bed.counter(Counter::Listeners), 0);
        assert_eq!(bed.counter(Counter::PortsUsed), 0);
    }
}

#[test]
fn k2_a_leg_lives_in_the_realm_that_was_named() {
    let mut bed = Bed::with(|settings| {
        settings.realms.push(Realm {
            host: "inside.invalid".into(),
            ..Realm::of("inside", HERE)
        });
    });
    let legs = [
        LegSpec::new(Ws, LEG_MS),
        LegSpec {
            realm: "inside",
            ..LegSpec::new(Tcp, LEG_MS)
        },
    ];
    let session = bed.create_of(legs);
    assert!(bed.local(session, A).starts_with("msrp://relay.invalid:"));
    assert!(bed.local(session, B).starts_with("msrp://inside.invalid:"));
    let at = SocketAddr::new(HERE, bed.port(session, B));
    assert!(bed.dials_at(session, at).is_some());
    let unknown = bed.create_of([
        LegSpec {
            realm: "no",
            ..legs[0]
        },
        legs[1],
    ]);
    assert_eq!(bed.told(unknown), [Told::Refused(Refusal::RealmUnknown)]);
}

#[test]
fn k2_a_connection_leaves_from_the_address_that_reaches_the_peer() {
    let any_port = |address| SocketAddr::new(address, 0);
    assert_eq!(
        left_from(&mut bed_of(&[HERE_V6, HERE], &[], false)),
        any_port(HERE)
    );
    let mut bed = bed_of(&[HERE, THERE], &[], false);
    bed.routes_by(THERE);
    assert_eq!(left_from(&mut bed), any_port(THERE));
    bed.routes_by(IpAddr::from([10, 0, 0, 1]));
    assert_eq!(left_from(&mut bed), any_port(HERE), "not of the realm");
    let mut bed = bed_of(&[HERE_V6], &[], false);
    let session = bed.session(Tcp, Tcp);
    let path = format!("msrp://{}/h;tcp", handset());
    bed.set_peer(session, B, &path, Some(handset()));
    let refusal = Told::Refused(Refusal::ConnectImpossible);
    assert_eq!(bed.told(session), [Told::Created, refusal]);
}

#[test]
fn k2_connections_leave_from_a_pool_of_sources_in_turns() {
    let mut bed = bed_of(&[HERE], &[HERE_V6, HERE, THERE], false);
    let left: Vec<IpAddr> = (0..3).map(|_| left_from(&mut bed).ip()).collect();
    assert_eq!(left, [HERE, THERE, HERE]);
}

#[test]
fn k13_a_connection_leaves_from_the_port_that_was_announced() {
    let mut bed = bed_of(&[HERE], &[], true);
    bed.listens(handset());
    let session = bed.session(Tcp, Tcp);
    let path = format!("msrp://{}/h;tcp", handset());
    bed.set_peer(session, B, &path, Some(handset()));
    let peer = bed.is_dialled(session, handset()).expect("it connects");
    let port = bed.port(session, B);
    assert_eq!(bed.dialled_from(peer), SocketAddr::new(HERE, port));
    assert!(
        bed.dials(session, B).is_none(),
        "nobody else may come there"
    );
    assert_eq!(bed.counter(Counter::PortsUsed), 2, "the leg keeps it");
    bed.delete(session);
    assert_eq!(bed.counter(Counter::PortsUsed), 0);
    // Where nobody answers, the port is given back too.
    let nobody = SocketAddr::from(([198, 51, 100, 8], 20000));
    let refused = bed.session(Tcp, Tcp);
    bed.set_peer(refused, B, "msrp://198.51.100.8:20000/h;tcp", Some(nobody));
    assert!(
        bed.told(refused)
            .contains(&Told::Closed(Cause::ConnectFailed))
    );
    assert_eq!(bed.counter(Counter::PortsUsed), 0);
}

/// The rules hold however ports are given out: all tests again, with a port for each leg.
#[test]
fn k1_all_rules_hold_with_a_port_for_each_leg() {
    if std::env::var_os(crate::bed::EXCLUSIVE_PORTS).is_some() {
        return;
    }
    let this = std::env::current_exe().expect("the test's own program");
    let mut again = std::process::Command::new(this);
    let output = again.env(crate::bed::EXCLUSIVE_PORTS, "1").output();
    let output = output.expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "with a port for each leg: {told}");
}
