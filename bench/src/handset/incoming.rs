//! Puts incoming chunks together. RFC 4975, 5.1 and 7.3.1.
//!
//! Chunks may come in any order. What outgrows memory goes to a nameless temporary file, so that
//! a message of any size takes the same memory.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

use super::files::{FileOffer, Shelf};
use super::sip::token;
use crate::msrp::{ByteRange, Flag};

/// A message of at most so many octets stays in memory.
const MEMORY_BYTES_MAX: u64 = 64 * 1024;
/// Messages of one chat that may be under way at a time.
const MESSAGES_MAX: usize = 64;
/// Complete messages of one chat that are remembered.
const REMEMBERED_MAX: usize = 256;
/// Pieces with gaps between them that one message may have.
const RANGES_MAX: usize = 1024;

/// The octets of a message.
#[derive(Debug)]
pub enum Content {
    /// A small one.
    Memory(Vec<u8>),
    /// A large one, in a file without a name.
    Spooled(File),
}

impl Content {
    /// Reads up to `buffer.len()` octets at `offset`.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Content::Memory(bytes) => {
                let from = bytes
                    .len()
                    .min(usize::try_from(offset).unwrap_or(usize::MAX));
                let count = buffer.len().min(bytes.len() - from);
                buffer[..count].copy_from_slice(&bytes[from..from + count]);
                Ok(count)
            }
            Content::Spooled(file) => file.read_at(buffer, offset),
        }
    }

    /// All of them.
    pub fn whole(&self) -> Vec<u8> {
        let (mut all, mut piece) = (Vec::new(), [0; 16 * 1024]);
        while let Ok(bytes @ 1..) = self.read_at(&mut piece, all.len() as u64) {
            all.extend_from_slice(&piece[..bytes]);
        }
        all
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset
            .checked_add(bytes.len() as u64)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        if let Content::Memory(memory) = self {
            if end <= MEMORY_BYTES_MAX {
                // Both are at most MEMORY_BYTES_MAX.
                let (from, end) = (offset as usize, end as usize);
                memory.resize(memory.len().max(end), 0);
                memory[from..end].copy_from_slice(bytes);
                return Ok(());
            }
            let file = nameless_file()?;
            file.write_all_at(memory, 0)?;
            *self = Content::Spooled(file);
        }
        let Content::Spooled(file) = self else {
            return Ok(());
        };
        file.write_all_at(bytes, offset)
    }
}

/// A message that is complete.
#[derive(Debug)]
pub struct Complete {
    /// Its Message-ID.
    pub id: String,
    /// Its Content-Type.
    pub content_type: String,
    /// Its octets.
    pub content: Content,
    /// How many there are.
    pub bytes: u64,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
    /// Whether the sender wants a REPORT.
    pub success_report: bool,
}

struct Message {
    content_type: String,
    content: Content,
    /// What has come: ranges of offsets, in order, none touching the next.
    ranges: Vec<(u64, u64)>,
    /// Known once the chunk with `$` is over, or from Byte-Range.
    total: Option<u64>,
    success_report: bool,
    hash: Sha256,
    hashed: u64,
}

/// The chunk under way.
struct Chunk {
    id: String,
    at: u64,
}

/// Ids of messages that were complete, so that a sender who could not know may say them again.
#[derive(Default)]
pub struct Remembered(VecDeque<String>);

impl Remembered {
    /// Whether the message is new. It is not any more.
    pub fn is_new(&mut self, id: &str) -> bool {
        if self.0.iter().any(|known| known == id) {
            return false;
        }
        if self.0.len() == REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(id.to_owned());
        true
    }
}

/// All messages of one chat that are under way.
pub struct Assembler {
    messages: HashMap<String, Message>,
    chunk: Option<Chunk>,
    message_bytes_max: u64,
    /// The file that comes, and where it is kept if it is cut off.
    file: Option<(FileOffer, Shelf)>,
}

impl Assembler {
    /// Takes messages of up to `message_bytes_max` octets.
    pub fn new(message_bytes_max: u64) -> Self {
        Assembler {
            messages: HashMap::new(),
            chunk: None,
            message_bytes_max,
            file: None,
        }
    }

    /// Takes one message that is a file, or the rest of one that was cut off.
    pub fn file(message_bytes_max: u64, file: FileOffer, shelf: Shelf) -> Self {
        let mut assembler = Assembler::new(message_bytes_max);
        assembler.file = Some((file, shelf));
        assembler
    }

