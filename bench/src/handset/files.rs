//! Files on their way: what is said of them, what has come of those that were cut off, and the rest of those that go
//! out. RFC 5547, 6 and 8.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::agent::Agent;
use super::calls::Besides;
use super::console::ChatNumber;
use super::icon::Icon;
use super::incoming::{Complete, Content, hexadecimal};
use super::sip::{Message, Uri, token};

/// Files that were cut off and that are kept.
const KEPT_MAX: usize = 16;
/// Longest wait that is taken on when the network is too busy.
const RETRY_AFTER_S_MAX: u64 = 30;
/// How often the rest of one file is offered.
const RESTS_MAX: u32 = 100;

/// The file that a description is about. RFC 5547, 6.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileOffer {
    /// Its name, as it was encoded.
    pub name: String,
    /// Its type; `application/octet-stream` if that is not said.
    pub content_type: String,
    /// Octets, if that is said.
    pub bytes: Option<u64>,
    /// Its hashes, as `sha-1:72:24:..`.
    pub hashes: Vec<String>,
    /// `a=file-transfer-id`.
    pub id: String,
    /// `a=file-range`: its first octet, from 1, and its last, if that is said.
    pub range: Option<(u64, Option<u64>)>,
    /// `a=file-icon`: the Content-ID of its icon, if one goes along.
    pub icon: Option<String>,
    /// Whether whoever describes it wants to have it.
    pub is_wanted: bool,
}

/// What is said of a file in which place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Whoever has it: `sendonly`, and all.
    Has,
    /// Whoever takes it: `recvonly`, without hashes. RFC 5547, 8.3.1.
    Takes,
    /// Whoever asks for it: `recvonly`, with the hashes it is known by. RFC 5547, 8.2.2.
    Wants,
}

impl FileOffer {
    /// Reads the lines of one medium.
    pub fn read(section: &[&str]) -> Option<FileOffer> {
        let value = |name: &str| section.iter().find_map(|line| line.strip_prefix(name));
        let selector = value("a=file-selector:")?;
        let id = value("a=file-transfer-id:")?.to_owned();
        let quoted = |start: &str| {
            let (_, rest) = selector.split_once(start)?;
            rest.split_once('"').map(|(name, _)| name.to_owned())
        };
        let word = |start: &str| {
            let (_, rest) = selector.split_once(start)?;
            rest.split(' ').next().map(str::to_owned)
        };
        let range = value("a=file-range:").and_then(|range| {
            let (start, stop) = range.split_once('-')?;
            Some((
                start.parse::<u64>().ok().filter(|&n| n > 0)?,
                stop.parse().ok(),
            ))
        });
        let hashes = selector
            .split(' ')
            .filter_map(|word| word.strip_prefix("hash:"));
        Some(FileOffer {
            name: quoted("name:\"").unwrap_or_default(),
            content_type: word("type:").unwrap_or_else(|| "application/octet-stream".to_owned()),
            bytes: word("size:").and_then(|digits| digits.parse().ok()),
            hashes: hashes.map(str::to_owned).collect(),
            id,
            range,
            icon: value("a=file-icon:cid:").map(str::to_owned),
            is_wanted: section.contains(&"a=recvonly"),
        })
    }

    /// The lines of an offer or an answer.
    pub fn lines(&self, says: Says) -> String {
        let mut selectors = Vec::new();
        if !self.name.is_empty() {
            selectors.push(format!("name:\"{}\"", self.name));
        }
        if says != Says::Wants {
            selectors.push(format!("type:{}", self.content_type));
        }
        selectors.extend(self.bytes.map(|bytes| format!("size:{bytes}")));
        if says != Says::Takes {
            selectors.extend(self.hashes.iter().map(|hash| format!("hash:{hash}")));
        }
        let direction = if says == Says::Has {
            "sendonly"
        } else {
            "recvonly"
        };
        let range = self.range.map_or(String::new(), |(start, stop)| {
            let stop = stop.map_or("*".to_owned(), |stop| stop.to_string());
            format!("a=file-range:{start}-{stop}\r\n")
        });
        let icon = self.icon.as_ref().filter(|_| says == Says::Has);
        let icon = icon.map_or(String::new(), |id| format!("a=file-icon:cid:{id}\r\n"));
        let (selectors, id) = (selectors.join(" "), &self.id);
        format!(
            "a={direction}\r\na=file-selector:{selectors}\r\na=file-transfer-id:{id}\r\n{range}{icon}"
        )
    }

    /// Octets of the file before those that are transferred.
    pub fn offset(&self) -> u64 {
        self.range.map_or(0, |(start, _)| start - 1)
    }

    /// What it is known by, whichever transfer brings it.
    fn key(&self) -> String {
        match self.hashes.iter().min() {
            Some(hash) => hash.to_ascii_uppercase(),
            None => format!("{} {:?}", self.name, self.bytes),
        }
    }

