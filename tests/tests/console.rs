//! The console: which streams become init's terminal, and what goes through
//! it, from both sides.

use std::fs;

use tests::{Pty, Running, SECOND, User, assert_no_traces, each_user, eventually, root};

each_user!(
    a_terminal_becomes_inits_own,
    keys_and_words_go_through,
    each_stream_is_decided_alone,
    the_size_is_passed_on_and_follows,
    the_callers_settings_are_restored,
    without_a_terminal_bytes_are_exact,
    the_console_exists_without_a_terminal,
    a_reader_that_leaves_ends_it,
    much_output_arrives_whole,
    end_of_file_arrives,
    escape_keys_kill_it,
    under_c_the_terminal_is_ours,
    control_characters_reach_init,
    under_c_a_shell_stops_and_continues_it,
    inject_works_on_a_terminal,
);

/// Waits for the end of a command on a terminal and returns its status.
#[track_caller]
fn ended(mut running: Running) -> Option<i32> {
    assert!(
        eventually(20 * SECOND, || running.try_wait().is_some()),
        "still runs"
    );
    running.finish().code()
}

fn a_terminal_becomes_inits_own(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let script = "tty; ls -l /proc/1/fd | grep -c console; ps -o pid,tty 2>/dev/null | grep '^ *1 '; test -t 0 && test -t 1 && test -t 2 && echo all; chown 1:1 /dev/console 2>/dev/null; stat -c %t /dev/console; echo words >/dev/tty; exit 7";
    let running = pty.run(&me.contain().arg(&root).args(["/bin/sh", "-c", script]));
    assert_eq!(ended(running), Some(7), "{:?}", pty.screen());
    pty.wait_for("/dev/console")
        .wait_for("all")
        .wait_for("88")
        .wait_for("words");
    assert_no_traces(&root);
}

fn keys_and_words_go_through(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let running = pty.run(&me.contain().arg(&root));
    // What is typed before the terminal is raw, the outer one echoes as well.
    pty.wait_for("/ # ")
        .keys("echo $((6*7)) answers\n")
        .wait_for("42 answers");
    pty.keys("exit 5\n");
    assert_eq!(ended(running), Some(5), "{:?}", pty.screen());
    // The echo of the keys is the inner terminal's: once, not twice.
    assert_eq!(
        pty.screen().matches("echo $((6*7))").count(),
        1,
        "{:?}",
        pty.screen()
    );
}

fn each_stream_is_decided_alone(me: &User) {
    let root = root(me);
    let script = "for fd in 0 1 2; do test -t $fd && echo $fd >>/var/seen; done; echo out; echo err >&2; exit 3";
    for streams in [
        [true, false, false],
        [false, true, false],
        [false, false, true],
        [true, true, false],
        [false, true, true],
    ] {
        let _ = fs::remove_file(root.at("/var/seen"));
        let pty = Pty::open();
        let mut running = pty.start(
            &me.contain().arg(&root).args(["/bin/sh", "-c", script]),
            streams,
        );
        assert!(
            eventually(20 * SECOND, || running.try_wait().is_some()),
            "{streams:?}"
        );
        let out = running.finish();
        out.status_is(3);
        let seen = fs::read_to_string(root.at("/var/seen")).unwrap();
        let wanted: String = (0..3)
            .filter(|&fd| streams[fd])
            .map(|fd| format!("{fd}\n"))
            .collect();
        assert_eq!(seen, wanted, "{streams:?}");
        if streams[1] {
            pty.wait_for("out\r\n");
        } else {
            assert_eq!(out.bytes, b"out\n", "{streams:?}{out}");
        }
        if streams[2] {
            pty.wait_for("err\r\n");
        } else {
            assert_eq!(tests::errors(&out.stderr), ["err"], "{streams:?}{out}");
        }
    }
}

