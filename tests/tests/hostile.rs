//! Containers and users that mean ill to whoever looks at them: nobody waits for
//! them, reads without end or takes their word for another's.

use std::fs;
use std::os::unix::fs::symlink;

use tests::{
    As, Cmd, Root, Running, SECOND, User, each_user, empty_root, eventually, host_is_root, root,
    skip, some_users, status_field, while_exchanging,
};

each_user!(
    an_argument_area_without_end,
    cells_wider_than_any_terminal,
    format_characters_reach_no_terminal,
    a_full_pipe_that_is_to_be_told,
    nothing_is_listed_without_proc,
    a_link_in_the_way_of_the_changes,
);

some_users!(
    records_that_cost_others_nothing: plain,
    a_lease_on_what_is_to_be_init: plain,
    a_record_taken_along_to_another_user: root,
    a_lock_on_the_upper_directory: root,
    names_outside_the_root_are_not_shown: plain,
);

const HOSTILE: &str = env!("CARGO_BIN_EXE_hostile");

/// A copy that every user can run.
fn hostile(root: &Root) -> String {
    root.install(HOSTILE, "/hostile");
    root.at("/hostile").to_str().unwrap().to_string()
}

/// The supervisor asks which init it is by what the kernel says, and not by the
/// process's own memory.
fn an_argument_area_without_end(me: &User) {
    let root = root(me);
    root.install(HOSTILE, "/sbin/init");
    let cmd = me.contain().args(["-c", "--stop-timeout", "2"]).arg(&root);
    let mut running = cmd.args(["/sbin/init", "arguments"]).start();
    running.wait_for("up");
    let supervisor = running.pid();
    running.signal(libc::SIGTERM);
    let peak = || status_field(supervisor, "VmHWM");
    let mut most = String::new();
    assert!(eventually(20 * SECOND, || {
        most = peak().unwrap_or(most.clone());
        running.try_wait().is_some()
    }));
    let kilobytes: u64 = most.split(' ').next().unwrap().parse().unwrap_or(0);
    assert!(kilobytes < 64 << 10, "{most}");
    running.finish().status_is(128 + 15);
}

fn cells_wider_than_any_terminal(me: &User) {
    let root = root(me);
    let word = "x".repeat(100_000);
    let cmd = me.contain().args(["-c", "-N", "wide"]).arg(&root);
    let running = cmd
        .args(["/bin/sh", "-c", "echo up; sleep 1000; :", &word])
        .start();
    running.wait_for("up");
    for options in [&["-l"][..], &["-l", "--json"]] {
        let out = me.inject().args(options).run().ok();
        let pid = running.pid().to_string();
        let line = out.lines().find(|line| line.contains(&pid)).unwrap();
        assert!(line.contains("sleep 1000") && line.len() < 40_000, "{line}");
        assert!(line.contains('…'), "what is left out is said: {line}");
    }
    let out = me.inject().args(["no-such-name", "/bin/true"]).run();
    out.status_is(1);
}

fn format_characters_reach_no_terminal(me: &User) {
    let raw = [
        '\u{202e}', '\u{2066}', '\u{2069}', '\u{2028}', '\u{200b}', '\u{feff}',
    ];
    let evil: String = raw.iter().collect();
    let root = root(me);
    let dir = format!("/a{evil}b");
    root.install("/bin/busybox", &format!("{dir}/bin/sh"));
    let cmd = me.contain().arg("-c").arg(root.at(&dir));
    let running = cmd
        .args(["/bin/sh", "-c", &format!("echo up; sleep 1000; : {evil}é")])
        .start();
    running.wait_for("up");
    let shown = |text: &str| {
        assert!(!text.contains(raw), "{text:?}");
        assert!(text.contains("202e"), "{text:?}");
    };
    shown(&me.inject().arg("-l").run().ok());
    shown(&me.inject().args(["-l", "--json"]).run().ok());
    shown(&me.inject().args(["nobody", "/bin/true"]).run().stderr);
    shown(&me.contain().arg(format!("/no/{evil}")).run().stderr);
    shown(&me.contain().args(["--net", &evil, "/"]).run().stderr);
}

/// Signals are heard while nobody reads.
fn a_full_pipe_that_is_to_be_told(me: &User) {
    let root = root(me);
    let script = r#"mkfifo "$PIPE"; exec 4<>"$PIPE"; exec 3>"$PIPE"
        head -c 65536 /dev/zero >&3; rm "$PIPE"; exec "$@""#;
    let scratch = empty_root(me);
    let cmd = me.contain().args(["-c", "--ready-fd", "3"]).arg(&root);
    let cmd = cmd.args([
        "/bin/sh",
        "-c",
        "trap 'exit 7' TERM; echo up; while :; do sleep 1; done",
    ]);
    let running = cmd
        .env("PIPE", scratch.at("/pipe"))
        .under_bash(script)
        .start();
    running.wait_for("up");
    running.signal(libc::SIGTERM);
    running.limit(20 * SECOND).finish().status_is(7);
}

fn nothing_is_listed_without_proc(me: &User) {
    if !host_is_root() {
        skip!("this needs root, who takes /proc away");
    }
    let out = me
        .inject()
        .arg("-l")
        .setup("mount -t tmpfs none /proc")
        .run();
    out.refused_naming(1, &["cannot list containers", "/proc"]);
}

