//! The transcript of the README: a Debian root populated through pseudo boots
//! runit under contain, and inject opens a shell in it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use tests::{
    As, Debian, INCLUDE, Running, SECOND, User, assert_no_traces, debian, each_user, host_is_root,
    scratch_dir, skip, some_users,
};

each_user!(
    owners_are_kept_inside_and_out,
    a_root_shell,
    runit_boots_and_inject_enters,
    the_callers_files_in_a_booted_machine,
    every_way_to_kill_a_booted_machine,
);

some_users!(
    pseudo_runs_mmdebstrap: delegated,
);

/// The user's Debian, or a skip.
macro_rules! debian {
    ($me:expr) => {
        match debian($me) {
            Ok(debian) => debian,
            Err(reason) => skip!("{reason}"),
        }
    };
}

fn owners_are_kept_inside_and_out(me: &User) {
    let debian = debian!(me);
    let path: &Path = debian.as_ref();
    let inside = me
        .sh(
            &debian,
            "stat -c %u:%g /etc/passwd /etc/shadow /var/mail; su -s /bin/sh nobody -c id",
        )
        .run();
    for (name, gid) in [("etc/passwd", 0), ("etc/shadow", 42), ("var/mail", 8)] {
        let meta = fs::metadata(path.join(name)).unwrap();
        assert_eq!(Some(meta.uid()), me.outside("uid", 0), "{name}");
        let gid = if me.many_ids() { gid } else { 0 };
        assert_eq!(Some(meta.gid()), me.outside("gid", gid), "{name}");
    }
    if me.many_ids() {
        let out = inside.ok();
        assert!(
            out.starts_with("0:0\n0:42\n0:8\nuid=65534(nobody)"),
            "{out}"
        );
    } else {
        assert!(inside.stdout().starts_with("0:0\n0:0\n0:0\n"), "{inside}");
    }
}

fn a_root_shell(me: &User) {
    let debian = debian!(me);
    let path: &Path = debian.as_ref();
    let keys = "id\necho $$\nhostname brian; hostname\nip link set lo down && ip link set lo up && echo links\nip -o link | wc -l\ntouch /tmp/x; chown 1:1 /tmp/x && echo owned\nps -e -o args | grep -c contain-test[s]\n";
    let out = me
        .contain()
        .arg(format!("{}/", path.display()))
        .input(keys)
        .run();
    let text = out.stdout();
    assert!(
        text.starts_with("uid=0(root) gid=0(root) groups=0(root)\n1\nbrian\nlinks\n1\n"),
        "{out}"
    );
    assert_eq!(text.contains("owned"), me.many_ids(), "{out}");
    assert!(text.ends_with("0\n"), "{out}");
}

/// Boots Debian and waits for runit's stage 2.
fn boot(me: &User, debian: &Debian, options: &[&str]) -> Running {
    let path: &Path = debian.as_ref();
    let gettys = fs::read_dir(path.join("etc/runit/runsvdir/default")).unwrap();
    for entry in gettys.map(|entry| entry.unwrap().path()) {
        if entry
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("getty")
        {
            fs::remove_file(entry).unwrap();
        }
    }
    let cmd = me
        .contain()
        .args(options)
        .arg("-n")
        .arg(format!("{}/", path.display()));
    let mut running = cmd.arg("/sbin/init").start();
    let init = running.init();
    let services = tests::eventually(40 * SECOND, || {
        tests::children(init)
            .into_iter()
            .any(|pid| tests::comm(pid) == "runsvdir")
    });
    assert!(
        services,
        "runit did not reach stage 2: {} {}",
        running.stdout(),
        running.stderr()
    );
    running
}

fn runit_boots_and_inject_enters(me: &User) {
    let debian = debian!(me);
    let mut running = boot(me, &debian, &[]);
    let pid = running.pid().to_string();
    let mut entering = vec![me.clone()];
    if host_is_root() && me.kind != As::Root {
        entering.push(User::get(As::Root).unwrap());
    }
    for user in entering {
        let out = user
            .inject()
            .args([&pid, "/bin/bash"])
            .input("ps axf\nid -u\n")
            .run()
            .ok();
        let init = out
            .lines()
            .find(|line| line.trim_start().starts_with("1 "))
            .unwrap_or_default();
        assert!(init.contains("runit"), "{out}");
        assert!(out.contains("runsvdir") && out.ends_with("\n0"), "{out}");
        assert!(!out.contains("cargo"), "{out}");
    }
    // The machine answers its own tools.
    let out = me
        .inject()
        .args([
            &pid,
            "/bin/sh",
            "-c",
            "ls /etc/service/ && sv --help 2>&1 | head -1; hostname",
        ])
        .run();
    assert_eq!(out.code(), Some(0), "{out}");
    assert_eq!(tests::comm(running.init()), "runit");
}

fn the_callers_files_in_a_booted_machine(me: &User) {
    let debian = debian!(me);
    let path: &Path = debian.as_ref();
    let dir = scratch_dir(me);
    fs::write(dir.join("mine"), "my file").unwrap();
    let bind = format!("mkdir -p data; mount --bind {} data", dir.display());
    let running = boot(me, &debian, &["-i", &bind]);
    let out = me
        .inject()
        .args([&running.pid().to_string(), "/bin/cat", "/data/mine"])
        .run();
    out.says("my file");
    drop(running);
    let _ = fs::remove_dir(path.join("data"));
    fs::remove_dir_all(dir).unwrap();
}

fn every_way_to_kill_a_booted_machine(me: &User) {
    let debian = debian!(me);
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        let running = boot(me, &debian, &[]);
        running.signal(signal);
        drop(running.finish());
        assert_no_traces(&debian);
    }
    let running = boot(me, &debian, &[]);
    me.command("pkill")
        .args(["-KILL", "-P", &running.pid().to_string()])
        .run()
        .status_is(0);
    running.finish().status_is(137);
    assert_no_traces(&debian);
}

fn pseudo_runs_mmdebstrap(me: &User) {
    let dir = scratch_dir(me);
    let cmd = me.pseudo().args([
        "-m",
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        INCLUDE,
        "bookworm",
    ]);
    let cmd = cmd.arg(dir.join("root")).env("TMPDIR", &dir).cwd(&dir);
    let out = cmd.limit(Duration::from_secs(400)).run();
    assert_eq!(out.code(), Some(0), "{out}");
    let root = dir.join("root");
    assert_eq!(
        fs::metadata(root.join("etc/shadow")).unwrap().gid(),
        me.outside("gid", 42).unwrap()
    );
    me.sh(&root, "id -un; dpkg-query -W -f '${Status}' runit")
        .run()
        .says("root\ninstall ok installed");
    assert_no_traces(&dir);
    me.pseudo().args(["rm", "-r"]).arg(&root).run().ok();
    fs::remove_dir_all(dir).unwrap();
}
