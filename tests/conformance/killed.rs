//! An endpoint dies at any octet of a conversation. The other one hears what had come, whole and in
//! form, one signal for each SEND whose fate is open, and the end of its connection.
//!
//! The conversation is played anew for each of its octets, for either endpoint, with a connection
//! that ends and with one that breaks.

use link::Leg;
use tests::endpoint::Chunk;

use crate::bed::*;
use crate::websocket_client::frame;

const TEXT: &str = "Content-Type: text/plain";

/// Who says what, one after the other.
fn conversation() -> Vec<(Leg, Message)> {
    let send = |transaction, id, headers: &[&'static str], body: &str, flag| {
        let mut message = Message::send(transaction, body).flagged(flag);
        message.headers = [&[id], headers, &[TEXT]].concat();
        message
    };
    let one = send("a.one", "Message-ID: m1", &[], "hello", '$');
    let two = send(
        "b.two",
        "Message-ID: m2",
        &["Failure-Report: partial"],
        "you",
        '$',
    );
    let part = |transaction, flag| {
        let range = "Byte-Range: 101-*/900";
        send(transaction, "Message-ID: m3", &[range], "0123456789", flag)
    };
    let parts = [
        part("a.three", '+'),
        part("a.four", '+'),
        part("a.five", '$'),
    ];
    let silent = send(
        "b.six",
        "Message-ID: m4",
        &["Failure-Report: no"],
        "shh",
        '+',
    );
    let unanswered = [
        send("b.seven", "Message-ID: m5", &[], "", '$'),
        send("b.eight", "Message-ID: m6", &[], "\r\n-------b.eigh", '+'),
    ];
    let report = ["Message-ID: m2", "Status: 000 200 OK"];
    let report = Message::bodiless("a.nine", "REPORT", &report);
    let nickname = Message::bodiless("a.ten", "NICKNAME", &["Use-Nickname: \"Al\""]);
    let ok = |message: &Message| message.answer("200 OK");
    vec![
        (A, one.clone()),
        (B, ok(&one)),
        (B, two),
        (A, report),
        (A, parts[0].clone()),
        (B, ok(&parts[0])),
        (A, parts[1].clone()),
        (B, silent),
        (B, ok(&parts[1])),
        (B, unanswered[0].clone()),
        (A, parts[2].clone()),
        (B, unanswered[1].clone()),
        (A, ok(&unanswered[0])),
        (B, ok(&parts[2])),
        (A, nickname.clone()),
        (A, ok(&unanswered[1])),
        (B, ok(&nickname)),
    ]
}

/// How a process that was killed is seen from outside: its kernel ends the connection, or breaks it
/// if there was something it had not read.
#[derive(Clone, Copy, Debug)]
enum Death {
    Ends,
    Breaks,
}

/// A message as far as it was said when the end came.
struct Said {
    message: Message,
    /// Octets of it that came to the relay; without WebSocket framing.
    octets: usize,
    all: usize,
    /// Octets up to the first of the body; all of them if it has none.
    head: usize,
}

impl Said {
    /// The relay knows what it is.
    fn is_known(&self) -> bool {
        self.octets >= self.head
    }

    fn is_whole(&self) -> bool {
        self.octets == self.all
    }

    /// Octets of the body that have come, with what may yet become its end-line.
    fn came(&self) -> &str {
        let Some(body) = &self.message.body else {
            return "";
        };
        &body[..body.len().min(self.octets.saturating_sub(self.head))]
    }

    fn is_send(&self) -> bool {
        self.message.subject == "SEND"
    }

    fn header(&self, name: &str) -> Option<&str> {
        let value = |line: &'static str| line.strip_prefix(name)?.strip_prefix(": ");
        self.message.headers.iter().find_map(|line| value(line))
    }
}

