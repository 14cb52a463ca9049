//! The contract that scripts written for the original rely on: parsing,
//! defaults, exit statuses, and what starts nothing at all.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use tests::{User, assert_no_traces, each_user, root, scratch_dir, skip, some_users};

each_user!(
    options_stop_at_dir,
    short_options_bundle_and_take_values_attached,
    the_last_of_an_option_wins,
    usage_errors_exit_64,
    help_and_version_go_to_stdout,
    the_default_command_is_a_shell,
    exit_statuses_pass_through,
    a_death_by_signal_is_128_and_its_number,
    explain_prints_steps_and_starts_nothing,
    explain_keeps_the_order_of_a_start,
);

some_users!(
    setuid_and_setgid_copies_refuse: delegated plain,
);

fn options_stop_at_dir(me: &User) {
    let root = root(me);
    // Neither -c nor --version is ours any more behind DIR.
    let out = me
        .contain()
        .arg("-c")
        .arg(&root)
        .args(["/bin/echo", "-n", "-c", "--version", "--"]);
    out.run().says("-c --version --");
    let out = me
        .contain()
        .args(["-c", "--"])
        .arg(&root)
        .args(["/bin/echo", "hi"]);
    out.run().says("hi");
}

fn short_options_bundle_and_take_values_attached(me: &User) {
    let root = root(me);
    let map = format!("0:{}:1", me.outside("uid", 0).unwrap());
    let group = format!("0:{}:1", me.outside("gid", 0).unwrap());
    let read = "cat /proc/self/uid_map /proc/self/gid_map | tr -s ' '";
    let out = me
        .contain()
        .args(["-cn", &format!("-u{map}"), &format!("-g{group}")]);
    let out = out.arg(&root).args(["/bin/sh", "-c", read]).run().ok();
    assert_eq!(
        out,
        format!("{}\n {}", map.replace(':', " "), group.replace(':', " "))
    );
    let out = me.contain().args(["-c", "-n", "-u", &map, "-g", &group]);
    let again = out.arg(&root).args(["/bin/sh", "-c", read]).run().ok();
    assert_eq!(
        out_lines(&again),
        out_lines(&format!("{map}\n{group}").replace(':', " "))
    );
}

fn the_last_of_an_option_wins(me: &User) {
    let root = root(me);
    let options = ["-cc", "-n", "-n", "-i", "echo one", "-i", "echo two"];
    let helpers = ["-o", "echo three", "-o", "echo four"];
    let cmd = me.contain().args(options).args(helpers).arg(&root);
    cmd.arg("/bin/true").run().says("four\ntwo");
    let maps = ["-u", "auto", "-u", "root", "-g", "auto", "-g", "root"];
    let count = [
        "sh",
        "-c",
        "cat /proc/self/uid_map /proc/self/gid_map | wc -l",
    ];
    me.pseudo().args(maps).args(count).run().says("2");
}

fn out_lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).collect()
}

fn usage_errors_exit_64(me: &User) {
    let root = root(me);
    let path = root.as_ref() as &std::path::Path;
    let path = path.to_str().unwrap();
    for args in [
        &[][..],
        &["-z", path],
        &["--nonsense", path],
        &["-u"],
        &["-c"],
        &["-g", "", path],
    ] {
        me.contain().args(args).run().refused(64);
    }
    me.pseudo().args(["-z"]).run().refused(64);
    me.inject().run().refused(64);
    me.inject().args(["-z"]).run().refused(64);
    assert_no_traces(&root);
}

