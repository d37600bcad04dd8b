//! Attaching: who may, who is refused and with which words. Both sides in one process.

use link::{
    AcceptError, Attachment, Command, Event, Listener, Options, Record, Refusal, SessionId,
};
use link::{VERSION, Woken, hung_up};
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("link-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a place for temporary files");
        Folder(folder)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("relay.sock")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Accepts once, while `caller` calls.
fn accept_during<T: Send>(
    listener: &mut Listener,
    caller: impl FnOnce() -> T + Send,
) -> (Result<link::Attached, AcceptError>, T) {
    thread::scope(|scope| {
        let called = scope.spawn(caller);
        let attached = listener.accept();
        (attached, called.join().expect("no panic"))
    })
}

fn attach(listener: &mut Listener, path: &Path) -> (link::Attached, Attachment) {
    let (relay, control) = accept_during(listener, || Attachment::connect(path));
    (relay.expect("attached"), control.expect("attached"))
}

fn command(number: u64) -> Record {
    let mut record = Record::new();
    Command::Delete {
        session: SessionId(number),
    }
    .encode(&mut record)
    .expect("fits");
    record
}

fn words<T>(result: io::Result<T>) -> String {
    match result {
        Ok(_) => panic!("it should have been refused"),
        Err(error) => error.to_string(),
    }
}

