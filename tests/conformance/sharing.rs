//! H, I and K where several sessions share a connection: a handset, or a border controller in front of
//! many, has one connection to a host and port, whatever number of chats goes over it.

use link::{Cause, Counter};
use relay::shard::Settings;

use crate::bed::*;

/// Sessions of a browser and a handset each; all handsets come by one connection.
pub struct Trunk {
    pub bed: Bed,
    pub sessions: Vec<Session>,
    pub pages: Vec<Peer>,
    pub trunk: Peer,
}

impl Trunk {
    fn of(sessions: usize, browsers: Transport) -> Trunk {
        Trunk::with(sessions, browsers, |_| {}).with_browsers()
    }

    fn with_browsers(mut self) -> Trunk {
        for session in self.sessions.clone() {
            let page = self.bed.comes(session, A);
            self.pages.push(page);
            self.bed.told(session);
        }
        self
    }

    /// No browser has come yet.
    fn with(sessions: usize, browsers: Transport, change: impl FnOnce(&mut Settings)) -> Trunk {
        let mut bed = Bed::with(|settings| {
            settings.realms[0].ports_exclusive = false;
            change(settings);
        });
        let sessions: Vec<Session> = (0..sessions).map(|_| bed.session(browsers, Tcp)).collect();
        let trunk = bed.comes(sessions[0], B);
        for (number, session) in sessions.iter().enumerate().skip(1) {
            assert_eq!(bed.port(*session, B), bed.port(sessions[0], B));
            assert_eq!(binds(&mut bed, trunk, number), "200 OK");
            assert!(bed.told(*session).contains(&Told::Up(B)));
        }
        Trunk {
            bed,
            sessions,
            pages: Vec::new(),
            trunk,
        }
    }

    /// What the page says is heard by its handset, and answered; under which transaction id.
    fn talks(&mut self, number: usize, message: &Message) -> String {
        self.bed.says(self.pages[number], &message.by(A));
        let heard = self.bed.hears_all(self.trunk);
        let id = transaction_of(&heard).to_owned();
        assert_eq!(heard, renamed(message, &id).to_handset(number));
        let answer = renamed(message, &id).answer("200 OK");
        self.bed.says(self.trunk, &answer.by_handset(number));
        let answer = message.answer("200 OK").to(A);
        assert_eq!(self.bed.hears(self.pages[number]), answer);
        id
    }
}

/// A handset says that a connection is its own, too; what it is answered.
fn binds(bed: &mut Bed, trunk: Peer, number: usize) -> String {
    let greeting = Message::bodiless("bind1234", "SEND", &["Message-ID: bind1"]);
    bed.says(trunk, &greeting.by_handset(number));
    let answer = bed.hears_all(trunk);
    let subject = answer
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("MSRP bind1234 "));
    subject.expect("an answer").to_owned()
}

fn transaction_of(heard: &str) -> &str {
    heard.split(' ').nth(1).expect("a start line")
}

fn renamed(message: &Message, transaction: &str) -> Message {
    Message {
        transaction: transaction.to_owned().leak(),
        ..message.clone()
    }
}

fn hello() -> Message {
    Message::send("t4Kz81Qm", "hello")
}

#[test]
fn k9_sessions_to_one_port_may_share_a_connection() {
    let mut trunk = Trunk::of(3, Ws);
    assert_eq!(trunk.bed.counter(Counter::LegsUp), 6);
    assert_eq!(trunk.bed.counter(Counter::LegsJoined), 2);
    for number in [0, 1, 2, 1, 0] {
        trunk.talks(number, &hello());
        trunk.bed.says(trunk.trunk, &hello().by_handset(number));
        let page = trunk.pages[number];
        assert_eq!(trunk.bed.hears(page), hello().to(A));
        trunk.bed.says(page, &hello().answer("200 OK").by(A));
        let answer = hello().answer("200 OK").to_handset(number);
        assert_eq!(trunk.bed.hears_all(trunk.trunk), answer);
    }
}

