//! inject when things go wrong: system calls that fail, inject killed at any
//! moment, many at once, and a container that ends meanwhile. The command runs
//! inside or not at all, and nothing of it is left.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::Duration;

use tests::{
    Cmd, Pty, Running, SECOND, User, alive, assert_no_traces, children, each_user, eventually,
    kill, libraries, root, some_users,
};

each_user!(
    every_system_call_of_joining_fails_once,
    killed_it_takes_the_command_along,
    killed_at_every_system_call,
    a_hundred_at_once,
    a_container_that_ends_meanwhile,
);

some_users!(
    every_call_for_a_terminal_fails_once: root,
    killed_it_takes_another_users_command_along: root delegated,
    killed_at_every_system_call_of_another_user: root delegated,
);

/// strace(1) that says nothing of the calls of this set, and makes some of them
/// fail.
fn tampering(calls: &str, inject: &str) -> [String; 8] {
    let trace = format!("trace={calls}");
    [
        "strace",
        "-f",
        "-o",
        "/dev/null",
        "-e",
        &trace,
        "-e",
        inject,
    ]
    .map(String::from)
}

/// A mark that no other process of this machine carries.
fn mark(me: &User, test: &str) -> String {
    format!("mark-{test}-{}-{}", me.name, std::process::id())
}

/// The processes whose command line holds the mark, but for those that have
/// ended and wait for somebody else.
fn marked(mark: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let ours = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark) && alive(*pid)
    };
    pids.filter(ours).collect()
}

#[track_caller]
fn assert_gone(mark: &str, when: &str) {
    let gone = eventually(SECOND, || marked(mark).is_empty());
    let left: Vec<_> = marked(mark)
        .into_iter()
        .map(|pid| format!("{pid} ({})", tests::comm(pid)))
        .collect();
    marked(mark).into_iter().for_each(kill);
    assert!(gone, "left {when}: {left:?}");
}

/// One system call of a process below inject: its name, and which of that
/// process's calls of this name it is.
type Call = (String, usize);

/// The system calls that inject's children make until the command's exec, with
/// their arguments.
fn calls(cmd: &Cmd) -> BTreeMap<Call, String> {
    let out = cmd.clone().under(["strace", "-f", "-o", "!cat >&2"]).run();
    out.status_is(0);
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    let mut found = BTreeMap::new();
    let mut main = None;
    let mut done = Vec::new();
    for line in out.stderr.lines() {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        let Some((name, arguments)) = rest.split_once('(') else {
            continue;
        };
        let main = *main.get_or_insert(pid);
        if pid == main || done.contains(&pid) || name.contains(['<', '-', '+']) {
            continue;
        }
        let count = counts.entry((pid, name)).or_default();
        *count += 1;
        if name == "execve" {
            done.push(pid);
        }
        found.insert((name.to_owned(), *count), arguments.to_owned());
    }
    assert!(found.len() > 15, "that was no joining: {out}");
    found
}

/// Each system call of the joiner, the guard and the command made to fail.
fn every_system_call_of_joining_fails_once(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let mark = mark(me, "fault");
    let file = format!("/tmp/{mark}");
    let cmd = inject(me, &running, &file);
    let calls = calls(&cmd);
    std::fs::remove_file(root.at(&file)).unwrap();
    for must in [
        "setns",
        "setresuid",
        "setresgid",
        "prctl",
        "openat2",
        "fchdir",
        "setsid",
        "clone3",
    ] {
        assert!(
            calls.keys().any(|(name, _)| name == must),
            "no {must} in {calls:?}"
        );
    }
    let mut refused = 0;
    for ((name, count), arguments) in &calls {
        // Two that the kernel does not let fail so; execve has tests of its own. A
        // guard that cannot wait ends the command, sooner or later.
        if ["exit_group", "close", "execve", "poll"].contains(&name.as_str()) {
            continue;
        }
        for errno in ["EPERM", "ENOMEM"] {
            let inject = format!("inject={name}:error={errno}:when={count}");
            let strace = tampering("all", &inject);
            let out = cmd.clone().under(strace).run();
            let what = format!("{inject} of {name}({arguments}{out}");
            assert!(!Path::new(&file).exists(), "ran on the host: {what}");
            let ran = std::fs::remove_file(root.at(&file)).is_ok();
            assert_eq!(out.code() == Some(0), ran, "{what}");
            refused += usize::from(!ran);
            let needed = [
                "setns",
                "setresuid",
                "setresgid",
                "setgroups",
                "clone3",
                "setsid",
                "setpgid",
            ];
            let needed = needed.contains(&name.as_str())
                || name == "prctl" && !arguments.starts_with("PR_SET_NAME");
            // One by inject itself is another call than the one of its child.
            assert!(
                !(needed && ran && errno == "EPERM"),
                "ran all the same: {what}"
            );
            // Strace counts in each process: a call of the runtime's before our
            // main, whose failure aborts, has no words of ours.
            if let (false, Some(code)) = (ran, out.code()) {
                out.refused(code);
            }
        }
        assert_gone(&mark, &format!("after {name} {count} failed"));
    }
    assert!(refused > 20, "only {refused} failures mattered");
    assert!(alive(running.pid()));
}

