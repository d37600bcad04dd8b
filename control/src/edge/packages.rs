//! Reading an operator's folder of packages, at the start and whenever it has changed.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::fresh::{About, Fresh, about};
use super::inputs::Input;
use crate::gateway::{LoadError, load_scripts, sources};
use crate::packages::FOLDER_DEPTH;
use crate::script::{Scripts, Source};

/// Largest file that is read, in bytes. The scripts' own limit is lower.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Files at most.
const FILES_MAX: usize = 1000;

/// Where packages are, and what they are given.
#[derive(Clone, Debug)]
pub struct Packages {
    /// The operator's folder, if there is one.
    pub folder: Option<PathBuf>,
    /// What scripts read as `Constants.NAME`.
    pub constants: BTreeMap<String, String>,
    /// The session-configs that scripts may choose, and whether each is for browsers.
    pub session_configs: BTreeMap<String, bool>,
}

/// Why no set of scripts could be made.
#[derive(Debug)]
pub enum Unsound {
    /// The operator's packages can't be read.
    Unreadable(io::Error),
    /// The packages are not sound.
    Scripts(LoadError),
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsound::Unreadable(error) => write!(f, "packages.folder: {error}"),
            Unsound::Scripts(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unsound {}

impl Packages {
    /// Reads all packages, those that ship included.
    ///
    /// # Errors
    /// What cannot be read, or cannot be where it is.
    pub fn sources(&self) -> Result<Vec<Source>, Unsound> {
        let files = match &self.folder {
            Some(folder) => read(folder).map_err(Unsound::Unreadable)?,
            None => Vec::new(),
        };
        sources(&files).map_err(Unsound::Scripts)
    }

    /// Reads and compiles all packages, and runs their tests.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn load(&self) -> Result<Scripts, Unsound> {
        let (constants, clock) = (self.constants(), clock());
        let session_configs = self.session_configs.clone();
        load_scripts(&self.sources()?, constants, session_configs, clock).map_err(Unsound::Scripts)
    }

    /// Compiles the packages, and does not run their tests.
    ///
    /// # Errors
    /// As [`Packages::load`].
    pub fn compile(&self, sources: &[Source]) -> Result<Scripts, Unsound> {
        let environment = crate::script::Environment {
            constants: self.constants(),
            session_configs: self.session_configs.clone(),
            clock: clock(),
        };
        let compiled = Scripts::compile(sources, environment);
        compiled.map_err(|error| Unsound::Scripts(LoadError::Script(error)))
    }

    fn constants(&self) -> crate::script::JsonMap {
        let own = |(name, value): (&String, &String)| (name.clone(), value.clone().into());
        self.constants.iter().map(own).collect()
    }
}

/// The CPU time of the thread that asks: a run is not late because the machine had no time for it.
fn clock() -> crate::script::Clock {
    Box::new(|| {
        let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        // Neither is negative.
        spent.tv_sec as u64 * 1000 + spent.tv_nsec as u64 / 1_000_000
    })
}

/// Who wants the packages read anew is told what came of it.
pub type Ask = oneshot::Sender<Result<(), String>>;

/// Reads the packages anew at SIGHUP, when asked, and when the operator's folder has changed. Sound ones
/// are put in use with the next message; of others a line is logged, and those in use stay. `used` is what
/// the folder looked like before the packages in use were read.
pub async fn keep_fresh(
    packages: Packages,
    used: Look,
    gateway: mpsc::Sender<Input>,
    mut asked: mpsc::Receiver<Ask>,
) {
    let mut fresh = Fresh::new(used);
    loop {
        let look = || look(packages.folder.clone());
        let asker = tokio::select! {
            () = fresh.stale(look) => None,
            Some(ask) = asked.recv() => Some(ask),
        };
        fresh.taken();
        let own = packages.clone();
        let loaded = tokio::task::spawn_blocking(move || own.load()).await;
        let loaded = match loaded {
            Ok(loaded) => loaded.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let (input, outcome) = match loaded {
            Ok(scripts) => {
                tracing::info!("packages were read anew");
                (Input::Scripts(Some(Arc::new(scripts))), Ok(()))
            }
            Err(sentence) => {
                tracing::error!("packages stay as they are: {sentence}");
                (Input::Scripts(None), Err(sentence))
            }
        };
        if gateway.send(input).await.is_err() {
            return;
        }
        if let Some(asker) = asker {
            // Whoever asked may have gone.
            let _ = asker.send(outcome);
        }
    }
}

/// Of each file its path and what can be seen of it.
pub type Look = Vec<(PathBuf, About)>;

/// What can be seen of the folder from outside; nothing of what cannot be read.
pub async fn look(folder: Option<PathBuf>) -> Look {
    let Some(folder) = folder else {
        return Look::new();
    };
    let looked = tokio::task::spawn_blocking(move || {
        let mut look = Look::new();
        look_into(&folder, FOLDER_DEPTH, &mut look);
        look.sort();
        look
    });
    looked.await.unwrap_or_default()
}

fn look_into(folder: &Path, depth: usize, look: &mut Look) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten().take(FILES_MAX) {
        let path = entry.path();
        let Ok(metadata) = std::fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() && depth > 1 {
            look_into(&path, depth - 1, look);
        } else if metadata.is_file() && look.len() < FILES_MAX {
            look.push((path, about(&metadata)));
        }
    }
}

/// All texts of the folder: path relative to it, with `/`, and content. In order of their names.
///
/// # Errors
/// What could not be read, with its path.
fn read(folder: &Path) -> io::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    walk(folder, "", FOLDER_DEPTH, &mut files)?;
    files.sort();
    Ok(files)
}

fn walk(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut Vec<(String, String)>,
) -> io::Result<()> {
    let named = |error: io::Error, path: &Path| {
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    for entry in std::fs::read_dir(folder).map_err(|error| named(error, folder))? {
        let path = entry.map_err(|error| named(error, folder))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let relative = format!("{prefix}{name}");
        let about = std::fs::metadata(&path).map_err(|error| named(error, &path))?;
        if about.is_dir() {
            if depth > 1 {
                walk(&path, &format!("{relative}/"), depth - 1, files)?;
            }
            continue;
        }
        let is_text = [".rhai", ".json"].iter().any(|end| name.ends_with(end));
        if !is_text {
            continue;
        }
        if about.len() > FILE_BYTES_MAX || files.len() >= FILES_MAX {
            let text = format!("{}: too large, or one file too many", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| named(error, &path))?;
        files.push((relative, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_and_tests_are_read_and_nothing_else() {
        let folder = std::env::temp_dir().join(format!("causeway-packages-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("chat/deeper")).unwrap();
        for (path, text) in [
            ("chat/chat.rhai", "1"),
            ("chat/test.json", "2"),
            ("chat/notes.txt", "3"),
            ("chat/deeper/x.rhai", "4"),
            ("library.rhai", "5"),
        ] {
            std::fs::write(folder.join(path), text).unwrap();
        }
        let files = read(&folder);
        std::fs::remove_dir_all(&folder).unwrap();
        let own = |path: &str, text: &str| (path.to_owned(), text.to_owned());
        let expected = [
            own("chat/chat.rhai", "1"),
            own("chat/test.json", "2"),
            own("library.rhai", "5"),
        ];
        assert_eq!(files.unwrap(), expected);
        assert!(
            read(&folder)
                .unwrap_err()
                .to_string()
                .contains("causeway-packages")
        );
    }
}
