//! A container in a file: options by their long names, the keys of other
//! programs' files, and what is wrong with a file.

use std::fs;
use std::path::{Path, PathBuf};

use tests::{Cmd, Root, User, assert_no_traces, each_user, root, scratch_dir, some_users};

each_user!(
    options_by_their_names,
    the_command_line_wins,
    paths_are_the_files,
    mounts_of_other_programs,
    a_mount_replaces_ours,
    what_a_bind_forbids_holds,
    namespaces,
    who_and_where,
    what_is_wrong_with_it,
    the_example,
);

some_users!(three_ranges: delegated);

/// A file beside a root called `root`.
struct Fixture {
    dir: PathBuf,
    root: Root,
}

fn fixture(me: &User) -> Fixture {
    let fixture = Fixture {
        dir: scratch_dir(me),
        root: root(me),
    };
    std::os::unix::fs::symlink(&fixture.root, fixture.dir.join("root")).unwrap();
    fixture
}

impl Fixture {
    /// `contain -c -f FILE` with this text.
    fn with(&self, me: &User, text: &str) -> Cmd {
        let file = self.dir.join("web.toml");
        fs::write(&file, text).unwrap();
        me.contain().args(["-c", "-f"]).arg(file)
    }
}

fn options_by_their_names(me: &User) {
    let at = fixture(me);
    let text = "root = 'root'\ncommand = ['/bin/sh', '-c', 'cat /mnt/f; touch /tmp/x; exit 7']\n\
        ephemeral = true\nread-only = false\nbind = ['data:/mnt']\ntmpfs = ['/srv', '/opt:size=1m']\n\
        stop-timeout = 3\nuid-map = 'root'\n";
    fs::create_dir(at.dir.join("data")).unwrap();
    fs::write(at.dir.join("data/f"), "seen\n").unwrap();
    let out = at.with(me, text).run();
    assert_eq!(out.status_is(7).stdout(), "seen\n");
    assert!(!at.root.at("tmp/x").exists());
    // A command of the command line's goes before the file's.
    at.with(me, text)
        .args(["/bin/echo", "other"])
        .run()
        .says("other");
    let text = "ephemeral = true\n";
    at.with(me, text)
        .arg(&at.root)
        .args(["/bin/echo", "here"])
        .run()
        .says("here");
    assert_no_traces(&at.root);
}

fn the_command_line_wins(me: &User) {
    let at = fixture(me);
    let upper = scratch_dir(me);
    let text = "root = 'root'\nephemeral = true\nuid-map = '0:0:4294967295'\n";
    let by_hand = ["-u", "root", "--upper", upper.to_str().unwrap()];
    let script = ["/bin/sh", "-c", "touch /new; wc -l </proc/self/uid_map"];
    at.with(me, text).args(by_hand).args(script).run().says("1");
    assert!(upper.join("changes/new").exists());
    // Lists add up.
    let text = "root = 'root'\ntmpfs = ['/srv']\n";
    let script = [
        "/bin/sh",
        "-c",
        "grep -c ' /srv \\| /opt ' /proc/self/mounts",
    ];
    at.with(me, text)
        .args(["--tmpfs", "/opt"])
        .args(script)
        .run()
        .says("2");
    // By either name of the network.
    let ls = ["/bin/ls", "/sys/class/net"];
    for (text, option, lone) in [
        ("host-net = true", "--net=private", true),
        ("net = 'bridge:none'", "-n", false),
        ("net = 'private'\nno-dns = true", "-n", false),
    ] {
        let cmd = at.with(me, text).arg(option).arg(&at.root).args(ls);
        assert_eq!(cmd.run().ok() == "lo", lone, "{text} {option}");
    }
}

fn paths_are_the_files(me: &User) {
    let at = fixture(me);
    fs::write(at.dir.join("f"), "beside\n").unwrap();
    let text = "root = './root'\nbind = ['f:/mnt/f']\n";
    let run = at.with(me, text).args(["/bin/cat", "/mnt/f"]);
    run.cwd("/usr").run().says("beside");
    // Also of a file beside us, where DIR has something of that name.
    fs::create_dir(at.dir.join("data")).unwrap();
    fs::write(at.dir.join("data/f"), "beside\n").unwrap();
    at.root.mkdir("/data").write("/data/f", "inside\n", 0o644);
    let text = "root = 'root'\n[[mount]]\noption = 'bind'\nsource = 'data'\ntarget = '/mnt'\n";
    drop(at.with(me, text));
    let cmd = me.contain().args(["-c", "-f", "web.toml"]).cwd(&at.dir);
    cmd.args(["/bin/cat", "/mnt/f"]).run().says("beside");
    // A directory's name is no part of the grammar of binds.
    let odd = at.dir.join(r"a:b\:c");
    fs::create_dir(&odd).unwrap();
    fs::write(odd.join("f"), "odd\n").unwrap();
    fs::write(
        odd.join("web.toml"),
        "root = '../root'\nbind = ['f:/mnt/f']\n",
    )
    .unwrap();
    let cmd = me.contain().args(["-c", "-f"]).arg(odd.join("web.toml"));
    cmd.args(["/bin/cat", "/mnt/f"]).run().says("odd");
}

