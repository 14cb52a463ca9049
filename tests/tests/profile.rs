//! What a container's processes may do, compared with the documented profiles,
//! as a probe of ours sees it that is run as init.

use std::path::Path;

use tests::{
    As, Cmd, Root, User, assert_no_traces, children, each_user, empty_root, namespace, root,
    some_users, status_field,
};

each_user!(
    a_machine_sees_what_is_documented,
    a_machine_is_refused_what_acts_on_the_host,
    a_machine_may_make_containers,
    without_a_filter_the_kernel_answers,
    strict_leaves_nothing,
    strict_hides_and_cannot_be_undone,
    strict_refuses_namespaces_and_mounts,
    strict_runs_ordinary_programs,
    lists_of_capabilities,
    lists_that_contradict_themselves,
    a_command_that_joins_has_the_same_profile,
    our_own_init_has_the_same_profile,
    the_supervisor_rests,
);

some_users!(
    set_id_programs_work_unless_forbidden: root delegated,
    a_chown_fails_without_its_capability: root delegated,
);

/// All 41 but audit_write, audit_control, audit_read, sys_module, sys_rawio,
/// sys_time, mac_override, mac_admin, bpf, perfmon, wake_alarm and block_suspend.
const MACHINE: u64 = 0x1ff_ffff_ffff
    & !(1 << 29 | 1 << 30 | 1 << 37 | 1 << 16 | 1 << 17 | 1 << 25)
    & !(1 << 32 | 1 << 33 | 1 << 39 | 1 << 38 | 1 << 35 | 1 << 36);

/// What THREATS.md refuses a machine.
const DENIED: [&str; 25] = [
    "kexec_load",
    "kexec_file_load",
    "init_module",
    "finit_module",
    "delete_module",
    "add_key",
    "request_key",
    "keyctl",
    "bpf",
    "perf_event_open",
    "open_by_handle_at",
    "userfaultfd",
    "swapon",
    "swapoff",
    "quotactl",
    "quotactl_fd",
    "acct",
    "clock_settime",
    "clock_settime64",
    "settimeofday",
    "stime",
    "iopl",
    "ioperm",
    "create_module",
    "query_module",
];

/// What a program under --strict has no use for.
const NOT_STRICT: [&str; 22] = [
    "mount",
    "umount2",
    "pivot_root",
    "move_mount",
    "open_tree",
    "fsopen",
    "fsconfig",
    "fsmount",
    "fspick",
    "mount_setattr",
    "unshare",
    "setns",
    "clone",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "io_uring_setup",
    "keyctl",
    "bpf",
    "reboot",
    "syslog",
];

/// A root that holds the probe and nothing else.
fn probe_root(me: &User) -> Root {
    let root = empty_root(me);
    root.install(env!("CARGO_BIN_EXE_probe"), "/probe");
    root
}

/// The probe's answer to calls by these gates.
fn calls(gates: &[&str], names: &[&str]) -> Vec<String> {
    let of = |gate: &&str| {
        let gate = gate.to_string();
        names.iter().map(move |name| format!("{gate}:{name}"))
    };
    gates.iter().flat_map(of).collect()
}

/// What the probe said, by the beginning of its lines.
struct Facts(String);

impl Facts {
    fn of(cmd: &Cmd) -> Facts {
        Facts(cmd.run().ok())
    }

    fn get(&self, what: &str) -> &str {
        let rest = |line: &'_ str| Some(line.strip_prefix(what)?.strip_prefix(' ')?.len());
        let line = self.0.lines().find(|line| rest(line).is_some());
        let line = line.unwrap_or_else(|| panic!("no {what} in {}", self.0));
        &line[what.len() + 1..]
    }

    fn all(&self, what: &str) -> Vec<&str> {
        let lines = self.0.lines();
        lines
            .filter_map(|line| line.strip_prefix(what)?.strip_prefix(' '))
            .collect()
    }

    fn capabilities(&self, set: &str) -> u64 {
        u64::from_str_radix(self.get(&format!("status {set}")), 16).unwrap()
    }

