//! Names that resolve: the container's own copy of the host's resolv.conf, in
//! whatever way the root has such a file, and however the host's changes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{
    Cmd, Root, SECOND, User, assert_no_traces, each_user, eventually, host_is_root, root,
    scratch_dir, skip, some_users,
};

each_user!(
    a_plain_file,
    links_of_any_kind,
    a_missing_file,
    a_read_only_root,
    a_root_that_can_have_none,
    another_dev,
    an_overlay,
    a_failed_start_leaves_nothing,
    left_alone,
    a_host_without,
    the_copy_is_the_containers_own,
    the_inside_helper_has_the_last_word,
    it_follows_the_hosts,
    it_survives_a_reboot,
);

some_users!(a_root_that_cannot_be_written: root);

const OWN: &str = "nameserver 192.0.2.99\n";

/// An /etc for the host, which a test may change.
struct Etc(PathBuf);

impl Etc {
    fn new(me: &User) -> Self {
        let dir = scratch_dir(me);
        let copied = Command::new("cp")
            .args(["-a", "/etc/.", "."])
            .current_dir(&dir)
            .status();
        assert!(copied.expect("cp").success());
        let etc = Self(dir);
        let _ = fs::remove_file(etc.file());
        etc.set("nameserver 192.0.2.1\n");
        etc
    }

    fn file(&self) -> PathBuf {
        self.0.join("resolv.conf")
    }

    fn set(&self, text: &str) {
        fs::write(self.file(), text).expect("write");
    }

    /// The command on a host with this /etc.
    fn of(&self, cmd: Cmd) -> Cmd {
        cmd.setup(&format!("mount --bind {} /etc", self.0.display()))
    }
}

