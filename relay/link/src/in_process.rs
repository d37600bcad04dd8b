//! Both ends of a region without two processes.

use crate::ends::{ControlEnd, ShardEnd, control_ends, shard_ends};
use crate::eventfd::EventFd;
use crate::layout::Shape;
use crate::region::Region;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Both ends of a region, in one process: for tests of either side without the other.
pub struct InProcess {
    /// What a relay's shards would have.
    pub shards: Vec<ShardEnd>,
    /// The bell of each shard.
    pub wakers: Vec<EventFd>,
    /// What control would have.
    pub controls: Vec<ControlEnd>,
    /// Control's bell.
    pub ready: EventFd,
    /// The memory of the region, for tests that write into it what neither side would.
    pub memory: OwnedFd,
}

/// Makes a region of `shards` shards and `slots` slots per queue, and mapped twice, as in two processes.
///
/// # Errors
/// An impossible number of shards or slots; no memory or no descriptor is left.
pub fn in_process(shards: usize, slots: u32) -> io::Result<InProcess> {
    let shards = u32::try_from(shards).unwrap_or(u32::MAX);
    let shape = Shape {
        epoch: 1,
        shards,
        slots,
    };
    let (region, memory) = Region::create(shape)?;
    let bells = (0..shards)
        .map(|_| EventFd::new().map(Arc::new))
        .collect::<io::Result<Vec<Arc<EventFd>>>>()?;
    let wakers = bells
        .iter()
        .map(|bell| bell.try_clone())
        .collect::<io::Result<_>>()?;
    let ready = EventFd::new()?;
    let control_bell = Arc::new(ready.try_clone()?);
    let theirs = memory.try_clone()?;
    Ok(InProcess {
        shards: shard_ends(&Arc::new(region), &control_bell, &bells),
        wakers,
        controls: control_ends(
            &Arc::new(Region::open(theirs, shape)?),
            &control_bell,
            &bells,
        ),
        ready,
        memory,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counter, Event, Record};

    #[test]
    fn counters_arrive_at_their_places_shard_by_shard() {
        let mut both = in_process(2, 2).expect("memory");
        let mut values = [0; Counter::COUNT];
        values[Counter::Sessions.index()] = 3;
        both.shards[1].counters.publish(&values);
        assert_eq!(both.controls[1].counters.snapshot(), values);
        assert_eq!(both.controls[1].counters.read(Counter::Sessions), 3);
        assert_eq!(both.controls[0].counters.snapshot(), [0; Counter::COUNT]);
        // A list that is too short changes only what it has, one that is too long does no harm.
        both.shards[1].counters.publish(&[9]);
        assert_eq!(both.controls[1].counters.snapshot()[0], 9);
        assert_eq!(both.controls[1].counters.read(Counter::Sessions), 3);
        both.shards[1].counters.publish(&[1; Counter::COUNT + 1000]);
        assert_eq!(both.controls[1].counters.snapshot(), [1; Counter::COUNT]);
        assert_eq!(both.controls[0].counters.snapshot(), [0; Counter::COUNT]);
    }

    #[test]
    fn shards_share_controls_bell_and_nothing_else() {
        let mut both = in_process(2, 2).expect("memory");
        let mut record = Record::new();
        Event::ListEnd { token: 4 }
            .encode(&mut record)
            .expect("fits");
        assert!(both.controls.iter_mut().all(|end| end.events.sleep()));
        both.shards[1].events.push(&record).expect("room");
        assert!(both.ready.clear().expect("a bell"));
        let mut copy = Record::new();
        assert_eq!(both.controls[0].events.pop(&mut copy), Ok(false));
        assert_eq!(both.controls[1].events.pop(&mut copy), Ok(true));
        assert_eq!(Event::decode(&copy), Ok(Event::ListEnd { token: 4 }));
        assert!(
            both.wakers
                .iter()
                .all(|bell| !bell.clear().expect("a bell"))
        );
    }
}
