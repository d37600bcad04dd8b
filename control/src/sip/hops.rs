//! The next hops of what leaves our domain: outbound proxies, in the order of preference, and which of them
//! answer. RFC 3263, 4.3; RFC 3261, 8.1.2.
//!
//! A hop that does not answer, or says 503, is passed over for a while; a request it has failed goes to the
//! next one. Every hop is asked by OPTIONS now and then, so that requests need not find out. To be stored:
//! nothing; who is there is found out anew.

use serde::{Deserialize, Serialize};

use super::api::{Action, ClientId, Event, Flow, Millis, SipTransport};
use super::compose::companion_headers;
use super::machine::{Sip, bare_request};
use super::method::Method;
use super::tables::{ClientOwner, Target};
use super::timers::TimerOf;
use super::uri::SipUri;

/// How long a hop that failed is passed over, unless it says how long itself.
const DOWN_MS: Millis = 30_000;
/// The longest that it may say.
const DOWN_MS_MAX: Millis = 600_000;

/// One next hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Where it is.
    pub flow: Flow,
    /// The name that it was found by, which its certificate must cover; shown in logs.
    pub name: String,
    /// Those of the lowest rank are asked first; the others, when none of these answers.
    pub rank: u32,
    /// Among those of a rank, how much it is to be asked in relation to the others. RFC 2782.
    pub weight: u16,
}

impl Hop {
    /// The URI by which it is put into Route.
    fn route(&self) -> String {
        let mut uri = SipUri::of(self.flow.peer);
        uri.set_transport(self.flow.transport);
        uri.params.push(("lr".to_owned(), None));
        format!("<{uri}>")
    }
}

/// All next hops.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Hops {
    list: Vec<Watched>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Watched {
    hop: Hop,
    down_until: Option<Millis>,
    /// It said itself that it wants nothing until then.
    asked_for_quiet: bool,
    /// An OPTIONS is under way.
    asked: Option<ClientId>,
    /// The OPTIONS were answered, or not; `None`: not known yet.
    is_up: Option<bool>,
}

impl Hops {
    /// The best one that is not among `tried`; `chance` decides where several are equally good.
    fn best(&self, tried: &[Flow], chance: u64, now: Millis) -> Option<&Hop> {
        let fresh = |watched: &&Watched| !tried.contains(&watched.hop.flow);
        let down = |watched: &Watched| watched.down_until.filter(|until| *until > now);
        let up = |watched: &&Watched| fresh(watched) && down(watched).is_none();
        let rank = self.list.iter().filter(up).map(|watched| watched.hop.rank);
        let rank = rank.min();
        let best = |watched: &&Watched| up(watched) && Some(watched.hop.rank) == rank;
        let up = by_weight(self.list.iter().filter(best).collect(), chance);
        // All have failed: the one whose time is nearest, rather than nothing.
        let may = |watched: &&Watched| fresh(watched) && !watched.asked_for_quiet;
        let soonest = || {
            self.list
                .iter()
                .filter(may)
                .min_by_key(|watched| down(watched))
        };
        up.or_else(soonest).map(|watched| &watched.hop)
    }

    /// Whether requests may go there now.
    fn is_up(&self, flow: Flow, now: Millis) -> bool {
        let same = |watched: &&Watched| {
            let known = watched.hop.flow;
            (known.transport, known.peer) == (flow.transport, flow.peer)
        };
        let found = self.list.iter().find(same);
        found.is_some_and(|watched| watched.down_until.is_none_or(|until| until <= now))
    }

    fn of_mut(&mut self, flow: Flow) -> Option<&mut Watched> {
        let same = |watched: &&mut Watched| {
            let known = watched.hop.flow;
            (known.transport, known.peer) == (flow.transport, flow.peer)
        };
        self.list.iter_mut().find(same)
    }

    /// Whether there is any.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether this is the address of one of them.
    pub fn has_peer(&self, ip: std::net::IpAddr) -> bool {
        let same = |watched: &Watched| watched.hop.flow.peer.ip() == ip;
        self.list.iter().any(same)
    }

    /// How many answer.
    pub fn up(&self, now: Millis) -> usize {
        let down = |watched: &&Watched| watched.down_until.is_some_and(|until| until > now);
        self.list.len() - self.list.iter().filter(down).count()
    }
}

/// One of these, the heavier the more often; those without weight have a small chance. RFC 2782.
fn by_weight(mut hops: Vec<&Watched>, chance: u64) -> Option<&Watched> {
    hops.sort_by_key(|watched| watched.hop.weight);
    let weight = |watched: &Watched| u64::from(watched.hop.weight);
    let total: u64 = hops.iter().map(|watched| weight(watched)).sum();
    if total == 0 {
        let at = usize::try_from(chance).unwrap_or(0) % hops.len().max(1);
        return hops.get(at).copied();
    }
    let (chosen, mut sum) = (chance % (total + 1), 0);
    hops.into_iter().find(|watched| {
        sum += weight(watched);
        sum >= chosen
    })
}

impl Sip {
    /// The next hops from now on. What is known of those that stay is kept.
    pub fn set_hops(&mut self, hops: Vec<Hop>, now: Millis, out: &mut Vec<Action>) {
        let former = std::mem::take(&mut self.hops.list);
        let same = |hop: &Hop, watched: &&Watched| {
            watched.hop.flow == hop.flow && watched.hop.name == hop.name
        };
        let watched = |hop: Hop| match former.iter().find(|watched| same(&hop, watched)) {
            Some(watched) => Watched {
                hop,
                ..watched.clone()
            },
            None => Watched {
                hop,
                down_until: None,
                asked_for_quiet: false,
                asked: None,
                is_up: None,
            },
        };
        self.hops.list = hops.into_iter().map(watched).collect();
        self.probe_hops(now, out);
        self.registrations_wanted(now, out);
    }

