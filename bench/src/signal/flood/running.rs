//! Chats that run beside the flood, with media: what they say must arrive, and when they end both sides must hear.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::watch;

use super::tally::times;
use crate::handset::{Callee, Event};
use crate::signal::browser::{Browser, Media, offer};
use crate::signal::place::Place;
use crate::signal::system::System;

/// How often each says something.
const EVERY: Duration = Duration::from_millis(100);
/// How many texts it says from one ping to the next: control gives up who says nothing for half a minute.
const PING_EVERY: u64 = 50;
/// How long a text, or the end, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What goes on meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meanwhile {
    /// Less than can be done.
    Calm,
    /// The flood.
    Flood,
    /// Still the flood; chats end now.
    End,
}

/// What became of one.
pub struct Told {
    pub texts: u64,
    pub calm_ns: Histogram<u64>,
    pub flood_ns: Histogram<u64>,
    pub end_ns: Histogram<u64>,
    pub fault: Option<String>,
}

/// An open chat.
pub struct Chat {
    browser: Browser,
    handset: Callee,
    media: Media,
    id: String,
    target: String,
}

impl Chat {
    pub async fn open(place: &Place, system: &System, number: usize) -> Result<Chat, String> {
        let (user, peer) = (format!("runner{number}"), format!("listener{number}"));
        let mut handset = Callee::start(&place.aor(&peer), &system.sip.to_string()).await?;
        let mut browser = Browser::connect(system.http, &place.application, &user).await?;
        let (id, target) = (format!("run{number}"), format!("{peer}@{}", place.domain));
        let own_uri = format!("msrp://run{number}.invalid:2855/s;ws");
        let answer = browser.start(&id, &target, &offer(&own_uri)).await?;
        let invited = |event: &Event| matches!(event, Event::Incoming { .. });
        handset.until(PATIENCE, invited).await?;
        browser.complete(&id, &target).await?;
        let media = Media::bind(&answer, &own_uri).await?;
        Ok(Chat {
            browser,
            handset,
            media,
            id,
            target,
        })
    }

    /// Says something ten times a second until it is time to end.
    pub async fn run(mut self, mut meanwhile: watch::Receiver<Meanwhile>) -> Told {
        let mut told = Told {
            texts: 0,
            calm_ns: times(),
            flood_ns: times(),
            end_ns: times(),
            fault: None,
        };
        if let Err(why) = self.talk(&mut meanwhile, &mut told).await {
            told.fault = Some(format!("{}: {why}", self.id));
        }
        self.handset.quit().await;
        told
    }

    async fn talk(
        &mut self,
        meanwhile: &mut watch::Receiver<Meanwhile>,
        told: &mut Told,
    ) -> Result<(), String> {
        let mut due = Instant::now();
        loop {
            tokio::time::sleep_until(due.into()).await;
            let now_is = *meanwhile.borrow();
            if now_is == Meanwhile::End {
                return self.end(told).await;
            }
            if told.texts.is_multiple_of(PING_EVERY) {
                self.browser.ping().await?;
            }
            let (id, number) = (&self.id, told.texts);
            let text = format!("{id} says {number}");
            self.media.text(&format!("{id}x{number}"), &text).await?;
            let is_it =
                |event: &Event| matches!(event, Event::Message { text: came, .. } if *came == text);
            let arrived = self.handset.until(PATIENCE, is_it).await?;
            let took = arrived.saturating_duration_since(due).as_nanos();
            let times = match now_is {
                Meanwhile::Calm => &mut told.calm_ns,
                Meanwhile::Flood | Meanwhile::End => &mut told.flood_ns,
            };
            times.saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
            told.texts += 1;
            due += EVERY;
        }
    }

    async fn end(&mut self, told: &mut Told) -> Result<(), String> {
        let begin = Instant::now();
        self.browser.shutdown(&self.id, &self.target).await?;
        let is_ended = |event: &Event| matches!(event, Event::Ended { .. });
        let ended = self.handset.until(PATIENCE, is_ended).await?;
        let took = ended.saturating_duration_since(begin).as_nanos();
        told.end_ns
            .saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
        Ok(())
    }
}
