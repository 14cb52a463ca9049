//! --init: CMD as PID 2 under a small init of ours, which reaps what nobody
//! waits for, passes signals on and ends as CMD ends.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use tests::{
    Cmd, Pty, Root, SECOND, User, assert_no_traces, children, comm, each_user, eventually,
    host_is_root, kill, root, skip, some_users, status_field,
};

each_user!(
    the_command_is_pid_2,
    the_callers_environment_is_nowhere,
    orphans_are_reaped,
    statuses_are_the_commands,
    deaths_by_signal_are_128_and_the_number,
    a_command_that_cannot_run,
    stops_reach_the_command,
    keys_that_stop_freeze_nothing,
    what_is_left_dies_with_the_command,
    the_command_can_reboot,
    inject_enters_beside_it,
    killing_the_supervisor_leaves_nothing,
);

some_users!(
    killing_the_supervisor_of_another_id_leaves_nothing: root delegated,
);

fn sh(me: &User, root: &Root, script: &str) -> Cmd {
    me.contain()
        .args(["-c", "--init"])
        .arg(root)
        .args(["/bin/sh", "-c", script])
}

fn the_command_is_pid_2(me: &User) {
    let root = root(me);
    let script = "echo $$ $PPID; cat /proc/1/comm; all=$(ls /proc); echo \"$all\" | grep -c '^[0-9]*$'; ls -l /proc/1/fd | grep -c -v -e total -e pidfd; pwd; id -u";
    let said = sh(me, &root, script).run().ok();
    // Nothing else runs: init, the shell and ls.
    assert_eq!(said, "2 1\ninit\n3\n3\n/\n0");
    let out = me.contain().arg("--init").arg(&root);
    let out = out.args(["/bin/sh", "-c", "echo $$"]).run();
    out.says("2");
}

fn the_callers_environment_is_nowhere(me: &User) {
    let root = root(me);
    let cmd = me.contain().args(["-c", "--init"]).arg(&root);
    let script = "cat /proc/1/environ /proc/2/environ /proc/1/cmdline | tr '\\0' '\\n'";
    let out = cmd
        .args(["/bin/sh", "-c", script])
        .env("SECRET", "hidden-word")
        .run();
    let said = out.stdout();
    assert!(said.contains("container=contain"), "{out}");
    assert!(
        !said.contains("hidden-word") && !said.contains("SECRET"),
        "{out}"
    );
    // Not in its memory either: it is a program executed afresh.
    let mut running = sh(me, &root, "echo up; sleep 1000; :")
        .env("SECRET", "hidden-word")
        .start();
    running.wait_for("up");
    let init = running.init();
    if host_is_root() {
        let maps = fs::read_to_string(format!("/proc/{init}/maps")).unwrap();
        let memory = fs::File::open(format!("/proc/{init}/mem")).unwrap();
        for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
            let range = line.split(' ').next().unwrap();
            let (from, to) = range.split_once('-').unwrap();
            let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            let _ = std::os::unix::fs::FileExt::read_exact_at(&memory, &mut bytes, from);
            let found = bytes.windows(11).any(|window| window == b"hidden-word");
            assert!(!found, "in {line}");
        }
    }
}

/// Five hundred, that end before and after they are orphans.
fn orphans_are_reaped(me: &User) {
    let root = root(me);
    let script = "
        i=0; while [ $i -lt 250 ]; do (true & sleep 0.1 &); i=$((i+1)); done
        wait
        i=0; while [ $i -lt 200 ]; do
            left=$(grep -l '^PPid:[[:space:]]1$' /proc/[0-9]*/status 2>/dev/null | wc -l)
            [ $left = 1 ] && break
            i=$((i+1)); sleep 0.05
        done
        echo left $left; exit 6";
    let out = sh(me, &root, script).run();
    assert_eq!(out.status_is(6).stdout(), "left 1\n", "{out}");
    assert_no_traces(&root);
}

fn statuses_are_the_commands(me: &User) {
    let root = root(me);
    for status in [
        0, 1, 2, 63, 64, 100, 126, 127, 128, 129, 133, 137, 200, 254, 255,
    ] {
        sh(me, &root, &format!("exit {status}"))
            .run()
            .status_is(status);
    }
}

/// All that end a process by default, signal(7), real-time ones included;
/// sent to one that is no shell, because a shell may ignore some.
fn deaths_by_signal_are_128_and_the_number(me: &User) {
    let root = root(me);
    let harmless = [17, 18, 19, 20, 21, 22, 23, 28, 32, 33];
    for signal in (1..=64).filter(|signal| !harmless.contains(signal)) {
        let script = format!(
            "(while ! grep -q sleep /proc/2/comm; do :; done; kill -{signal} 2) & exec sleep 1000"
        );
        let out = sh(me, &root, &script).limit(20 * SECOND).run();
        assert_eq!(out.code(), Some(128 + signal), "{out}");
    }
    assert_no_traces(&root);
}

fn a_command_that_cannot_run(me: &User) {
    let root = root(me);
    root.write("/not-executable", "", 0o644);
    root.write("/no-interpreter", "#!/no/such/shell\n", 0o755);
    for (command, status, fact) in [
        ("/no/such/command", 127, "/no/such/command"),
        ("no-such-command", 127, "no-such-command"),
        ("/no-interpreter", 127, "/no/such/shell"),
        ("/not-executable", 126, "denied"),
        ("/etc", 126, "directory|denied"),
    ] {
        let out = me.contain().arg("--init").arg(&root).arg(command).run();
        out.refused_naming(status, &[fact]);
        assert_no_traces(&root);
    }
}

