//! What the numbers depend on: machine, kernel, versions, and what else went on meanwhile.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use super::forwarders::{HAPROXY, KAMAILIO};

/// Where and with what a comparison ran.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// When it began, UTC.
    pub at: String,
    /// The processor.
    pub processor: String,
    /// Its cores.
    pub cores: usize,
    /// The kernel's version.
    pub kernel: String,
    /// The commit of the checkout it was started in; `-dirty` with changes that are not committed.
    pub commit: String,
    /// The command line, without the folder of the program.
    pub command: String,
    /// What Causeway's relay says it is.
    pub causeway: String,
    /// What HAProxy says it is, if it is installed.
    pub haproxy: Option<String>,
    /// What Kamailio says it is, if it is installed.
    pub kamailio: Option<String>,
    /// Processes that were ready to run, over one, five and fifteen minutes, before the first turn.
    pub load_before: String,
    /// The same after the last turn.
    pub load_after: String,
}

impl Machine {
    /// As it is now.
    pub fn look(cores: usize, relay: &Path) -> Machine {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let named = |line: &str| {
            Some(
                line.strip_prefix("model name")?
                    .split_once(':')?
                    .1
                    .to_owned(),
            )
        };
        let processor = processors.lines().find_map(named).unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let load = load_average();
        Machine {
            at: said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]).unwrap_or_default(),
            processor: processor.trim().to_owned(),
            cores,
            kernel: kernel.trim().to_owned(),
            commit: said("git", &["describe", "--always", "--dirty"]).unwrap_or_default(),
            command: command_line(std::env::args()),
            causeway: said(relay, &["--version"]).unwrap_or_default(),
            haproxy: said(HAPROXY, &["-v"]),
            kamailio: said(KAMAILIO, &["-v"]),
            load_before: load.clone(),
            load_after: load,
        }
    }
}

/// How many processes were ready to run, over one, five and fifteen minutes.
pub fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The first line a program says; `None` when there is no such program.
fn said(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(str::to_owned)
}

/// Folders say more about whose machine it is than about what was run.
fn command_line(words: impl Iterator<Item = String>) -> String {
    let name = |word: String| word.rsplit('/').next().unwrap_or_default().to_owned();
    words.map(name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_says_nothing() {
        assert_eq!(said("/nowhere/haproxy", &["-v"]), None);
        assert_eq!(said("echo", &["one two"]), Some("one two".to_owned()));
    }

    #[test]
    fn the_command_is_told_without_folders() {
        let words = ["/a/b/causeway-bench", "compare", "--json", "/c/x.json"];
        let told = command_line(words.into_iter().map(str::to_owned));
        assert_eq!(told, "causeway-bench compare --json x.json");
    }
}
