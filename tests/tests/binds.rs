//! Files of the host inside: binds, memory, devices, and what is read-only.

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};

use tests::{
    Cmd, User, assert_no_traces, each_user, empty_root, hand_made, host_is_root, root, scratch_dir,
    skip, some_users,
};

each_user!(
    files_and_directories,
    places_inside,
    what_is_missing_is_made,
    a_failed_start_leaves_no_mount_point,
    a_failed_start_leaves_others_theirs,
    links_into_a_bind_harm_nothing_there,
    links_lead_inside,
    read_only_holds,
    a_read_only_root,
    a_read_only_root_is_complete,
    all_together,
    the_host_read_only,
    memory,
    devices,
    names_with_colons,
    wrong_binds,
    twenty,
    submounts_come_along,
    limits_of_the_host_hold,
    mounts_propagate_neither_way,
    killed_while_mounting,
);

some_users!(
    files_of_the_caller: delegated,
    a_source_that_only_the_caller_reaches: root delegated plain,
    a_device_of_a_group: delegated plain,
);

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `contain -c OPTIONS ROOT /bin/sh -c SCRIPT`.
fn sh(me: &User, options: &[&str], root: impl AsRef<Path>, script: &str) -> Cmd {
    let quiet = format!("exec 2>/dev/null; {script}");
    let options = me.contain().arg("-c").args(options);
    options.arg(root.as_ref()).args(["/bin/sh", "-c", &quiet])
}

/// A directory of the caller's with a file `f` and a directory `d`, open to all.
fn source(me: &User) -> PathBuf {
    let dir = scratch_dir(me);
    let open = |path: &Path, mode| {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    };
    fs::write(dir.join("f"), "of the host\n").unwrap();
    fs::create_dir(dir.join("d")).unwrap();
    if host_is_root() {
        for path in [&dir.join("f"), &dir.join("d")] {
            chown(path, Some(me.uid), Some(me.gid)).unwrap();
        }
    }
    open(&dir, 0o777);
    open(&dir.join("f"), 0o666);
    open(&dir.join("d"), 0o777);
    dir
}

fn files_and_directories(me: &User) {
    let (root, from) = (root(me), source(me));
    let dir = format!("{}:/mnt", text(&from));
    let file = format!("{}:/etc/passwd", text(&from.join("f")));
    let script =
        "cat /mnt/f /etc/passwd; echo inside >/mnt/new; rm /mnt/f; echo more >>/etc/passwd";
    let seen = sh(me, &["-b", &dir, "--bind", &file], &root, script).run();
    seen.says("of the host\nof the host");
    assert_eq!(fs::read_to_string(from.join("new")).unwrap(), "inside\n");
    assert!(!from.join("f").exists(), "removed inside, and still there");
    // The default is the same place.
    let here = text(&from);
    sh(me, &["-b", here], &root, &format!("cat {here}/new"))
        .run()
        .says("inside");
    assert!(!root.at("mnt/new").exists(), "written to the root");
    let out = sh(me, &["-b", "new:/mnt/x"], &root, "cat /mnt/x")
        .cwd(&from)
        .run();
    out.says("inside");
    assert_no_traces(&root);
}

fn places_inside(me: &User) {
    let (root, from) = (root(me), source(me));
    root.mkdir("etc/deep");
    let at = |place: &str| format!("{}:{place}", text(&from));
    // Sorted by their places: a mount before those below it.
    let (below, above) = (at("/mnt/d"), at("/mnt"));
    let script = "ls /mnt/d /mnt/d/d; cat /proc/self/mounts | grep -c /mnt";
    let seen = sh(me, &["-b", &below, "-b", &above], &root, script).run();
    seen.says("/mnt/d:\nd\nf\n\n/mnt/d/d:\n2");
    for (place, script) in [
        ("/dev/shm", "cat /dev/shm/f"),
        ("/dev/x/y", "cat /dev/x/y/f"),
    ] {
        sh(me, &["-b", &at(place)], &root, script)
            .run()
            .says("of the host");
    }
    assert_eq!(
        fs::read_dir(from.join("d")).unwrap().count(),
        0,
        "made outside"
    );
}

