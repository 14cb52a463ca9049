//! What an injected command is and has: whose ids, which variables, directory
//! and terminal, and everything else as init has it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use tests::{
    As, Pty, Running, SECOND, User, each_user, eventually, host_is_root, namespace, root,
    scratch_dir, skip, some_users,
};

each_user!(
    variables,
    a_cleared_environment,
    a_working_directory,
    users_that_are_not_there,
    a_directory_handle_does_not_follow,
    it_is_where_init_is,
    our_terminal_itself,
    a_key_reaches_it_once,
    the_default_shell_without_a_path,
    nothing_inside_may_trace_what_enters,
);

some_users!(
    a_user_by_name_and_number: root delegated,
    the_terminal_is_the_users: root delegated,
    ids_that_are_not_mapped: plain,
);

/// Where fs.suid_dumpable is 1 a change of ids allows it, so each is followed by the
/// call that forbids it: no test may change that setting of the whole machine.
fn nothing_inside_may_trace_what_enters(me: &User) {
    if !host_is_root() {
        skip!("only root may answer for set-id programs");
    }
    let (root, dir) = (root(me), scratch_dir(me));
    let running = me.up(&root, &[]);
    let log = dir.join("log");
    let front = format!(
        "FRONT='{} {} inject -'",
        env!("CARGO_BIN_EXE_fail"),
        log.display()
    );
    let cmd = sh(me, &running, &["--user", "0:0"], "echo ran");
    cmd.setup(&front).run().says("ran");
    let log = fs::read_to_string(&log).unwrap();
    for (role, goes_on) in [("helper", "clone3 1 "), ("inside", "execve 1 ")] {
        let calls: Vec<_> = log
            .lines()
            .filter_map(|line| line.strip_prefix(role))
            .collect();
        let last = |wanted: &[&str]| {
            let is = |call: &&str| wanted.iter().any(|it| call[1..].starts_with(it));
            let at = calls.iter().rposition(is);
            at.unwrap_or_else(|| panic!("no {wanted:?} of {role}: {log}"))
        };
        let forbids = calls
            .iter()
            .rposition(|call| call.starts_with(" prctl ") && call.ends_with(" 4 0"));
        let changed = last(&["setns", "setresgid", "setresuid"]);
        let between = changed..last(&[goes_on]);
        assert!(
            forbids.is_some_and(|at| between.contains(&at)),
            "{role}: {log}"
        );
    }
    fs::remove_dir_all(dir).unwrap();
}

/// `inject OPTIONS PID /bin/sh -c SCRIPT`.
fn sh(me: &User, running: &Running, options: &[&str], script: &str) -> tests::Cmd {
    let cmd = me.inject().args(options).arg(running.pid().to_string());
    cmd.args(["/bin/sh", "-c", script])
}

fn variables(me: &User) {
    let root = root(me);
    root.write("/opt/only-here", "#!/bin/sh\necho found\n", 0o755);
    let running = me.up(&root, &[]);
    let cmd = sh(
        me,
        &running,
        &["-eA=1", "-e", "B", "-e", "HOME=/x"],
        "echo $A $B $C $HOME",
    );
    cmd.env("A", "ours")
        .env("B", "b")
        .env("C", "c")
        .run()
        .says("1 b c /x");
    let bare = |options: &[&str]| {
        let cmd = me.inject().args(options).arg(running.pid().to_string());
        cmd.arg("only-here").run()
    };
    bare(&["-e", "PATH=/opt"]).says("found");
    bare(&["--clear-env", "-e", "PATH=/opt"]).says("found");
    bare(&[]).refused_naming(127, &["only-here"]);
    for wrong in ["-e=x", "-e", "--env="] {
        me.inject().arg(wrong).run().refused(64);
    }
}

