//! Both ends of a region without two processes.

use crate::ends::{ControlEnd, ShardEnd, control_ends, shard_ends};
use crate::eventfd::EventFd;
use crate::layout::Shape;
use crate::region::Region;
use std::io;
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
        .map(|_| EventFd::for_ring().map(Arc::new))
        .collect::<io::Result<Vec<Arc<EventFd>>>>()?;
    let wakers = bells
        .iter()
        .map(|bell| bell.try_clone())
        .collect::<io::Result<_>>()?;
    let ready = EventFd::for_epoll()?;
    let control_bell = Arc::new(ready.try_clone()?);
    Ok(InProcess {
        shards: shard_ends(&Arc::new(region), &control_bell, &bells),
        wakers,
        controls: control_ends(
            &Arc::new(Region::open(memory, shape)?),
            &control_bell,
            &bells,
        ),
        ready,
    })
}
