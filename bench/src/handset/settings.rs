//! The handset's command line: what was typed, and what it means.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::chat::Manners;
use super::services::Services;
use super::sip::{Transport, Uri};

/// A simulated handset: registers, takes and makes calls, chats over MSRP.
///
/// Commands come line by line from standard input: `say TEXT`, `typing on`, `typing off`, `file PATH`,
/// `call URI [TEXT]`, `text URI TEXT`, `send URI PATH`, `want URI HASH` or `NAME`, `options URI`, `cut`, `bye`, `chats`, `use N`, `quit`.
#[derive(Debug, Clone, clap::Args)]
pub struct Arguments {
    /// The handset's own address, such as sip:bob@localhost.
    #[arg(long, value_name = "URI")]
    aor: String,
    /// Where to register and to send calls; without it only direct calls by address work.
    #[arg(long, value_name = "HOST:PORT")]
    registrar: Option<String>,
    /// What SIP goes over.
    #[arg(long, value_enum, default_value = "udp")]
    transport: Transport,
    /// The address to listen at, for SIP and for MSRP; a port is that of SIP.
    #[arg(long, value_name = "IP[:PORT]", default_value = "127.0.0.1")]
    listen: String,
    /// Seconds a registration is asked to last.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    expires: u32,
    /// Call this address at the start.
    #[arg(long, value_name = "URI")]
    call: Option<String>,
    /// Send everything that comes back to its sender.
    #[arg(long)]
    echo: bool,
    /// Send this text when a chat opens; may be repeated.
    #[arg(long, value_name = "TEXT")]
    say: Vec<String>,
    /// Answer the first text with this one, the second with the next, and so on in turns.
    #[arg(long, value_name = "TEXT")]
    reply: Vec<String>,
    /// Refuse incoming calls with this status, such as 486 or 603.
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(300..700))]
    decline: Option<u16>,
    /// Ring so long before answering.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    ring_ms: u64,
    /// Wait for the MSRP connection where the offer leaves the choice, instead of connecting.
    #[arg(long)]
    passive: bool,
    /// The length of a chunk.
    #[arg(long, value_name = "OCTETS", default_value_t = 65536, value_parser = clap::value_parser!(u64).range(1..))]
    chunk: u64,
    /// Send each message as one chunk, whatever its size.
    #[arg(long, conflicts_with = "chunk")]
    one_chunk: bool,
    /// Refuse larger messages with 413.
    #[arg(long, value_name = "OCTETS", default_value_t = 1 << 30)]
    max_size: u64,
    /// Give this file to whoever asks for it by its hash or name; may be repeated.
    #[arg(long, value_name = "PATH")]
    share: Vec<std::path::PathBuf>,
    /// Let this picture go along as the icon of files that are offered by `send`.
    #[arg(long, value_name = "PATH")]
    icon: Option<std::path::PathBuf>,
    /// Refuse calls whose body has several parts, such as an icon or a first message, with 415.
    #[arg(long)]
    one_part: bool,
    /// What this handset can do, as parameters of a Contact.
    #[arg(long, value_name = "TAGS", default_value = TAGS)]
    capabilities: String,
    /// Answer questions for that with this status, such as 480 or 404.
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(300..700))]
    absent: Option<u16>,
    /// Refuse single messages with this status.
    #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(300..700))]
    refuse_texts: Option<u16>,
    /// Take and send texts in envelopes only, as RCS handsets do.
    #[arg(long)]
    wrap: bool,
    /// Do not tell what became of messages, whoever asks.
    #[arg(long)]
    silent: bool,
    /// Be the network's conference focus, whose address is where groups are made.
    #[arg(long)]
    focus: bool,
    /// Print events as JSON, one object a line.
    #[arg(long)]
    json: bool,
}

/// Octets of a message that a focus passes on.
const MIXED_BYTES_MAX: u64 = 64 * 1024;

/// A handset of joyn: chat and files.
const TAGS: &str = ";+g.oma.sip-im;+g.3gpp.iari-ref=\"urn%3Aurn-7%3A3gpp-application.ims.iari.rcse.im,\
     urn%3Aurn-7%3A3gpp-application.ims.iari.rcse.ft\"";

/// What the command line means.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Our address, without port and parameters.
    pub aor: Uri,
    /// The registrar's host and port, to be looked up.
    pub registrar: Option<String>,
    /// What SIP goes over.
    pub transport: Transport,
    /// Where to listen for SIP.
    pub listen: SocketAddr,
    /// Seconds a registration is asked to last.
    pub expires: u32,
    /// Whom to call at the start.
    pub call: Option<Uri>,
    /// The status to refuse calls with.
    pub decline: Option<u16>,
    /// How long to ring.
    pub ring: std::time::Duration,
    /// Prefer to wait for the MSRP connection.
    pub passive: bool,
    /// How to behave in a chat.
    pub manners: Manners,
    /// What it can do without a call.
    pub services: Services,
    /// The files that may be asked for.
    pub share: Vec<std::path::PathBuf>,
    /// The icon of files that are offered.
    pub icon: Option<std::path::PathBuf>,
    /// Refuse calls of several parts.
    pub one_part: bool,
    /// Be a conference focus.
    pub focus: bool,
    /// Print JSON.
    pub json: bool,
}

