//! Settings: a TOML file, read once into checked types. What is wrong is told with line and column.
//!
//! [`Written`] is what may stand in the file, [`Config`] what it means.

mod ice;
mod legs;
mod login;
mod sip;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;

pub use ice::{Ice, IceServer};
pub use legs::{Carrier, LegFile, in_the_clear as legs_in_the_clear};
pub use login::{Login, Tokens};
pub use sip::{Proxy, Register, Secret, Sip, SipTls, Transport};

/// What control is told, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `domain`: the SIP domain of our users, lower case. Required.
    pub domain: String,
    /// `http.listen`: where browsers come to. Port 0 takes any that is free. Default 127.0.0.1:8080:
    /// production puts a TLS proxy in front.
    pub http: SocketAddr,
    /// `http.demo`: whether to serve the demo page at `/demo/`. Default false: the SDK is served anyway.
    pub demo: bool,
    /// `http.sdk_folder`: serve SDK and demo from this folder (with `src` and `demo` in it) instead of
    /// from the program, for whoever works on them.
    pub sdk_folder: Option<PathBuf>,
    /// `admin.listen`: where /healthz and /metrics are. Default none: they tell too much for the public.
    pub admin: Option<SocketAddr>,
    /// `sip`: SIP peers, and the network beyond.
    pub sip: Sip,
    /// `relay.socket`: the relay's Unix socket. Default /run/causeway/relay.sock.
    pub relay: PathBuf,
    /// `packages.folder`: packages in the place of those that ship, or beside them.
    pub packages: Option<PathBuf>,
    /// `packages.constants`: what scripts read as `Constants.NAME`.
    pub constants: BTreeMap<String, String>,
    /// `state.folder`: where sessions, chats and registrations outlive the process. Default none: they end
    /// with it.
    pub state: Option<PathBuf>,
    /// `applications.NAME`: what is at `/ws/webrtc/NAME`. At least one.
    pub applications: BTreeMap<String, Application>,
    /// `legs.NAME`: session-configs, what the relay is asked for toward a peer. `browser` and `handset`
    /// are always among them; scripts choose others by name.
    pub legs: BTreeMap<String, LegFile>,
    /// `ice`: STUN and TURN servers.
    pub ice: Ice,
    /// `limits`: bounds and spans.
    pub limits: Limits,
}

/// One application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Application {
    /// `origins`: pages that may open a socket, as a browser's Origin header has them, such as
    /// `https://app.example.com`. Default: any.
    pub origins: Option<Vec<String>>,
    /// `packages`: what its browsers may use. Default: all packages there are.
    pub packages: Option<Vec<String>>,
    /// `login`: how its browsers prove who they are. Default: not at all, all are guests.
    pub login: Option<Login>,
    /// `push`: an `http://` URL that is told by POST when a browser that hibernates is wanted. Default: nobody is told.
    pub push: Option<String>,
}

/// Bounds and spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Sessions at most. Default 10 000; each takes a few KiB, and up to 4 MiB while its browser is away.
    pub sessions: usize,
    /// Sessions of one user at most. Default 10: each rings when the user is called.
    pub sessions_per_user: usize,
    /// Subsessions of one session at most. Default 50; each chat takes one session of the relay.
    pub subsessions_per_session: usize,
    /// Texts that a browser may send in a second, on average; eight times as many at once. Default 50: a chat
    /// needs a few in all. One that sends more is cut off.
    pub texts_per_s: u32,
    /// A browser that sends nothing for so many seconds is taken for lost. Default 30; its pings come
    /// every 3 to 10.
    pub idle_s: u32,
    /// A session without a browser is kept for so many seconds. Default 60; its calls stay up as long.
    pub disconnect_s: u32,
    /// An invitation may ring for so many seconds. Default 180.
    pub ring_s: u32,
    /// An answered chat has so many seconds to connect its media. Default 30.
    pub leg_s: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            sessions: 10_000,
            sessions_per_user: 10,
            texts_per_s: 50,
            subsessions_per_session: 50,
            idle_s: 30,
            disconnect_s: 60,
            ring_s: 180,
            leg_s: 30,
        }
    }
}

/// What is wrong in a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// From 1; 0 if the whole file is meant.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// What is wrong and what to write instead.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        f.write_str(&self.what)
    }
}

