//! Files that members of a group send: the focus takes each, and offers it to all others who are there.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Instant;

use super::agent::Agent;
use super::calls::{Besides, Invitation};
use super::console::ChatNumber;
use super::files::{FileOffer, Sending};
use super::incoming::nameless_file;
use super::sip::{Uri, token};

/// Files that are kept for those who get them.
const FILES_MAX: usize = 16;

/// The files of all groups.
#[derive(Default)]
pub struct GroupFiles {
    /// Those that are coming, by the calls that bring them: the group, who sends, and what is said of it.
    coming: HashMap<ChatNumber, (u32, String, FileOffer)>,
    /// Those that are there, oldest first.
    kept: VecDeque<File>,
}

impl Agent {
    /// A member sends a file for a group.
    pub(super) fn file_comes(
        &mut self,
        group: u32,
        chat: ChatNumber,
        from: &str,
        file: &FileOffer,
    ) {
        if let Some(focus) = &mut self.focus {
            let coming = (group, from.to_owned(), file.clone());
            focus.files.coming.insert(chat, coming);
        }
    }

    /// What came is the file of a call: it goes to all others of the group. Whether it was.
    pub(super) fn pass_file(&mut self, chat: ChatNumber, content: &[u8], now: Instant) -> bool {
        let Some(focus) = &mut self.focus else {
            return false;
        };
        let Some((group, from, offer)) = focus.files.coming.remove(&chat) else {
            return false;
        };
        let Some((names, contribution)) = focus.others(group, &from) else {
            return true;
        };
        let written = nameless_file().and_then(|file| file.write_all_at(content, 0).map(|()| file));
        let path = match written {
            Ok(file) => {
                // It has no name: it is opened again by its number.
                let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
                focus.files.kept.push_back(file);
                if focus.files.kept.len() > FILES_MAX {
                    focus.files.kept.pop_front();
                }
                path
            }
            Err(error) => {
                self.problem(format!("a file can't be kept: {error}"));
                return true;
            }
        };
        let uri = self.group_uri(group);
        let invitation = Invitation {
            from: uri.clone(),
            contact: format!("<{uri}>;isfocus"),
            inviter: format!("<sip:{from}>"),
            subject: None,
            contribution,
            others: Vec::new(),
        };
        for to in names
            .iter()
            .filter_map(|name| Uri::parse(&format!("sip:{name}")))
        {
            let offer = FileOffer {
                id: token(16),
                icon: None,
                ..offer.clone()
            };
            let sending = Sending::described(&to, path.clone(), offer.clone());
            let besides = Some(Besides::Group(&invitation));
            self.invite(&to, Some(offer), Some(sending), besides, now);
        }
        true
    }

    /// A call is over: what it should have brought does not come.
    pub(super) fn file_is_over(&mut self, chat: ChatNumber) {
        if let Some(focus) = &mut self.focus {
            focus.files.coming.remove(&chat);
        }
    }
}
