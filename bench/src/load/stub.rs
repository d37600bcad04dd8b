//! The little control that a load needs: makes sessions, hears what becomes of them, ends them.

use std::path::Path;
use std::time::{Duration, Instant};

use link::{
    Attachment, Cause, Command, Counter, Event, Leg, LegSpec, PeerIdentity, Record, SessionCounts,
    SessionId, Transport, Woken,
};

use super::offer::Load;
use super::plan::{LegPlan, Plan};

/// How long the relay may take to answer all of a kind.
const ANSWERS: Duration = Duration::from_secs(30);
/// How long it may take to make one session.
const MAKING: Duration = Duration::from_secs(5);
/// The deadline for binding a leg.
const BINDING_MS: u32 = 300_000;

/// How a session ended.
#[derive(Debug, Clone, Copy)]
pub struct Closed {
    /// Why.
    pub cause: Cause,
    /// What the relay counted.
    pub counts: SessionCounts,
}

#[derive(Default)]
struct Session {
    created: Option<[(String, String); 2]>,
    legs_up: [bool; 2],
    closed: Option<Closed>,
}

/// An attachment to the relay, with the sessions that were made through it.
pub struct Stub {
    attachment: Attachment,
    sessions: Vec<Session>,
    /// The id of the session with index 0.
    first: u64,
    refused: Option<String>,
}

impl Stub {
    /// Attaches. Errors say what to do.
    pub fn attach(socket: &Path) -> Result<Stub, String> {
        let attachment = Attachment::connect(socket).map_err(|error| error.to_string())?;
        let mut octets = [0; 4];
        getrandom::fill(&mut octets).map_err(|error| error.to_string())?;
        // Ids of a run before this one, which the relay may remember, are other ones.
        let first = u64::from(u32::from_ne_bytes(octets)) << 32;
        Ok(Stub {
            attachment,
            sessions: Vec::new(),
            first,
            refused: None,
        })
    }

    /// Shards of the relay.
    pub fn shards(&self) -> usize {
        self.attachment.shards.len()
    }

    /// The socket to the relay, by which its process can be known.
    pub fn socket(&self) -> &std::os::unix::net::UnixStream {
        &self.attachment.socket
    }

    /// Makes the sessions of a load.
    pub fn create(&mut self, load: &Load) -> Result<Vec<Plan>, String> {
        let transports = load.legs.0;
        self.sessions = (0..load.sessions).map(|_| Session::default()).collect();
        for index in 0..load.sessions {
            self.ask(index, transports)?;
        }
        self.wait_until("make the sessions", |session| session.created.is_some())?;
        let mut plans = Vec::new();
        for index in 0..load.sessions {
            let plan = self.take_plan(index, transports)?;
            plans.push(plan.ok_or("a session vanished")?);
        }
        Ok(plans)
    }

    /// Asks for one more session.
    pub fn begin(&mut self, transports: [Transport; 2]) -> Result<u32, String> {
        let index = self.sessions.len() as u32;
        self.sessions.push(Session::default());
        self.ask(index, transports)?;
        Ok(index)
    }

    /// Makes one more session whose legs nobody binds, both of this kind, so that a listener is there
    /// all the time. Its index and its leg A.
    pub fn begin_waiting(&mut self, transport: Transport) -> Result<(u32, LegPlan), String> {
        let transports = [transport; 2];
        let index = self.begin(transports)?;
        let until = Instant::now() + MAKING;
        while Instant::now() < until {
            self.look(Duration::from_millis(10))?;
            if let Some(plan) = self.take_plan(index, transports)? {
                let [leg, _] = plan.legs;
                return Ok((index, leg));
            }
        }
        Err("the relay made no session".to_owned())
    }

    fn ask(&mut self, index: u32, transports: [Transport; 2]) -> Result<(), String> {
        let session = SessionId(self.first + u64::from(index));
        let legs = transports.map(|transport| LegSpec::new(transport, BINDING_MS));
        self.push(index, &Command::Create { session, legs })
    }

