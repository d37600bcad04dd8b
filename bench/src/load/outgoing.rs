//! Sends a thread's messages together.
//!
//! The sessions that are ready at a time are all read first; then one task writes for all of them.
//! So a relay under a closed load gets its messages in a burst, as from a network card, and not
//! one by one at the pace of the generator, which would have it wake for each.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::session::Session;

/// The sessions of a thread that have something to write.
#[derive(Default)]
pub struct Outgoing {
    sessions: RefCell<Vec<Rc<RefCell<Session>>>>,
    waker: RefCell<Option<Waker>>,
}

impl Outgoing {
    /// Starts the task that writes; it ends with its executor.
    pub fn start() -> Rc<Outgoing> {
        let outgoing = Rc::new(Outgoing::default());
        let writes = outgoing.clone();
        let task = glommio::spawn_local(std::future::poll_fn(move |cx| writes.poll(cx)));
        task.detach();
        outgoing
    }

    /// Has a session written, behind those that are ready to be read now.
    pub fn add(&self, session: &Rc<RefCell<Session>>) {
        self.sessions.borrow_mut().push(session.clone());
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Those whose connections are full stay, and wake this task when there is room.
        self.sessions
            .borrow_mut()
            .retain(|session| !session.borrow_mut().flush(cx));
        self.waker.replace(Some(cx.waker().clone()));
        Poll::Pending
    }
}
