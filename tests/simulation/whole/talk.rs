//! What is to happen between two of a world's users, and what may have come between.

/// What the one who is called does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Accept,
    Decline,
    Ignore,
}

/// What marks an offer as a file's.
pub const FILE: &str = "a=file-selector:name:\"beach.jpg\" type:image/jpeg size:3000\r\n\
                        a=file-transfer-id:Kq3vT9wLm2ZxB7nD4sHf6JcR8pYg1AeU\r\n";

/// A chat or a file, planned.
pub struct Talk {
    pub package: &'static str,
    pub page_user: String,
    pub handset: usize,
    pub answer: Answer,
    pub answer_ms: u64,
    /// Who calls changes their mind.
    pub cancel_ms: Option<u64>,
    /// How long it lasts.
    pub talk_ms: u64,
    pub page_hangs_up: bool,
    /// Who hangs up waits until all is said.
    pub polite: bool,
    /// How many messages the page and the handset have.
    pub messages: [usize; 2],
    /// Why it may end by now, if it may.
    pub excuse: Option<&'static str>,
    /// Its media were not left alone: a message may have failed.
    pub disturbed: bool,
    /// The page knows that it is open, and control has put that away.
    pub firm: bool,
    /// Control has died since it was open.
    pub outlived: bool,
    /// Everything said was heard, and looked at.
    pub checked: bool,
    pub patience: u32,
}

impl Talk {
    pub fn is_file(&self) -> bool {
        self.package == "file_transfer"
    }
}