fn what_is_missing_is_made(me: &User) {
    let (root, from) = (root(me), source(me));
    let dir = format!("{}:/a/b/c", text(&from));
    let file = format!("{}:/a/file", text(&from.join("f")));
    sh(
        me,
        &["-b", &dir, "-b", &file],
        &root,
        "cat /a/b/c/f /a/file",
    )
    .run()
    .ok();
    assert!(root.at("a/b/c").is_dir() && root.at("a/file").is_file());
    assert_eq!(fs::read_dir(root.at("a/b/c")).unwrap().count(), 0);
    assert_eq!(fs::metadata(root.at("a/file")).unwrap().len(), 0);
    // Nothing is made in what is bound.
    let inner = format!("{}:/a/b/c/none", text(&from));
    let out = sh(me, &["-b", &dir, "-b", &inner], &root, "true").run();
    out.refused_naming(1, &["/a/b/c/none"]);
    assert!(!from.join("none").exists());
    // Under -x it is made in memory.
    let other = format!("{}:/other", text(&from));
    sh(me, &["-x", "-b", &other], &root, "cat /other/f")
        .run()
        .says("of the host");
    assert!(!root.at("other").exists());
}

fn a_failed_start_leaves_no_mount_point(me: &User) {
    let from = source(me);
    let dir = format!("{}:/a/b/c", text(&from));
    let file = format!("{}:/a/file", text(&from.join("f")));
    for options in [
        &["-c"][..],
        &["-c", "-r"],
        &["-c", "-H"],
        &["-c", "-i", "exit 127"],
    ] {
        let root = empty_root(me);
        let run = me.contain().args(options).args(["-b", &dir, "-b", &file]);
        run.arg(&root).arg("/bin/nowhere").run().status_is(127);
        let left: Vec<_> = fs::read_dir(&root)
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        assert!(left.is_empty(), "{options:?} left {left:?}");
    }
}

