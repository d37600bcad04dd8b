//! `causeway-relay`: reads its settings, starts one thread per core, and lets controls attach.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::mpsc;

use clap::Parser;
use relay::certificates::Certificates;
use relay::config::{Arguments, Config, Machine};
use relay::ring::CountingAllocator;
use relay::ring::probe::{self, Features};
use relay::sandbox;
use relay::shard::{self, Inbox, Reload, Reloads, Start};
use relay::transport::tls::SharedIdentity;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_ansi(is_terminal)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    match serve(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("causeway-relay: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), String> {
    let machine = Machine {
        cores: probe::usable_cores()
            .map_err(|error| format!("which cores may be used: {error}"))?,
        files: probe::open_files_limit(),
    };
    let config = Config::new(arguments, &machine).map_err(|mistake| mistake.0)?;
    let (connections, files) = (config.connections_max(), config.files());
    let lacks = probe::lacks(machine.files, connections, files, config.ports.clone());
    if arguments.check {
        return check(lacks);
    }
    // Each says what is wrong and how to mend it; the ones that are fatal fail by themselves.
    for lack in &lacks {
        tracing::warn!("{}", lack.0);
    }
    let features = if config.kernel_floor {
        Features::FLOOR
    } else {
        Features::probe()
    };
    let options = link::Options {
        group: config.socket_group,
        ..link::Options::new(config.shards.len())
    };
    let mut listener =
        link::Listener::bind_with(&config.socket, options).map_err(|error| error.to_string())?;
    let wakers = listener.shard_wakers().map_err(|error| error.to_string())?;
    // Every file is open, and no other thread runs yet.
    let certificates = config.identity.as_ref().map(|(folder, _)| folder.folder());
    for kept in sandbox::confine(certificates.as_slice()) {
        tracing::warn!("{}", kept.0);
    }

    end_on_panic();
    let (to_main, from_shards) = mpsc::channel();
    let mut inboxes = Vec::new();
    let shards = config.shards.len();
    let starts = config.cores.iter().zip(config.shards).zip(wakers);
    let reloads = Reload::new();
    for ((&core, mut settings), waker) in starts {
        if settings.identity.is_some() {
            settings.reload = Some(reloads.0.clone());
        }
        let inbox = Inbox::default();
        inboxes.push((
            inbox.clone(),
            waker.try_clone().map_err(|error| error.to_string())?,
        ));
        let start = Start {
            core,
            settings,
            features,
            waker: waker.into(),
            inbox,
        };
        let told = to_main.clone();
        let body = move || {
            let ready = told.clone();
            let ended = shard::run(start, || {
                let _ = ready.send(Ok(()));
            });
            let reason = ended.map_or_else(|error| error.to_string(), |()| "it returned".into());
            let _ = told.send(Err(format!("the shard on core {core} ended: {reason}")));
        };
        let name = format!("shard-{core}");
        let spawned = std::thread::Builder::new().name(name).spawn(body);
        spawned.map_err(|error| format!("no thread for core {core}: {error}"))?;
    }
    for _ in 0..shards {
        from_shards.recv().map_err(|error| error.to_string())??;
    }
    // A shard that ends takes its sessions with it; a relay that is not whole says so and ends,
    // and what started it starts it again.
    std::thread::spawn(move || {
        let reason = match from_shards.recv() {
            Ok(Err(reason)) => reason,
            Ok(Ok(())) | Err(_) => "a shard is lost".into(),
        };
        eprintln!("causeway-relay: {reason}");
        std::process::exit(1);
    });

    let bells: Result<_, _> = inboxes.iter().map(|(_, bell)| bell.try_clone()).collect();
    let bells = bells.map_err(|error: std::io::Error| error.to_string())?;
    serve_reloads(config.identity, config.public_names, reloads, bells)?;
    // Every ring is set up, and every thread runs.
    if let Some(kept) = sandbox::filter_system_calls() {
        tracing::warn!("{}", kept.0);
    }
    println!(
        "causeway-relay: ready, {shards} shard(s), control socket {}",
        config.socket.display()
    );
    let mut socket_of_control = None;
    loop {
        match listener.accept() {
            Ok(attached) => {
                tracing::info!(epoch = attached.epoch, "control has attached");
                for (end, (inbox, bell)) in attached.shards.into_iter().zip(&inboxes) {
                    inbox.put(end);
                    bell.ring();
                }
                // Dropping the former control's socket tells it that it is one no more.
                socket_of_control = Some(attached.socket);
            }
            Err(error) => {
                tracing::warn!(%error, "a control could not attach");
                if matches!(error, link::AcceptError::Listener(_)) {
                    return Err(error.to_string());
                }
            }
        }
        let _ = &socket_of_control;
    }
}

/// A thread that panics ends the process, before its memory is given back: the kernel may still write
/// there. A relay without one of its shards would go on telling its control that all is well.
fn end_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name").to_owned();
        eprintln!(
            "causeway-relay: thread {name} failed, and the relay ends with it: all its sessions are \
             over. This is a mistake in the relay; please report the lines above."
        );
        std::process::exit(1);
    }));
}

