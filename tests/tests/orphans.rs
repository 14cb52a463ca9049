//! SIGKILL of the supervisor, at every moment: nothing of the container
//! outlives it by more than a second, whatever init has done to itself.

use std::collections::HashMap;
use std::time::Duration;

use tests::{
    Cmd, Root, Running, SECOND, User, assert_no_traces, children, each_user, eventually,
    host_is_root, kill, libraries, root, skip, some_users,
};

each_user!(
    a_shell,
    by_a_fault,
    with_a_console,
    a_cleared_death_signal,
    a_stopped_init,
    helpers_end_too,
    during_the_start,
    at_every_system_call,
);

some_users!(
    a_change_of_ids: root delegated,
    a_set_id_program: root delegated,
    during_the_start_of_a_set_id_program: root delegated,
    at_every_system_call_with_another_id: root delegated,
);

/// The command, whose init says `up` and stays.
fn start_with(me: &User, root: &Root, init: &[&str]) -> Cmd {
    me.contain().arg("-c").arg(root).args(init)
}

const SHELL: [&str; 3] = ["/bin/sh", "-c", "echo up; sleep 1000; :"];
const OTHER_ID: [&str; 6] = [
    "/bin/su",
    "-s",
    "/bin/sh",
    "daemon",
    "-c",
    "echo up; exec sleep 1000",
];
const SET_ID: [&str; 3] = ["/bin/set-id", "-c", "echo up; exec sleep 1000"];

/// A shell that runs as another id by its own set-id bits.
fn with_set_id(me: &User) -> Root {
    let root = root(me);
    root.install("/bin/dash", "/bin/set-id");
    for library in libraries("/bin/dash") {
        root.install(&library, &library);
    }
    root.give("/bin/set-id", me, 1, 0o6755);
    root
}

/// Kills the supervisor of a running container and looks for what is left.
fn kill_when_up(cmd: &Cmd, root: &Root) {
    signal_when_up(cmd, root, libc::SIGKILL);
}

fn signal_when_up(cmd: &Cmd, root: &Root, signal: libc::c_int) {
    let running = cmd.start();
    running.wait_for("up");
    running.signal(signal);
    let out = running.finish();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&out.status),
        Some(signal),
        "{out}"
    );
    assert_no_traces(root);
}

fn a_shell(me: &User) {
    let root = root(me);
    kill_when_up(&start_with(me, &root, &SHELL), &root);
    kill_when_up(
        &me.sh(
            &root,
            "setsid sleep 1000 & (trap '' TERM HUP INT; sleep 1000) & echo up; wait",
        ),
        &root,
    );
}

/// One that somebody sends is as deadly as one that happens.
fn by_a_fault(me: &User) {
    let root = root(me);
    for fault in [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT] {
        signal_when_up(&start_with(me, &root, &SHELL), &root, fault);
    }
}

fn with_a_console(me: &User) {
    let root = root(me);
    kill_when_up(&me.contain().arg(&root).args(SHELL), &root);
    let pty = tests::Pty::open();
    let mut running =
        pty.run(
            &me.contain()
                .arg(&root)
                .args(["/bin/sh", "-c", "echo Ready; sleep 1000; :"]),
        );
    pty.wait_for("Ready");
    kill(running.pid());
    assert!(eventually(5 * SECOND, || running.try_wait().is_some()));
    assert_no_traces(&root);
}

fn a_change_of_ids(me: &User) {
    let root = root(me);
    kill_when_up(&start_with(me, &root, &OTHER_ID), &root);
}

fn a_set_id_program(me: &User) {
    if !host_is_root() {
        skip!("giving a file to another id needs root");
    }
    let root = with_set_id(me);
    kill_when_up(&start_with(me, &root, &SET_ID), &root);
}

fn a_cleared_death_signal(me: &User) {
    let root = root(me);
    root.install("/usr/bin/setpriv", "/opt/setpriv");
    for library in libraries("/usr/bin/setpriv") {
        root.install(&library, &library);
    }
    let init = [
        "/opt/setpriv",
        "--pdeathsig",
        "clear",
        "/bin/sh",
        "-c",
        "echo up; exec sleep 1000",
    ];
    kill_when_up(&start_with(me, &root, &init), &root);
}

