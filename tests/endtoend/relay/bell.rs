//! The bell by which control wakes a shard, on the real ring.

use std::time::Duration;

use relay::ring::probe::Features;
use relay::ring::{Memory, Op, Ring, Uring};
use tests::process::{PATIENCE, fresh_folder};

#[test]
fn two_rings_of_the_bell_close_together_do_not_block_the_shard() {
    let (done, told) = std::sync::mpsc::channel();
    let folder = fresh_folder("bell");
    let socket = folder.join("relay.sock");
    std::thread::spawn(move || {
        let listener = link::Listener::bind(&socket, 1).expect("a socket");
        let bell = listener.shard_wakers().expect("bells").remove(0);
        let memory = Memory::new(16, 0).expect("memory");
        let mut ring = Uring::new(&memory, 16, 4, 1, 0, Features::FLOOR).expect("a ring");
        let watched = bell.try_clone().expect("a descriptor");
        ring.watch(watched.into()).expect("the bell is watched");
        bell.ring();
        ring.turn(Some(PATIENCE)).expect("a turn");
        bell.ring(); // before the first completion has been looked at
        for _ in 0..3 {
            while let Some(completion) = ring.completion() {
                assert_eq!(completion.token.op, Op::Wake);
            }
            ring.turn(Some(Duration::from_millis(10))).expect("a turn");
        }
        done.send(()).expect("the test waits");
    });
    told.recv_timeout(PATIENCE)
        .expect("the shard's thread is blocked in a read");
    let _ = std::fs::remove_dir_all(folder);
}
