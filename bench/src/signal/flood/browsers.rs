//! Many browsers: they take every chat that is offered, and ask for chats when they are told to.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::farm::handset;
use super::tally::{Fate, Offer, Schedule, Tally};
use super::{GIVE_UP, HANDSETS};
use crate::signal::browser::{Browser, offer};

/// What browsers are asked to do together.
pub struct Order {
    pub offer: Offer,
    /// How many share it.
    pub all: usize,
    pub reply: oneshot::Sender<Tally>,
}

/// One of them.
pub struct Guest {
    browser: Browser,
    number: usize,
    domain: String,
    /// Chats that were asked for: when they were due.
    asked: HashMap<String, Instant>,
    last: u64,
    work: Option<(Schedule, Order, Tally)>,
}

impl Guest {
    pub fn new(browser: Browser, number: usize, domain: &str) -> Guest {
        Guest {
            browser,
            number,
            domain: domain.to_owned(),
            asked: HashMap::new(),
            last: 0,
            work: None,
        }
    }

    /// Takes chats, and asks for some, until nobody gives orders any more. An error is its end.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> Result<(), String> {
        loop {
            let now = Instant::now();
            self.ask_due(now).await?;
            self.finish(now);
            let sleep = tokio::time::sleep_until(self.wake_at(now).into());
            tokio::select! {
                frame = self.browser.next() => self.heard(&frame?).await?,
                order = orders.recv() => match order {
                    Some(order) => {
                        let schedule = order.offer.part(self.number, order.all);
                        let tally = Tally::new(&order.offer);
                        self.work = Some((schedule, order, tally));
                    }
                    None => return Ok(()),
                },
                () = sleep => {}
            }
        }
    }

    fn wake_at(&self, now: Instant) -> Instant {
        let due = |(schedule, ..): &(Schedule, _, _)| schedule.due(self.asked.len());
        let due = self.work.as_ref().and_then(due);
        due.map_or(now + GIVE_UP / 10, |due| due.min(now + GIVE_UP / 10))
    }

    async fn ask_due(&mut self, now: Instant) -> Result<(), String> {
        while let Some((schedule, _, tally)) = &mut self.work
            && let Some(due) = schedule.take(now, self.asked.len())
        {
            tally.offered += 1;
            self.last += 1;
            let chat = format!("g{}x{}", self.number, self.last);
            let target = self.target();
            let sdp = offer(&format!("msrp://g{}.invalid:2855/{chat};ws", self.number));
            self.asked.insert(chat.clone(), due);
            self.browser.ask(&chat, &target, &sdp).await?;
        }
        Ok(())
    }

    fn target(&self) -> String {
        format!("{}@{}", handset(self.number % HANDSETS), self.domain)
    }

    /// Gives up what was not answered for too long, and gives the tally when all is settled.
    fn finish(&mut self, now: Instant) {
        let Some((schedule, _, tally)) = &mut self.work else {
            return;
        };
        self.asked.retain(|_, due| {
            let is_late = *due + GIVE_UP <= now;
            if is_late {
                tally.settle(*due, now, Fate::TimedOut);
            }
            !is_late
        });
        if self.asked.is_empty()
            && schedule.is_over(now)
            && let Some((_, order, tally)) = self.work.take()
        {
            // Whoever asked may have given up.
            let _ = order.reply.send(tally);
        }
    }

    async fn heard(&mut self, frame: &Value) -> Result<(), String> {
        let (control, header) = (&frame["control"], &frame["header"]);
        let kind = control["type"].as_str().unwrap_or_default();
        if (kind, header["action"].as_str()) == ("request", Some("start")) {
            let chat = control["subsession_id"].as_str().unwrap_or_default();
            let sdp = offer(&format!("msrp://g{}.invalid:2855/{chat};ws", self.number));
            return self.browser.accept(frame, &sdp).await;
        }
        let is_final = control["message_state"] == "final";
        let fate = match kind {
            "response" if is_final => Fate::Answered,
            "error" => match (header["error_code"].as_u64(), &header["retry_after"]) {
                (Some(503), Value::Number(_)) => Fate::Refused,
                (Some(503), _) if header["reason"] == "too busy" => Fate::RefusedBare,
                _ => Fate::Otherwise(format!("a start was answered: {frame}")),
            },
            _ => return Ok(()),
        };
        let chat = control["subsession_id"].as_str().unwrap_or_default();
        let Some(due) = self.asked.remove(chat) else {
            return Ok(());
        };
        let is_answered = fate == Fate::Answered;
        if let Some((.., tally)) = &mut self.work {
            tally.settle(due, Instant::now(), fate);
        }
        if is_answered {
            let target = self.target();
            self.browser.complete(chat, &target).await?;
            self.browser.shutdown(chat, &target).await?;
        }
        Ok(())
    }
}
