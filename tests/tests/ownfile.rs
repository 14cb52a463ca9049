//! The file of the programs themselves, where a container could change it: when
//! its owner is among the container's ids.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tests::{
    Cmd, Root, SECOND, User, assert_no_traces, each_user, empty_root, host_is_root, install, root,
    scratch_dir, skip,
};

each_user!(
    an_init_that_is_our_own_file_is_not,
    a_command_that_is_our_own_file_is_not,
    the_init_of_ours_is_a_copy,
    failures_read_the_same,
    where_memory_is_not_executed,
    nothing_is_done_where_nothing_is_due,
);

/// Copies of the programs that belong to the container's root.
struct Copies {
    dir: PathBuf,
    before: Vec<u8>,
}

impl Copies {
    fn new(me: &User) -> Copies {
        let dir = scratch_dir(me);
        for (name, program) in [("contain", me.contain()), ("inject", me.inject())] {
            let copy = dir.join(name);
            install(&fs::read(program.program()).unwrap(), &copy, 0o755);
            if host_is_root() {
                let owner = (me.outside("uid", 0), me.outside("gid", 0));
                std::os::unix::fs::chown(&copy, owner.0, owner.1).unwrap();
            }
        }
        let before = fs::read(dir.join("contain")).unwrap();
        Copies { dir, before }
    }

    fn contain(&self, me: &User, root: &Root) -> Cmd {
        me.command(self.dir.join("contain")).arg("-c").arg(root)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        let file = self.dir.join("contain");
        let same = fs::read(&file).is_ok_and(|now| now == self.before);
        let mode = fs::metadata(&file).map_or(0, |meta| meta.permissions().mode());
        let _ = fs::remove_dir_all(&self.dir);
        if !std::thread::panicking() {
            assert!(same && mode & 0o7777 == 0o755, "contain's file was changed");
        }
    }
}

/// Two ways to have our own file run.
fn evil(root: &Root) -> [&'static str; 2] {
    root.write("/evil", "#!/proc/self/exe\n", 0o755);
    root.link("/proc/self/exe", "/link");
    ["/evil", "/link"]
}

fn an_init_that_is_our_own_file_is_not(me: &User) {
    let (root, copies) = (root(me), Copies::new(me));
    for init in evil(&root) {
        let out = copies.contain(me, &root).arg(init).limit(10 * SECOND).run();
        // It ends without a word, where the program itself would say what it
        // makes of its arguments.
        out.status_is(126);
        assert!(tests::errors(&out.stderr).is_empty(), "{out}");
    }
    assert_no_traces(&root);
}

fn a_command_that_is_our_own_file_is_not(me: &User) {
    let (root, copies) = (root(me), Copies::new(me));
    let cmd = copies.contain(me, &root);
    let running = cmd.args(["/bin/sh", "-c", "echo up; sleep 1000"]).start();
    running.wait_for("up");
    for command in evil(&root) {
        let inject = me.command(copies.dir.join("inject")).limit(10 * SECOND);
        let out = inject.arg(running.pid().to_string()).arg(command).run();
        out.status_is(126);
        assert!(tests::errors(&out.stderr).is_empty(), "{out}");
    }
    let inject = me
        .command(copies.dir.join("inject"))
        .arg(running.pid().to_string());
    let out = inject
        .clone()
        .args(["/bin/sh", "-c", "echo $0; exit 4", "name"])
        .run();
    assert_eq!(out.status_is(4).stdout(), "name\n");
    inject.arg("nope").run().refused_naming(127, &["nope"]);
}

fn the_init_of_ours_is_a_copy(me: &User) {
    let (root, copies) = (root(me), Copies::new(me));
    let attack = "readlink /proc/1/exe; chmod 4777 /proc/1/exe; echo x >>/proc/1/exe; echo end";
    let cmd = me
        .command(copies.dir.join("contain"))
        .args(["-c", "--init"]);
    let out = cmd.arg(&root).args(["/bin/sh", "-c", attack]).run();
    let said = out.status_is(0).stdout();
    assert!(
        said.starts_with("/memfd:") && said.ends_with("end\n"),
        "{out}"
    );
    assert_no_traces(&root);
}