    /// The plan of a session that has been made since it was begun; tells the relay who its peers are.
    pub fn take_plan(
        &mut self,
        index: u32,
        transports: [Transport; 2],
    ) -> Result<Option<Plan>, String> {
        let Some(created) = self.sessions[index as usize].created.take() else {
            return Ok(None);
        };
        let plan = plan(index, transports, &created)?;
        for (leg, its) in [Leg::A, Leg::B].into_iter().zip(&plan.legs) {
            let session = SessionId(self.first + u64::from(index));
            let path = its.own_uri.as_bytes();
            let command = Command::SetPeer {
                session,
                leg,
                path,
                connect: None,
                identity: PeerIdentity::UNKNOWN,
            };
            self.push(index, &command)?;
        }
        Ok(Some(plan))
    }

    /// Whether the relay has told that both legs are bound.
    pub fn is_bound(&self, index: u32) -> bool {
        self.sessions[index as usize].legs_up == [true, true]
    }

    /// Ends one session.
    pub fn delete_one(&mut self, index: u32) -> Result<(), String> {
        let session = SessionId(self.first + u64::from(index));
        self.push(index, &Command::Delete { session })
    }

    /// How a session ended, if it has.
    pub fn closed(&self, index: u32) -> Option<Closed> {
        self.sessions[index as usize].closed
    }

    /// Hears what the relay has to say, after waiting for it; a refusal is an error.
    pub fn look(&mut self, timeout: Duration) -> Result<(), String> {
        self.hear()?;
        if !timeout.is_zero() {
            self.wait(timeout)?;
            self.hear()?;
        }
        self.refused.take().map_or(Ok(()), Err)
    }

    /// Waits until the relay has told that every leg is bound.
    pub fn wait_bound(&mut self) -> Result<(), String> {
        self.wait_until("bind all legs", |session| session.legs_up == [true, true])
    }

    /// Ends all sessions and gives how each ended.
    pub fn delete(&mut self) -> Result<Vec<Closed>, String> {
        for index in 0..self.sessions.len() as u32 {
            let session = SessionId(self.first + u64::from(index));
            self.push(index, &Command::Delete { session })?;
        }
        self.wait_until("end the sessions", |session| session.closed.is_some())?;
        Ok(self
            .sessions
            .iter()
            .filter_map(|session| session.closed)
            .collect())
    }

    /// Hears what the relay has to say; an error if a session ended by itself.
    pub fn listen(&mut self, timeout: Duration) -> Result<(), String> {
        self.hear()?;
        self.wait(timeout)?;
        self.hear()?;
        let closed = self
            .sessions
            .iter()
            .position(|session| session.closed.is_some());
        match closed.map(|index| (index, self.sessions[index].closed)) {
            Some((index, Some(Closed { cause, .. }))) => Err(format!(
                "the relay ended session {index} by itself: {cause:?}"
            )),
            _ => Ok(()),
        }
    }

    /// The sum of a counter over all shards.
    pub fn counter(&self, counter: Counter) -> u64 {
        let shards = self.attachment.shards.iter();
        shards
            .map(|shard| shard.counters.snapshot()[counter.index()])
            .sum()
    }

    fn push(&mut self, index: u32, command: &Command<'_>) -> Result<(), String> {
        let mut record = Record::default();
        command
            .encode(&mut record)
            .map_err(|error| format!("a command: {error:?}"))?;
        let shard = index as usize % self.attachment.shards.len();
        let until = Instant::now() + ANSWERS;
        while let Err(full) = self.attachment.shards[shard].commands.push(&record) {
            if Instant::now() > until {
                return Err(format!("the relay takes no commands: {full:?}"));
            }
            self.hear()?;
            self.wait(Duration::from_millis(10))?;
        }
        self.hear()
    }