fn mounts_of_other_programs(me: &User) {
    let at = fixture(me);
    let target = at.root.at("srv/data");
    fs::create_dir(at.dir.join("data")).unwrap();
    fs::write(at.dir.join("data/f"), "seen\n").unwrap();
    let text = format!(
        "chroot_dir = '{root}'\n\
         [[mount]]\noption = 'recursive_bind'\nsource = 'data'\ntarget = '{target}'\nflags = ['read_only', 'no_execute']\n\
         [[mount]]\noption = 'bind'\nsource = '{dir}'\ntarget = '/mnt'\nflags = ['no_execute']\n\
         [[mount]]\noption = 'mount'\nsource = 'scratch'\nfilesystem_type = 'tmpfs'\ntarget = '/opt'\nflags = ['no_suid', 'no_devices']\n",
        root = at.dir.join("root").display(),
        target = target.display(),
        dir = at.dir.join("data").display(),
    );
    let script = "exec 2>/dev/null; cat /srv/data/f /mnt/f; ! touch /srv/data/new && ! umount /srv/data && \
        ! mount -o remount,rw,bind /srv/data && ! mount -o remount,bind,exec /mnt; grep -c '^scratch /opt tmpfs rw,nosuid,nodev' /proc/self/mounts; \
        grep -c ' /srv/data .*ro,.*noexec' /proc/self/mounts";
    at.with(me, &text)
        .args(["/bin/sh", "-c", script])
        .run()
        .says("seen\nseen\n1\n1");
    assert!(!at.dir.join("data/new").exists());
}

/// Also where nothing else is locked.
fn what_a_bind_forbids_holds(me: &User) {
    let at = fixture(me);
    fs::create_dir(at.dir.join("data")).unwrap();
    for (flag, clear) in [
        ("no_execute", "exec"),
        ("no_suid", "suid"),
        ("no_devices", "dev"),
    ] {
        let text = format!(
            "root = 'root'\n[[mount]]\noption = 'bind'\nsource = 'data'\ntarget = '/mnt'\nflags = ['{flag}']\n"
        );
        let script = format!("! mount -o remount,bind,{clear} /mnt 2>/dev/null");
        at.with(me, &text)
            .args(["/bin/sh", "-c", &script])
            .run()
            .status_is(0);
    }
}

fn a_mount_replaces_ours(me: &User) {
    let at = fixture(me);
    let real: &Path = at.root.as_ref();
    let text = format!(
        "root = 'root'\n\
         [[mount]]\noption = 'mount'\nsource = 'mine'\nfilesystem_type = 'sysfs'\ntarget = '{0}/sys'\nflags = ['read_only', 'no_suid', 'no_devices', 'no_execute']\n\
         [[mount]]\noption = 'mount'\nsource = 'mine'\nfilesystem_type = 'proc'\ntarget = '{0}/proc'\n",
        real.display()
    );
    let script = "grep -c ' /sys sysfs ro,nosuid,nodev,noexec' /proc/mounts; grep -c ' /proc proc' /proc/mounts; ls -d /sys/class /proc/1";
    let run = at.with(me, &text).args(["/bin/sh", "-c", script]);
    run.run().says("1\n1\n/proc/1\n/sys/class");
    let text =
        "root = 'root'\n[[mount]]\noption = 'mount'\nfilesystem_type = 'tmpfs'\ntarget = '/dev'\n";
    let run = at.with(me, text).args([
        "/bin/sh",
        "-c",
        "ls -A /dev | wc -l; grep -c ' /dev ' /proc/mounts",
    ]);
    run.run().says("0\n1");
}

fn namespaces(me: &User) {
    let at = fixture(me);
    let ours = tests::namespace(std::process::id(), "net");
    let net = |list: &str| {
        let text = format!("root = 'root'\nnamespaces = {list}\n");
        let run = at
            .with(me, &text)
            .args(["/bin/readlink", "/proc/self/ns/net"]);
        run.run().ok().trim().to_string()
    };
    assert_eq!(net("['user', 'mount', 'pid', 'uts', 'ipc']"), ours);
    assert_ne!(
        net("['user', 'mount', 'pid', 'uts', 'ipc', 'net', 'cgroup', 'time']"),
        ours
    );
}

