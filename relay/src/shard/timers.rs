//! One timer per owner, earliest first. A binary heap that knows where each owner stands in it,
//! so that setting, moving and clearing are all exact and nothing is left behind.

const ABSENT: u32 = u32::MAX;

/// Timers of a fixed number of owners, numbered from 0.
pub struct Timers {
    heap: Vec<u32>,
    place: Vec<u32>,
    due: Vec<u64>,
    owners: u32,
}

impl Timers {
    /// No timer is set.
    pub fn new(owners: u32) -> Timers {
        Timers {
            heap: Vec::with_capacity(owners as usize),
            place: Vec::with_capacity(owners as usize),
            due: Vec::with_capacity(owners as usize),
            owners,
        }
    }

    /// How many are set.
    pub fn len(&self) -> u32 {
        self.heap.len() as u32
    }

    /// When the first fires.
    pub fn next(&self) -> Option<u64> {
        self.heap.first().map(|owner| self.due[*owner as usize])
    }

    /// Whether the owner's timer is set.
    pub fn is_set(&self, owner: u32) -> bool {
        (self.place.get(owner as usize)).is_some_and(|place| *place != ABSENT)
    }

    /// Sets the owner's timer, or moves it.
    pub fn set(&mut self, owner: u32, due: u64) {
        assert!(owner < self.owners, "{owner} owns no timer");
        while self.place.len() <= owner as usize {
            self.place.push(ABSENT);
            self.due.push(0);
        }
        self.due[owner as usize] = due;
        if self.place[owner as usize] == ABSENT {
            self.place[owner as usize] = self.heap.len() as u32;
            self.heap.push(owner);
        }
        self.settle(self.place[owner as usize] as usize);
    }

    /// Sets the owner's timer, unless it fires earlier anyway.
    pub fn set_by(&mut self, owner: u32, due: u64) {
        if !self.is_set(owner) || self.due[owner as usize] > due {
            self.set(owner, due);
        }
    }

    /// Clears the owner's timer, if it is set.
    pub fn clear(&mut self, owner: u32) {
        let Some(&place) = self.place.get(owner as usize) else {
            return;
        };
        if place == ABSENT {
            return;
        }
        let place = place as usize;
        self.heap.swap_remove(place);
        self.place[owner as usize] = ABSENT;
        if place < self.heap.len() {
            self.place[self.heap[place] as usize] = place as u32;
            self.settle(place);
        }
    }

    /// Takes out a timer that is due.
    pub fn fire(&mut self, now: u64) -> Option<u32> {
        let owner = *self.heap.first()?;
        if self.due[owner as usize] > now {
            return None;
        }
        self.clear(owner);
        Some(owner)
    }

    fn settle(&mut self, mut place: usize) {
        while place > 0 && self.before(place, (place - 1) / 2) {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
        loop {
            let mut first = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.heap.len() && self.before(child, first) {
                    first = child;
                }
            }
            if first == place {
                return;
            }
            self.swap(place, first);
            place = first;
        }
    }

    fn before(&self, one: usize, other: usize) -> bool {
        self.due[self.heap[one] as usize] < self.due[self.heap[other] as usize]
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        self.place[self.heap[one] as usize] = one as u32;
        self.place[self.heap[other] as usize] = other as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_of_their_time_however_they_were_set() {
        let mut timers = Timers::new(100);
        for owner in 0..100u32 {
            timers.set(owner, u64::from(owner * 37 % 100));
        }
        for owner in (0..100).step_by(3) {
            timers.clear(owner);
            timers.clear(owner);
        }
        timers.set(1, 1000);
        timers.set(2, 0);
        let mut fired = Vec::new();
        let mut last = 0;
        while let Some(next) = timers.next() {
            assert!(next >= last);
            last = next;
            assert_eq!(
                timers.fire(next.wrapping_sub(1).min(next)),
                (next == 0).then_some(2)
            );
            if next > 0 {
                fired.push(timers.fire(next).unwrap());
            }
        }
        assert_eq!(fired.len(), 65);
        assert_eq!((fired[64], timers.len()), (1, 0));
    }
}
