//! Which container inject enters, and which it lists: by process id, name and
//! directory, and never because of what a container or another user says.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::symlink;

use nix::sys::memfd::{MFdFlags, memfd_create};

use tests::{
    As, Out, Pty, Root, SECOND, User, assert_no_traces, children, each_user, eventually,
    host_is_root, kill, namespace, root, skip, some_users,
};

each_user!(
    by_name_and_directory,
    several_are_listed_and_none_is_entered,
    none_says_what_runs,
    the_list_fits_its_terminal,
    json_for_programs,
    no_control_character_reaches_a_terminal,
    a_process_whose_name_is_no_text,
    an_injected_process_is_of_its_container,
    a_process_beside_us_is_of_none,
    each_level_finds_its_own,
    a_nested_container_shares_the_network_of_its_outer,
    options_of_the_list,
);

some_users!(
    names_are_of_their_users: delegated plain,
    root_names_others_by_user: delegated plain,
    a_record_of_no_container: root,
    a_pipe_called_like_a_record: root,
    a_recycled_process_id: root,
);

/// `inject CONTAINER` of a command that says which host it is on.
fn hostname(me: &User, container: &str) -> Out {
    me.inject().args([container, "/bin/hostname"]).run()
}

/// The lines of the list that hold `word`.
fn listed(out: &str, word: &str) -> Vec<String> {
    let lines = out.lines().filter(|line| line.contains(word));
    lines.map(str::to_owned).collect()
}

/// A name of the test's own: others run containers meanwhile.
fn own(me: &User, name: &str) -> String {
    format!("{name}-{}-{}", me.name, std::process::id())
}

fn path(root: &Root) -> &str {
    let path: &std::path::Path = root.as_ref();
    path.to_str().unwrap()
}

fn by_name_and_directory(me: &User) {
    let (root, name) = (root(me), own(me, "by-name"));
    let running = me.up(&root, &["-N", &name]);
    hostname(me, &name).says(&name);
    hostname(me, path(&root)).says(&name);
    hostname(me, &format!("{}/../{}/", path(&root), file_name(&root))).says(&name);
    let there = me.inject().cwd(root.at("..").canonicalize().unwrap());
    let there = there.arg(format!("./{}", file_name(&root)));
    there.arg("/bin/hostname").run().says(&name);
    let link = root.at("way");
    symlink(path(&root), &link).unwrap();
    hostname(me, link.to_str().unwrap()).says(&name);
    // Its name, not its directory's, nor a part of it, nor its host name.
    hostname(me, file_name(&root)).status_is(1);
    hostname(me, &name[..name.len() - 1]).status_is(1);
    hostname(me, &name.to_uppercase()).status_is(1);
    kill(running.pid());
    assert!(eventually(5 * SECOND, || hostname(me, &name).code() == Some(1)));
}

fn file_name(root: &Root) -> &str {
    let path: &std::path::Path = root.as_ref();
    path.file_name().unwrap().to_str().unwrap()
}

fn several_are_listed_and_none_is_entered(me: &User) {
    let (root, name) = (root(me), own(me, "twice"));
    let running = [(); 2].map(|()| me.up(&root, &["-N", &name]));
    for container in [&name, path(&root)] {
        let out = me.inject().args([container, "/bin/touch", "/ran"]).run();
        assert!(out.status_is(1).bytes.is_empty(), "{out}");
        assert!(
            out.stderr.starts_with("inject: cannot enter container "),
            "{out}"
        );
        assert!(out.stderr.contains("there are 2 of them\n"), "{out}");
        assert_eq!(listed(&out.stderr, " NAME ").len(), 1, "{out}");
        for one in &running {
            let line = format!("{} ", one.pid());
            assert_eq!(listed(&out.stderr, &line).len(), 1, "{out}");
        }
        assert!(
            out.stderr.trim_end().ends_with("hint: name one by its PID"),
            "{out}"
        );
    }
    assert!(!root.at("/ran").exists());
    hostname(me, &running[1].pid().to_string()).says(&name);
}

