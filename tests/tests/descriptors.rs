//! Descriptors and environment: what of the caller reaches init.

use std::fs;

use tests::{SECOND, User, assert_no_traces, each_user, eventually, host_is_root, root, skip};

each_user!(
    descriptors_of_the_caller_are_absent,
    closed_streams_do_not_matter,
    a_closed_stream_that_nothing_can_be_for,
    standard_streams_are_handed_over,
    ignored_and_blocked_signals_are_reset,
    no_capability_is_inheritable,
    the_environment_is_not_the_callers,
    the_mask_and_limits_are_usable,
    the_programs_file_cannot_be_rewritten,
);

fn descriptors_of_the_caller_are_absent(me: &User) {
    let root = root(me);
    let open = "exec 9</etc/passwd 200</etc/passwd 3>/dev/null; exec \"$@\"";
    let list = "for f in /proc/1/fd/*; do echo ${f##*/}; done";
    for console in [&["-c"][..], &[]] {
        let cmd = me
            .contain()
            .args(console)
            .arg(&root)
            .args(["/bin/sh", "-c", list]);
        let out = cmd.under_bash(open).run().ok();
        let mut seen: Vec<u32> = out.lines().map(|line| line.parse().unwrap()).collect();
        seen.sort_unstable();
        // 10 is where a shell keeps its script, and 3 where it reads a directory.
        seen.retain(|fd| ![3, 10].contains(fd));
        assert_eq!(seen, [0, 1, 2], "{out}");
    }
    // The same for helpers inside, and not through the shell's own eyes.
    let mut running = me
        .contain()
        .arg("-c")
        .arg(&root)
        .args(["/bin/sleep", "1000"])
        .under_bash(open)
        .start();
    let init = running.init();
    let count = || fs::read_dir(format!("/proc/{init}/fd")).map_or(0, Iterator::count);
    assert!(
        eventually(5 * SECOND, || count() == 3),
        "{} descriptors",
        count()
    );
}

fn closed_streams_do_not_matter(me: &User) {
    let root = root(me);
    root.write(
        "/report",
        "#!/bin/sh\nfor n in 0 1 2; do readlink /proc/1/fd/$n; done >/var/seen\nexit 3\n",
        0o755,
    );
    for close in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        for console in [&["-c"][..], &[]] {
            let cmd = me.contain().args(console).arg(&root).arg("/report");
            let out = cmd.under_bash(&format!("exec \"$@\" {close}")).run();
            out.status_is(3);
            let seen = fs::read_to_string(root.at("/var/seen")).expect("init did not run");
            // Nothing of ours sits where a stream was closed.
            for bad in ["socket:", "anon_inode", "memfd", "contain-tests"] {
                assert!(!seen.contains(bad), "{close}: {seen}");
            }
            fs::remove_file(root.at("/var/seen")).unwrap();
        }
    }
    assert_no_traces(&root);
}

/// Without a /dev/null a file of ours would get its number.
fn a_closed_stream_that_nothing_can_be_for(me: &User) {
    if !host_is_root() {
        skip!("hiding /dev/null needs root");
    }
    for cmd in [me.contain(), me.pseudo(), me.inject()] {
        let cmd = cmd.arg("--version").under_bash("exec \"$@\" <&-");
        let out = cmd.setup("mount -t tmpfs none /dev").run();
        out.refused_naming(1, &["/dev/null", "No such file"]);
    }
}

fn standard_streams_are_handed_over(me: &User) {
    let root = root(me);
    for console in [&["-c"][..], &[]] {
        let cmd = me.contain().args(console).arg(&root);
        let out = cmd
            .args(["/bin/sh", "-c", "cat; echo error >&2; exit 5"])
            .input("a\0b\r\n\x04\x1b")
            .run();
        assert_eq!(out.status_is(5).bytes, b"a\0b\r\n\x04\x1b", "{out}");
        assert_eq!(tests::errors(&out.stderr), ["error"], "{out}");
    }
}

fn ignored_and_blocked_signals_are_reset(me: &User) {
    let root = root(me);
    let read = ["/bin/grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"];
    let signals = "--ignore-signal=CHLD,PIPE,INT,QUIT,HUP,TERM,USR1,WINCH,TSTP";
    let cmd = me.contain().arg("-c").arg(&root).args(read);
    let out = cmd
        .under(["env", signals, "--block-signal=TERM,USR2,CHLD,ALRM"])
        .run()
        .ok();
    for line in out.lines() {
        let mask = line.split_whitespace().nth(1).unwrap();
        assert_eq!(u64::from_str_radix(mask, 16).unwrap(), 0, "{out}");
    }
    assert_eq!(out.lines().count(), 3);
    // And the supervisor still sees its child's end: ignored SIGCHLD is where
    // waiting goes wrong.
    let cmd = me
        .sh(&root, "exit 6")
        .under(["env", "--ignore-signal=CHLD", "--block-signal=CHLD"]);
    cmd.run().status_is(6);
}