/// Plays the conversation up to octet `until`, lets `victim` die, and returns what has been said and
/// what the survivor heard after its URIs were given names. `None`: the conversation is shorter.
fn play(
    transports: [Transport; 2],
    until: usize,
    victim: Leg,
    death: Death,
) -> Option<([Vec<Said>; 2], Vec<Chunk>)> {
    let (mut bed, a, b) = talk(transports[0], transports[1]);
    let peers = [a, b];
    let mut said = [Vec::new(), Vec::new()];
    let mut left = until;
    let mut rest = None;
    for (leg, message) in conversation() {
        let peer = peers[leg.index()];
        let plain = bed.with_uris(peer, &message.by(leg)).into_bytes();
        let (octets, framing) = match transports[leg.index()] {
            Ws => {
                let framed = frame(2, true, &plain);
                let framing = framed.len() - plain.len();
                (framed, framing)
            }
            _ => (plain.clone(), 0),
        };
        let take = left.min(octets.len());
        bed.says_octets(peer, &octets[..take]);
        left -= take;
        let blank = plain.windows(4).position(|four| four == b"\r\n\r\n");
        let head = match &message.body {
            Some(_) => blank.expect("a blank line") + 4,
            None => plain.len(),
        };
        said[leg.index()].push(Said {
            message,
            octets: take.saturating_sub(framing),
            all: plain.len(),
            head,
        });
        if take < octets.len() {
            rest = Some((leg, octets[take..].to_vec()));
            break;
        }
    }
    let (speaker, rest) = rest?;
    match death {
        Death::Ends => bed.leaves(peers[victim.index()]),
        Death::Breaks => bed.breaks(peers[victim.index()]),
    }
    let survivor = peers[victim.other().index()];
    if speaker != victim {
        // It knows nothing yet and goes on.
        bed.says_octets(survivor, &rest);
    }
    let mut heard = bed.hears(survivor).into_bytes();
    assert!(bed.is_ended(survivor), "the survivor's connection ends");
    if bed.speaks_websocket(survivor) {
        let frames = bed.hears_frames(survivor);
        let data: Vec<_> = frames.iter().filter(|frame| frame.opcode < 8).collect();
        assert!(
            data.last().is_none_or(|frame| frame.fin),
            "a message is open"
        );
        assert_eq!(frames.last().map(|frame| frame.opcode), Some(8));
    }
    let mut chunks = Vec::new();
    while let Some(chunk) = Chunk::take(&mut heard) {
        chunks.push(chunk);
    }
    let left = heard.escape_ascii().to_string();
    assert_eq!(left, "", "what the survivor hears ends with a chunk's end");
    Some((said, chunks))
}

/// What the victim said is heard as far as it came.
fn check_heard(said: &[Said], heard: &[Chunk]) {
    let known: Vec<&Said> = said.iter().filter(|said| said.is_known()).collect();
    assert_eq!(heard.len(), known.len(), "{heard:?}");
    for (said, chunk) in known.into_iter().zip(heard) {
        assert_eq!(said.message.transaction, chunk.transaction);
        assert_eq!(said.message.subject, chunk.subject);
        assert_eq!(lines(&said.message.headers), chunk.headers);
        if said.is_whole() {
            assert_eq!(said.message.flag, chunk.flag);
            assert_eq!(
                said.message.body.as_ref().map(String::as_bytes),
                chunk.body.as_deref()
            );
            continue;
        }
        assert_eq!(chunk.flag, '#', "what was open is cut off");
        let body = chunk.body.as_deref().unwrap_or_default();
        let body = str::from_utf8(body).expect("text");
        // Octets that might have begun the end-line may go out as data, but need not.
        assert!(body.starts_with(said.came()), "{body:?}");
        let end = format!(
            "\r\n-------{}{}\r",
            said.message.transaction, said.message.flag
        );
        assert!(end.starts_with(&body[said.came().len()..]), "{body:?}");
    }
}