fn none_says_what_runs(me: &User) {
    let (root, name) = (root(me), own(me, "other"));
    let running = me.up(&root, &["-N", &name]);
    for missing in ["no-such-name", "/usr", "."] {
        let out = me.inject().args([missing, "/bin/touch", "/ran"]).run();
        assert!(out.status_is(1).bytes.is_empty(), "{out}");
        let line = out.stderr.lines().next().unwrap();
        assert!(
            line.contains(&format!("cannot enter container {missing}: ")),
            "{out}"
        );
        assert_eq!(listed(&out.stderr, &name).len(), 1, "{out}");
    }
    hostname(me, "/no/such/directory").refused_naming(1, &["/no/such/directory", "No such file"]);
    for none in ["a b", "-x", ".x", "a\n", "é"] {
        let out = me.inject().args(["--", none, "/bin/touch", "/ran"]).run();
        out.refused(64);
    }
    drop(running);
    assert!(!root.at("/ran").exists());
    assert_no_traces(&root);
}

fn the_list_fits_its_terminal(me: &User) {
    let (root, name) = (root(me), own(me, "listed"));
    let mut running = me.up(&root, &["-n", "-N", &name]);
    let out = me.inject().arg("-l").run().ok();
    let titles: Vec<&str> = out.lines().next().unwrap().split_whitespace().collect();
    let wanted = ["PID", "NAME", "ROOT", "INIT", "NET", "UPTIME", "COMMAND"];
    assert_eq!(titles, wanted);
    let line = &listed(&out, &name)[0];
    let words: Vec<&str> = line.split_whitespace().collect();
    let (pid, init) = (running.pid().to_string(), running.init().to_string());
    assert_eq!(
        words[..5],
        [&pid, &name, path(&root), &init, "host"],
        "{line}"
    );
    assert!(words[5].ends_with('s'), "{line}");
    assert!(
        line.ends_with("/bin/sh -c echo up; sleep 1000; :"),
        "{line}"
    );
    for columns in [20, 60, 100, 300] {
        let pty = Pty::open();
        pty.resize(24, columns);
        assert_eq!(pty.run(&me.inject().arg("--list")).ended(), Some(0));
        let shown = |screen: &[u8]| String::from_utf8_lossy(screen).contains(&pid);
        assert!(pty.shows(shown), "{:?}", pty.screen());
        for line in pty.screen().lines() {
            assert!(
                line.chars().count() <= columns.into(),
                "{columns}: {line:?}"
            );
        }
    }
    kill(running.pid());
    drop(running);
    let gone = || listed(&me.inject().arg("-l").run().ok(), &name).is_empty();
    assert!(eventually(5 * SECOND, gone));
}

fn json_for_programs(me: &User) {
    let (root, name) = (root(me), own(me, "json"));
    let mut running = me.up(&root, &["-N", &name]);
    let out = me.inject().args(["-l", "--json"]).run().ok();
    assert!(out.starts_with("[\n{") && out.ends_with("}\n]"), "{out}");
    let line = listed(&out, &name)[0].clone();
    let start = format!(
        "{{\"pid\":{},\"name\":\"{name}\",\"user\":{},\"root\":\"{}\",\"init\":{},\"net\":\"private\",\"uptime\":",
        running.pid(),
        me.uid,
        path(&root),
        running.init()
    );
    assert!(line.starts_with(&start), "{line} is not {start}");
    let end = "\"command\":[\"/bin/sh\",\"-c\",\"echo up; sleep 1000; :\"]}";
    assert!(line.trim_end_matches(',').ends_with(end), "{line}");
}