fn no_capability_is_inheritable(me: &User) {
    let root = root(me);
    let out = me
        .sh(&root, "grep -E '^Cap(Inh|Amb|Eff)' /proc/self/status")
        .run()
        .ok();
    for line in out.lines() {
        let (name, mask) = line.split_once(":\t").unwrap();
        let mask = u64::from_str_radix(mask, 16).unwrap();
        assert_eq!(mask == 0, name != "CapEff", "{out}");
    }
}

fn the_environment_is_not_the_callers(me: &User) {
    let root = root(me);
    let script = "env; tr '\\0' '\\n' </proc/1/environ";
    let out = me
        .sh(&root, script)
        .env("SECRET", "x")
        .env("LD_PRELOAD", "")
        .env("IFS", "x")
        .run()
        .ok();
    for name in ["SECRET", "LD_PRELOAD", "USER", "CONTAIN_TEST_MARK"] {
        assert!(!out.contains(&format!("{name}=")), "{name} in {out}");
    }
    // Helpers are the caller's own commands, with the caller's environment.
    let out =
        me.contain()
            .env("SECRET", "x")
            .args(["-c", "-i", "echo $SECRET", "-o", "echo $SECRET"]);
    out.arg(&root).arg("/bin/true").run().says("x\nx");
}

fn the_mask_and_limits_are_usable(me: &User) {
    let root = root(me);
    let cmd = me.sh(&root, "umask; touch /tmp/a; stat -c %a /tmp/a");
    cmd.under_bash("umask 022; exec \"$@\"")
        .run()
        .says("0022\n644");
    // A mask of the caller's does not close what is made for the container.
    let root = tests::root(me);
    let cmd = me.sh(&root, "stat -c %a /dev /proc /sys /dev/null /dev/shm");
    let out = cmd.under_bash("umask 077; exec \"$@\"").run().ok();
    assert_eq!(out, "755\n555\n555\n666\n1777");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(root.at("/sys")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o755);
}

/// An init that is `#!/proc/self/exe` runs the program that execs it, from
/// inside, where it might be opened and rewritten.
fn the_programs_file_cannot_be_rewritten(me: &User) {
    let root = root(me);
    // A copy that belongs to the caller: the file an attack could write.
    let dir = tests::scratch_dir(me);
    for (name, program) in [("contain", me.contain()), ("inject", me.inject())] {
        let copy = dir.join(name);
        tests::install(&fs::read(program.program()).unwrap(), &copy, 0o755);
        if tests::host_is_root() {
            let owner = (me.outside("uid", 0), me.outside("gid", 0));
            std::os::unix::fs::chown(&copy, owner.0, owner.1).unwrap();
        }
    }
    let before = fs::read(dir.join("contain")).unwrap();
    // The file is reached by the link of a process that runs it.
    root.write("/evil", "#!/proc/self/exe\n", 0o755);
    let attack = "for i in 1 2 3 4 5 6 7 8 9; do
            for p in /proc/[0-9]*; do echo x 2>/dev/null >>$p/exe; done
        done; echo done";
    root.write("/attack", format!("#!/bin/sh\n{attack}\n"), 0o755);
    let mut running = me.command(dir.join("contain")).arg("-c").arg(&root);
    running = running.args(["/bin/sh", "-c", "echo up; /attack; /evil; sleep 1000"]);
    let running = running.start();
    running.wait_for("done");
    let supervisor = running.pid().to_string();
    for _ in 0..5 {
        let inject = me
            .command(dir.join("inject"))
            .args([&supervisor, "/evil"])
            .limit(10 * SECOND);
        drop(inject.run());
        drop(
            me.command(dir.join("inject"))
                .args([&supervisor, "/attack"])
                .run(),
        );
    }
    drop(running);
    drop(
        me.command(dir.join("contain"))
            .arg("-c")
            .arg(&root)
            .arg("/evil")
            .limit(20 * SECOND)
            .run(),
    );
    assert!(
        before == fs::read(dir.join("contain")).unwrap(),
        "contain's file was rewritten"
    );
    assert!(
        fs::read(dir.join("inject"))
            .unwrap()
            .starts_with(b"\x7fELF")
    );
    assert_no_traces(&root);
    fs::remove_dir_all(dir).unwrap();
}
