//! Standard streams that are no terminals: bytes exact, ends that arrive,
//! nobody blocked by anybody else, and no work while nothing happens.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::chown;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::Duration;

use tests::{
    As, Cmd, Pty, SECOND, User, assert_no_traces, children, each_user, eventually, host_is_root,
    root, scratch_dir, skip, some_users, status_field,
};

each_user!(
    pipes_can_be_opened_once_more,
    ten_megabytes_pass_unchanged,
    ten_megabytes_pass_through_the_console,
    ten_megabytes_reach_a_terminal,
    a_megabyte_of_keys_arrives,
    a_program_that_does_not_read_blocks_nobody,
    a_script_on_the_input_is_run,
    the_console_alone_ends_with_its_reader,
    an_output_that_fails_ends_it,
    a_broken_pipe_has_one_status,
    init_has_its_time_after_its_reader,
    a_full_pipe_stops_no_signal,
    idle_costs_nothing,
);

some_users!(
    a_full_pipe_of_somebody_elses_stops_no_signal: delegated,
);

const MEGABYTE: usize = 1 << 20;

/// So many bytes, of all values, in which no part is like another.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(next());
    }
    bytes.truncate(length);
    bytes
}

#[track_caller]
fn assert_same(got: &[u8], wanted: &[u8]) {
    let differs = got.iter().zip(wanted).position(|(a, b)| a != b);
    assert!(
        got == wanted,
        "{} bytes of {}, the first that differs at {differs:?}",
        got.len(),
        wanted.len()
    );
}

fn ten_megabytes_pass_unchanged(me: &User) {
    let root = root(me);
    let bytes = noise(10 * MEGABYTE);
    for options in [&[][..], &["-c"], &["--init"]] {
        let cmd = me.contain().args(options).arg(&root);
        let out = cmd.arg("/bin/cat").input(bytes.clone()).run();
        assert_same(&out.status_is(0).bytes, &bytes);
        // The other stream of output is one of its own.
        let cmd = me.contain().args(options).arg(&root);
        let cmd = cmd.args(["/bin/sh", "-c", "printf 'a\\r\\n\\0\\n' >&2"]);
        let out = cmd.run();
        assert!(
            out.stderr.ends_with("a\r\n\0\n") && out.bytes.is_empty(),
            "{out}"
        );
    }
}

/// Without a terminal the console is a log: no carriage returns.
fn ten_megabytes_pass_through_the_console(me: &User) {
    let root = root(me);
    let mut bytes = noise(10 * MEGABYTE);
    // The last byte must not be lost, whatever it is.
    bytes.extend(b"the end");
    root.write("/bytes", &bytes, 0o644);
    let cmd = me.contain().arg(&root);
    let out = cmd
        .args(["/bin/sh", "-c", "cat /bytes >/dev/console"])
        .run();
    assert_same(&out.status_is(0).bytes, &bytes);
}

fn ten_megabytes_reach_a_terminal(me: &User) {
    let root = root(me);
    let bytes = noise(10 * MEGABYTE);
    root.write("/bytes", &bytes, 0o644);
    for (prepare, wanted) in [("stty raw", bytes.clone()), ("true", with_returns(&bytes))] {
        let pty = Pty::open();
        // The warning that some users get is before the mark.
        let script = format!("{prepare}; echo; echo Ready; exec cat /bytes");
        let cmd = me.contain().arg(&root).args(["/bin/sh", "-c", &script]);
        assert_eq!(pty.run(&cmd).ended(), Some(0));
        let mark = if prepare == "true" {
            "Ready\r\n"
        } else {
            "Ready\n"
        };
        let start = |screen: &[u8]| {
            let found = screen
                .windows(mark.len())
                .position(|w| w == mark.as_bytes());
            found.map(|at| at + mark.len())
        };
        let whole = |screen: &[u8]| screen.len() >= wanted.len() + start(screen).unwrap_or(0);
        let _ = pty.shows(whole);
        let screen = pty.shown();
        assert_same(&screen[start(&screen).expect("the mark")..], &wanted);
    }
}

/// What the line discipline of a terminal makes of line ends.
fn with_returns(bytes: &[u8]) -> Vec<u8> {
    let mut wanted = Vec::with_capacity(bytes.len() + bytes.len() / 200);
    for &byte in bytes {
        if byte == b'\n' {
            wanted.push(b'\r');
        }
        wanted.push(byte);
    }
    wanted
}

fn a_megabyte_of_keys_arrives(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let mut bytes = noise(MEGABYTE);
    bytes.retain(|&byte| byte != 0x1d);
    let count = bytes.len();
    let script = format!("stty raw -echo; echo Ready; head -c {count} >/got; echo Done");
    let running = pty.run(&me.contain().arg(&root).args(["/bin/sh", "-c", &script]));
    pty.wait_for("Ready").bytes(&bytes).wait_for("Done");
    assert_eq!(running.ended(), Some(0));
    assert_same(&fs::read(root.at("/got")).unwrap(), &bytes);
}

