//! Two processes, of which one is killed in the middle of its work. The other process is this program
//! once more, with its part in an environment variable.

use link::{
    Attachment, Command, Event, Leg, Listener, PushError, Record, SessionId, Woken, hung_up,
};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command as Process, Stdio};

const PART: &str = "LINK_TEST_PART";
const SOCKET: &str = "LINK_TEST_SOCKET";

/// Records read before the other process is killed: many times around the queue.
const RECORDS: u64 = 5_000;

/// The other process; killed when dropped, so that a failing test leaves none behind.
struct Other {
    process: Child,
    output: BufReader<ChildStdout>,
}

impl Other {
    fn start(part: &str, socket: &Path) -> Other {
        let mut process = Process::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "other_process", "--nocapture"])
            .env(PART, part)
            .env(SOCKET, socket)
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        Other { process, output }
    }

    /// Waits until it says `word` on a line of its own.
    fn expect(&mut self, word: &str) {
        let mut line = String::new();
        while line.trim_end() != word {
            line.clear();
            assert_ne!(
                self.output.read_line(&mut line).expect("piped"),
                0,
                "it ended before {word}"
            );
        }
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it is ours");
    }

    fn ended_well(mut self) -> bool {
        self.process.wait().expect("it is ours").success()
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A socket's path in a folder of its own.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let folder = std::env::temp_dir().join(format!("link-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a place for temporary files");
        Place(folder.join("relay.sock"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().expect("has a folder"));
    }
}

/// What record `number` carries: its length and each byte follow from the number.
fn content(number: u64, bytes: &mut [u8; 1024]) -> &[u8] {
    let length = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize;
    for (index, byte) in bytes[..length].iter_mut().enumerate() {
        *byte = (number as usize * 31 + index * 7) as u8;
    }
    &bytes[..length]
}

fn numbered_command(number: u64, record: &mut Record) {
    let mut bytes = [0; 1024];
    let path = content(number, &mut bytes);
    let (session, leg) = (SessionId(number), Leg::A);
    Command::SetPeer {
        session,
        leg,
        path,
        connect: None,
        identity: link::PeerIdentity::UNKNOWN,
    }
    .encode(record)
    .expect("fits");
}

/// The command's number, if it is exactly what was encoded.
fn check_command(record: &Record) -> u64 {
    match Command::decode(record) {
        Ok(Command::SetPeer { session, path, .. }) => {
            assert_eq!(
                path,
                content(session.0, &mut [0; 1024]),
                "torn: {session:?}"
            );
            session.0
        }
        other => panic!("not what was pushed: {other:?}"),
    }
}

/// Not a test but the other process: does nothing unless it was started as one.
#[test]
fn other_process() {
    let Ok(part) = std::env::var(PART) else {
        return;
    };
    let socket = std::env::var(SOCKET).expect("comes with its part");
    match part.as_str() {
        "control that floods" => flood_commands(&socket),
        "control that lists" => list(&socket),
        "relay that floods" => flood_events(&socket),
        other => panic!("no such part: {other}"),
    }
}

/// Pushes numbered commands without end.
fn flood_commands(socket: &str) {
    let mut control = Attachment::connect(socket).expect("attached");
    let mut record = Record::new();
    for number in 0.. {
        numbered_command(number, &mut record);
        while let Err(error) = control.shards[0].commands.push(&record) {
            assert_eq!(error, PushError::Full);
            if control.wait(None).expect("poll") == Woken::HungUp {
                return;
            }
        }
    }
}

/// Asks for a list and waits for its end.
fn list(socket: &str) {
    let mut control = Attachment::connect(socket).expect("attached");
    let mut record = Record::new();
    Command::List {
        token: control.epoch,
    }
    .encode(&mut record)
    .expect("fits");
    control.shards[0].commands.push(&record).expect("room");
    while !control.shards[0].events.pop(&mut record).expect("sound") {
        assert_ne!(control.wait(None).expect("poll"), Woken::HungUp);
    }
    assert_eq!(
        Event::decode(&record),
        Ok(Event::ListEnd {
            token: control.epoch
        })
    );
}

