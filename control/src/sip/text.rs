//! The characters of RFC 3261, 25.1, and a scanner for the insides of header values.

/// Whether `c` may stand in a token.
pub(super) fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c)
}

/// Whether `text` is a token.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_token_char)
}

/// Whether `c` is unreserved: it needs no escape anywhere in a URI.
pub(super) fn is_unreserved(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_.!~*'()".contains(c)
}

/// Whether `text` has only unreserved characters, escapes (`%41`) and the characters of `more`.
pub(super) fn is_escaped(text: &str, more: &str) -> bool {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '%' {
            let hex = |c: Option<char>| c.is_some_and(|c| c.is_ascii_hexdigit());
            if !hex(chars.next()) || !hex(chars.next()) {
                return false;
            }
        } else if !is_unreserved(c) && !more.contains(c) {
            return false;
        }
    }
    true
}

/// One spelling for all escaped spellings of a text: escapes of unreserved characters are undone, the
/// hexadecimal digits of the others are upper case. RFC 3986, 6.2.2. `text` passed [`is_escaped`].
pub(super) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        let Some(digits) = rest.get(at + 1..at + 3) else {
            break;
        };
        match u8::from_str_radix(digits, 16).map(char::from) {
            Ok(c) if is_unreserved(c) => plain.push(c),
            _ => {
                plain.push('%');
                plain.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = &rest[at + 3..];
    }
    plain.push_str(rest);
    plain
}

/// Splits at commas that stand neither in quotes nor in angle brackets; trims the pieces.
pub(super) fn split_list(value: &str) -> Vec<&str> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped, mut bracketed) = (false, false, false);
    for (at, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '<' => bracketed = true,
            '>' => bracketed = false,
            ',' if !bracketed => {
                pieces.push(value[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(value[start..].trim());
    pieces
}

/// `text` as a quoted-string.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if c == '"' || c == '\\' {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// What a quoted-string says; any other text is given back as it is.
pub(super) fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|t| t.strip_suffix('"')) else {
        return text.to_owned();
    };
    let (mut plain, mut escaped) = (String::with_capacity(inner.len()), false);
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            escaped = false;
            plain.push(c);
        }
    }
    plain
}

/// Reads a header's value from left to right.
pub(super) struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    /// At the start of `text`.
    pub fn new(text: &'a str) -> Scan<'a> {
        Scan { rest: text }
    }

    /// What has not been read.
    pub fn rest(&self) -> &'a str {
        self.rest
    }

    /// Whether everything has been read.
    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Skips white space.
    pub fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    /// Takes `c` if it is next.
    pub fn take(&mut self, c: char) -> bool {
        match self.rest.strip_prefix(c) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes `c` with white space on both sides, if it is next.
    pub fn separator(&mut self, c: char) -> bool {
        let before = self.rest;
        self.space();
        if self.take(c) {
            self.space();
            return true;
        }
        self.rest = before;
        false
    }

    /// Takes the characters that `accept`s; may be none.
    pub fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Takes a token of at least one character.
    pub fn token(&mut self) -> Option<&'a str> {
        let token = self.take_while(is_token_char);
        (!token.is_empty()).then_some(token)
    }

    /// Takes a quoted-string, quotes included.
    pub fn quoted(&mut self) -> Option<&'a str> {
        let inner = self.rest.strip_prefix('"')?;
        let mut escaped = false;
        for (at, c) in inner.char_indices() {
            match c {
                _ if escaped => {
                    if !c.is_ascii() {
                        return None;
                    }
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    let (quoted, rest) = self.rest.split_at(at + 2);
                    self.rest = rest;
                    return Some(quoted);
                }
                '\t' => {}
                c if c.is_ascii_control() => return None,
                _ => {}
            }
        }
        None
    }

    /// Takes `;name=value` until the end. `None` if anything else stands there.
    pub fn params(&mut self) -> Option<Params> {
        let mut params = Params::default();
        loop {
            self.space();
            if self.is_done() {
                return Some(params);
            }
            if !self.separator(';') {
                return None;
            }
            let name = self.token()?;
            let value = if self.separator('=') {
                Some(self.param_value()?)
            } else {
                None
            };
            params.0.push((name.to_owned(), value.map(str::to_owned)));
        }
    }

    /// A token, host (also `[::1]`) or quoted-string.
    fn param_value(&mut self) -> Option<&'a str> {
        if self.rest.starts_with('"') {
            return self.quoted();
        }
        let value = self.take_while(|c| is_token_char(c) || "[]:@/?&=#$".contains(c));
        (!value.is_empty()).then_some(value)
    }
}

/// Parameters of a header: names as written, values with their quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Params(pub Vec<(String, Option<String>)>);

impl Params {
    /// The value of the first parameter of that name; `Some("")` if it has none.
    pub fn value(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_deref().unwrap_or(""))
    }

    /// Sets the parameter, in its place if it is there.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        let value = value.map(str::to_owned);
        match self
            .0
            .iter_mut()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
        {
            Some(found) => found.1 = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Takes the parameter out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }
}

impl std::fmt::Display for Params {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, value) in &self.0 {
            write!(f, ";{name}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split() {
        let list = r#""a, \"b" <sip:x@y;p=1,2>;q=1 , <sip:z>"#;
        assert_eq!(
            split_list(list),
            [r#""a, \"b" <sip:x@y;p=1,2>;q=1"#, "<sip:z>"]
        );
    }

    #[test]
    fn escapes_of_unreserved_characters_have_one_spelling() {
        assert_eq!(unescape("%61l%2fice%00%e4"), "al%2Fice%00%E4");
        assert!(!is_escaped("a%2", ""));
        assert!(!is_escaped("a%zz", ""));
    }

    #[test]
    fn quoting_and_unquoting_are_inverse() {
        for text in ["", "a\"b", "back\\slash", "plain"] {
            assert_eq!(unquote(&quote(text)), text);
        }
    }
}
