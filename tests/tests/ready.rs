//! --ready-fd: scripts that start a container know when it runs.

use std::fs;

use tests::{Cmd, Pty, Root, SECOND, User, assert_no_traces, each_user, eventually, init_of, root};

each_user!(
    it_names_init_and_ends,
    inject_works_at_once,
    it_says_nothing_when_nothing_runs,
    it_is_written_once_across_reboots,
    a_bad_descriptor_is_a_usage_error,
    nothing_inside_has_it,
    nobody_has_to_wait_for_it,
    it_works_with_a_terminal,
);

/// The command with descriptor 3 on a file of the root's.
fn with_fd(cmd: Cmd, root: &Root) -> Cmd {
    cmd.env("READY", root.at("/ready"))
        .under_bash(r#"exec 3>"$READY"; exec "$@""#)
}

fn said(root: &Root) -> String {
    fs::read_to_string(root.at("/ready")).unwrap_or_default()
}

/// A file that the caller may write, unlike what is the container root's.
fn writable(me: &User) -> Root {
    let root = root(me);
    fs::write(root.at("/ready"), "").unwrap();
    root.chmod("/ready", 0o666);
    root
}

const READY: [&str; 2] = ["--ready-fd", "3"];

fn it_names_init_and_ends(me: &User) {
    for options in [&[][..], &["-c"], &["--init"]] {
        let root = writable(me);
        let cmd = me.contain().args(READY).args(options).arg(&root);
        let mut running = with_fd(cmd.args(["/bin/sleep", "1000"]), &root).start();
        let init = running.init();
        assert!(eventually(20 * SECOND, || said(&root).ends_with('\n')));
        assert_eq!(said(&root), format!("{init}\n"), "{options:?}");
        // Whoever reads a pipe to its end must not wait for the container's.
        let held = fs::read_dir(format!("/proc/{}/fd", running.pid())).unwrap();
        let held = held.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        assert!(!held.into_iter().any(|path| path.ends_with("ready")));
        drop(running);
        assert_no_traces(&root);
    }
}

/// No sleep, no retry: what a script would do.
fn inject_works_at_once(me: &User) {
    let root = root(me);
    let script = r#"
        inject=$1; shift
        exec 4< <("$@" 3>&1 >/dev/null)
        supervisor=$!
        read -r init <&4 || exit 9
        "$inject" "$init" /bin/sh -c 'echo $(readlink /proc/1/exe) $PPID; exit 6'
        echo "status $?"
        kill "$supervisor"
        read -r more <&4; echo "more: $more"
    "#;
    let inject = me.inject().program().to_owned();
    for options in [&[][..], &["-c"], &["--init"]] {
        let cmd = me.contain().args(READY).args(options).arg(&root);
        let cmd = cmd.args(["/bin/sleep", "1000"]).under([&inject]);
        for _ in 0..10 {
            let out = cmd.clone().under_bash(script).limit(20 * SECOND).run();
            let text = out.status_is(0).stdout();
            assert!(text.ends_with(" 0\nstatus 6\nmore: \n"), "{options:?}{out}");
            if options != ["--init"] {
                assert!(text.starts_with("/bin/busybox "), "{out}");
            }
        }
    }
    assert_no_traces(&root);
}

fn it_says_nothing_when_nothing_runs(me: &User) {
    for (options, init, status) in [
        (&[][..], "/no/such/init", 127),
        (&["--init"], "/no/such/init", 127),
        (&["-i", "exit 9"], "/bin/true", 9),
    ] {
        let root = writable(me);
        let cmd = me.contain().args(READY).args(options).arg(&root).arg(init);
        with_fd(cmd, &root).run().status_is(status);
        assert_eq!(said(&root), "", "{options:?} {init}");
    }
}

fn it_is_written_once_across_reboots(me: &User) {
    let root = writable(me);
    let script = "echo >>/boots; [ $(wc -l </boots) -lt 3 ] && reboot -f; exit 4";
    let cmd = me.contain().args(READY).arg(&root);
    let cmd = cmd.args(["/bin/sh", "-c", script]);
    with_fd(cmd, &root).run().status_is(4);
    assert_eq!(said(&root).lines().count(), 1, "{:?}", said(&root));
    assert_eq!(fs::read_to_string(root.at("/boots")).unwrap().len(), 3);
}

/// The container is none the worse for it.
fn nobody_has_to_wait_for_it(me: &User) {
    let root = root(me);
    let cmd = me.contain().args(READY).arg(&root);
    cmd.args(["/bin/sh", "-c", "exit 7"])
        .under_bash(r#"exec 3> >(:); sleep 0.3; exec "$@""#)
        .run()
        .status_is(7);
    assert_no_traces(&root);
}

fn a_bad_descriptor_is_a_usage_error(me: &User) {
    let root = root(me);
    for fd in ["9", "-1", "x", "", "99999999999", "1.5"] {
        let out = me
            .contain()
            .args(["--ready-fd", fd])
            .arg(&root)
            .args(["/bin/sh", "-c", "echo ran >/ran"])
            .run();
        out.refused(64);
    }
    // One that cannot be written to.
    let cmd = me.contain().args(READY).arg(&root);
    let out = cmd
        .args(["/bin/sh", "-c", "sleep 1; echo ran >/ran"])
        .under_bash(r#"exec 3</dev/null; exec "$@""#)
        .run();
    assert_ne!(out.code(), Some(0), "{out}");
    assert!(!root.at("/ran").exists(), "{out}");
    assert_no_traces(&root);
}

fn nothing_inside_has_it(me: &User) {
    let root = writable(me);
    for options in [&["-c"][..], &["-c", "--init"]] {
        let cmd = me.contain().args(READY).args(options).arg(&root);
        let cmd = cmd.args(["/bin/sh", "-c", "ls -l /proc/1/fd /proc/$$/fd 2>/dev/null"]);
        let out = with_fd(cmd, &root).run().ok();
        assert!(!out.contains("ready"), "{out}");
    }
}

fn it_works_with_a_terminal(me: &User) {
    let root = writable(me);
    let pty = Pty::open();
    let cmd = me.contain().args(READY).arg(&root).arg("/bin/sh");
    let running = pty.run(&with_fd(cmd, &root));
    assert!(eventually(20 * SECOND, || said(&root).ends_with('\n')));
    let init = init_of(running.pid()).expect("init");
    assert_eq!(said(&root), format!("{init}\n"));
    pty.wait_for("# ").keys("exit 3\n");
    assert_eq!(running.ended(), Some(3));
}
