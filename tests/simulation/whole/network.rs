//! What is between a world's parties: datagrams that are lost, doubled, late and out of order, and texts on
//! sockets, which keep their order.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use control::jsonrtc::SocketId;
use control::sip::SipTransport;

use super::server::Input;
use super::world::{Down, Due, Up, World};

/// Where control is.
pub const CONTROL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 5060);

impl World {
    /// A datagram is on its way; perhaps it never arrives, perhaps twice.
    pub fn datagram(&mut self, from: SocketAddr, to: SocketAddr, octets: Vec<u8>) {
        let roll = self.chance.below(100);
        let copies = match (self.plan.loss, self.plan.doubles) {
            (loss, _) if roll < loss => 0,
            (loss, doubles) if roll < loss + doubles => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let delay = 1 + self.chance.below(self.plan.datagram_ms);
            let octets = octets.clone();
            self.at(self.now + delay, Due::Datagram { from, to, octets });
        }
    }

    pub(super) fn datagram_arrives(&mut self, from: SocketAddr, to: SocketAddr, octets: Vec<u8>) {
        self.note(&octets);
        if to == CONTROL {
            return self.input(Input::Datagram(from, octets));
        }
        let index = self
            .handsets
            .iter()
            .position(|handset| handset.address == to);
        let index = index.unwrap_or_else(|| panic!("nobody is at {to}"));
        self.handset_hears(index, &octets);
    }

    /// What the machine has sent since this was last asked.
    pub(super) fn transmit(&mut self) {
        let Some(process) = &mut self.control else {
            return;
        };
        for (flow, octets) in std::mem::take(&mut process.net.sent) {
            if flow.transport == SipTransport::Udp {
                self.datagram(CONTROL, flow.peer, octets);
            } else {
                self.stream_down(flow, &octets);
            }
        }
    }

    /// Something of a page's arrives at control.
    pub(super) fn up_arrives(&mut self, page: usize, socket: SocketId, up: Up) {
        let Some(process) = &mut self.control else {
            return self.down(page, socket, Down::Closed);
        };
        if let Up::Open = up {
            process.sockets.insert(socket, page);
            return self.input(Input::Opened(socket));
        }
        if !process.sockets.contains_key(&socket) {
            // A former process had it, or it is closed: nobody hears.
            return self.down(page, socket, Down::Closed);
        }
        match up {
            Up::Open | Up::Nothing => {}
            Up::Text(text) => {
                self.note(text.as_bytes());
                self.input(Input::Text(socket, text));
            }
            Up::Closed(code) => {
                process.sockets.remove(&socket);
                self.input(Input::Closed(socket, code));
            }
        }
    }

    /// Something on its way to a page.
    pub(super) fn down(&mut self, page: usize, socket: SocketId, down: Down) {
        let delay = 1 + self.chance.below(self.plan.socket_ms);
        if self.pages[page].socket != Some(socket) {
            return;
        }
        let arrives = &mut self.pages[page].arrives[1];
        *arrives = (self.now + delay).max(*arrives);
        let at = *arrives;
        self.at(at, Due::Down(page, socket, down));
    }

    pub(super) fn down_arrives(&mut self, page: usize, socket: SocketId, down: Down) {
        if self.pages[page].socket != Some(socket) {
            return;
        }
        match down {
            Down::Text(text) => {
                self.note(text.as_bytes());
                self.page_hears(page, &text);
            }
            Down::Closed => self.page_is_cut(page),
        }
    }
}
