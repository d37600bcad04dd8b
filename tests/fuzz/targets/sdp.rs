//! Session descriptions: what is taken can be written, and is the same when it is read again.

use control::sdp::{Answer, Offer, Transport};

/// The octets are a description, as an offer and as the answer to itself.
pub fn run(octets: &[u8]) {
    for transport in [
        Transport::Ws,
        Transport::Wss,
        Transport::Tcp,
        Transport::Tls,
    ] {
        let Ok(offer) = Offer::read(octets, transport) else {
            continue;
        };
        let text = offer.text();
        let again = Offer::read(&text, transport).expect("what was taken and written is taken");
        assert_eq!(again.text(), text);
        assert_eq!(again.media(), offer.media());
        assert!(offer.is_only_moved(&again), "nothing has changed");
        let answer = Answer::read(octets, &offer, transport).expect("its own lines match");
        assert_eq!(answer.text(), text);
    }
}
