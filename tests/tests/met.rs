//! What people met, and what is said and done about it.

use std::fs;

use tests::{
    Cmd, Pty, Root, SECOND, User, assert_no_traces, each_user, empty_root, host_is_root, root,
    skip, some_users,
};

each_user!(
    an_option_behind_the_directory,
    a_command_of_several_words,
    a_directory_on_a_noexec_mount,
    a_program_that_may_not_be_read,
    empty_names_in_a_file,
    a_mount_point_that_others_can_read,
    escape_says_what_it_has_killed,
    a_machine_says_how_to_leave_it,
    sbin_is_searched_below_pseudo,
    home_is_there_for_a_command,
    a_broken_pipe_of_somebody_elses,
    a_read_only_root_without_mount_points,
);

some_users!(
    three_hundred_mounts: root,
    what_gives_more_ids: plain,
    a_short_warning_of_what_is_missing: delegated plain,
    a_group_that_is_not_the_primary_one: delegated,
);

fn an_option_behind_the_directory(me: &User) {
    let root = root(me);
    let out = me.contain().arg("-c").arg(&root).arg("-x").run();
    let complaint = out.refused(127);
    assert!(
        complaint.hint.unwrap().contains("options come before"),
        "{out}"
    );
}

fn a_command_of_several_words(me: &User) {
    let root = root(me);
    let out = me.contain().arg("-c").arg(&root).arg("ls -la").run();
    let complaint = out.refused(127);
    assert!(complaint.hint.unwrap().contains("sh -c 'ls -la'"), "{out}");
}

/// `contain OPTIONS ROOT /bin/true` with the root on a mount of its own.
fn mounted(me: &User, root: &Root, mount: &str, options: &[&str]) -> Cmd {
    let setup = format!(
        "mount --bind {0} {0}; mount -o remount,bind,{mount} {0}",
        root.at("/").display()
    );
    let cmd = me.contain().args(options).arg(root).arg("/bin/true");
    cmd.setup(&setup)
}

fn a_directory_on_a_noexec_mount(me: &User) {
    if !host_is_root() {
        skip!("this needs root, who mounts");
    }
    let root = root(me);
    let out = mounted(me, &root, "noexec", &["-c"]).run();
    let complaint = out.refused(126);
    assert!(complaint.hint.unwrap().contains("noexec"), "{out}");
}

fn a_program_that_may_not_be_read(me: &User) {
    if !host_is_root() {
        skip!("this needs root, who owns the program");
    }
    let (root, bin) = (root(me), empty_root(me));
    bin.install(me.contain().program().to_str().unwrap(), "/contain");
    let program = bin.at("/contain");
    bin.chmod("/contain", 0o711);
    std::os::unix::fs::chown(&program, Some(0), Some(0)).unwrap();
    me.command(&program)
        .arg("-c")
        .arg(&root)
        .args(["/bin/echo", "ran"])
        .run()
        .says("ran");
}

fn empty_names_in_a_file(me: &User) {
    let dir = empty_root(me);
    for (text, key) in [
        ("root = ''", "line 1"),
        ("root = '/'\nupper = ''", "line 2"),
        ("root = '/'\ndevice = ['']", "line 2"),
        (
            "root = '/'\n[[mount]]\noption = 'bind'\nsource = ''\ntarget = '/mnt'",
            "line 4",
        ),
    ] {
        dir.write("/web.toml", text, 0o644);
        let out = me
            .contain()
            .arg("-f")
            .arg(dir.at("/web.toml"))
            .arg("--explain")
            .run();
        out.refused_naming(64, &[key]);
    }
}

fn a_mount_point_that_others_can_read(me: &User) {
    use std::os::unix::fs::PermissionsExt as _;
    let root = root(me);
    let _ = fs::remove_file(root.at("/etc/resolv.conf"));
    me.contain()
        .args(["-c", "-n"])
        .arg(&root)
        .arg("/bin/true")
        .run()
        .status_is(0);
    let made = fs::metadata(root.at("/etc/resolv.conf"));
    match (made, fs::metadata("/etc/resolv.conf")) {
        (Err(_), Err(_)) => skip!("this host has no resolv.conf"),
        (made, _) => assert_eq!(made.unwrap().permissions().mode() & 0o777, 0o644),
    }
}

fn escape_says_what_it_has_killed(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let cmd = me
        .contain()
        .arg(&root)
        .args(["/bin/sh", "-c", "echo up; sleep 1000"]);
    let running = pty.run(&cmd);
    pty.wait_for("up");
    pty.keys("\x1d\x1d\x1d");
    assert_eq!(running.ended(), Some(128 + 9));
    pty.wait_for("^] has killed the container");
    assert_no_traces(&root);
}