#[test]
fn k9_one_sessions_end_leaves_the_connection_to_the_others_and_the_last_closes_it() {
    let mut trunk = Trunk::of(3, Ws);
    for ended in 0..3 {
        assert!(!trunk.bed.is_ended(trunk.trunk));
        for number in ended..3 {
            trunk.talks(number, &hello());
        }
        trunk.bed.delete(trunk.sessions[ended]);
        let closed = [Told::Closed(Cause::Deleted)];
        assert_eq!(trunk.bed.told(trunk.sessions[ended]), closed);
    }
    assert!(trunk.bed.is_ended(trunk.trunk));
    trunk.bed.leaves(trunk.trunk);
    for page in trunk.pages {
        trunk.bed.leaves(page);
    }
    for gauge in [Counter::Connections, Counter::Timers, Counter::BuffersHeld] {
        assert_eq!(trunk.bed.counter(gauge), 0, "{}", gauge.name());
    }
}

#[test]
fn k9_the_port_of_one_session_is_offered_to_the_next() {
    let mut bed = Bed::sharing_ports();
    let ports = [(); 3].map(|()| {
        let session = bed.session(Ws, Tcp);
        bed.both_come(session);
        [bed.port(session, A), bed.port(session, B)]
    });
    assert_eq!(
        ports, [ports[0]; 3],
        "though nobody waited there in between"
    );
}

#[test]
fn k10_on_a_shared_connection_the_to_path_says_which_session_is_meant() {
    let mut trunk = Trunk::of(2, Ws);
    let elsewhere = trunk.bed.session(Ws, Tcp);
    trunk.bed.comes(elsewhere, B);
    assert!(binds(&mut trunk.bed, trunk.trunk, 2).starts_with("506 "));
    let unknown = hello().between("msrp://relay.invalid:20000/nobody;tcp", "R(B)");
    trunk.bed.says(trunk.trunk, &unknown);
    let answer = trunk.bed.hears_all(trunk.trunk);
    assert!(answer.starts_with("MSRP t4Kz81Qm 481 "), "{answer}");
    let forged = hello().between("L(B)#1", "R(B)#0");
    trunk.bed.says(trunk.trunk, &forged);
    let answer = trunk.bed.hears_all(trunk.trunk);
    assert!(answer.starts_with("MSRP t4Kz81Qm 481 "), "{answer}");
    trunk.bed.delete(trunk.sessions[1]);
    assert!(binds(&mut trunk.bed, trunk.trunk, 1).starts_with("481 "));
    trunk.talks(0, &hello());
}

#[test]
fn k10_a_leg_with_a_port_of_its_own_is_bound_by_no_connection_to_another() {
    let mut bed = Bed::with(|settings| settings.realms[0].ports_exclusive = true);
    let (one, two) = (bed.session(Ws, Tcp), bed.session(Ws, Tcp));
    let peer = bed.comes(one, B);
    assert!(binds(&mut bed, peer, 1).starts_with("481 "));
    bed.comes(two, B);
}

#[test]
fn k10_a_browsers_connection_is_its_own() {
    let mut bed = Bed::sharing_ports();
    let (one, _) = (bed.session(Ws, Tcp), bed.session(Ws, Tcp));
    let page = bed.comes(one, A);
    assert!(binds(&mut bed, page, 1).starts_with("481 "));
}

#[test]
fn k11_the_loss_of_a_shared_connection_is_the_end_of_all_its_sessions() {
    for broken in [false, true] {
        let mut trunk = Trunk::of(3, Ws);
        trunk.bed.says(trunk.pages[1], &hello().by(A));
        if broken {
            trunk.bed.breaks(trunk.trunk);
        } else {
            trunk.bed.leaves(trunk.trunk);
        }
        let cause = if broken {
            Cause::Reset
        } else {
            Cause::PeerClosed
        };
        for session in trunk.sessions {
            let told = trunk.bed.told(session);
            assert_eq!(told, [Told::Down(B, cause), Told::Closed(cause)]);
        }
        let signal = hello().answer("481 Session Does Not Exist");
        assert_eq!(trunk.bed.hears(trunk.pages[1]), signal.to(A));
        assert_eq!(trunk.bed.hears(trunk.pages[2]), "");
    }
}

#[test]
fn k11_who_waits_in_line_for_a_connection_that_is_lost_hears_so() {
    let mut trunk = Trunk::of(3, Tcp);
    trunk.bed.says(trunk.pages[0], &hello().begun_by(A));
    for number in 1..3 {
        trunk.bed.says(trunk.pages[number], &hello().by(A));
    }
    trunk.bed.breaks(trunk.trunk);
    let signal = hello().answer("481 Session Does Not Exist");
    for number in 1..3 {
        assert_eq!(trunk.bed.hears(trunk.pages[number]), signal.to(A));
    }
    trunk.bed.waits(11_000);
    assert_eq!(trunk.bed.counter(Counter::Timers), 0);
}