/// A directory that is removed takes along what other containers have mounted there.
fn a_failed_start_leaves_others_theirs(me: &User) {
    let root = hand_made(me, &["/bin/sh", "/bin/sleep", "/bin/true"]);
    let from = source(me);
    let bind = format!("{}:/x/y", text(&from));
    let fails = |inside: &str| {
        let cmd = me.contain().args(["-c", "-b", &bind, "-i", inside]);
        cmd.arg(&root).arg("/bin/true")
    };
    // It has made them, and fails when another uses them.
    let first = fails("echo up; read go; exit 3").under_bash(r#"exec "$@" < <(sleep 1; echo)"#);
    let first = first.start();
    first.wait_for("up");
    let script = "echo ready; sleep 2; [ -e /x/y/f ] && [ -c /dev/null ] && exit 5";
    let other = sh(me, &["-b", &bind], &root, script).start();
    other.wait_for("ready");
    first.finish().status_is(3);
    other.finish().status_is(5);
    // Nor do many at once trip over each other.
    let good = sh(me, &["-b", &bind], &root, "[ -e /x/y/f ] && exit 5");
    let bad = fails("exit 3");
    for _ in 0..5 {
        let running: Vec<_> = (0..4).map(|_| (good.start(), bad.start())).collect();
        for (good, bad) in running {
            good.finish().status_is(5);
            bad.finish().status_is(3);
        }
    }
}

/// What is made for a start is made in the root, and taken back there, also where
/// a link leads into what was bound meanwhile.
fn links_into_a_bind_harm_nothing_there(me: &User) {
    for options in [&["-c"][..], &["-c", "-r"]] {
        let (root, from) = (root(me), source(me));
        for dir in ["run", "var", "conf"] {
            fs::create_dir_all(root.at(dir)).unwrap();
        }
        symlink("../run", root.at("var/run")).unwrap();
        fs::write(from.join("d/sock"), "precious").unwrap();
        let over = format!("{}:/run", text(&from.join("d")));
        let file = format!("{}:/var/run/sock", text(&from.join("f")));
        let run = me.contain().args(options).args(["-b", &over, "-b", &file]);
        let out = run.arg(&root).arg("/bin/nowhere").run();
        out.status_is(127);
        let left = fs::read_to_string(from.join("d/sock")).unwrap();
        assert_eq!(left, "precious", "{options:?}");
        assert!(!root.at("run/sock").exists(), "{options:?}");
        // No file for the host's resolv.conf either.
        fs::remove_dir_all(root.at("etc")).unwrap();
        symlink("conf", root.at("etc")).unwrap();
        let conf = format!("{}:/conf", text(&from.join("d")));
        let run = me.contain().args(options).args(["-n", "-b", &conf]);
        run.arg(&root).arg("/bin/true").run().ok();
        assert!(!from.join("d/resolv.conf").exists(), "{options:?}");
    }
}

fn links_lead_inside(me: &User) {
    let (root, from) = (root(me), source(me));
    let outside = scratch_dir(me);
    let at = |place: &str| format!("{}:{place}", text(&from));
    root.mkdir("run");
    let link = |target: &Path, name: &str| symlink(target, root.at(name)).unwrap();
    link(Path::new("/run"), "var/run");
    link(&outside, "out");
    link(Path::new("../../../../../../../../run"), "up");
    link(Path::new("/nowhere"), "dangling");
    link(Path::new("/proc/self/root"), "magic");
    for place in ["/var/run/x", "/up/x"] {
        sh(me, &["-b", &at(place)], &root, "cat /run/x/f")
            .run()
            .says("of the host");
    }
    for place in ["/out", "/out/x", "/dangling", "/dangling/x", "/magic/x"] {
        let out = sh(me, &["-b", &at(place)], &root, "echo ran").run();
        out.refused_naming(1, &[place]);
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "made outside");
    for (make, place) in [("file", "/file/x"), ("fifo", "/fifo/x")] {
        match make {
            "file" => fs::write(root.at(make), "").unwrap(),
            _ => nix::unistd::mkfifo(&root.at(make), nix::sys::stat::Mode::S_IRWXU).unwrap(),
        }
        let out = sh(me, &["-b", &at(place)], &root, "echo ran").run();
        out.refused_naming(1, &[place, "not a directory"]);
    }
    let out = sh(me, &["-b", &at("/etc/passwd")], &root, "echo ran").run();
    out.refused_naming(1, &["/etc/passwd", "only one of the two is a directory"]);
    let out = sh(me, &["--tmpfs", "/file"], &root, "echo ran").run();
    let complaint = out.refused_naming(1, &["tmpfs", "/file", "not a directory"]);
    assert_eq!(complaint.hint, None, "{out}");
}

/// What container root may try against a mount at $1.
const UNDO: &str = "! touch $1/new && ! mount -o remount,rw,bind $1 && ! mount -o remount,rw $1 \
    && ! umount $1 && ! umount -l $1 && ! mount --move $1 /tmp && ! touch $1/new && echo held";

fn read_only_holds(me: &User) {
    let (root, from) = (root(me), source(me));
    let dir = format!("{}:/mnt:ro", text(&from));
    let undo = |place: &str| format!("set -- {place}; {UNDO}");
    sh(me, &["-b", &dir], &root, &undo("/mnt"))
        .run()
        .says("held");
    sh(me, &["-x", "-b", &dir], &root, &undo("/mnt"))
        .run()
        .says("held");
    let file = format!("{}:/etc/hosts:ro", text(&from.join("f")));
    let script = "! echo x >/etc/hosts && ! umount /etc/hosts && cat /etc/hosts";
    sh(me, &["-b", &file], &root, script)
        .run()
        .says("of the host");
    // Through a name elsewhere, and in a namespace of one's own.
    let script = "mkdir /tmp/x; mount --bind /mnt /tmp/x && ! touch /tmp/x/new && \
        ! mount -o remount,rw,bind /tmp/x && \
        ! unshare -m sh -c 'umount /mnt || mount -o remount,rw,bind /mnt' && echo held";
    sh(me, &["-b", &dir], &root, script).run().says("held");
    assert!(!from.join("new").exists());
    // Those that are not asked to be stay writable.
    let both = format!("{}:/srv", text(&from));
    sh(me, &["-b", &dir, "-b", &both], &root, "touch /srv/new")
        .run()
        .ok();
    assert!(from.join("new").exists());
    let out = sh(
        me,
        &["-b", &format!("{}:/dev/x:ro", text(&from))],
        &root,
        "echo ran",
    )
    .run();
    out.refused_naming(64, &["/dev/x"]);
}

fn a_read_only_root(me: &User) {
    let (root, from) = (root(me), source(me));
    let undo = "! touch /new && ! touch /etc/new && ! mount -o remount,rw,bind / \
        && ! mount -o remount,rw / && ! touch /new && echo held";
    sh(me, &["-r"], &root, undo).run().says("held");
    sh(me, &["-r", "-x"], &root, undo).run().says("held");
    let upper = scratch_dir(me);
    sh(me, &["-r", "--upper", text(&upper)], &root, undo)
        .run()
        .says("held");
    assert!(!root.at("new").exists());
    // Binds and memory keep rules of their own, and so does /dev.
    let dir = format!("{}:/mnt", text(&from));
    let script = "touch /mnt/new /srv/new /dev/shm/new && echo wrote";
    let out = sh(me, &["-r", "-b", &dir, "--tmpfs", "/srv"], &root, script).run();
    out.says("wrote");
    assert!(from.join("new").exists() && !root.at("srv/new").exists());
}

fn a_read_only_root_is_complete(me: &User) {
    let root = root(me);
    assert!(!root.at("proc").exists());
    let script = "test -e /proc/1 && test -c /dev/null && test -d /sys/class && echo complete";
    sh(me, &["-r"], &root, script).run().says("complete");
    // Also a pseudo-terminal, the helper and our own init.
    let helper = [
        "-r",
        "--init",
        "-i",
        "test -d bin && ! touch new 2>/dev/null",
    ];
    sh(me, &helper, &root, "echo complete")
        .run()
        .says("complete");
}

fn all_together(me: &User) {
    let (root, from) = (root(me), source(me));
    let upper = scratch_dir(me);
    let dir = format!("{}:/mnt:ro", text(&from));
    for changes in [&[][..], &["-x"], &["--upper", text(&upper)]] {
        let options = [
            "-r",
            "-b",
            &dir,
            "--tmpfs",
            "/srv",
            "--device",
            "/dev/full",
            "-n",
        ];
        let options = [changes, &options].concat();
        let script =
            "cat /mnt/f; touch /srv/x; ls /dev/full; grep -c ' / ' /proc/self/mounts; id -u";
        let out = sh(me, &options, &root, script).run();
        out.says("of the host\n/dev/full\n1\n0");
    }
    assert_no_traces(&root);
}

fn the_host_read_only(me: &User) {
    let from = source(me);
    let mine = text(&from);
    // Under -x there may be warnings of what cannot be shown.
    let says = |options: &[&str], script: &str, wanted: &str| {
        let out = sh(me, options, "/", script).run();
        assert_eq!(out.status_is(0).stdout(), wanted);
    };
    let touch = format!("! touch {mine}/new && ! mount -o remount,rw,bind / && echo held");
    says(&["-r"], &touch, "held\n");
    says(&["-r", "-x"], &touch, "held\n");
    let bind = format!("{mine}:/mnt:ro");
    let script =
        "cat /mnt/f && ! touch /mnt/new && touch /opt/new && grep -c ' / ' /proc/self/mounts";
    says(&["-x", "-b", &bind], script, "of the host\n1\n");
    assert!(!from.join("new").exists());
}

fn memory(me: &User) {
    let root = root(me);
    root.chmod("tmp", 0o1777);
    let script = "touch /tmp/x /data/x /dev/mem/x; stat -c '%a %u' /tmp /data; \
        grep ' /tmp ' /proc/self/mounts; dd if=/dev/zero of=/tmp/big bs=1k count=2000 2>/dev/null || echo full";
    let options = [
        "--tmpfs",
        "/tmp:size=1m",
        "--tmpfs",
        "/data",
        "--tmpfs",
        "/dev/mem",
    ];
    let seen = sh(me, &options, &root, script).run().ok();
    assert!(seen.starts_with("1777 0\n755 0\n"), "{seen}");
    assert!(
        seen.contains("size=1024k") && seen.contains("nosuid,nodev"),
        "{seen}"
    );
    assert!(seen.trim_end().ends_with("full"), "{seen}");
    assert!(!root.at("tmp/x").exists() && !root.at("data/x").exists());
    // A bind in memory needs no place in the root.
    let from = source(me);
    let bind = format!("{}:/tmp/a/b", text(&from));
    sh(
        me,
        &["-b", &bind, "--tmpfs", "/tmp"],
        &root,
        "cat /tmp/a/b/f",
    )
    .run()
    .says("of the host");
    assert!(!root.at("tmp/a").exists());
    for wrong in [
        "tmp",
        "/tmp:1m",
        "/tmp:size=x",
        "/tmp:size=1m,mode=777",
        "",
        "/",
    ] {
        sh(me, &["--tmpfs", wrong], &root, "echo ran")
            .run()
            .refused(64);
    }
}

fn devices(me: &User) {
    let root = root(me);
    let out = sh(
        me,
        &["--device", "/dev/kmsg"],
        &root,
        "stat -c '%t,%T' /dev/kmsg",
    )
    .run();
    out.says("1,b");
    assert!(!root.at("dev/kmsg").exists(), "made in the root");
    let net = Path::new("/dev/net");
    if net.is_dir() {
        let shown = ["--device", "/dev/net"];
        let seen = sh(me, &shown, &root, "ls /dev/net").run().ok();
        let nodes = fs::read_dir(net).unwrap().flatten();
        let nodes = nodes.filter(|entry| entry.file_type().unwrap().is_char_device());
        assert_eq!(seen.lines().count(), nodes.count());
    }
    for (wrong, code) in [
        ("/etc/passwd", 64),
        ("/dev", 64),
        ("/dev/../etc/passwd", 64),
        ("null", 64),
        ("/dev/nowhere", 1),
    ] {
        sh(me, &["--device", wrong], &root, "echo ran")
            .run()
            .refused(code);
    }
}

fn names_with_colons(me: &User) {
    let (root, from) = (root(me), source(me));
    let odd = from.join("a:b\\c d");
    fs::write(&odd, "odd\n").unwrap();
    let bind = format!("{}/a\\:b\\\\c d:/mnt/x\\:y", text(&from));
    sh(me, &["-b", &bind], &root, "cat /mnt/x:y")
        .run()
        .says("odd");
}

fn wrong_binds(me: &User) {
    let (root, from) = (root(me), source(me));
    let here = text(&from);
    for (bind, code) in [
        (String::new(), 64),
        (":/mnt".into(), 64),
        (format!("{here}:mnt"), 64),
        (format!("{here}:/mnt:rw"), 64),
        (format!("{here}:/mnt:ro:ro"), 64),
        (format!("{here}:/"), 64),
        (format!("{here}:/mnt/../etc"), 64),
        (format!("{here}/nowhere:/mnt"), 1),
        (format!("{here}/f/x:/mnt"), 1),
        (format!("{here}:/proc/nowhere"), 1),
    ] {
        let out = sh(me, &["-b", &bind], &root, "echo ran").run();
        out.refused(code);
    }
    let twice = format!("{here}:/mnt");
    let out = sh(me, &["-b", &twice, "-b", &twice], &root, "echo ran").run();
    out.refused_naming(64, &["/mnt", "two mounts"]);
    let console = format!("{here}/f:/dev//console");
    let shown = ["-b", &console];
    let with_ours = me.contain().args(shown).arg(&root).arg("/bin/true");
    with_ours.run().refused_naming(64, &["/dev/console", "-c"]);
    sh(me, &shown, &root, "test -f /dev/console && echo shown")
        .run()
        .says("shown");
    assert_no_traces(&root);
}

fn twenty(me: &User) {
    let (root, from) = (root(me), source(me));
    let binds: Vec<_> = (0..70)
        .map(|n| format!("{}:/mnt/{n}:ro", text(&from)))
        .collect();
    let options: Vec<&str> = binds.iter().flat_map(|bind| ["-b", bind]).collect();
    sh(me, &options, &root, "cat /mnt/*/f | wc -l")
        .run()
        .says("70");
}

/// Also read-only, and what they cover stays covered.
fn submounts_come_along(me: &User) {
    if !host_is_root() {
        skip!("only root can mount something below a directory of the host");
    }
    let (root, from) = (root(me), source(me));
    let setup = format!(
        "echo covered >{0}/d/covered; mount -t tmpfs none {0}/d; echo sub >{0}/d/sub; chmod 777 {0}/d",
        text(&from)
    );
    let bind = format!("{}:/mnt", text(&from));
    let script =
        "cat /mnt/d/sub; touch /mnt/d/new && ! umount /mnt/d && ! ls /mnt/d/covered && echo held";
    let out = sh(me, &["-b", &bind], &root, script).setup(&setup).run();
    out.says("sub\nheld");
    let script = format!("cat /mnt/d/sub; set -- /mnt/d; {UNDO}");
    let out = sh(me, &["-b", &format!("{bind}:ro")], &root, &script)
        .setup(&setup)
        .run();
    out.says("sub\nheld");
}

/// What the host's own mount forbids container root cannot allow, be it that of a
/// source, of the root, or of something in the root.
fn limits_of_the_host_hold(me: &User) {
    if !host_is_root() {
        skip!("only root can limit a mount of the host's");
    }
    let (root, from) = (root(me), source(me));
    let limited = |dir: &Path| {
        let dir = text(dir);
        format!("mount --bind {dir} {dir}; mount -o remount,bind,ro,nosuid,nodev,noexec {dir}; ")
    };
    let allow = |place: &str| {
        format!(
            "for less in rw,nosuid,nodev,noexec ro,suid,nodev,noexec ro,nosuid,dev,noexec \
             ro,nosuid,nodev,exec; do ! mount -o remount,bind,$less {place} || exit; done; \
             ! touch {place}/d/new && echo held"
        )
    };
    for target in ["d", "f"] {
        let bind = format!("{}:/mnt/{target}", text(&from.join(target)));
        let out = sh(me, &["-b", &bind], &root, &allow(&format!("/mnt/{target}")))
            .setup(&limited(&from))
            .run();
        out.says("held");
    }
    // Where nothing can be locked, what the supervisor would show is refused.
    let bind = format!("{}:/dev/shown", text(&from.join("d")));
    let out = sh(me, &["-b", &bind], &root, &allow("/dev/shown")).setup(&limited(&from));
    match me.uid {
        0 => drop(out.run().refused_naming(1, &["/dev/shown", "read-only"])),
        _ => drop(out.run().says("held")),
    }
    let here: &Path = root.as_ref();
    let (here, srv) = (text(here), here.join("srv"));
    fs::create_dir_all(srv.join("d")).unwrap();
    fs::set_permissions(srv.join("d"), Permissions::from_mode(0o777)).unwrap();
    // One of root's own is shown with other ids than those on disk.
    let mut owned = vec!["true".to_string()];
    if me.uid == 0 {
        owned.push(format!("chown 0:0 {here}"));
    }
    for owned in owned {
        let setup = format!("{owned}; {}", limited(&srv));
        let out = sh(me, &[], &root, &allow("/srv")).setup(&setup).run();
        out.says("held");
        let setup =
            format!("{owned}; mount --bind {here} {here}; mount -o remount,bind,nodev {here}");
        let script = "mount -o remount,bind,rw,dev / || echo held";
        sh(me, &[], &root, script).setup(&setup).run().says("held");
    }
}

fn mounts_propagate_neither_way(me: &User) {
    if !host_is_root() {
        skip!("only root can make the host's mounts shared");
    }
    for mode in ["", ":ro"] {
        let (root, from) = (root(me), source(me));
        let here = text(&from);
        // The host mounts something, and looks once the container has, too.
        let setup = format!(
            "mount --make-rshared /; cd {here}; mkdir outer inner; chmod 777 outer inner
             (until test -e up; do sleep 0.1; done; mount -t tmpfs outer outer; touch outside
              until test -e inside; do sleep 0.1; done; grep -c inner.tmpfs /proc/self/mounts >seen || true; touch end) &"
        );
        let script = "touch /srv/up; until test -e /srv/outside; do sleep 0.1; done; \
            grep -c ^outer /proc/self/mounts; mount -t tmpfs inner /mnt/inner || echo not mounted; \
            grep -c ^inner /proc/self/mounts; touch /srv/inside; until test -e /srv/end; do sleep 0.1; done";
        let (mnt, srv) = (format!("{here}:/mnt{mode}"), format!("{here}:/srv"));
        let out = sh(me, &["-b", &mnt, "-b", &srv], &root, script)
            .setup(&setup)
            .run();
        out.says("0\n1");
        assert_eq!(fs::read_to_string(from.join("seen")).unwrap(), "0\n");
    }
}

/// The process that makes the mounts is gone as well.
fn killed_while_mounting(me: &User) {
    let (root, from) = (root(me), source(me));
    let bind = format!("{}:/mnt:ro", text(&from));
    let waits = ["-r", "-b", &bind, "-i", "echo up; sleep 60"];
    let run = sh(me, &waits, &root, "true").start();
    run.wait_for("up");
    tests::kill(run.pid());
    assert_eq!(run.ended(), None, "it was killed");
    assert_no_traces(&root);
}

fn files_of_the_caller(me: &User) {
    let (root, from) = (root(me), source(me));
    let bind = format!("{}:/mnt", text(&from));
    let options = ["-u", "keep", "-g", "keep", "-b", &bind];
    let script = format!(
        "chown {0}:{1} /mnt/d && touch /mnt/d && stat -c %u /mnt/f",
        me.uid, me.gid
    );
    sh(me, &options, &root, &script)
        .run()
        .says(&me.uid.to_string());
    let d = fs::metadata(from.join("d")).unwrap();
    assert_eq!((d.uid(), d.gid()), (me.uid, me.gid));
}

/// Below a directory that container root may not enter.
fn a_source_that_only_the_caller_reaches(me: &User) {
    let (root, from) = (root(me), source(me));
    let closed = from.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("f"), "reached\n").unwrap();
    fs::set_permissions(closed.join("f"), Permissions::from_mode(0o644)).unwrap();
    let to = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    if host_is_root() {
        chown(&closed, Some(me.uid), Some(me.gid)).unwrap();
    }
    to(&closed, 0o700);
    let bind = format!("{}:/mnt/f", text(&closed.join("f")));
    sh(me, &["-b", &bind], &root, "cat /mnt/f")
        .run()
        .says("reached");
    if me.uid == 0 || !host_is_root() {
        return;
    }
    // And one that the caller does not.
    chown(&closed, Some(0), Some(0)).unwrap();
    let out = sh(me, &["-b", &bind], &root, "cat /mnt").run();
    out.refused_naming(1, &["permission denied"]);
}

fn a_device_of_a_group(me: &User) {
    if !host_is_root() {
        skip!("only root can make a device and a member of its group");
    }
    let root = root(me);
    // A zero device for a group of its own, in a /dev of the test's own.
    let node = "/dev/contain-test";
    let setup = "mount -t tmpfs none /mnt; for n in null zero full random urandom tty; do touch /mnt/$n; \
         mount --bind /dev/$n /mnt/$n; done; mkdir /mnt/pts /mnt/shm; mknod -m 660 /mnt/contain-test c 1 5; \
         chown 0:54321 /mnt/contain-test; mount --move /mnt /dev";
    let as_root = User::get(tests::As::Root).unwrap();
    let member = [
        "--reuid",
        &me.uid.to_string(),
        "--regid",
        &me.gid.to_string(),
    ]
    .map(String::from);
    let script = format!("head -c 4 {node} | wc -c");
    let run = as_root
        .command("setpriv")
        .args(member)
        .args(["--groups", "54321", "--"]);
    let run = run
        .arg(me.contain().program())
        .args(["-c", "--device", node]);
    run.arg(&root)
        .args(["/bin/sh", "-c", &script])
        .setup(setup)
        .run()
        .says("4");
}