    /// How many next hops are not known to be out of order.
    pub fn hops_up(&self, now: Millis) -> usize {
        self.hops.up(now)
    }

    /// The way to the best hop.
    pub(super) fn hop_target(&self, now: Millis) -> Option<Target> {
        let best = self.hops.best(&[], self.hop_chance(), now);
        best.map(|hop| way(hop.flow))
    }

    /// The way to this hop, if it is one and not known to be out of order.
    pub(super) fn hop_target_of(&self, flow: Flow, now: Millis) -> Option<Target> {
        self.hops.is_up(flow, now).then(|| way(flow))
    }

    /// What decides between hops that are equally good; another with each request.
    fn hop_chance(&self) -> u64 {
        self.random.derived_number(&format!("hop {}", self.last_id))
    }

    /// The Route value of the hop at the end of this flow.
    pub(super) fn hop_route(&self, flow: Flow) -> Option<String> {
        let same = |watched: &&Watched| watched.hop.flow.peer == flow.peer;
        self.hops
            .list
            .iter()
            .find(same)
            .map(|watched| watched.hop.route())
    }

    /// A hop has answered.
    pub(super) fn hop_is_up(&mut self, flow: Flow, out: &mut Vec<Action>) {
        if let Some(watched) = self.hops.of_mut(flow) {
            watched.down_until = None;
            watched.asked_for_quiet = false;
            if watched.is_up.replace(true) == Some(false) {
                let name = watched.hop.name.clone();
                out.push(Action::Event(Event::Hop { name, is_up: true }));
            }
        }
    }

    /// A hop has failed a request; it is passed over for a while.
    pub(super) fn hop_is_down(
        &mut self,
        flow: Flow,
        retry_after_s: Option<u64>,
        now: Millis,
        out: &mut Vec<Action>,
    ) {
        if let Some(watched) = self.hops.of_mut(flow) {
            let asked_ms = retry_after_s.map(|s| s.saturating_mul(1000));
            let down_ms = asked_ms.map_or(DOWN_MS, |ms| ms.clamp(1000, DOWN_MS_MAX));
            watched.down_until = Some(now + down_ms);
            watched.asked_for_quiet = asked_ms.is_some();
            if watched.is_up.replace(false) != Some(false) {
                let name = watched.hop.name.clone();
                out.push(Action::Event(Event::Hop { name, is_up: false }));
            }
        }
    }

    /// A request has failed at a hop, or was refused 503: it goes to the next one, if there is one that it
    /// has not been to. RFC 3263, 4.3: a new transaction, and else the same request.
    pub(super) fn fail_over(&mut self, id: ClientId, now: Millis, out: &mut Vec<Action>) -> bool {
        let Some(client) = self.clients.of(id) else {
            return false;
        };
        let Some(asked) = client.hop else {
            return false;
        };
        let may = matches!(
            client.owner,
            ClientOwner::Gateway(_)
                | ClientOwner::Registration
                | ClientOwner::Subscription { .. }
                | ClientOwner::Publication
        );
        let mut tried = client.tries.hops.clone();
        tried.push(asked);
        let next = self
            .hops
            .best(&tried, self.hop_chance(), now)
            .map(|hop| (hop.flow, hop.route()));
        let Some((flow, route)) = next.filter(|_| may && !client.is_to_be_cancelled()) else {
            return false;
        };
        let mut request = client.request.clone();
        request.headers.remove(0);
        let mut routes: Vec<String> = request.header_values("Route").map(str::to_owned).collect();
        if let Some(first) = routes.first_mut() {
            *first = route;
            request.replace("Route", routes);
        }
        if let Some(client) = self.clients.of_mut(id) {
            client.tries.hops = tried;
        }
        self.send_again(id, request, way(flow), now, out);
        if let Some(client) = self.clients.of_mut(id) {
            client.hop = Some(flow);
        }
        true
    }

    /// Asks every hop whether it is there. RFC 3261, 11.
    pub(super) fn probe_hops(&mut self, now: Millis, out: &mut Vec<Action>) {
        let interval_ms = match &self.settings.upstream {
            Some(upstream) if upstream.probe_ms > 0 => upstream.probe_ms,
            _ => return,
        };
        for at in 0..self.hops.list.len() {
            let Watched { hop, asked, .. } = &self.hops.list[at];
            if asked.is_some_and(|id| self.clients.of(id).is_some()) || !self.has_room() {
                continue;
            }
            let flow = hop.flow;
            let mut uri = SipUri::of(flow.peer);
            uri.set_transport(flow.transport);
            let mut request = bare_request(Method::Options, uri.to_string());
            let tag = self.random.text();
            let from = format!("<sip:{}>;tag={tag}", self.settings.domain);
            let call_id = self.random.text();
            companion_headers(&mut request, &from, &format!("<{uri}>"), &call_id, 1);
            let client = ClientId(self.next_id());
            self.hops.list[at].asked = Some(client);
            let target = Target { flow, fixed: true };
            self.start_client(client, request, target, ClientOwner::Probe, now, out);
        }
        let next = (!self.hops.is_empty()).then_some(now + interval_ms);
        self.timers.set(TimerOf::Probe, next);
    }
}

fn way(flow: Flow) -> Target {
    Target {
        flow,
        fixed: flow.transport.is_stream(),
    }
}

impl SipTransport {
    /// Whether it is a byte stream, which loses nothing and has an end.
    pub fn is_stream(self) -> bool {
        match self {
            SipTransport::Udp => false,
            SipTransport::Tcp | SipTransport::Tls => true,
        }
    }
}