fn help_and_version_go_to_stdout(me: &User) {
    for (name, program) in [
        ("contain", me.contain()),
        ("pseudo", me.pseudo()),
        ("inject", me.inject()),
    ] {
        let help = program.clone().arg("--help").run();
        assert!(help.ok().contains(&format!("Usage: {name}")), "{help}");
        assert_eq!(program.clone().arg("-h").run().status_is(0).stderr, "");
        let version = program.clone().arg("--version").run().ok();
        assert!(
            version.starts_with(&format!("{name} ")) && !version.contains('\n'),
            "{version}"
        );
        program.clone().arg("-V").run().says(&version);
        let full = program.arg("-V").under_bash(r#"exec "$@" >/dev/full"#);
        full.run().refused_naming(1, &["no space left"]);
    }
}

fn the_default_command_is_a_shell(me: &User) {
    let root = root(me);
    let inside = "echo $$ $(readlink /proc/$$/exe)\n";
    me.contain()
        .arg("-c")
        .arg(&root)
        .input(inside)
        .run()
        .says("1 /bin/busybox");
    // pseudo and inject prefer $SHELL.
    let shell = "readlink /proc/$$/exe; exit 3\n";
    let out = me.pseudo().env("SHELL", "/bin/bash").input(shell).run();
    assert!(out.status_is(3).stdout().contains("bash"), "{out}");
    let out = me
        .pseudo()
        .under(["env", "-u", "SHELL"])
        .input("echo $0; exit 4\n")
        .run();
    assert!(out.status_is(4).stdout().contains("sh"), "{out}");
}

fn exit_statuses_pass_through(me: &User) {
    let root = root(me);
    for code in [
        0, 1, 2, 7, 63, 64, 100, 125, 126, 127, 128, 137, 200, 254, 255,
    ] {
        let out = me.sh(&root, &format!("exit {code}")).run();
        assert_eq!(out.status_is(code).bytes, b"", "{out}");
    }
    let out = me.pseudo().args(["sh", "-c", "exit 42"]).run();
    out.status_is(42);
}

fn a_death_by_signal_is_128_and_its_number(me: &User) {
    let root = root(me);
    let mut running = me.sh(&root, "echo up; sleep 1000").start();
    running.wait_for("up");
    tests::kill(running.init());
    running.finish().status_is(137);
    // A shell that waits for a child reports the child's death in its own way.
    me.sh(&root, "sh -c 'kill -TERM $$'; exit $?")
        .run()
        .status_is(143);
    assert_no_traces(&root);
}

fn explain_prints_steps_and_starts_nothing(me: &User) {
    let root = root(me);
    let marker = scratch_dir(me).join("ran");
    let touch = format!("touch {}", marker.display());
    let out = me.contain().args(["--explain", "-i", &touch, "-o", &touch]);
    let out = out.arg(&root).args(["/bin/touch", "/started"]).run();
    let plan = out.ok();
    assert!(plan.lines().count() >= 10, "{out}");
    for line in plan.lines() {
        assert!(!line.trim().is_empty(), "an empty line{out}");
    }
    for step in ["/proc", "/sys", "/dev", "pivot", "/bin/touch"] {
        assert!(plan.contains(step), "no step about {step}{out}");
    }
    let order = |step: &str| plan.lines().position(|line| line.contains(step));
    assert!(order("pivot") < order("/bin/touch"), "{out}");
    assert!(
        !marker.exists() && !root.at("/started").exists(),
        "something was started{out}"
    );
    assert!(
        !root.at("/dev").exists() && !root.at("/proc").exists(),
        "the root was changed{out}"
    );
    std::fs::remove_dir(marker.parent().unwrap()).unwrap();
}

fn setuid_and_setgid_copies_refuse(me: &User) {
    if !tests::host_is_root() {
        skip!("only root can make a program of another user's");
    }
    let root = root(me);
    let dir = scratch_dir(me);
    let secret = dir.join("secret");
    std::fs::write(&secret, "xyzzy = 1\n").unwrap();
    std::fs::set_permissions(&secret, Permissions::from_mode(0o440)).unwrap();
    let [path, file] = [root.as_ref(), secret.as_path()].map(|path| path.to_str().unwrap());
    for mode in [0o4755, 0o2755] {
        for (program, name, arguments) in [
            (
                me.contain(),
                "contain",
                &["-c", path, "/bin/echo", "ran"][..],
            ),
            // What only the file's owner may read, and other users' containers.
            (me.contain(), "contain", &["-f", file, path]),
            (me.pseudo(), "pseudo", &["/bin/echo", "ran"]),
            (me.inject(), "inject", &["1", "/bin/echo", "ran"]),
            (me.inject(), "inject", &["-l"]),
        ] {
            let copy = dir.join(name);
            let bytes = std::fs::read(program.program()).unwrap();
            tests::install(&bytes, &copy, mode);
            assert_eq!(std::fs::metadata(&copy).unwrap().uid(), 0);
            let out = me.command(&copy).args(arguments).run();
            out.refused_naming(1, &["setuid|setgid|set-id"]);
            assert!(!out.stderr.contains("xyzzy"), "{out}");
            std::fs::remove_file(copy).unwrap();
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
    assert_no_traces(&root);
}

/// The plan says when things are done, also which go before what the caller runs.
fn explain_keeps_the_order_of_a_start(me: &User) {
    let root = root(me);
    let in_order = |options: &[&str], steps: &[&str]| {
        let cmd = me.contain().args(["--explain", "-i", "I", "-o", "O"]);
        let plan = cmd.args(options).arg(&root).run().ok();
        let mut lines = plan.lines();
        for step in steps {
            let found = lines.any(|line| line.starts_with(step));
            assert!(found, "{options:?}: {step} is not where it is due: {plan}");
        }
        // Each of them once.
        for step in steps.iter().filter(|step| !step.contains(": ")) {
            let all = plan.lines().filter(|line| line.starts_with(step));
            assert_eq!(all.count(), 1, "{options:?}: {step}: {plan}");
        }
    };
    in_order(
        &[],
        &[
            "enter root file system",
            "clone init",
            "map group ids",
            "map user ids",
            "init: separate mounts",
            "run outside helper",
            "init: wait for the maps and helpers",
            "fork a guard",
            "publish the record",
            "init: become root",
            "init: run inside helper",
            "init: pivot",
            "init: wait until init may run",
            "init: run /bin/sh",
            "seal the record",
            "copy the console",
        ],
    );
    // Mounts that hold are made before there is an init that a helper could name.
    in_order(
        &["-c", "-r", "-b", "/etc/passwd:/p:ro"],
        &[
            "enter root file system",
            "clone mounter",
            "map group ids",
            "map user ids",
            "mounter: wait for the maps and helpers",
            "mounter: make the root file system read-only",
            "mounter: bind /etc/passwd on /p",
            "mounter: clone init",
            "init: bind root file system",
            "run outside helper",
            "init: wait for the maps and helpers",
            "fork a guard",
            "publish the record",
            "init: run inside helper",
            "init: run /bin/sh",
            "seal the record",
            "pass signals",
        ],
    );
    in_order(
        &["--net", "bridge:br0"],
        &[
            "run outside helper",
            "attach an interface",
            "init: wait for",
            "fork a guard",
        ],
    );
    // Nothing is there yet that would end it.
    in_order(
        &["--net", "pasta"],
        &[
            "run outside helper",
            "init: wait for",
            "fork a guard",
            "run pasta",
            "publish",
        ],
    );
}
