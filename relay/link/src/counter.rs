//! What the relay counts, shard by shard: the list. How control sees it: `ends.rs`.

macro_rules! counters {
    ($( $variant:ident, $name:literal, $unit:ident, $what:literal; )+) => {
        /// One number of a shard. The discriminant is its place in the counters page.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(usize)]
        pub enum Counter {
            $( #[doc = $what] $variant, )+
        }

        impl Counter {
            /// Every counter, in the order of their places.
            pub const ALL: &'static [Counter] = &[ $( Counter::$variant, )+ ];

            /// How it is called in metrics and on pages: lower case, underscores.
            pub const fn name(self) -> &'static str {
                match self { $( Counter::$variant => $name, )+ }
            }

            /// What is counted, in one sentence.
            pub const fn what(self) -> &'static str {
                match self { $( Counter::$variant => $what, )+ }
            }

            /// It goes up and down (a gauge), rather than only up.
            pub const fn is_gauge(self) -> bool {
                match self { $( Counter::$variant => counters!(@gauge $unit), )+ }
            }

            /// It counts what sessions and connections hold: zero when there are none.
            pub const fn is_in_use(self) -> bool {
                match self { $( Counter::$variant => counters!(@in_use $unit), )+ }
            }
        }
    };
    (@gauge total) => { false };
    (@gauge gauge) => { true };
    (@gauge in_use) => { true };
    (@in_use total) => { false };
    (@in_use gauge) => { false };
    (@in_use in_use) => { true };
}

// A new counter is one more line: a `total` only grows, a `gauge` goes up and down, and one `in_use`
// is zero when there is no session and no connection. The order is part of the layout hash.
counters! {
    // The loop.
    Enters, "enters", total, "Times the shard asked the kernel (io_uring_enter).";
    Turns, "turns", total, "Turns of the shard's loop.";
    Completions, "completions", total, "Completions taken from the ring.";
    CompletionsOverflowed, "completions_overflowed", total, "Times the ring had more completions than room.";
    Timeouts, "timeouts", total, "Timers that fired.";
    // What flows.
    MessagesAToB, "messages_a_to_b", total, "SEND chunks forwarded from leg A to leg B.";
    MessagesBToA, "messages_b_to_a", total, "SEND chunks forwarded from leg B to leg A.";
    OctetsAToB, "octets_a_to_b", total, "Body octets forwarded from leg A to leg B.";
    OctetsBToA, "octets_b_to_a", total, "Body octets forwarded from leg B to leg A.";
    ResponsesForwarded, "responses_forwarded", total, "Responses passed on from one leg to the other.";
    ReportsForwarded, "reports_forwarded", total, "REPORT requests passed on from one leg to the other.";
    TransactionsRenamed, "transactions_renamed", total, "Messages passed on under another transaction id, because several sessions share a connection.";
    ResponsesMade, "responses_made", total, "Responses the relay made itself.";
    AnswersDropped, "answers_dropped", total, "Messages of the relay's own that found no room and were not sent.";
    ReportsMade, "reports_made", total, "REPORT requests the relay made itself.";
    ChunksCut, "chunks_cut", total, "Chunks the relay ended early because their source stalled or left.";
    // What was refused.
    Malformed, "malformed", total, "Frames that were no MSRP or no WebSocket.";
    RequestsRefused, "requests_refused", total, "MSRP requests answered with a status of 400 or above.";
    UpgradesRefused, "upgrades_refused", total, "WebSocket handshakes that were refused.";
    CommandsInvalid, "commands_invalid", total, "Records from control that were no command.";
    CommandsRefused, "commands_refused", total, "Commands answered with Refused.";
    // What is held now.
    Sessions, "sessions", in_use, "Sessions that exist.";
    SessionsMax, "sessions_max", gauge, "Most sessions that ever existed at once.";
    LegsUp, "legs_up", in_use, "Legs with a peer connected and bound.";
    LegsDetached, "legs_detached", in_use, "Legs whose browser is lost and may come back.";
    Connections, "connections", in_use, "Open connections, bound to a leg or not.";
    ConnectionsMax, "connections_max", gauge, "Most connections ever open at once.";
    Listeners, "listeners", in_use, "Open listening sockets.";
    PortsUsed, "ports_used", in_use, "Ports of the shard's slice in use.";
    PortsUsedMax, "ports_used_max", gauge, "Most ports of the shard's slice ever in use at once.";
    Buffers, "buffers", gauge, "Receive buffers there are.";
    BuffersHeld, "buffers_held", in_use, "Receive buffers that hold octets on their way.";
    BuffersHeldMax, "buffers_held_max", gauge, "Most receive buffers ever held at once.";
    BlocksHeld, "blocks_held", in_use, "Blocks that hold small pieces that wait.";
    BlocksHeldMax, "blocks_held_max", gauge, "Most blocks ever held at once.";
    HeldBytes, "held_bytes", in_use, "Memory held for slow legs, in bytes.";
    HalfOpen, "half_open", in_use, "Accepted connections whose TLS handshake is not done.";
    Timers, "timers", in_use, "Timers that are set.";
    Pending, "pending", in_use, "Transactions that wait for their response.";
    PendingMax, "pending_max", gauge, "Most transactions that ever waited at once.";
    PathCells, "path_cells", in_use, "Cells of the paths' pool in use.";
    PathCellsMax, "path_cells_max", gauge, "Most cells of the paths' pool ever in use at once.";
    Pieces, "pieces", in_use, "Pieces in queues, to be read or to be sent.";
    PiecesMax, "pieces_max", gauge, "Most pieces ever in queues at once.";
    Paused, "paused", in_use, "Connections not read from because the other leg is slow.";
    AllocatedBytes, "allocated_bytes", gauge, "Heap memory the shard's thread holds, in bytes.";
    // How the kernel was used.
    Sends, "sends", total, "Sends that completed.";
    SendsPartial, "sends_partial", total, "Sends that completed with less than was given.";
    SendsFailed, "sends_failed", total, "Sends that failed.";
    OctetsSent, "octets_sent", total, "Octets given to the kernel, heads and framing too.";
    Receives, "receives", total, "Receives that brought octets.";
    ReceivesNoBuffer, "receives_no_buffer", total, "Receives that ended because no buffer was free.";
    OctetsReceived, "octets_received", total, "Octets taken from the kernel, heads and framing too.";
    Accepts, "accepts", total, "Connections accepted.";
    AcceptsFailed, "accepts_failed", total, "Accepts that failed.";
    AcceptsRefused, "accepts_refused", total, "Connections closed as soon as accepted, because accepted ones have used up their share of the pool.";
    Connects, "connects", total, "Connections the relay opened itself.";
    ConnectsFailed, "connects_failed", total, "Connections the relay tried to open and could not.";
    Handshakes, "handshakes", total, "TLS handshakes that were completed.";
    HandshakesResumed, "handshakes_resumed", total, "Those among them that resumed a former session.";
    HandshakesRefused, "handshakes_refused", total, "Connections turned away because too many TLS handshakes were half done.";
    HandshakesFailed, "handshakes_failed", total, "TLS handshakes that failed, or took too long.";
    Closes, "closes", total, "Connections closed, by either side.";
    Copies, "copies", total, "Small pieces copied because they had to wait.";
    OctetsCopied, "octets_copied", total, "Octets of the pieces copied because they had to wait.";
    RewritesInPlace, "rewrites_in_place", total, "Heads rewritten inside the buffer they came in.";
    RewritesApart, "rewrites_apart", total, "Heads written into the arena because they had grown.";
    Allocations, "allocations", total, "Heap allocations by the shard's thread.";
    // What became of sessions.
    SessionsCreated, "sessions_created", total, "Sessions made.";
    SessionsClosed, "sessions_closed", total, "Sessions ended.";
    LegsExpired, "legs_expired", total, "Legs nobody bound in time.";
    LegsRebound, "legs_rebound", total, "Legs whose browser was lost and came back.";
    LegsStalled, "legs_stalled", total, "Legs ended because their peer took no octet for too long.";
    LegsIdle, "legs_idle", total, "Legs ended because nothing was passed on for too long.";
    KeepAlives, "keep_alives", total, "SENDs without body by which the relay kept a leg alive.";
    LegsJoined, "legs_joined", total, "Legs bound by a connection that other sessions are on.";
    HoldUps, "hold_ups", total, "Times a session had kept others on its connection waiting for too long, and what it sent was cut off or refused.";
    Pauses, "pauses", total, "Times reading from a connection was stopped because the other leg is slow.";
    // The link.
    Commands, "commands", total, "Commands taken from control.";
    Events, "events", total, "Events given to control.";
    EventsDeferred, "events_deferred", total, "Events that had to wait because the queue was full.";
    TombstonesDropped, "tombstones_dropped", total, "Ended sessions forgotten before control had heard of it.";
    Attachments, "attachments", total, "Times a control attached.";
}