fn a_cleared_environment(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let cmd = me.inject().args(["--clear-env", "-e", "KEPT"]);
    let cmd = cmd
        .env("SECRET", "x")
        .env("KEPT", "k")
        .arg(running.pid().to_string());
    let out = cmd.arg("/bin/env").run().ok();
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let wanted = [
        "HOME=/root",
        "KEPT=k",
        path,
        "TERM=xterm",
        "container=contain",
    ];
    assert_eq!(lines, wanted);
}

fn a_working_directory(me: &User) {
    let root = root(me);
    root.mkdir("/srv")
        .link("/srv", "/way")
        .link("/proc/self/fd/0", "/magic");
    let running = me.up(&root, &[]);
    let pwd = |dir: &str| sh(me, &running, &["-w", dir], "readlink /proc/self/cwd");
    pwd("/srv").run().says("/srv");
    pwd("/way/").run().says("/srv");
    pwd("/../..").run().says("/");
    pwd("/missing")
        .run()
        .refused_naming(1, &["/missing", "No such file"]);
    pwd("srv").run().refused_naming(64, &["srv", "absolute"]);
    // Not by way of what we hold open: here a directory of the host.
    let cmd = pwd("/magic").under_bash("exec </; exec \"$@\"");
    cmd.run().refused_naming(1, &["/magic", "symbolic links"]);
}

fn a_user_by_name_and_number(me: &User) {
    let root = root(me);
    root.write(
        "/etc/group",
        "root:x:0:\nuser:x:1000:\nvideo:x:44:user\n",
        0o644,
    );
    root.mkdir("/home/user").give("/home/user", me, 1000, 0o700);
    let running = me.up(&root, &[]);
    let ids = "id -u; id -g; id -G; echo $HOME $USER $LOGNAME $SHELL; pwd; \
        grep -E 'CapEff|CapPrm' /proc/self/status | tr -s '\t\n' ' '";
    let caps = "CapPrm: 0000000000000000 CapEff: 0000000000000000";
    for user in ["user", "1000", "user:user"] {
        let out = sh(me, &running, &["--user", user], ids).run();
        let who = "/home/user user user /bin/sh";
        assert_eq!(out.ok(), format!("1000\n1000\n1000 44\n{who}\n/\n{caps}"));
    }
    let out = sh(me, &running, &["--user", "user:7"], ids).run().ok();
    assert!(out.starts_with("1000\n7\n7 44\n"), "{out}");
    let options = ["--user", "user", "-w", "/home/user", "-e", "HOME=/x"];
    let script = "touch mine; pwd; echo $HOME; stat -c %u mine";
    sh(me, &running, &options, script)
        .run()
        .says("/home/user\n/x\n1000");
    sh(
        me,
        &running,
        &["--user", "daemon", "-w", "/home/user"],
        "pwd",
    )
    .run()
    .refused_naming(1, &["/home/user", "Permission denied"]);
    let options = ["--clear-env", "--user", "user"];
    let out = sh(me, &running, &options, "env | grep -c SECRET; echo $USER").env("SECRET", "x");
    out.run().says("0\nuser");
    // Signals pass and its end is ours, although it is another id's.
    let cmd = sh(
        me,
        &running,
        &["--user", "user"],
        "trap 'exit 9' TERM; echo here; sleep 1000 >/dev/null 2>&1 & wait",
    );
    let inside = cmd.start();
    inside.wait_for("here");
    inside.signal(libc::SIGTERM);
    inside.finish().status_is(9);
}

