//! The helpers of -i and -o: where they run, in which order, what they see,
//! and what their failure does.

use std::fs;
use std::path::PathBuf;

use tests::{
    User, assert_no_traces, each_user, errors, namespace, root, scratch_dir, skip, some_users,
};

each_user!(
    outside_runs_before_inside_before_init,
    outside_runs_on_the_host,
    outside_sees_the_namespaces_through_its_parent,
    inside_runs_in_the_new_root_before_the_pivot,
    inside_can_mount,
    a_failing_helper_ends_the_start,
    whatever_ends_a_helper_leaves_the_root_alone,
    a_helper_can_read_our_input,
    helpers_have_the_callers_descriptors,
);

some_users!(
    root_moves_an_interface_in: root,
);

/// A directory of the caller's that goes when the test ends.
struct Dir(PathBuf);

impl Dir {
    fn of(me: &User) -> Self {
        Self(scratch_dir(me))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn outside_runs_before_inside_before_init(me: &User) {
    let root = root(me);
    let out = me
        .contain()
        .args(["-c", "-i", "echo inside", "-o", "echo outside"]);
    out.arg(&root)
        .args(["/bin/echo", "init"])
        .run()
        .says("outside\ninside\ninit");
}

/// Mount points that were made for the start go with it, also when the child is busy.
fn whatever_ends_a_helper_leaves_the_root_alone(me: &User) {
    let root = tests::hand_made(me, &["/bin/true"]);
    let listing = || {
        let mut find = std::process::Command::new("find");
        let out = find.arg(&root).output().expect("find");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    let before = listing();
    let all: [&[&str]; 3] = [&[], &["-r"], &["-n"]];
    for options in all {
        let start = |helper: [&str; 2]| {
            let cmd = me.contain().args(["-b", "/etc/hosts:/new/point"]);
            cmd.args(options).args(helper).arg(&root).arg("/bin/true")
        };
        for helper in [["-i", "exit 3"], ["-o", "exit 3"]] {
            start(helper).run().status_is(3);
            assert_eq!(listing(), before, "{options:?} {helper:?}");
        }
        let running = start(["-i", "echo up; exec sleep 1000"]).start();
        running.wait_for("up\n");
        assert_ne!(listing(), before, "{options:?}: nothing to take back");
        running.signal(libc::SIGTERM);
        running.finish().status_is(128 + libc::SIGTERM);
        assert_eq!(listing(), before, "{options:?}: interrupted");
    }
}

fn outside_runs_on_the_host(me: &User) {
    let root = root(me);
    let dir = Dir::of(me);
    let say =
        "pwd; readlink /proc/self/ns/net /proc/self/ns/mnt /proc/self/ns/user; id -u; echo $SECRET";
    let out = me
        .contain()
        .cwd(&dir.0)
        .env("SECRET", "kept")
        .args(["-c", "-o", say]);
    let out = out.arg(&root).arg("/bin/true").run().ok();
    let own = |name| namespace(std::process::id(), name);
    let wanted = [
        dir.0.display().to_string(),
        own("net"),
        own("mnt"),
        own("user"),
        me.uid.to_string(),
        "kept".to_owned(),
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), wanted);
}

fn outside_sees_the_namespaces_through_its_parent(me: &User) {
    let root = root(me);
    let names = "net user mnt uts ipc";
    let say = format!(
        "for n in {names}; do readlink /proc/$PPID/ns/$n; done; readlink /proc/$CONTAIN_PID/ns/net"
    );
    let inside =
        format!("for n in {names}; do readlink /proc/self/ns/$n; done; readlink /proc/1/ns/net");
    let out = me
        .contain()
        .args(["-c", "-o", &say])
        .arg(&root)
        .args(["/bin/sh", "-c", &inside]);
    let out = out.run().ok();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 12, "{out}");
    // The network is what a helper moves interfaces into by its parent's id.
    assert_eq!(lines[0], lines[6], "$PPID's network is not init's");
    assert_eq!(lines[5], lines[6], "$CONTAIN_PID's network is not init's");
    assert_ne!(lines[0], namespace(std::process::id(), "net"));
}

fn inside_runs_in_the_new_root_before_the_pivot(me: &User) {
    let root = root(me);
    let dir = Dir::of(me);
    fs::write(dir.0.join("host-file"), "from the host").unwrap();
    fs::set_permissions(&dir.0, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let host_file = dir.0.join("host-file");
    let say = format!(
        "cat {}; echo; id -u; test ./etc/passwd -ef {}/etc/passwd && echo root; echo made >var/by-helper; readlink /proc/self/ns/net",
        host_file.display(),
        (root.as_ref() as &std::path::Path).display()
    );
    let out = me.contain().args(["-c", "-i", &say]).arg(&root);
    let out = out
        .args([
            "/bin/sh",
            "-c",
            "cat /var/by-helper; readlink /proc/self/ns/net",
        ])
        .run()
        .ok();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..3], ["from the host", "0", "root"], "{out}");
    assert_eq!(lines[4], "made", "{out}");
    assert_eq!(lines[3], lines[5], "the helper's network is not init's");
    assert_ne!(lines[3], namespace(std::process::id(), "net"), "{out}");
    assert_eq!(
        fs::read_to_string(root.at("/var/by-helper")).unwrap(),
        "made\n"
    );
}