    /// Bounding, permitted and effective, and nothing to inherit.
    #[track_caller]
    fn has_capabilities(&self, wanted: u64) {
        for set in ["CapBnd", "CapPrm", "CapEff"] {
            assert_eq!(self.capabilities(set), wanted, "{set} in {}", self.0);
        }
        for set in ["CapInh", "CapAmb"] {
            assert_eq!(self.capabilities(set), 0, "{set} in {}", self.0);
        }
    }

    /// Every call asked about by this gate, answered so.
    #[track_caller]
    fn answers(&self, gate: &str, wanted: &str) {
        let prefix = format!("call {gate}");
        let lines = self.0.lines().filter(|line| line.starts_with(&prefix));
        for line in lines {
            assert!(
                line.ends_with(&format!(" {wanted}")),
                "{line}, not {wanted}"
            );
        }
    }
}

fn probe(me: &User, root: &Root, options: &[&str]) -> Cmd {
    me.contain().arg("-c").args(options).arg(root).arg("/probe")
}

fn a_machine_sees_what_is_documented(me: &User) {
    let root = probe_root(me);
    let inside = Facts::of(&probe(me, &root, &[]).env("SECRET", "x"));
    let outside = Facts::of(&me.command(root.at("/probe")));
    for line in inside.all("namespace") {
        assert!(
            !outside.all("namespace").contains(&line),
            "{line} is the host's"
        );
    }
    assert_eq!(inside.all("namespace").len(), 8);
    inside.has_capabilities(MACHINE);
    assert_eq!(inside.get("status NoNewPrivs"), "0");
    assert_eq!(inside.get("status Seccomp"), "2");
    assert_eq!(inside.all("descriptor"), ["0", "1", "2"]);
    for mask in ["SigBlk", "SigIgn"] {
        assert_eq!(
            inside.capabilities(mask),
            if mask == "SigIgn" { 1 << 12 } else { 0 }
        );
    }
    let environment = inside.all("environment");
    for line in &environment {
        let (name, _) = line.split_once('=').unwrap();
        assert!(
            ["container", "HOME", "PATH", "TERM"].contains(&name),
            "{line}"
        );
    }
    assert!(environment.contains(&"container=contain"));
    // Whole, so that a container can mount its own.
    assert_eq!(inside.get("path /proc/sys"), "full");
    // The filter keeps keys out of reach; without it the keyring is a new one.
    assert_eq!(inside.get("keyring"), "EPERM");
    let bare = Facts::of(&probe(me, &root, &["--seccomp", "off"]));
    assert_ne!(bare.get("keyring"), outside.get("keyring"));
    assert!(
        bare.get("keyring").parse::<i64>().is_ok(),
        "{}",
        bare.get("keyring")
    );
    assert_no_traces(&root);
}

fn a_machine_is_refused_what_acts_on_the_host(me: &User) {
    let root = probe_root(me);
    let asked = calls(&["native", "i386", "x32"], &DENIED);
    let facts = Facts::of(&probe(me, &root, &[]).args(&asked));
    assert_eq!(facts.get("call native:TIOCEXCL"), "ENOTTY");
    let other = facts.0.replace("call native:TIOCEXCL ENOTTY", "");
    Facts(other).answers("native", "EPERM");
    if std::env::consts::ARCH == "x86_64" {
        facts.answers("i386", "EPERM");
        facts.answers("x32", "ENOSYS");
        assert!(facts.all("call").len() > 60, "{}", facts.0);
        let harmless = Facts::of(&probe(me, &root, &[]).args(["x32:getpid", "i386:getpid"]));
        assert_eq!(harmless.get("call x32:getpid"), "ENOSYS");
        assert_eq!(harmless.get("call i386:getpid"), "none");
    }
}