    /// Whether these octets are those that were announced: by SHA-256 if that was, which is known already, or by SHA-1.
    pub fn describes(&self, message: &Complete) -> bool {
        if self
            .range
            .is_some_and(|(_, stop)| stop.is_some() && stop != self.bytes)
        {
            // Of a part that ends before the file does there is no hash.
            return true;
        }
        let announced = |kind: &str| {
            let hashes = self.hashes.iter().map(|hash| hash.to_ascii_lowercase());
            hashes
                .filter_map(|hash| Some(hash.strip_prefix(kind)?.replace(':', "")))
                .next()
        };
        let is_same = match (announced("sha-256:"), announced("sha-1:")) {
            (Some(hash), _) => hash == message.sha256,
            (None, Some(hash)) => hash == sha1_of(&message.content),
            (None, None) => true,
        };
        is_same
            && self
                .bytes
                .is_none_or(|announced| announced == message.bytes)
    }
}

/// Characters that would end a name, or lead out of its folder.
fn escaped(name: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '%' | '\\' | '/' => format!("%{:02X}", u32::from(c)),
        c => c.to_string(),
    };
    name.chars().map(escaped).collect()
}

/// Upper-case pairs with colons: RFC 5547, 6.
fn pairs(octets: &[u8]) -> String {
    let pairs: Vec<String> = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    pairs.join(":")
}

fn each_piece(content: &Content, mut take: impl FnMut(&[u8])) {
    let (mut buffer, mut at) = (vec![0; 256 * 1024], 0);
    while let Ok(bytes @ 1..) = content.read_at(&mut buffer, at) {
        take(&buffer[..bytes]);
        at += bytes as u64;
    }
}

fn sha1_of(content: &Content) -> String {
    let mut hash = Sha1::new();
    each_piece(content, |piece| hash.update(piece));
    hexadecimal(&hash.finalize())
}

fn hashes_of(content: &Content) -> Vec<String> {
    let (mut sha1, mut sha256) = (Sha1::new(), Sha256::new());
    each_piece(content, |piece| {
        sha1.update(piece);
        sha256.update(piece);
    });
    let (sha1, sha256) = (pairs(&sha1.finalize()), pairs(&sha256.finalize()));
    vec![format!("sha-1:{sha1}"), format!("sha-256:{sha256}")]
}

/// A file that goes out.
#[derive(Debug, Clone)]
pub struct Sending {
    /// Whom it is for.
    pub to: Uri,
    /// Where it is.
    pub path: PathBuf,
    /// What is said of it.
    pub offer: FileOffer,
    /// The icon that goes along with the offer.
    pub icon: Option<Icon>,
    /// Octets of what this transfer carries that are over there.
    pub arrived: Arc<AtomicU64>,
    rests: u32,
}

impl Sending {
    /// Reads it for its hashes.
    pub fn of(to: &Uri, path: PathBuf) -> io::Result<Sending> {
        let file = File::open(&path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is no regular file",
            ));
        }
        let name = path.file_name().map(|name| name.to_string_lossy());
        let offer = FileOffer {
            name: escaped(&name.unwrap_or_default()),
            content_type: "application/octet-stream".to_owned(),
            bytes: Some(metadata.len()),
            hashes: hashes_of(&Content::Spooled(file)),
            id: token(16),
            ..FileOffer::default()
        };
        Ok(Sending {
            to: to.clone(),
            path,
            offer,
            icon: None,
            arrived: Arc::default(),
            rests: 0,
        })
    }

    /// One of which it is known what is to be said.
    pub fn described(to: &Uri, path: PathBuf, offer: FileOffer) -> Sending {
        Sending {
            to: to.clone(),
            path,
            offer,
            icon: None,
            arrived: Arc::default(),
            rests: 0,
        }
    }

    /// The same with an icon that goes along with the offer.
    fn with_icon(mut self, icon: Option<Icon>) -> Sending {
        self.offer.icon = icon.as_ref().map(|icon| icon.id.clone());
        self.icon = icon;
        self
    }

    /// The file that somebody wants, if this is it.
    pub fn wanted(mut self, wanted: &FileOffer) -> Option<Sending> {
        let by_hash = |hash: &String| {
            self.offer
                .hashes
                .iter()
                .any(|own| own.eq_ignore_ascii_case(hash))
        };
        let is_it = match wanted.hashes.as_slice() {
            [] => self.offer.name == wanted.name,
            hashes => hashes.iter().any(by_hash),
        };
        self.offer.id.clone_from(&wanted.id);
        self.offer.range = wanted.range;
        is_it.then_some(self)
    }

    /// A transfer of what has not arrived: a new one, with an id of its own. RFC 5547, 8.1.
    fn rest(&self) -> Option<Sending> {
        let bytes = self.offer.bytes.unwrap_or(0);
        let has = self.offer.offset() + self.arrived.load(Ordering::Relaxed);
        let start = has.min(bytes.saturating_sub(1)) + 1;
        let offer = FileOffer {
            id: token(16),
            range: (start > 1).then_some((start, Some(bytes))),
            ..self.offer.clone()
        };
        let rest = Sending {
            offer,
            arrived: Arc::default(),
            rests: self.rests + 1,
            ..self.clone()
        };
        (rest.rests <= RESTS_MAX).then_some(rest)
    }
}

