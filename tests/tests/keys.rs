//! Keys at the console: they are the inner terminal's, whose programs and
//! shells act on them; three ^] are ours. And under -c, where they are the
//! caller's terminal's.

use std::time::Duration;

use tests::{
    Pty, Root, Running, SECOND, User, assert_no_traces, children, each_user, eventually, init_of,
    root, status_field,
};

each_user!(
    a_shell_inside_has_job_control,
    keys_that_signal_reach_the_program_in_front,
    every_byte_passes_to_a_raw_program,
    slow_or_broken_escapes_do_nothing,
    quick_escapes_kill_between_other_keys,
    a_full_screen_program_draws,
    under_c_an_interrupt_reaches_init_once,
    under_c_an_unhandled_interrupt_ends_it,
    under_c_a_stop_signal_stops_both,
);

#[track_caller]
fn start(me: &User, root: &Root, pty: &Pty, script: &str) -> Running {
    let running = pty.run(&me.contain().arg(root).args(["/bin/sh", "-c", script]));
    pty.wait_for("Ready");
    running
}

fn a_shell_inside_has_job_control(me: &User) {
    let root = root(me);
    for options in [&[][..], &["--init"]] {
        let pty = Pty::open();
        let cmd = me.contain().args(options).arg(&root);
        let running = pty.run(&cmd.arg("/bin/sh"));
        pty.wait_for("# ");
        // Stopped, listed, brought back, interrupted.
        pty.keys("sleep 1000\n").wait_for("sleep 1000\r\n");
        assert!(eventually(10 * SECOND, || a_sleep_runs(&root)));
        pty.keys("\x1a").wait_for("Stopped");
        pty.keys("jobs -l | grep -c Stopped; echo list$((1+1))\n")
            .wait_for("list2");
        assert!(pty.screen().contains("\n1\r\n"), "{:?}", pty.screen());
        pty.keys("fg\n").wait_for("fg\r\nsleep 1000");
        std::thread::sleep(Duration::from_millis(200));
        pty.keys("\x03");
        std::thread::sleep(Duration::from_millis(200));
        pty.keys("echo status $((100+$?))\n").wait_for("status 230");
        assert!(
            !pty.screen().contains("job control"),
            "no job control: {:?}",
            pty.screen()
        );
        // ^C at the prompt is the shell's, and ^D its end.
        pty.keys("\x03").keys("exit 4\n");
        assert_eq!(running.ended(), Some(4), "{:?}", pty.screen());
        assert_no_traces(&root);
        let pty = Pty::open();
        let running = pty.run(&me.contain().args(options).arg(&root).arg("/bin/sh"));
        pty.wait_for("# ");
        std::thread::sleep(Duration::from_millis(200));
        pty.keys("\x04");
        assert_eq!(running.ended(), Some(0), "{:?}", pty.screen());
    }
}

/// Whether the root's container runs sleep(1).
fn a_sleep_runs(root: &Root) -> bool {
    tests::traces(root.as_ref())
        .iter()
        .any(|process| process.contains("(sleep)"))
}

fn keys_that_signal_reach_the_program_in_front(me: &User) {
    let root = root(me);
    for (key, name, status) in [
        ("\x03", "INT", 11),
        ("\x1c", "QUIT", 12),
        ("\x1a", "TSTP", 13),
    ] {
        let pty = Pty::open();
        let script = format!(
            "trap 'echo got {name}; exit {status}' {name}; echo Ready; while :; do sleep 0.05; done"
        );
        let running = start(me, &root, &pty, &script);
        pty.keys(key).wait_for(&format!("got {name}"));
        assert_eq!(running.ended(), Some(status), "{:?}", pty.screen());
    }
}

/// All 256, some of which are signals and editing keys to a cooked terminal.
fn every_byte_passes_to_a_raw_program(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let script =
        "stty raw -echo; echo Ready; head -c 256 | od -An -v -tu1 | tr -s ' \\n' '  '; echo end";
    let running = start(me, &root, &pty, script);
    pty.bytes(&(0..=255).collect::<Vec<u8>>());
    assert_eq!(running.ended(), Some(0), "{:?}", pty.screen());
    pty.wait_for("end");
    let numbers: Vec<String> = (0..=255).map(|byte: u8| byte.to_string()).collect();
    let wanted = numbers.join(" ");
    assert!(pty.screen().contains(&wanted), "{:?}", pty.screen());
}