fn who_and_where(me: &User) {
    let at = fixture(me);
    let script = "hostname; pwd; echo $LANG";
    let text = format!(
        "root = 'root'\nhostname = 'files'\nworking_dir = '/etc'\nenv = ['LANG=C']\n\
         command = ['/bin/sh', '-c', '{script}; id -u; id -g']\n"
    );
    at.with(me, &text).run().says("files\n/etc\nC\n0\n0");
    let same = "root = 'root'\nname = 'web'\nworkdir = '/etc'\nuser = 'root:root'\n";
    let run = at.with(me, same).args(["/bin/sh", "-c", "hostname; pwd"]);
    run.run().says("web\n/etc");
    if me.many_ids() {
        let ids = format!("{text}uid = 1\ngid = 5\n");
        at.with(me, &ids).run().says("files\n/etc\nC\n1\n5");
    }
}

/// System ids delegated, the caller's own kept, more delegated ones above.
fn three_ranges(me: &User) {
    let at = fixture(me);
    let (first, _) = me.sub_ids("uid")[0];
    let (group, _) = me.sub_ids("gid")[0];
    let map = |kind: &str, own: u32, first: u32| {
        let range = |inside: u32, outside: u32, count: u32| {
            format!("[[{kind}_map]]\ninside = {inside}\noutside = {outside}\ncount = {count}\n")
        };
        let (system, above) = (range(0, first, 1000), range(1001, first + 1000, 60000));
        format!("{system}{}{above}", range(1000, own, 1))
    };
    let text = format!(
        "root = '/'\n{}{}",
        map("uid", me.uid, first),
        map("gid", me.gid, group)
    );
    let mine = scratch_dir(me);
    fs::write(mine.join("f"), "").unwrap();
    if tests::host_is_root() {
        std::os::unix::fs::chown(mine.join("f"), Some(me.uid), Some(me.gid)).unwrap();
    }
    let script = "stat -c '%u %g' \"$0\"; cat /proc/self/uid_map | wc -l; id -u";
    let run = at
        .with(me, &text)
        .args(["/bin/sh", "-c", script])
        .arg(mine.join("f"));
    run.run().says("1000 1000\n3\n0");
}

fn what_is_wrong_with_it(me: &User) {
    let at = fixture(me);
    for (text, facts) in [
        (
            "root = 'root'\nred-only = true\n",
            &["line 2", "red-only", "read-only"][..],
        ),
        ("\n\nread-only = 3\n", &["line 3", "true or false"]),
        ("uid-map = 'x'\n", &["line 1", "'x'"]),
        ("bind = ['/a:b']\n", &["line 1", "/a:b"]),
        ("bind = 'a'\nbind = 'b'\n", &["line 2", "duplicate key"]),
        ("root = 'root", &["line 1"]),
        ("namespaces = ['pid', 'foo']\n", &["line 1", "foo"]),
        (
            "[[uid_map]]\ninside = 0\ncount = 1\n",
            &["line 1", "outside"],
        ),
        (
            "[[uid_map]]\ninside = 0\noutsid = 1\ncount = 1\n",
            &["line 3", "outsid", "outside"],
        ),
        (
            "[[mount]]\noption = 'bind'\ntarget = '/x'\n",
            &["line 2", "source"],
        ),
        (
            "[[mount]]\noption = 'bnd'\ntarget = '/x'\n",
            &["line 2", "bnd"],
        ),
        (
            "[[mount]]\noption = 'bind'\nsource = '/'\ntarget = '/x'\nflags = ['read-only']\n",
            &["line 5", "read_only"],
        ),
        ("config = 'other.toml'\n", &["line 1", "config"]),
        (
            "ephemeral = true\nupper = 'x'\n",
            &["--ephemeral", "--upper"],
        ),
    ] {
        let out = at
            .with(me, text)
            .arg(&at.root)
            .args(["/bin/echo", "ran"])
            .run();
        out.refused_naming(64, facts);
    }
    let missing = me
        .contain()
        .args(["-f", "/nowhere.toml"])
        .arg(&at.root)
        .run();
    missing.refused_naming(1, &["/nowhere.toml", "no such file or directory"]);
    at.with(me, "ephemeral = true\n")
        .run()
        .refused_naming(64, &["DIR"]);
    assert_no_traces(&at.root);
}

fn the_example(me: &User) {
    let at = fixture(me);
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../contain/example.toml");
    let text = fs::read_to_string(example).unwrap();
    std::os::unix::fs::symlink(&at.root, at.dir.join("debian")).unwrap();
    let script = "mount | grep -c ' /run \\| /var/tmp \\| /srv \\| /usr/share/zoneinfo '; touch /x";
    at.with(me, &text)
        .args(["/bin/sh", "-c", script])
        .run()
        .says("4");
    assert!(!at.root.at("x").exists(), "the example is ephemeral");
}