#[test]
fn k11_a_leg_that_fails_takes_its_own_session_along_and_no_other() {
    let mut trunk = Trunk::of(2, Tcp);
    trunk
        .bed
        .says(trunk.trunk, &hello().begun_by(B).replace("(B)", "(B)#0"));
    trunk.bed.breaks(trunk.pages[0]);
    let told = trunk.bed.told(trunk.sessions[0]);
    assert_eq!(
        told,
        [Told::Down(A, Cause::Reset), Told::Closed(Cause::Reset)]
    );
    let signal = hello().answer("481 Session Does Not Exist").to_handset(0);
    assert_eq!(trunk.bed.hears_all(trunk.trunk), signal);
    // The rest of the chunk is for nobody, and what follows for the other.
    trunk.bed.says(
        trunk.trunk,
        &("\r\n-------t4Kz81Qm$\r\n".to_owned() + &hello().by_handset(1)),
    );
    assert_eq!(trunk.bed.hears(trunk.pages[1]), hello().to(A));
    trunk.talks(1, &hello());
}

#[test]
fn h2_transaction_ids_are_mapped_where_sessions_share_a_connection() {
    for pages in [Ws, Tcp] {
        let mut trunk = Trunk::of(2, pages);
        let mut ids = Vec::new();
        for number in [0, 1] {
            let message = Message::send("same1234", &format!("from {number}"));
            trunk.bed.says(trunk.pages[number], &message.by(A));
            let heard = trunk.bed.hears_all(trunk.trunk);
            ids.push(transaction_of(&heard).to_owned());
            assert_eq!(heard, renamed(&message, &ids[number]).to_handset(number));
        }
        assert_ne!(ids[0], ids[1], "though their senders chose the same");
        let message = Message::send("same1234", "");
        for number in [1, 0] {
            let answer = renamed(&message, &ids[number]).answer("200 OK");
            trunk.bed.says(trunk.trunk, &answer.by_handset(number));
            let heard = trunk.bed.hears(trunk.pages[number]);
            assert_eq!(heard, message.answer("200 OK").to(A));
            // Once, and not for another session.
            trunk.bed.says(trunk.trunk, &answer.by_handset(number));
            trunk.bed.says(trunk.trunk, &answer.by_handset(1 - number));
            assert_eq!(trunk.bed.hears(trunk.pages[number]), "");
        }
        assert_eq!(trunk.bed.counter(Counter::TransactionsRenamed), 4);
        assert_eq!(trunk.bed.counter(Counter::Pending), 0);
    }
}

#[test]
fn h2_a_chunk_keeps_its_mapped_id_wherever_it_is_cut() {
    let message = Message::send("t4Kz81Qm", "0123\r\n-------t4Kz81Qm$x\r\n-------t4Kz81Qm");
    let bodiless = Message::bodiless("t4Kz81Qm", "NICKNAME", &["Use-Nickname: \"alice\""]);
    let empty = Message::send("t4Kz81Qm", "");
    for message in [message, bodiless, empty] {
        let said = message.by(A);
        for at in (0..said.len()).step_by(1) {
            let mut trunk = Trunk::of(2, Tcp);
            let said = trunk.bed.with_uris(trunk.pages[1], &said);
            if at >= said.len() {
                continue;
            }
            let (before, after) = said.split_at(at);
            trunk.bed.says(trunk.pages[1], before);
            trunk.bed.says(trunk.pages[1], after);
            let heard = trunk.bed.hears_all(trunk.trunk);
            let id = transaction_of(&heard).to_owned();
            assert_eq!(heard, renamed(&message, &id).to_handset(1), "cut at {at}");
        }
    }
}

#[test]
fn h2_octet_by_octet_a_chunk_is_the_same() {
    let mut trunk = Trunk::of(2, Tcp);
    let message = Message::send("t4Kz81Qm", "0123\r\n-------t4Kz81Qm$x\r\n------").flagged('+');
    let said = trunk.bed.with_uris(trunk.pages[0], &message.by(A));
    for octet in said.as_bytes().chunks(1) {
        trunk.bed.says_octets(trunk.pages[0], octet);
    }
    let heard = trunk.bed.hears_all(trunk.trunk);
    let id = transaction_of(&heard).to_owned();
    assert_eq!(heard, renamed(&message, &id).to_handset(0));
}