fn slow_or_broken_escapes_do_nothing(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let running = start(me, &root, &pty, "echo Ready; exec cat -v");
    // Two in a second, and two more after it; three with a key between.
    pty.keys("\x1d\x1d");
    std::thread::sleep(Duration::from_millis(1200));
    pty.keys("\x1d\x1d");
    std::thread::sleep(Duration::from_millis(1200));
    pty.keys("\x1dx\x1d\x1d");
    // They are keys like any other: shown by the terminal, then by cat.
    let wanted = "^]^]^]^]^]x^]^]\r\n";
    pty.keys("\n").wait_for(&wanted.repeat(2));
    pty.keys("\x04");
    assert_eq!(running.ended(), Some(0), "{:?}", pty.screen());
}

fn quick_escapes_kill_between_other_keys(me: &User) {
    let root = root(me);
    for options in [&[][..], &["--init"]] {
        let pty = Pty::open();
        let before = pty.settings();
        let script = "trap '' TERM INT HUP QUIT; echo Ready; while :; do sleep 0.05; done";
        let cmd = me.contain().args(options).arg(&root);
        let running = pty.run(&cmd.args(["/bin/sh", "-c", script]));
        pty.wait_for("Ready").keys("some words");
        for _ in 0..3 {
            pty.keys("\x1d");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(running.ended(), Some(137), "{:?}", pty.screen());
        assert_eq!(before, pty.settings());
        assert_no_traces(&root);
    }
}

/// vi takes the terminal's size, paints all rows and puts the screen back.
fn a_full_screen_program_draws(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    pty.resize(30, 90);
    root.write("/text", "first line\nsecond line\n", 0o644);
    let running = pty.run(&me.contain().arg(&root).args(["/bin/vi", "/text"]));
    // The status line on the last row, after 27 rows that are empty.
    pty.wait_for("second line").wait_for("\x1b[30;1H");
    assert_eq!(pty.screen().matches("~").count(), 27, "{:?}", pty.screen());
    pty.keys("ddinew words\x1b").wait_for("new words");
    pty.keys(":wq\n");
    assert_eq!(running.ended(), Some(0), "{:?}", pty.screen());
    let text = std::fs::read_to_string(root.at("/text")).unwrap();
    assert_eq!(text, "new wordssecond line\n");
}

fn under_c_an_interrupt_reaches_init_once(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let script = "n=0; trap 'n=$((n+1)); echo got $n' INT; trap 'echo sum $n; exit 7' USR1; echo Ready; while :; do sleep 0.05; done";
    let cmd = me.contain().arg("-c").arg(&root);
    let running = pty.run(&cmd.args(["/bin/sh", "-c", script]));
    pty.wait_for("Ready").keys("\x03").wait_for("got 1");
    std::thread::sleep(Duration::from_millis(300));
    running.signal(libc::SIGUSR1);
    assert_eq!(running.ended(), Some(7), "{:?}", pty.screen());
    pty.wait_for("sum 1");
}

fn under_c_an_unhandled_interrupt_ends_it(me: &User) {
    let root = root(me);
    for (options, status) in [(&["-c"][..], 130), (&["-c", "--init"], 130)] {
        let pty = Pty::open();
        let cmd = me.contain().args(options).arg(&root);
        let running = pty.run(&cmd.args(["/bin/sh", "-c", "echo Ready; exec sleep 1000"]));
        pty.wait_for("Ready");
        std::thread::sleep(Duration::from_millis(200));
        pty.keys("\x03");
        assert_eq!(running.ended(), Some(status), "{options:?}");
        assert_no_traces(&root);
    }
}

/// The signal alone, as `kill -TSTP` sends it: not the key, which init's
/// process group has from the terminal.
fn under_c_a_stop_signal_stops_both(me: &User) {
    let root = root(me);
    for options in [&["-c"][..], &["-c", "--init"]] {
        let cmd = me.contain().args(options).arg(&root);
        let script = "echo Ready; while :; do sleep 0.05; done";
        let running = cmd.args(["/bin/sh", "-c", script]).start();
        running.wait_for("Ready");
        let init = init_of(running.pid()).expect("init");
        let both = |wanted: bool| {
            [running.pid(), init].iter().all(|&pid| {
                let state = status_field(pid, "State").unwrap_or_default();
                state.starts_with('T') == wanted
            })
        };
        running.signal(libc::SIGTSTP);
        assert!(eventually(10 * SECOND, || both(true)), "{options:?}");
        running.signal(libc::SIGCONT);
        assert!(eventually(10 * SECOND, || both(false)), "{options:?}");
        children(running.pid()).into_iter().for_each(tests::kill);
        running.finish().status_is(137);
        assert_no_traces(&root);
    }
}