fn a_machine_may_make_containers(me: &User) {
    let root = probe_root(me);
    let needed = [
        "mount",
        "umount2",
        "pivot_root",
        "unshare",
        "setns",
        "clone",
        "clone3",
        "fsopen",
    ];
    let asked = calls(&["native", "i386"], &needed);
    let facts = Facts::of(&probe(me, &root, &[]).args(&asked));
    for gate in ["native", "i386"] {
        for name in needed {
            let Some(answer) = facts
                .all(&format!("call {gate}:{name}"))
                .pop()
                .map(str::to_owned)
            else {
                continue;
            };
            assert!(
                !["EPERM", "ENOSYS", "none"].contains(&answer.as_str()),
                "{name} {answer}"
            );
        }
    }
    // And does: contain in contain, with the same profile, its filter on ours.
    let outer = tests::root(me);
    outer.install(me.contain().program().to_str().unwrap(), "/contain");
    outer.install(env!("CARGO_BIN_EXE_probe"), "/inner/probe");
    for dir in ["/inner/dev", "/inner/proc", "/inner/sys"] {
        outer.mkdir(dir);
    }
    let nested = me.contain().arg("-c").arg(&outer);
    let nested = nested.args(["/contain", "-c", "/inner", "/probe"]);
    let facts = Facts(nested.run().stdout());
    facts.has_capabilities(MACHINE);
    assert_eq!(facts.get("status Seccomp"), "2");
    assert_no_traces(&outer);
}

fn without_a_filter_the_kernel_answers(me: &User) {
    let root = probe_root(me);
    let asked = ["native:keyctl", "native:userfaultfd", "native:acct"];
    let facts = Facts::of(&probe(me, &root, &["--seccomp", "off"]).args(asked));
    assert_eq!(facts.get("status Seccomp"), "0");
    facts.has_capabilities(MACHINE);
    for name in ["keyctl", "userfaultfd"] {
        assert_ne!(facts.get(&format!("call native:{name}")), "EPERM");
    }
    assert_eq!(facts.get("call native:TIOCSTI"), "ENOTTY");
}

fn strict_leaves_nothing(me: &User) {
    let root = probe_root(me);
    let facts = Facts::of(&probe(me, &root, &["--strict"]));
    facts.has_capabilities(0);
    assert_eq!(facts.get("status NoNewPrivs"), "1");
    assert_eq!(facts.get("status Seccomp"), "2");
    assert_eq!(facts.all("descriptor"), ["0", "1", "2"]);
    for request in ["TIOCSTI", "TIOCSTI+high", "TIOCLINUX"] {
        assert_eq!(facts.get(&format!("call native:{request}")), "EPERM");
    }
    let kept = Facts::of(&probe(
        me,
        &root,
        &["--strict", "--cap-keep", "CAP_CHOWN,kill"],
    ));
    kept.has_capabilities(1 << 0 | 1 << 5);
    // It cannot be had without its filter.
    let off = probe(me, &root, &["--strict", "--seccomp", "off"]).run();
    off.refused_naming(64, &["--strict"]);
    assert_no_traces(&root);
}

fn strict_hides_and_cannot_be_undone(me: &User) {
    let root = root(me);
    root.install(env!("CARGO_BIN_EXE_probe"), "/probe");
    for options in [
        &["--strict"][..],
        &["--strict", "-n"],
        &["--strict", "--cap-keep", "all"],
    ] {
        let facts = Facts::of(&probe(me, &root, options));
        for line in facts.all("path") {
            let (path, state) = line.split_once(' ').unwrap();
            let fine = match path.trim_start_matches("/proc/") {
                "bus" | "fs" | "irq" | "sysrq-trigger" | "sys" => {
                    state == "absent" || state.ends_with("read-only")
                }
                _ => state == "absent" || state.starts_with("empty"),
            };
            assert!(fine, "{options:?} {line}");
        }
        let undo = "umount /proc/sys; mount -o remount,rw /proc/sys; umount /proc/keys
            mount -o remount,bind,rw /proc/sys /proc/sys; mount -t proc proc /mnt
            unshare -Urm umount /proc/sys; umount -l /proc; ls /mnt; exec /probe";
        let cmd = me.contain().arg("-c").args(options).arg(&root);
        let after = cmd.args(["/bin/sh", "-c", undo]).run();
        let after = Facts(after.status_is(0).stdout());
        assert_eq!(after.all("path"), facts.all("path"), "{options:?}");
    }
}