impl Drop for Etc {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(me: &User, options: &[&str], root: &Root, script: &str) -> Cmd {
    let cmd = me.contain().args(["-c", "-n"]).args(options).arg(root);
    cmd.args(["/bin/sh", "-c", script])
}

/// All that a root holds: what a container must leave as it was.
fn listing(root: &Root) -> String {
    let mut find = Command::new("find");
    let find = find
        .arg(AsRef::<Path>::as_ref(root))
        .args(["-printf", "%p %l %s %m %U %y\\n"]);
    String::from_utf8(find.output().expect("find").stdout).expect("names")
}

/// What a container sees is the host's text, and the root stays as it was.
#[track_caller]
fn shows_the_hosts(me: &User, options: &[&str], root: &Root) {
    for dir in ["/dev", "/proc", "/sys"] {
        root.mkdir(dir);
    }
    let before = listing(root);
    let host = fs::read_to_string("/etc/resolv.conf").expect("the host's resolv.conf");
    let script = "cat /etc/resolv.conf; [ -w /etc/resolv.conf ] || echo not ours";
    let out = start(me, options, root, script).run();
    assert_eq!(out.ok(), host.trim(), "{out}");
    assert_eq!(listing(root), before);
    assert_no_traces(root);
}

fn a_plain_file(me: &User) {
    let root = root(me);
    root.write("/etc/resolv.conf", OWN, 0o644);
    shows_the_hosts(me, &[], &root);
    assert_eq!(
        fs::read_to_string(root.at("/etc/resolv.conf")).unwrap(),
        OWN
    );
    // One that only its owner could read is covered as well.
    root.chmod("/etc/resolv.conf", 0);
    shows_the_hosts(me, &[], &root);
}

fn links_of_any_kind(me: &User) {
    let outside = scratch_dir(me);
    let aim = outside.join("aim");
    fs::write(&aim, OWN).unwrap();
    for target in [
        "../run/systemd/resolve/stub-resolv.conf",
        "/run/resolvconf/resolv.conf",
        "../../../../../../../run/there",
        "resolv.conf",
        "/etc",
        aim.to_str().unwrap(),
        "/proc/1/root/etc/resolv.conf",
    ] {
        let root = root(me);
        root.write("/run/there", OWN, 0o644);
        root.link(target, "/etc/resolv.conf");
        shows_the_hosts(me, &[], &root);
        assert_eq!(
            fs::read_to_string(&aim).unwrap(),
            OWN,
            "{target} was followed"
        );
    }
    // Init's own /run does not hide it.
    let root = root(me);
    root.link("/run/there", "/etc/resolv.conf");
    let script = "mount -t tmpfs none /run; cat /etc/resolv.conf";
    let out = start(me, &[], &root, script).run();
    assert_eq!(
        out.ok(),
        fs::read_to_string("/etc/resolv.conf").unwrap().trim()
    );
    // /etc itself is looked for inside.
    let moved = tests::root(me);
    fs::rename(moved.at("/etc"), moved.at("/usr/etc")).unwrap();
    moved.link("/usr/etc", "/etc");
    moved.write("/usr/etc/resolv.conf", OWN, 0o644);
    shows_the_hosts(me, &[], &moved);
    fs::remove_dir_all(outside).unwrap();
}

/// An empty file is made to mount on, as /dev, /proc and /sys are.
fn a_missing_file(me: &User) {
    let root = root(me);
    let out = start(me, &[], &root, "cat /etc/resolv.conf").run();
    assert_eq!(
        out.ok(),
        fs::read_to_string("/etc/resolv.conf").unwrap().trim()
    );
    assert_eq!(fs::read(root.at("/etc/resolv.conf")).unwrap(), b"");
    shows_the_hosts(me, &[], &root);
}

fn a_read_only_root(me: &User) {
    let with = root(me);
    with.write("/etc/resolv.conf", OWN, 0o644);
    shows_the_hosts(me, &["-r"], &with);
    let linked = root(me);
    linked.link("../run/x", "/etc/resolv.conf");
    shows_the_hosts(me, &["-r"], &linked);
    // Where there is nothing to mount on, there is none.
    let without = root(me);
    for dir in ["/dev", "/proc", "/sys"] {
        without.mkdir(dir);
    }
    start(
        me,
        &["-r"],
        &without,
        "cat /etc/resolv.conf 2>/dev/null || echo none",
    )
    .run()
    .says("none");
}

fn a_root_that_cannot_be_written(me: &User) {
    let root = root(me);
    for dir in ["/dev", "/proc", "/sys"] {
        root.mkdir(dir);
    }
    std::os::unix::fs::chown(root.at("/etc"), Some(0), Some(0)).unwrap();
    start(me, &[], &root, "ls /etc").run().says("group\npasswd");
}

fn a_root_that_can_have_none(me: &User) {
    let root = root(me);
    root.mkdir("/etc/resolv.conf");
    start(me, &[], &root, "ls -d /etc/resolv.conf/.")
        .run()
        .says("/etc/resolv.conf/.");
    let bare = tests::empty_root(me);
    bare.install("/bin/busybox", "/bin/echo");
    let cmd = || me.contain().arg("-n").arg(&bare).args(["/bin/echo", "up"]);
    cmd().run().says("up");
    assert!(!bare.at("/etc").exists());
    bare.write("/etc", "a file", 0o644);
    cmd().run().says("up");
    assert_no_traces(&bare);
}

/// Where /dev is somebody else's, memory of our own holds the copy.
fn another_dev(me: &User) {
    let root = root(me);
    root.write("/etc/resolv.conf", OWN, 0o644);
    for options in [&["-b", "/dev"][..], &["--tmpfs", "/dev"]] {
        shows_the_hosts(me, options, &root);
        let script = "echo /dev/resolv*; ls /etc; grep -c /etc /proc/self/mountinfo";
        let out = start(me, options, &root, script).run();
        assert_eq!(
            out.ok(),
            "/dev/resolv*\ngroup\npasswd\nresolv.conf\n1",
            "{out}"
        );
    }
    assert!(!Path::new("/dev/resolv.conf").exists());
}

fn an_overlay(me: &User) {
    let root = root(me);
    shows_the_hosts(me, &["-x"], &root);
    root.link("/nowhere", "/etc/resolv.conf");
    shows_the_hosts(me, &["-x"], &root);
}

fn a_failed_start_leaves_nothing(me: &User) {
    let root = root(me);
    let before = listing(&root);
    let cmd = || me.contain().arg("-n").arg(&root);
    cmd().arg("/bin/missing").run().refused(127);
    assert_eq!(listing(&root), before);
    me.contain()
        .args(["-n", "-i", "exit 3"])
        .arg(&root)
        .arg("/bin/true")
        .run()
        .status_is(3);
    assert_eq!(listing(&root), before);
}

fn left_alone(me: &User) {
    let root = root(me);
    root.write("/etc/resolv.conf", OWN, 0o644);
    let cat = ["/bin/cat", "/etc/resolv.conf"];
    for options in [&["-n", "--no-dns"][..], &[], &["--net", "private"]] {
        me.contain()
            .args(options)
            .arg(&root)
            .args(cat)
            .run()
            .says(OWN.trim());
    }
    // What is bound there is wanted there, and gets nothing added.
    let dir = scratch_dir(me);
    fs::write(dir.join("mine"), "# mine").unwrap();
    let bind = format!("{}/mine:/etc/resolv.conf", dir.display());
    start(me, &["-b", &bind], &root, "cat /etc/resolv.conf")
        .run()
        .says("# mine");
    let bind = format!("{}:/etc", dir.display());
    start(me, &["-b", &bind], &root, "ls /etc")
        .run()
        .says("mine");
    fs::remove_dir_all(dir).unwrap();
}

fn a_host_without(me: &User) {
    if !host_is_root() {
        skip!("another /etc needs root");
    }
    let etc = Etc::new(me);
    let root = root(me);
    root.write("/etc/resolv.conf", OWN, 0o644);
    fs::remove_file(etc.file()).unwrap();
    etc.of(start(me, &[], &root, "cat /etc/resolv.conf"))
        .run()
        .says(OWN.trim());
    symlink("/nowhere", etc.file()).unwrap();
    etc.of(start(me, &[], &root, "cat /etc/resolv.conf"))
        .run()
        .says(OWN.trim());
}

fn the_copy_is_the_containers_own(me: &User) {
    let root = root(me);
    root.write("/etc/resolv.conf", OWN, 0o644);
    let host = fs::read("/etc/resolv.conf").unwrap();
    let script = "echo changed >/etc/resolv.conf && cat /etc/resolv.conf
        ls -l /etc/resolv.conf | cut -c1-12; grep -o '/etc/resolv.conf rw,nosuid,nodev,noexec' /proc/self/mountinfo; ls /dev | grep resolv";
    let out = start(me, &[], &root, script).run();
    let wanted = "changed\n-rw-r--r--  \n/etc/resolv.conf rw,nosuid,nodev,noexec\n";
    assert_eq!(out.stdout(), wanted, "{out}");
    assert_eq!(fs::read("/etc/resolv.conf").unwrap(), host);
    assert_eq!(
        fs::read_to_string(root.at("/etc/resolv.conf")).unwrap(),
        OWN
    );
}

/// Scripts written for the original put a file of their own there.
fn the_inside_helper_has_the_last_word(me: &User) {
    let root = root(me);
    root.write("/etc/resolv.conf", "", 0o644);
    let helper = "echo nameserver 192.0.2.7 >etc/resolv.conf";
    let out = start(me, &["-i", helper], &root, "cat /etc/resolv.conf").run();
    out.says("nameserver 192.0.2.7");
}

/// Waits for a word from outside, then shows the copy.
const WAIT: &str = "until [ -e /var/$1 ]; do sleep 0.02; done; cat /etc/resolv.conf; echo shown $1";

fn it_follows_the_hosts(me: &User) {
    if !host_is_root() {
        skip!("another /etc needs root");
    }
    let etc = Etc::new(me);
    let root = root(me);
    let shows =
        "i=0; until grep -q $1 /etc/resolv.conf || [ $i = 250 ]; do sleep 0.02; i=$((i+1)); done
        cat /etc/resolv.conf; echo seen";
    let script = format!(
        "shows() {{ {shows}; }}; wait() {{ {WAIT}; }}
        shows 192.0.2.1; shows 192.0.2.2; shows 192.0.2.3; shows 192.0.2.4; shows 192.0.2.5
        echo own >/etc/resolv.conf; echo changed; wait go"
    );
    let running = etc.of(start(me, &[], &root, &script)).start();
    running.wait_for("nameserver 192.0.2.1\nseen\n");
    // Written in place, and shorter; renamed over; a link; another target.
    etc.set("# 192.0.2.2\n");
    running.wait_for("# 192.0.2.2\nseen\n");
    let run = scratch_dir(me);
    let put = |name: &str, text: &str| {
        fs::write(run.join(format!("{name}.new")), text).unwrap();
        fs::rename(run.join(format!("{name}.new")), run.join(name)).unwrap();
    };
    fs::write(
        etc.0.join("resolv.new"),
        "nameserver 192.0.2.3\nsearch a b c\n",
    )
    .unwrap();
    fs::rename(etc.0.join("resolv.new"), etc.file()).unwrap();
    running.wait_for("nameserver 192.0.2.3\nsearch a b c\nseen\n");
    put("stub", "nameserver 192.0.2.4\n");
    symlink(run.join("stub"), etc.0.join("link")).unwrap();
    fs::rename(etc.0.join("link"), etc.file()).unwrap();
    running.wait_for("search a b c\nseen\nnameserver 192.0.2.4\nseen\n");
    put("stub", "nameserver 192.0.2.5\n");
    running.wait_for("nameserver 192.0.2.5\nseen\n");
    // What the container has made its own stays so.
    running.wait_for("changed\n");
    put("stub", "nameserver 192.0.2.6\n");
    std::thread::sleep(SECOND / 5);
    root.write("/var/go", "", 0o644);
    running.wait_for("changed\nown\nshown go\n");
    running.finish().ok();
    fs::remove_dir_all(run).unwrap();
    assert_no_traces(&root);
}

fn it_survives_a_reboot(me: &User) {
    if !host_is_root() {
        skip!("another /etc needs root");
    }
    let etc = Etc::new(me);
    let root = root(me);
    let script = format!(
        "wait() {{ {WAIT}; }}; [ -e /var/one ] || {{ echo up; wait one; reboot -f; }}; wait two; exit 4"
    );
    let running = etc.of(start(me, &[], &root, &script)).start();
    running.wait_for("up");
    root.write("/var/one", "", 0o644);
    running.wait_for("nameserver 192.0.2.1\nshown one\n");
    // In the second boot, and from it on.
    etc.set("nameserver 192.0.2.2\n");
    assert!(eventually(5 * SECOND, || tests::init_of(running.pid()).is_some()));
    std::thread::sleep(SECOND / 5);
    root.write("/var/two", "", 0o644);
    let out = running.finish();
    let wanted = "up\nnameserver 192.0.2.1\nshown one\nnameserver 192.0.2.2\nshown two\n";
    assert_eq!(out.status_is(4).stdout(), wanted);
    assert_no_traces(&root);
}