fn no_control_character_reaches_a_terminal(me: &User) {
    let root = root(me);
    let dir = "/a\x1b[31m\n\u{9b}b";
    root.install("/bin/busybox", &format!("{dir}/bin/sh"));
    let name = own(me, "evil");
    let cmd = me.contain().args(["-c", "-N", &name]).arg(root.at(dir));
    let script = "echo up; sleep 1000; : \x1b[31m\u{9b}\r\n: end";
    let running = cmd.args(["/bin/sh", "-c", script]).start();
    running.wait_for("up");
    for options in [&["-l"][..], &["-l", "--json"]] {
        let out = me.inject().args(options).run();
        let line = &listed(&out.ok(), &name)[0];
        assert!(line.contains("end"), "cut at a control character: {line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    drop(running);
}

/// A name of its own choice hides no process, and loses it no signal.
fn a_process_whose_name_is_no_text(me: &User) {
    let (root, name) = (root(me), own(me, "no-text"));
    let script = r"trap 'exit 7' TERM; printf '\377' >/proc/self/comm; echo up;
        while :; do sleep 0.05; done";
    let cmd = me.contain().args(["-c", "-N", &name]).arg(&root);
    let mut running = cmd.args(["/bin/sh", "-c", script]).start();
    running.wait_for("up");
    let init = running.init();
    assert_eq!(listed(&me.inject().arg("-l").run().ok(), &name).len(), 1);
    for container in [&name, path(&root), &init.to_string()] {
        hostname(me, container).says(&name);
    }
    running.signal(libc::SIGTERM);
    running.finish().status_is(7);
}

fn an_injected_process_is_of_its_container(me: &User) {
    let (root, name) = (root(me), own(me, "injected"));
    let mut running = me.up(&root, &["-N", &name]);
    let script = "echo up; sleep 1000; :";
    let injected = me.inject().args([&*name, "/bin/sh", "-c", script]).start();
    injected.wait_for("up");
    let shell = children(injected.pid()).into_iter();
    let shell = shell.filter(|pid| tests::ns_pid(*pid) != Some(*pid));
    let [shell] = shell.collect::<Vec<_>>()[..] else {
        panic!("one process of inject's is inside");
    };
    let init = running.init();
    assert_eq!(namespace(shell, "pid"), namespace(init, "pid"));
    let child = || children(shell).first().copied();
    assert!(eventually(5 * SECOND, || child().is_some()));
    for inside in [shell, child().unwrap()] {
        hostname(me, &inside.to_string()).says(&name);
    }
}

/// Whatever its namespaces: only what is in a PID namespace below ours, or
/// holds a record, is of a container.
fn a_process_beside_us_is_of_none(me: &User) {
    let other = me.command("unshare").args(["-Ur", "sleep", "1000"]).start();
    let deeper = ["-Urpf", "--kill-child", "sleep", "1000"];
    let deeper = me.command("unshare").args(deeper).start();
    let below = || children(deeper.pid()).first().copied();
    assert!(eventually(5 * SECOND, || below().is_some()));
    for pid in [other.pid(), deeper.pid(), below().unwrap()] {
        let pid = pid.to_string();
        let out = me.inject().args([&pid, "/bin/touch", "/ran"]).run();
        out.refused_naming(1, &[&pid, "not a container's"]);
    }
}

/// The programs, for a container to start and enter others.
fn with_programs(root: &Root, me: &User) {
    for cmd in [me.contain(), me.inject()] {
        let from = cmd.program().to_str().unwrap();
        root.install(from, &format!("/bin/{}", from.rsplit('/').next().unwrap()));
    }
    // Root in a container maps its containers' roots to an id of no file's.
    for kernel in ["dev", "proc", "sys"] {
        root.mkdir(&format!("/inner/{kernel}"));
    }
    root.install("/bin/busybox", "/inner/bin/busybox");
    for name in ["sh", "sleep", "hostname", "readlink"] {
        root.link("busybox", &format!("/inner/bin/{name}"));
    }
}

fn each_level_finds_its_own(me: &User) {
    let (root, name) = (root(me), own(me, "outer"));
    with_programs(&root, me);
    let mut outer = me.up(&root, &["-N", &name]);
    let inner = ["contain", "-c", "-N", "inner", "/inner"];
    let inner = me.inject().arg(&name).args(inner);
    let inner = inner
        .args(["/bin/sh", "-c", "echo up; sleep 1000; :"])
        .start();
    inner.wait_for("up");
    // The inner level by its name, from where it was started.
    me.inject()
        .args([&*name, "inject", "inner", "/bin/hostname"])
        .run()
        .says("inner");
    let inside = me.inject().args([&*name, "inject", "-l"]).run().ok();
    assert_eq!(inside.lines().count(), 2, "{inside}");
    assert!(
        inside.contains(" inner ") && !inside.contains(&name),
        "{inside}"
    );
    let unknown = me
        .inject()
        .args([&*name, "inject", &name, "/bin/true"])
        .run();
    unknown.status_is(1);
    // From here the outer is all there is, whichever process is named.
    assert!(listed(&me.inject().arg("-l").run().ok(), " inner ").is_empty());
    hostname(me, "inner").status_is(1);
    let init = outer.init();
    let nested: Vec<u32> = below(inner.pid())
        .into_iter()
        .filter(|pid| namespace(*pid, "pid") != namespace(init, "pid") && is_inside(*pid))
        .collect();
    assert!(
        nested.len() >= 2,
        "init of the inner and its child: {nested:?}"
    );
    for pid in nested {
        hostname(me, &pid.to_string()).says(&name);
    }
}

/// Whether the process is in a PID namespace below ours.
fn is_inside(pid: u32) -> bool {
    tests::status_field(pid, "NSpid").is_some_and(|ids| ids.contains('\t'))
}

fn below(pid: u32) -> Vec<u32> {
    let mut found = children(pid);
    let mut next = 0;
    while next < found.len() {
        found.extend(children(found[next]));
        next += 1;
    }
    found
}

fn a_nested_container_shares_the_network_of_its_outer(me: &User) {
    let (root, name) = (root(me), own(me, "net"));
    with_programs(&root, me);
    let mut outer = me.up(&root, &["-N", &name]);
    let init = outer.init();
    let cmd = me.inject().args([&*name, "contain", "-c", "-n", "/inner"]);
    let link = cmd.args(["/bin/readlink", "/proc/self/ns/net"]).run().ok();
    assert_eq!(link, namespace(init, "net"));
    assert_ne!(link, namespace(std::process::id(), "net"));
}

fn options_of_the_list(me: &User) {
    me.inject().args(["-l", "web"]).run().refused(64);
    me.inject().arg("--json").run().refused(64);
    me.inject().args(["--user", "", "web"]).run().refused(64);
    me.inject().args(["-w", "here", "web"]).run().refused(64);
}

/// One user's names are nobody else's.
fn names_are_of_their_users(me: &User) {
    let other = match me.kind {
        As::Delegated => User::get(As::Plain),
        As::Root | As::Plain => User::get(As::Delegated),
    };
    let Ok(other) = other else {
        skip!("there is no second user to try with");
    };
    let (root, name) = (root(&other), own(&other, "theirs"));
    let running = other.up(&root, &["-N", &name]);
    for container in [&*name, path(&root), &format!("{}/{name}", other.name)] {
        let out = me.inject().args([container, "/bin/touch", "/ran"]).run();
        assert!(out.status_is(1).bytes.is_empty(), "{out}");
        assert!(!out.stderr.contains(&running.pid().to_string()), "{out}");
    }
    assert!(listed(&me.inject().arg("-l").run().ok(), &name).is_empty());
    assert!(!root.at("/ran").exists());
}

fn root_names_others_by_user(me: &User) {
    if !host_is_root() {
        skip!("this needs root");
    }
    let host = User::get(As::Root).unwrap();
    let (root, name) = (root(me), own(me, "users"));
    let running = me.up(&root, &["-N", &name]);
    let full = format!("{}/{name}", me.name);
    hostname(&host, &full).says(&name);
    hostname(&host, &format!("{}/{name}", me.uid)).says(&name);
    hostname(&host, &running.pid().to_string()).says(&name);
    // Root's own only, unless the user is named.
    for container in [&*name, path(&root), &format!("root/{name}")] {
        hostname(&host, container).status_is(1);
    }
    hostname(&host, &format!("no-such-user/{name}")).status_is(1);
    let list = host.inject().arg("-l").run().ok();
    let line = &listed(&list, &full)[0];
    assert!(
        line.trim_start().starts_with(&running.pid().to_string()),
        "{line}"
    );
    // As that container's root, and no other.
    let script = "id -u; touch /made; tr -d '\\0' </proc/self/uid_map | grep -c .";
    let out = host.inject().args([&*full, "/bin/sh", "-c", script]).run();
    assert!(out.ok().starts_with("0\n"), "{out}");
    let made = std::fs::metadata(root.at("/made")).unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(&made);
    assert_eq!(Some(owner), me.outside("uid", 0));
}

/// A holder of what reads as a record, its child the first process of a PID
/// namespace: but no container, or none that lists may show.
fn a_record_of_no_container(me: &User) {
    if !host_is_root() {
        skip!("only root may open the test's memfd");
    }
    let liar = |options: &[&str], init: &str, fields: &str| {
        let memfd = memfd_create(
            c"contain",
            MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC,
        );
        let mut memfd = File::from(memfd.unwrap());
        let open = format!(
            "exec 9<>/proc/{}/fd/{}; exec \"$@\"",
            std::process::id(),
            memfd.as_raw_fd()
        );
        let cmd = me
            .command("unshare")
            .args(options)
            .args(["-f", "--kill-child"]);
        let running = cmd.args(["sh", "-c", &format!("exec 9>&-; exec {init} sleep 1000")]);
        let running = running.under_bash(&open).start();
        let child = || children(running.pid()).first().copied();
        assert!(eventually(5 * SECOND, || child().is_some()));
        let init = child().unwrap();
        assert!(eventually(5 * SECOND, || tests::comm(init) == "sleep"));
        write!(
            memfd,
            "version=contain 1\0profile=0,off\0init={init}\0{fields}"
        )
        .unwrap();
        let seals = nix::fcntl::SealFlag::all();
        nix::fcntl::fcntl(&memfd, nix::fcntl::FcntlArg::F_ADD_SEALS(seals)).unwrap();
        running
    };
    let enter = |container: &str| {
        let out = me.inject().args([container, "/bin/touch", "/ran"]).run();
        assert!(!std::path::Path::new("/ran").exists(), "{out}");
        out
    };
    // Our own user namespace: root inside would be root here.
    let name = own(me, "liar");
    let same = liar(
        &["-pm"],
        "",
        &format!("name={name}\0root=/x\x1b[31m\0net=host\x1b[31m\0argument=a\x1b]b\0"),
    );
    for container in [&*name, &same.pid().to_string()] {
        enter(container).refused_naming(1, &["user namespace", "our own"]);
    }
    let out = me.inject().arg("-l").run().ok();
    assert!(!out.contains('\x1b') && out.contains("a\\u{1b}]b"), "{out}");
    // Our own files.
    let files = liar(&["-p"], "unshare -Ur", "root=/\0");
    enter(&files.pid().to_string()).refused_naming(1, &["mount namespace", "our own"]);
    // A name that a completion could trip over.
    let named = liar(&["-pm"], "unshare -Ur", "name=$(touch /ran)\0root=/\0");
    enter(&named.pid().to_string()).refused(1);
    let out = me.inject().arg("-l").run().ok();
    assert!(
        listed(&out, &format!("{} ", named.pid())).is_empty(),
        "{out}"
    );
}

/// The kernel shows it by the same name, and nobody ever writes to it.
fn a_pipe_called_like_a_record(me: &User) {
    let script = "mount -t tmpfs none /mnt; cd /mnt; mkfifo memfd:contain; exec 3<>memfd:contain
        rm memfd:contain; cd /; umount -l /mnt; exec unshare -pf --kill-child sleep 1000";
    let running = me.command("unshare").args(["-m", "sh", "-c", script]);
    let running = running.start();
    let link = format!("/proc/{}/fd/3", running.pid());
    let shows =
        || std::fs::read_link(&link).is_ok_and(|it| it.ends_with("memfd:contain (deleted)"));
    let has_init = || {
        children(running.pid())
            .iter()
            .any(|&pid| tests::comm(pid) == "sleep")
    };
    assert!(eventually(5 * SECOND, || shows() && has_init()));
    assert_eq!(
        std::fs::read_link(&link).unwrap(),
        std::path::Path::new("/memfd:contain (deleted)")
    );
    let pid = running.pid().to_string();
    let out = me.inject().arg("-l").limit(10 * SECOND).run().ok();
    assert!(listed(&out, &pid).is_empty(), "{out}");
    let out = me
        .inject()
        .args([&*pid, "/bin/true"])
        .limit(10 * SECOND)
        .run();
    out.refused_naming(1, &["is not a container's"]);
}

/// In a PID namespace of our own the next id can be chosen.
fn a_recycled_process_id(me: &User) {
    let root = root(me);
    let script = "\"$0\" -c \"$2\" /bin/sleep 1000 & one=$!
        until \"$1\" $one /bin/true 2>/dev/null; do sleep 0.05; done
        kill -9 $one; wait $one
        echo $((one - 1)) >/proc/sys/kernel/ns_last_pid
        sleep 1000 & two=$!
        test $one = $two || { echo no reuse: $one $two; exit 5; }
        \"$1\" $one /bin/touch /ran; status=$?
        kill -9 $two; exit $status";
    let cmd = me
        .command("unshare")
        .args(["-pf", "--mount-proc", "sh", "-c", script]);
    let (contain, inject) = (me.contain(), me.inject());
    let cmd = cmd.arg(contain.program()).arg(inject.program()).arg(&root);
    let out = cmd.run();
    assert!(out.stderr.contains("is not a container's"), "{out}");
    out.status_is(1);
    assert!(!root.at("/ran").exists());
}