fn a_link_in_the_way_of_the_changes(me: &User) {
    let (root, kept, other) = (root(me), empty_root(me), empty_root(me));
    fs::write(other.at("/secret-name"), "").unwrap();
    symlink(other.at("/"), kept.at("/work")).unwrap();
    let cmd = me.contain().arg("--upper").arg(kept.at("/")).arg(&root);
    let out = cmd.arg("/bin/true").run();
    out.refused_naming(1, &["open work in upper directory", "ot a directory"]);
    assert!(!out.stderr.contains("secret-name"), "{out}");
}

/// One supervisor that is none, and what root's lists say beside it, soon.
fn lists_beside(me: &User, how: &str) -> String {
    let host = User::get(As::Root).unwrap();
    let scratch = empty_root(me);
    let running = me.command(hostile(&scratch)).args(["records", how]).start();
    running.wait_for("up");
    let mut said = String::new();
    for args in [&["-l"][..], &["no-such-name", "/bin/true"]] {
        let begun = std::time::Instant::now();
        let out = host.inject().args(args).limit(20 * SECOND).run();
        assert!(begun.elapsed() < 8 * SECOND, "{how}: {:?}", begun.elapsed());
        assert!(out.code() != Some(134), "{out}");
        said += &out.stderr;
    }
    said
}

fn records_that_cost_others_nothing(me: &User) {
    if !host_is_root() {
        skip!("this needs root, who lists them");
    }
    for how in ["leased", "large", "many", "descriptors"] {
        lists_beside(me, how);
    }
    let said = lists_beside(me, "small");
    let warning = format!("the processes of {} take too long to look at", me.name);
    assert!(said.contains(&warning), "{said}");
}

fn a_lease_on_what_is_to_be_init(me: &User) {
    if !host_is_root() {
        skip!("this needs root, who starts it");
    }
    let host = User::get(As::Root).unwrap();
    let (root, scratch) = (root(me), empty_root(me));
    // An init that is known by its name, in a file of the user's.
    root.install("/bin/busybox", "/sbin/runit-init");
    symlink("runit-init", root.at("/sbin/init2")).unwrap();
    let cmd = me
        .command(hostile(&scratch))
        .arg("lease")
        .arg(root.at("/sbin/runit-init"));
    let running = cmd.start();
    if !running.heard("up", 5 * SECOND) {
        skip!("no lease on files here: {}", running.stderr());
    }
    let explain = host
        .contain()
        .arg("--explain")
        .arg(&root)
        .arg("/sbin/runit-init");
    explain.limit(10 * SECOND).run().status_is(0);
    // The kernel waits for the lease at the exec; we are heard meanwhile.
    let started: Running = host
        .contain()
        .arg("-c")
        .arg(&root)
        .arg("/sbin/runit-init")
        .start();
    std::thread::sleep(SECOND);
    started.signal(libc::SIGTERM);
    let out = started.limit(10 * SECOND).finish();
    assert_ne!(out.code(), Some(0), "{out}");
}

/// A set-id program keeps the descriptors of who called it.
fn a_record_taken_along_to_another_user(me: &User) {
    if !host_is_root() {
        skip!("this needs root, who is the other user");
    }
    let plain = User::get(As::Plain).unwrap();
    let root = root(&plain);
    let running = plain.up(&root, &["-N", "taken-along"]);
    let find = "for fd in /proc/$PID/fd/*; do
            case $(readlink $fd) in /memfd:contain*) exec 9<$fd;; esac
        done; exec unshare -pf --kill-child sh -c 'echo up; exec sleep 1000'";
    let cmd = me
        .command("sh")
        .args(["-c", find])
        .env("PID", running.pid().to_string());
    let liar = cmd.start();
    liar.wait_for("up");
    let pid = liar.pid().to_string();
    let list = me.inject().arg("-l").run().ok();
    let first = |line: &&str| line.split_whitespace().next() == Some(&pid);
    assert_eq!(list.lines().find(first), None, "{list}");
    let out = me.inject().args([&*pid, "/bin/true"]).run();
    out.refused_naming(1, &["is not a container's"]);
}

fn a_lock_on_the_upper_directory(me: &User) {
    if !host_is_root() {
        skip!("this needs a second user");
    }
    let plain = User::get(As::Plain).unwrap();
    let (root, kept) = (root(me), empty_root(me));
    kept.chmod("/", 0o755);
    let run = || {
        me.contain()
            .arg("--upper")
            .arg(kept.at("/"))
            .arg(&root)
            .arg("/bin/true")
            .run()
    };
    run().status_is(0);
    let locked = |name: &str| {
        let cmd = plain.command("flock").arg(kept.at(name));
        let running = cmd.args(["sh", "-c", "echo up; sleep 1000"]).start();
        let got = running.heard("up", 2 * SECOND);
        (running, got)
    };
    let (_outer, got) = locked("/");
    assert!(got, "the directory is open to all");
    let (_inner, got) = locked("/work");
    assert!(!got, "its work is open to others");
    run().status_is(0);
}

/// DIR/etc/L is a directory at one moment and a link out of DIR at the next.
fn names_outside_the_root_are_not_shown(me: &User) {
    let (root, outside) = (root(me), empty_root(me));
    fs::create_dir_all(root.at("/etc/L")).unwrap();
    for number in 0..3 {
        fs::create_dir_all(outside.at(&format!("/outside-{number}"))).unwrap();
    }
    symlink(outside.at("/"), root.at("/etc/M")).unwrap();
    let explain = || -> Cmd { me.contain().args(["--explain", "-x"]).arg(&root) };
    while_exchanging(&root.at("/etc/L"), &root.at("/etc/M"), || {
        for _ in 0..60 {
            let out = explain().run();
            assert!(!out.stdout().contains("outside-"), "{out}");
        }
    });
}
