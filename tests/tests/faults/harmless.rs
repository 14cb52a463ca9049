//! Failures that go unnoticed, each with the reason why that is no loss.

use crate::call::Call;

/// A call whose failure a start may ignore.
pub struct Harmless {
    roles: &'static str,
    calls: &'static str,
    /// Parts of its arguments, one of which is there; with ^ their beginning.
    of: &'static str,
    /// What else init may find otherwise then.
    pub otherwise: &'static [&'static str],
    pub why: &'static str,
}

/// What is shown only where it can be had, by the facts' beginnings: whichever call
/// fails, a container may be without. `--explain` says so.
pub const COMFORTS: [&str; 2] = ["mount /dev/mqueue ", "mount /sys/fs/cgroup "];

/// The entry for a call.
pub fn find(call: &Call) -> Option<&'static Harmless> {
    HARMLESS.iter().find(|it| it.is_for(call))
}

/// Whether the call is none to let fail.
pub fn is_left_alone(call: &Call) -> bool {
    // What is unlocked is closed next.
    const UNLOCK: &str = " 8";
    let left_alone = LEFT_ALONE.contains(&&*call.name);
    // pseudo -m asks for some seventy emulators in each directory: one stands for all.
    let emulator = call.arguments.contains("qemu-") && !call.arguments.contains("qemu-aarch64");
    left_alone || emulator || call.name == "flock" && call.arguments.ends_with(UNLOCK)
}

/// What Linux does not fail, and memory, without which the language ends us.
const LEFT_ALONE: [&str; 23] = [
    "brk",
    "clock_gettime",
    "close",
    "exit_group",
    "futex",
    "getegid",
    "geteuid",
    "getgid",
    "getpgrp",
    "getpid",
    "getrandom",
    "gettid",
    "getuid",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "pause",
    "rt_sigaction",
    "rt_sigreturn",
    "sigaltstack",
    "umask",
];

impl Harmless {
    fn is_for(&self, call: &Call) -> bool {
        let has = |part: &str| match part.strip_prefix('^') {
            Some(start) => call.arguments.starts_with(start),
            None => call.arguments.contains(part),
        };
        let one_of = |words: &str, word: &str| words.split(' ').any(|it| it == word);
        one_of(self.roles, &call.role)
            && one_of(self.calls, &call.name)
            && self.of.split('|').any(has)
    }
}

const fn harmless(
    roles: &'static str,
    calls: &'static str,
    of: &'static str,
    why: &'static str,
) -> Harmless {
    but(roles, calls, of, &[], why)
}

const fn but(
    roles: &'static str,
    calls: &'static str,
    of: &'static str,
    otherwise: &'static [&'static str],
    why: &'static str,
) -> Harmless {
    Harmless {
        roles,
        calls,
        of,
        otherwise,
        why,
    }
}

const S: &str = "supervisor";

// What else init may find otherwise.
const ANYTHING: &[&str] = &[""];
const IDS: &[&str] = &["map ", "status Groups"];
const MASK: &[&str] = &["status SigBlk"];
const RESOLVER: &[&str] = &["mount /etc/resolv.conf "];

// Why, where there is more than one such entry.
const ASKED: &str = "asked with nonsense, whether the kernel has it";
const ASKED_NOT: &str = "a stream that cannot be asked what it is stays as it is";
const BACK: &str = "afterwards any directory will do";
const CLEARED: &str = "what the guard has not cleared up the supervisor does";
const CLOSED: &str = "what is closed by now is none to hand on";
const FEWER: &str = "fewer ids are mapped, and a warning says so";
const FOREIGN: &str = "an init that cannot be looked at counts as one of this machine";
const GONE: &str = "init has ended, and what watched it ends next";
const NAME: &str = "prctl(2) sets any name";
const NO_RESOLVER: &str = "a root that cannot show a copy, or a host without one, has none";
const OTHERS: &str = "whose limits these are matters to those that take a controller";
const ROOM: &str = "tells how much room a file needs";
const SPAWN: &str = "the C library's own way to start a program, which takes what it gets";
const WRITTEN: &str = "output is written as the caller left it, at the reader's pace";