fn the_size_is_passed_on_and_follows(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    pty.resize(33, 101);
    let script = "trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done";
    let running = pty.run(&me.contain().arg(&root).args(["/bin/sh", "-c", script]));
    pty.wait_for("33 101");
    pty.resize(44, 120);
    pty.wait_for("44 120");
    drop(running);
}

fn the_callers_settings_are_restored(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let before = pty.settings();
    let running =
        pty.run(
            &me.contain()
                .arg(&root)
                .args(["/bin/sh", "-c", "stty raw -echo; exit 4"]),
        );
    assert_eq!(ended(running), Some(4));
    assert_eq!(before, pty.settings());
    let running =
        pty.run(
            &me.contain()
                .arg(&root)
                .args(["/bin/sh", "-c", "echo Ready; exec sleep 1000"]),
        );
    pty.wait_for("Ready");
    running.signal(libc::SIGTERM);
    assert_eq!(ended(running), Some(143));
    assert_eq!(before, pty.settings());
}

fn without_a_terminal_bytes_are_exact(me: &User) {
    let root = root(me);
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let out = me
        .contain()
        .arg(&root)
        .arg("/bin/cat")
        .input(bytes.clone())
        .run();
    assert!(
        out.status_is(0).bytes == bytes,
        "{} bytes of {}",
        out.bytes.len(),
        bytes.len()
    );
    let out = me
        .contain()
        .arg(&root)
        .args(["/bin/sh", "-c", "printf 'a\\nb\\n'"])
        .run();
    assert_eq!(out.status_is(0).bytes, b"a\nb\n");
}

fn the_console_exists_without_a_terminal(me: &User) {
    let root = root(me);
    let out = me
        .contain()
        .arg(&root)
        .args([
            "/bin/sh",
            "-c",
            "echo to the console >/dev/console; sleep 0.1",
        ])
        .run();
    assert!(
        out.status_is(0).stdout().contains("to the console"),
        "{out}"
    );
}

fn a_reader_that_leaves_ends_it(me: &User) {
    let root = root(me);
    for options in ["", "-c"] {
        let path: &std::path::Path = root.as_ref();
        let cmd = me.contain().arg(&root).args(["/bin/yes"]);
        let line = format!(
            "'{}' {options} '{}' /bin/yes | head -n 1",
            cmd.program().to_str().unwrap(),
            path.display()
        );
        let out = me
            .command("sh")
            .args(["-c", &line])
            .limit(20 * SECOND)
            .run();
        assert_eq!(out.stdout(), "y\n", "{out}");
        assert_no_traces(&root);
    }
}

fn much_output_arrives_whole(me: &User) {
    let root = root(me);
    let out = me
        .contain()
        .arg(&root)
        .args(["/bin/seq", "1", "300000"])
        .run();
    let text = out.status_is(0).stdout();
    assert_eq!(text.lines().count(), 300_000);
    assert!(text.ends_with("\n300000\n"));
    let pty = Pty::open();
    let running = pty.run(&me.contain().arg(&root).args(["/bin/seq", "1", "50000"]));
    assert_eq!(ended(running), Some(0));
    pty.wait_for("\r\n50000\r\n");
    let screen = pty.screen();
    let numbers: Vec<&str> = screen
        .split("\r\n")
        .filter(|line| line.parse::<u32>().is_ok())
        .collect();
    assert!(
        numbers.len() == 50_000 && numbers[12_344] == "12345",
        "{} lines",
        numbers.len()
    );
}

fn end_of_file_arrives(me: &User) {
    let root = root(me);
    me.contain()
        .arg(&root)
        .args(["/bin/sh", "-c", "cat; echo end"])
        .run()
        .says("end");
    let input = "x".repeat(20_000);
    let out = me
        .contain()
        .arg(&root)
        .args(["/bin/wc", "-c"])
        .input(input)
        .run();
    out.says("20000");
    let pty = Pty::open();
    let running =
        pty.run(
            &me.contain()
                .arg(&root)
                .args(["/bin/sh", "-c", "echo Ready; cat; echo end"]),
        );
    pty.wait_for("Ready").keys("line\n\x04").wait_for("end");
    assert_eq!(ended(running), Some(0));
}