fn a_machine_says_how_to_leave_it(me: &User) {
    let root = root(me);
    root.write("/etc/inittab", "::sysinit:/bin/echo booted\n", 0o644);
    let pty = Pty::open();
    let running = pty.run(&me.contain().arg(&root).arg("/sbin/init"));
    pty.wait_for("booted");
    assert!(pty.screen().contains("^] three times"), "{}", pty.screen());
    pty.keys("\x1d\x1d\x1d");
    assert_eq!(running.ended(), Some(128 + 9));
}

fn sbin_is_searched_below_pseudo(me: &User) {
    let cmd = me
        .pseudo()
        .args(["sh", "-c", "echo $PATH; command -v chroot"]);
    let out = cmd.env("PATH", "/bin:/usr/bin").run();
    assert!(out.ok().contains("/usr/sbin"), "{out}");
}

fn home_is_there_for_a_command(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let script = ["/bin/sh", "-c", "echo $HOME"];
    let inject = || me.inject().env("HOME", "/home/of/mine");
    inject()
        .arg(running.pid().to_string())
        .args(script)
        .run()
        .says("/root");
    let kept = inject().args(["-e", "HOME"]).arg(running.pid().to_string());
    kept.args(script).run().says("/home/of/mine");
}

fn a_broken_pipe_of_somebody_elses(me: &User) {
    let root = root(me);
    let script = "trap 'echo heard; exit 3' PIPE; echo up; while :; do sleep 1; done";
    let cmd = me
        .contain()
        .arg("-c")
        .arg(&root)
        .args(["/bin/sh", "-c", script]);
    let running = cmd.start();
    running.wait_for("up");
    running.signal(libc::SIGPIPE);
    let out = running.limit(20 * SECOND).finish();
    assert_eq!(out.code(), Some(3), "{out}");
}

fn a_read_only_root_without_mount_points(me: &User) {
    if !host_is_root() {
        skip!("this needs root, who mounts");
    }
    let root = empty_root(me);
    root.install("/bin/busybox", "/bin/true");
    let out = mounted(me, &root, "ro", &["-c"]).run();
    assert!(out.refused(1).hint.unwrap().contains("-x"), "{out}");
    let out = mounted(me, &root, "ro", &["-c", "-x"]).run();
    out.status_is(0);
}

fn three_hundred_mounts(me: &User) {
    if !host_is_root() {
        skip!("this needs root, who mounts");
    }
    let root = root(me);
    // Of an owner that the container does not know, as a distribution's is.
    let path = root.at("/");
    let setup = format!(
        "chown 0:0 {0}; i=0; while [ $i -lt 300 ]; do mkdir -p {0}/m/$i
         mount -t tmpfs none {0}/m/$i; echo $i >{0}/m/$i/number; i=$((i+1)); done",
        path.display()
    );
    let script = "cat /m/*/number | wc -l";
    let cmd = me
        .contain()
        .args(["-c", "-x"])
        .arg(&root)
        .args(["/bin/sh", "-c", script]);
    cmd.setup(&setup).run().says("300");
}

fn what_gives_more_ids(me: &User) {
    let root = root(me);
    let out = me.contain().arg("-c").arg(&root).arg("/bin/true").run();
    let line = out
        .stderr
        .lines()
        .find(|line| line.contains("warning: only"))
        .unwrap();
    let name = &me.name;
    assert!(
        line.contains("usermod --add-subuids ") && line.ends_with(name),
        "{line}"
    );
    assert!(line.contains(" --add-subgids "), "{line}");
}

fn a_short_warning_of_what_is_missing(me: &User) {
    let out = me
        .contain()
        .args(["-c", "-n", "-x", "/", "/bin/true"])
        .run();
    let line = out.stderr.lines().find(|line| line.contains("shown empty"));
    let Some(line) = line else {
        skip!("all of this machine can be read: {out}");
    };
    assert!(
        line.len() < 300 && line.matches(" /").count() <= 3,
        "{line}"
    );
    let plan = me.contain().args(["--explain", "-n", "-x", "/"]).run().ok();
    assert!(plan.contains("leave out what is in /"), "{plan}");
}

/// newgidmap knows a caller by the primary group.
fn a_group_that_is_not_the_primary_one(me: &User) {
    if !host_is_root() {
        skip!("this needs root, who gives the group");
    }
    let root = root(me);
    let host = User::get(tests::As::Root).unwrap();
    let cmd = host
        .command("setpriv")
        .args(["--reuid", &me.uid.to_string(), "--regid", "100"]);
    let cmd = cmd.arg("--clear-groups").arg(me.contain().program());
    let out = cmd.arg("-c").arg(&root).arg("/bin/true").run();
    if out.code() == Some(0) {
        skip!("this newgidmap does not mind");
    }
    assert!(
        out.refused(1)
            .hint
            .unwrap()
            .contains("GRANT_AUX_GROUP_SUBIDS"),
        "{out}"
    );
}