fn users_that_are_not_there(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let try_as = |user: &str| sh(me, &running, &["--user", user], "touch /ran").run();
    try_as("nobody-here").refused_naming(1, &["nobody-here", "no such user"]);
    try_as("root:nothing").refused_naming(1, &["nothing", "no such group"]);
    try_as("4242").refused_naming(1, &["4242", "no group"]);
    std::fs::remove_file(root.at("/etc/passwd")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", root.at("/etc/passwd")).unwrap();
    try_as("root").refused_naming(1, &["/etc/passwd", "symbolic links"]);
    try_as("").refused(64);
    assert!(!root.at("/ran").exists());
}

fn ids_that_are_not_mapped(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let out = sh(me, &running, &["--user", "daemon"], "touch /ran").run();
    out.refused_naming(1, &["daemon", "no such id"]);
    assert!(!root.at("/ran").exists());
}

/// From the joining to the exec as well.
fn a_directory_handle_does_not_follow(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let list = "ls -l /proc/$$/fd | grep -c -e ' 9 ->' -e ' 200 ->'";
    let cmd = sh(me, &running, &[], list);
    let out = cmd.under_bash("exec 9</ 200</; exec \"$@\"").run();
    assert_eq!(out.stdout().trim(), "0", "{out}");
}

fn it_is_where_init_is(me: &User) {
    let root = root(me);
    let mut running = me.up(&root, &[]);
    let init = running.init();
    let cmd = sh(me, &running, &[], "echo here; exec sleep 1000");
    let inside = cmd.start();
    inside.wait_for("here");
    let command = || {
        let mut inside = tests::children(inside.pid()).into_iter();
        inside.find(|pid| tests::comm(*pid) == "sleep")
    };
    assert!(eventually(5 * SECOND, || command().is_some()));
    let command = command().unwrap();
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"] {
        assert_eq!(namespace(command, kind), namespace(init, kind), "{kind}");
    }
    let read =
        |pid: u32, file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap();
    for file in ["cgroup", "uid_map", "gid_map"] {
        assert_eq!(read(command, file), read(init, file), "{file}");
    }
    for field in [
        "Uid",
        "Gid",
        "NoNewPrivs",
        "Seccomp",
        "CapBnd",
        "CapEff",
        "CapAmb",
        "CapInh",
    ] {
        let of = |pid| tests::status_field(pid, field);
        assert_eq!(of(command), of(init), "{field}");
    }
    let root_of = |pid: u32| {
        let meta = std::fs::metadata(format!("/proc/{pid}/root/.")).unwrap();
        (meta.dev(), meta.ino())
    };
    assert_eq!(root_of(command), root_of(init));
}

fn the_terminal_is_the_users(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let pty = Pty::open();
    let script = "stat -c owner%u $(tty); echo again >/dev/tty; exit 5";
    let inside = pty.run(&sh(me, &running, &["--user", "daemon"], script));
    assert_eq!(inside.ended(), Some(5), "{:?}", pty.screen());
    pty.wait_for("owner1").wait_for("again");
}

fn our_terminal_itself(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    // The device of a terminal tells whose devpts it is of.
    let script = "stat -L -c dev%d /proc/self/fd/0; exit 5";
    for (options, own) in [(&["--no-console"][..], true), (&[], false)] {
        let pty = Pty::open();
        let inside = pty.run(&sh(me, &running, options, script));
        assert_eq!(inside.ended(), Some(5), "{:?}", pty.screen());
        let device = format!("dev{}\r", pty.device());
        let shown = |screen: &[u8]| String::from_utf8_lossy(screen).contains("\r\n");
        assert!(pty.shows(shown));
        assert_eq!(pty.screen().contains(&device), own, "{:?}", pty.screen());
    }
}

/// The terminal tells the whole process group; passed on, it would come twice.
fn a_key_reaches_it_once(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    for options in [&["--no-console"][..], &[]] {
        let pty = Pty::open();
        let script = "n=0; trap 'n=$((n+1))' INT; echo Ready; \
            while test $n = 0; do sleep 0.1; done; sleep 1; echo count$n; exit 3";
        let inside = pty.run(&sh(me, &running, options, script));
        pty.wait_for("Ready").keys("\x03").wait_for("count1");
        assert_eq!(inside.ended(), Some(3), "{:?}", pty.screen());
    }
    assert!(me.kind == As::Root || running.pid() > 1);
}

fn the_default_shell_without_a_path(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let cmd = me.inject().arg(running.pid().to_string()).arg("pwd");
    cmd.under(["env", "-u", "PATH"]).run().says("/");
}
