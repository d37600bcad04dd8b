//! The gateway with a fake relay and a fake SIP side: messages in, messages out, and nothing left over.

mod busy;
mod calls;
mod hibernating;
mod incoming;
mod lost;
mod net;
mod outgoing;
mod restart;
mod services;
mod session_configs;
mod sessions;
mod subscribed;
mod walk;
mod world;
