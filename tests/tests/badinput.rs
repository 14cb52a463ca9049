//! Bad input: one line, the right status, nothing started, nothing left.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use tests::{
    User, assert_no_traces, each_user, empty_root, host_is_root, root, scratch_dir, skip,
    some_users,
};

each_user!(
    a_root_that_is_none,
    an_init_that_is_none,
    names_with_a_dash_blanks_and_newlines,
    what_a_terminal_would_obey_is_escaped,
    namespaces_forbidden_by_a_limit,
    a_failure_leaves_the_terminal_and_tmp_alone,
);

some_users!(
    an_unreadable_root: delegated plain,
);

fn a_root_that_is_none(me: &User) {
    let dir = scratch_dir(me);
    fs::write(dir.join("file"), "").unwrap();
    symlink("loop", dir.join("loop")).unwrap();
    symlink("nowhere", dir.join("dangling")).unwrap();
    let long = "x".repeat(300);
    let cases = [
        ("missing", "no such file"),
        ("file", "not a directory"),
        ("file/below", "not a directory"),
        ("loop", "too many levels|loop"),
        ("dangling", "no such file"),
        (long.as_str(), "too long"),
    ];
    for (name, reason) in cases {
        let path = dir.join(name);
        let marker = dir.join("marker");
        let touch = format!("touch {}", marker.display());
        let out = me
            .contain()
            .args(["-o", &touch])
            .arg(&path)
            .arg("/bin/true")
            .run();
        out.refused_naming(1, &[path.to_str().unwrap(), reason]);
        assert!(!marker.exists(), "a helper ran{out}");
    }
    me.contain()
        .args(["", "/bin/true"])
        .run()
        .refused_naming(64, &["no such file|empty"]);
    assert_no_traces(&dir);
    fs::remove_dir_all(dir).unwrap();
}

fn an_unreadable_root(me: &User) {
    if !host_is_root() {
        skip!("making a directory of another user's needs root");
    }
    let root = root(me);
    let parent = scratch_dir(me);
    let closed = parent.join("closed");
    fs::create_dir(&closed).unwrap();
    fs::create_dir(closed.join("below")).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    for path in [closed.clone(), closed.join("below")] {
        let out = me.contain().arg(&path).arg("/bin/true").run();
        out.refused_naming(1, &[path.to_str().unwrap(), "permission denied"]);
    }
    assert_no_traces(&closed);
    fs::remove_dir_all(parent).unwrap();
    drop(root);
}

fn an_init_that_is_none(me: &User) {
    let root = root(me);
    root.write("/plain", "text", 0o644)
        .write("/empty", "", 0o755);
    root.link("nowhere", "/dangling")
        .link("loop", "/loop")
        .mkdir("/dir");
    let cases = [
        ("/missing", 127, "no such file"),
        ("/dangling", 127, "no such file"),
        ("/dir/missing", 127, "no such file"),
        ("missing", 127, "no such file|not found"),
        ("/plain", 126, "permission denied"),
        ("/dir", 126, "permission denied|is a directory"),
        ("/loop", 126, "too many levels|loop"),
        ("/plain/below", 127, "not a directory"),
        ("/empty", 126, "exec format error|empty"),
    ];
    for (name, status, reason) in cases {
        for console in [&[][..], &["-c"]] {
            let out = me
                .contain()
                .args(console)
                .arg(&root)
                .args([name, "argument"])
                .run();
            out.refused_naming(status, &[name, reason]);
            assert_no_traces(&root);
        }
    }
}

fn names_with_a_dash_blanks_and_newlines(me: &User) {
    let parent = scratch_dir(me);
    for name in [
        "-n",
        "--help",
        "with blank",
        "new\nline",
        "tab\tand \"quote\"",
        "ünïcode",
    ] {
        let dir = parent.join(name);
        let made = root(me);
        symlink(made.as_ref() as &Path, &dir).unwrap();
        let out = me
            .contain()
            .cwd(&parent)
            .args(["-c", "--"])
            .arg(name)
            .args(["/bin/echo", "ran"]);
        out.run().says("ran");
        let out = me.contain().cwd(&parent).arg("-c").arg(format!("./{name}"));
        out.args(["/bin/echo", "ran"]).run().says("ran");
        // An error about such a name is still one line.
        fs::remove_file(&dir).unwrap();
        me.contain().arg(&dir).arg("/bin/true").run().refused(1);
    }
    fs::remove_dir_all(parent).unwrap();
    let root = root(me);
    root.write("/-x", "#!/bin/sh\necho dash \"$@\"\n", 0o755);
    root.write("/two words", "#!/bin/sh\necho words\n", 0o755);
    me.contain()
        .arg("-c")
        .arg(&root)
        .args(["/-x", "-y", ""])
        .run()
        .says("dash -y");
    me.contain()
        .arg("-c")
        .arg(&root)
        .arg("/two words")
        .run()
        .says("words");
    me.contain()
        .arg("-c")
        .arg(&root)
        .arg("new\nline")
        .run()
        .refused(127);
}