/// What a program of another build says first: this build's, with one of its words changed.
fn greeting(word: usize, value: u64) -> Vec<u8> {
    let mut words = [
        u64::from_le_bytes(*b"causeway"),
        link::VERSION.into(),
        link::LAYOUT_HASH,
        0,
        0,
    ];
    words[word] = value;
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

#[test]
fn records_and_wakes_go_both_ways_on_every_shard() {
    let folder = Folder::new("both-ways");
    let mut listener = Listener::bind(folder.socket(), 3).expect("bound");
    let wakers = listener.shard_wakers().expect("descriptors");
    let (mut relay, mut control) = attach(&mut listener, &folder.socket());
    assert_eq!((relay.epoch, control.epoch), (1, 1));
    assert_eq!(
        (relay.shards.len(), control.shards.len(), wakers.len()),
        (3, 3, 3)
    );
    let mut record = Record::new();
    for (index, waker) in wakers.iter().enumerate() {
        assert!(relay.shards[index].commands.sleep());
        control.shards[index]
            .commands
            .push(&command(index as u64))
            .expect("room");
        assert!(waker.clear().expect("a bell"));
        assert_eq!(relay.shards[index].commands.pop(&mut record), Ok(true));
        let session = SessionId(index as u64);
        assert_eq!(Command::decode(&record), Ok(Command::Delete { session }));

        assert_eq!(
            control.wait(Some(Duration::ZERO)).expect("poll"),
            Woken::TimedOut
        );
        let event = Event::Refused {
            session,
            reason: Refusal::SessionUnknown,
        };
        event.encode(&mut record).expect("fits");
        relay.shards[index].events.push(&record).expect("room");
        assert_eq!(control.wait(None).expect("poll"), Woken::Ready);
        let mut copy = Record::new();
        assert_eq!(control.shards[index].events.pop(&mut copy), Ok(true));
        assert_eq!(Event::decode(&copy), Ok(event));
    }
}

#[test]
fn an_event_wakes_a_control_that_sleeps_in_wait() {
    let folder = Folder::new("wakes");
    let mut listener = Listener::bind(folder.socket(), 2).expect("bound");
    let (mut relay, mut control) = attach(&mut listener, &folder.socket());
    let event = Event::ListEnd { token: 5 };
    thread::scope(|scope| {
        let waiting = scope.spawn(|| control.wait(None).expect("poll"));
        let mut record = Record::new();
        event.encode(&mut record).expect("fits");
        relay.shards[1].events.push(&record).expect("room");
        assert_eq!(waiting.join().expect("no panic"), Woken::Ready);
    });
}

#[test]
fn a_second_control_gets_fresh_memory_and_the_first_one_speaks_to_nobody() {
    let folder = Folder::new("second");
    let mut listener = Listener::bind(folder.socket(), 1).expect("bound");
    let wakers = listener.shard_wakers().expect("descriptors");
    let (mut relay_1, mut control_1) = attach(&mut listener, &folder.socket());
    control_1.shards[0]
        .commands
        .push(&command(1))
        .expect("room");
    let (mut relay_2, mut control_2) = attach(&mut listener, &folder.socket());
    assert_eq!((relay_2.epoch, control_2.epoch), (2, 2));
    // What is in the former memory is not in the new one, and the other way round.
    let mut record = Record::new();
    assert_eq!(relay_2.shards[0].commands.pop(&mut record), Ok(false));
    control_1.shards[0]
        .commands
        .push(&command(2))
        .expect("room");
    assert_eq!(relay_2.shards[0].commands.pop(&mut record), Ok(false));
    assert!(!hung_up(&control_1.socket));
    // The relay lets the first one go.
    while relay_1.shards[0].commands.pop(&mut record).expect("sound") {}
    drop(relay_1);
    assert!(hung_up(&control_1.socket));
    assert_eq!(control_1.wait(None).expect("poll"), Woken::HungUp);
    assert!(!hung_up(&control_2.socket));
    // What it goes on saying harms nobody, also when nobody reads it any more.
    let pushed = (0..1000).take_while(|_| control_1.shards[0].commands.push(&command(3)).is_ok());
    assert!(pushed.count() < 1000, "its queue got full");
    // The shard's bell is the same as before.
    wakers[0].clear().expect("a bell");
    assert!(relay_2.shards[0].commands.sleep());
    control_2.shards[0]
        .commands
        .push(&command(4))
        .expect("room");
    assert!(wakers[0].clear().expect("a bell"));
}

#[test]
fn without_a_relay_control_is_told_what_to_do() {
    let folder = Folder::new("none");
    let text = words(Attachment::connect(folder.socket()));
    assert!(
        text.contains("there is no such socket; start causeway-relay --socket"),
        "{text}"
    );
    drop(UnixListener::bind(folder.socket()).expect("bound")); // leaves its file
    let text = words(Attachment::connect(folder.socket()));
    assert!(text.contains("the one that served it has ended"), "{text}");
}

#[test]
fn a_relay_that_hangs_up_without_an_answer_is_named() {
    let folder = Folder::new("mute");
    let mute = UnixListener::bind(folder.socket()).expect("bound");
    let text = thread::scope(|scope| {
        scope.spawn(|| drop(mute.accept().expect("a caller")));
        words(Attachment::connect(folder.socket()))
    });
    assert!(
        text.contains("hung up without an answer") || text.contains("does not fit"),
        "{text}"
    );
}

#[test]
fn a_relay_of_another_build_is_refused_with_what_differs() {
    let folder = Folder::new("other-relay");
    let relay = UnixListener::bind(folder.socket()).expect("bound");
    let answered = |answer: Vec<u8>| {
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut socket, _) = relay.accept().expect("a caller");
                socket.read_exact(&mut [0; 40]).expect("a greeting");
                socket.write_all(&answer).expect("sent");
            });
            words(Attachment::connect(folder.socket()))
        })
    };
    let text = answered(greeting(1, 9));
    let versions = format!("speaks version 9 of the link and this program version {VERSION}");
    assert!(text.contains(&versions), "{text}");
    let text = answered(greeting(2, 9));
    assert!(text.contains("laid out differently"), "{text}");
    let text = answered(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec());
    assert!(text.contains("no Causeway program"), "{text}");
    // This build, but no descriptors: the relay could not make a region.
    let text = answered(greeting(0, u64::from_le_bytes(*b"causeway")));
    assert!(text.contains("offers no usable memory"), "{text}");
}