#[test]
fn h2_a_chunk_that_is_cut_off_ends_under_its_mapped_id() {
    let mut trunk = Trunk::of(2, Tcp);
    trunk.bed.says(trunk.pages[0], &hello().begun_by(A));
    trunk.bed.leaves(trunk.pages[0]);
    let heard = trunk.bed.hears_all(trunk.trunk);
    let id = transaction_of(&heard).to_owned();
    assert_eq!(heard, renamed(&hello(), &id).flagged('#').to_handset(0));
    trunk.talks(1, &hello());
}

#[test]
fn g5_on_a_shared_connection_neither() {
    let mut trunk = Trunk::of(2, Tcp);
    trunk.bed.says(trunk.pages[0], &hello().begun_by(A));
    trunk.bed.leaves(trunk.pages[0]);
    let heard = trunk.bed.hears_all(trunk.trunk);
    let id = transaction_of(&heard).to_owned();
    let answer = renamed(&hello(), &id).answer("200 OK");
    for number in [0, 1] {
        trunk.bed.says(trunk.trunk, &answer.by_handset(number));
        assert_eq!(trunk.bed.hears_all(trunk.trunk), "");
        assert_eq!(trunk.bed.hears(trunk.pages[1]), "");
    }
    trunk.talks(1, &hello());
}

#[test]
fn h2_what_nobody_answers_keeps_its_id() {
    let mut trunk = Trunk::of(2, Ws);
    let quiet = hello().with("Failure-Report: no");
    trunk.bed.says(trunk.pages[1], &quiet.by(A));
    assert_eq!(trunk.bed.hears_all(trunk.trunk), quiet.to_handset(1));
}

#[test]
fn h3_a_mapped_id_cannot_be_foreseen() {
    let mut trunk = Trunk::of(2, Ws);
    let mut ids: Vec<String> = (0..200)
        .map(|round| trunk.talks(round % 2, &hello()))
        .collect();
    // Six letters say where to look, the others are random: some 130 bits.
    assert!(
        ids.iter()
            .all(|id| id.len() == 28 && id.bytes().all(|octet| octet.is_ascii_alphanumeric()))
    );
    ids.iter_mut().for_each(|id| drop(id.drain(..6)));
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 200);
}

#[test]
fn h4_a_transaction_id_in_use_gets_400_on_a_shared_connection_too() {
    let mut trunk = Trunk::of(2, Ws);
    for _ in 0..2 {
        trunk.bed.says(trunk.pages[0], &hello().by(A));
    }
    let answer = hello().answer("400 Bad Request").to(A);
    assert_eq!(trunk.bed.hears(trunk.pages[0]), answer);
}

#[test]
fn i5_sessions_on_one_connection_take_turns_at_the_ends_of_chunks() {
    let mut trunk = Trunk::of(3, Tcp);
    let chunk = |body: &str| Message::send("t4Kz81Qm", body).with("Failure-Report: no");
    let first = chunk("of 0, the first").by(A);
    let (begun, rest) = first.split_at(first.len() - 25);
    trunk.bed.says(trunk.pages[0], begun);
    for number in [2, 1] {
        for body in ["first", "second"] {
            let said = chunk(&format!("of {number}, the {body}")).by(A);
            trunk.bed.says(trunk.pages[number], &said);
        }
    }
    trunk.bed.says(
        trunk.pages[0],
        &(rest.to_owned() + &chunk("of 0, the second").by(A)),
    );
    let heard = trunk.bed.hears_all(trunk.trunk);
    let order = [
        "0, the first",
        "2, the first",
        "1, the first",
        "0, the second",
        "2, the second",
        "1, the second",
    ];
    let expected = order.map(|text| {
        let number = text[..1].parse().expect("a number");
        chunk(&format!("of {text}")).to_handset(number)
    });
    assert_eq!(heard, expected.concat());
}

