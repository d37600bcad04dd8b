//! Which legs share a connection, and whose chunk goes next on it. RFC 4975, 5.4.
//!
//! Legs on one connection form a ring, those that wait for their chunk to be next a line; both are
//! links between legs, so that joining and leaving take the same time however many there are. Pure.
//! A leg that is alone on its connection is not in here. Not here: what is read and sent (`dispatch`).

use link::Leg;

use crate::session::{ALIAS_LETTERS, Transaction};

const NONE: u32 = u32::MAX;

/// Transaction ids for which random octets are drawn at once: each drawing is a system call.
const ALIASES_DRAWN: usize = 64;

/// A leg: its session's slot, and which of the two.
pub type LegOf = (u32, Leg);

/// Legs that wait for their chunk to be next on a connection, the first of them in front.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    first: u32,
    last: u32,
}

impl Line {
    /// Nobody waits.
    pub const EMPTY: Line = Line {
        first: NONE,
        last: NONE,
    };

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.first == NONE
    }
}

#[derive(Clone, Copy)]
struct Links {
    before: u32,
    after: u32,
}

const UNLINKED: Links = Links {
    before: NONE,
    after: NONE,
};

#[derive(Clone, Copy)]
struct Place {
    in_ring: Links,
    in_line: Links,
    waits: bool,
    /// The transaction id under which the chunk toward this leg's peer goes.
    renamed: Transaction,
    /// Octets of the one that it had.
    former_bytes: u8,
}

impl Place {
    const NEW: Place = Place {
        in_ring: UNLINKED,
        in_line: UNLINKED,
        waits: false,
        renamed: Transaction::NONE,
        former_bytes: 0,
    };
}

/// All legs of a shard that share connections.
pub struct Sharing {
    places: Vec<Place>,
    /// Random octets of transaction ids to come, and how many of them have been given out.
    drawn: Box<[u8; ALIASES_DRAWN * ALIAS_LETTERS]>,
    spent: usize,
}

impl Sharing {
    /// Room for the legs of so many sessions, whose memory is touched when sharing needs it.
    pub fn new(sessions: u32) -> Sharing {
        Sharing {
            places: Vec::with_capacity(2 * sessions as usize),
            drawn: Box::new([0; ALIASES_DRAWN * ALIAS_LETTERS]),
            spent: ALIASES_DRAWN * ALIAS_LETTERS,
        }
    }

    /// Random letters for one transaction id. `draw` fills with random octets what it is given.
    pub fn letters(&mut self, draw: impl FnOnce(&mut [u8])) -> [u8; ALIAS_LETTERS] {
        if self.spent == self.drawn.len() {
            draw(&mut self.drawn[..]);
            self.spent = 0;
        }
        let mut letters = [0; ALIAS_LETTERS];
        let random = &self.drawn[self.spent..][..ALIAS_LETTERS];
        wire::msrp::writer::identifier(&mut letters, random);
        self.spent += ALIAS_LETTERS;
        letters
    }

    /// A leg comes to the connection on which `companion` is.
    pub fn join(&mut self, leg: LegOf, companion: LegOf) {
        let (leg, companion) = (self.place(leg), self.place(companion));
        debug_assert!(
            self.at(leg).in_ring.after == NONE,
            "a leg is on one connection"
        );
        if self.at(companion).in_ring.after == NONE {
            self.at(companion).in_ring = Links {
                before: companion,
                after: companion,
            };
        }
        let after = self.at(companion).in_ring.after;
        self.at(leg).in_ring = Links {
            before: companion,
            after,
        };
        self.at(companion).in_ring.after = leg;
        self.at(after).in_ring.before = leg;
    }

    /// A leg leaves its connection. One that stays there; `None`: it was on none with others.
    pub fn leave(&mut self, leg: LegOf) -> Option<LegOf> {
        let number = number_of(leg);
        let place = self.places.get_mut(number as usize)?;
        let Links { before, after } = std::mem::replace(&mut place.in_ring, UNLINKED);
        if after == NONE {
            return None;
        }
        if before == after && self.at(after).in_ring.after == number {
            self.at(after).in_ring = UNLINKED;
        } else {
            self.at(before).in_ring.after = after;
            self.at(after).in_ring.before = before;
        }
        Some(leg_of(after))
    }

    /// The next on the connection that a leg is on with others, and in the end the leg itself.
    pub fn after(&self, leg: LegOf) -> Option<LegOf> {
        let place = self.places.get(number_of(leg) as usize)?;
        (place.in_ring.after != NONE).then(|| leg_of(place.in_ring.after))
    }

    /// A leg waits at the end of a line, unless it waits already.
    pub fn wait(&mut self, line: &mut Line, leg: LegOf) {
        let number = self.place(leg);
        if self.at(number).waits {
            return;
        }
        *self.at(number) = Place {
            waits: true,
            in_line: Links {
                before: line.last,
                after: NONE,
            },
            ..*self.at(number)
        };
        match line.last {
            NONE => line.first = number,
            last => self.at(last).in_line.after = number,
        }
        line.last = number;
    }

