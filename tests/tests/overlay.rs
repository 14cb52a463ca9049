//! Throw-away and shared roots: where changes go, and that they go nowhere
//! else.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{
    As, Cmd, User, assert_no_traces, each_user, host_is_root, root, scratch_dir, skip, some_users,
};

each_user!(
    changes_in_memory_vanish,
    two_at_once,
    an_upper_directory_keeps_changes,
    uppers_share_one_root,
    an_upper_directory_is_one_containers,
    a_killed_container_frees_its_upper_directory,
    a_reboot,
    names_that_options_would_break,
    uppers_that_are_none,
    this_machine,
    this_machine_with_an_upper_directory,
    a_copy_of_a_copy,
    mounts_stay_inside,
    explained,
);

some_users!(
    a_root_of_the_hosts_root: root,
    mounts_of_the_root: root,
    the_host_is_never_idmapped: root,
    a_root_of_somebody_else: delegated plain,
    a_root_closed_to_the_containers_root: delegated,
);

/// `contain -c OPTIONS ROOT /bin/sh -c SCRIPT`.
fn sh(me: &User, options: &[&str], root: impl AsRef<Path>, script: &str) -> Cmd {
    let options = me.contain().arg("-c").args(options);
    options.arg(root.as_ref()).args(["/bin/sh", "-c", script])
}