#[test]
fn i5_a_chunk_that_others_wait_for_is_cut_off_after_ten_seconds_however_it_drips() {
    let mut trunk = Trunk::of(2, Tcp);
    trunk.bed.says(trunk.pages[0], &hello().begun_by(A));
    for _ in 0..10 {
        trunk.bed.waits(10_000);
        trunk.bed.says(trunk.pages[0], "o");
    }
    // As long as nobody waits it may take its time.
    trunk.bed.says(trunk.pages[1], &hello().by(A));
    for _ in 0..2 {
        trunk.bed.waits(4_500);
        trunk.bed.says(trunk.pages[0], "o");
    }
    let stop = hello().answer("413 Stop Sending This Message");
    assert_eq!(trunk.bed.hears(trunk.pages[0]), "");
    trunk.bed.waits(2_000);
    assert_eq!(
        trunk.bed.hears(trunk.pages[0]).split(' ').nth(2),
        stop.to(A).split(' ').nth(2)
    );
    let heard = trunk.bed.hears_all(trunk.trunk);
    let (cut, whole) = heard.split_at(heard.find("#\r\nMSRP ").expect("a cut chunk") + 3);
    assert!(cut.contains(&format!("hello{}", "o".repeat(12))));
    let id = transaction_of(whole).to_owned();
    assert_eq!(whole, renamed(&hello(), &id).to_handset(1));
    // What still comes of it goes nowhere.
    trunk.bed.says(trunk.pages[0], "\r\n-------t4Kz81Qm$\r\n");
    trunk.talks(1, &Message::send("next1234", "hello"));
    let other = Message {
        headers: vec!["Message-ID: another1", "Content-Type: text/plain"],
        ..Message::send("next1234", "x")
    };
    trunk.talks(0, &other);
}

#[test]
fn i5_who_has_waited_for_a_chunk_that_is_cut_off_is_not_refused_with_it() {
    let mut trunk = Trunk::with(3, Tcp, |_| {});
    for number in 0..2 {
        let page = trunk.bed.comes(trunk.sessions[number], A);
        trunk.pages.push(page);
    }
    // The third session has both its legs on the connection.
    let greeting = Message::bodiless("bind1234", "SEND", &["Message-ID: bind1"]);
    let from_a = |message: &Message| message.between("L(A)#2", "R(A)#2");
    trunk.bed.says(trunk.trunk, &from_a(&greeting));
    trunk.bed.hears_all(trunk.trunk);
    trunk.bed.says(trunk.pages[0], &hello().begun_by(A));
    let quiet = hello().with("Failure-Report: no");
    trunk.bed.says(trunk.pages[1], &quiet.by(A));
    trunk.bed.says(trunk.trunk, &from_a(&quiet));
    trunk.bed.waits(16_000);
    let heard = trunk.bed.hears_all(trunk.trunk);
    let (_, whole) = heard.split_at(heard.find("#\r\nMSRP ").expect("a cut chunk") + 3);
    assert_eq!(whole, quiet.to_handset(1) + &quiet.to_handset(2));
}

#[test]
fn i5_each_chunk_that_others_wait_for_has_its_ten_seconds() {
    let mut trunk = Trunk::of(3, Tcp);
    for number in 0..2 {
        let page = trunk.pages[number];
        trunk.bed.says(page, &hello().begun_by(A));
    }
    trunk.bed.says(trunk.pages[2], &hello().by(A));
    for cut in 1..=2 {
        trunk.bed.waits(10_000);
        assert_eq!(trunk.bed.counter(Counter::ChunksCut), cut);
    }
    let heard = trunk.bed.hears_all(trunk.trunk);
    assert!(heard.ends_with("$\r\n"), "the third has its turn: {heard}");
}

#[test]
fn k8_a_receiver_that_is_not_there_holds_up_the_others_for_five_seconds() {
    let mut trunk = Trunk::with(2, Ws, |_| {});
    let page = trunk.bed.comes(trunk.sessions[1], A);
    let early = Message::send("early123", "is anybody there?");
    let both = early.by_handset(0) + &hello().by_handset(1);
    trunk.bed.says(trunk.trunk, &both);
    trunk.bed.waits(4_900);
    assert_eq!(trunk.bed.hears(page), "");
    trunk.bed.waits(200);
    assert_eq!(trunk.bed.hears(page), hello().to(A));
    let answer = early.answer("408 Request Timeout").to_handset(0);
    assert_eq!(trunk.bed.hears_all(trunk.trunk), answer);
    // From now on at once, until the browser has come.
    trunk.bed.says(trunk.trunk, &early.by_handset(0));
    assert_eq!(trunk.bed.hears_all(trunk.trunk), answer);
    let first = trunk.bed.comes(trunk.sessions[0], A);
    trunk.bed.says(trunk.trunk, &early.by_handset(0));
    assert_eq!(trunk.bed.hears(first), early.to(A));
    assert_eq!(trunk.bed.counter(Counter::HoldUps), 1);
}

