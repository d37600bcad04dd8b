//! Records of the link from a process that writes anything: read or refused, and what is read is
//! what its writer would have written.

use link::{Command, Event, RECORD_BYTES, Record};

/// The octets are the beginning of a slot; what follows in it is left over from before.
pub fn run(octets: &[u8]) {
    let mut slot = [0xee; RECORD_BYTES];
    let bytes = octets.len().min(RECORD_BYTES);
    slot[..bytes].copy_from_slice(&octets[..bytes]);
    let record = Record::from_bytes(slot);
    let length = usize::from(u16::from_le_bytes([slot[0], slot[1]]));
    let same = |again: &Record| {
        assert_eq!(again.bytes()[..length], slot[..length], "read and written");
    };
    if let Ok(command) = Command::decode(&record) {
        let mut again = Record::new();
        command
            .encode(&mut again)
            .expect("what was read can be written");
        same(&again);
    }
    if let Ok(event) = Event::decode(&record) {
        let mut again = Record::new();
        event
            .encode(&mut again)
            .expect("what was read can be written");
        same(&again);
    }
}