/// Whatever was typed is told on the line it belongs to, and moves no cursor.
fn what_a_terminal_would_obey_is_escaped(me: &User) {
    let parent = scratch_dir(me);
    let (plain, odd) = (parent.join("new line"), parent.join("new\nline\u{1b}[2J"));
    fs::create_dir(&plain).unwrap();
    fs::create_dir(&odd).unwrap();
    let escaped = "new\\nline\\u{1b}[2J";
    for options in [
        &["--explain"][..],
        &["--explain", "-x"],
        &["--explain", "-r"],
    ] {
        let explain = |root: &Path| {
            let bind = [OsStr::new("-b"), root.as_ref()];
            let cmd = me.contain().args(options).args(bind).arg(root);
            cmd.arg("/bin/true").run().ok()
        };
        let (plain, odd) = (explain(&plain), explain(&odd));
        assert_eq!(plain.replace("new line", escaped), odd);
    }
    let odd = "new\nline\u{1b}[2J";
    let map = format!("0:0:{odd}");
    for (status, words) in [
        (1, &["-f", odd][..]),
        (1, &[odd]),
        (64, &["-u", &map]),
        (64, &["-u", odd]),
        (64, &["--cap-drop", odd]),
        (64, &["--cgroup", odd]),
        (64, &["--cgroup", &format!("{odd}=1")]),
        (64, &["--seccomp", odd]),
        (64, &["--net", &format!("bridge:{odd}")]),
        (64, &["--net", &format!("pasta,{odd}")]),
        (64, &["-N", odd]),
        (64, &[&format!("--{odd}")]),
    ] {
        let words = words.iter().copied();
        let out = me.contain().args(words).arg("/").run();
        out.refused_naming(status, &[escaped]);
        assert!(!out.stderr.contains('\u{1b}'), "{out}");
    }
    let keys = [
        format!("\"{escaped}\" = 1"),
        format!("namespaces = [\"{escaped}\"]"),
        format!("[[mount]]\noption = \"{escaped}\""),
        format!("uid-map = \"{escaped}\""),
    ];
    for text in keys {
        let file = parent.join("file.toml");
        // As TOML has it.
        fs::write(&file, text.replace("\\u{1b}", "\\u001b")).unwrap();
        let out = me.contain().arg("-f").arg(&file).arg("/").run();
        out.refused_naming(64, &[escaped]);
    }
    fs::remove_dir_all(parent).unwrap();
}

fn namespaces_forbidden_by_a_limit(me: &User) {
    if !host_is_root() {
        skip!("setting a limit needs root");
    }
    let root = root(me);
    // The limit of a user namespace made for this: the machine's own stays.
    let nest = "env -i unshare --user sleep 5 >/dev/null 2>&1 & p=$!
        until [ $(readlink /proc/$p/ns/user) != $(readlink /proc/self/ns/user) ]; do :; done
        echo 0 0 4294967295 >/proc/$p/uid_map; echo 0 0 4294967295 >/proc/$p/gid_map
        FRONT=\"nsenter --user --target $p --setuid 0 --setgid 0\"
        $FRONT sh -c 'echo 0 >/proc/sys/user/max_user_namespaces'";
    let cmd = me.sh(&root, "echo ran").setup(nest);
    let out = cmd.run();
    let complaint = out.refused_naming(1, &["max_user_namespaces"]);
    assert!(
        complaint
            .hint
            .is_some_and(|hint| hint.contains("user.max_user_namespaces")),
        "{out}"
    );
    assert_no_traces(&root);
}

fn a_failure_leaves_the_terminal_and_tmp_alone(me: &User) {
    let root = empty_root(me);
    let pty = tests::Pty::open();
    let before = pty.settings();
    let mut running = pty.run(&me.contain().arg(&root).arg("/bin/missing"));
    assert!(tests::eventually(20 * tests::SECOND, || running
        .try_wait()
        .is_some()));
    running.finish().status_is(127);
    assert_eq!(
        before,
        pty.settings(),
        "the terminal's settings have changed"
    );
    pty.wait_for("/bin/missing");
}
