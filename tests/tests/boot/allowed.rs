//! What may look like an error on the console of a machine: a short list, with
//! the reason of each line.

/// A reason, and the texts that it makes harmless.
pub type Allowed = (&'static str, &'static [&'static str]);

/// Words that no healthy console shows.
const BAD: [&str; 14] = [
    "fail",
    "error",
    "warning",
    "cannot",
    "can't",
    "could not",
    "unable",
    "denied",
    "not permitted",
    "permission",
    "no such",
    "not found",
    "bad",
    "must be",
];

/// What Debian's package initscripts says in any container.
pub const INITSCRIPTS: &[Allowed] = &[
    (
        "these are for the host alone",
        &[
            "mount: /sys/kernel/security: permission denied",
            "mount: /sys/fs/pstore: permission denied",
            "sysctl: permission denied on key \"fs.protected_fifos\"",
            "sysctl: permission denied on key \"fs.protected_hardlinks\"",
            "sysctl: permission denied on key \"fs.protected_regular\"",
            "sysctl: permission denied on key \"fs.protected_symlinks\"",
            "dmesg: read kernel buffer failed: Operation not permitted",
            "hwclock: Cannot access the Hardware Clock via any known method",
        ],
    ),
    (
        "the root is in a file system of the host's",
        &["mount: /: permission denied"],
    ),
    (
        "no user namespace changes a sysfs, not even its own",
        &["mount: /sys: permission denied"],
    ),
    (
        "mount(8) asks for the uid= and gid= that it reads, and those are the host's",
        &[
            "mount: /run: mount point not mounted or bad option",
            "mount: /run/lock: mount point not mounted or bad option",
            "mount: /dev/shm: mount point not mounted or bad option",
            "mount: /dev/pts: mount point not mounted or bad option",
        ],
    ),
    (
        "mount(8) says so after each of these",
        &["dmesg(1) may have more information after failed mount system call"],
    ),
    (
        "umount -f is refused where the file system is the host's, as for device nodes",
        &[
            "umount: /dev/tty: must be superuser to unmount.",
            "umount: /dev/urandom: must be superuser to unmount.",
            "umount: /dev/random: must be superuser to unmount.",
            "umount: /dev/full: must be superuser to unmount.",
            "umount: /dev/zero: must be superuser to unmount.",
            "umount: /dev/null: must be superuser to unmount.",
            "Unmounting local filesystems...failed",
        ],
    ),
    (
        "a process may end while pidof(8) looks at it",
        &["pidof: can't read from"],
    ),
    (
        "a new root has no /etc/mtab until then",
        &["/etc/mtab to /proc/mounts. ... (warning)"],
    ),
];

pub const RUNIT_ALLOWED: &[Allowed] = &[(
    "initscripts has options for the halt of sysvinit",
    &[
        "WARNING: -d -h -p -i : ignored options",
        "WARNING: -f is a noop when runit is init",
        "WARNING: writing wtmp with -w is not supported",
    ],
)];

pub const OPENRC_ALLOWED: &[Allowed] = &[(
    "without limits it is in the cgroup of its caller",
    &["No permission to apply cgroup settings"],
)];

pub const FINIT_ALLOWED: &[Allowed] = &[(
    "to credit randomness is for the host alone",
    &["Initializing random number generator[FAIL]"],
)];

/// What the console has shown that is neither harmless nor allowed.
pub fn complaints(console: &str, allowed: &[&[Allowed]]) -> Vec<String> {
    // Programs at work side by side break lines, and startpar(8) adds zeroes.
    let broken = |c: char| c.is_whitespace() || c.is_control();
    let tight = |text: &str| text.replace(broken, "").to_lowercase();
    let mut rest = tight(&printed(console));
    for (_reason, texts) in allowed.iter().copied().flatten() {
        for text in *texts {
            rest = rest.replace(&tight(text), "");
        }
    }
    let around = |at: usize| {
        let text: Vec<char> = rest[..at].chars().rev().take(60).collect();
        let before: String = text.into_iter().rev().collect();
        before + &rest[at..].chars().take(60).collect::<String>()
    };
    let words = BAD.map(tight);
    let found = words.iter().flat_map(|word| rest.match_indices(word));
    found.map(|(at, _)| around(at)).collect()
}

/// A screen's text without what moves the cursor and changes colours.
pub fn printed(console: &str) -> String {
    let mut text = String::new();
    let mut chars = console.chars();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            text.push(c);
        } else if chars.next() == Some('[') {
            // A control sequence ends with a letter.
            let _ = chars.by_ref().find(|c| ('@'..='~').contains(c));
        }
    }
    text
}
