//! Who init is and where it starts: names, users, variables and directories,
//! by what the container's own files say, whatever these files are.

use std::os::unix::fs::symlink;
use std::process::Command;

use tests::{
    As, Pty, Root, User, assert_no_traces, each_user, host_is_root, root, scratch_dir, skip,
    some_users,
};

each_user!(
    names_and_host_names,
    names_that_are_none,
    variables,
    a_working_directory,
    root_by_name,
    users_that_are_not_there,
    hostile_files_of_users,
    without_openat2,
);

some_users!(
    a_user_by_name_and_number: root delegated,
    under_our_own_init: root delegated,
    the_console_is_the_users: root delegated,
    ids_that_are_not_mapped: plain,
);

/// alice is in two groups, one of them listed in a line longer than any
/// buffer.
fn with_users(root: &Root) {
    let passwd = "root:x:0:0:root:/root:/bin/sh\n\
        # a comment\n\
        alicex:x:7:7::/x:/x\n\
        alice:x:1000:1000:Alice:/home/alice:/bin/ash\n\
        bare:x:1001:50::\n\
        +::::::\n\
        last:x:1002:50:::/bin/sh";
    let crowd: Vec<String> = (0..5000).map(|n| format!("user{n}")).collect();
    let group = format!(
        "root:x:0:\nstaff:x:50:alicex,xalice\nvideo:x:44:{},alice\nalice:x:1000:\nlast:x:60:bob,alice",
        crowd.join(",")
    );
    root.write("/etc/passwd", passwd, 0o644);
    root.write("/etc/group", group, 0o644);
}

fn names_and_host_names(me: &User) {
    let root = root(me);
    let hostname = |args: &[&str]| {
        let cmd = me.contain().arg("-c").args(args).arg(&root);
        cmd.arg("/bin/hostname").run()
    };
    let host = Command::new("uname").arg("-n").output().unwrap().stdout;
    hostname(&[]).says(String::from_utf8_lossy(&host).trim());
    hostname(&["-N", "web-1.x_y"]).says("web-1.x_y");
    hostname(&["--name", "web", "--hostname", "12"]).says("12");
    hostname(&["--hostname", "lonely"]).says("lonely");
    hostname(&["-i", "hostname", "-Nweb"]).says("web\nweb");
    let now = Command::new("uname").arg("-n").output().unwrap().stdout;
    assert_eq!(now, host, "the host's own name has changed");
}

fn names_that_are_none(me: &User) {
    let root = root(me);
    let long = "a".repeat(65);
    for name in ["", "12", "a/b", "-a", ".a", "a b", "a\n", "é", &long] {
        let option = format!("--name={name}");
        let cmd = me.contain().args(["-c", &option]).arg(&root);
        cmd.args(["/bin/touch", "/started"]).run().refused(64);
    }
    for option in ["--hostname=a/b", "--hostname=", "--env==x", "--env="] {
        let cmd = me.contain().args(["-c", option]).arg(&root);
        cmd.args(["/bin/touch", "/started"]).run().refused(64);
    }
    assert!(!root.at("/started").exists());
    assert_no_traces(&root);
}

fn variables(me: &User) {
    let root = root(me);
    root.write("/opt/only-here", "#!/bin/sh\necho found\n", 0o755);
    let env = |args: &[&str], command: &str| {
        let cmd = me.contain().env("OURS", "a=b\nc").env("SECRET", "x");
        let cmd = cmd.arg("-c").args(args).arg(&root);
        cmd.arg(command).run()
    };
    let out = env(&["-e", "OURS", "-eEMPTY=", "-e", "NO_SUCH"], "/bin/env").ok();
    assert!(out.contains("OURS=a=b\nc\n"), "{out}");
    assert!(out.lines().any(|line| line == "EMPTY="), "{out}");
    assert!(!out.contains("NO_SUCH") && !out.contains("SECRET"), "{out}");
    let out = env(
        &["-e", "HOME=/a", "-e", "HOME=/b", "-e", "TERM"],
        "/bin/env",
    )
    .ok();
    assert!(out.contains("HOME=/b") && !out.contains("HOME=/a"), "{out}");
    assert!(out.contains("TERM=xterm"), "{out}");
    env(&["-e", "PATH=/opt"], "only-here").says("found");
    env(&["-e", "PATH=/opt", "--init"], "only-here").says("found");
    env(&[], "only-here").refused_naming(127, &["only-here"]);
}

fn a_working_directory(me: &User) {
    let root = root(me);
    root.mkdir("/srv/a b")
        .link("/srv", "/way")
        .link("/proc/self/root/srv", "/magic");
    let pwd = |dir: &str| {
        let cmd = me.contain().args(["-c", "-w", dir]).arg(&root);
        cmd.args(["/bin/sh", "-c", "readlink /proc/self/cwd"]).run()
    };
    pwd("/srv/a b").says("/srv/a b");
    pwd("/way/./a b/").says("/srv/a b");
    pwd("/srv/../../../srv").says("/srv");
    pwd("/").says("/");
    pwd("/missing").refused_naming(1, &["/missing", "No such file"]);
    pwd("/etc/passwd").refused_naming(1, &["/etc/passwd", "Not a directory"]);
    pwd("/magic").refused_naming(1, &["/magic"]);
    pwd("srv").refused_naming(64, &["srv", "absolute"]);
    pwd("").refused(64);
    assert_no_traces(&root);
}

