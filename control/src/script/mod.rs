//! The scripts of the packages: compiling them, running one for one message, bounding what it may use.
//!
//! A run is a pure function from a message and the stores to a list of messages to send and the
//! stores as they are then. A script gets no socket and no file; what it sends is carried
//! out by the host after the run. Not here: choosing the package of a message and reading package
//! folders (`packages`), carrying out what a run says (`gateway`).

mod criterion;
mod dryrun;
mod engine;
mod error;
mod host;
mod json;
pub mod limits;
mod message;
mod trace;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use rhai::{AST, Dynamic, Map};

pub use criterion::{Criterion, Direction, Kind};
pub use dryrun::TestCase;
pub use engine::Clock;
pub use error::{Fault, ScriptError};
pub use message::{
    Actions, Content, Inbound, JsonMap, LogLevel, LogLine, MessageState, OutSipRequest,
    OutSipResponse, OutWeb, Outbound, Outcome, Run, SessionLegs, SessionView, SipView, Stores,
    SubsessionView, Timer, WebKind, WebView,
};
pub use trace::traced;

use engine::Bounded;
use host::{Context, Shared, SipMessage};

/// The text of one script and of its test.
#[derive(Debug, Clone)]
pub struct Source {
    /// The package's name; those of the library begin with [`LIBRARY`].
    pub package: String,
    /// The name for error messages, such as `chat/chat.rhai`.
    pub file: String,
    /// The script.
    pub text: String,
    /// The package's test: name for error messages, JSON text. A package without one is not dry-run.
    pub test: Option<(String, String)>,
}

/// The name under which the library's source is given: its functions are callable from all packages. Further parts of
/// it are called `library_…`.
pub const LIBRARY: &str = "library";

/// How scripts name their constants: `Constants.NAME`.
const CONSTANTS: &str = "Constants";
/// The library's function that claims a SIP request for a package.
const RESOLVE: &str = "resolvePackageType";

/// What the scripts of a set get from outside.
pub struct Environment {
    /// What scripts read as `Constants.NAME`; overrides the `const`s of the library and of the packages.
    pub constants: JsonMap,
    /// The names of the session-configs that scripts may choose, and whether each is for browsers.
    pub session_configs: BTreeMap<String, bool>,
    /// What the time limit is measured by; scripts can't read it.
    pub clock: Clock,
}

/// A compiled set of scripts: the library and the packages. Share it by `Arc`, swap it whole.
pub struct Scripts {
    engine: Bounded,
    library: Option<Compiled>,
    packages: BTreeMap<String, Compiled>,
    session_configs: Arc<BTreeMap<String, bool>>,
}

/// One script, ready to run.
struct Compiled {
    ast: AST,
    file: String,
    /// Its functions of one parameter, with the line they are defined in.
    functions: HashMap<String, usize>,
    constants: Arc<Map>,
    /// The same without what the configuration has put in their place: a test is about the script.
    own_constants: Arc<Map>,
}

impl Scripts {
    /// Compiles all sources and runs every package's test.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place. Nothing is kept then: the caller goes on with
    /// the set it has.
    pub fn load(sources: &[Source], environment: Environment) -> Result<Scripts, ScriptError> {
        let scripts = Scripts::compile(sources, environment)?;
        for source in sources {
            for case in scripts.test(source)? {
                case.outcome?;
            }
        }
        Ok(scripts)
    }

