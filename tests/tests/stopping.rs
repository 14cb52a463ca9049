//! Stopping: what the signals to the supervisor do, how long init may take,
//! and the machines that have a way of their own to power off.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tests::{
    Cmd, Pty, Root, Running, SECOND, User, alive, assert_no_traces, children, comm, debian,
    each_user, eventually, host_is_root, root, skip,
};

each_user!(
    timeout_ends_it_at_its_time,
    timeout_lets_init_stop_in_its_own_way,
    every_other_signal_passes,
    another_stop_signal,
    no_such_stop_signal,
    patience_ends,
    patience_of_months,
    a_second_request_kills_at_once,
    a_stop_before_init_has_handlers_ends_it,
    busybox_powers_off_by_its_own_signal,
    a_machine_that_blocks_its_signals_is_asked,
    a_runit_machine_is_a_boot_log_and_powers_off,
    the_script_that_started_it_ends,
    what_is_ignored_at_the_start_does_nothing,
);

const LOOP: &str = "echo up; while :; do sleep 0.05; done";

/// The same, of one who will not go.
const STUBBORN: &str = "trap 'echo asked' TERM INT HUP; echo up; while :; do sleep 0.05; done";

#[track_caller]
fn up(me: &User, root: &Root, options: &[&str], script: &str) -> Running {
    let cmd = me.contain().args(options).arg(root);
    let running = cmd.args(["/bin/sh", "-c", script]).start();
    running.wait_for("up");
    running
}

/// `timeout 1 contain DIR sleep 60`, with every kind of streams.
fn timeout_ends_it_at_its_time(me: &User) {
    let root = root(me);
    for options in [&[][..], &["-c"], &["--init"]] {
        let begun = Instant::now();
        let cmd = me.contain().args(options).arg(&root);
        let cmd = cmd.args(["sleep", "1000"]);
        let out = cmd.under(["timeout", "--preserve-status", "1"]).run();
        out.status_is(143);
        assert!(begun.elapsed() < 8 * SECOND, "{options:?}");
        assert_no_traces(&root);
    }
    let pty = Pty::open();
    let before = pty.settings();
    let cmd = me.contain().arg(&root).args(["sleep", "1000"]);
    let running = pty.run(&cmd.under(["timeout", "--foreground", "1"]));
    assert_eq!(running.ended(), Some(124));
    assert_eq!(before, pty.settings());
    assert_no_traces(&root);
}

/// It sends its signal twice, to its child and to its process group: that is
/// one request.
fn timeout_lets_init_stop_in_its_own_way(me: &User) {
    let root = root(me);
    let script = format!("trap 'sleep 0.3; echo bye; exit 7' TERM; {LOOP}");
    for options in [&[][..], &["-c"], &["--init"]] {
        for _ in 0..5 {
            let cmd = me.contain().args(options).arg(&root);
            let cmd = cmd.args(["/bin/sh", "-c", &script]);
            let out = cmd.under(["timeout", "--preserve-status", "0.4"]).run();
            assert!(out.status_is(7).stdout().ends_with("bye\n"), "{out}");
        }
    }
    assert_no_traces(&root);
}

/// All but those that stop, those of children and terminals, and those that a
/// failing program raises against itself.
fn every_other_signal_passes(me: &User) {
    let root = root(me);
    let fixed = [3, 10, 12, 14, 16, 24, 25, 26, 27, 29, 30];
    let signals: Vec<i32> = fixed.into_iter().chain([34, 35, 37, 50, 63, 64]).collect();
    let mut script = String::new();
    for signal in &signals {
        script += &format!("trap 'echo got {signal}.' {signal}; ");
    }
    for options in [&[][..], &["-c"], &["--init"]] {
        let running = up(me, &root, options, &format!("{script}{LOOP}"));
        for signal in &signals {
            running.signal(*signal);
            running.wait_for(&format!("got {signal}.\n"));
        }
        let said = running.stdout();
        assert_eq!(said.matches("got").count(), signals.len(), "{said}");
    }
}

fn another_stop_signal(me: &User) {
    let root = root(me);
    for (signal, number) in [
        ("USR1", 10),
        ("SIGUSR1", 10),
        ("usr1", 10),
        ("10", 10),
        ("RTMIN+3", 37),
        ("SIGRTMAX-1", 63),
        ("HUP", 1),
    ] {
        let script = format!("trap 'echo stop; exit 5' {number}; {LOOP}");
        let running = up(me, &root, &["--stop-signal", signal], &script);
        running.signal(libc::SIGTERM);
        let out = running.finish();
        assert_eq!(out.status_is(5).stdout(), "up\nstop\n", "{signal}{out}");
    }
    // One that init does not handle would be lost.
    let running = up(me, &root, &["--stop-signal", "USR1"], STUBBORN);
    running.signal(libc::SIGTERM);
    assert_eq!(running.finish().status_is(143).stdout(), "up\n");
    assert_no_traces(&root);
}