    /// A chunk with a body begins. The error is the status to refuse it with.
    pub fn begin(
        &mut self,
        id: &str,
        content_type: &str,
        range: Option<ByteRange>,
        success_report: bool,
    ) -> Result<(), u16> {
        self.chunk = None;
        let total = range.and_then(|range| range.total);
        if total.is_some_and(|total| total > self.message_bytes_max) {
            self.messages.remove(id);
            return Err(413);
        }
        if !self.messages.contains_key(id) && self.messages.len() >= MESSAGES_MAX {
            return Err(413);
        }
        let offset = self.file.as_ref().map_or(0, |(file, _)| file.offset());
        let file = &self.file;
        self.messages.entry(id.to_owned()).or_insert_with(|| {
            let begun = file
                .as_ref()
                .filter(|_| offset > 0)
                .and_then(|(file, shelf)| shelf.take(file));
            let is_begun = begun.is_some();
            let (content, bytes) = begun.unwrap_or_else(|| (Content::Memory(Vec::new()), 0));
            Message {
                content_type: content_type.to_owned(),
                content,
                ranges: if is_begun {
                    vec![(0, bytes)]
                } else {
                    Vec::new()
                },
                total: None,
                success_report,
                hash: Sha256::new(),
                // Of what came earlier there is no hash: it is taken from the whole at the end.
                hashed: if is_begun { u64::MAX } else { 0 },
            }
        });
        let at = range.map_or(0, |range| range.start - 1) + offset;
        self.chunk = Some(Chunk {
            id: id.to_owned(),
            at,
        });
        Ok(())
    }

    /// A piece of the chunk's body. After a refusal the rest of the chunk is to be skipped.
    pub fn body(&mut self, bytes: &[u8]) -> Result<(), u16> {
        let Some(chunk) = &mut self.chunk else {
            return Ok(());
        };
        let Some(message) = self.messages.get_mut(&chunk.id) else {
            return Ok(());
        };
        let fits = chunk.at.checked_add(bytes.len() as u64);
        let fits = fits.is_some_and(|end| end <= self.message_bytes_max);
        if !fits || message.add(bytes, chunk.at).is_err() {
            self.messages.remove(&chunk.id);
            self.chunk = None;
            return Err(413);
        }
        chunk.at += bytes.len() as u64;
        Ok(())
    }

    /// The chunk is over. Gives the message if that completes it.
    pub fn end(&mut self, flag: Flag) -> Option<Complete> {
        let chunk = self.chunk.take()?;
        let message = self.messages.get_mut(&chunk.id)?;
        match flag {
            Flag::Last => message.total = Some(chunk.at),
            Flag::More => {}
            Flag::Aborted => {
                self.give_up(&chunk.id);
                return None;
            }
        }
        let total = message.total?;
        if !(total == 0 || message.ranges == [(0, total)]) {
            return None;
        }
        let message = self.messages.remove(&chunk.id)?;
        Some(Complete {
            id: chunk.id,
            sha256: message.hash(total),
            content_type: message.content_type,
            content: message.content,
            bytes: total,
            success_report: message.success_report,
        })
    }
}

impl Assembler {
    /// A message will not come to its end. What has come of a file is kept.
    fn give_up(&mut self, id: &str) {
        let message = self.messages.remove(id);
        if let (Some((file, shelf)), Some(message)) = (&self.file, message)
            && let Some(&(0, bytes)) = message.ranges.first()
        {
            shelf.put(file, message.content, bytes);
        }
    }
}

impl Drop for Assembler {
    fn drop(&mut self) {
        let ids: Vec<String> = self.messages.keys().cloned().collect();
        for id in ids {
            self.give_up(&id);
        }
    }
}