    /// Compiles all sources.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn compile(sources: &[Source], environment: Environment) -> Result<Scripts, ScriptError> {
        check_sources(sources)?;
        let mut engine = Bounded::new(environment.clock);
        let outside = json::map_to_script(&environment.constants);
        let (library, packages): (Vec<_>, Vec<_>) = sources
            .iter()
            .partition(|source| source.package.split('_').next() == Some(LIBRARY));
        let mut scripts = Scripts {
            library: None,
            packages: BTreeMap::new(),
            engine: Bounded::idle(),
            session_configs: Arc::new(environment.session_configs),
        };
        let mut shared = Map::new();
        let mut parts = Vec::new();
        for source in library {
            let (ast, own) = engine.compile(&source.file, &source.text)?;
            engine.share(&ast, &source.file)?;
            shared.extend(own);
            parts.push((ast, source));
        }
        for (ast, source) in parts {
            let constants = overlaid(&[&shared, &outside]);
            let own_constants = overlaid(&[&outside, &shared]);
            let part = Compiled::new(ast, source, constants, own_constants)?;
            if source.package == LIBRARY {
                scripts.library = Some(part);
            }
        }
        for source in &packages {
            let (ast, own) = engine.compile(&source.file, &source.text)?;
            let constants = overlaid(&[&shared, &own, &outside]);
            let own_constants = overlaid(&[&outside, &shared, &own]);
            let compiled = Compiled::new(ast, source, constants, own_constants)?;
            scripts.packages.insert(source.package.clone(), compiled);
        }
        scripts.engine = engine;
        Ok(scripts)
    }

    /// Runs the test of a package, case by case; nothing, if it has none.
    ///
    /// # Errors
    /// The test can't be read.
    pub fn test(&self, source: &Source) -> Result<Vec<TestCase>, ScriptError> {
        match &source.test {
            Some((file, text)) => dryrun::run(self, &source.package, file, text),
            None => Ok(Vec::new()),
        }
    }

    /// Runs the function that handles the message. Takes about [`limits::RUN_MS_MAX`] at most.
    ///
    /// # Errors
    /// The script failed or went over a limit; nothing it did counts.
    pub fn run(&self, run: &Run) -> Result<Outcome, ScriptError> {
        self.run_with(run, |package| package.constants.clone())
    }

    /// The same in a test: with the scripts' own constants, but for those that the test has.
    fn run_tested(&self, run: &Run, test: &JsonMap) -> Result<Outcome, ScriptError> {
        let test = json::map_to_script(test);
        self.run_with(run, |package| overlaid(&[&package.own_constants, &test]))
    }

    fn run_with(
        &self,
        run: &Run,
        constants: impl Fn(&Compiled) -> Arc<Map>,
    ) -> Result<Outcome, ScriptError> {
        let Some(package) = self.packages.get(&run.package) else {
            return Ok(Outcome::NoCriterion);
        };
        let names = run.criterion.functions(&run.application);
        let found = names.iter().find_map(|name| {
            let line = package.functions.get(name)?;
            Some((name, *line))
        });
        let Some((function, line)) = found else {
            return Ok(Outcome::NoCriterion);
        };
        let shared = Shared::new(run, constants(package), self.session_configs.clone());
        let context = Dynamic::from(Context(shared.clone()));
        let called = self
            .engine
            .call(&package.ast, function, context.clone(), context);
        match called {
            Ok(_) => Ok(Outcome::Ran(shared.take())),
            Err(error) => Err(error.placed(&package.file, function, line)),
        }
    }

    /// The package that takes a SIP request outside of any dialog, by the library's
    /// `resolvePackageType(sipRequest)`. `None`: none does. Whether that package exists shows when it is run.
    ///
    /// # Errors
    /// As for [`Scripts::run`], and if the function returns anything but text or `()`.
    pub fn resolve_package(&self, request: &SipView) -> Result<Option<String>, ScriptError> {
        let Some(library) = &self.library else {
            return Ok(None);
        };
        let Some(line) = library.functions.get(RESOLVE) else {
            return Ok(None);
        };
        let run = Run {
            package: LIBRARY.to_string(),
            application: "default".to_string(),
            criterion: Criterion {
                direction: Direction::FromNet,
                verb: request.method.clone(),
                kind: Kind::Request,
                status: None,
            },
            message: Inbound::Sip(request.clone()),
            user: String::new(),
            unique_id: String::new(),
            session: SessionView::default(),
            subsession: None,
            now_ms: 0,
            stores: Stores::default(),
        };
        let context = Context(Shared::new(
            &run,
            library.constants.clone(),
            self.session_configs.clone(),
        ));
        let request = Dynamic::from(SipMessage::received(request));
        let result = self
            .engine
            .call(&library.ast, RESOLVE, request, Dynamic::from(context))
            .map_err(|error| error.placed(&library.file, RESOLVE, *line))?;
        if result.is_unit() {
            return Ok(None);
        }
        match result.into_string() {
            Ok(package) => Ok(Some(package).filter(|package| !package.is_empty())),
            Err(kind) => Err(ScriptError {
                fault: Fault::Runtime,
                file: library.file.clone(),
                line: *line,
                column: 0,
                function: RESOLVE.to_string(),
                message: format!("must return a package's name or (), not a {kind}"),
            }),
        }
    }

    /// All packages with the names of the functions that handle messages, sorted.
    pub fn criteria(&self) -> Vec<(String, Vec<String>)> {
        let handlers = |compiled: &Compiled| {
            let mut names: Vec<String> = compiled.functions.keys().cloned().collect();
            names.retain(|name| Criterion::is_handler(name));
            names.sort();
            names
        };
        self.packages
            .iter()
            .map(|(package, compiled)| (package.clone(), handlers(compiled)))
            .collect()
    }

    /// Whether a package has a function for this criterion.
    pub fn handles(&self, package: &str, criterion: &Criterion, application: &str) -> bool {
        let names = criterion.functions(application);
        let package = self.packages.get(package);
        package.is_some_and(|package| {
            names
                .iter()
                .any(|name| package.functions.contains_key(name))
        })
    }

    /// Whether there is a package of this name.
    pub fn has_package(&self, package: &str) -> bool {
        self.packages.contains_key(package)
    }
}

