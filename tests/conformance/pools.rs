//! What happens when a pool is used up: a definite answer, and nothing that stays behind.

use link::{Counter, LegSpec, Refusal};

use crate::bed::*;

#[test]
fn f10_a_request_that_could_not_be_remembered_is_forgotten_all_the_same() {
    for (waits_ms, is_passed) in [(29_999, true), (30_000, false)] {
        let mut bed = Bed::with(|settings| settings.pending = 1);
        let session = bed.session(Tcp, Tcp);
        let (a, b) = bed.both_come(session);
        bed.says(a, &Message::send("first123", "hello").by(A));
        let second = Message::send("second12", "hello");
        bed.says(a, &second.by(A));
        bed.waits(waits_ms);
        bed.says(b, &second.answer("200 OK").by(B));
        let answer = second.answer("200 OK").to(A);
        assert_eq!(bed.hears(a), if is_passed { answer } else { String::new() });
    }
}

#[test]
fn k1_who_comes_when_the_connections_are_used_up_is_closed_at_once_and_counted() {
    let mut bed = Bed::with(|settings| {
        settings.connections = 32;
        settings.realms[0].ports_exclusive = false;
    });
    let session = bed.create(Tcp, Tcp, 100_000);
    bed.tell_paths(session);
    let peers: Vec<Peer> = (0..40)
        .map(|_| bed.dials(session, A).expect("it listens"))
        .collect();
    let refused = bed.counter(Counter::AcceptsRefused);
    let closed = peers.iter().filter(|peer| bed.is_ended(**peer)).count();
    assert!(
        refused > 0 && closed as u64 == refused,
        "{closed} of {refused}"
    );
    assert!(bed.counter(Counter::Connections) <= 25, "a quarter is ours");
    // Those who are not closed are served, and when strangers have gone others may come.
    bed.waits(30_000);
    bed.waits(1_000);
    let (a, b) = bed.both_come(session);
    bed.says(a, &Message::send("t4Kz81Qm", "hello").by(A));
    assert_ne!(bed.hears(b), "");
}

#[test]
fn k1_listeners_of_more_user_timeouts_than_there_may_be_are_a_refusal() {
    let mut bed = Bed::sharing_ports();
    let wishes = |user_timeout_ms| {
        [Ws, Tcp].map(|transport| LegSpec {
            user_timeout_ms,
            ..LegSpec::new(transport, LEG_MS)
        })
    };
    let mut sessions = Vec::new();
    for seconds in 1..=100 {
        let session = bed.create_of(wishes(1000 * seconds));
        sessions.push((session, bed.told(session)));
    }
    let made = [Told::Created];
    let refused = [Told::Refused(Refusal::NoPorts)];
    assert!(sessions[..16].iter().all(|(_, told)| *told == made));
    assert!(sessions[16..].iter().all(|(_, told)| *told == refused));
    assert_eq!(bed.counter(Counter::Listeners), 32);
    // Who wishes for what is there already comes in, and so does another when one has gone.
    let same = bed.create_of(wishes(1000));
    assert_eq!(bed.told(same), made);
    bed.delete(sessions[1].0);
    let another = bed.create_of(wishes(50_000));
    assert_eq!(bed.told(another), made);
    for (session, _) in sessions {
        bed.delete(session);
    }
    bed.delete(same);
    bed.delete(another);
    assert_eq!(Counter::left_over(|gauge| bed.counter(gauge)), []);
}

/// So many small messages from leg A, for which no answer is wanted.
fn small_messages(messages: usize, bytes: usize) -> Vec<Message> {
    let one = |number| {
        let id = format!("small{number:06}").leak();
        Message::send(id, &"x".repeat(bytes)).with("Failure-Report: no")
    };
    (0..messages).map(one).collect()
}

#[test]
fn i8_what_waits_for_a_slow_leg_is_counted_in_whole_blocks() {
    let mut bed = Bed::new();
    let (slow, busy) = (bed.session(Tcp, Tcp), bed.session(Tcp, Ws));
    let (a, b) = bed.both_come(slow);
    let (c, d) = bed.both_come(busy);
    bed.stalls(b, true);
    // New heads of these lie apart, and fill a block between one message for the slow leg and the next.
    let between: String = small_messages(200, 1)
        .iter()
        .map(|message| message.by(A))
        .collect();
    let trickle = small_messages(200, 300);
    for message in &trickle {
        bed.says(a, &message.by(A));
        bed.says(c, &between);
        bed.hears(d);
    }
    let held = bed.counter(Counter::HeldBytes);
    assert!(held < 3 * (256 << 10), "{held} octets for one slow leg");
    bed.stalls(b, false);
    let expected: String = trickle.iter().map(|message| message.to(B)).collect();
    assert!(bed.hears(b) == expected);
    assert_eq!(bed.counter(Counter::HeldBytes), 0);
}

#[test]
fn i8_pieces_of_one_buffer_with_heads_apart_between_them_are_one_buffer() {
    let (mut bed, a, b) = talk(Tcp, Ws);
    bed.stalls(b, true);
    let messages = small_messages(20, 2000);
    let said: String = messages.iter().map(|message| message.by(A)).collect();
    bed.says(a, &said);
    assert_eq!(bed.counter(Counter::Copies), 0, "one buffer is not much");
    assert_eq!(bed.counter(Counter::Paused), 0);
    bed.stalls(b, false);
    let expected: String = messages.iter().map(|message| message.to(B)).collect();
    assert!(bed.hears(b) == expected);
}