/// What is wrong with the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// `--aor` is no SIP URI with a user.
    Aor(String),
    /// `--call` is no SIP URI.
    Call(String),
    /// `--listen` is no address.
    Listen(String),
    /// `--registrar` has no port.
    Registrar(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Aor(text) => write!(f, "--aor {text}: write it as sip:bob@localhost"),
            Wrong::Call(text) => write!(f, "--call {text}: write it as sip:alice@localhost"),
            Wrong::Listen(text) => {
                write!(
                    f,
                    "--listen {text}: write an address of this machine, such as 127.0.0.1"
                )
            }
            Wrong::Registrar(text) => {
                write!(
                    f,
                    "--registrar {text}: write it with a port, such as 127.0.0.1:5060"
                )
            }
        }
    }
}

impl Arguments {
    /// Checks what was typed.
    pub fn check(self) -> Result<Settings, Wrong> {
        let aor = Uri::parse(&self.aor).filter(|uri| uri.user.is_some());
        let call = self
            .call
            .map(|text| Uri::parse(&text).ok_or(Wrong::Call(text)))
            .transpose()?;
        let address = self
            .listen
            .parse::<IpAddr>()
            .map(|ip| SocketAddr::new(ip, 0));
        let registrar = match self.registrar {
            Some(text) => {
                let text = text.strip_prefix("sip:").unwrap_or(&text).to_owned();
                let port = text
                    .rsplit_once(':')
                    .and_then(|(_, port)| port.parse::<u16>().ok());
                Some(port.map(|_| text.clone()).ok_or(Wrong::Registrar(text))?)
            }
            None => None,
        };
        Ok(Settings {
            aor: aor.ok_or(Wrong::Aor(self.aor))?,
            registrar,
            transport: self.transport,
            listen: address
                .or_else(|_| self.listen.parse())
                .map_err(|_| Wrong::Listen(self.listen))?,
            expires: self.expires.max(60),
            call,
            decline: self.decline,
            ring: std::time::Duration::from_millis(self.ring_ms),
            passive: self.passive,
            manners: Manners {
                echo: self.echo,
                say: self.say,
                replies: self.reply,
                chunk_bytes: (!self.one_chunk).then_some(self.chunk),
                message_bytes_max: if self.focus {
                    self.max_size.min(MIXED_BYTES_MAX)
                } else {
                    self.max_size
                },
                wraps: self.wrap || self.focus,
                notifies: !self.silent,
                mixes: self.focus,
            },
            services: Services {
                tags: match self.capabilities.trim() {
                    "" => String::new(),
                    tags if tags.starts_with(';') => tags.to_owned(),
                    tags => format!(";{tags}"),
                },
                absent: self.absent,
                refuses: self.refuse_texts,
                notifies: !self.silent,
            },
            share: self.share,
            icon: self.icon,
            one_part: self.one_part,
            focus: self.focus,
            json: self.json,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn check(words: &[&str]) -> Result<Settings, Wrong> {
        let words = ["handset"].iter().chain(words);
        Program::try_parse_from(words).unwrap().arguments.check()
    }

    #[test]
    fn the_usual_command_line_is_understood() {
        let words = [
            "--aor",
            "sip:bob@localhost",
            "--registrar",
            "127.0.0.1:5060",
            "--echo",
        ];
        let settings = check(&words).unwrap();
        assert_eq!(settings.registrar.as_deref(), Some("127.0.0.1:5060"));
        assert_eq!(settings.listen.to_string(), "127.0.0.1:0");
        assert_eq!(settings.manners.chunk_bytes, Some(65536));
        assert!(settings.manners.echo);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_how_to_write_it() {
        let aor = ["--aor", "sip:localhost"];
        assert_eq!(check(&aor).unwrap_err(), Wrong::Aor("sip:localhost".into()));
        let good = ["--aor", "sip:b@x"];
        let wrong = |more: [&str; 2]| check(&[good, more].concat()).unwrap_err();
        assert_eq!(
            wrong(["--registrar", "host"]),
            Wrong::Registrar("host".into())
        );
        assert_eq!(wrong(["--listen", "here"]), Wrong::Listen("here".into()));
        assert_eq!(wrong(["--call", "tel:1"]), Wrong::Call("tel:1".into()));
    }
}