fn a_user_by_name_and_number(me: &User) {
    let root = root(me);
    with_users(&root);
    root.mkdir("/home/alice")
        .give("/home/alice", me, 1000, 0o700);
    let run = |args: &[&str], script: &str| {
        let cmd = me.contain().arg("-c").args(args).arg(&root);
        cmd.args(["/bin/sh", "-c", script]).run()
    };
    let ids = "exec 2>/dev/null; id -u; id -g; id -G | tr ' ' '\n' | sort -n | tr '\n' ' '; \
        grep -E '^(Uid|Gid|CapEff|CapPrm|CapAmb)' /proc/self/status | tr -s '\t\n' ' '";
    let caps = "CapPrm: 0000000000000000 CapEff: 0000000000000000 CapAmb: 0000000000000000";
    for user in ["alice", "1000"] {
        let out = run(&["--user", user], ids).ok();
        let wanted = format!(
            "1000\n1000\n44 60 1000 Uid: 1000 1000 1000 1000 Gid: 1000 1000 1000 1000 {caps}"
        );
        assert_eq!(out, wanted);
    }
    let out = run(&["--user", "alice:staff"], ids).ok();
    assert!(out.starts_with("1000\n50\n44 50 60 "), "{out}");
    let out = run(&["--user", "1000:7"], ids).ok();
    assert!(out.starts_with("1000\n7\n7 44 60 "), "{out}");
    let out = run(&["--user", "4242:7"], ids).ok();
    assert!(out.starts_with("4242\n7\n7 Uid"), "{out}");
    let env = "env | grep -E '^(HOME|USER|LOGNAME|SHELL)=' | sort | tr '\n' ' '; pwd";
    run(&["--user", "alice"], env)
        .says("HOME=/home/alice LOGNAME=alice SHELL=/bin/ash USER=alice /");
    run(&["--user", "bare"], env).says("HOME=/ LOGNAME=bare SHELL=/bin/sh USER=bare /");
    run(&["--user", "last"], env).says("HOME=/ LOGNAME=last SHELL=/bin/sh USER=last /");
    run(&["--user", "4242:7"], env).says("HOME=/ /");
    run(&["--user", "alice", "-e", "HOME=/x", "-e", "USER="], env)
        .says("HOME=/x LOGNAME=alice SHELL=/bin/ash USER= /");
    // The directory is entered with the user's rights.
    run(
        &["--user", "alice", "-w", "/home/alice"],
        "pwd; touch mine; stat -c %u mine",
    )
    .says("/home/alice\n1000");
    run(&["--user", "bare", "-w", "/home/alice"], "pwd")
        .refused_naming(1, &["/home/alice", "Permission denied"]);
}

fn under_our_own_init(me: &User) {
    let root = root(me);
    with_users(&root);
    let cmd = me
        .contain()
        .args(["-c", "--init", "--user", "alice", "-w", "/tmp"]);
    let script = "id -u; echo $USER; pwd; grep -c . /proc/1/cmdline; cut -d' ' -f1 /proc/1/stat; \
        awk '/^Uid/ { print $2 }' /proc/1/status";
    let out = cmd.arg(&root).args(["/bin/sh", "-c", script]).run();
    out.says("1000\nalice\n/tmp\n1\n1\n1000");
}

fn the_console_is_the_users(me: &User) {
    let root = root(me);
    with_users(&root);
    for options in [&[][..], &["--init"]] {
        let pty = Pty::open();
        let cmd = me.contain().args(options).args(["--user", "alice"]);
        let script = "tty; stat -c owner%u /dev/console; echo again >/dev/tty; exit 5";
        let running = pty.run(&cmd.arg(&root).args(["/bin/sh", "-c", script]));
        assert_eq!(running.ended(), Some(5), "{:?}", pty.screen());
        pty.wait_for("/dev/console")
            .wait_for("owner1000")
            .wait_for("again");
    }
}

fn root_by_name(me: &User) {
    let root = root(me);
    let cmd = me.contain().args(["-c", "--user", "root"]).arg(&root);
    let script = "id -u; id -g; echo $HOME $USER $LOGNAME $SHELL; grep -c 0000 /dev/null; true";
    let out = cmd.args(["/bin/sh", "-c", script]).run();
    out.says("0\n0\n/root root root /bin/sh\n0");
}

