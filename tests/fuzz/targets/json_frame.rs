//! Frames of JsonRTC: what is taken can be written, and is the same when it is read again.

use control::jsonrtc::Frame;

/// The octets are a text as a browser sends it.
pub fn run(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    let Ok(frame) = Frame::read(text) else {
        return;
    };
    let written = frame.write();
    let again = Frame::read(&written).expect("what was taken and written is taken");
    assert_eq!(again.write(), written);
}