/// As exact by way of the shim as without, and as little is left behind.
fn failures_read_the_same(me: &User) {
    let (root, copies) = (root(me), Copies::new(me));
    root.write("/text", "echo text $0 $*\n", 0o755);
    root.write("/script", "#!/nope\n", 0o755);
    root.write("/usr/local/bin/hello", "#!/nope\n", 0o755);
    root.write("/file", "text", 0o644);
    let mut foreign = vec![0; 200];
    foreign[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x16\0");
    root.write("/foreign", foreign, 0o755);
    for (command, status) in [
        ("nope", 127),
        ("/nope", 127),
        ("/etc", 126),
        ("/file", 126),
        ("/file/x", 127),
        ("/script", 127),
        ("hello", 127),
        ("/foreign", 126),
    ] {
        for strict in [&[][..], &["--strict"]] {
            let ours = copies.contain(me, &root);
            let theirs = me.contain().arg("-c").arg(&root);
            let run = |cmd: Cmd| {
                // The options come before the root.
                let out = cmd.arg(command).run();
                for made in ["/dev", "/proc", "/sys"] {
                    assert!(!root.at(made).exists(), "{made} is left after {command}");
                }
                out
            };
            let (ours, theirs) = match strict {
                [] => (run(ours), run(theirs)),
                options => {
                    let with = |program: &Path| me.command(program).arg("-c").args(options);
                    let program = PathBuf::from(me.contain().program());
                    let copy = copies.dir.join("contain");
                    (run(with(&copy).arg(&root)), run(with(&program).arg(&root)))
                }
            };
            assert_eq!(ours.status_is(status).stderr, theirs.stderr, "{command}");
            assert_eq!(theirs.code(), Some(status));
        }
    }
    let out = copies.contain(me, &root).args(["/text", "a b", "c"]).run();
    assert_eq!(out.ok(), "text /text a b c");
    root.write("/bin/hello", "#!/bin/sh\necho hello\n", 0o755);
    copies.contain(me, &root).arg("hello").run().says("hello");
    assert_no_traces(&root);
}

/// The sysctl is of a PID namespace, so the test has one.
fn where_memory_is_not_executed(me: &User) {
    if !host_is_root() {
        skip!("the sysctl vm.memfd_noexec needs root");
    }
    if !Path::new("/proc/sys/vm/memfd_noexec").exists() {
        skip!("this kernel has no vm.memfd_noexec");
    }
    let (root, copies) = (root(me), Copies::new(me));
    let front = copies.dir.join("front");
    let script = "#!/bin/sh\nexec unshare --pid --fork --kill-child --mount-proc sh -c \
        'echo 2 >/proc/sys/vm/memfd_noexec && exec \"$@\"' sh \"$@\"\n";
    install(script.as_bytes(), &front, 0o755);
    let setup = format!("FRONT={}", front.display());
    for init in evil(&root) {
        let out = copies.contain(me, &root).arg(init).setup(&setup).run();
        out.status_is(126);
        assert!(tests::errors(&out.stderr).is_empty(), "{out}");
    }
    for options in [&["-c"][..], &["-c", "--init"]] {
        let cmd = me
            .command(copies.dir.join("contain"))
            .args(options)
            .arg(&root);
        let cmd = cmd.args(["/bin/sh", "-c", "ls -A /dev | grep nscore; echo fine"]);
        cmd.setup(&setup).run().says("fine");
    }
    fs::remove_file(front).unwrap();
}

fn nothing_is_done_where_nothing_is_due(me: &User) {
    let (root, copies) = (empty_root(me), Copies::new(me));
    let explain = |cmd: Cmd| cmd.arg("--explain").arg(&root).run().ok();
    let step = "keep this program's file from the container";
    let copy = me.command(copies.dir.join("contain"));
    assert!(explain(copy).contains(step));
    if host_is_root() {
        // The suite's copies are root's, whom no container has.
        assert!(!explain(me.contain()).contains(step));
        // With an access control list the group's bits are those of others too.
        let dir = scratch_dir(me);
        let copy = dir.join("contain");
        install(&copies.before, &copy, 0o775);
        std::os::unix::fs::chown(&copy, Some(0), Some(0)).unwrap();
        assert!(explain(me.command(&copy)).contains(step));
        fs::remove_dir_all(dir).unwrap();
    }
}
