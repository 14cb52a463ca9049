//! Roots of other architectures: run by the emulators of the host, with nothing
//! registered there, for any user; and nothing of that where it is not needed.

use std::fs;
use std::path::Path;
use std::time::Instant;

use tests::{
    Cmd, FOREIGN, Foreign, Root, SECOND, User, assert_no_traces, each_user, emulator, eventually,
    foreign_root, root, scratch_dir, skip, some_users,
};

each_user!(
    every_architecture_runs,
    nothing_is_done_for_a_native_init,
    handlers_outlive_every_umount,
    handlers_are_shown_and_not_changed_by_mistake,
    with_every_kind_of_start,
    scripts_and_programs_of_every_kind,
    not_with_the_hosts_tools,
    a_command_enters,
    an_init_stops_in_its_own_way,
    a_signal_that_is_lost_ends_it_at_once,
    reboots,
    a_handler_of_the_hosts_is_enough,
    a_handler_without_its_program_is_not,
    other_handlers_go_along,
    without_an_emulator,
    without_its_loader,
    with_a_dynamic_emulator,
    an_emulator_that_the_container_could_change,
    pseudo_gives_the_same,
    pseudo_leaves_the_hosts_handlers,
    nested,
);

some_users!(
    set_id_programs: root delegated,
    an_emulator_out_of_reach: root,
    // Such a filter takes newuidmap's rights.
    without_a_call: root plain,
);

const ARM: &Foreign = &FOREIGN[0];

/// A root of 64-bit ARM, or the end of the test with a reason.
macro_rules! arm {
    ($me:expr) => {
        match foreign_root($me, ARM) {
            Ok(root) => root,
            Err(reason) => skip!("{reason}"),
        }
    };
}

