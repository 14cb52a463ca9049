//! What init finds: who it is, its environment, /dev, /proc and /sys, and
//! what becomes of its changes.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use tests::{User, assert_no_traces, each_user, root};

each_user!(
    init_is_root_and_pid_1,
    init_gets_a_cleared_environment,
    a_bare_name_is_looked_up_inside,
    dev_holds_the_documented_nodes,
    dev_nodes_work,
    proc_and_sys_are_the_containers,
    missing_directories_are_created,
    changes_stay_in_the_root,
);

fn init_is_root_and_pid_1(me: &User) {
    let root = root(me);
    let out = me
        .sh(&root, "id; id -u; id -g; id -G; echo $$; pwd")
        .run()
        .ok();
    // busybox's id names groups only where there are supplementary ones.
    assert!(out.starts_with("uid=0(root) gid=0(root)"), "{out}");
    assert!(out.ends_with("\n0\n0\n0\n1\n/"), "{out}");
}

fn init_gets_a_cleared_environment(me: &User) {
    let root = root(me);
    let out = me
        .contain()
        .env("SECRET", "x")
        .arg("-c")
        .arg(&root)
        .args(["/bin/env"])
        .run()
        .ok();
    let names: Vec<&str> = out
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    assert!(out.lines().any(|line| line == "container=contain"), "{out}");
    for name in ["HOME", "PATH", "TERM"] {
        assert_eq!(
            names.iter().filter(|&&given| given == name).count(),
            1,
            "{name} in {out}"
        );
    }
    assert_eq!(names.len(), 4, "more than documented: {out}");
    assert!(out.lines().any(|line| line == "HOME=/root"), "{out}");
}

fn a_bare_name_is_looked_up_inside(me: &User) {
    let root = root(me);
    root.write(
        "/usr/local/bin/only-inside",
        "#!/bin/sh\necho found \"$@\"\n",
        0o755,
    );
    me.contain()
        .arg("-c")
        .arg(&root)
        .args(["only-inside", "it"])
        .run()
        .says("found it");
    me.contain()
        .arg("-c")
        .arg(&root)
        .arg("no-such-name")
        .run()
        .refused_naming(127, &["no-such-name"]);
    assert_no_traces(&root);
}

fn dev_holds_the_documented_nodes(me: &User) {
    let root = root(me);
    let script =
        "cd /dev; for n in null zero full random urandom tty; do test -c $n || echo no $n; done
        for d in pts shm mqueue; do test -d $d || echo no $d; done
        test -c console || echo no console
        test -c ptmx || echo no ptmx
        echo $(for n in fd stdin stdout stderr; do readlink $n; done); ls -A | sort | tr '\\n' ' '";
    // With -c there is no pseudo-terminal, so no console.
    let out = me
        .contain()
        .arg(&root)
        .args(["/bin/sh", "-c", script])
        .run()
        .ok();
    let mut lines = out.lines();
    let links = "/proc/self/fd /proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2";
    assert_eq!(lines.next(), Some(links), "{out}");
    let wanted =
        "console fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(lines.next().map(str::trim), Some(wanted), "{out}");
}

fn dev_nodes_work(me: &User) {
    let root = root(me);
    let script = "set -e
        echo x >/dev/null; test $(head -c 3 /dev/zero | wc -c) = 3
        test $(head -c 3 /dev/urandom | wc -c) = 3
        ! echo x 2>/dev/null >/dev/full
        echo shared >/dev/shm/a; cat /dev/shm/a; rm /dev/shm/a
        ls -ld /dev/shm /tmp | cut -c1-10; echo via | cat /dev/stdin; echo done >/dev/stdout | cat";
    me.sh(&root, script)
        .run()
        .says("shared\ndrwxrwxrwt\ndrwxrwxrwt\nvia\ndone");
}

fn proc_and_sys_are_the_containers(me: &User) {
    let root = root(me);
    let script = "set -e; test $(readlink /proc/self/exe) = /bin/busybox
        awk '$2 == \"/proc\" || $2 == \"/sys\" {print $2, $3}' /proc/mounts
        ls -d /sys/class /sys/fs/cgroup
        ls /proc | grep -c '^[0-9]*$'";
    let out = me.sh(&root, script).run().ok();
    assert!(
        out.contains("/proc proc") && out.contains("/sys/class\n/sys/fs/cgroup"),
        "{out}"
    );
    let seen: u32 = out.lines().last().unwrap().parse().unwrap();
    assert!((1..=4).contains(&seen), "sees {seen} processes");
}

fn missing_directories_are_created(me: &User) {
    let root = root(me);
    assert!(!root.at("/dev").exists());
    me.sh(&root, "true").run().ok();
    for name in ["/dev", "/proc", "/sys"] {
        let meta = std::fs::symlink_metadata(root.at(name)).expect(name);
        assert!(meta.is_dir(), "{name}");
        assert_eq!(meta.permissions().mode() & 0o7777, 0o755, "{name}");
        assert_eq!(Some(meta.uid()), me.outside("uid", 0), "{name}");
        assert_eq!(
            std::fs::read_dir(root.at(name)).unwrap().count(),
            0,
            "{name} was filled"
        );
    }
}

fn changes_stay_in_the_root(me: &User) {
    let root = root(me);
    let script = "echo kept >/var/file; echo gone >/dev/file; chmod 600 /var/file";
    me.sh(&root, script).run().ok();
    assert_eq!(
        std::fs::read_to_string(root.at("/var/file")).unwrap(),
        "kept\n"
    );
    let meta = std::fs::metadata(root.at("/var/file")).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o600);
    assert_eq!(Some(meta.uid()), me.outside("uid", 0));
    assert!(!root.at("/dev/file").exists());
}