fn upper(me: &User) -> PathBuf {
    scratch_dir(me)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Every path below a directory, with type, owner, mode, size and dates.
fn listing(dir: &Path) -> String {
    let mut find = Command::new("find");
    let find = find
        .arg(dir)
        .args(["-printf", "%P %y %U:%G %m %s %T@ %l\n"]);
    let out = find.output().expect("find").stdout;
    let mut lines: Vec<_> = out.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    String::from_utf8_lossy(&lines.join(&b'\n')).into_owned()
}

/// Gives a tree to the host's root, as debootstrap would have made it.
fn give_to_host(dir: impl AsRef<Path>) {
    let mut chown = Command::new("chown");
    let status = chown.args(["-hR", "0:0"]).arg(dir.as_ref()).status();
    assert!(status.expect("chown").success());
}

/// Touches all that can be touched.
const CHANGE: &str = "set -e; echo new >/new; echo more >>/etc/passwd; rm /etc/group; \
    rmdir /home; mkdir -p /var/a/b; mv /mnt /mnt2; chmod 700 /tmp";

fn changes_in_memory_vanish(me: &User) {
    let root = root(me);
    root.mkdir("dev").mkdir("proc").mkdir("sys");
    let before = listing(root.as_ref());
    let script = format!("{CHANGE}; cat /new; tail -n 1 /etc/passwd; ls / /etc | xargs");
    let seen = sh(me, &["-x"], &root, &script).run().ok();
    assert!(seen.starts_with("new\nmore\n"), "{seen}");
    assert!(!seen.contains("group") && seen.contains("mnt2"), "{seen}");
    assert_eq!(before, listing(root.as_ref()), "the root has changed");
    sh(
        me,
        &["--ephemeral"],
        &root,
        "test ! -e /new && ls /etc | xargs",
    )
    .run()
    .says("group passwd");
    assert_no_traces(&root);
}

fn two_at_once(me: &User) {
    let root = root(me);
    let one = sh(
        me,
        &["-x"],
        &root,
        "echo one >/one; echo up; read x; ls /one /two",
    );
    let one = one.start();
    one.wait_for("up");
    sh(
        me,
        &["-x"],
        &root,
        "echo two >/two; ls -d /one /two 2>/dev/null",
    )
    .run()
    .status_is(1);
    drop(one);
    assert!(!root.at("one").exists() && !root.at("two").exists());
}

fn an_upper_directory_keeps_changes(me: &User) {
    let (root, dir) = (root(me), upper(me));
    root.mkdir("dev").mkdir("proc").mkdir("sys");
    let before = listing(root.as_ref());
    let options = ["--upper", text(&dir)];
    sh(me, &options, &root, CHANGE).run().ok();
    assert_eq!(before, listing(root.as_ref()), "the root has changed");
    let names = |dir: &Path| {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(&dir), ["changes", "work"]);
    assert_eq!(fs::read(dir.join("changes/new")).unwrap(), b"new\n");
    let look = "cat /new; tail -n 1 /etc/passwd; ls /etc; ls -d /home /mnt2 2>/dev/null; \
        stat -c %a /tmp /";
    sh(me, &options, &root, look)
        .run()
        .says("new\nmore\npasswd\n/mnt2\n700\n755");
    sh(me, &["-x"], &root, "ls /etc /new 2>/dev/null | xargs")
        .run()
        .says("/etc: group passwd");
    assert_no_traces(&root);
    fs::remove_dir_all(dir).unwrap();
}

fn uppers_share_one_root(me: &User) {
    let (root, one, two) = (root(me), upper(me), upper(me));
    let first = sh(
        me,
        &["--upper", text(&one)],
        &root,
        "echo one >/etc/name; echo up; sleep 60",
    );
    let first = first.start();
    first.wait_for("up");
    let options = ["--upper", text(&two)];
    sh(
        me,
        &options,
        &root,
        "test ! -e /etc/name; echo two >/etc/name",
    )
    .run()
    .ok();
    drop(first);
    assert_eq!(fs::read(one.join("changes/etc/name")).unwrap(), b"one\n");
    assert_eq!(fs::read(two.join("changes/etc/name")).unwrap(), b"two\n");
    assert!(!root.at("etc/name").exists());
    fs::remove_dir_all(one).unwrap();
    fs::remove_dir_all(two).unwrap();
}

fn an_upper_directory_is_one_containers(me: &User) {
    let (root, dir) = (root(me), upper(me));
    let options = ["--upper", text(&dir)];
    let first = sh(me, &options, &root, "echo up; sleep 60").start();
    first.wait_for("up");
    let out = sh(me, &options, &root, "echo ran").run();
    out.refused_naming(1, &[text(&dir), "another container"]);
    first.signal(libc::SIGTERM);
    first.finish();
    sh(me, &options, &root, "echo ran").run().says("ran");
    fs::remove_dir_all(dir).unwrap();
}

/// And not before it has ended: the lock outlives the supervisor.
fn a_killed_container_frees_its_upper_directory(me: &User) {
    let (root, dir) = (root(me), upper(me));
    let options = ["--upper", text(&dir)];
    let mut first = sh(
        me,
        &options,
        &root,
        "echo up; while :; do echo x >>/log; done",
    )
    .start();
    first.wait_for("up");
    let init = first.init();
    first.signal(libc::SIGKILL);
    let mut tries = 0;
    let out = loop {
        let out = sh(me, &options, &root, "echo ran").run();
        if out.code() == Some(0) {
            break out;
        }
        out.refused_naming(1, &["another container"]);
        tries += 1;
        assert!(tries < 200, "never freed{out}");
    };
    assert!(!tests::alive(init), "two containers on one directory");
    out.says("ran");
    fs::remove_dir_all(dir).unwrap();
}

/// Memory does not outlive a reboot, a directory does.
fn a_reboot(me: &User) {
    let (root, dir) = (root(me), upper(me));
    let script = "n=$(cat /n 2>/dev/null || echo 0); echo $n; echo $((n + 1)) >/n; \
        [ $n = 2 ] || reboot -f; [ $n = 2 ] || sleep 60";
    sh(me, &["--upper", text(&dir)], &root, script)
        .run()
        .says("0\n1\n2");
    // What new changes are given is not given again.
    let other = upper(me);
    let once = "stat -c %a /; [ -e /n ] || { touch /n; chmod 711 /; reboot -f; sleep 60; }";
    sh(me, &["--upper", text(&other)], &root, once)
        .run()
        .says("755\n711");
    fs::remove_dir_all(other).unwrap();
    fs::remove_dir_all(dir).unwrap();
    let run = sh(me, &["-x"], &root, script).start();
    run.wait_for("0\n0\n0\n");
    assert!(!run.stdout().contains('1'), "{}", run.stdout());
}

fn names_that_options_would_break(me: &User) {
    let dir = upper(me);
    for name in ["a,b", "a:b", "a\\:b", "a b", "a\nb", "upperdir=x"] {
        let root = root(me);
        root.mkdir(name);
        let named = dir.join(name);
        fs::create_dir(&named).unwrap();
        std::os::unix::fs::chown(&named, Some(me.uid), Some(me.gid)).unwrap();
        let options = ["--upper", text(&named)];
        let link = dir.join("root:,link");
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(&root, &link).unwrap();
        sh(me, &options, &link, "echo ran >/ran").run().ok();
        assert!(named.join("changes/ran").exists(), "{name:?}");
    }
    fs::remove_dir_all(dir).unwrap();
}

fn uppers_that_are_none(me: &User) {
    // A directory of somebody's work is none for the kernel's.
    let (own, dir) = (root(me), upper(me));
    fs::create_dir(dir.join("work")).unwrap();
    fs::write(dir.join("work/thesis"), "").unwrap();
    let out = sh(me, &["--upper", text(&dir)], &own, "echo ran").run();
    out.refused_naming(1, &[text(&dir), "thesis"]);
    assert!(!dir.join("changes").exists());
    fs::remove_dir_all(dir).unwrap();
    let (root, dir) = (root(me), upper(me));
    let run = |upper: &str| sh(me, &["--upper", upper], &root, "echo ran").run();
    run("/no/such").refused_naming(1, &["/no/such", "no such"]);
    run("/etc/passwd").refused_naming(1, &["/etc/passwd", "not a directory"]);
    run("").refused(64);
    run("/proc/sys").refused_naming(1, &["/proc/sys"]);
    sh(me, &["-x", "--upper", text(&dir)], &root, "echo ran")
        .run()
        .refused(64);
    sh(me, &["-x"], dir.join("none"), "echo ran")
        .run()
        .refused_naming(1, &["none", "no such"]);
    // What a container left is not followed outside.
    let outside = scratch_dir(me);
    std::os::unix::fs::symlink(&outside, dir.join("changes")).unwrap();
    run(text(&dir)).refused(1);
    assert!(fs::read_dir(&outside).unwrap().next().is_none());
    assert_no_traces(&root);
    fs::remove_dir_all(dir).unwrap();
    fs::remove_dir_all(outside).unwrap();
}

/// `-x /`: a root shell in a copy of the machine that runs the tests.
fn this_machine(me: &User) {
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    let hosts = fs::read("/etc/hosts").unwrap();
    let before = mounts();
    let name = format!("contain-test-{}-{}", me.name, std::process::id());
    let script = format!(
        "set -e; echo x >>/etc/hosts; tail -n 1 /etc/hosts; id -u; echo $$; ls /proc/1/exe >&2
        for dir in / /root /etc /usr/local/bin /opt /srv /var/lib /home /tmp; do
            mkdir $dir/{name}; echo x >$dir/{name}/file; rm -r $dir/{name}
        done
        mv /etc/passwd /etc/passwd.old; test ! -e /etc/passwd
        grep -c ' / ' /proc/self/mounts"
    );
    let out = sh(me, &["-x"], "/", &script).run();
    out.status_is(0);
    let mut lines: Vec<String> = out.stdout().lines().map(str::to_owned).collect();
    assert_eq!(
        lines.pop().as_deref(),
        Some("1"),
        "an old root is left{out}"
    );
    assert_eq!(lines, ["x", "0", "1"], "{out}");
    assert_eq!(hosts, fs::read("/etc/hosts").unwrap());
    assert_eq!(before, mounts());
    // What is not shown is named, in one line.
    let warned = out
        .stderr
        .lines()
        .filter(|line| line.contains("shown empty"));
    let warned: Vec<_> = warned.collect();
    assert!(warned.len() <= 1, "{out}");
    if me.kind != As::Root && host_is_root() {
        assert!(warned.concat().contains("/root"), "{out}");
    }
}

fn this_machine_with_an_upper_directory(me: &User) {
    let dir = upper(me);
    let options = ["--upper", text(&dir)];
    let first = sh(
        me,
        &options,
        "/",
        "echo x >/etc/new; rm /etc/hostname; echo x >>/etc/hosts",
    );
    first.run().status_is(0);
    let look = "cat /etc/new; tail -n 1 /etc/hosts; test ! -e /etc/hostname";
    let out = sh(me, &options, "/", look).run();
    out.status_is(0);
    assert_eq!(out.stdout(), "x\nx\n", "{out}");
    assert!(!Path::new("/etc/new").exists() && Path::new("/etc/hostname").exists());
    fs::remove_dir_all(dir).unwrap();
}

/// What `-x /` shows can be shown again: overlays nest once.
fn a_copy_of_a_copy(me: &User) {
    let contain = me.contain().program().to_owned();
    let contain = contain.to_str().unwrap();
    let script = format!("{contain} -c -x / /bin/sh -c 'touch /x && ls -d /usr/bin/env /x'");
    let out = sh(me, &["-x"], "/", &format!("{script}; ! ls /x 2>/dev/null")).run();
    out.status_is(0);
    assert_eq!(out.stdout(), "/usr/bin/env\n/x\n", "{out}");
}

/// Where the host's mounts propagate, the container's still do not.
fn mounts_stay_inside(me: &User) {
    if !host_is_root() {
        skip!("sharing the host's mounts needs root");
    }
    let (root, dir, tools) = (root(me), upper(me), scratch_dir(me));
    let front = tools.join("front");
    let text_of_front = "#!/bin/sh\n\"$@\" && grep -c inner /proc/self/mountinfo; true\n";
    tests::install(text_of_front.as_bytes(), &front, 0o755);
    for (options, place) in [
        (&["-x"][..], Path::new("/")),
        (&["-x"][..], root.as_ref()),
        (&["--upper", text(&dir)][..], root.as_ref()),
    ] {
        let script = "mount -t tmpfs inner /tmp && mount -t tmpfs inner /mnt && \
            ! grep -E ' (shared|master):' /proc/self/mountinfo && echo mounted";
        let shared = format!("mount --make-rshared /; FRONT={}", front.display());
        let out = sh(me, options, place, script).setup(&shared).run();
        out.status_is(0);
        assert_eq!(out.stdout(), "mounted\n0\n", "{out}");
    }
    fs::remove_dir_all(dir).unwrap();
    fs::remove_dir_all(tools).unwrap();
}

fn explained(me: &User) {
    let (root, dir) = (root(me), upper(me));
    let explain = |options: &[&str]| {
        let cmd = me.contain().arg("--explain").args(options);
        cmd.arg(&root).run().ok()
    };
    let memory = explain(&["-x"]);
    assert!(memory.contains("keep changes in memory"), "{memory}");
    assert!(memory.contains("mount overlay on /"), "{memory}");
    let kept = explain(&["--upper", text(&dir)]);
    assert!(kept.contains(&format!("lock {}", dir.display())), "{kept}");
    assert!(
        fs::read_dir(&dir).unwrap().next().is_none(),
        "not explained but done"
    );
    assert!(!explain(&[]).contains("overlay"));
    fs::remove_dir(dir).unwrap();
}

/// debootstrap's roots belong to the host's root, and boot as they are.
fn a_root_of_the_hosts_root(me: &User) {
    let (root, dir) = (root(me), upper(me));
    give_to_host(&root);
    let script = "set -e; stat -c %u:%g / /etc/passwd; echo x:x:9:9::/:/bin/sh >>/etc/passwd; \
        echo x >/new; chown 7:8 /new; stat -c %u:%g /new; mkdir /made; rm /etc/group";
    let wanted = "0:0\n0:0\n7:8";
    let before = || listing(root.as_ref()).replace("dev d", "").lines().count();
    let count = before();
    sh(me, &["-x"], &root, script).run().says(wanted);
    assert_eq!(count, before());
    let options = ["--upper", text(&dir)];
    sh(me, &options, &root, script).run().says(wanted);
    assert_eq!(count, before());
    // On disk ids are the container's own.
    let made = dir.join("changes/new").metadata().unwrap();
    assert_eq!((made.uid(), made.gid()), (7, 8));
    assert_eq!(dir.join("changes/made").metadata().unwrap().uid(), 0);
    me.sh(&root, script).run().says(wanted);
    let made = root.at("new").metadata().unwrap();
    assert_eq!((made.uid(), made.gid()), (7, 8));
    assert_eq!(root.at("made").metadata().unwrap().uid(), 0);
    // Others' maps count: the same root, for ids that are not the host's.
    let ids = ["-u", "0:300000:65536", "-g", "0:300000:65536", "-x"];
    sh(me, &ids, &root, "stat -c %u / && echo x >/etc/passwd")
        .run()
        .says("0");
    assert_no_traces(&root);
    fs::remove_dir_all(dir).unwrap();
}

/// What is mounted below DIR is seen, and changed in the copy alone.
fn mounts_of_the_root(me: &User) {
    let root = root(me);
    give_to_host(&root);
    root.mkdir("mnt/a b,c").mkdir("proc");
    let path: &Path = root.as_ref();
    let path = path.display();
    let setup = format!(
        "mount -t tmpfs -o mode=751 t '{path}/mnt/a b,c'; echo below >'{path}/mnt/a b,c/file'; \
        mount -t proc p {path}/proc"
    );
    let script =
        "cd '/mnt/a b,c'; stat -c %a .; cat file; echo x >file && cat file; ls /proc/1/stat";
    sh(me, &["-x"], &root, script)
        .setup(&setup)
        .run()
        .says("751\nbelow\nx\n/proc/1/stat");
    me.sh(&root, "cat '/mnt/a b,c/file'; stat -c %u / && echo x >/new")
        .setup(&setup)
        .run()
        .says("below\n0");
}

/// Without an overlay the host's files keep an owner whom the container does
/// not know.
fn the_host_is_never_idmapped(me: &User) {
    let path = Path::new("/etc/contain-test-never");
    let out = sh(
        me,
        &[],
        "/",
        "echo x >/etc/contain-test-never; stat -c %u /etc",
    )
    .run();
    let made = path.exists();
    let _ = fs::remove_file(path);
    assert!(!made, "container root wrote to the host's /etc{out}");
    assert_eq!(out.stdout().trim(), "65534");
}

/// A root that the user can only read.
/// The hint speaks of an upper directory where there is one alone.
fn a_root_closed_to_the_containers_root(me: &User) {
    let root = root(me);
    fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
    let map = |which| format!("0:{}:10", me.sub_ids(which)[0].0);
    let (users, groups) = (map("uid"), map("gid"));
    let out = sh(me, &["-u", &users, "-g", &groups, "-x"], &root, "true").run();
    let complaint = out.refused_naming(1, &["permission denied"]);
    let hint = complaint.hint.as_deref().unwrap_or_default();
    assert!(
        hint.contains("enter that directory") && !hint.contains("upper"),
        "{out}"
    );
    let upper = upper(me);
    let kept = ["-u", &users, "-g", &groups, "--upper", text(&upper)];
    for name in ["changes", "work"] {
        me.command("mkdir").arg(upper.join(name)).run().ok();
    }
    let complaint = sh(me, &kept, &root, "true").run().refused(1);
    let hint = complaint.hint.unwrap_or_default();
    assert!(
        hint.contains("enter that directory") && hint.contains("upper"),
        "{hint}"
    );
    fs::remove_dir_all(upper).unwrap();
}

fn a_root_of_somebody_else(me: &User) {
    if !host_is_root() {
        skip!("only root makes a root of somebody else's");
    }
    let root = root(me);
    root.mkdir("etc/closed/inner")
        .mkdir("etc/open")
        .write("etc/secret", "x", 0o600);
    give_to_host(&root);
    fs::set_permissions(root.at("etc/closed"), fs::Permissions::from_mode(0o700)).unwrap();
    let script = "set -e; echo x >>/etc/passwd; echo x >/etc/open/new; rm -r /etc/open; \
        test ! -e /etc/open; mkdir /etc/open; test -z \"$(ls -A /etc/open)\"; \
        test -z \"$(ls -A /etc/closed)\"; echo x >/etc/closed/new; rm /etc/secret; ls /etc | xargs";
    let out = sh(me, &["-x"], &root, script).run();
    out.status_is(0);
    assert_eq!(out.stdout().trim(), "closed group open passwd", "{out}");
    let lines: Vec<_> = out
        .stderr
        .lines()
        .filter(|l| l.contains("/etc/closed"))
        .collect();
    assert_eq!(lines.len(), 1, "named once{out}");
    assert!(root.at("etc/open").exists() && root.at("etc/secret").exists());
    assert_no_traces(&root);
}
