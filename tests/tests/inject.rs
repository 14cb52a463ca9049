//! inject: which container, what the command gets, and what is refused.

use std::path::Path;

use tests::{
    As, Out, SECOND, User, assert_no_traces, each_user, host_is_root, namespace, root, skip,
    some_users,
};

each_user!(
    by_the_supervisor,
    by_a_process_inside,
    every_namespace_is_entered,
    under_a_shared_network,
    the_callers_environment_and_streams_are_kept,
    the_default_shell,
    statuses_pass_through,
    descriptors_do_not_follow,
    ignored_signals_do_not_matter,
    wrong_ids_have_distinct_errors,
    a_missing_command,
    root_never_runs_as_the_hosts_root_inside,
    the_command_ends_with_the_container,
    two_at_once,
    a_liar_is_not_believed,
);

some_users!(
    of_another_users_container: delegated plain,
    root_enters_a_users_container: delegated plain,
);

fn inject(me: &User, pid: u32, command: &[&str]) -> Out {
    me.inject().arg(pid.to_string()).args(command).run()
}

fn by_the_supervisor(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let script =
        "id -u; id -G; cat /proc/1/comm; pwd; test $$ -gt 1; tr '\\0' ' ' </proc/1/cmdline";
    let out = inject(me, running.pid(), &["/bin/sh", "-c", script]).ok();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[..4], ["0", "0", "sh", "/"], "{out}");
    assert!(lines[4].contains("sleep 1000"), "{out}");
}

fn by_a_process_inside(me: &User) {
    let root = root(me);
    let mut running = me.up(&root, &[]);
    let init = running.init();
    for pid in [init, tests::children(init)[0]] {
        inject(me, pid, &["/bin/cat", "/proc/1/comm"]).says("sh");
    }
}

fn every_namespace_is_entered(me: &User) {
    let root = root(me);
    let mut running = me.up(&root, &[]);
    let init = running.init();
    let names = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
    let script =
        "cd /proc/self/ns; for n in cgroup ipc mnt net pid time user uts; do readlink $n; done";
    let out = inject(me, running.pid(), &["/bin/sh", "-c", script]).ok();
    let wanted: Vec<String> = names.iter().map(|name| namespace(init, name)).collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), wanted);
}

fn under_a_shared_network(me: &User) {
    let root = root(me);
    let running = me.up(&root, &["-n"]);
    let out = inject(me, running.pid(), &["/bin/readlink", "/proc/self/ns/net"]);
    out.says(&namespace(std::process::id(), "net"));
}

fn the_callers_environment_and_streams_are_kept(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let cmd = me
        .inject()
        .arg(running.pid().to_string())
        .env("SECRET", "kept");
    let cmd = cmd.args([
        "/bin/sh",
        "-c",
        "echo $SECRET; cat; echo error >&2; readlink /proc/self/cwd",
    ]);
    let out = cmd.input("a\0b\r\n").run();
    assert_eq!(out.status_is(0).bytes, b"kept\na\0b\r\n/\n", "{out}");
    assert_eq!(out.stderr, "error\n", "{out}");
}

fn the_default_shell(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let pid = running.pid().to_string();
    let cmd = me.inject().arg(&pid).input("echo $0; exit 3\n");
    let out = cmd.clone().env("SHELL", "/bin/ash").run();
    assert!(out.status_is(3).stdout().contains("ash"), "{out}");
    let out = cmd.under(["env", "-u", "SHELL"]).run();
    assert!(out.status_is(3).stdout().contains("/bin/sh"), "{out}");
}

fn statuses_pass_through(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    for code in [0, 1, 42, 126, 127, 255] {
        inject(
            me,
            running.pid(),
            &["/bin/sh", "-c", &format!("exit {code}")],
        )
        .status_is(code);
    }
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("SEGV", 139)] {
        let out = inject(
            me,
            running.pid(),
            &["/bin/sh", "-c", &format!("kill -{signal} $$")],
        );
        out.status_is(code);
    }
}