/// What is in force on this machine.
fn of_host() -> Vec<String> {
    let entries = fs::read_dir("/proc/sys/fs/binfmt_misc")
        .into_iter()
        .flatten();
    let names = entries.flatten().map(|entry| entry.file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

fn every_architecture_runs(me: &User) {
    let before = of_host();
    for foreign in &FOREIGN {
        let root = match foreign_root(me, foreign) {
            Ok(root) => root,
            Err(reason) => skip!("{reason}"),
        };
        let out = me.sh(&root, "uname -m; id -u; exec uname -m").run();
        out.says(&format!("{0}\n0\n{0}", foreign.machine));
        assert_no_traces(&root);
        let plan = me.contain().arg("--explain").arg(&root).run().ok();
        let path = emulator(foreign.qemu).unwrap();
        let line = format!("init: register emulator {} for ", path.display());
        assert!(plan.contains(&line), "{plan}");
    }
    assert_eq!(before, of_host());
}

fn nothing_is_done_for_a_native_init(me: &User) {
    let root = root(me);
    let plan = me.contain().arg("--explain").arg(&root).run().ok();
    assert!(
        !plan.contains("binfmt") && !plan.contains("emulator"),
        "{plan}"
    );
    let out = me
        .sh(
            &root,
            "ls /proc/sys/fs/binfmt_misc; grep binfmt /proc/mounts",
        )
        .run();
    assert_eq!(out.status_is(1).stdout(), "", "{out}");
}

fn handlers_outlive_every_umount(me: &User) {
    let root = arm!(me);
    let script = "umount /proc/sys/fs/binfmt_misc || exit 9; uname -m; ls /proc/sys/fs/binfmt_misc | wc -l; \
        mount -t binfmt_misc again /proc/sys/fs/binfmt_misc || exit 8; ls /proc/sys/fs/binfmt_misc; \
        umount -a 2>/dev/null; /bin/uname -m";
    let out = me.sh(&root, script).run();
    out.says("aarch64\n0\nqemu-aarch64\nqemu-arm\nregister\nstatus\naarch64");
}

fn handlers_are_shown_and_not_changed_by_mistake(me: &User) {
    let root = arm!(me);
    let script = "cd /proc/sys/fs/binfmt_misc; cat status qemu-aarch64; (echo -1 >status) 2>&1; uname -m; \
        mount -o remount,rw,bind . && echo :own:E::own::/bin/echo: >register && ls";
    let out = me.sh(&root, script).run().ok();
    let interpreter = format!("interpreter {}", emulator("aarch64").unwrap().display());
    for line in ["enabled", &interpreter, "flags: POCF", "aarch64", "own"] {
        assert!(out.lines().any(|found| found == line), "{line}: {out}");
    }
    assert!(out.contains("Read-only file system"), "{out}");
}

fn with_every_kind_of_start(me: &User) {
    let root = arm!(me);
    let upper = scratch_dir(me);
    let upper = upper.to_str().unwrap();
    let uname = ["/bin/sh", "-c", "uname -m; exec uname -m"];
    for options in [
        &["--strict"][..],
        &["--init"],
        &["--init", "--strict"],
        &["-x"],
        &["--upper", upper],
        // With the changes of before.
        &["--upper", upper],
        &["-n"],
        &["-i", "true"],
        &["--seccomp", "off"],
    ] {
        let cmd = me.contain().arg("-c").args(options).arg(&root);
        cmd.args(uname).run().says("aarch64\naarch64");
    }
    root.mkdir("dev").mkdir("proc").mkdir("sys");
    let cmd = me.contain().args(["-c", "-r"]).arg(&root).args(uname);
    cmd.run().says("aarch64\naarch64");
    // What the inside helper runs may be of the root's already.
    let inside = "PATH=$PATH:/usr/sbin:/sbin; chroot . /bin/uname -m >name";
    let cmd = me.contain().args(["-c", "-i", inside]).arg(&root);
    cmd.args(["/bin/cat", "/name"]).run().says("aarch64");
    me.command("rm").args(["-rf", upper]).run();
    let _ = fs::remove_dir_all(upper);
}

fn scripts_and_programs_of_every_kind(me: &User) {
    let root = arm!(me);
    root.write("bin/script", "#!/bin/sh\necho $0 $1; uname -m\n", 0o755);
    root.write("bin/text", "echo $0 $1; uname -m\n", 0o755);
    root.link("/bin/script", "link");
    let run = |command: &[&str]| me.contain().arg("-c").arg(&root).args(command).run().ok();
    assert_eq!(run(&["/bin/script", "one"]), "/bin/script one\naarch64");
    assert_eq!(run(&["script", "one"]), "/sbin/script one\naarch64");
    assert_eq!(run(&["/link", "one"]), "/link one\naarch64");
    assert_eq!(run(&["text", "one"]), "/sbin/text one\naarch64");
    // Its name for a program that is called otherwise, and one that cannot be read.
    let script = "cp /bin/busybox /other; chmod 111 /other; exec -a uname /other -m";
    assert_eq!(run(&["sh", "-c", script]), "aarch64");
    let cmd = me.contain().args(["-c", "-w", "/bin"]).arg(&root);
    cmd.args(["./uname", "-m"]).run().says("aarch64");
    // In a root of this machine, from elsewhere.
    let native = tests::root(me);
    for (source, at, program) in [
        ("bin", "/opt/arm", "/opt/arm/busybox"),
        ("bin/busybox", "/opt/busybox", "/opt/busybox"),
    ] {
        let bind = format!("{}:{at}", root.at(source).display());
        let cmd = me.contain().args(["-c", "-b", &bind]).arg(&native);
        cmd.args([program, "uname", "-m"]).run().says("aarch64");
    }
}

fn set_id_programs(me: &User) {
    let root = arm!(me);
    let busybox = fs::read(root.at("/bin/busybox")).unwrap();
    fs::remove_file(root.at("/bin/su")).unwrap();
    root.write("bin/su", busybox, 0o755).chmod("bin/su", 0o4755);
    let user = |command: &[&str]| {
        let cmd = me.contain().args(["-c", "--user", "user"]).arg(&root);
        cmd.args(command).run()
    };
    user(&["id", "-u"]).says("1");
    user(&["su", "root", "-c", "id -u"]).says("0");
}

fn not_with_the_hosts_tools(me: &User) {
    let root = arm!(me);
    // The host's programs are what they are.
    let cmd = me.contain().args(["-c", "-H"]).arg(&root);
    cmd.args(["uname", "-m"]).run().says(std::env::consts::ARCH);
    root.install(root.at("/bin/busybox").to_str().unwrap(), "opt/busybox");
    let cmd = me.contain().args(["-c", "-H"]).arg(&root);
    let out = cmd.args(["/opt/busybox", "uname", "-m"]).run();
    out.refused_naming(126, &["64-bit ARM", "-H"]);
    assert_no_traces(&root);
}

fn a_command_enters(me: &User) {
    let root = arm!(me);
    let up = me.up(&root, &["--name", "arm"]);
    let inside = |command: &[&str]| me.inject().arg(up.pid().to_string()).args(command).run();
    inside(&["uname", "-m"]).says("aarch64");
    inside(&["/bin/sh", "-c", "uname -m; cat /proc/1/comm"]).says("aarch64\nsh");
    inside(&["/bin/false"]).status_is(1);
    let list = me.inject().arg("-l").run().ok();
    let ours = format!("{}  arm", up.pid());
    let line = list
        .lines()
        .find(|line| line.trim_start().starts_with(&ours));
    assert!(
        line.is_some_and(|line| line.contains("  /bin/sh -c") && !line.contains("qemu")),
        "{list}"
    );
}

fn an_init_stops_in_its_own_way(me: &User) {
    let root = arm!(me);
    let table = "::sysinit:/bin/echo booted\n::shutdown:/bin/echo down\n";
    root.write("etc/inittab", table, 0o644);
    let running = me.contain().arg(&root).arg("/sbin/init").start();
    running.wait_for("booted");
    running.signal(libc::SIGTERM);
    let out = running.finish();
    out.status_is(0);
    assert!(out.stdout().contains("down"), "{out}");
    assert_no_traces(&root);
    // The same where the host emulates it.
    for_one_id(me, &root);
    let taken = handler(
        Path::new("/usr/libexec/qemu-binfmt/aarch64-binfmt-P"),
        "OPF",
    );
    let cmd = me.contain().arg(&root).arg("/sbin/init");
    let running = on_a_host_with(&taken, cmd).start();
    running.wait_for("booted");
    running.signal(libc::SIGTERM);
    let out = running.finish();
    out.status_is(0);
    assert!(out.stdout().contains("down"), "{out}");
}

fn a_signal_that_is_lost_ends_it_at_once(me: &User) {
    let root = arm!(me);
    for options in [&[][..], &["-c"], &["--init"]] {
        let cmd = me.contain().args(options).arg(&root);
        let running = cmd.args(["sh", "-c", "echo up; sleep 1000; :"]).start();
        running.wait_for("up");
        let begun = Instant::now();
        running.signal(libc::SIGTERM);
        assert_eq!(running.ended(), Some(143), "{options:?}");
        assert!(begun.elapsed() < 6 * SECOND, "{options:?}");
    }
    // One that handles it has its time.
    let script = "trap 'sleep 1; exit 5' TERM; echo up; while :; do sleep 0.1; done";
    let running = me.sh(&root, script).start();
    running.wait_for("up");
    running.signal(libc::SIGTERM);
    assert_eq!(running.ended(), Some(5));
}

fn reboots(me: &User) {
    let root = arm!(me);
    let script = "echo boot >>/boots; uname -m; [ $(wc -l </boots) -lt 3 ] && reboot -f; poweroff -f; sleep 9";
    me.sh(&root, script).run().says("aarch64\naarch64\naarch64");
    assert_no_traces(&root);
}

/// The command where a binfmt_misc is as a host has it, with this handler: that of a user
/// namespace around it.
fn on_a_host_with(handler: &str, cmd: Cmd) -> Cmd {
    let script = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && \
        printf %s \"$1\" >/proc/sys/fs/binfmt_misc/register && shift && exec \"$@\"";
    cmd.under(["unshare", "-rm", "sh", "-c", script, "sh", handler])
}

/// As Debian's package registers it, with these flags.
fn handler(interpreter: &Path, flags: &str) -> String {
    let magic = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
    let mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
    format!(
        ":qemu-aarch64:M::{magic}:{mask}:{}:{flags}",
        interpreter.display()
    )
}

/// A root for the one id that unshare(1) maps.
fn for_one_id(me: &User, root: &Root) {
    if me.kind == tests::As::Root {
        // The container's root is the highest id by default, and not mapped there.
        let ids = format!("{}:{}", me.uid, me.gid);
        me.command("chown").args(["-hR", &ids]).arg(root).run().ok();
    }
}

/// 32-bit ARM goes along where the container could not change its emulator, as one of
/// root's below could.
const SEEN: &str =
    "uname -m; grep -c binfmt /proc/mounts; ls /proc/sys/fs/binfmt_misc | grep -vx qemu-arm; :";

fn a_handler_of_the_hosts_is_enough(me: &User) {
    let root = arm!(me);
    for_one_id(me, &root);
    let taken = handler(&emulator("aarch64").unwrap(), "OPF");
    let plan = me.contain().arg("--explain").arg(&root);
    let plan = on_a_host_with(&taken, plan).run().ok();
    assert!(
        !plan.contains("binfmt") && !plan.contains("emulator"),
        "{plan}"
    );
    let out = on_a_host_with(&taken, me.sh(&root, SEEN)).run();
    out.says("aarch64\n0");
    // Nor does it need an emulator to be found.
    let cmd = me.sh(&root, SEEN).under(["env", "PATH=/none"]);
    on_a_host_with(&taken, cmd).run().says("aarch64\n0");
}

fn a_handler_without_its_program_is_not(me: &User) {
    let root = arm!(me);
    for_one_id(me, &root);
    // The kernel would look for it in the root.
    let absent = handler(&emulator("aarch64").unwrap(), "OP");
    let out = on_a_host_with(&absent, me.sh(&root, SEEN)).run();
    out.says("aarch64\n1\nqemu-aarch64\nregister\nstatus");
}

fn other_handlers_go_along(me: &User) {
    let root = arm!(me);
    for_one_id(me, &root);
    let script = "echo >/x.hello; chmod 755 /x.hello; /x.hello you; ls /proc/sys/fs/binfmt_misc | grep -vx qemu-arm";
    let echo = ":hello:E::hello::/bin/echo:";
    let out = on_a_host_with(echo, me.sh(&root, script)).run();
    out.says("/x.hello you\nhello\nqemu-aarch64\nregister\nstatus");
}

/// Directories for PATH with nothing but what maps ids, and these links.
fn path_with(me: &User, links: &[(&str, &str)]) -> String {
    let dir = scratch_dir(me);
    for helper in ["newuidmap", "newgidmap", "getsubids"] {
        let path = format!("/usr/bin/{helper}");
        if Path::new(&path).exists() {
            std::os::unix::fs::symlink(&path, dir.join(helper)).unwrap();
        }
    }
    for (to, from) in links {
        std::os::unix::fs::symlink(to, dir.join(from)).unwrap();
    }
    dir.to_str().unwrap().to_owned()
}

fn without_an_emulator(me: &User) {
    let root = arm!(me);
    let path = path_with(me, &[]);
    let cmd = me.contain().env("PATH", &path).arg("-c").arg(&root);
    let said = cmd.run().refused_naming(126, &["64-bit ARM", "qemu-user"]);
    assert!(said.names("qemu-aarch64"), "{said:?}");
    assert_no_traces(&root);
    fs::remove_dir_all(path).unwrap();
}

/// The emulator would be init, and say so with a status of its own.
fn without_its_loader(me: &User) {
    let root = arm!(me);
    // A header with the name of a loader is all that the start looks at.
    let mut program = fs::read(root.at("/bin/busybox")).unwrap()[..20].to_vec();
    program.resize(120, 0);
    program[32] = 64;
    program[54] = 56;
    program[56] = 1;
    program[64] = 3;
    program[72] = 120;
    program.extend(b"/lib/ld-linux-aarch64.so.1\0");
    root.write("bin/dynamic", program, 0o755);
    let cmd = me.contain().arg("-c").arg(&root).arg("/bin/dynamic");
    cmd.run()
        .refused_naming(127, &["/bin/dynamic", "/lib/ld-linux-aarch64.so.1"]);
    assert_no_traces(&root);
}

/// A kernel or a sandbox that has no such mounts: no start, and one line.
fn without_a_call(me: &User) {
    let root = arm!(me);
    let without = env!("CARGO_BIN_EXE_without");
    let cmd = me.contain().arg("-c").arg(&root).args(["uname", "-m"]);
    let cmd = cmd.under([without, "fsopen"]);
    cmd.run().refused_naming(1, &["binfmt_misc", "fsopen"]);
    assert_no_traces(&root);
    // pseudo does without.
    let cmd = me.pseudo().args(["-m", "echo", "well"]);
    cmd.under([without, "fsopen"]).run().says("well");
}

/// In a directory of root's, of which container root is no user.
fn an_emulator_out_of_reach(me: &User) {
    let root = arm!(me);
    let dir = scratch_dir(me);
    let own = dir.join("qemu-aarch64-static");
    let bytes = fs::read(emulator("aarch64").unwrap()).unwrap();
    tests::install(&bytes, &own, 0o755);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(&dir, mode).unwrap();
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap());
    let cmd = me.contain().env("PATH", path).arg("-c").arg(&root);
    let facts = [own.to_str().unwrap(), "permission denied", "root"];
    cmd.run().refused_naming(1, &facts);
    assert_no_traces(&root);
    fs::remove_dir_all(dir).unwrap();
}

fn with_a_dynamic_emulator(me: &User) {
    let root = arm!(me);
    if tests::libraries("/usr/bin/id").is_empty() {
        skip!("no dynamic program here");
    }
    let path = path_with(me, &[("/usr/bin/id", "qemu-aarch64")]);
    let cmd = me.contain().env("PATH", &path).arg("-c").arg(&root);
    let facts = ["64-bit ARM", "not static", "qemu-user", &path];
    cmd.run().refused_naming(126, &facts);
    assert_no_traces(&root);
    fs::remove_dir_all(path).unwrap();
}

fn an_emulator_that_the_container_could_change(me: &User) {
    let root = arm!(me);
    let dir = scratch_dir(me);
    let own = dir.join("qemu-aarch64-static");
    let bytes = fs::read(emulator("aarch64").unwrap()).unwrap();
    tests::install(&bytes, &own, 0o777);
    let path = format!("{}:{}", dir.display(), std::env::var("PATH").unwrap());
    let plan = me.contain().env("PATH", &path).arg("--explain").arg(&root);
    let plan = plan.run().ok();
    assert!(
        plan.contains(&format!("{} for 64-bit ARM, a copy", own.display())),
        "{plan}"
    );
    // It has the owner of the container's root, and the name alone of the host's.
    let script = "sleep 9 & stat -L -c %u /proc/$!/exe; readlink /proc/$!/exe; uname -m; kill $!";
    let cmd = me.sh(&root, script).env("PATH", &path);
    cmd.run().says("0\n/qemu-aarch64-static\naarch64");
    fs::remove_dir_all(dir).unwrap();
}

fn pseudo_gives_the_same(me: &User) {
    let root = arm!(me);
    for_one_id(me, &root);
    let before = of_host();
    let script = "PATH=$PATH:/usr/sbin:/sbin; chroot \"$1\" /bin/uname -m";
    let pseudo = |option: &[&str]| {
        let cmd = me.pseudo().args(option).args(["sh", "-c", script, "sh"]);
        cmd.arg(&root).run()
    };
    pseudo(&["-m"]).says("aarch64");
    let without = pseudo(&[]);
    assert_eq!(without.code(), Some(126), "{without}");
    assert_eq!(before, of_host());
}

fn pseudo_leaves_the_hosts_handlers(me: &User) {
    if let Err(reason) = emulator("aarch64") {
        skip!("{reason}");
    }
    let echo = ":hello:E::hello::/bin/echo:";
    let list = me.pseudo().args(["-m", "ls", "/proc/sys/fs/binfmt_misc"]);
    let list = on_a_host_with(echo, list).run().ok();
    for name in ["hello", "qemu-aarch64", "qemu-s390x"] {
        assert!(list.lines().any(|line| line == name), "{name}: {list}");
    }
    // No emulator, nothing to do.
    let path = path_with(me, &[("/bin/ls", "ls")]);
    let list = me.pseudo().args(["-m", "ls", "/proc/sys/fs/binfmt_misc"]);
    let list = list.under(["env", &format!("PATH={path}")]);
    on_a_host_with(echo, list)
        .run()
        .says("hello\nregister\nstatus");
    fs::remove_dir_all(path).unwrap();
}

/// A container in a container, whose host has handlers of its own or none.
fn nested(me: &User) {
    let inner = arm!(me);
    let outer = root(me);
    outer.install(
        emulator("aarch64").unwrap().to_str().unwrap(),
        "/bin/qemu-aarch64-static",
    );
    let program = me.contain().program().to_owned();
    outer.install(program.to_str().unwrap(), "/bin/contain");
    let busybox = fs::read(inner.at("/bin/busybox")).unwrap();
    outer
        .write("arm/bin/busybox", busybox, 0o755)
        .link("busybox", "arm/bin/uname");
    outer.mkdir("arm/dev").mkdir("arm/proc").mkdir("arm/sys");
    let script = "contain -c /arm /bin/uname -m 2>/dev/null; ls /proc/sys/fs/binfmt_misc";
    me.sh(&outer, script).run().says("aarch64");
    assert!(eventually(SECOND, || tests::traces(outer.as_ref()).is_empty()));
}