fn no_such_stop_signal(me: &User) {
    let root = root(me);
    for options in [
        ["--stop-signal", "NOPE"],
        ["--stop-signal", "0"],
        ["--stop-signal", "65"],
        ["--stop-signal", "-1"],
        ["--stop-signal", "RTMIN++3"],
        ["--stop-signal", ""],
        ["--stop-timeout", "-1"],
        ["--stop-timeout", "x"],
        ["--stop-timeout", ""],
    ] {
        let cmd = me.contain().args(options).arg(&root);
        cmd.arg("/bin/true").run().refused(64);
    }
}

fn patience_ends(me: &User) {
    let root = root(me);
    for (signal, patience) in [(15, "1"), (2, "1"), (1, "0")] {
        let running = up(me, &root, &["--stop-timeout", patience], STUBBORN);
        running.signal(signal);
        let out = running.limit(9 * SECOND).finish();
        out.status_is(128 + signal);
        // Without patience it may have been asked all the same.
        assert!(patience == "0" || out.stdout().contains("asked"), "{out}");
        assert_no_traces(&root);
    }
    // Nobody is killed who is quick enough.
    let script = format!("trap 'sleep 1; exit 3' TERM; {LOOP}");
    let running = up(me, &root, &["--stop-timeout", "600"], &script);
    running.signal(libc::SIGTERM);
    running.finish().status_is(3);
}

/// The longest that poll(2) can wait is 24 days, after which there is more to wait.
fn patience_of_months(me: &User) {
    if !host_is_root() || !cfg!(target_arch = "x86_64") {
        skip!("only root on this machine sees how long a call is to wait");
    }
    let root = root(me);
    let running = up(me, &root, &["--stop-timeout", "9000000"], STUBBORN);
    running.signal(libc::SIGTERM);
    let call = format!("/proc/{}/syscall", running.pid());
    let waits = || {
        let call = fs::read_to_string(&call).unwrap_or_default();
        call.starts_with("7 ") && call.split(' ').nth(3) == Some("0x7fffffff")
    };
    let bounded = eventually(SECOND, waits);
    running.signal(libc::SIGKILL);
    running.finish();
    assert!(bounded, "no deadline");
    assert_no_traces(&root);
}

fn a_second_request_kills_at_once(me: &User) {
    let root = root(me);
    for (first, second) in [(15, 15), (15, 2), (1, 15)] {
        for options in [
            &["--stop-timeout", "600"][..],
            &["-c", "--init", "--stop-timeout", "600"],
        ] {
            let running = up(me, &root, options, STUBBORN);
            running.signal(first);
            running.wait_for("asked");
            // Within half a second it would be the same request.
            std::thread::sleep(std::time::Duration::from_millis(600));
            running.signal(second);
            let out = running.finish();
            let code = out.code().unwrap_or_default();
            assert!([128 + first, 128 + second].contains(&code), "{out}");
            assert_no_traces(&root);
        }
    }
}

/// A request that comes while init still starts may be lost on it: then it is
/// killed, and the end comes either way.
fn a_stop_before_init_has_handlers_ends_it(me: &User) {
    let root = root(me);
    let script = format!("trap 'exit 7' TERM; {LOOP}");
    for step in 0..20 {
        let cmd = me.contain().arg(&root).args(["/bin/sh", "-c", &script]);
        let mut running = cmd.start();
        running.init();
        std::thread::sleep(Duration::from_micros(step * 200));
        running.signal(libc::SIGTERM);
        let out = running.finish();
        assert!([Some(7), Some(143)].contains(&out.code()), "{out}");
        assert_no_traces(&root);
    }
}

/// Its init waits for signals without a handler, sigtimedwait(2), so nothing
/// shows that it handles them.
fn busybox_powers_off_by_its_own_signal(me: &User) {
    let root = root(me);
    let inittab = "::sysinit:/bin/echo up\n::shutdown:/bin/echo going down\n";
    root.write("/etc/inittab", inittab, 0o644);
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let running = me.contain().arg(&root).arg("/sbin/init").start();
        running.wait_for("up");
        std::thread::sleep(Duration::from_millis(300));
        running.signal(signal);
        let out = running.finish();
        assert!(out.status_is(0).stdout().contains("going down"), "{out}");
        let said = out.stdout() + &out.stderr;
        assert!(said.contains("system poweroff"), "{out}");
        assert_no_traces(&root);
    }
}