fn a_program_that_does_not_read_blocks_nobody(me: &User) {
    let root = root(me);
    for (options, length) in [(&[][..], 20_000), (&["-c"], 20_000), (&[], 2 * MEGABYTE)] {
        let cmd = me.contain().args(options).arg(&root);
        let cmd = cmd.args(["/bin/sh", "-c", "sleep 0.2; echo not read; exit 5"]);
        let out = cmd.input(noise(length)).limit(20 * SECOND).run();
        assert_eq!(out.status_is(5).bytes, b"not read\n", "{out}");
    }
    assert_no_traces(&root);
}

/// `echo 'id; exit 3' | contain DIR`
fn a_script_on_the_input_is_run(me: &User) {
    let root = root(me);
    let out = me.contain().arg(&root).input("id; exit 3\n").run();
    let said = out.status_is(3).stdout();
    assert!(said.starts_with("uid=0(root) gid=0(root)"), "{out}");
    assert_eq!(said.lines().count(), 1, "{out}");
    assert_no_traces(&root);
}

/// Here the supervisor is who meets the closed pipe, not init.
fn the_console_alone_ends_with_its_reader(me: &User) {
    let root = root(me);
    for script in [
        "while :; do echo y; done >/dev/console",
        "trap '' TERM PIPE; while :; do echo y; done >/dev/console",
    ] {
        let cmd = me.contain().arg(&root).args(["/bin/sh", "-c", script]);
        let out = cmd
            .under_bash(r#""$@" | head -n 1; exit "${PIPESTATUS[0]}""#)
            .limit(20 * SECOND)
            .run();
        assert_eq!(out.stdout(), "y\n", "{out}");
        assert_ne!(out.code(), Some(0), "{out}");
        assert_no_traces(&root);
    }
}

fn an_output_that_fails_ends_it(me: &User) {
    let root = root(me);
    let script = "echo lost >/dev/console; exec sleep 1000";
    let cmd = me.contain().arg(&root).args(["/bin/sh", "-c", script]);
    let out = cmd
        .under_bash(r#"exec "$@" >/dev/full"#)
        .limit(20 * SECOND)
        .run();
    assert!(out.code().is_some_and(|code| code != 0), "{out}");
    assert_no_traces(&root);
}

/// PIPESTATUS of `contain DIR CMD | head`: the program's own if it ends for that by
/// itself, and not whoever notices first.
fn a_broken_pipe_has_one_status(me: &User) {
    let root = root(me);
    for (options, script, status) in [
        (&[][..], "exec cat /dev/zero", "1"),
        (&[], "cat /dev/zero; true", "0"),
        (&["--init"], "exec cat /dev/zero", "141"),
        (&["--init"], "cat /dev/zero; exit 3", "3"),
        (&[], "echo more than ten; exec sleep 1000", "141"),
    ] {
        let cmd = me.contain().args(options).arg(&root);
        let cmd = cmd.args(["/bin/sh", "-c", script]);
        let cmd = cmd
            .under_bash(r#""$@" 2>/dev/null | head -c 10 >/dev/null; echo "${PIPESTATUS[0]}""#)
            .limit(20 * SECOND);
        for _ in 0..10 {
            cmd.run().says(status);
        }
    }
    assert_no_traces(&root);
}

/// A reader that leaves is one request to stop, or none where there was one: init
/// has its time, what it says is lost, and the supervisor sleeps meanwhile.
fn init_has_its_time_after_its_reader(me: &User) {
    let root = root(me);
    // More than a console and a pipe hold.
    let script = "trap 'touch /stopping; until test -e /go; do sleep 0.05; done;
        head -c 1000000 /dev/zero >/dev/console; exit 7' TERM;
        echo up; while :; do sleep 0.05; done";
    let cmd = me.contain().args(["--stop-timeout", "600"]).arg(&root);
    let cmd = cmd.args(["/bin/sh", "-c", script]);
    let pipe = || {
        let (ours, theirs) = std::io::pipe().unwrap();
        (OwnedFd::from(ours), OwnedFd::from(theirs))
    };
    let socket = || {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (OwnedFd::from(ours), OwnedFd::from(theirs))
    };
    for (streams, asked) in [(pipe(), false), (socket(), false), (pipe(), true)] {
        let (ours, theirs) = streams;
        let running = cmd.start_on(Stdio::from(theirs));
        let mut line = [0; 3];
        File::from(ours.try_clone().unwrap())
            .read_exact(&mut line)
            .unwrap();
        assert_eq!(&line, b"up\n");
        let stopping = || eventually(20 * SECOND, || root.at("/stopping").exists());
        if asked {
            running.signal(libc::SIGTERM);
            assert!(stopping());
            // Sooner, another request would be the same.
            std::thread::sleep(Duration::from_millis(700));
        }
        drop(ours);
        assert!(stopping());
        let sleeps = || {
            let before = work(running.pid());
            std::thread::sleep(Duration::from_millis(700));
            before.is_some() && before == work(running.pid())
        };
        assert!(eventually(20 * SECOND, sleeps), "it never sleeps");
        root.write("/go", "", 0o644);
        running.limit(20 * SECOND).finish().status_is(7);
        for file in ["/stopping", "/go"] {
            fs::remove_file(root.at(file)).unwrap();
        }
    }
    assert_no_traces(&root);
}

fn a_full_pipe_stops_no_signal(me: &User) {
    with_a_full_pipe(me, me);
}

/// As of a service that gave up root after it had got its streams.
fn a_full_pipe_of_somebody_elses_stops_no_signal(me: &User) {
    if !host_is_root() {
        skip!("only root can hand a pipe of its own to a user");
    }
    with_a_full_pipe(me, &User::get(As::Root).unwrap());
}

/// Fills a pipe that belongs to `owner` and that nobody reads, by way of
/// init's own output and by way of the console.
fn with_a_full_pipe(me: &User, owner: &User) {
    let root = root(me);
    let dir = scratch_dir(owner);
    for script in ["exec yes", "yes >/dev/console; :"] {
        let fifo = dir.join("pipe");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        chown(&fifo, Some(owner.uid), Some(owner.gid)).unwrap();
        let pipe = File::options().read(true).write(true).open(&fifo).unwrap();
        let cmd = me.contain().arg(&root).args(["/bin/sh", "-c", script]);
        let mut running = cmd.start_on(Stdio::from(pipe.try_clone().unwrap()));
        running.init();
        // Until it is full, and the supervisor has had time to notice.
        std::thread::sleep(Duration::from_millis(500));
        running.signal(libc::SIGTERM);
        // A reader that is only slow gets the last words: that may take some time.
        let ended = eventually(20 * SECOND, || running.try_wait().is_some());
        assert!(ended, "signals are not handled: {script}");
        running.finish().status_is(143);
        assert_no_traces(&root);
        fs::remove_file(fifo).unwrap();
    }
    fs::remove_dir_all(dir).unwrap();
}

/// The processor time that a process has used, and how often it slept.
fn work(pid: u32) -> Option<[String; 4]> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit(") ").next()?.split(' ').collect();
    let switches = |kind| status_field(pid, kind);
    Some([
        fields[11].to_owned(),
        fields[12].to_owned(),
        switches("voluntary_ctxt_switches")?,
        switches("nonvoluntary_ctxt_switches")?,
    ])
}

/// With its input at its end, open and silent, or a terminal.
fn idle_costs_nothing(me: &User) {
    let root = root(me);
    let cmd = me.contain().arg(&root).args(["/bin/sleep", "1000"]);
    let ptys = [(); 3].map(|()| Pty::open());
    let mut all = vec![
        cmd.start(),
        cmd.clone()
            .under_bash(r#"exec "$@" < <(sleep 1000)"#)
            .start(),
        ptys[0].run(&cmd),
        ptys[1].start(&cmd, [false, true, true]),
        ptys[2].start(&cmd, [true, false, false]),
        me.contain()
            .args(["-c", "--init"])
            .arg(&root)
            .args(["/bin/sleep", "1000"])
            .start(),
    ];
    for running in &mut all {
        running.init();
    }
    std::thread::sleep(Duration::from_millis(500));
    let watched: Vec<u32> = all
        .iter()
        .flat_map(|running| [vec![running.pid()], children(running.pid())].concat())
        .collect();
    let measure = || watched.iter().map(|&pid| work(pid)).collect::<Vec<_>>();
    let before = measure();
    std::thread::sleep(2 * SECOND);
    assert_eq!(before, measure(), "of {watched:?}");
    drop(all);
    assert_no_traces(&root);
}

/// Programs log to /dev/stderr, and a pipe asks who opens it.
fn pipes_can_be_opened_once_more(me: &User) {
    let root = root(me);
    let script = "cat /dev/stdin; echo out >/dev/stdout; echo err >/dev/stderr";
    let piped = |cmd: Cmd| {
        let out = cmd
            .args(["/bin/sh", "-c", script])
            .under_bash(r#"echo in | "$@" 2>&1 | cat"#)
            .run();
        // A warning may come before.
        assert!(out.ok().ends_with("in\nout\nerr"), "{out}");
    };
    piped(me.contain().arg(&root));
    let running = me.up(&root, &[]);
    let pid = running.pid().to_string();
    piped(me.inject().arg(&pid));
    if me.many_ids() {
        piped(me.contain().args(["--user", "33:33"]).arg(&root));
        piped(me.inject().args(["--user", "33:33", &pid]));
    }
}
