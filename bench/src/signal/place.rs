//! Which system is measured, and where the result goes.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Serialize;

use super::system::System;
use crate::load::write_json;

/// Which system, and where the result goes.
#[derive(Debug, Clone, clap::Args)]
pub struct Place {
    /// Where browsers connect to a system that runs; without it one is started.
    #[arg(long, value_name = "IP:PORT", requires = "sip")]
    pub http: Option<SocketAddr>,
    /// Where handsets register there.
    #[arg(long, value_name = "IP:PORT", requires = "http")]
    pub sip: Option<SocketAddr>,
    /// The application that browsers connect to.
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub application: String,
    /// The domain of both.
    #[arg(long, value_name = "NAME", default_value = "localhost")]
    pub domain: String,
    /// The program of the system that is started; default: causeway beside this program.
    #[arg(long, value_name = "PATH", conflicts_with = "http")]
    causeway: Option<PathBuf>,
    /// The relay's ports of the system that is started.
    #[arg(
        long,
        value_name = "FROM-TO",
        default_value = "20000-24999",
        conflicts_with = "http"
    )]
    ports: String,
    /// Write the result to this file, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Place {
    /// The system, started if none runs.
    pub async fn open(&self) -> Result<System, String> {
        match (self.http, self.sip) {
            (Some(http), Some(sip)) => Ok(System::running(http, sip)),
            _ => System::start(self.causeway.clone(), &self.ports).await,
        }
    }

    /// The address of somebody there.
    pub fn aor(&self, user: &str) -> String {
        format!("sip:{user}@{}", self.domain)
    }

    /// Writes the result.
    pub fn write(&self, result: &impl Serialize) -> Result<(), String> {
        write_json(self.json.as_deref(), result)
    }
}
