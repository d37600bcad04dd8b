//! What figures depend on: machine, kernel, versions, and what else went on meanwhile.

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// The kernel counts a core's time in hundredths of a second.
const TICKS_A_SECOND: f64 = 100.0;
/// Cores that others may use before figures are in doubt.
const OTHERS_MAX: f64 = 0.05;
/// Cores that the host may withhold before figures are in doubt.
const STOLEN_MAX: f64 = 0.01;

/// Where and with what something ran.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// When it began, UTC.
    pub at: String,
    /// The processor.
    pub processor: String,
    /// Its cores.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel's version.
    pub kernel: String,
    /// The commit of the checkout it was started in; `-dirty` with changes that are not committed,
    /// but for what a comparison itself writes.
    pub commit: String,
    /// The command line, without the folder of the program.
    pub command: String,
    /// What this program is.
    pub bench: String,
    /// What Causeway's relay says it is.
    pub causeway: Option<String>,
    /// What HAProxy says it is, if it is installed.
    pub haproxy: Option<String>,
    /// What Kamailio says it is, if it is installed.
    pub kamailio: Option<String>,
    /// Processes that were ready to run, over one, five and fifteen minutes, at the begin.
    pub load_before: String,
    /// The same at the end.
    pub load_after: String,
    /// What ran meanwhile.
    pub meanwhile: Meanwhile,
}

/// Who used the machine's cores while something was measured. Each figure is a mean, in cores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Meanwhile {
    /// Seconds it took.
    pub seconds: f64,
    /// This program and what it had started.
    pub own: f64,
    /// Everything else, the kernel's own threads among it.
    pub others: f64,
    /// Withheld by the host of a virtual machine.
    pub stolen: f64,
}

/// Times so far, in ticks.
#[derive(Debug, Clone, Copy, Default)]
struct Ticks {
    busy: u64,
    stolen: u64,
    own: u64,
}

/// The begin of what [`Meanwhile`] tells.
#[derive(Debug)]
pub struct Watch {
    since: Instant,
    before: Ticks,
}

impl Machine {
    /// As it is now.
    pub fn look(cores: usize, relay: &Path) -> Machine {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let kib = after(&memory, "MemTotal:").and_then(|text| text.split(' ').next());
        let load = load_average();
        Machine {
            at: said("date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]).unwrap_or_default(),
            processor: after(&processors, "model name")
                .and_then(|text| text.split_once(':'))
                .map_or("", |(_, name)| name.trim())
                .to_owned(),
            cores,
            memory_mib: kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024,
            kernel: kernel.trim().to_owned(),
            commit: commit(".").unwrap_or_default(),
            command: command_line(std::env::args()),
            bench: concat!("causeway-bench ", env!("CARGO_PKG_VERSION")).to_owned(),
            causeway: said(relay, &["--version"]),
            haproxy: said("haproxy", &["-v"]),
            kamailio: said("kamailio", &["-v"]),
            load_before: load.clone(),
            load_after: load,
            meanwhile: Meanwhile::default(),
        }
    }

    /// What is measured is over.
    pub fn finish(&mut self, watch: &Watch) {
        self.load_after = load_average();
        self.meanwhile = watch.meanwhile();
    }

    /// Why the figures are in doubt.
    pub fn doubts(&self) -> Vec<String> {
        let Meanwhile { others, stolen, .. } = self.meanwhile;
        let mut doubts = Vec::new();
        if others > OTHERS_MAX {
            doubts.push(format!(
                "others used {others:.2} of the machine's {} cores meanwhile: trust ratios more \
                 than figures, and repeat it on a quiet machine",
                self.cores
            ));
        }
        if stolen > STOLEN_MAX {
            doubts.push(format!(
                "the host withheld {stolen:.2} cores meanwhile: trust ratios more than figures"
            ));
        }
        doubts
    }
}

impl Watch {
    /// From now on.
    pub fn start() -> Watch {
        Watch {
            since: Instant::now(),
            before: Ticks::now(),
        }
    }

