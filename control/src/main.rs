//! `causeway`: the signalling process and the operator's command line.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use control::config::Config;
use control::edge::{self, Server, dev};
use tokio::signal::unix::{SignalKind, signal};

/// Joins web browsers to RCS handsets.
#[derive(Parser)]
#[command(name = "causeway", version)]
struct Program {
    #[command(subcommand)]
    job: Job,
}

#[derive(Subcommand)]
enum Job {
    /// Serve, as a configuration file says.
    Run(ConfigFile),
    /// Say what a configuration file means, or what is wrong with it.
    Check(ConfigFile),
    /// The packages' scripts: check, test, reload, trace.
    #[command(subcommand)]
    Script(ScriptJob),
    /// The whole system on this machine: relay, control, demo page and two simulated handsets.
    Dev(Dev),
    /// Become a program that ends when its parent does.
    #[command(hide = true)]
    Leash {
        /// The process that must live.
        parent: i32,
        /// The program.
        program: PathBuf,
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

#[derive(Subcommand)]
enum ScriptJob {
    /// Compile all packages and list their criteria.
    Check(ConfigFile),
    /// Run the packages' tests, and say of each case what became of it.
    Test {
        #[command(flatten)]
        file: ConfigFile,
        /// Only this package's
        package: Option<String>,
    },
    /// Have a control that runs read its packages anew.
    Reload(ConfigFile),
    /// Show what scripts do in a control that runs: a line for each message, as a case for test.json.
    /// The lines hold what users write.
    Trace {
        #[command(flatten)]
        file: ConfigFile,
        /// Only messages of this user, such as alice@example.com
        #[arg(long)]
        user: Option<String>,
    },
}

#[derive(Args)]
struct ConfigFile {
    /// The configuration, in TOML.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

#[derive(Args)]
struct Dev {
    /// Where to serve the demo page; port 0 takes any that is free.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    http: SocketAddr,
    /// Where to serve SIP, UDP and TCP; port 0 takes any that is free.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:5060")]
    sip: SocketAddr,
    /// The relay's ports.
    #[arg(long, value_name = "FIRST-LAST", default_value = "20000-24999")]
    media_ports: String,
    /// Without bob and carol.
    #[arg(long)]
    no_handsets: bool,
    /// Serve SDK and demo page from this folder, such as control/sdk, instead of from the program.
    #[arg(long, value_name = "FOLDER")]
    sdk_folder: Option<PathBuf>,
}

/// Nearly everything is allocated by the gateway's task, which moves between threads, and freed by others; in pieces of a
/// few kilobytes, which glibc's allocator looks for in long lists.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let program = Program::parse();
    let quiet = matches!(program.job, Job::Dev(_));
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new(if quiet { "warn" } else { "info" })
    });
    tracing_subscriber::fmt()
        .with_ansi(std::io::stderr().is_terminal())
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let done = match program.job {
        Job::Run(file) => run(&file.config),
        Job::Check(file) => check(&file.config),
        Job::Script(job) => script(job),
        Job::Dev(dev) => develop(dev),
        Job::Leash {
            parent,
            program,
            arguments,
        } => {
            let error = dev::leash(parent, &program, &arguments);
            Err(format!("{}: {error}", program.display()))
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("causeway: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run(file: &Path) -> Result<(), String> {
    let config = read(file)?;
    runtime()?.block_on(async {
        let mut server = Server::start(&config).await.map_err(|error| error.to_string())?;
        tracing::info!(http = %server.http, sip = %server.sip, domain = config.domain, "serving");
        let result = tokio::select! {
            () = server.failed() => Err("a part of control failed; the lines above say why".to_owned()),
            () = asked_to_end() => Ok(()),
        };
        tracing::info!("ending");
        server.stop().await;
        result
    })
}

fn check(file: &Path) -> Result<(), String> {
    let config = read(file)?;
    let packages = edge::packages_of(&config);
    let scripts = packages.load().map_err(|error| error.to_string())?;
    edge::open_doors(&config).map_err(|error| error.to_string())?;
    print!("{config}");
    for (package, criteria) in scripts.criteria() {
        println!(
            "package              {package}: {} criteria",
            criteria.len()
        );
    }
    Ok(())
}

fn script(job: ScriptJob) -> Result<(), String> {
    match job {
        ScriptJob::Check(file) => {
            let packages = edge::packages_of(&read(&file.config)?);
            let compiled = packages
                .sources()
                .and_then(|sources| packages.compile(&sources));
            for (package, criteria) in compiled.map_err(|error| error.to_string())?.criteria() {
                println!("{package}");
                for criterion in criteria {
                    println!("    {criterion}");
                }
            }
            Ok(())
        }
        ScriptJob::Test { file, package } => test(&read(&file.config)?, package.as_deref()),
        ScriptJob::Reload(file) => ask(&read(&file.config)?, "POST", "/scripts/reload"),
        ScriptJob::Trace { file, user } => {
            let user = user.map(|user| format!("?user={}", user.replace('+', "%2B")));
            let target = format!("/scripts/trace{}", user.unwrap_or_default());
            ask(&read(&file.config)?, "GET", &target)
        }
    }
}

fn test(config: &Config, wanted: Option<&str>) -> Result<(), String> {
    let packages = edge::packages_of(config);
    let sources = packages.sources().map_err(|error| error.to_string())?;
    let scripts = packages
        .compile(&sources)
        .map_err(|error| error.to_string())?;
    let is_wanted = |name: &str| wanted.is_none_or(|wanted| wanted == name);
    let (mut passed, mut failed) = (0, 0);
    for source in sources.iter().filter(|source| is_wanted(&source.package)) {
        for case in scripts.test(source).map_err(|error| error.to_string())? {
            match case.outcome {
                Ok(()) => {
                    passed += 1;
                    println!("ok      {}: {}", source.package, case.name);
                }
                Err(error) => {
                    failed += 1;
                    println!("FAILED  {}: {error}", source.package);
                }
            }
        }
    }
    if let Some(name) = wanted.filter(|name| !scripts.has_package(name)) {
        return Err(format!("there is no package {name}"));
    }
    println!("{passed} passed, {failed} failed");
    match failed {
        0 => Ok(()),
        _ => Err("the packages would be refused".to_owned()),
    }
}

fn ask(config: &Config, method: &str, target: &str) -> Result<(), String> {
    let Some(admin) = config.admin else {
        return Err("add admin.listen to the configuration: that is where control is asked".into());
    };
    edge::ask(admin, method, target, &mut std::io::stdout())
}

fn develop(dev: Dev) -> Result<(), String> {
    let wishes = dev::Wishes {
        http: dev.http,
        sip: dev.sip,
        media_ports: dev.media_ports,
        handsets: !dev.no_handsets,
        sdk_folder: dev.sdk_folder,
    };
    let ended = runtime()?.block_on(dev::run(&wishes, asked_to_end()));
    ended.map_err(|trouble| trouble.to_string())
}

fn read(file: &Path) -> Result<Config, String> {
    let name = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    Config::read(&text).map_err(|mistake| format!("{name}:{mistake}"))
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| format!("no runtime: {error}"))
}

/// Ctrl-C, or what a service manager sends.
async fn asked_to_end() {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminated) => drop(terminated.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => {
            if interrupted.is_err() {
                std::future::pending().await
            }
        }
        () = terminated => {}
    }
}