/// A command that leaves a file inside, with all that can be asked for.
fn inject(me: &User, running: &Running, file: &str) -> Cmd {
    let cmd = me.inject().args(["--user", "root:root", "-w", "/tmp"]);
    let cmd = cmd.arg(running.pid().to_string());
    cmd.args(["/bin/touch", file])
}

/// Kills an inject and nothing else: what it leaves is not for the harness.
fn killed(mut inject: Running) {
    kill(inject.pid());
    assert!(eventually(SECOND, || inject.try_wait().is_some()));
}

/// Kills inject while its command runs, and looks for the command.
fn killed_with(me: &User, options: &[&str], command: &[&str], test: &str) {
    let root = root(me);
    root.install("/usr/bin/setpriv", "/opt/setpriv");
    for library in libraries("/usr/bin/setpriv") {
        root.install(&library, &library);
    }
    let mut running = me.up(&root, &[]);
    let init = running.init();
    let mark = mark(me, test);
    let other = format!("other-{mark}");
    let inject = |mark: &str, script: &str| {
        let cmd = me.inject().args(options).arg(running.pid().to_string());
        let script = format!(": {mark}; {script}");
        cmd.args(command).args(["/bin/sh", "-c", &script])
    };
    let bystander = me.inject().arg(running.pid().to_string());
    let bystander = bystander
        .args(["/bin/sh", "-c", "echo here; sleep 1000; :"])
        .start();
    bystander.wait_for("here");
    // What the command has put in the background is not the command.
    let left = format!("/bin/sh -c 'echo here; sleep 1000; : {other}'");
    let one = inject("x", &format!("{left} & exec /bin/sleep 1000")).start();
    one.wait_for("here");
    // The guard and the command.
    let both = children(one.pid());
    assert_eq!(both.len(), 2, "{both:?}");
    killed(one);
    let ended = || both.iter().all(|pid| !alive(*pid));
    assert!(eventually(SECOND, ended), "{both:?}");
    let kept = || marked(&other).len() == 1;
    assert!(eventually(SECOND, kept), "what it left in the background");
    assert!(alive(bystander.pid()) && alive(init), "the bystanders");
    marked(&other).into_iter().for_each(kill);
    // And through a terminal.
    let pty = Pty::open();
    let two = pty.run(&inject(
        &mark,
        "trap '' HUP TERM INT; echo here; while :; do sleep 1; done",
    ));
    pty.wait_for("here");
    killed(two);
    assert_gone(&mark, "after inject was killed");
    drop(running);
    assert_no_traces(&root);
}

fn killed_it_takes_the_command_along(me: &User) {
    killed_with(me, &[], &[], "plain");
    killed_with(me, &["--no-console"], &[], "noconsole");
    let cleared = ["/opt/setpriv", "--pdeathsig", "clear"];
    killed_with(me, &[], &cleared, "cleared");
}

fn killed_it_takes_another_users_command_along(me: &User) {
    killed_with(me, &["--user", "daemon"], &[], "user");
    let other = [
        "/opt/setpriv",
        "--reuid",
        "1",
        "--regid",
        "1",
        "--clear-groups",
    ];
    killed_with(me, &[], &other, "setpriv");
}

fn killed_at_every_system_call(me: &User) {
    each_system_call(me, &[], "calls");
}

fn killed_at_every_system_call_of_another_user(me: &User) {
    each_system_call(me, &["--user", "daemon"], "usercalls");
}

/// inject killed on entry to each of its own system calls up to the one in
/// which it waits; strace follows no child.
fn each_system_call(me: &User, options: &[&str], test: &str) {
    let root = root(me);
    let mut running = me.up(&root, &[]);
    let mark = mark(me, test);
    let cmd = me.inject().args(options).arg(running.pid().to_string());
    let cmd = cmd.args([
        "/bin/sh",
        "-c",
        &format!("echo here; : {mark}; exec sleep 1000"),
    ]);
    let traced = cmd.clone().under(["strace", "-o", "!cat >&2"]).start();
    traced.wait_for("here");
    std::thread::sleep(Duration::from_millis(100));
    let text = traced.stderr();
    children(traced.pid()).into_iter().for_each(kill);
    drop(traced);
    assert_gone(&mark, "after the first");
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let names = text
        .lines()
        .filter_map(|line| line.split_once('(').map(|(name, _)| name));
    let names: Vec<&str> = names
        .filter(|name| name.bytes().all(|b| b != b' '))
        .collect();
    // What comes before reads alone.
    let first = names
        .iter()
        .position(|name| *name == "rt_sigprocmask")
        .unwrap();
    assert!(names.len() > first + 10, "{names:?}");
    for (at, name) in names.iter().enumerate() {
        let count = counts.entry(name).or_default();
        *count += 1;
        if at < first {
            continue;
        }
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let strace = [
            "strace",
            "-o",
            "/dev/null",
            "-e",
            "trace=all",
            "-e",
            &inject,
        ];
        let mut run = cmd.clone().under(strace).start();
        let mut quiet = 0;
        let done = eventually(30 * SECOND, || {
            quiet += usize::from(run.heard("here", Duration::ZERO));
            run.try_wait().is_some() || quiet > 40
        });
        assert!(done, "{inject}: {}", run.stderr());
        if run.try_wait().is_none() {
            // A run that took another way: killed at its last moment instead.
            children(run.pid()).into_iter().for_each(kill);
        }
        drop(run);
        assert_gone(&mark, &inject);
    }
    assert!(alive(running.init()), "the container has ended");
}