impl Message {
    fn add(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.content.write_at(bytes, at)?;
        if at == self.hashed {
            self.hash.update(bytes);
            self.hashed += bytes.len() as u64;
        } else if at < self.hashed {
            // Octets came again, perhaps others: the hash is taken from the whole at the end.
            self.hash = Sha256::new();
            self.hashed = u64::MAX;
        }
        self.cover(at, at + bytes.len() as u64);
        if self.ranges.len() > RANGES_MAX {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        Ok(())
    }

    fn cover(&mut self, mut from: u64, mut to: u64) {
        let first = self.ranges.partition_point(|&(_, end)| end < from);
        let mut last = first;
        while let Some(&(start, end)) = self.ranges.get(last).filter(|(start, _)| *start <= to) {
            from = from.min(start);
            to = to.max(end);
            last += 1;
        }
        self.ranges.splice(first..last, [(from, to)]);
    }

    fn hash(&self, total: u64) -> String {
        let mut hash = self.hash.clone();
        if self.hashed != total {
            hash = Sha256::new();
            let mut buffer = vec![0; 64 * 1024];
            let mut at = 0;
            while let Ok(bytes @ 1..) = self.content.read_at(&mut buffer, at) {
                hash.update(&buffer[..bytes]);
                at += bytes as u64;
            }
        }
        hexadecimal(&hash.finalize())
    }
}

/// Octets in hexadecimal.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file that is gone when nobody has it open.
pub fn nameless_file() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("causeway-handset-{}", token(12)));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, total: Option<u64>) -> Option<ByteRange> {
        Some(ByteRange {
            start,
            end: None,
            total,
        })
    }

    fn octets(complete: &Complete) -> Vec<u8> {
        let mut buffer = vec![0; complete.bytes as usize];
        let bytes = complete.content.read_at(&mut buffer, 0).unwrap();
        assert_eq!(bytes as u64, complete.bytes);
        buffer
    }

    #[test]
    fn chunks_in_any_order_make_the_message_once_the_last_gap_is_filled() {
        let whole: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
        let pieces = [
            (150_000, 200_000),
            (0, 50_000),
            (50_000, 100_000),
            (100_000, 150_000),
        ];
        let mut assembler = Assembler::new(1 << 20);
        for (index, (from, to)) in pieces.into_iter().enumerate() {
            assembler
                .begin("m", "a/b", range(from as u64 + 1, None), true)
                .unwrap();
            for piece in whole[from..to].chunks(7001) {
                assembler.body(piece).unwrap();
            }
            let flag = if to == whole.len() {
                Flag::Last
            } else {
                Flag::More
            };
            let complete = assembler.end(flag);
            assert_eq!(complete.is_some(), index == 3);
            if let Some(complete) = complete {
                assert!(matches!(complete.content, Content::Spooled(_)));
                assert_eq!(octets(&complete), whole);
                assert_eq!(complete.sha256, hexadecimal(&Sha256::digest(&whole)));
            }
        }
    }

    #[test]
    fn two_messages_may_be_under_way_at_once() {
        let mut assembler = Assembler::new(100);
        for (id, body, start, flag) in [
            ("a", b"one", 1, Flag::More),
            ("b", b"TWO", 1, Flag::More),
            ("a", b"one", 4, Flag::Last),
            ("b", b"TWO", 4, Flag::Last),
        ] {
            assembler
                .begin(id, "text/plain", range(start, Some(6)), false)
                .unwrap();
            assembler.body(body).unwrap();
            if let Some(complete) = assembler.end(flag) {
                assert_eq!(octets(&complete), body.repeat(2));
            }
        }
        assert!(assembler.messages.is_empty());
    }

    #[test]
    fn an_empty_message_is_complete_and_an_aborted_one_is_forgotten() {
        let mut assembler = Assembler::new(100);
        assembler
            .begin("a", "text/plain", range(1, Some(0)), false)
            .unwrap();
        assert_eq!(assembler.end(Flag::Last).unwrap().bytes, 0);
        assembler.begin("b", "text/plain", None, false).unwrap();
        assembler.body(b"x").unwrap();
        assert!(assembler.end(Flag::Aborted).is_none());
        assert!(assembler.messages.is_empty());
    }

    #[test]
    fn what_is_too_large_is_refused_with_413_announced_or_not() {
        let mut assembler = Assembler::new(10);
        assert_eq!(
            assembler.begin("a", "x/y", range(1, Some(11)), false),
            Err(413)
        );
        assembler.begin("b", "x/y", range(8, None), false).unwrap();
        assert_eq!(assembler.body(b"1234"), Err(413));
        assert!(assembler.end(Flag::Last).is_none());
        assembler
            .begin("c", "x/y", range(u64::MAX, None), false)
            .unwrap();
        assert_eq!(assembler.body(b"1234"), Err(413));
    }
}