/// Accepts one control and pushes numbered events without end.
fn flood_events(socket: &str) {
    let mut listener = Listener::bind(socket, 1).expect("bound");
    let waker = listener.shard_wakers().expect("descriptors").remove(0);
    println!("\nlistening");
    let mut attached = listener.accept().expect("attached");
    let mut record = Record::new();
    for token in 0.. {
        Event::ListEnd { token }.encode(&mut record).expect("fits");
        while attached.shards[0].events.push(&record).is_err() {
            waker.wait(None).expect("poll");
            waker.clear().expect("a bell");
        }
    }
}

#[test]
fn the_relay_survives_a_control_killed_in_mid_stream() {
    let place = Place::new("control-dies");
    let mut listener = Listener::bind(&place.0, 1).expect("bound");
    let waker = listener.shard_wakers().expect("descriptors").remove(0);
    let mut control = Other::start("control that floods", &place.0);
    let mut attached = listener.accept().expect("attached");
    assert_eq!(attached.epoch, 1);
    let mut record = Record::new();
    let mut next = 0;
    while next < RECORDS {
        let commands = &mut attached.shards[0].commands;
        if commands.pop(&mut record).expect("sound") {
            assert_eq!(check_command(&record), next);
            next += 1;
        } else if commands.sleep() {
            waker.wait(None).expect("poll");
            waker.clear().expect("a bell");
            commands.awake();
        }
    }
    control.kill();
    // The socket tells, and only then is what is left the last of it.
    assert_eq!(attached.socket.read(&mut [0; 1]).expect("readable"), 0);
    assert!(hung_up(&attached.socket));
    while attached.shards[0].commands.pop(&mut record).expect("sound") {
        assert_eq!(check_command(&record), next);
        next += 1;
    }
    // Nobody listens; saying it harms nobody.
    Event::ListEnd { token: 0 }
        .encode(&mut record)
        .expect("fits");
    let pushed = (0..1000)
        .take_while(|_| attached.shards[0].events.push(&record).is_ok())
        .count();
    assert_eq!(pushed, link::SLOTS_DEFAULT as usize);

    // A new control gets a new region; of the former one it sees nothing, although we still have it.
    let control = Other::start("control that lists", &place.0);
    let mut again = listener.accept().expect("attached");
    assert_eq!(again.epoch, 2);
    let end = &mut again.shards[0];
    while !end.commands.pop(&mut record).expect("sound") {
        if end.commands.sleep() {
            waker.wait(None).expect("poll");
            waker.clear().expect("a bell");
            end.commands.awake();
        }
    }
    assert_eq!(Command::decode(&record), Ok(Command::List { token: 2 }));
    Event::ListEnd { token: 2 }
        .encode(&mut record)
        .expect("fits");
    end.events.push(&record).expect("room");
    assert!(control.ended_well());
    assert!(!attached.shards[0].commands.pop(&mut record).expect("sound"));
}

#[test]
fn control_survives_a_relay_killed_in_mid_stream() {
    let place = Place::new("relay-dies");
    let mut relay = Other::start("relay that floods", &place.0);
    relay.expect("listening");
    let mut control = Attachment::connect(&place.0).expect("attached");
    let mut record = Record::new();
    let mut next = 0;
    while next < RECORDS {
        if control.shards[0].events.pop(&mut record).expect("sound") {
            assert_eq!(Event::decode(&record), Ok(Event::ListEnd { token: next }));
            next += 1;
        } else {
            assert_eq!(control.wait(None).expect("poll"), Woken::Ready);
        }
    }
    relay.kill();
    loop {
        if control.shards[0].events.pop(&mut record).expect("sound") {
            assert_eq!(Event::decode(&record), Ok(Event::ListEnd { token: next }));
            next += 1;
        } else if control.wait(None).expect("poll") == Woken::HungUp {
            break;
        }
    }
    numbered_command(1, &mut record);
    control.shards[0]
        .commands
        .push(&record)
        .expect("room, though nobody reads");
    let error = Attachment::connect(&place.0)
        .map(drop)
        .expect_err("nobody is there");
    assert!(error.to_string().contains("has ended"), "{error}");

    // Its socket file is still there; the next relay takes it over, the next attachment works.
    let mut relay = Other::start("relay that floods", &place.0);
    relay.expect("listening");
    let mut again = Attachment::connect(&place.0).expect("attached");
    while !again.shards[0].events.pop(&mut record).expect("sound") {
        assert_eq!(again.wait(None).expect("poll"), Woken::Ready);
    }
    assert_eq!(Event::decode(&record), Ok(Event::ListEnd { token: 0 }));
}