fn a_hundred_at_once(me: &User) {
    let root = root(me);
    let mut running = me.up(&root, &[]);
    let init = running.init();
    let mark = mark(me, "hundred");
    let script = format!("cat; : {mark}; readlink /proc/self/ns/pid; exit 7");
    let cmd = me.inject().arg(running.pid().to_string());
    let cmd = cmd.args(["/bin/sh", "-c", &script]).input("in\n");
    let all: Vec<Running> = (0..100).map(|_| cmd.start()).collect();
    let inside = tests::namespace(init, "pid");
    for one in all {
        let out = one.finish();
        assert_eq!(
            out.status_is(7).stdout(),
            format!("in\n{inside}\n"),
            "{out}"
        );
        assert_eq!(out.stderr, "", "{out}");
    }
    assert_gone(&mark, "after a hundred");
    let below = || children(init).len();
    assert!(
        eventually(SECOND, || below() == 1),
        "{} in the container",
        below()
    );
    drop(running);
    assert_no_traces(&root);
}

/// The command is started, or is not, and ends with its container.
fn a_container_that_ends_meanwhile(me: &User) {
    let mark = mark(me, "race");
    let file = format!("/tmp/{mark}");
    let (mut ran, mut failed) = (0, 0);
    let root = root(me);
    for step in 0..=40 {
        let mut running = me.up(&root, &[]);
        let init = running.init();
        let script = format!(": {mark}; touch {file}; echo here; exec sleep 1000");
        let cmd = me.inject().arg(running.pid().to_string());
        if step == 0 {
            kill(init);
        }
        let inside = cmd.args(["/bin/sh", "-c", &script]).start();
        match step {
            40 => drop(inside.wait_for("here")),
            _ => std::thread::sleep(Duration::from_micros(step * 300)),
        }
        kill(if step % 2 == 0 { init } else { running.pid() });
        let out = inside.finish();
        assert!(!Path::new(&file).exists(), "ran on the host{out}");
        match out.code() {
            Some(137) => ran += 1,
            Some(1) => {
                out.refused(1);
                failed += 1;
            }
            _ => panic!("{out}"),
        }
        drop(running);
        assert_gone(&mark, "after its container");
        assert_no_traces(&root);
    }
    assert!(ran > 0 && failed > 0, "{ran} ran, {failed} did not");
}

/// The same for the terminal inside, which only a terminal outside asks for.
/// As root alone strace can read the paths of a process that is not dumpable.
fn every_call_for_a_terminal_fails_once(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let mark = mark(me, "terminal");
    let file = format!("/tmp/{mark}");
    let ptmx = ["-P", "/dev/pts/ptmx"];
    for (path, call) in [
        (&ptmx[..], "openat:error=EACCES:when=1"),
        (&ptmx, "fstatfs:error=EIO:when=1"),
        (&ptmx, "ioctl:error=EIO:when=1"),
        (&ptmx, "ioctl:error=EIO:when=2"),
        (&[], "dup2:error=EBADF:when=1"),
        (&[], "fchown:error=EPERM:when=1"),
        (&[], "setsid:error=EPERM:when=1"),
    ] {
        let inject_call = format!("inject={call}");
        let strace = ["strace", "-f", "-o", "/dev/null", "-e", &inject_call];
        let strace = strace.into_iter().chain(path.iter().copied());
        let pty = Pty::open();
        let inside = pty.run(&inject(me, &running, &file).under(strace));
        assert_eq!(inside.ended(), Some(1), "{call}: {:?}", pty.screen());
        let said = |screen: &[u8]| String::from_utf8_lossy(screen).contains("inject: cannot ");
        assert!(pty.shows(said), "{call}: {:?}", pty.screen());
        assert!(
            !root.at(&file).exists() && !Path::new(&file).exists(),
            "{call}"
        );
        assert_gone(&mark, call);
    }
}