impl std::error::Error for Mistake {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    domain: Option<Spanned<String>>,
    #[serde(default)]
    http: Http,
    #[serde(default)]
    admin: Admin,
    #[serde(default)]
    sip: sip::Written,
    #[serde(default)]
    relay: Relay,
    #[serde(default)]
    state: State,
    #[serde(default)]
    packages: Packages,
    #[serde(default)]
    applications: BTreeMap<Spanned<String>, WrittenApplication>,
    #[serde(default)]
    legs: BTreeMap<Spanned<String>, LegFile>,
    ice: Option<Spanned<Ice>>,
    #[serde(default)]
    limits: Option<Spanned<toml::Table>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Http {
    listen: Option<Spanned<String>>,
    demo: bool,
    sdk_folder: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Admin {
    listen: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Relay {
    socket: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct State {
    folder: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Packages {
    folder: Option<PathBuf>,
    constants: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct WrittenApplication {
    origins: Option<Vec<Spanned<String>>>,
    packages: Option<Vec<String>>,
    login: Option<Login>,
    push: Option<String>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn read(text: &str) -> Result<Config, Mistake> {
        let written: Written = toml::from_str(text).map_err(|error| unreadable(text, &error))?;
        let Some(domain) = written.domain else {
            let what = "`domain` is missing: name the SIP domain of your users, such as domain = \"example.com\"";
            return Err(Mistake {
                line: 0,
                column: 0,
                what: what.to_owned(),
            });
        };
        let http = address(text, "http.listen", written.http.listen)?;
        let domain = checked_domain(text, &domain)?;
        Ok(Config {
            sip: written.sip.checked(text, &domain)?,
            domain,
            http: http.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
            demo: written.http.demo,
            sdk_folder: written.http.sdk_folder,
            admin: address(text, "admin.listen", written.admin.listen)?,
            relay: written
                .relay
                .socket
                .unwrap_or_else(|| "/run/causeway/relay.sock".into()),
            packages: written.packages.folder,
            constants: written.packages.constants,
            state: written.state.folder,
            applications: applications(text, written.applications)?,
            legs: checked_legs(text, written.legs)?,
            ice: checked_ice(text, written.ice)?,
            limits: checked_limits(text, written.limits)?,
        })
    }
}

/// What was understood, one setting a line.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = || "-".to_owned();
        writeln!(f, "domain               {}", self.domain)?;
        writeln!(f, "browsers             http://{}", self.http)?;
        writeln!(
            f,
            "demo page            {}",
            if self.demo { "/demo/" } else { "-" }
        )?;
        let folder = self
            .sdk_folder
            .as_ref()
            .map(|folder| folder.display().to_string());
        writeln!(
            f,
            "SDK                  {}",
            folder.unwrap_or_else(|| "as shipped".into())
        )?;
        let admin = self
            .admin
            .map(|admin| format!("http://{admin} (/healthz, /metrics)"));
        writeln!(f, "admin                {}", admin.unwrap_or_else(none))?;
        write!(f, "{}", self.sip)?;
        writeln!(f, "relay                {}", self.relay.display())?;
        match &self.state {
            Some(folder) => writeln!(f, "state                {}", folder.display())?,
            None => writeln!(f, "state                - (chats end with the process)")?,
        }
        for (name, leg) in &self.legs {
            writeln!(f, "{:20} {leg}", format!("legs.{name}"))?;
        }
        for server in &self.ice.servers {
            writeln!(f, "ICE server           {}", server.urls.join(" "))?;
        }
        let folder = self
            .packages
            .as_ref()
            .map(|folder| folder.display().to_string());
        writeln!(
            f,
            "packages             {}",
            folder.unwrap_or_else(|| "as shipped".into())
        )?;
        for (name, application) in &self.applications {
            let list = |words: &Option<Vec<String>>, all: &str| match words {
                Some(words) => words.join(" "),
                None => all.to_owned(),
            };
            let origins = list(&application.origins, "any origin");
            let packages = list(&application.packages, "all packages");
            let ways = application.login.as_ref().map_or("guests".to_owned(), ways);
            writeln!(
                f,
                "application          /ws/webrtc/{name}: {origins}; {packages}; {ways}"
            )?;
        }
        let Limits {
            sessions,
            sessions_per_user,
            subsessions_per_session,
            texts_per_s,
            ..
        } = self.limits;
        let Limits {
            idle_s,
            disconnect_s,
            ring_s,
            leg_s,
            ..
        } = self.limits;
        writeln!(
            f,
            "sessions             {sessions}, {sessions_per_user} of one user"
        )?;
        writeln!(
            f,
            "subsessions          {subsessions_per_session} of one session; {texts_per_s} texts a second"
        )?;
        write!(
            f,
            "seconds              idle {idle_s}, away {disconnect_s}, ringing {ring_s}, "
        )?;
        writeln!(f, "connecting media {leg_s}")
    }
}

fn address(
    text: &str,
    name: &str,
    written: Option<Spanned<String>>,
) -> Result<Option<SocketAddr>, Mistake> {
    let Some(written) = written else {
        return Ok(None);
    };
    match written.get_ref().parse() {
        Ok(address) => Ok(Some(address)),
        Err(_) => {
            let what = format!(
                "{name}: `{}` is no address with a port: write it as \"127.0.0.1:8080\" or \"[::1]:8080\"",
                written.get_ref()
            );
            Err(mistake(text, written.span(), what))
        }
    }
}

/// The ways to log in, in words.
fn ways(login: &Login) -> String {
    let ways = [
        ("guests", login.guests),
        ("tokens", login.tokens.is_some()),
        ("passwords", login.passwords.is_some()),
        ("callout", login.callout.is_some()),
    ];
    let open: Vec<_> = ways.iter().filter(|way| way.1).map(|way| way.0).collect();
    if open.is_empty() {
        "nobody can log in".to_owned()
    } else {
        open.join(" ")
    }
}

fn checked_legs(
    text: &str,
    written: BTreeMap<Spanned<String>, LegFile>,
) -> Result<BTreeMap<String, LegFile>, Mistake> {
    let places: BTreeMap<String, Range<usize>> = (written.keys())
        .map(|name| (name.get_ref().clone(), name.span()))
        .collect();
    let named = written.into_iter();
    let named = named.map(|(name, leg)| (name.into_inner(), leg)).collect();
    legs::checked(named).map_err(|(name, what)| {
        let place = places.get(&name).cloned().unwrap_or_default();
        mistake(text, place, format!("legs.{name}: {what}"))
    })
}

fn checked_ice(text: &str, written: Option<Spanned<Ice>>) -> Result<Ice, Mistake> {
    let Some(written) = written else {
        return Ok(Ice::default());
    };
    match written.get_ref().mistake() {
        Some(what) => Err(mistake(text, written.span(), what.to_owned())),
        None => Ok(written.into_inner()),
    }
}

fn checked_domain(text: &str, written: &Spanned<String>) -> Result<String, Mistake> {
    let domain = written.get_ref().to_ascii_lowercase();
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if domain.is_empty() || domain.len() > 253 || !domain.chars().all(known) {
        let what = format!("domain: `{domain}` is no domain name: write it as \"example.com\"");
        return Err(mistake(text, written.span(), what));
    }
    Ok(domain)
}

fn applications(
    text: &str,
    written: BTreeMap<Spanned<String>, WrittenApplication>,
) -> Result<BTreeMap<String, Application>, Mistake> {
    if written.is_empty() {
        let what = "no application: add at least one, such as [applications.demo]".to_owned();
        return Err(Mistake {
            line: 0,
            column: 0,
            what,
        });
    }
    let mut applications = BTreeMap::new();
    for (name, application) in written {
        let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let length = name.get_ref().len();
        if !(1..=64).contains(&length) || !name.get_ref().chars().all(known) {
            let what = format!(
                "applications: `{}` can't be part of a URL: use 1 to 64 letters, digits, `-`, `_` and `.`",
                name.get_ref()
            );
            return Err(mistake(text, name.span(), what));
        }
        let checked = |origins: Vec<Spanned<String>>| {
            origins
                .iter()
                .map(|origin| checked_origin(text, origin))
                .collect()
        };
        let origins = application.origins.map(checked).transpose()?;
        let application = Application {
            origins,
            packages: application.packages,
            login: application.login,
            push: application.push,
        };
        applications.insert(name.into_inner(), application);
    }
    Ok(applications)
}

fn checked_origin(text: &str, origin: &Spanned<String>) -> Result<String, Mistake> {
    match origin.get_ref().split_once("://") {
        Some(("http" | "https", host)) if !host.is_empty() && !host.contains('/') => {
            Ok(origin.get_ref().to_ascii_lowercase())
        }
        _ => {
            let what = format!(
                "origins: `{}` is no origin: write it as \"https://app.example.com\", without a path",
                origin.get_ref()
            );
            Err(mistake(text, origin.span(), what))
        }
    }
}

fn checked_limits(text: &str, written: Option<Spanned<toml::Table>>) -> Result<Limits, Mistake> {
    let Some(written) = written else {
        return Ok(Limits::default());
    };
    let span = written.span();
    let table = written.into_inner();
    let zero = table
        .iter()
        .find(|(_, value)| value.as_integer() == Some(0));
    let zero = zero.map(|(name, _)| name.clone());
    let limits = Limits::deserialize(table.into_deserializer());
    match (limits, zero) {
        (Ok(limits), None) => Ok(limits),
        (Ok(_), Some(name)) => {
            let what = format!("limits.{name}: 0 would refuse everything: write at least 1");
            Err(mistake(text, span, what))
        }
        (Err(error), _) => Err(mistake(text, span, format!("limits: {}", error.message()))),
    }
}

fn unreadable(text: &str, error: &toml::de::Error) -> Mistake {
    let what = error.message().to_owned();
    match error.span() {
        Some(span) => mistake(text, span, what),
        None => Mistake {
            line: 0,
            column: 0,
            what,
        },
    }
}

/// A mistake at this place of the text.
fn mistake(text: &str, span: Range<usize>, what: String) -> Mistake {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before
        .rsplit('\n')
        .next()
        .map_or(0, |line| line.chars().count())
        + 1;
    Mistake { line, column, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: &str = "domain = \"example.com\"\n[applications.demo]\n";

    fn wrong(text: &str) -> String {
        Config::read(text).unwrap_err().to_string()
    }

    #[test]
    fn l3_browsers_come_by_wss_unless_the_configuration_says_otherwise() {
        let carrier = |more: &str| {
            let config = Config::read(&format!("{SMALLEST}{more}")).unwrap();
            config.legs["browser"].transport
        };
        assert_eq!(carrier(""), Carrier::Wss);
        let of_another = "[legs.partner]\ntransport = \"tls\"\n";
        assert_eq!(carrier(of_another), Carrier::Wss);
        let in_the_clear = "[legs.browser]\ntransport = \"ws\"\n";
        assert_eq!(carrier(in_the_clear), Carrier::Ws);
    }

    #[test]
    fn session_configs_have_a_name_and_the_two_that_are_meant_without_one_are_always_there() {
        let legs = "[legs.browser]\ntransport = \"wss\"\ngrace_s = 5\n\
             [legs.rcs-tls]\ntransport = \"tls\"\nrealm = \"rcs\"\nproof = false\nidle_s = 60\n\
             strict_ranges = true\n";
        let config = Config::read(&format!("{SMALLEST}{legs}")).unwrap();
        let legs = &config.legs;
        assert_eq!(legs.len(), 3);
        assert_eq!(legs["browser"].grace_s(), 5);
        assert_eq!(legs["handset"], LegFile::of(Carrier::Tcp));
        assert_eq!(
            legs["rcs-tls"].to_string(),
            "tls in realm rcs, idle 60 s, no proof asked, strict ranges"
        );
        let understood = config.to_string();
        assert!(
            understood.contains("legs.browser         wss in realm default, grace 5 s"),
            "{understood}"
        );
        for (leg, place, told) in [
            ("[legs.browser]\ntransport = \"tcp\"", "3:7: ", "ws or wss"),
            ("[legs.handset]\ntransport = \"udp\"", "4:13: ", "udp"),
            ("[legs.handset]\ntransport = \"ws\"", "3:7: ", "tcp or tls"),
            (
                "[legs.x]\ntransport = \"tcp\"\ngrace_s = 1",
                "3:7: ",
                "ws and wss",
            ),
            (
                "[legs.x]\ntransport = \"ws\"\nkeepalive_s = 1",
                "3:7: ",
                "pinged",
            ),
            (
                "[legs.x]\ntransport = \"tcp\"\nproof = true",
                "3:7: ",
                "tls",
            ),
            (
                "[legs.x]\ntransport = \"tcp\"\nuser_timeout_s = 601",
                "3:7: ",
                "600",
            ),
            ("[legs.\"a b\"]\ntransport = \"tcp\"", "3:7: ", "letters"),
        ] {
            let what = wrong(&format!("{SMALLEST}{leg}\n"));
            assert!(what.starts_with(place) && what.contains(told), "{what}");
        }
    }

    #[test]
    fn the_smallest_configuration_has_a_domain_and_an_application() {
        let config = Config::read(SMALLEST).unwrap();
        assert_eq!(config.http, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(config.applications["demo"], Application::default());
        assert_eq!((config.demo, config.admin), (false, None));
        assert_eq!(config.limits, Limits::default());
    }

    #[test]
    fn everything_can_be_said() {
        let text = r#"
            domain = "Example.com"
            [http]
            listen = "[::1]:80"
            demo = true
            sdk_folder = "/srv/sdk"
            [admin]
            listen = "127.0.0.1:9090"
            [sip]
            listen = "0.0.0.0:5060"
            advertise = "192.0.2.1:0"
            [relay]
            socket = "/tmp/relay.sock"
            [state]
            folder = "/var/lib/causeway"
            [packages]
            folder = "/etc/causeway/packages"
            constants = { CONFERENCE = "sip:conf@example.com" }
            [applications.demo]
            origins = ["https://App.example.com"]
            packages = ["chat"]
            [applications.open]
            [applications.open.login]
            passwords = "/etc/causeway/passwords"
            [applications.open.login.tokens]
            keys = "/etc/causeway/keys.json"
            [limits]
            sessions = 5
            ring_s = 60
        "#;
        let config = Config::read(text).unwrap();
        assert_eq!(config.domain, "example.com");
        let origins = config.applications["demo"].origins.as_ref().unwrap();
        assert_eq!(origins, &["https://app.example.com"]);
        assert_eq!((config.limits.sessions, config.limits.ring_s), (5, 60));
        assert_eq!(config.limits.idle_s, Limits::default().idle_s);
        let understood = config.to_string();
        assert!(understood.contains("/ws/webrtc/demo: https://app.example.com; chat"));
        assert!(understood.contains("/ws/webrtc/open: any origin; all packages"));
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_what_to_write() {
        let what = wrong("domain = \"example.com\"\n[http]\nlisten = \"localhost:80\"\n");
        assert!(
            what.starts_with("3:10: http.listen: `localhost:80`"),
            "{what}"
        );
        assert!(what.contains("127.0.0.1:8080"), "{what}");
        let what = wrong("domain = \"example.com\"\n[http]\nlistne = 1\n");
        assert!(
            what.starts_with("3:1: unknown field `listne`, expected"),
            "{what}"
        );
        let what = wrong("domain = \"a b\"\n");
        assert!(what.starts_with("1:10: domain: `a b`"), "{what}");
        let what = wrong("domain = \n");
        assert!(what.starts_with("1:"), "{what}");
        let what = wrong(&format!("{SMALLEST}origins = [\"app.example.com/x\"]\n"));
        assert!(what.starts_with("3:12: origins: "), "{what}");
        let what = wrong(&format!("{SMALLEST}[limits]\nsessions = 0\n"));
        assert!(what.contains("limits.sessions: 0 would"), "{what}");
        let what = wrong(&format!("{SMALLEST}[limits]\nsession = 3\n"));
        assert!(what.contains("unknown field `session`"), "{what}");
        let what = wrong(&format!("{SMALLEST}[limits]\nidle_s = -3\n"));
        assert!(what.contains("limits: "), "{what}");
    }

    #[test]
    fn what_is_missing_is_asked_for() {
        assert!(wrong("").starts_with("`domain` is missing"));
        assert!(wrong("domain = \"example.com\"").starts_with("no application"));
        let all = format!("{SMALLEST}[sip]\nlisten = \"0.0.0.0:5060\"\n");
        assert!(wrong(&all).contains("sip.advertise"));
    }
}
