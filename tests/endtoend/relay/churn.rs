//! Sessions that come and go, by the thousand: nothing is left of them.

use link::{Command, SessionId, Transport};
use tests::process::{Relay, Told};

use crate::peers::{A_PATH, B_PATH, Handset, Page};

const SESSIONS: u64 = 10_000;
const BATCH: u64 = 100;

#[test]
fn of_ten_thousand_sessions_that_come_and_go_nothing_is_left() {
    let mut relay = Relay::start(&[]);
    for first in (0..SESSIONS).step_by(BATCH as usize) {
        let batch = first..first + BATCH;
        let legs: Vec<_> = batch
            .clone()
            .map(|id| relay.create(id, [Transport::Ws, Transport::Tcp], [A_PATH, B_PATH]))
            .collect();
        // Every tenth is left alone by one of its peers, and deleted while it waits.
        let talks: Vec<_> = legs
            .iter()
            .zip(batch.clone())
            .map(|(legs, id)| {
                let handset = Handset::open(&legs[1]);
                let page = (id % 10 != 0).then(|| Page::open(&legs[0]));
                (id, page, handset)
            })
            .collect();
        for (id, page, mut handset) in talks {
            if let Some(mut page) = page {
                page.send("hello", b"and good-bye", "Failure-Report: no\r\n");
                assert_eq!(handset.hear().body.as_deref(), Some(&b"and good-bye"[..]));
                if id % 2 == 0 {
                    drop(page);
                    handset.expect_end();
                    continue;
                }
            }
            let session = SessionId(id);
            relay.command(&Command::Delete { session });
            handset.expect_end();
        }
        let mut closed = 0;
        while closed < BATCH {
            closed += u64::from(matches!(relay.event(), Told::Closed(_)));
        }
    }
    crate::expect_all_given_back(&mut relay);
}