fn strict_refuses_namespaces_and_mounts(me: &User) {
    let root = probe_root(me);
    let asked = calls(&["native", "i386"], &NOT_STRICT);
    for options in [&["--strict"][..], &["--strict", "--cap-keep", "all"]] {
        let cmd = probe(me, &root, options).args(&asked);
        let facts = Facts::of(&cmd.args(["native:clone3", "i386:clone3"]));
        for name in NOT_STRICT {
            assert_eq!(facts.get(&format!("call native:{name}")), "EPERM", "{name}");
        }
        assert_eq!(facts.get("call native:clone3"), "ENOSYS");
        if std::env::consts::ARCH == "x86_64" {
            assert_eq!(facts.get("call i386:clone3"), "ENOSYS");
            let text = facts.0.replace("call i386:clone3 ENOSYS", "");
            Facts(text).answers("i386", "EPERM");
        }
    }
}

fn strict_runs_ordinary_programs(me: &User) {
    let root = root(me);
    let work = "cd /tmp; echo text >a; cp a b; mv b c; ln c d; mkfifo p; tar cf t a c; gzip t
        (sleep 0.1; echo back) | cat; wait; seq 1 3 | sort -r | head -1; date +%Y >/dev/null
        nc -l -p 9999 >got & sleep 0.5; echo net | nc 127.0.0.1 9999; wait; cat got; stat -c %h c";
    let cmd = me.contain().args(["-c", "--strict"]).arg(&root);
    cmd.args(["/bin/sh", "-ec", work])
        .run()
        .says("back\n3\nnet\n2");
    // A program of the C library's, with threads by clone(2) for want of clone3.
    let hello = ["--strict", "-c", "--init"];
    let cmd = me.contain().args(hello).arg(&root);
    cmd.args(["/bin/sh", "-c", "kill -0 1; echo $$"])
        .run()
        .says("2");
    assert_no_traces(&root);
}

fn lists_of_capabilities(me: &User) {
    let root = probe_root(me);
    for (options, wanted) in [
        (&["--cap-drop", "chown,CAP_KILL"][..], MACHINE & !0x21),
        (
            &["--cap-drop", "chown", "--cap-drop", "Kill"],
            MACHINE & !0x21,
        ),
        (&["--cap-drop", "all"], 0),
        (&["--cap-drop", "ALL", "--cap-keep", "net_raw"], 1 << 13),
        (&["--cap-keep", "sys_time"], MACHINE | 1 << 25),
        (&["--cap-keep", "all"], full()),
        (&["--cap-keep", "all", "--cap-drop", "chown"], full() & !1),
    ] {
        Facts::of(&probe(me, &root, options)).has_capabilities(wanted);
    }
    let facts = Facts::of(&probe(me, &root, &["--no-new-privs"]));
    assert_eq!(facts.get("status NoNewPrivs"), "1");
    facts.has_capabilities(MACHINE);
}

/// All that this kernel has.
fn full() -> u64 {
    let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
    (2 << last.trim().parse::<u32>().unwrap()) - 1
}

fn lists_that_contradict_themselves(me: &User) {
    let root = probe_root(me);
    for (options, named) in [
        (&["--cap-drop", "chown", "--cap-keep", "chown"][..], "chown"),
        (&["--cap-drop", "all", "--cap-keep", "all"], "all"),
        (&["--cap-drop", "nope"], "nope"),
        (&["--cap-keep", "chown,"], "empty"),
        (&["--seccomp", "on"], "on"),
    ] {
        probe(me, &root, options).run().refused_naming(64, &[named]);
    }
    assert_no_traces(&root);
}

fn a_chown_fails_without_its_capability(me: &User) {
    let root = root(me);
    let chown = "touch /tmp/a && chown 1 /tmp/a && echo changed";
    me.sh(&root, chown).run().says("changed");
    let cmd = me.contain().args(["-c", "--cap-drop", "chown"]).arg(&root);
    let out = cmd.args(["/bin/sh", "-c", chown]).run();
    assert!(out.status_is(1).stderr.contains("not permitted"), "{out}");
}

