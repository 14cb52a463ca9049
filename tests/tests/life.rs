//! The life of a container: signals to the supervisor, orphans, and the end
//! by way of init.

use std::process::Command;

use tests::{
    SECOND, User, alive, assert_no_traces, children, comm, each_user, eventually, kill, root, send,
};

each_user!(
    a_late_signal_does_not_hide_the_status,
    the_supervisor_is_the_parent_of_pid_1,
    it_is_found_by_name,
    killing_the_supervisors_children_ends_it,
    an_init_that_is_killed_ends_it,
    signals_reach_an_init_that_handles_them,
    a_signal_that_init_ignores_ends_it,
    init_reaps_and_the_rest_dies_with_it,
    an_interrupted_start_leaves_nothing,
    poweroff_and_halt_end_it,
);

fn the_supervisor_is_the_parent_of_pid_1(me: &User) {
    let root = root(me);
    let mut running = me.sh(&root, "echo up; sleep 1000; :").start();
    running.wait_for("up");
    let init = running.init();
    assert_eq!(
        children(running.pid())
            .iter()
            .filter(|&&pid| pid == init)
            .count(),
        1
    );
    let inside = children(init);
    assert_eq!(inside.len(), 1, "{inside:?}");
}

/// `pgrep contain` finds exactly the supervisor: no child of it, no guard.
fn it_is_found_by_name(me: &User) {
    let root = root(me);
    for options in [&["-c"][..], &[]] {
        let cmd = me.contain().args(options).arg(&root);
        let mut running = cmd
            .args(["/bin/sh", "-c", "echo up; exec sleep 1000"])
            .start();
        running.wait_for("up");
        let init = running.init();
        assert_eq!(comm(running.pid()), "contain");
        assert!(eventually(5 * SECOND, || comm(init) == "sleep"));
        let others = children(running.pid())
            .into_iter()
            .filter(|&pid| pid != init);
        for other in others {
            assert!(
                !comm(other).contains("contain"),
                "{other} is called {}",
                comm(other)
            );
        }
        // The same as a user would ask, of the processes of this test only.
        let pgrep = Command::new("pgrep")
            .args(["-P", &running.pid().to_string(), "contain"])
            .output();
        assert_eq!(String::from_utf8_lossy(&pgrep.unwrap().stdout), "");
        // Nor does `pgrep -f` take the guard for one, which had its command line.
        let whole = Command::new("pgrep")
            .args(["-P", &running.pid().to_string(), "-f", "contain( -c)? /"])
            .output();
        assert_eq!(String::from_utf8_lossy(&whole.unwrap().stdout), "");
    }
    assert_no_traces(&root);
}

fn killing_the_supervisors_children_ends_it(me: &User) {
    let root = root(me);
    let mut running = me.sh(&root, "echo up; sleep 1000").start();
    running.wait_for("up");
    running.init();
    let pid = running.pid().to_string();
    me.command("pkill")
        .args(["-KILL", "-P", &pid])
        .run()
        .status_is(0);
    running.finish().status_is(137);
    assert_no_traces(&root);
}

fn an_init_that_is_killed_ends_it(me: &User) {
    let root = root(me);
    let mut running = me
        .sh(&root, "sleep 1000 & sleep 1000 & echo up; wait")
        .start();
    running.wait_for("up");
    let init = running.init();
    let inside = children(init);
    kill(init);
    running.finish().status_is(137);
    assert!(inside.iter().all(|&pid| !alive(pid)), "{inside:?}");
    assert_no_traces(&root);
}

fn signals_reach_an_init_that_handles_them(me: &User) {
    let root = root(me);
    for (name, number) in [
        ("TERM", 15),
        ("INT", 2),
        ("HUP", 1),
        ("USR1", 10),
        ("USR2", 12),
        ("RTMIN+3", 37),
    ] {
        let trap = if name == "RTMIN+3" { "37" } else { name };
        let script =
            format!("trap 'echo got {name}; exit 9' {trap}; echo up; while :; do sleep 0.05; done");
        let running = me.sh(&root, &script).limit(20 * SECOND).start();
        running.wait_for("up").signal(number);
        let out = running.finish();
        assert_eq!(
            out.status_is(9).stdout(),
            format!("up\ngot {name}\n"),
            "{out}"
        );
    }
    assert_no_traces(&root);
}

/// PID 1 has no default actions, so one without a handler would never notice.
fn a_signal_that_init_ignores_ends_it(me: &User) {
    let root = root(me);
    for number in [15, 2, 1] {
        let running = me.sh(&root, "echo up; exec sleep 1000").start();
        running.wait_for("up");
        assert!(eventually(5 * SECOND, || children(running.pid())
            .iter()
            .any(|&pid| comm(pid) == "sleep")));
        running.signal(number);
        running.finish().status_is(128 + number);
        assert_no_traces(&root);
    }
}

fn init_reaps_and_the_rest_dies_with_it(me: &User) {
    let root = root(me);
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sleep 1000 &) ; done; exit 4";
    me.sh(&root, script).run().status_is(4);
    assert_no_traces(&root);
}

/// TERM, INT and HUP at every moment of the start: it ends, whatever came
/// first, and says so with the signal or with init's own status.
fn an_interrupted_start_leaves_nothing(me: &User) {
    let root = root(me);
    for step in 0..30u64 {
        let number = [15, 2, 1][usize::try_from(step % 3).unwrap()];
        let running = me
            .contain()
            .arg("-c")
            .arg(&root)
            .args(["/bin/sleep", "1000"])
            .limit(20 * SECOND)
            .start();
        std::thread::sleep(std::time::Duration::from_micros(step * 300));
        running.signal(number);
        let out = running.finish();
        let signal = std::os::unix::process::ExitStatusExt::signal(&out.status);
        assert!(
            out.code() == Some(128 + number) || signal == Some(number),
            "{out}"
        );
        assert_no_traces(&root);
    }
}

fn poweroff_and_halt_end_it(me: &User) {
    let root = root(me);
    for command in ["poweroff -f", "halt -f"] {
        let out = me
            .sh(&root, &format!("{command}; sleep 1000"))
            .limit(20 * SECOND)
            .run();
        out.status_is(0);
        assert_no_traces(&root);
    }
}

/// One that arrives between the end of init and our own.
fn a_late_signal_does_not_hide_the_status(me: &User) {
    let root = root(me);
    let script = "echo up; sleep 0.2; exit 7";
    let cmd = me.contain().arg("-c").arg(&root);
    let late = "inject=exit_group:delay_enter=500000";
    let strace = [
        "strace",
        "-o",
        "/dev/null",
        "-e",
        "trace=exit_group",
        "-e",
        late,
    ];
    let running = cmd.args(["/bin/sh", "-c", script]).under(strace).start();
    running.wait_for("up");
    let contain = children(running.pid())[0];
    assert!(eventually(5 * SECOND, || children(contain).is_empty()));
    send(contain, libc::SIGTERM);
    send(contain, libc::SIGUSR1);
    running.finish().status_is(7);
    assert_no_traces(&root);
}
