//! Which function of a package's script handles which message.
//!
//! `FROM_APP/start/request` is `fn from_app_start_request(context)`. More particular names come first,
//! see [`Criterion::functions`].

use std::fmt;

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a browser.
    FromApp,
    /// From the SIP side.
    FromNet,
    /// A script's own timer, whose time has come.
    FromTimer,
}

/// What kind of message it is: the control type of a frame, or request or response for SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A request.
    Request,
    /// A response.
    Response,
    /// A frame that wants no answer.
    Message,
    /// A frame that ends a transaction with an error.
    Error,
}

/// The key by which a message finds its function. Printed as `FROM_NET/INVITE/response`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Criterion {
    /// Where the message came from.
    pub direction: Direction,
    /// `header.action` of a frame, the method of a SIP request, or the method a SIP response answers.
    pub verb: String,
    /// What kind of message it is.
    pub kind: Kind,
    /// The status of a SIP response, 100 to 699.
    pub status: Option<u16>,
}

impl Direction {
    fn word(self) -> &'static str {
        match self {
            Direction::FromApp => "FROM_APP",
            Direction::FromNet => "FROM_NET",
            Direction::FromTimer => "FROM_TIMER",
        }
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Request => "request",
            Kind::Response => "response",
            Kind::Message => "message",
            Kind::Error => "error",
        }
    }

    fn of_word(word: &str) -> Option<Kind> {
        [Kind::Request, Kind::Response, Kind::Message, Kind::Error]
            .into_iter()
            .find(|kind| kind.word() == word)
    }
}

impl Criterion {
    /// The key of a timer that a script has set: `FROM_TIMER/verdict`.
    pub fn timer(name: &str) -> Criterion {
        Criterion {
            direction: Direction::FromTimer,
            verb: name.to_string(),
            kind: Kind::Message,
            status: None,
        }
    }

    /// Reads `FROM_APP/start/request`, or with the last two parts changed round.
    pub fn parse(key: &str) -> Option<Criterion> {
        if let Some(name) = key.strip_prefix("FROM_TIMER/") {
            let is_name = !name.is_empty() && !name.contains('/');
            return is_name.then(|| Criterion::timer(name));
        }
        let mut parts = key.split('/');
        let (direction, second, third) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let direction = [Direction::FromApp, Direction::FromNet]
            .into_iter()
            .find(|one| one.word() == direction)?;
        let (verb, kind) = match (Kind::of_word(third), Kind::of_word(second)) {
            (Some(kind), _) => (second, kind),
            (None, Some(kind)) => (third, kind),
            (None, None) => return None,
        };
        (!verb.is_empty()).then(|| Criterion {
            direction,
            verb: verb.to_string(),
            kind,
            status: None,
        })
    }

    /// The names of the functions that may handle the message, the first one that exists does.
    ///
    /// For each of: the verb, the verb with the other kind (`send` only: request and message are the same to
    /// it), `any` verb, this gives the application's own function before the general one, and of each the one for
    /// the status, then for the status class, then for all: `from_net_invite_response_486_at_shop`,
    /// `from_net_invite_response_4xx_at_shop`, `from_net_invite_response_at_shop`, `from_net_invite_response_486` …
    pub fn functions(&self, application: &str) -> Vec<String> {
        let direction = identifier(self.direction.word());
        let verb = identifier(&self.verb);
        let application = identifier(application);
        if self.direction == Direction::FromTimer {
            let stem = format!("{direction}_{verb}");
            return vec![format!("{stem}_at_{application}"), stem];
        }
        let mut stems = vec![format!("{direction}_{verb}_{}", self.kind.word())];
        if verb == "send" {
            match self.kind {
                Kind::Request => stems.push(format!("{direction}_send_message")),
                Kind::Message => stems.push(format!("{direction}_send_request")),
                Kind::Response | Kind::Error => {}
            }
        }
        stems.push(format!("{direction}_any_{}", self.kind.word()));
        let statuses = match self.status {
            Some(status) => vec![
                format!("_{status}"),
                format!("_{}xx", status / 100),
                String::new(),
            ],
            None => vec![String::new()],
        };
        let mut names = Vec::with_capacity(2 * stems.len() * statuses.len());
        for stem in &stems {
            for place in [format!("_at_{application}"), String::new()] {
                names.extend(
                    statuses
                        .iter()
                        .map(|status| format!("{stem}{status}{place}")),
                );
            }
        }
        names
    }

    /// Whether a function of this name is meant to handle messages.
    pub(super) fn is_handler(function: &str) -> bool {
        let prefixes = ["from_app_", "from_net_", "from_timer_"];
        prefixes.iter().any(|prefix| function.starts_with(prefix))
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (direction, kind) = (self.direction.word(), self.kind.word());
        if self.direction == Direction::FromTimer {
            return write!(f, "{direction}/{}", self.verb);
        }
        write!(f, "{direction}/{}/{kind}", self.verb)
    }
}

/// Lower case, and `_` for whatever can't be in a function's name.
fn identifier(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            'a'..='z' | '0'..='9' => c,
            'A'..='Z' => c.to_ascii_lowercase(),
            _ => '_',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_in_both_orders_and_printed_in_one() {
        for key in ["FROM_APP/start/request", "FROM_APP/request/start"] {
            let criterion = Criterion::parse(key).unwrap();
            assert_eq!(criterion.to_string(), "FROM_APP/start/request");
            assert_eq!(criterion.functions("default")[1], "from_app_start_request");
        }
    }

    #[test]
    fn a_timer_is_a_key_of_two_parts() {
        let criterion = Criterion::parse("FROM_TIMER/verdict").unwrap();
        assert_eq!(criterion.to_string(), "FROM_TIMER/verdict");
        let names = criterion.functions("shop");
        assert_eq!(names, ["from_timer_verdict_at_shop", "from_timer_verdict"]);
        assert_eq!(Criterion::parse("FROM_TIMER/"), None);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for key in [
            "",
            "FROM_APP",
            "FROM_APP/start",
            "FROM_WEB/start/request",
            "FROM_APP/a/b",
            "FROM_APP//request",
            "FROM_APP/start/request/default",
        ] {
            assert_eq!(Criterion::parse(key), None, "{key}");
        }
    }

    #[test]
    fn the_more_particular_function_comes_first() {
        let mut criterion = Criterion::parse("FROM_NET/INVITE/response").unwrap();
        criterion.status = Some(486);
        assert_eq!(
            criterion.functions("My-Shop"),
            [
                "from_net_invite_response_486_at_my_shop",
                "from_net_invite_response_4xx_at_my_shop",
                "from_net_invite_response_at_my_shop",
                "from_net_invite_response_486",
                "from_net_invite_response_4xx",
                "from_net_invite_response",
                "from_net_any_response_486_at_my_shop",
                "from_net_any_response_4xx_at_my_shop",
                "from_net_any_response_at_my_shop",
                "from_net_any_response_486",
                "from_net_any_response_4xx",
                "from_net_any_response",
            ]
        );
    }

    #[test]
    fn send_as_request_also_finds_the_function_for_send_as_message() {
        let names = Criterion::parse("FROM_APP/send/request")
            .unwrap()
            .functions("default");
        let at = |name: &str| names.iter().position(|other| other == name).unwrap();
        assert!(at("from_app_send_request") < at("from_app_send_message"));
        assert!(at("from_app_send_message") < at("from_app_any_request"));
    }
}