#[test]
fn callers_of_another_build_are_refused_and_the_next_one_is_served() {
    let folder = Folder::new("other-control");
    let mut listener = Listener::bind(folder.socket(), 1).expect("bound");
    let call = |bytes: Vec<u8>| {
        move |path: PathBuf| {
            let mut socket = UnixStream::connect(path).expect("connected");
            socket.write_all(&bytes).expect("sent");
            let mut answer = Vec::new();
            let _ = socket.read_to_end(&mut answer);
            answer
        }
    };
    for (bytes, expected) in [
        (greeting(1, 9), "speaks version 9"),
        (greeting(2, 0), "laid out differently"),
        (vec![b'?'; 40], "no Causeway program"),
    ] {
        let (relay, answer) = accept_during(&mut listener, || call(bytes)(folder.socket()));
        match relay {
            Err(AcceptError::Caller(error)) => {
                assert!(error.to_string().contains(expected), "{error}");
            }
            other => panic!("{:?}", other.map(|attached| attached.epoch)),
        }
        assert_eq!(answer[..8], *b"causeway", "it is told who we are");
    }
    let (relay, _) = accept_during(&mut listener, || {
        drop(UnixStream::connect(folder.socket()).expect("connected"));
    });
    assert!(matches!(relay, Err(AcceptError::Caller(_))), "gone again");
    let (relay, control) = attach(&mut listener, &folder.socket());
    assert_eq!(
        (relay.epoch, control.epoch),
        (1, 1),
        "none of them had a region"
    );
}

#[test]
fn a_silent_caller_does_not_keep_others_out() {
    let folder = Folder::new("silent");
    let mut listener = Listener::bind(folder.socket(), 1).expect("bound");
    let silent = UnixStream::connect(folder.socket()).expect("connected");
    match listener.accept() {
        Err(AcceptError::Caller(error)) => assert_eq!(error.kind(), io::ErrorKind::TimedOut),
        other => panic!("{:?}", other.map(|attached| attached.epoch)),
    }
    attach(&mut listener, &folder.socket());
    drop(silent);
}

#[test]
fn only_a_stale_socket_is_taken_over() {
    let folder = Folder::new("stale");
    let path = folder.socket();
    let serving = Listener::bind(&path, 1).expect("bound");
    let text = words(Listener::bind(&path, 1));
    assert!(text.contains("is served by another relay"), "{text}");
    drop(serving);
    assert!(!path.exists(), "it takes its file away");

    drop(UnixListener::bind(&path).expect("bound")); // as after SIGKILL
    assert!(path.exists());
    let mut listener = Listener::bind(&path, 1).expect("taken over");
    attach(&mut listener, &path);
    drop(listener);

    fs::write(&path, "precious").expect("written");
    let text = words(Listener::bind(&path, 1));
    assert!(text.contains("is no socket"), "{text}");
    assert_eq!(fs::read(&path).expect("still there"), b"precious");
}

#[test]
fn a_listener_leaves_the_file_of_its_successor() {
    let folder = Folder::new("successor");
    let path = folder.socket();
    let former = Listener::bind(&path, 1).expect("bound");
    fs::rename(&path, folder.0.join("moved")).expect("moved");
    let _successor = Listener::bind(&path, 1).expect("bound");
    drop(former);
    assert!(path.exists());
}

#[test]
fn the_socket_is_closed_to_others() {
    let folder = Folder::new("mode");
    let path = folder.socket();
    let mode = || fs::metadata(&path).expect("there").permissions().mode() & 0o777;
    let own_group = fs::metadata(&folder.0).expect("there").gid();
    let listener = Listener::bind(&path, 1).expect("bound");
    assert_eq!(mode(), 0o600);
    drop(listener);
    let options = Options {
        group: Some(own_group),
        ..Options::new(1)
    };
    let _listener = Listener::bind_with(&path, options).expect("bound");
    assert_eq!(mode(), 0o660);
}

#[test]
fn impossible_options_are_refused_before_anything_is_made() {
    let folder = Folder::new("options");
    let path = folder.socket();
    let slots = Options {
        slots: 100,
        ..Options::new(1)
    };
    for options in [Options::new(0), Options::new(link::SHARDS_MAX + 1), slots] {
        assert_eq!(
            Listener::bind_with(&path, options)
                .map(drop)
                .expect_err("refused")
                .kind(),
            io::ErrorKind::InvalidInput
        );
        assert!(!path.exists());
    }
    let mut listener = Listener::bind(&path, link::SHARDS_MAX).expect("bound");
    let (relay, control) = attach(&mut listener, &path);
    assert_eq!((relay.shards.len(), control.shards.len()), (128, 128));
}
