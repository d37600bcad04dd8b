//! The Rhai engine with everything bounded: steps, depth, sizes, time; nothing that waits, loads or evaluates text.

use std::cell::Cell;

use rhai::module_resolvers::DummyModuleResolver;
use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicBlobPackage, BasicFnPackage, BasicIteratorPackage,
    BasicMapPackage, BasicMathPackage, BasicStringPackage, BitFieldPackage, LanguageCorePackage,
    LogicPackage, MoreStringPackage, Package,
};
use rhai::{
    AST, CallFnOptions, Dynamic, Engine, EvalAltResult, Map, Module, ParseError, Position, Scope,
};

use super::error::{Fault, ScriptError};
use super::{CONSTANTS, host, json, limits};

/// Milliseconds of the CPU that the thread which asks has used, or of any clock that does not go back.
pub type Clock = Box<dyn Fn() -> u64 + Send + Sync>;

thread_local! {
    /// When the run of this thread has to be over, once the clock was looked at. A run never leaves its thread.
    static DEADLINE_MS: Cell<Option<u64>> = const { Cell::new(None) };
}

/// What ended a run, before it is known in which file that was.
pub(super) struct Failure(Box<EvalAltResult>);

/// An engine with the host's types and all bounds.
pub(super) struct Bounded {
    engine: Engine,
}

impl Bounded {
    pub(super) fn new(clock: Clock) -> Bounded {
        let mut engine = Engine::new_raw();
        register_packages(&mut engine);
        host::register(&mut engine);
        forbid(&mut engine);
        set_limits(&mut engine);
        engine.on_progress(move |operations| {
            // To ask for the time costs more than a few steps do, and most runs are over before.
            if operations % limits::OPERATIONS_PER_LOOK != 0 {
                return None;
            }
            let now = clock();
            let deadline = DEADLINE_MS.get();
            let deadline = deadline.unwrap_or(now.saturating_add(limits::RUN_MS_MAX));
            DEADLINE_MS.set(Some(deadline));
            (now > deadline)
                .then(|| Dynamic::from(format!("longer than {} ms", limits::RUN_MS_MAX)))
        });
        Bounded { engine }
    }

    /// One that has nothing to run; stands in until a set is complete.
    pub(super) fn idle() -> Bounded {
        Bounded {
            engine: Engine::new_raw(),
        }
    }

    /// Compiles a script and evaluates what stands outside of its functions; gives its constants.
    pub(super) fn compile(&self, file: &str, text: &str) -> Result<(AST, Map), ScriptError> {
        let mut scope = Scope::new();
        scope.push(CONSTANTS, ());
        let mut ast = self
            .engine
            .compile_with_scope(&scope, text)
            .map_err(|error| syntax_error(&error, file, text))?;
        ast.set_source(file);
        let mut scope = Scope::new();
        self.within_time(|engine| engine.run_ast_with_scope(&mut scope, &ast))
            .map_err(|error| Failure(error).placed(file, "", 0))?;
        let mut constants = Map::new();
        for (name, constant, value) in scope.iter() {
            if !constant {
                continue;
            }
            let value = json::from_script(&value).map_err(|why| ScriptError {
                fault: Fault::Compile,
                file: file.to_string(),
                line: 0,
                column: 0,
                function: String::new(),
                message: format!("the constant {name}: {why}"),
            })?;
            constants.insert(name.into(), json::to_script(&value));
        }
        Ok((ast, constants))
    }

    /// Makes the functions of a script callable from all others.
    pub(super) fn share(&mut self, library: &AST, file: &str) -> Result<(), ScriptError> {
        let module = self
            .within_time(|engine| Module::eval_ast_as_new(Scope::new(), library, engine))
            .map_err(|error| Failure(error).placed(file, "", 0))?;
        self.engine.register_global_module(module.into());
        Ok(())
    }

    /// Calls a function of one parameter. `run` is what `Constants` and `print` refer to.
    pub(super) fn call(
        &self,
        ast: &AST,
        function: &str,
        argument: Dynamic,
        run: Dynamic,
    ) -> Result<Dynamic, Failure> {
        let options = CallFnOptions::new().eval_ast(false).with_tag(run);
        self.within_time(|engine| {
            let mut scope = Scope::new();
            engine.call_fn_with_options::<Dynamic>(options, &mut scope, ast, function, (argument,))
        })
        .or_else(|error| match *error {
            // `exit()` ends a run, it is no failure.
            EvalAltResult::Exit(value, _) => Ok(value),
            _ => Err(Failure(error)),
        })
    }

    fn within_time<T>(&self, work: impl FnOnce(&Engine) -> T) -> T {
        DEADLINE_MS.set(None);
        work(&self.engine)
    }
}

