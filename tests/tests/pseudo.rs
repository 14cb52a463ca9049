//! pseudo: the same process, terminal and environment, as root of a new user
//! namespace and of nothing else.

use tests::{Pty, SECOND, User, each_user, eventually, namespace, scratch_dir};

each_user!(
    it_is_root,
    it_keeps_its_process_id,
    it_keeps_the_environment_and_directory,
    only_the_user_namespace_is_new,
    with_m_it_can_mount,
    without_m_it_cannot,
    files_belong_to_the_caller_outside,
    statuses_and_missing_commands,
    it_keeps_the_terminal,
    ignored_signals_do_not_matter,
    options_stop_at_the_command,
    files_of_others_are_made_and_removed,
);

fn it_is_root(me: &User) {
    let out = me.pseudo().args(["sh", "-c", "id -u; id -g; id -G"]).run();
    out.says("0\n0\n0");
    let out = me
        .pseudo()
        .args(["sh", "-c", "grep CapEff /proc/self/status"])
        .run()
        .ok();
    assert!(
        u64::from_str_radix(out.split('\t').nth(1).unwrap(), 16).unwrap() != 0,
        "{out}"
    );
}

fn it_keeps_its_process_id(me: &User) {
    let cmd = me
        .pseudo()
        .args(["sh", "-c", "echo $$; echo $PPID; sleep 1000; :"]);
    let running = cmd.start();
    let (pid, parent) = (running.pid(), std::process::id());
    running.wait_for(&format!("{pid}\n{parent}\n"));
    assert!(
        eventually(5 * SECOND, || tests::children(pid).len() == 1),
        "a helper is left"
    );
}

fn it_keeps_the_environment_and_directory(me: &User) {
    let dir = scratch_dir(me);
    let cmd = me.pseudo().cwd(&dir).env("SECRET", "kept").args([
        "sh",
        "-c",
        "echo $SECRET; pwd; env | wc -l",
    ]);
    let out = cmd.run().ok();
    let plain = me
        .command("sh")
        .cwd(&dir)
        .env("SECRET", "kept")
        .args(["-c", "echo $SECRET; pwd; env | wc -l"]);
    assert_eq!(out, plain.run().ok());
    std::fs::remove_dir(dir).unwrap();
}

fn only_the_user_namespace_is_new(me: &User) {
    let names = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
    let out = me
        .pseudo()
        .args(["sh", "-c", "cd /proc/self/ns; readlink *"])
        .run();
    let links = me
        .pseudo()
        .args([
            "sh",
            "-c",
            "cd /proc/self/ns; for n in cgroup ipc mnt net pid time user uts; do readlink $n; done",
        ])
        .run()
        .ok();
    for (name, link) in names.iter().zip(links.lines()) {
        assert_eq!(
            link == namespace(std::process::id(), name),
            *name != "user",
            "{name}{out}"
        );
    }
    let links = me
        .pseudo()
        .args([
            "-m",
            "sh",
            "-c",
            "readlink /proc/self/ns/mnt /proc/self/ns/pid",
        ])
        .run()
        .ok();
    let (mnt, pid) = links.split_once('\n').unwrap();
    assert_ne!(mnt, namespace(std::process::id(), "mnt"));
    assert_eq!(pid, namespace(std::process::id(), "pid"));
}

fn with_m_it_can_mount(me: &User) {
    let dir = scratch_dir(me);
    if tests::host_is_root() {
        let owner = me.outside("uid", 0);
        std::os::unix::fs::chown(&dir, owner, owner).unwrap();
    }
    let at = dir.display();
    let script = format!("mount -t tmpfs none {at} && touch {at}/inside && ls {at}");
    me.pseudo()
        .args(["-m", "sh", "-c", &script])
        .run()
        .says("inside");
    assert_eq!(
        std::fs::read_dir(&dir).unwrap().count(),
        0,
        "the mount is seen outside"
    );
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(&at.to_string()));
    std::fs::remove_dir(dir).unwrap();
}

fn without_m_it_cannot(me: &User) {
    let dir = scratch_dir(me);
    let out = me
        .pseudo()
        .args(["mount", "-t", "tmpfs", "none"])
        .arg(&dir)
        .run();
    assert_ne!(out.code(), Some(0), "{out}");
    std::fs::remove_dir(dir).unwrap();
}

