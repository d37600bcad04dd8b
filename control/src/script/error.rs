//! What can be wrong with a script, and where.

use std::fmt;

/// Why a script was refused or a run ended early. Printed as `file:line:column: message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptError {
    /// What kind of trouble it is.
    pub fault: Fault,
    /// The source's name, such as `chat/chat.rhai`.
    pub file: String,
    /// Counted from 1; 0 if there is no place to name.
    pub line: usize,
    /// Counted from 1; 0 if there is no place to name.
    pub column: usize,
    /// The function that was running, empty outside of any.
    pub function: String,
    /// What is wrong, in one sentence.
    pub message: String,
}

/// Whose fault a [`ScriptError`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The set of sources itself: a name used twice, a file too large, no library.
    Source,
    /// The text is not a script, or its package's test is not readable.
    Compile,
    /// The script asked for something that can't be done.
    Runtime,
    /// The script used up its operations, its time or its memory.
    Limit,
    /// The script runs, but its package's test expected something else.
    Test,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
            if self.column > 0 {
                write!(f, ":{}", self.column)?;
            }
        }
        if !self.function.is_empty() {
            write!(f, ": in {}", self.function)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for ScriptError {}