/// A caller that ignores SIGCHLD takes away what waiting relies on.
fn ignored_signals_do_not_matter(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let cmd = me
        .inject()
        .arg(running.pid().to_string())
        .args(["/bin/sh", "-c", "exit 6"]);
    let ignoring = [
        "env",
        "--ignore-signal=CHLD,PIPE,TERM",
        "--block-signal=CHLD,USR1",
    ];
    cmd.under(ignoring).run().status_is(6);
}

fn descriptors_do_not_follow(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let list = "for f in /proc/$$/fd/*; do echo ${f##*/}; done";
    let cmd = me
        .inject()
        .arg(running.pid().to_string())
        .args(["/bin/sh", "-c", list]);
    let out = cmd
        .under_bash("exec 9</etc/passwd 200</; exec \"$@\"")
        .run()
        .ok();
    let fds: Vec<u32> = out.lines().map(|line| line.parse().unwrap()).collect();
    assert!(!fds.contains(&9) && !fds.contains(&200), "{fds:?}");
    assert!(
        fds.iter()
            .filter(|&&fd| fd > 2 && fd != 3 && fd != 10)
            .count()
            == 0,
        "{fds:?}"
    );
}

fn wrong_ids_have_distinct_errors(me: &User) {
    // A process of the caller's that is no container.
    let other = me.command("sleep").arg("1000").start();
    let mut dead = me.command("true").start();
    assert!(tests::eventually(10 * SECOND, || dead.try_wait().is_some()));
    let refusal = |id: &str| {
        let out = me.inject().arg(id).args(["/bin/touch", "/started"]).run();
        out.refused(1).line.replace(id, "N")
    };
    let lines = [other.pid(), dead.pid(), std::process::id()].map(|id| refusal(&id.to_string()));
    assert_ne!(lines[0], lines[1], "no container, and no process");
    assert_ne!(lines[1], lines[2], "no process, and our own parent");
    for id in [
        "0",
        "-1",
        "",
        "+1",
        "4294967297",
        "99999999999999999999",
        "1 ",
    ] {
        let out = me.inject().arg(id).args(["/bin/touch", "/started"]).run();
        let complaint = out.refused(
            out.code()
                .filter(|code| [1, 64].contains(code))
                .expect("1 or 64"),
        );
        assert_ne!(
            complaint.line.replace(id, "N"),
            lines[0],
            "{id} is no process{out}"
        );
    }
    // The machine's init is nobody's container.
    let out = me.inject().args(["1", "/bin/touch", "/started"]).run();
    out.refused(1);
    assert!(!Path::new("/started").exists());
}

fn a_missing_command(me: &User) {
    let root = root(me);
    root.write("/plain", "text", 0o644);
    let running = me.up(&root, &[]);
    inject(me, running.pid(), &["/bin/missing"]).refused_naming(127, &["/bin/missing"]);
    inject(me, running.pid(), &["missing"]).refused_naming(127, &["missing"]);
    inject(me, running.pid(), &["/plain"]).refused_naming(126, &["/plain"]);
    inject(me, running.pid(), &["/bin"]).refused_naming(126, &["/bin"]);
}

fn of_another_users_container(me: &User) {
    let other = match me.kind {
        As::Delegated => User::get(As::Plain),
        As::Root | As::Plain => User::get(As::Delegated),
    };
    let Ok(other) = other else {
        skip!("there is no second user to try with");
    };
    let root = root(&other);
    let running = other.up(&root, &[]);
    let out = inject(me, running.pid(), &["/bin/touch", "/started"]);
    out.refused_naming(1, &["another user"]);
    assert!(!root.at("/started").exists(), "{out}");
}