fn files_belong_to_the_caller_outside(me: &User) {
    let dir = scratch_dir(me);
    if tests::host_is_root() {
        let (uid, gid) = (me.outside("uid", 0), me.outside("gid", 0));
        std::os::unix::fs::chown(&dir, uid, gid).unwrap();
    }
    me.pseudo()
        .cwd(&dir)
        .args(["sh", "-c", "touch a; stat -c %u:%g a"])
        .run()
        .says("0:0");
    let meta = std::fs::metadata(dir.join("a")).unwrap();
    assert_eq!(
        Some(std::os::unix::fs::MetadataExt::uid(&meta)),
        me.outside("uid", 0)
    );
    assert_eq!(
        Some(std::os::unix::fs::MetadataExt::gid(&meta)),
        me.outside("gid", 0)
    );
    std::fs::remove_dir_all(dir).unwrap();
}

fn statuses_and_missing_commands(me: &User) {
    for code in [0, 1, 64, 126, 255] {
        me.pseudo()
            .args(["sh", "-c", &format!("exit {code}")])
            .run()
            .status_is(code);
    }
    me.pseudo()
        .arg("/no/such/command")
        .run()
        .refused_naming(127, &["/no/such/command"]);
    me.pseudo()
        .arg("no-such-command")
        .run()
        .refused_naming(127, &["no-such-command"]);
    me.pseudo()
        .arg("/etc/passwd")
        .run()
        .refused_naming(126, &["/etc/passwd", "permission denied"]);
    me.pseudo().arg("/etc").run().refused_naming(126, &["/etc"]);
    let out = me.pseudo().args(["sh", "-c", "kill -TERM $$"]).run();
    // It is the same process, so the caller sees the signal itself.
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&out.status),
        Some(15),
        "{out}"
    );
}

fn it_keeps_the_terminal(me: &User) {
    let pty = Pty::open();
    let mut running =
        pty.run(
            &me.pseudo()
                .args(["sh", "-c", "tty; echo ready; read line; echo got $line"]),
        );
    pty.wait_for("/dev/pts/")
        .wait_for("ready")
        .keys("typed\n")
        .wait_for("got typed");
    assert!(eventually(10 * SECOND, || running.try_wait().is_some()));
    running.finish().status_is(0);
}

/// A caller that ignores SIGCHLD takes away what waiting relies on.
fn ignored_signals_do_not_matter(me: &User) {
    let ignoring = [
        "env",
        "--ignore-signal=CHLD,PIPE",
        "--block-signal=CHLD,USR1",
    ];
    me.pseudo()
        .args(["sh", "-c", "exit 6"])
        .under(ignoring)
        .run()
        .status_is(6);
    // Its command is told what ours was, by the bit of signal 17.
    let out = me.pseudo().args(["grep", "SigIgn", "/proc/self/status"]);
    let out = out.under(ignoring).run();
    assert!(out.ok().ends_with("10000"), "{out}");
}

fn options_stop_at_the_command(me: &User) {
    me.pseudo()
        .args(["echo", "-u", "--help", "-m"])
        .run()
        .says("-u --help -m");
    me.pseudo().args(["--", "echo", "-u"]).run().says("-u");
}

fn files_of_others_are_made_and_removed(me: &User) {
    let dir = scratch_dir(me);
    if tests::host_is_root() {
        let (uid, gid) = (me.outside("uid", 0), me.outside("gid", 0));
        std::os::unix::fs::chown(&dir, uid, gid).unwrap();
    }
    let out = me
        .pseudo()
        .cwd(&dir)
        .args([
            "sh",
            "-c",
            "mkdir d && touch d/a && chown 1:2 d d/a && stat -c %u:%g d/a",
        ])
        .run();
    if !me.many_ids() {
        assert_ne!(out.code(), Some(0), "{out}");
        assert!(out.stderr.contains("Invalid argument"), "{out}");
        std::fs::remove_dir_all(dir).unwrap();
        return;
    }
    out.says("1:2");
    let meta = std::fs::metadata(dir.join("d/a")).unwrap();
    assert_eq!(
        Some(std::os::unix::fs::MetadataExt::uid(&meta)),
        me.outside("uid", 1)
    );
    assert_eq!(
        Some(std::os::unix::fs::MetadataExt::gid(&meta)),
        me.outside("gid", 2)
    );
    me.pseudo().cwd(&dir).args(["rm", "-r", "d"]).run().ok();
    std::fs::remove_dir(dir).unwrap();
}