impl Compiled {
    fn new(
        ast: AST,
        source: &Source,
        constants: Arc<Map>,
        own_constants: Arc<Map>,
    ) -> Result<Compiled, ScriptError> {
        let mut functions = HashMap::new();
        for function in ast.iter_functions() {
            let line = line_of(&source.text, function.name);
            let handles = Criterion::is_handler(function.name) || function.name == RESOLVE;
            if function.params.len() == 1 {
                functions.insert(function.name.to_string(), line);
            } else if handles {
                return Err(ScriptError {
                    fault: Fault::Compile,
                    file: source.file.clone(),
                    line,
                    column: 0,
                    function: function.name.to_string(),
                    message: "a function that handles messages has one parameter".to_string(),
                });
            }
        }
        Ok(Compiled {
            ast,
            file: source.file.clone(),
            functions,
            constants,
            own_constants,
        })
    }
}

/// Later maps override earlier ones.
fn overlaid(maps: &[&Map]) -> Arc<Map> {
    let mut all = Map::new();
    for map in maps {
        all.extend((*map).clone());
    }
    Arc::new(all)
}

/// The line a function is defined in, counted from 1; 0 if it can't be told.
fn line_of(text: &str, function: &str) -> usize {
    let defines = |line: &str| {
        let line = line.trim_start();
        let line = line.strip_prefix("private ").unwrap_or(line);
        line.strip_prefix("fn ")
            .and_then(|rest| rest.trim_start().strip_prefix(function))
            .is_some_and(|rest| rest.trim_start().starts_with('('))
    };
    text.lines().position(defines).map_or(0, |at| at + 1)
}

fn check_sources(sources: &[Source]) -> Result<(), ScriptError> {
    let refuse = |source: &Source, message: String| {
        Err(ScriptError {
            fault: Fault::Source,
            file: source.file.clone(),
            line: 0,
            column: 0,
            function: String::new(),
            message,
        })
    };
    for (at, source) in sources.iter().enumerate() {
        if at > limits::PACKAGES_MAX {
            return refuse(
                source,
                format!("more than {} packages", limits::PACKAGES_MAX),
            );
        }
        if source.text.len() > limits::SOURCE_BYTES_MAX {
            let limit = limits::SOURCE_BYTES_MAX;
            return refuse(source, format!("larger than {limit} octets"));
        }
        let before = &sources[..at];
        if before.iter().any(|other| other.package == source.package) {
            let name = &source.package;
            return refuse(source, format!("the package {name} is there twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
