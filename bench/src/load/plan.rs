//! A session as the generator needs to know it: where to connect, and which URIs to use.

use std::net::{IpAddr, SocketAddr};

use link::Transport;

use super::line::Target;

/// One leg.
#[derive(Debug, Clone)]
pub struct LegPlan {
    /// How it travels.
    pub transport: Transport,
    /// Where to connect to.
    pub address: SocketAddr,
    /// Which own address to connect from; `None`: the kernel chooses.
    pub source: Option<IpAddr>,
    /// The WebSocket resource; empty for TCP.
    pub resource: String,
    /// The To-Path of what this leg sends.
    pub to_path: String,
    /// The From-Path of what it receives.
    pub relay_uri: String,
    /// Our own URI.
    pub own_uri: String,
}

impl LegPlan {
    /// Where its connection goes.
    pub fn target(&self) -> Target<'_> {
        Target {
            transport: self.transport,
            address: self.address,
            resource: &self.resource,
            source: self.source,
        }
    }
}

/// One session.
#[derive(Debug, Clone)]
pub struct Plan {
    /// From 0.
    pub index: u32,
    /// Leg A, leg B.
    pub legs: [LegPlan; 2],
}