/// As PID 2 it has the default actions that PID 1 lacks.
fn stops_reach_the_command(me: &User) {
    let root = root(me);
    for options in [&["--init"][..], &["-c", "--init"]] {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGUSR1, 37] {
            let cmd = me.contain().args(options).arg(&root);
            let script = "echo up; exec sleep 1000";
            let mut running = cmd.args(["/bin/sh", "-c", script]).start();
            running.wait_for("up");
            let init = running.init();
            let sleeps = || children(init).into_iter().any(|pid| comm(pid) == "sleep");
            assert!(eventually(10 * SECOND, sleeps));
            running.signal(signal);
            running.finish().status_is(128 + signal);
        }
    }
    let script = "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.05; done";
    let running = sh(me, &root, script).start();
    running.wait_for("up").signal(libc::SIGTERM);
    assert_eq!(running.finish().status_is(3).stdout(), "up\nbye\n");
    assert_no_traces(&root);
}

/// As without --init: who would let the command go on? The jobs of a shell inside
/// are the shell's.
fn keys_that_stop_freeze_nothing(me: &User) {
    let root = root(me);
    for options in [&["--init"][..], &[]] {
        let pty = Pty::open();
        let script = "echo Ready; read word; echo \"($word)\"; exit 3";
        let cmd = me.contain().args(options).arg(&root);
        let running = pty.run(&cmd.args(["/bin/sh", "-c", script]));
        pty.wait_for("Ready").keys("\x1a").wait_for("^Z");
        pty.keys("word\n").wait_for("(word)");
        assert_eq!(running.ended(), Some(3));

        let pty = Pty::open();
        let cmd = me.contain().args(options).arg(&root);
        let running = pty.run(&cmd.args(["/bin/sh", "-i"]));
        assert!(pty.wait_for("# ").has_job_control(), "{:?}", pty.screen());
        pty.keys("sh -c 'echo slee$((1))ping; exec sleep 1000'\n");
        pty.wait_for("slee1ping").keys("\x1a").wait_for("Stopped");
        pty.keys("fg\n").wait_for("fg\r\nsh -c").keys("\x03");
        pty.wait_for("^C").keys("echo interrupted:$?\n");
        // Its exit may refuse: it counts the job among the stopped for a while.
        pty.wait_for("interrupted:130")
            .keys("exec sh -c 'exit 4'\n");
        assert_eq!(running.ended(), Some(4), "{}", pty.screen());
    }
    assert_no_traces(&root);
}

fn what_is_left_dies_with_the_command(me: &User) {
    let root = root(me);
    let script = "(trap '' TERM HUP; setsid sleep 1000) & sleep 1000 & exit 5";
    sh(me, &root, script).run().status_is(5);
    assert_no_traces(&root);
}

fn the_command_can_reboot(me: &User) {
    let root = root(me);
    let script = "echo >>/boots; if [ $(wc -l </boots) -lt 3 ]; then reboot -f; else poweroff -f; fi; sleep 1000";
    sh(me, &root, script).limit(20 * SECOND).run().status_is(0);
    assert_eq!(fs::read_to_string(root.at("/boots")).unwrap().len(), 3);
    assert_no_traces(&root);
}

fn inject_enters_beside_it(me: &User) {
    let root = root(me);
    let mut running = sh(me, &root, "echo up; sleep 1000; :").start();
    running.wait_for("up");
    running.init();
    let pid = running.pid().to_string();
    let script = "cat /proc/1/comm /proc/2/comm; exit 8";
    let out = me.inject().args([&pid, "/bin/sh", "-c", script]).run();
    assert_eq!(out.status_is(8).stdout(), "init\nsh\n", "{out}");
    // An injected orphan is reaped like any other.
    let script = "(sleep 0.1 &); exit 0";
    me.inject().args([&pid, "/bin/sh", "-c", script]).run().ok();
    let init = running.init();
    let zombies = || {
        let state = |pid| status_field(pid, "State").unwrap_or_default();
        children(init)
            .into_iter()
            .filter(|&pid| state(pid).starts_with('Z'))
            .count()
    };
    std::thread::sleep(SECOND / 2);
    assert_eq!(zombies(), 0);
}

fn killed(cmd: &Cmd, root: &Root) {
    let running = cmd.start();
    running.wait_for("up");
    kill(running.pid());
    let out = running.finish();
    assert_eq!(out.status.signal(), Some(9), "{out}");
    assert_no_traces(root);
    let pty = Pty::open();
    let mut running = pty.run(cmd);
    pty.wait_for("up");
    kill(running.pid());
    assert!(eventually(5 * SECOND, || running.try_wait().is_some()));
    assert_no_traces(root);
}

fn killing_the_supervisor_leaves_nothing(me: &User) {
    let root = root(me);
    for options in [&["--init"][..], &["-c", "--init"]] {
        let script = "setsid sleep 1000 & (trap '' TERM HUP; sleep 1000) & echo up; sleep 1000; :";
        let cmd = me.contain().args(options).arg(&root);
        killed(&cmd.args(["/bin/sh", "-c", script]), &root);
    }
}

/// A command, and an init on a console, that are no longer root's.
fn killing_the_supervisor_of_another_id_leaves_nothing(me: &User) {
    if !host_is_root() {
        skip!("giving a file to another id needs root");
    }
    let root = root(me);
    let init = [
        "/bin/su",
        "-s",
        "/bin/sh",
        "daemon",
        "-c",
        "echo up; exec sleep 1000",
    ];
    for options in [&["--init"][..], &["-c", "--init"], &["-x"], &[]] {
        killed(&me.contain().args(options).arg(&root).args(init), &root);
    }
}