/// Reads certificates anew at SIGHUP and at control's wish, for connections to come.
fn serve_reloads(
    identity: Option<(Certificates, SharedIdentity)>,
    names: Vec<String>,
    (reload, reloads): (Reload, Reloads),
    bells: Vec<link::EventFd>,
) -> Result<(), String> {
    let mut signals = signal_hook::iterator::Signals::new([signal_hook::consts::SIGHUP])
        .map_err(|error| format!("cannot wait for SIGHUP: {error}"))?;
    std::thread::spawn(move || {
        for _ in signals.forever() {
            reload.ask();
        }
    });
    let read = move || {
        let Some((certificates, shared)) = &identity else {
            tracing::warn!("asked to read certificates anew, but there is no folder of them");
            return true;
        };
        match certificates.read(&names) {
            Ok(identities) => {
                shared.set(identities);
                tracing::info!("certificates were read anew");
                true
            }
            Err(unusable) => {
                tracing::error!("certificates stay as they are: {}", unusable.0);
                false
            }
        }
    };
    std::thread::spawn(move || reloads.serve(read, || bells.iter().for_each(|bell| bell.ring())));
    Ok(())
}

/// Says what this machine lacks, and what the relay could not give up on it. The trial is final: the
/// process ends after it.
fn check(lacks: Vec<probe::Lack>) -> Result<(), String> {
    let lacks = lacks.into_iter().map(|lack| lack.0);
    let kept = sandbox::trial().into_iter().map(|kept| kept.0);
    let sentences: Vec<String> = lacks.chain(kept).collect();
    if sentences.is_empty() {
        println!("causeway-relay: this machine has all that is needed");
        return Ok(());
    }
    for sentence in &sentences {
        println!("causeway-relay: {sentence}");
    }
    Err(format!(
        "{} thing(s) are to be mended first",
        sentences.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Set for the process of the test's own that is to end.
    const PANICS: &str = "CAUSEWAY_RELAY_TEST_PANICS";

    #[test]
    fn a_shard_that_panics_ends_the_process_and_says_so() {
        if std::env::var_os(PANICS).is_some() {
            end_on_panic();
            let shard = std::thread::Builder::new().name("shard 0".into());
            let shard = shard.spawn(|| panic!("on purpose")).unwrap();
            let _ = shard.join();
            // Whoever comes here has not ended.
            return;
        }
        let name = "tests::a_shard_that_panics_ends_the_process_and_says_so";
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args([name, "--exact", "--nocapture"])
            .env(PANICS, "1")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("on purpose"), "{told}");
        assert!(told.contains("thread shard 0 failed"), "{told}");
    }
}
