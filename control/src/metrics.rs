//! What control counts. Every number has a name here, so all exist from the start.

macro_rules! numbers {
    ($(#[$doc:meta])* $type:ident; $( $variant:ident, $name:literal, $what:literal; )+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum $type {
            $( #[doc = $what] $variant, )+
        }

        impl $type {
            /// Every one, in order.
            pub const ALL: &'static [$type] = &[ $( $type::$variant, )+ ];

            /// Its name in metrics: lower case, underscores.
            pub const fn name(self) -> &'static str {
                match self { $( $type::$variant => $name, )+ }
            }

            /// What it says, in one sentence.
            pub const fn what(self) -> &'static str {
                match self { $( $type::$variant => $what, )+ }
            }
        }
    };
}

numbers! {
    /// What only goes up.
    Counter;
    SocketsOpened, "sockets_opened", "Browser sockets that were opened.";
    SessionsStarted, "sessions_started", "Sessions that were made.";
    SessionsEnded, "sessions_ended", "Sessions that ended.";
    FramesReceived, "frames_received", "Texts received from browsers, pings too.";
    FramesSent, "frames_sent", "Texts sent to browsers, pongs too.";
    SubsessionsStarted, "subsessions_started", "Subsessions that were opened, by browsers or toward them.";
    SubsessionsEnded, "subsessions_ended", "Subsessions that ended.";
    SubsessionsEstablished, "subsessions_established", "Invitations that were answered and confirmed.";
    FramesRefused, "frames_refused", "Requests of browsers answered with an error by control itself.";
    NewTurnedAway, "new_turned_away", "New requests of browsers and SIP peers that were turned away because others were under way.";
    SipRequestsReceived, "sip_requests_received", "SIP requests for browser users.";
    SipRequestsSent, "sip_requests_sent", "SIP requests sent, CANCEL and ACK not counted.";
    ScriptRuns, "script_runs", "Runs of scripts.";
    ScriptErrors, "script_errors", "Runs of scripts that failed.";
    ScriptReloads, "script_reloads", "Times new scripts were put in use.";
    ScriptReloadsRefused, "script_reloads_refused", "Times new scripts were refused, and those in use stayed.";
    RelaySessionsAsked, "relay_sessions_asked", "Media sessions asked of the relay.";
    RelaySessionsRefused, "relay_sessions_refused", "Media sessions the relay refused or did not make in time.";
    RelayAttachments, "relay_attachments", "Times a relay was attached.";
    RelayLost, "relay_lost", "Times the attached relay went away.";
    BrowsersWoken, "browsers_woken", "Times that somebody was told to wake up a browser that hibernates.";
    LegsLost, "legs_lost", "Media connections of browsers that were lost and may come back.";
    LegsRebound, "legs_rebound", "New ways in that browsers were told of.";
    RelayStrays, "relay_strays", "Sessions the relay held without control knowing them; they were deleted.";
}

numbers! {
    /// What goes up and down.
    Gauge;
    Sockets, "sockets", "Browser sockets that are open.";
    Sessions, "sessions", "Sessions that exist.";
    SessionsDetached, "sessions_detached", "Sessions whose socket is lost.";
    Subsessions, "subsessions", "Subsessions that exist.";
    NewWaiting, "new_waiting", "New requests of browsers and SIP peers that wait for what is under way.";
    Bridges, "bridges", "Dialogs or requests that join a SIP peer and browsers.";
    RelaySessions, "relay_sessions", "Media sessions of the relay that control knows.";
    RelayShards, "relay_shards", "Shards of the attached relay, 0 while none is attached.";
    Farewells, "farewells", "Dialogs that are to end as soon as the peer has acknowledged, or late media had their time.";
    Timers, "timers", "Deadlines that are set.";
    SipTransactions, "sip_transactions", "SIP requests, of ours and of peers, that are not forgotten yet.";
    SipDialogs, "sip_dialogs", "SIP dialogs, early ones too.";
    SipBindings, "sip_bindings", "Contacts that are registered.";
    SipRegistrations, "sip_registrations", "Users that are registered elsewhere, or being so.";
    SipHopsUp, "sip_proxies_up", "SIP proxies that are not known to be out of order.";
    SipConnections, "sip_connections", "SIP connections over TCP.";
}

/// A value for every [`Counter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters([u64; Counter::ALL.len()]);

impl Default for Counters {
    fn default() -> Counters {
        Counters([0; Counter::ALL.len()])
    }
}

impl Counters {
    /// Counts one more.
    pub fn add(&mut self, counter: Counter) {
        self.0[counter as usize] += 1;
    }

    /// Counts so many more.
    pub fn add_all(&mut self, counter: Counter, count: u64) {
        self.0[counter as usize] += count;
    }

    /// The value.
    pub fn value(&self, counter: Counter) -> u64 {
        self.0[counter as usize]
    }
}

/// A value for every [`Gauge`], of one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gauges([u64; Gauge::ALL.len()]);

impl Default for Gauges {
    fn default() -> Gauges {
        Gauges([0; Gauge::ALL.len()])
    }
}

impl Gauges {
    /// Sets one.
    pub fn set(&mut self, gauge: Gauge, value: usize) {
        self.0[gauge as usize] = value as u64;
    }

    /// The value.
    pub fn value(&self, gauge: Gauge) -> u64 {
        self.0[gauge as usize]
    }
}