fn escape_keys_kill_it(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let before = pty.settings();
    let running = pty.run(&me.contain().arg(&root).args([
        "/bin/sh",
        "-c",
        "stty raw; echo Ready; exec sleep 1000",
    ]));
    pty.wait_for("Ready").keys("\x1d\x1d\x1d");
    assert_eq!(ended(running), Some(137), "{:?}", pty.screen());
    assert_eq!(before, pty.settings());
    assert_no_traces(&root);
}

fn under_c_the_terminal_is_ours(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let before = pty.settings();
    let script = "test -t 0 && test -t 1 && echo terminal; readlink /proc/self/fd/0; sleep 0.1";
    let running = pty.run(
        &me.contain()
            .arg("-c")
            .arg(&root)
            .args(["/bin/sh", "-c", script]),
    );
    pty.wait_for("terminal");
    assert_eq!(before, pty.settings(), "raw mode under -c");
    assert_eq!(ended(running), Some(0));
    assert!(!pty.screen().contains("/dev/console"), "{:?}", pty.screen());
}

/// ^C is the inner terminal's to act on.
fn control_characters_reach_init(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let script = "trap 'echo interrupted; exit 8' INT; echo Ready; while :; do sleep 0.05; done";
    let running = pty.run(&me.contain().arg(&root).args(["/bin/sh", "-c", script]));
    pty.wait_for("Ready").keys("\x03").wait_for("interrupted");
    assert_eq!(ended(running), Some(8));
}

/// ^Z at a shell stops supervisor and init together, and fg continues both.
fn under_c_a_shell_stops_and_continues_it(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let cmd = me.contain();
    let program = cmd.program().to_str().unwrap();
    let path: &std::path::Path = root.as_ref();
    let shell = me
        .command("bash")
        .args(["--norc", "--noprofile", "-i"])
        .env("PS1", "prompt> ");
    let running = pty.run(&shell);
    let line = format!(
        "{program} -c {} /bin/sh -c 'echo $((1+1))Ready; sleep 1000; :'\n",
        path.display()
    );
    pty.wait_for("prompt> ").keys(&line).wait_for("2Ready");
    let supervisor = tests::children(running.pid())[0];
    let init = tests::init_of(supervisor).expect("init");
    let both = |wanted: bool| {
        [supervisor, init].iter().all(|&pid| {
            let state = tests::status_field(pid, "State").unwrap_or_default();
            state.starts_with('T') == wanted
        })
    };
    assert!(both(false));
    pty.keys("\x1a").wait_for("Stopped");
    assert!(
        eventually(10 * SECOND, || both(true)),
        "not both are stopped"
    );
    pty.keys("fg\n");
    assert!(eventually(10 * SECOND, || both(false)), "not both continue");
    tests::kill(init);
    pty.keys("echo status $((100+$?))\n").wait_for("status 237");
    assert_no_traces_but(&root, &running);
}

/// Nothing is left once the shell, whose command line names the root, ends.
fn assert_no_traces_but(root: &tests::Root, shell: &Running) {
    tests::kill(shell.pid());
    assert_no_traces(root);
}

fn inject_works_on_a_terminal(me: &User) {
    let root = root(me);
    let mut container = me.sh(&root, "echo up; sleep 1000; :").start();
    container.wait_for("up");
    container.init();
    let pty = Pty::open();
    let before = pty.settings();
    let running = pty.run(&me.inject().arg(container.pid().to_string()).arg("/bin/sh"));
    pty.wait_for("/ # ")
        .keys("test -t 0 && test -t 1 && test -t 2 && echo $((6*7)) terminals\n");
    pty.wait_for("42 terminals").keys("exit 5\n");
    assert_eq!(ended(running), Some(5), "{:?}", pty.screen());
    assert_eq!(before, pty.settings());
}
