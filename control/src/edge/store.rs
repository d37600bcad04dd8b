//! The file in which state outlives the process: a snapshot, and behind it what has changed since.
//!
//! What some turns of the gateway have changed is appended as one record before anything of it is sent to a browser, a
//! peer or the relay. There is no fsync: what is to be survived is the end of the process, and what was written is the kernel's by then. When the
//! changes have outgrown the snapshot, another one is written beside the file and takes its name.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::gateway::{Change, Image};
use crate::limits::Millis;
use crate::state::log;

/// The first record of a file.
#[derive(Serialize, Deserialize)]
struct Head {
    /// Of the records behind it.
    version: u32,
    /// When our clock was at zero, in milliseconds since 1970.
    zero_unix_ms: u64,
}

/// Changes with the shape of the records.
const VERSION: u32 = 1;
/// A file smaller than this is never written anew.
const SNAPSHOT_BYTES_MIN: u64 = 8 * 1024 * 1024;
/// Changes in one record of a snapshot.
const CHANGES_PER_RECORD: usize = 1000;

/// The open file.
pub struct Store {
    folder: PathBuf,
    file: File,
    /// Held as long as we are; another process is kept out.
    _lock: File,
    zero_unix_ms: u64,
    bytes: u64,
    snapshot_bytes: u64,
}

/// What was found in the folder.
pub struct Found {
    /// The store, to be written to.
    pub store: Store,
    /// What an earlier process kept.
    pub image: Image,
    /// What our clock says now.
    pub now: Millis,
}

impl Store {
    /// Opens the store in this folder, which exists or is made.
    ///
    /// # Errors
    /// The folder or file can't be used, or another process uses it.
    pub fn open(folder: &Path) -> io::Result<Found> {
        std::fs::create_dir_all(folder)?;
        let lock = private().truncate(false).open(folder.join("lock"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| io::Error::new(io::ErrorKind::ResourceBusy, "another process uses it"))?;
        let path = folder.join("state.log");
        let octets = match std::fs::read(&path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let now_unix_ms = unix_ms();
        let (zero_unix_ms, image) = match understand(&octets) {
            Some(found) => found,
            None => {
                if !octets.is_empty() {
                    let aside = folder.join("state.log.unread");
                    std::fs::rename(&path, &aside)?;
                    tracing::error!("{} is of another version; it was put aside", path.display());
                }
                (now_unix_ms, Image::default())
            }
        };
        let file = private().append(true).open(&path)?;
        let bytes = file.metadata()?.len();
        let store = Store {
            folder: folder.to_owned(),
            file,
            _lock: lock,
            zero_unix_ms,
            bytes,
            snapshot_bytes: bytes,
        };
        let now = now_unix_ms.saturating_sub(zero_unix_ms);
        Ok(Found { store, image, now })
    }

    /// Puts away what has changed: all of it, or nothing.
    ///
    /// # Errors
    /// It could not be written.
    pub fn append(&mut self, changes: &[Change]) -> io::Result<()> {
        let mut octets = Vec::new();
        log::write(&serde_json::to_vec(changes)?, &mut octets);
        self.file.write_all(&octets)?;
        self.bytes += octets.len() as u64;
        Ok(())
    }

    /// Takes the file away: what is in it is not true any more.
    pub fn discard(self) {
        let path = self.folder.join("state.log");
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::error!(
                "{} is out of date and can't be removed: {error}",
                path.display()
            );
        }
    }

    /// Whether the file should be written anew.
    pub fn is_long(&self) -> bool {
        self.bytes > SNAPSHOT_BYTES_MIN.max(4 * self.snapshot_bytes)
    }

    /// Writes the file anew: these changes make everything there is.
    ///
    /// # Errors
    /// It could not be written; the former file is as it was.
    pub fn rewrite(&mut self, changes: &[Change]) -> io::Result<()> {
        let head = Head {
            version: VERSION,
            zero_unix_ms: self.zero_unix_ms,
        };
        let mut octets = Vec::new();
        log::write(&serde_json::to_vec(&head)?, &mut octets);
        for part in changes.chunks(CHANGES_PER_RECORD) {
            log::write(&serde_json::to_vec(part)?, &mut octets);
        }
        let beside = self.folder.join("state.log.new");
        let mut file = private().truncate(true).open(&beside)?;
        file.write_all(&octets)?;
        std::fs::rename(&beside, self.folder.join("state.log"))?;
        self.file = file;
        self.bytes = octets.len() as u64;
        self.snapshot_bytes = self.bytes;
        Ok(())
    }
}

/// What holds secrets is for nobody else's eyes.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true).mode(0o600);
    options
}

fn understand(octets: &[u8]) -> Option<(u64, Image)> {
    let records = log::read(octets);
    let (head, changes) = records.split_first()?;
    let head: Head = serde_json::from_slice(head).ok()?;
    if head.version != VERSION {
        return None;
    }
    let mut image = Image::default();
    for record in changes {
        let changes: Vec<Change> = serde_json::from_slice(record).ok()?;
        changes.into_iter().for_each(|change| image.apply(change));
    }
    Some((head.zero_unix_ms, image))
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings(user: &str) -> Change {
        Change::Bindings(user.into(), Some("[]".into()))
    }

    #[test]
    fn what_was_written_is_found_again_and_a_second_process_is_kept_out() {
        let name = format!("causeway-store-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let users = |image: &Image| image.bindings.keys().cloned().collect::<Vec<_>>();
        let mut found = Store::open(&folder).unwrap();
        assert!(found.image.is_empty());
        assert!(Store::open(&folder).is_err());
        found.store.rewrite(&[bindings("alice")]).unwrap();
        found.store.append(&[bindings("bob")]).unwrap();
        drop(found);
        // The last record was cut off.
        let path = folder.join("state.log");
        let whole = std::fs::read(&path).unwrap();
        let found = Store::open(&folder).unwrap();
        assert_eq!(users(&found.image), ["alice", "bob"]);
        drop(found);
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let found = Store::open(&folder).unwrap();
        assert_eq!(users(&found.image), ["alice"]);
        drop(found);
        std::fs::write(&path, "something else").unwrap();
        assert!(Store::open(&folder).unwrap().image.is_empty());
        assert!(folder.join("state.log.unread").exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