/// A stopped process acts on nothing but SIGKILL.
fn a_stopped_init(me: &User) {
    let root = root(me);
    let mut running = start_with(me, &root, &SHELL).start();
    running.wait_for("up");
    let init = running.init();
    tests::send(init, libc::SIGSTOP);
    kill(running.pid());
    drop(running);
    assert_no_traces(&root);
}

fn helpers_end_too(me: &User) {
    let root = root(me);
    let cmd = me
        .contain()
        .args(["-c", "-i", "echo up; exec sleep 1000"])
        .arg(&root)
        .arg("/bin/true");
    let running = cmd.start();
    running.wait_for("up");
    kill(running.pid());
    drop(running.finish());
    assert_no_traces(&root);
}

fn during_the_start(me: &User) {
    let root = root(me);
    stepped(&start_with(me, &root, &SHELL), &root);
}

fn during_the_start_of_a_set_id_program(me: &User) {
    if !host_is_root() {
        skip!("giving a file to another id needs root");
    }
    let root = with_set_id(me);
    stepped(&start_with(me, &root, &SET_ID), &root);
}

/// Sixty starts, each killed a little later than the one before.
fn stepped(cmd: &Cmd, root: &Root) {
    for step in 0..60 {
        let running = cmd.start();
        std::thread::sleep(Duration::from_micros(step * 100));
        kill(running.pid());
        drop(running.finish());
        assert_no_traces(root);
    }
}

fn at_every_system_call(me: &User) {
    let root = root(me);
    each_system_call(&start_with(me, &root, &SHELL), &root);
}

fn at_every_system_call_with_another_id(me: &User) {
    let root = root(me);
    each_system_call(&start_with(me, &root, &OTHER_ID), &root);
}

/// The supervisor killed on entry to each of its system calls until it waits
/// for the running container; strace follows no child, so all else runs on.
fn each_system_call(cmd: &Cmd, root: &Root) {
    let mut counts = HashMap::new();
    let calls = system_calls(cmd, root);
    assert!(calls.len() > 20, "{calls:?} are no start");
    for name in &calls {
        let count = counts.entry(name).or_insert(0);
        *count += 1;
        // strace counts each system call by its name.
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let mut running = under_strace(cmd, &["-o", "/dev/null", "-e", &inject]).start();
        if !up_or_ended(&mut running) {
            // A run that took another way: killed at its last moment instead.
            children(running.pid()).into_iter().for_each(kill);
        }
        let out = running.finish();
        let signal = std::os::unix::process::ExitStatusExt::signal(&out.status);
        assert_eq!(signal, Some(9), "killed in {name} {count}{out}");
        assert_no_traces(root);
    }
}

fn under_strace(cmd: &Cmd, options: &[&str]) -> Cmd {
    let front = ["strace", "-e", "trace=all"]
        .into_iter()
        .chain(options.iter().copied());
    cmd.clone().under(front)
}

/// Waits until init is up and the supervisor has had time to go to sleep, or
/// the supervisor ends; whether it has ended.
fn up_or_ended(running: &mut Running) -> bool {
    let mut quiet = 0;
    let done = eventually(30 * SECOND, || {
        quiet += usize::from(running.heard("up", Duration::ZERO));
        running.try_wait().is_some() || quiet > 40
    });
    assert!(done, "neither up nor ended; {}", running.stderr());
    running.try_wait().is_some()
}

/// The names of the supervisor's system calls after its own execve, up to
/// the one in which it waits.
fn system_calls(cmd: &Cmd, root: &Root) -> Vec<String> {
    let mut running = under_strace(cmd, &["-o", "!cat >&2"]).start();
    assert!(!up_or_ended(&mut running), "{}", running.stderr());
    let text = running.stderr();
    children(running.pid()).into_iter().for_each(kill);
    drop(running.finish());
    assert_no_traces(root);
    let names = text
        .lines()
        .filter_map(|line| line.split_once('(').map(|(name, _)| name.trim()));
    let names = names.filter(|name| {
        name.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    });
    names.skip(1).map(str::to_owned).collect()
}