fn root_enters_a_users_container(me: &User) {
    if !host_is_root() {
        skip!("this needs root");
    }
    let host = User::get(As::Root).unwrap();
    let root = root(me);
    let mut running = me.up(&root, &[]);
    let init = running.init();
    let script = "id -u; id -g; cat /proc/1/comm; touch /made; grep -c . /proc/self/uid_map";
    let out = inject(&host, running.pid(), &["/bin/sh", "-c", script]).ok();
    assert!(out.starts_with("0\n0\nsh\n"), "{out}");
    let meta = std::fs::metadata(root.at("/made")).unwrap();
    assert_eq!(
        Some(std::os::unix::fs::MetadataExt::uid(&meta)),
        me.outside("uid", 0)
    );
    inject(&host, init, &["/bin/id", "-u"]).says("0");
}

fn root_never_runs_as_the_hosts_root_inside(me: &User) {
    if !host_is_root() {
        skip!("only root could");
    }
    let host = User::get(As::Root).unwrap();
    let root = root(me);
    let running = me.up(&root, &[]);
    let cmd = host.inject().arg(running.pid().to_string());
    let inside = cmd
        .args(["/bin/sh", "-c", "echo here; sleep 1000; :"])
        .start();
    inside.wait_for("here");
    let container_root = me.outside("uid", 0).unwrap().to_string();
    let user = namespace(tests::children(running.pid())[0], "user");
    let foreign = || {
        let inside = all_in(&user);
        assert!(inside.len() >= 2, "{inside:?}");
        inside.into_iter().find(|&pid| {
            let is = |field, wanted: &dyn Fn(&str) -> bool| {
                let ids = tests::status_field(pid, field).unwrap_or_default();
                ids.split_whitespace().all(wanted)
            };
            let own = is("Uid", &|id| id == container_root) && is("Groups", &|id| id != "0");
            tests::alive(pid) && !own
        })
    };
    // What brought the command inside is itself gone once it runs.
    assert!(
        tests::eventually(5 * SECOND, || foreign().is_none()),
        "{:?}",
        foreign()
    );
    drop(inside);
}

/// The processes of a user namespace.
fn all_in(user: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let inside = |pid: &u32| {
        let link = std::fs::read_link(format!("/proc/{pid}/ns/user"));
        link.is_ok_and(|link| link.to_string_lossy() == user)
    };
    pids.filter(inside).collect()
}

fn the_command_ends_with_the_container(me: &User) {
    let root = root(me);
    let running = me.up(&root, &[]);
    let cmd = me.inject().arg(running.pid().to_string());
    let inside = cmd
        .args(["/bin/sh", "-c", "echo here; exec sleep 1000"])
        .start();
    inside.wait_for("here");
    tests::kill(running.pid());
    inside.finish().status_is(137);
    drop(running);
    assert_no_traces(&root);
}

/// The transcript's `inject $(pgrep contain) CMD` with two running.
fn two_at_once(me: &User) {
    let root = root(me);
    let (one, two) = (me.up(&root, &[]), me.up(&root, &[]));
    let (first, second) = (one.pid().to_string(), two.pid().to_string());
    let out = me.inject().args([&first, &second, "/bin/bash"]).run();
    let complaint = out.refused_naming(127, &[&second]);
    assert!(
        complaint
            .hint
            .is_some_and(|hint| hint.contains("several containers")),
        "{out}"
    );
    inject(me, one.pid(), &["/bin/true"]).ok();
    inject(me, two.pid(), &["/bin/true"]).ok();
}

/// What a process says of itself does not make it a container.
fn a_liar_is_not_believed(me: &User) {
    let fake = me.command("/bin/bash").args(["-c", "exec -a contain unshare --user --map-root-user --pid --fork env -i container=contain sleep 1000"]);
    let fake = fake.start();
    assert!(tests::eventually(10 * SECOND, || !tests::children(
        fake.pid()
    )
    .is_empty()));
    let child = tests::children(fake.pid())[0];
    for pid in [fake.pid(), child] {
        me.inject()
            .arg(pid.to_string())
            .args(["/bin/echo", "ran"])
            .run()
            .refused(1);
    }
    tests::kill(child);
}