fn set_id_programs_work_unless_forbidden(me: &User) {
    let root = root(me);
    root.install(env!("CARGO_BIN_EXE_probe"), "/probe");
    root.chmod("/probe", 0o4755);
    for (options, wanted) in [
        (&[][..], "1000 0 0 0"),
        (&["--no-new-privs"], "1000 1000 1000 1000"),
    ] {
        let cmd = me.contain().arg("-c").args(options).arg(&root);
        let facts = Facts::of(&cmd.args(["/bin/su", "user", "-c", "/probe"]));
        assert_eq!(facts.get("status Uid"), wanted, "{options:?}");
    }
}

const PROFILES: [&[&str]; 3] = [
    &[],
    &["--strict", "--cap-keep", "chown"],
    &["--cap-drop", "kill", "--no-new-privs", "--seccomp", "off"],
];

/// The part that two processes of one container have in common.
fn common(facts: &str) -> Vec<String> {
    let kinds = [
        "status Cap",
        "status NoNewPrivs",
        "status Seccomp",
        "call ",
        "path ",
    ];
    let lines = facts
        .lines()
        .filter(|line| kinds.iter().any(|kind| line.starts_with(kind)));
    lines.map(str::to_owned).collect()
}

fn a_command_that_joins_has_the_same_profile(me: &User) {
    let root = root(me);
    root.install(env!("CARGO_BIN_EXE_probe"), "/probe");
    let asked = [
        "native:keyctl",
        "native:mount",
        "native:clone3",
        "native:unshare",
    ];
    for options in PROFILES {
        let mut cmd = me.contain().arg("-c").args(options).arg(&root);
        cmd = cmd.args([
            "/bin/sh",
            "-c",
            "/probe \"$@\"; echo ready-now; sleep 1000",
            "sh",
        ]);
        let running = cmd.args(asked).start();
        running.wait_for("ready-now");
        let init = common(&running.stdout());
        let inject = me
            .inject()
            .arg(running.pid().to_string())
            .arg("/probe")
            .args(asked);
        let joined = inject.run();
        assert_eq!(common(&joined.ok()), init, "{options:?}");
        assert_eq!(Facts(joined.stdout()).all("descriptor"), ["0", "1", "2"]);
        // As the kernel says it of both.
        let host = Facts::of(&me.command(root.at("/probe")));
        assert_ne!(Facts(joined.stdout()).get("keyring"), host.get("keyring"));
    }
}

fn our_own_init_has_the_same_profile(me: &User) {
    let root = root(me);
    root.install(env!("CARGO_BIN_EXE_probe"), "/probe");
    let script = "/probe; grep -E '^(Cap|NoNew|Seccomp:)' /proc/1/status";
    for options in PROFILES {
        let cmd = me.contain().args(["-c", "--init"]).args(options).arg(&root);
        let out = cmd.args(["/bin/sh", "-c", script]).run().ok();
        let facts = Facts(out.clone());
        for name in [
            "CapInh",
            "CapPrm",
            "CapEff",
            "CapBnd",
            "CapAmb",
            "NoNewPrivs",
            "Seccomp",
        ] {
            let line = format!("{name}:\t{}", facts.get(&format!("status {name}")));
            assert!(out.lines().any(|said| said == line), "{line} in {out}");
        }
    }
}

/// What is put out of force comes back for a stop, a reboot and the removal.
fn the_supervisor_rests(me: &User) {
    let root = root(me);
    let mut running = me.sh(&root, "echo up; sleep 1000").start();
    running.wait_for("up");
    let init = running.init();
    let capabilities = |pid, set: &str| {
        let text = status_field(pid, set).unwrap();
        u64::from_str_radix(&text, 16).unwrap()
    };
    let kill = 1 << 5;
    let supervisor = running.pid();
    let rests = || capabilities(supervisor, "CapEff") & !kill == 0;
    assert!(tests::eventually(tests::SECOND, rests));
    let guard: Vec<u32> = children(supervisor)
        .into_iter()
        .filter(|pid| *pid != init && namespace(*pid, "pid") == namespace(supervisor, "pid"))
        .collect();
    assert_eq!(guard.len(), 1, "{guard:?}");
    assert_eq!(capabilities(guard[0], "CapPrm") & !(1 << 1), 0);
    if me.kind == As::Root {
        assert_ne!(capabilities(supervisor, "CapPrm"), 0);
    }
    assert!(Path::new("/proc").join(init.to_string()).exists());
}
