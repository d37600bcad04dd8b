//! What the relay gives up once it has what it needs, so that whoever finds a hole in it finds
//! nothing behind it.
//!
//! In this order, since seccomp does not see what goes through an `io_uring`: landlock closes the
//! file system, for the ring too; capabilities go; each ring is restricted to the operations a shard
//! uses (`ring::Uring` does so itself); last, seccomp leaves the system calls of a relay that serves.
//! What a kernel cannot do is said, and the relay serves without it.

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access, AccessFs, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope,
};
use rustix::thread::{CapabilitySet, CapabilitySets};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// Something that could not be given up: what, why, and what that means.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept(pub String);

/// Closes the file system to this thread and those it starts, but for reading in `folders`, and
/// gives up all capabilities. To be called before any other thread is started, with every file open
/// that will be needed.
pub fn confine(folders: &[BorrowedFd<'_>]) -> Vec<Kept> {
    let files = close_files(folders).err();
    let capabilities = drop_capabilities().err().map(|error| {
        Kept(format!(
            "capabilities cannot be given up ({error}): whoever takes over the relay has them too"
        ))
    });
    files.into_iter().chain(capabilities).collect()
}

/// Leaves all threads of this process the system calls of a relay that serves; any other is answered
/// with EPERM. For good.
pub fn filter_system_calls() -> Option<Kept> {
    let kept = |error: String| {
        Kept(format!(
            "seccomp is not to be had here ({error}): whoever takes over the relay can make any \
             system call"
        ))
    };
    match program() {
        Ok(program) => seccompiler::apply_filter_all_threads(&program)
            .err()
            .map(|error| kept(error.to_string())),
        Err(error) => Some(kept(error)),
    }
}

/// What could not be given up here, found out by trying: for a process that ends afterwards.
pub fn trial() -> Vec<Kept> {
    let mut kept = confine(&[]);
    kept.extend(filter_system_calls());
    kept
}

fn close_files(folders: &[BorrowedFd<'_>]) -> Result<(), Kept> {
    let kept = |what: String| {
        Kept(format!(
            "{what}: whoever takes over the relay can open what its user can"
        ))
    };
    let closed = |folders: &[BorrowedFd<'_>]| {
        let mut ruleset = Ruleset::default()
            .handle_access(AccessFs::from_all(ABI::V5))?
            .scope(Scope::from_all(ABI::V6))?
            .create()?;
        for folder in folders {
            let read = AccessFs::ReadFile | AccessFs::ReadDir;
            ruleset = ruleset.add_rule(PathBeneath::new(folder, read))?;
        }
        ruleset.restrict_self()
    };
    match closed(folders) {
        // Older kernels know fewer accesses; opening, making and removing files has been among
        // them from the beginning.
        Ok(status) if status.ruleset != RulesetStatus::NotEnforced => Ok(()),
        Ok(_) => Err(kept(
            "landlock is not enabled in this kernel (`landlock` in CONFIG_LSM, or `lsm=` on its \
             command line)"
                .into(),
        )),
        Err(error) => Err(kept(format!("landlock refuses: {error}"))),
    }
}

fn drop_capabilities() -> rustix::io::Result<()> {
    rustix::thread::set_no_new_privs(true)?;
    for capability in CapabilitySet::all().iter() {
        // Without CAP_SETPCAP the bounding set stays, and means nothing: there is no way to gain.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none)
}

/// Calls that are allowed with any arguments.
const CALLS: &[libc::c_long] = &[
    // The rings.
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Sockets: listeners and outgoing connections of a shard, control's socket.
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_listen,
    libc::SYS_shutdown,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    // An attachment: its memory and bells.
    libc::SYS_memfd_create,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_eventfd2,
    libc::SYS_fcntl,
    libc::SYS_ppoll,
    // Certificates, which landlock keeps to their folder; log lines.
    libc::SYS_openat,
    libc::SYS_getdents64,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_lseek,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    // Memory, time, chance, threads.
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    // A thread that has only just been started.
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // A panic that aborts sends itself a signal; landlock keeps signals to this process.
    libc::SYS_tgkill,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

fn program() -> Result<BpfProgram, String> {
    let wrong = |error: &dyn std::fmt::Display| error.to_string();
    let only = |place: u8, values: &[libc::c_int]| {
        let rule = |value: &libc::c_int| {
            let (length, value) = (SeccompCmpArgLen::Dword, *value as u64);
            SeccompCondition::new(place, length, SeccompCmpOp::Eq, value)
                .and_then(|condition| SeccompRule::new(vec![condition]))
        };
        values.iter().map(rule).collect::<Result<Vec<_>, _>>()
    };
    // Sockets are of the internet; memory is never made executable; a new thread names itself.
    let sockets = only(0, &[libc::AF_INET, libc::AF_INET6]).map_err(|error| wrong(&error))?;
    let protections = [
        libc::PROT_NONE,
        libc::PROT_READ,
        libc::PROT_READ | libc::PROT_WRITE,
    ];
    let protections = only(2, &protections).map_err(|error| wrong(&error))?;
    let names = only(0, &[libc::PR_SET_NAME]).map_err(|error| wrong(&error))?;
    let mut rules = std::collections::BTreeMap::from([
        (libc::SYS_socket, sockets),
        (libc::SYS_mprotect, protections),
        (libc::SYS_prctl, names),
    ]);
    rules.extend(CALLS.iter().map(|call| (*call, Vec::new())));
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let arch = std::env::consts::ARCH.try_into();
    let arch = arch.map_err(|_| format!("no filter is known for {}", std::env::consts::ARCH))?;
    SeccompFilter::new(rules, refuse, SeccompAction::Allow, arch)
        .and_then(BpfProgram::try_from)
        .map_err(|error| wrong(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::ErrorKind;
    use std::os::fd::AsFd;

    /// What holds for a thread is not held against the others of the test's process.
    fn apart<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(body).join().expect("no panic")
    }

    #[test]
    fn only_what_lies_in_the_folder_can_be_opened() {
        let (inside, outside, made, kept) = apart(|| {
            let folder = File::open(env!("CARGO_MANIFEST_DIR")).expect("the package's folder");
            let kept = confine(&[folder.as_fd()]);
            let open = |path: &str| File::open(path).map(|_| ()).map_err(|error| error.kind());
            let made = File::create(concat!(env!("CARGO_MANIFEST_DIR"), "/made"));
            (
                open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")),
                open("/etc/passwd"),
                made.map(|_| ()).map_err(|error| error.kind()),
                kept,
            )
        });
        assert_eq!(kept, []);
        assert_eq!(inside, Ok(()));
        assert_eq!(outside, Err(ErrorKind::PermissionDenied));
        assert_eq!(made, Err(ErrorKind::PermissionDenied));
    }

    #[test]
    fn no_capability_is_left() {
        let sets = apart(|| {
            confine(&[]);
            rustix::thread::capabilities(None).expect("a thread may ask")
        });
        assert_eq!(sets.effective, CapabilitySet::empty());
        assert_eq!(sets.permitted, CapabilitySet::empty());
    }

    #[test]
    fn other_system_calls_are_refused() {
        let program = program().expect("a filter for this machine");
        let (unix, internet, program_started) = apart(move || {
            seccompiler::apply_filter(&program).expect("seccomp is there");
            let unix = std::os::unix::net::UnixDatagram::unbound();
            let internet = std::net::TcpListener::bind("127.0.0.1:0");
            let started = std::process::Command::new("/bin/true").status();
            (
                unix.map(|_| ()).map_err(|error| error.kind()),
                internet.map(|_| ()).map_err(|error| error.kind()),
                started.map(|_| ()).map_err(|error| error.kind()),
            )
        });
        assert_eq!(internet, Ok(()));
        assert_eq!(unix, Err(ErrorKind::PermissionDenied));
        assert_eq!(program_started, Err(ErrorKind::PermissionDenied));
    }
}