    fn wait_until(&mut self, what: &str, done: impl Fn(&Session) -> bool) -> Result<(), String> {
        let until = Instant::now() + ANSWERS;
        loop {
            self.hear()?;
            if let Some(refused) = self.refused.take() {
                return Err(refused);
            }
            let missing = self
                .sessions
                .iter()
                .filter(|session| !done(session))
                .count();
            if missing == 0 {
                return Ok(());
            }
            if Instant::now() > until {
                let all = self.sessions.len();
                return Err(format!(
                    "the relay did not {what}: {missing} of {all} are missing"
                ));
            }
            self.wait(Duration::from_millis(100))?;
        }
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), String> {
        match self
            .attachment
            .wait(Some(timeout))
            .map_err(|error| error.to_string())?
        {
            Woken::Ready | Woken::TimedOut => Ok(()),
            Woken::HungUp => {
                Err("the relay hung up: it died, or another control attached to it".to_owned())
            }
        }
    }

    /// Takes all events that wait.
    fn hear(&mut self) -> Result<(), String> {
        let mut record = Record::default();
        for shard in &mut self.attachment.shards {
            while shard
                .events
                .pop(&mut record)
                .map_err(|error| format!("{error:?}"))?
            {
                let event = Event::decode(&record).map_err(|error| format!("{error:?}"))?;
                let (first, sessions) = (self.first, &mut self.sessions);
                match event {
                    Event::Created { session, legs } => {
                        if let Some(session) = of(sessions, first, session) {
                            let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
                            session.created =
                                Some(legs.map(|leg| (text(leg.path), text(leg.resource))));
                        }
                    }
                    Event::Refused { session, reason } => {
                        if of(sessions, first, session).is_some() {
                            self.refused = Some(explain(reason));
                        }
                    }
                    Event::LegUp { session, leg, .. } => {
                        if let Some(session) = of(sessions, first, session) {
                            session.legs_up[usize::from(leg == Leg::B)] = true;
                        }
                    }
                    Event::Closed {
                        session,
                        cause,
                        counts,
                    } => {
                        if let Some(session) = of(sessions, first, session) {
                            session.closed = Some(Closed { cause, counts });
                        }
                    }
                    Event::LegDown { .. }
                    | Event::LegDetached { .. }
                    | Event::LegExpired { .. }
                    | Event::Rebound { .. }
                    | Event::Reloaded { .. }
                    | Event::Listed { .. }
                    | Event::ListEnd { .. } => {}
                }
            }
        }
        Ok(())
    }
}

/// The session with this id, if it is one of this run.
fn of(sessions: &mut [Session], first: u64, id: SessionId) -> Option<&mut Session> {
    sessions.get_mut(usize::try_from(id.0.wrapping_sub(first)).ok()?)
}

fn explain(reason: link::Refusal) -> String {
    use link::Refusal;
    let advice = match reason {
        Refusal::NoPorts => "give the relay more ports, or load it with fewer sessions",
        Refusal::NoSessions | Refusal::NoMemory => "load it with fewer sessions",
        Refusal::TransportUnknown => "choose other --legs",
        Refusal::Draining => "it is being drained; start another",
        _ => "this is a mistake of the generator or of the relay",
    };
    format!("the relay refused a session ({reason:?}): {advice}")
}

fn plan(
    index: u32,
    transports: [Transport; 2],
    created: &[(String, String); 2],
) -> Result<Plan, String> {
    let leg = |number: usize| {
        let (relay_uri, resource) = &created[number];
        let authority = relay_uri
            .split("://")
            .nth(1)
            .and_then(|rest| rest.split('/').next());
        let address = authority.and_then(|authority| authority.parse().ok());
        let address =
            address.ok_or_else(|| format!("the relay's URI {relay_uri} has no address"))?;
        let own_uri = match transports[number] {
            Transport::Ws | Transport::Wss => {
                format!("msrp://b{index:06}.invalid:2855/load{index:08}{number};ws")
            }
            Transport::Tcp | Transport::Tls => {
                format!("msrp://127.0.0.1:2855/load{index:08}{number};tcp")
            }
        };
        let (resource, relay_uri) = (resource.clone(), relay_uri.clone());
        Ok(LegPlan {
            transport: transports[number],
            address,
            source: None,
            resource,
            to_path: relay_uri.clone(),
            relay_uri,
            own_uri,
        })
    };
    let legs = [leg(0).map_err(|e: String| e)?, leg(1)?];
    Ok(Plan { index, legs })
}