/// As systemd reads its own, from a descriptor.
fn a_machine_that_blocks_its_signals_is_asked(me: &User) {
    let root = root(me);
    let source = r#"
        #include <signal.h>
        #include <stdio.h>
        #include <sys/signalfd.h>
        #include <unistd.h>
        int main(void) {
            struct signalfd_siginfo info;
            sigset_t set;
            sigfillset(&set);
            sigprocmask(SIG_SETMASK, &set, NULL);
            int fd = signalfd(-1, &set, 0);
            puts("up"), fflush(stdout);
            if (read(fd, &info, sizeof info) < 0) return 1;
            printf("read %d\n", info.ssi_signo);
            return 9;
        }
    "#;
    let dir = tests::scratch_dir(me);
    fs::write(dir.join("init.c"), source).unwrap();
    let mut cc = std::process::Command::new("gcc");
    cc.args(["-static", "-o"]).arg(dir.join("init"));
    assert!(cc.arg(dir.join("init.c")).status().expect("gcc").success());
    root.install(dir.join("init").to_str().unwrap(), "/sbin/init-that-reads");
    for options in [&[][..], &["--stop-signal", "RTMIN+3"]] {
        let cmd = me.contain().args(options).arg(&root);
        let running = cmd.arg("/sbin/init-that-reads").start();
        running.wait_for("up").signal(libc::SIGTERM);
        let out = running.finish();
        let number = if options.is_empty() { 15 } else { 37 };
        assert_eq!(out.status_is(9).stdout(), format!("up\nread {number}\n"));
    }
    fs::remove_dir_all(dir).unwrap();
}

/// `contain DIR /sbin/init </dev/null >boot.log`, then TERM.
fn a_runit_machine_is_a_boot_log_and_powers_off(me: &User) {
    let debian = match debian(me) {
        Ok(debian) => debian,
        Err(reason) => skip!("{reason}"),
    };
    let path: &Path = debian.as_ref();
    for entry in fs::read_dir(path.join("etc/runit/runsvdir/default")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("getty") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    let dir = tests::scratch_dir(me);
    let log = dir.join("boot.log");
    let cmd = me.contain().arg(path).arg("/sbin/init").env("LOG", &log);
    let mut running = cmd.under_bash(r#"exec "$@" </dev/null >"$LOG""#).start();
    let init = running.init();
    let services = || {
        children(init)
            .into_iter()
            .any(|pid| comm(pid) == "runsvdir")
    };
    assert!(eventually(40 * SECOND, services), "no stage 2");
    std::thread::sleep(Duration::from_millis(500));
    running.signal(libc::SIGTERM);
    let out = running.finish();
    let text = fs::read_to_string(&log).unwrap();
    out.status_is(0);
    let mut rest = &text[..];
    for step in [
        "booting",
        "enter stage: /etc/runit/1",
        "leave stage: /etc/runit/1",
        "enter stage: /etc/runit/2",
        "enter stage: /etc/runit/3",
        "Will now halt",
    ] {
        let at = rest.find(step);
        rest = &rest[at.unwrap_or_else(|| panic!("no {step:?} in {text}"))..];
    }
    assert!(!text.contains('\r'), "carriage returns in {text:?}");
    assert_no_traces(path);
    fs::remove_dir_all(dir).unwrap();
}

/// By a trap, as such scripts have.
fn the_script_that_started_it_ends(me: &User) {
    let root = root(me);
    let running = me
        .contain()
        .arg(&root)
        .args(["/bin/sh", "-c", "echo up; exec sleep 1000"])
        .under_bash(r#"trap 'kill %1; wait; exit 3' TERM; "$@" & wait"#)
        .start();
    running.wait_for("up");
    let supervisor = children(running.pid())[0];
    running.signal(libc::SIGTERM);
    running.finish().status_is(3);
    assert!(!alive(supervisor));
    assert_no_traces(&root);
}

/// As under nohup, and in the background of a script. Init starts with the default
/// actions all the same.
fn what_is_ignored_at_the_start_does_nothing(me: &User) {
    let root = root(me);
    let ignored = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT];
    let script = "grep SigIgn /proc/self/status; trap 'echo asked' HUP INT QUIT; echo up; \
                  while :; do sleep 0.05; done";
    let ignoring = |cmd: Cmd| {
        let cmd = cmd.args(["/bin/sh", "-c", script]);
        let running = cmd.under_bash(r#"trap '' HUP INT QUIT; exec "$@""#).start();
        running.wait_for("up");
        running
    };
    for options in [&[][..], &["-c", "--init"]] {
        let container = ignoring(me.contain().args(options).arg(&root));
        let pid = container.pid().to_string();
        let command = ignoring(me.inject().arg(&pid));
        for running in [command, container] {
            ignored.iter().for_each(|signal| running.signal(*signal));
            std::thread::sleep(Duration::from_millis(300));
            // The end that is not ignored comes after all that was passed on.
            running.signal(libc::SIGTERM);
            let out = running.finish();
            out.status_is(143);
            let none = format!("SigIgn:\t{:016x}\nup\n", 0);
            assert_eq!(out.stdout(), none, "{options:?}{out}");
        }
        assert_no_traces(&root);
    }
    // While it starts.
    let cmd = me.contain().args(["-i", "echo up; sleep 0.5"]).arg(&root);
    let cmd = cmd.arg("/bin/true");
    let starting = cmd.under_bash(r#"trap '' HUP INT QUIT; exec "$@""#).start();
    starting.wait_for("up");
    ignored.iter().for_each(|signal| starting.signal(*signal));
    starting.finish().status_is(0);
}