/// What has come of files that were cut off.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Mutex<Vec<(String, Content, u64)>>>);

impl Shelf {
    /// Puts away the first octets of a file.
    pub fn put(&self, offer: &FileOffer, content: Content, bytes: u64) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_MAX {
            kept.remove(0);
        }
        kept.push((offer.key(), content, bytes));
    }

    /// Takes what there is of a file, if a transfer goes on where that ends.
    pub fn take(&self, offer: &FileOffer) -> Option<(Content, u64)> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = offer.key();
        let goes_on =
            |(known, _, bytes): &(String, Content, u64)| *known == key && offer.offset() <= *bytes;
        let at = kept.iter().rposition(goes_on)?;
        let (_, content, bytes) = kept.remove(at);
        Some((content, bytes))
    }

    /// Whether there is so much of a file as a transfer begins after.
    pub fn reaches(&self, offer: &FileOffer) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = offer.key();
        offer.offset() == 0
            || kept
                .iter()
                .any(|(known, _, bytes)| *known == key && offer.offset() <= *bytes)
    }
}

/// A file that is to be offered or asked for again.
pub struct Postponed {
    /// When.
    pub at: Instant,
    to: Uri,
    offer: FileOffer,
    sending: Option<Sending>,
}

impl Agent {
    /// A network that is too busy says when to come again. RFC 3261, 21.5.4.
    pub(super) fn postpone_file(&mut self, chat: ChatNumber, response: &Message, now: Instant) {
        let Some(call) = self.calls.get_mut(&chat) else {
            return;
        };
        let sending = call.file.take();
        let after = response.header("Retry-After");
        let seconds = after.and_then(|value| value.split([' ', ';']).next()?.parse().ok());
        let (Some(503), Some(seconds), Some(to), Some(offer)) = (
            response.status(),
            seconds.filter(|seconds| *seconds <= RETRY_AFTER_S_MAX),
            Uri::parse(&call.dialog.target),
            call.offered_file(),
        ) else {
            return;
        };
        if self.postponed.len() < KEPT_MAX {
            self.postponed.push(Postponed {
                at: now + Duration::from_secs(seconds),
                to,
                offer,
                sending,
            });
        }
    }

    /// Offers and asks for what was postponed.
    pub(super) fn files_timeout(&mut self, now: Instant) {
        let (due, later) = std::mem::take(&mut self.postponed)
            .into_iter()
            .partition(|postponed| postponed.at <= now);
        self.postponed = later;
        let due: Vec<Postponed> = due;
        for Postponed {
            to, offer, sending, ..
        } in due
        {
            match sending {
                Some(sending) => self.offer_rest(&sending, now),
                None => self.invite(&to, Some(offer), None, None, now),
            }
        }
    }

    /// Offers a file to somebody.
    pub(super) fn offer_file(
        &mut self,
        to: &Uri,
        path: &Path,
        besides: Option<Besides<'_>>,
        now: Instant,
    ) {
        let icon = self.settings.icon.clone().filter(|_| besides.is_none());
        let sending = Sending::of(to, path.to_owned()).and_then(|sending| {
            let icon = icon.map(|path| Icon::read(&path)).transpose()?;
            Ok(sending.with_icon(icon))
        });
        match sending {
            Ok(sending) => {
                self.invite(to, Some(sending.offer.clone()), Some(sending), besides, now)
            }
            Err(error) => self.problem(format!(
                "can't read {} or its icon: {error}",
                path.display()
            )),
        }
    }

    /// Asks somebody for a file, by its hash or its name.
    pub(super) fn want_file(&mut self, to: &Uri, which: &str, now: Instant) {
        let mut wanted = FileOffer {
            id: token(16),
            is_wanted: true,
            ..FileOffer::default()
        };
        if which.starts_with("sha-") {
            wanted.hashes.push(which.to_owned());
        } else {
            wanted.name = escaped(which);
        }
        self.invite(to, Some(wanted), None, None, now);
    }

    /// Offers what has not arrived of a file whose transfer was cut off.
    pub(super) fn offer_rest(&mut self, sending: &Sending, now: Instant) {
        match sending.rest() {
            Some(rest) => self.invite(
                &rest.to.clone(),
                Some(rest.offer.clone()),
                Some(rest),
                None,
                now,
            ),
            None => self.problem("the file was cut off too often".to_owned()),
        }
    }

    /// The file that somebody wants, if it is shared.
    pub(super) fn shared(&self, wanted: &FileOffer) -> Option<Sending> {
        let to = &self.settings.aor;
        let shared = self.settings.share.iter();
        shared
            .filter_map(|path| Sending::of(to, path.clone()).ok()?.wanted(wanted))
            .next()
    }
}