impl Counter {
    /// How many there are.
    pub const COUNT: usize = Counter::ALL.len();

    /// Its place in an array of all.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// What is in use and must not be when there is no session: by name, each with its number.
    pub fn left_over(mut read: impl FnMut(Counter) -> u64) -> Vec<(&'static str, u64)> {
        let in_use = Counter::ALL.iter().filter(|counter| counter.is_in_use());
        let numbers = in_use.map(|&counter| (counter.name(), read(counter)));
        numbers.filter(|(_, number)| *number > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_counter_has_its_place_a_name_of_its_own_and_a_sentence() {
        let mut names = HashSet::new();
        for (place, counter) in Counter::ALL.iter().enumerate() {
            assert_eq!(counter.index(), place);
            assert!(
                names.insert(counter.name()),
                "{} stands twice",
                counter.name()
            );
            assert!(
                counter
                    .name()
                    .chars()
                    .all(|char| char == '_' || char.is_ascii_lowercase())
            );
            assert!(
                counter.what().ends_with('.'),
                "{}: a sentence",
                counter.name()
            );
            let snake = format!("{counter:?}").to_lowercase();
            assert_eq!(
                counter.name().replace('_', ""),
                snake,
                "named as its variant"
            );
        }
    }

    #[test]
    fn what_is_held_is_a_gauge_and_what_happened_is_not() {
        assert!(Counter::Sessions.is_gauge());
        assert!(Counter::BuffersHeldMax.is_gauge());
        assert!(!Counter::SessionsCreated.is_gauge());
    }

    #[test]
    fn what_is_left_over_is_named_and_the_most_that_ever_was_is_not() {
        let read = |counter| match counter {
            Counter::Timers => 2,
            Counter::Buffers | Counter::SessionsMax => 7,
            Counter::Turns => 9,
            _ => 0,
        };
        assert_eq!(Counter::left_over(read), [("timers", 2)]);
        assert!(
            Counter::ALL
                .iter()
                .all(|counter| counter.is_gauge() || !counter.is_in_use())
        );
    }
}