fn ids_that_are_not_mapped(me: &User) {
    let root = root(me);
    let cmd = me.contain().args(["-c", "--user", "daemon"]).arg(&root);
    let out = cmd.args(["/bin/touch", "/started"]).run();
    out.refused_naming(1, &["daemon", "no such id"]);
    assert!(!root.at("/started").exists());
    assert_no_traces(&root);
}

fn users_that_are_not_there(me: &User) {
    let root = root(me);
    let try_as = |user: &str| {
        let cmd = me.contain().args(["-c", "--user", user]).arg(&root);
        cmd.args(["/bin/touch", "/started"]).run()
    };
    try_as("nobody-here").refused_naming(1, &["nobody-here", "/etc/passwd", "no such user"]);
    try_as("root:nothing").refused_naming(1, &["nothing", "/etc/group", "no such group"]);
    try_as("4242").refused_naming(1, &["4242", "no group"]);
    for wrong in ["", ":", "root:", ":0", "4294967295", "-1", "a:b:c", "a/b"] {
        let option = format!("--user={wrong}");
        let cmd = me.contain().args(["-c", &option]).arg(&root);
        cmd.args(["/bin/touch", "/started"]).run().refused(64);
    }
    std::fs::remove_file(root.at("/etc/group")).unwrap();
    let cmd = me.contain().args(["-c", "--user", "root"]).arg(&root);
    cmd.args(["/bin/echo", "ran"]).run().says("ran");
    std::fs::remove_file(root.at("/etc/passwd")).unwrap();
    try_as("root").refused_naming(1, &["/etc/passwd", "No such file"]);
    let cmd = me.contain().args(["-c", "--user", "0:0"]).arg(&root);
    cmd.args(["/bin/sh", "-c", "echo $HOME"]).run().says("/");
    assert!(!root.at("/started").exists());
    assert_no_traces(&root);
}

/// The container's files decide nothing but what they hold: not where they are,
/// nor how long we wait, nor how much we read.
fn hostile_files_of_users(me: &User) {
    let outside = scratch_dir(me);
    std::fs::write(outside.join("passwd"), "evil:x:0:0::/:/bin/sh\n").unwrap();
    let as_evil = |root: &Root| {
        let cmd = me.contain().args(["-c", "--user", "evil"]).arg(root);
        cmd.args(["/bin/touch", "/started"]).run()
    };
    let with = |make: &dyn Fn(&std::path::Path)| {
        let root = root(me);
        let at = root.at("/etc/passwd");
        std::fs::remove_file(&at).unwrap();
        make(&at);
        let out = as_evil(&root);
        assert!(!root.at("/started").exists(), "{out}");
        assert_no_traces(&root);
        out
    };
    // A link is followed as inside, where its target is not.
    with(&|at| symlink(outside.join("passwd"), at).unwrap())
        .refused_naming(1, &["/etc/passwd", "No such file"]);
    with(&|at| symlink("passwd", at).unwrap()).refused_naming(1, &["evil", "symbolic links"]);
    with(&|at| symlink("/proc/1/root/etc/passwd", at).unwrap()).refused_naming(1, &["evil"]);
    with(&|at| {
        nix::unistd::mkfifo(at, nix::sys::stat::Mode::from_bits_retain(0o666)).unwrap();
    })
    .refused_naming(1, &["not a regular file"]);
    with(&|at| std::fs::create_dir(at).unwrap()).refused_naming(1, &["not a regular file"]);
    with(&|at| std::fs::write(at, "evil:x:0\nevil:x:4294967295:0:::\nevil:x:-1:0:::\n").unwrap())
        .refused_naming(1, &["no such user"]);
    let huge = std::fs::File::create(outside.join("huge")).unwrap();
    huge.set_len(1 << 30).unwrap();
    with(&|at| {
        std::fs::rename(outside.join("huge"), at).unwrap();
    })
    .refused_naming(1, &["/etc/passwd", "too large"]);
    let path = "x".repeat(5000);
    with(&|at| std::fs::write(at, format!("evil:x:0:0::/{path}:/bin/sh\n")).unwrap())
        .refused_naming(1, &["evil", "too long"]);
    std::fs::remove_dir_all(outside).unwrap();
}

/// Kernels before 5.6 and some seccomp filters lack the call; then no link at
/// all is followed.
fn without_openat2(me: &User) {
    if !host_is_root() {
        skip!("strace keeps newuidmap's rights only as root");
    }
    let root = root(me);
    root.mkdir("/srv").link("/srv", "/way");
    let front = "FRONT='strace -f -o /dev/null -e trace=openat2 -e inject=openat2:error=ENOSYS'";
    let pwd = |dir: &str| {
        let cmd = me.contain().args(["-c", "--user", "root", "-w", dir]);
        cmd.arg(&root)
            .args(["/bin/sh", "-c", "pwd"])
            .setup(front)
            .run()
    };
    pwd("/srv").says("/srv");
    pwd("/").says("/");
    let out = pwd("/way");
    out.refused_naming(1, &["/way"]);
    assert!(me.kind != As::Root || !out.stderr.is_empty());
}