    /// Until now. What this program has started counts once it has ended and was waited for.
    pub fn meanwhile(&self) -> Meanwhile {
        let (now, before) = (Ticks::now(), self.before);
        let seconds = self.since.elapsed().as_secs_f64();
        let cores = |now: u64, before: u64| {
            now.saturating_sub(before) as f64 / TICKS_A_SECOND / seconds.max(0.01)
        };
        let own = cores(now.own, before.own);
        Meanwhile {
            seconds,
            own,
            others: (cores(now.busy, before.busy) - own).max(0.0),
            stolen: cores(now.stolen, before.stolen),
        }
    }
}

impl Ticks {
    fn now() -> Ticks {
        let all = fs::read_to_string("/proc/stat").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let (busy, stolen) = all.lines().next().and_then(machine_ticks).unwrap_or((0, 0));
        let own = own_ticks(&own).unwrap_or(0);
        Ticks { busy, stolen, own }
    }
}

/// From the first line of `/proc/stat`: what ran, and what the host withheld.
fn machine_ticks(line: &str) -> Option<(u64, u64)> {
    let words = line.strip_prefix("cpu ")?.split_whitespace();
    let ticks: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
    let [
        user,
        nice,
        system,
        _idle,
        _waiting,
        interrupts,
        soft,
        stolen,
        ..,
    ] = ticks[..]
    else {
        return None;
    };
    Some((user + nice + system + interrupts + soft, stolen))
}

/// From `/proc/self/stat`: user and system time of this process and of children that have ended.
fn own_ticks(stat: &str) -> Option<u64> {
    let words = stat.rsplit_once(") ")?.1.split(' ').skip(11).take(4);
    let ticks: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
    (ticks.len() == 4).then(|| ticks.iter().sum())
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}; {}, {} cores, {:.1} GiB, Linux {}; commit {}",
            self.at,
            self.processor,
            self.cores,
            self.memory_mib as f64 / 1024.0,
            self.kernel,
            self.commit
        )?;
        writeln!(f, "{}", self.command)?;
        let others = self.haproxy.iter().chain(&self.kamailio);
        let versions: Vec<&str> = self
            .causeway
            .iter()
            .chain(others)
            .map(|text| text.trim())
            .collect();
        writeln!(f, "{}", versions.join("; "))?;
        let Meanwhile {
            seconds,
            own,
            others,
            stolen,
        } = self.meanwhile;
        writeln!(
            f,
            "{seconds:.0} s, cores used: {own:.2} by this, {others:.2} by others, {stolen:.2} \
             withheld by the host; load average {} before, {} after",
            self.load_before, self.load_after
        )?;
        self.doubts()
            .iter()
            .try_for_each(|doubt| writeln!(f, "WARNING: {doubt}"))
    }
}

/// The rest of the first line that begins so.
fn after<'a>(text: &'a str, begin: &str) -> Option<&'a str> {
    text.lines()
        .find_map(|line| line.strip_prefix(begin))
        .map(str::trim)
}

/// How many processes were ready to run, over one, five and fifteen minutes.
fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The first line a program says; `None` when there is no such program.
fn said(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().next().map(|line| line.trim().to_owned())
}

/// The commit of the checkout in a folder.
fn commit(folder: &str) -> Option<String> {
    let git = |words: &[&str]| said("git", &[&["-C", folder], words].concat());
    let at = git(&["rev-parse", "--short", "HEAD"])?;
    let written = [":(top,exclude)bench/results", ":(top,exclude)README.md"];
    let look = ["status", "--porcelain", "--untracked-files=no", "--", ":/"];
    let is_dirty = git(&[&look[..], &written].concat()).is_some();
    Some(if is_dirty { at + "-dirty" } else { at })
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
    fn what_a_comparison_writes_does_not_make_the_commit_dirty() {
        let folder = std::env::temp_dir().join(format!("commit-{}", std::process::id()));
        let write = |file: &str, text| {
            let file = folder.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let path = folder.to_str().unwrap();
        let git = |words: &[&str]| {
            let who = ["-c", "user.name=x", "-c", "user.email=x"];
            let words = [&["-C", path], &who[..], words].concat();
            assert!(
                Command::new("git")
                    .args(words)
                    .output()
                    .unwrap()
                    .status
                    .success()
            );
        };
        for file in [
            "README.md",
            "bench/results/compare.txt",
            "bench/src/main.rs",
        ] {
            write(file, "one");
        }
        assert_eq!(commit(path), None);
        git(&["init", "-q"]);
        git(&["add", "-A"]);
        git(&["commit", "-qm", "all"]);
        let clean = commit(path).unwrap();
        assert!(!clean.is_empty() && !clean.contains("dirty"), "{clean}");
        write("README.md", "two");
        write("bench/results/compare.txt", "two");
        write("bench/results/compare.svg", "new");
        assert_eq!(commit(path).unwrap(), clean);
        write("bench/src/main.rs", "two");
        assert_eq!(commit(path).unwrap(), clean + "-dirty");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_command_is_told_without_folders() {
        let words = ["/a/b/causeway-bench", "compare", "--json", "/c/x.json"];
        let told = command_line(words.into_iter().map(str::to_owned));
        assert_eq!(told, "causeway-bench compare --json x.json");
    }

    #[test]
    fn the_kernels_ticks_are_told_apart() {
        let line = "cpu  10 1 5 100 20 2 3 4 9 9";
        assert_eq!(machine_ticks(line), Some((21, 4)));
        assert_eq!(machine_ticks("cpu0 1 2 3"), None);
        let stat = "17 (a) b) S 4 17 0 0 0 0 1 2 3 4 10 20 30 40 5 6";
        assert_eq!(own_ticks(stat), Some(100));
        assert_eq!(own_ticks("17 (a) S 4"), None);
    }

    #[test]
    fn what_others_used_and_what_the_host_withheld_is_a_doubt() {
        let mut machine = Machine::default();
        assert!(machine.doubts().is_empty());
        machine.meanwhile.others = 0.3;
        machine.meanwhile.stolen = 0.2;
        assert_eq!(machine.doubts().len(), 2);
        assert!(machine.to_string().contains("WARNING: others used 0.30"));
    }

    #[test]
    fn what_is_not_known_of_a_former_run_is_left_empty() {
        let machine: Machine = serde_json::from_str(r#"{"kernel": "6.18", "x": 1}"#).unwrap();
        assert_eq!((&machine.kernel[..], machine.cores), ("6.18", 0));
    }
}