#[test]
fn i3_what_waits_for_the_end_of_a_chunk_does_not_keep_the_chunk_from_ending() {
    let (mut bed, a, b) = talk(Tcp, Tcp);
    let message = Message::send("t4Kz81Qm", &"x".repeat(1000));
    let said = bed.with_uris(a, &message.by(A));
    let (begun, rest) = said.split_at(said.len() - 500);
    bed.says(a, begun);
    let alive = Message::bodiless("alive123", "SEND", &["Message-ID: keep"]);
    bed.says(b, &alive.by(B).repeat(2000));
    for piece in rest.as_bytes().chunks(100) {
        bed.says_octets(a, piece);
    }
    let answers = alive.answer("200 OK").to(B).repeat(2000);
    assert!(bed.hears(b) == message.to(B) + &answers);
    assert_eq!(bed.counter(Counter::Paused), 0);
}

/// Says octets one by one, each in a segment of its own.
fn says_in_octets(bed: &mut Bed, peer: Peer, message: &str) {
    let octets = bed.with_uris(peer, message).into_bytes();
    for octet in octets.chunks(1) {
        bed.sends_raw(peer, octet);
        bed.turn();
    }
    bed.settle();
}

#[test]
fn i8_octets_that_come_one_by_one_cost_no_more_than_many_at_once() {
    for (a_is, b_is) in [(Tcp, Tcp), (Tcp, Ws)] {
        let (mut bed, a, b) = talk(a_is, b_is);
        bed.stalls(b, true);
        let messages = small_messages(40, 300);
        let said: String = messages.iter().map(|message| message.by(A)).collect();
        says_in_octets(&mut bed, a, &said);
        let held = bed.counter(Counter::HeldBytes);
        assert!(held <= 2 * (256 << 10) + (256 << 10), "{held} are held");
        bed.stalls(b, false);
        let expected: String = messages.iter().map(|message| message.to(B)).collect();
        assert!(bed.hears(b) == expected);
        assert_eq!(bed.counter(Counter::HeldBytes), 0);
        assert_eq!(bed.counter(Counter::Paused), 0);
    }
}

#[test]
fn i8_single_small_messages_to_many_slow_legs_leave_room_for_the_others() {
    let mut bed = Bed::new();
    let slow: Vec<_> = (0..20)
        .map(|number| {
            let session = bed.session(Tcp, if number % 2 == 0 { Tcp } else { Ws });
            let (a, b) = bed.both_come(session);
            bed.stalls(b, true);
            (a, b)
        })
        .collect();
    let others = bed.session(Tcp, Ws);
    let (c, d) = bed.both_come(others);
    let trickle = small_messages(60, 300);
    for message in &trickle {
        for (a, _) in &slow {
            bed.says(*a, &message.by(A));
        }
        bed.says(c, &message.by(A));
        assert_eq!(bed.hears(d), message.to(B), "who reads is served");
    }
    for (_, b) in slow {
        bed.stalls(b, false);
        let expected: String = trickle.iter().map(|message| message.to(B)).collect();
        assert!(bed.hears(b) == expected, "and who reads late hears all");
    }
    assert_eq!(bed.counter(Counter::HeldBytes), 0);
}

#[test]
fn p10_where_sessions_or_ports_are_used_up_one_more_is_refused_until_one_ends() {
    let of_sessions = Bed::with(|settings| settings.sessions = 3);
    let of_ports = Bed::with(|settings| {
        settings.realms[0].ports_exclusive = true;
        settings.ports = (20000..20006).collect();
    });
    for (mut bed, reason) in [
        (of_sessions, Refusal::NoSessions),
        (of_ports, Refusal::NoPorts),
    ] {
        let all: Vec<_> = (0..3).map(|_| bed.session(Tcp, Tcp)).collect();
        for _ in 0..3 {
            let refused = bed.create(Tcp, Tcp, LEG_MS);
            assert_eq!(bed.told(refused), [Told::Refused(reason)]);
        }
        bed.delete(all[1]);
        // A port that was one leg's alone rests for a minute.
        bed.waits(60_000);
        let next = bed.session(Tcp, Tcp);
        bed.both_come(next);
        for session in [all[0], all[2], next] {
            bed.delete(session);
        }
        bed.waits(2_000);
        for gauge in [Counter::Sessions, Counter::PortsUsed, Counter::PathCells] {
            assert_eq!(bed.counter(gauge), 0, "{}", gauge.name());
        }
    }
}

#[test]
fn f2_where_memory_is_scarce_survivors_are_told_all_the_same() {
    let mut bed = Bed::with(|settings| {
        settings.buffers = 16;
        settings.blocks = 16;
    });
    let pairs: Vec<_> = (0..8)
        .map(|_| {
            let session = bed.session(Tcp, Tcp);
            bed.both_come(session)
        })
        .collect();
    let long = Message::send("long1234", &"x".repeat(300_000));
    let next = Message::send("next1234", "hello");
    for (a, b) in &pairs {
        bed.stalls(*b, true);
        bed.says(*a, &(long.by(A) + &next.by(A)));
    }
    for (a, b) in &pairs {
        bed.breaks(*b);
        let heard = bed.hears(*a);
        let signal = long.answer("481 Session Does Not Exist").to(A);
        assert!(heard.starts_with(&signal), "{heard}");
    }
    for (a, _) in &pairs {
        bed.leaves(*a);
    }
    bed.waits(2_000);
    let left = [Counter::HeldBytes, Counter::Connections, Counter::Pending];
    assert_eq!(left.map(|gauge| bed.counter(gauge)), [0; 3]);
}