fn inside_can_mount(me: &User) {
    let root = root(me);
    let dir = Dir::of(me);
    fs::write(dir.0.join("mine"), "my file").unwrap();
    let bind = format!("mkdir -p data; mount --bind {} data", dir.0.display());
    let out = me.contain().args(["-c", "-i", &bind]).arg(&root);
    out.args(["/bin/sh", "-c", "cat /data/mine"])
        .run()
        .says("my file");
    assert_eq!(
        fs::read_dir(root.at("/data")).unwrap().count(),
        0,
        "the mount is seen outside"
    );
    assert_no_traces(&root);
}

fn a_failing_helper_ends_the_start(me: &User) {
    let root = root(me);
    for option in ["-i", "-o"] {
        for (script, status) in [
            ("exit 9", 9),
            ("exit 255", 255),
            ("kill -TERM $$", 143),
            ("/no/such/program 2>/dev/null", 127),
        ] {
            let out = me.contain().args(["-c", option, script]).arg(&root);
            let out = out.args(["/bin/touch", "/started"]).run();
            out.status_is(status);
            if script.starts_with("kill") {
                out.refused_naming(status, &["killed by SIGTERM"]);
            }
            assert!(
                errors(&out.stderr).len() <= 2,
                "more than a line and a hint{out}"
            );
            assert!(!root.at("/started").exists(), "init ran{out}");
            assert_no_traces(&root);
        }
    }
    // The second helper does not run after the first has failed.
    let out = me
        .contain()
        .args(["-c", "-o", "exit 5", "-i", "echo inside"])
        .arg(&root);
    assert_eq!(out.arg("/bin/true").run().status_is(5).bytes, b"");
}

fn a_helper_can_read_our_input(me: &User) {
    let root = root(me);
    let out = me
        .contain()
        .args(["-c", "-o", "read line; echo outside $line"])
        .arg(&root);
    let out = out.args(["/bin/sh", "-c", "cat"]).input("first\n").run();
    assert!(out.ok().contains("outside first"), "{out}");
}

fn helpers_have_the_callers_descriptors(me: &User) {
    let root = root(me);
    let cmd = me.contain().args(["-o", "echo outside >&7"]);
    let cmd = cmd.args(["-i", "echo inside >&7"]).arg(&root);
    let script = "exec 2>/dev/null; echo init >&7 || echo closed";
    cmd.args(["/bin/sh", "-c", script])
        .under_bash(r#"exec 7> >(cat >&1); exec "$@""#)
        .run()
        .says("outside\ninside\nclosed");
}

/// The issue's transcript, in a network namespace that is not the machine's.
fn root_moves_an_interface_in(me: &User) {
    let root = root(me);
    let veth = "ip link add veth1 type veth peer name c0 && ip link set c0 netns $PPID";
    let probe = me
        .command("unshare")
        .args(["-n", "ip", "link", "add", "v1", "type", "veth"])
        .run();
    if probe.code() != Some(0) {
        skip!("this kernel has no veth: {}", probe.stderr.trim());
    }
    let out = me.contain().args(["-c", "-o", veth]).arg(&root);
    let out = out.args([
        "/bin/sh",
        "-c",
        "ls /sys/class/net; ip link set c0 up && echo up",
    ]);
    let out = out.under(["unshare", "-n"]).run().ok();
    let seen: Vec<&str> = out.lines().collect();
    assert!(
        seen.contains(&"c0") && seen.contains(&"lo") && seen.contains(&"up"),
        "{out}"
    );
    assert!(!seen.contains(&"veth1"), "the host's end is inside: {out}");
}