fn register_packages(engine: &mut Engine) {
    // All but the clock.
    LanguageCorePackage::new().register_into_engine(engine);
    ArithmeticPackage::new().register_into_engine(engine);
    BasicStringPackage::new().register_into_engine(engine);
    BasicIteratorPackage::new().register_into_engine(engine);
    BasicFnPackage::new().register_into_engine(engine);
    BitFieldPackage::new().register_into_engine(engine);
    LogicPackage::new().register_into_engine(engine);
    BasicMathPackage::new().register_into_engine(engine);
    BasicArrayPackage::new().register_into_engine(engine);
    BasicBlobPackage::new().register_into_engine(engine);
    BasicMapPackage::new().register_into_engine(engine);
    MoreStringPackage::new().register_into_engine(engine);
}

fn forbid(engine: &mut Engine) {
    engine.set_module_resolver(DummyModuleResolver::new());
    engine.disable_symbol("eval");
    engine.disable_symbol("import");
    // A run keeps a thread; nothing in it may wait.
    let waits = || -> Result<(), Box<EvalAltResult>> { Err("a script can't wait".into()) };
    engine.register_fn("sleep", move |_: rhai::INT| waits());
    engine.register_fn("sleep", move |_: rhai::FLOAT| waits());
}

fn set_limits(engine: &mut Engine) {
    engine
        .set_strict_variables(true)
        .set_max_operations(limits::OPERATIONS_MAX)
        .set_max_call_levels(limits::CALL_LEVELS_MAX)
        .set_max_expr_depths(limits::EXPRESSION_DEPTH_MAX, limits::EXPRESSION_DEPTH_MAX)
        .set_max_variables(limits::VARIABLES_MAX)
        .set_max_functions(limits::FUNCTIONS_MAX)
        .set_max_modules(0)
        .set_max_string_size(limits::STRING_BYTES_MAX)
        .set_max_array_size(limits::ARRAY_MAX)
        .set_max_map_size(limits::MAP_MAX);
}

fn syntax_error(error: &ParseError, file: &str, text: &str) -> ScriptError {
    let (line, column) = place(error.position());
    let mut message = error.err_type().to_string();
    if let rhai::ParseErrorType::VariableUndefined(name) = error.err_type() {
        let constant = format!("const {name} ");
        if text
            .lines()
            .any(|line| line.trim_start().starts_with(&constant))
        {
            message.push_str(&format!(" (inside a function it is {CONSTANTS}.{name})"));
        }
    }
    ScriptError {
        fault: Fault::Compile,
        file: file.to_string(),
        line,
        column,
        function: String::new(),
        message,
    }
}

impl Failure {
    /// Names the innermost function and the place in it. A limit has no place of its own: it is put to the
    /// function that was called, defined in `line` of `file`.
    pub(super) fn placed(self, file: &str, function: &str, line: usize) -> ScriptError {
        let mut error = self.0;
        let mut inner = function.to_string();
        let mut source = file.to_string();
        let mut position = Position::NONE;
        loop {
            match *error {
                EvalAltResult::ErrorInFunctionCall(name, from, cause, _) => {
                    inner = name;
                    if !from.is_empty() {
                        source = from;
                    }
                    error = cause;
                }
                mut other => {
                    let own = other.take_position();
                    if !own.is_none() {
                        position = own;
                    }
                    let fault = fault_of(&other);
                    if fault == Fault::Limit {
                        inner = function.to_string();
                        source = file.to_string();
                        position = Position::NONE;
                    }
                    let (mut at, column) = place(position);
                    if at == 0 && inner == function {
                        at = line;
                    }
                    return ScriptError {
                        fault,
                        file: source,
                        line: at,
                        column,
                        function: inner,
                        message: message(&other),
                    };
                }
            }
        }
    }
}

fn message(error: &EvalAltResult) -> String {
    match error {
        EvalAltResult::ErrorTerminated(why, _) => why.to_string(),
        _ => error.to_string(),
    }
}

fn fault_of(error: &EvalAltResult) -> Fault {
    match error {
        EvalAltResult::ErrorTooManyOperations(_)
        | EvalAltResult::ErrorTooManyVariables(_)
        | EvalAltResult::ErrorTooManyModules(_)
        | EvalAltResult::ErrorStackOverflow(_)
        | EvalAltResult::ErrorDataTooLarge(..)
        | EvalAltResult::ErrorTerminated(..) => Fault::Limit,
        EvalAltResult::ErrorParsing(..) => Fault::Compile,
        _ => Fault::Runtime,
    }
}

/// Line and column, 0 where there is none.
fn place(position: Position) -> (usize, usize) {
    let line = position.line().unwrap_or(0);
    (line, position.position().unwrap_or(0))
}
