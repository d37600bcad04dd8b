//! One shard of the relay on a fake ring, and the link to whichever control is attached.

use std::net::IpAddr;

use link::{InProcess, Record, in_process};
use relay::shard::{Realm, Settings, Shard};
use tests::chance::Chance;
use tests::fake_ring::FakeRing;

const BUFFERS: u16 = 32;

/// A relay's process, from its start to its death.
pub struct Relay {
    /// Which it is: what peers had with another one is gone.
    pub number: u64,
    pub shard: Shard<FakeRing>,
    /// Both ends; control's is used by nobody while none is attached.
    pub link: Option<InProcess>,
    /// When its last turn was.
    turned_at: u64,
    /// When it wakes by itself.
    wakes_at: u64,
    /// Control has rung.
    rung: bool,
}

impl Relay {
    /// An empty relay.
    pub fn new(chance: &mut Chance, number: u64, now: u64) -> Relay {
        let settings = Settings {
            realms: vec![Realm {
                host: "relay.invalid".into(),
                public_host: Some("relay.invalid".into()),
                ports_exclusive: chance.percent(50),
                ..Realm::of("default", IpAddr::from([127, 0, 0, 1]))
            }],
            ports: (20_000..20_080).collect(),
            buffers: BUFFERS,
            blocks: 128,
            connections: 128,
            sessions: 48,
            pending: 256,
            flow_bytes: 64 << 10,
            message_bytes_max: 64 << 20,
            reload: None,
            half_open: 128,
            half_open_per_source: 128,
            handshakes_per_second: 1000,
            busy_poll_us: 0,
            identity: None,
        };
        let memory = settings.memory().expect("memory");
        let ring = FakeRing::new(chance.number(), memory.clone(), BUFFERS);
        let mut for_shard = Chance::new(chance.number());
        let random = Box::new(move |octets: &mut [u8]| for_shard.fill(octets));
        Relay {
            number,
            shard: Shard::new(settings, ring, memory, random),
            link: None,
            turned_at: now,
            wakes_at: now,
            rung: false,
        }
    }

    /// A control attaches, by queues of so many slots.
    pub fn attach(&mut self, slots: u32) {
        self.link = Some(in_process(1, slots).expect("memory and descriptors"));
        self.shard.attached();
        self.rung = true;
    }

    /// When its next turn is.
    pub fn due(&mut self) -> Option<u64> {
        let ring = self.shard.ring();
        if self.rung || ring.has_completions() || ring.can_go_on() {
            return Some(self.turned_at + 1);
        }
        (self.wakes_at < u64::MAX).then(|| self.wakes_at.max(self.turned_at + 1))
    }

    /// Control may have rung.
    pub fn listen(&mut self) {
        if let Some(link) = &self.link {
            self.rung |= link.wakers[0].clear().expect("a bell");
        }
    }

    /// One turn, as the shard's thread has it. Whether control is rung.
    pub fn turn(&mut self, now: u64) -> bool {
        self.turned_at = now;
        self.rung = false;
        let mut record = Record::new();
        let mut end = self.link.as_mut().map(|link| &mut link.shards[0]);
        let commands_wait = end.as_mut().is_some_and(|end| {
            end.commands.awake();
            self.shard.take_commands(end, &mut record, now)
        });
        self.shard.work(now);
        if let Some(end) = &mut end {
            self.shard.give_events(end, &mut record);
        }
        let wait = self.shard.may_sleep(end, commands_wait, now);
        let wait_ms = wait.map_or(u64::MAX, |wait| wait.as_millis() as u64);
        self.wakes_at = now.saturating_add(wait_ms);
        self.shard
            .enter(None)
            .expect("a fake ring is always entered");
        let ready = self.link.as_ref().map(|link| &link.ready);
        ready.is_some_and(|ready| ready.clear().expect("a bell"))
    }

    /// Receive buffers that there are.
    pub fn buffers(&self) -> usize {
        BUFFERS.into()
    }
}