/// The survivor gets one signal for each SEND whose fate is open, and no other.
fn check_signals(said: &[Said], heard: &[Chunk], mut signals: Vec<Chunk>) {
    let mut told_of = Vec::new();
    let sends = said.iter().filter(|said| said.is_send() && said.is_known());
    for send in sends.clone() {
        let answers =
            |chunk: &&Chunk| chunk.is_response() && chunk.transaction == send.message.transaction;
        let answered = heard.iter().filter(answers).count();
        let place = signals.iter().position(|chunk| answers(&chunk));
        let signal = place.map(|place| signals.remove(place));
        let wanted = send.header("Failure-Report") != Some("no") && answered == 0;
        assert_eq!(signal.is_some(), wanted, "{}", send.message.transaction);
        if let Some(signal) = signal {
            assert_eq!(signal.subject, "481 Session Does Not Exist");
            told_of.push(send.header("Message-ID"));
        }
    }
    // A message that is not all there, and of which every chunk was answered, is reported on.
    let last = sends.clone().next_back();
    let open = last.filter(|last| {
        let octets: usize = octets_of(said, last.header("Message-ID"));
        let is_open = !(last.is_whole() && last.message.flag == '$');
        let wanted = last.header("Failure-Report") != Some("no");
        is_open && wanted && octets > 0 && !told_of.contains(&last.header("Message-ID"))
    });
    if let Some(open) = open {
        let report = signals.pop().expect("a report");
        let id = open.header("Message-ID");
        let start: usize = match open.header("Byte-Range") {
            Some(range) => range
                .split('-')
                .next()
                .and_then(|d| d.parse().ok())
                .unwrap_or(0),
            None => 1,
        };
        let end = start + octets_of(said, id) - 1;
        let total = match open.header("Byte-Range") {
            Some(range) => range.rsplit('/').next().expect("a total"),
            None => "*",
        };
        assert_eq!(report.subject, "REPORT");
        assert_eq!(report.header("Message-ID"), id);
        assert_eq!(
            report.header("Byte-Range"),
            Some(&*format!("{start}-{end}/{total}"))
        );
        assert_eq!(
            report.header("Status"),
            Some("000 481 Session Does Not Exist")
        );
    }
    assert_eq!(signals, [], "nothing else is told");
}

/// Octets of a message's body that have come.
fn octets_of(said: &[Said], id: Option<&str>) -> usize {
    let of_it = said
        .iter()
        .filter(|said| said.is_send() && said.header("Message-ID") == id);
    of_it.map(|said| said.came().len()).sum()
}

fn die_at_every_octet(transports: [Transport; 2], victim: Leg) {
    for death in [Death::Ends, Death::Breaks] {
        let mut until = 0;
        while let Some((said, heard)) = play(transports, until, victim, death) {
            let is_signal = |chunk: &Chunk| {
                chunk.subject.starts_with("481 ") || chunk.transaction.starts_with("rly.")
            };
            let (signals, heard): (Vec<_>, Vec<_>) = heard.into_iter().partition(is_signal);
            let checked = std::panic::catch_unwind(|| {
                check_heard(&said[victim.index()], &heard);
                check_signals(&said[victim.other().index()], &heard, signals);
            });
            if let Err(panic) = checked {
                eprintln!("leg {victim:?} of {transports:?} {death:?} after octet {until}");
                std::panic::resume_unwind(panic);
            }
            until += 1;
        }
        assert!(until > 2000, "all of it was played");
    }
}

#[test]
fn f5_a_browser_that_is_killed_at_any_octet_leaves_the_handset_in_form() {
    die_at_every_octet([Ws, Tcp], A);
}

#[test]
fn f5_a_handset_that_is_killed_at_any_octet_leaves_the_browser_in_form() {
    die_at_every_octet([Ws, Tcp], B);
}

#[test]
fn f5_of_two_handsets_either_may_be_killed_at_any_octet() {
    die_at_every_octet([Tcp, Tcp], A);
    die_at_every_octet([Tcp, Tcp], B);
}