#[test]
fn i8_a_slow_receiver_holds_up_the_others_for_fifteen_seconds_and_then_hears_no_more() {
    let mut trunk = Trunk::of(2, Ws);
    let (slow, other) = (trunk.pages[0], trunk.pages[1]);
    trunk.bed.stalls(slow, true);
    let long = Message::send("long1234", &"x".repeat(600_000));
    let hello = hello().with("Failure-Report: no");
    trunk
        .bed
        .says(trunk.trunk, &(long.by_handset(0) + &hello.by_handset(1)));
    for _ in 0..2 {
        trunk.bed.waits(7_000);
        trunk.bed.takes(slow, 1000);
    }
    assert_eq!(trunk.bed.hears(other), "");
    trunk.bed.waits(2_000);
    assert_eq!(trunk.bed.hears(other), hello.to(A));
    let answer = long.answer("408 Request Timeout").to_handset(0);
    assert_eq!(trunk.bed.hears_all(trunk.trunk), answer);
    // While it is slow, nobody waits for it.
    let again = Message {
        headers: vec!["Message-ID: another1", "Content-Type: text/plain"],
        ..Message::send("again123", "x")
    };
    trunk
        .bed
        .says(trunk.trunk, &(again.by_handset(0) + &hello.by_handset(1)));
    assert_eq!(trunk.bed.hears(other), hello.to(A));
    let answer = again.answer("408 Request Timeout").to_handset(0);
    assert_eq!(trunk.bed.hears_all(trunk.trunk), answer);
    // It takes what it was sent, and all is well.
    trunk.bed.stalls(slow, false);
    let heard = trunk.bed.hears(slow);
    assert!(heard.len() > 100_000 && heard.ends_with("\r\n-------long1234#\r\n"));
    trunk.bed.says(trunk.trunk, &again.by_handset(0));
    assert_eq!(trunk.bed.hears(slow), again.to(A));
    assert_eq!(trunk.bed.counter(Counter::Paused), 0);
}

#[test]
fn i9_a_shared_connection_that_takes_nothing_fails_with_all_its_sessions_and_holds_what_one_may() {
    let mut trunk = Trunk::with(8, Tcp, |settings| settings.buffers = 512).with_browsers();
    trunk.bed.stalls(trunk.trunk, true);
    for page in trunk.pages.clone() {
        let long = Message::send("long1234", &"x".repeat(600_000));
        trunk.bed.says(page, &long.by(A));
    }
    // What is queued for it, and what each page has sent that waits to be read.
    let held = trunk.bed.counter(Counter::HeldBytes);
    assert!(
        held <= 9 * (256 << 10) + 9 * 20_480,
        "{held} octets are held"
    );
    trunk.bed.waits(31_000);
    for session in trunk.sessions {
        let stalled = [Told::Down(B, Cause::Stalled), Told::Closed(Cause::Stalled)];
        assert_eq!(trunk.bed.told(session), stalled);
    }
    assert_eq!(trunk.bed.counter(Counter::BuffersHeld), 0);
}

#[test]
fn a_session_may_have_both_legs_on_one_connection() {
    let mut bed = Bed::sharing_ports();
    let session = bed.session(Tcp, Tcp);
    let trunk = bed.comes(session, A);
    assert_eq!(binds(&mut bed, trunk, 0), "200 OK");
    assert_eq!(bed.told(session), [Told::Created, Told::Up(A), Told::Up(B)]);
    bed.says(trunk, &hello().by(A));
    let heard = bed.hears(trunk);
    let id = transaction_of(&heard).to_owned();
    assert_eq!(heard, renamed(&hello(), &id).to(B));
    bed.says(trunk, &renamed(&hello(), &id).answer("200 OK").by(B));
    assert_eq!(bed.hears(trunk), hello().answer("200 OK").to(A));
    bed.delete(session);
    assert!(bed.is_ended(trunk));
}