    /// A leg waits no more; whether it did.
    pub fn leave_line(&mut self, line: &mut Line, leg: LegOf) -> bool {
        let Some(place) = self.places.get_mut(number_of(leg) as usize) else {
            return false;
        };
        if !std::mem::take(&mut place.waits) {
            return false;
        }
        let Links { before, after } = std::mem::replace(&mut place.in_line, UNLINKED);
        match before {
            NONE => line.first = after,
            before => self.at(before).in_line.after = after,
        }
        match after {
            NONE => line.last = before,
            after => self.at(after).in_line.before = before,
        }
        true
    }

    /// Whose chunk is next.
    pub fn first(&self, line: &Line) -> Option<LegOf> {
        (line.first != NONE).then(|| leg_of(line.first))
    }

    /// The chunk toward this leg's peer goes under another transaction id than it came.
    pub fn rename(&mut self, leg: LegOf, transaction: &[u8], former_bytes: usize) {
        let number = self.place(leg);
        self.at(number).renamed = Transaction::of(transaction);
        self.at(number).former_bytes = former_bytes as u8;
    }

    /// That id, and how long the former one was.
    pub fn renamed(&self, leg: LegOf) -> (&[u8], usize) {
        match self.places.get(number_of(leg) as usize) {
            Some(place) => (place.renamed.as_slice(), place.former_bytes.into()),
            None => (&[], 0),
        }
    }

    /// The number of a leg's place, which is made if need be.
    fn place(&mut self, leg: LegOf) -> u32 {
        let number = number_of(leg);
        while self.places.len() <= number as usize {
            self.places.push(Place::NEW);
        }
        number
    }

    fn at(&mut self, number: u32) -> &mut Place {
        &mut self.places[number as usize]
    }
}

fn number_of((session, leg): LegOf) -> u32 {
    2 * session + leg.index() as u32
}

fn leg_of(number: u32) -> LegOf {
    (number / 2, Leg::ALL[number as usize % 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEGS: [LegOf; 4] = [(0, Leg::A), (0, Leg::B), (7, Leg::A), (3, Leg::B)];

    #[test]
    fn whoever_leaves_names_one_who_stays_until_one_is_left() {
        for order in 0..24usize {
            let mut sharing = Sharing::new(8);
            for leg in &LEGS[1..] {
                sharing.join(*leg, LEGS[0]);
            }
            let mut there = LEGS.to_vec();
            let mut order = order;
            while there.len() > 1 {
                let leaves = there.remove(order % there.len());
                order /= there.len() + 1;
                let stays = sharing.leave(leaves).expect("others are there");
                assert!(there.contains(&stays), "{stays:?}");
                assert_eq!(sharing.leave(leaves), None, "once");
            }
            assert_eq!(sharing.leave(there[0]), None, "it is alone");
            sharing.join(LEGS[1], LEGS[2]);
            assert_eq!(sharing.leave(LEGS[2]), Some(LEGS[1]));
        }
    }

    #[test]
    fn random_octets_are_drawn_for_many_transaction_ids_at_once_and_used_once() {
        let mut sharing = Sharing::new(8);
        let (mut draws, mut next) = (0, 0u8);
        let mut given = Vec::new();
        for _ in 0..3 * ALIASES_DRAWN {
            given.extend(sharing.letters(|octets| {
                draws += 1;
                octets.fill_with(|| {
                    next = (next + 1) % 62;
                    next
                });
            }));
        }
        assert_eq!(draws, 3);
        // The source counts through the letters: what is given out neither skips nor repeats any.
        let period = given.split_at(62).0.to_vec();
        assert!(given.chunks(62).all(|chunk| period.starts_with(chunk)));
        assert_eq!(
            period
                .iter()
                .collect::<std::collections::HashSet<_>>()
                .len(),
            62
        );
    }

    #[test]
    fn a_line_keeps_its_order_whoever_leaves_it() {
        for leaver in LEGS {
            let mut sharing = Sharing::new(8);
            let mut line = Line::EMPTY;
            for leg in LEGS.iter().chain(&LEGS) {
                sharing.wait(&mut line, *leg);
            }
            assert!(sharing.leave_line(&mut line, leaver));
            assert!(!sharing.leave_line(&mut line, leaver), "once");
            for leg in LEGS.into_iter().filter(|leg| *leg != leaver) {
                assert_eq!(sharing.first(&line), Some(leg));
                assert!(sharing.leave_line(&mut line, leg));
            }
            assert!(line.is_empty() && sharing.first(&line).is_none());
            sharing.wait(&mut line, leaver);
            assert_eq!(sharing.first(&line), Some(leaver));
        }
    }
}