/// Looked through from the top.
#[rustfmt::skip]
const HARMLESS: &[Harmless] = &[
    // The caller's ids.
    harmless(S, "openat read", "/etc/passwd", "getent(1) knows the name as well"),
    but(S, "openat read", "/etc/subuid|/etc/subgid|/etc/nsswitch.conf", IDS, FEWER),
    but(S, "access statx", "map\"", IDS, FEWER),
    harmless(S, "statx", "/etc/passwd|/etc/sub|/etc/nsswitch.conf", ROOM),
    harmless(S, "newfstatat", "/proc/self/ns/user", "then the maps are read"),
    harmless(S, "write", "warning:", "what cannot be written is not read"),
    // The machine.
    harmless(S, "statx", " 0 0 4095", ASKED),
    harmless(S, "mount_setattr pidfd_send_signal", "-1 -1 ", ASKED),
    harmless(S, "openat read", "osrelease", "for a warning on old kernels"),
    harmless(S, "readlink", "", "what cannot be resolved may hide mounts, so all are locked"),
    harmless(S, "statx", "/proc/self/exe", "what cannot be looked at counts as within reach"),
    harmless(S, "statx", "/scratch/", "asked for its owner; to enter it fails for what it has"),
    harmless(S, "statx", "/cgroup ", ROOM),
    harmless(S, "statfs", "/sys\"", "then all mounts are read"),
    but(S, "openat read", "/etc/resolv.conf", RESOLVER, NO_RESOLVER),
    // Programs of other architectures.
    harmless(S, "openat", "/scratch/", FOREIGN),
    harmless(S, "openat openat2 newfstatat read", "/probe|\"probe\"|/proc/self/fd/", FOREIGN),
    harmless(S, "openat newfstatat", "/bin|/sbin", "an emulator that cannot be found is none"),
    harmless(S, "faccessat2 write", "qemu-", "without a handler such programs do not run"),
    harmless(S, "openat newfstatat read", "/binfmt_misc", "what cannot be read is registered by nobody"),
    harmless(S, "getdents64", "", "what cannot be read is registered by nobody"),
    // Cgroups.
    harmless(S, "openat read", "cgroup.|/proc/1/comm", OTHERS),
    harmless(S, "statx", "/run/systemd/system", OTHERS),
    harmless(S, "statx", "/sys/fs/cgroup", "what may be done there the kernel says in the end"),
    harmless(S, "access", "/sys/fs/cgroup/", "then one above it is divided"),
    harmless(S, "openat", "memory.events", "without it nobody learns that memory ran out"),
    // The terminal.
    harmless(S, "ioctl", " 21505 ", "a stream that cannot be asked is no terminal"),
    harmless(S, "ioctl", " 21506 ", "keys that the caller's terminal handles still arrive"),
    harmless(S, "ioctl", " 21519 ", "in the background the terminal's settings are another's"),
    harmless(S, "ioctl", " 21523 ", "a terminal without a size has the usual one"),
    harmless(S, "ioctl", " 21524 ", "a terminal of another size is one all the same"),
    but(S, "read", "ptmx", ANYTHING, "how a terminal says that nobody has it any more"),
    harmless(S, "newfstatat openat", "/dev/pts/|pipe:|/proc/self/fd/1", WRITTEN),
    but(S, "write", "/dev/pts/", ANYTHING, "init has ended well, and nobody can read this"),
    harmless(S, "epoll_create1 epoll_ctl", "", WRITTEN),
    harmless("init", "ioctl", " 21505 ", "the C library looks whether settings were taken"),
    // Processes.
    harmless(S, "openat", "-100 \".\"", BACK),
    harmless(S, "fchdir", "", BACK),
    harmless("supervisor init inside mounter guard helper", "prctl", "^15 ", NAME),
    harmless(S, "prctl", "^16 ", NAME),
    harmless(S, "prlimit64", "0 7 ", SPAWN),
    but("supervisor helper", "rt_sigprocmask", "", MASK, SPAWN),
    harmless("holder", "prctl getppid", "", "pseudo is in the namespace it holds before it ends"),
    harmless(S, "read", "pipe:", "what a program says that has done its work"),
    harmless(S, "read", "[signalfd]", "a queue of one's own fails only where it is empty"),
    harmless(S, "poll", "* 1 0", "a look whether a signal has come too late"),
    // The root.
    harmless(S, "flock", " 5", "without a share in it nothing is removed from it"),
    harmless("supervisor init", "fchown", "^0 |^1 |^2 ", "a pipe that cannot be given is one all the same"),
    harmless("supervisor init", "newfstatat", "pipe:|/dev/null", ASKED_NOT),
    harmless("supervisor init", "fstatfs", "", ASKED_NOT),
    harmless(S, "fcntl", " 1 ", CLOSED),
    harmless("inside helper", "fcntl", " 2 ", CLOSED),
    harmless("init", "mkdirat", "", "what is there needs not be made, else it is missed"),
    but("init", "openat2 newfstatat mknodat", "\"etc\"|\"resolv.conf\"", RESOLVER, NO_RESOLVER),
    harmless("init", "newfstatat openat read", "/probe", "a better word, should it not run"),
    // The end.
    harmless("guard", "setsid", "", "it blocks all signals that a group is sent but SIGKILL"),
    harmless("guard", "close_range", "", "then it closes one after the other"),
    harmless("guard", "recvmsg", "", "there is room for what comes: it has closed all else"),
    harmless("guard", "capget capset", "", "giving rights up cannot fail"),
    harmless("guard", "openat write newfstatat fcntl", "", CLEARED),
    harmless("guard", "getdents64 lseek unlinkat", "", CLEARED),
    harmless("guard", "poll pidfd_send_signal", "", GONE),
    harmless(S, "pidfd_send_signal", "9 0 ", GONE),
    harmless(S, "waitid wait4", "", GONE),
    harmless(S, "capset", "", "rights are taken up again for clearing up, if at all"),
];
