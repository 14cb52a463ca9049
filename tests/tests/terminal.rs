//! A terminal outside: raw while the container has it, given back at every
//! end and at every stop, and hung up on.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use tests::{
    Cmd, Pty, Root, Running, SECOND, User, alive, assert_no_traces, children, each_user,
    eventually, root, send, status_field,
};

each_user!(
    init_leads_a_session_on_its_own_terminal,
    under_a_dev_of_the_callers_the_terminal_is_not_inits,
    a_machine_leaves_its_console_to_who_logs_in,
    it_is_raw_meanwhile_and_restored_by_every_signal,
    a_start_that_fails_leaves_it_alone,
    a_stop_restores_it_and_going_on_takes_it_back,
    a_resize_while_stopped_is_seen,
    a_hang_up_ends_it,
    output_alone_leaves_the_keys_to_the_caller,
    input_alone_echoes_and_prints_to_the_pipe,
    a_background_job_leaves_it_alone,
    a_background_job_brought_to_the_front_gets_the_keys,
    a_session_without_a_terminal_gets_the_keys,
    what_it_says_tells_that_it_is_in_front,
    an_interrupt_tells_that_it_is_in_front,
    a_stop_that_it_never_sees_is_undone_in_front_alone,
    a_key_stops_a_start_and_its_helper,
    a_key_stops_nothing_where_there_is_no_shell,
);

/// A container on the terminal whose init has said Ready.
#[track_caller]
fn start(me: &User, root: &Root, pty: &Pty, script: &str) -> Running {
    let running = pty.run(&me.contain().arg(root).args(["/bin/sh", "-c", script]));
    pty.wait_for("Ready");
    running
}

const SLEEP: &str = "echo Ready; exec sleep 1000";

fn is_stopped(pid: u32) -> bool {
    status_field(pid, "State").is_some_and(|state| state.starts_with('T'))
}

fn init_leads_a_session_on_its_own_terminal(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let mut running = start(me, &root, &pty, SLEEP);
    let init = running.init();
    for stream in 0..3 {
        let meta = fs::metadata(format!("/proc/{init}/fd/{stream}")).expect("a stream of init's");
        assert_ne!(meta.dev(), pty.device(), "stream {stream} is the caller's");
        // The first terminal of a devpts of its own.
        let number = (libc::major(meta.rdev()), libc::minor(meta.rdev()));
        assert_eq!(number, (136, 0), "stream {stream}");
    }
    let own = init.to_string();
    assert_eq!(session(init), [&own, &own, "34816", &own]);
    drop(running);
    assert_no_traces(&root);
}

/// Its process group, session, terminal and the group in the foreground of that,
/// proc_pid_stat(5).
fn session(pid: u32) -> [String; 4] {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit(") ").next().unwrap().split(' ').skip(2).take(4);
    let fields: Vec<String> = fields.map(str::to_owned).collect();
    fields.try_into().expect("four fields")
}

/// There is no console of ours to take then: init has the caller's streams, and its
/// keys by way of the supervisor.
fn under_a_dev_of_the_callers_the_terminal_is_not_inits(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let script = "trap 'exit 6' INT; (echo within reach >/dev/tty) 2>/dev/null; echo Ready; \
                  while :; do sleep 0.05; done";
    let cmd = me.contain().args(["-b", "/dev"]).arg(&root);
    let mut running = pty.run(&cmd.args(["/bin/sh", "-c", script]));
    pty.wait_for("Ready");
    let init = running.init();
    let own = init.to_string();
    assert_eq!(session(init), [&own, &own, "0", "-1"]);
    assert!(!pty.screen().contains("within reach"), "{}", pty.screen());
    pty.keys("\x03");
    assert_eq!(running.ended(), Some(6), "{}", pty.screen());
    assert_no_traces(&root);
}

/// An init that is none by its own file keeps its terminal.
fn a_machine_leaves_its_console_to_who_logs_in(me: &User) {
    let root = root(me);
    root.write("/etc/inittab", "::respawn:-/bin/sh\n", 0o644);
    let pty = Pty::open();
    let mut running = pty.run(&me.contain().arg(&root).arg("/sbin/init"));
    assert!(pty.wait_for("# ").has_job_control(), "{:?}", pty.screen());
    // Once it runs: the shell would take the key for one of its own.
    pty.keys("sh -c 'echo slee$((1))ping; exec sleep 1000'\n");
    pty.wait_for("slee1ping").keys("\x03");
    pty.wait_for("^C").keys("echo interrupted:$?\n");
    pty.wait_for("interrupted:130");
    let init = running.init();
    let [group, session_of, terminal, foreground] = session(init);
    assert_eq!(
        [group, terminal, foreground],
        [&init.to_string(), "0", "-1"]
    );
    assert_ne!(session_of, init.to_string());
    pty.keys("poweroff\n");
    assert_eq!(running.ended(), Some(0), "{}", pty.screen());
    assert_no_traces(&root);

    fs::remove_file(root.at("/sbin/init")).unwrap();
    root.write(
        "/sbin/init",
        "#!/bin/sh\necho Script; exec sleep 1000\n",
        0o755,
    );
    let mut running = pty.run(&me.contain().arg(&root).arg("/sbin/init"));
    pty.wait_for("Script");
    assert_eq!(session(running.init())[2], "34816");
}

fn it_is_raw_meanwhile_and_restored_by_every_signal(me: &User) {
    let root = root(me);
    for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGTERM] {
        let pty = Pty::open();
        let before = pty.settings();
        let running = start(me, &root, &pty, SLEEP);
        assert!(pty.is_raw());
        running.signal(signal);
        assert_eq!(running.ended(), Some(128 + signal));
        assert_eq!(before, pty.settings(), "after signal {signal}");
    }
    // A quit is passed on, and the shell decides.
    let pty = Pty::open();
    let before = pty.settings();
    let running = start(
        me,
        &root,
        &pty,
        "trap 'exit 6' QUIT; echo Ready; while :; do sleep 0.05; done",
    );
    running.signal(libc::SIGQUIT);
    assert_eq!(running.ended(), Some(6));
    assert_eq!(before, pty.settings());
    let pty = Pty::open();
    let running = start(me, &root, &pty, SLEEP);
    children(running.pid()).into_iter().for_each(tests::kill);
    assert_eq!(running.ended(), Some(137));
    assert_eq!(before, pty.settings());
}

fn a_start_that_fails_leaves_it_alone(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let before = pty.settings();
    for (cmd, status) in [
        (me.contain().arg("/no/such/root"), 1),
        (me.contain().arg(&root).arg("/no/such/init"), 127),
        (me.contain().args(["-i", "exit 9"]).arg(&root), 9),
        (
            me.contain()
                .args(["-i", "kill -SEGV $$; sleep 1000"])
                .arg(&root),
            139,
        ),
    ] {
        assert_eq!(pty.run(&cmd).ended(), Some(status), "{:?}", pty.screen());
        assert_eq!(before, pty.settings());
    }
    // The message is a line of a cooked terminal.
    pty.wait_for("/no/such/root").wait_for("\r\n");
    assert_no_traces(&root);
}

fn a_stop_restores_it_and_going_on_takes_it_back(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let before = pty.settings();
    let mut running = start(
        me,
        &root,
        &pty,
        "echo Ready; while read word; do echo \"($word)\"; done; exit 3",
    );
    let (supervisor, init) = (running.pid(), running.init());
    for word in ["once", "twice"] {
        running.signal(libc::SIGTSTP);
        assert!(
            eventually(10 * SECOND, || is_stopped(supervisor) && is_stopped(init)),
            "not both are stopped"
        );
        assert_eq!(before, pty.settings());
        running.signal(libc::SIGCONT);
        assert!(
            eventually(10 * SECOND, || pty.is_raw() && !is_stopped(init)),
            "not both go on"
        );
        pty.keys(&format!("{word}\n"))
            .wait_for(&format!("({word})"));
    }
    pty.keys("\x04");
    assert_eq!(running.ended(), Some(3));
    assert_eq!(before, pty.settings());
}

fn a_resize_while_stopped_is_seen(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let running = start(
        me,
        &root,
        &pty,
        "trap 'stty size' WINCH; echo Ready; while :; do sleep 0.05; done",
    );
    running.signal(libc::SIGTSTP);
    assert!(eventually(10 * SECOND, || is_stopped(running.pid())));
    pty.resize(45, 121);
    running.signal(libc::SIGCONT);
    pty.wait_for("45 121");
}

/// As when a terminal's window is closed.
fn a_hang_up_ends_it(me: &User) {
    let root = root(me);
    for script in [
        SLEEP,
        // One that would rather stay.
        "trap : HUP; echo Ready; while :; do sleep 0.05; done",
    ] {
        let line = inside_sh(me, &root, "", script);
        let running = me
            .command("script")
            .args(["-qc", &format!("exec {line}"), "/dev/null"])
            .start();
        running.wait_for("Ready");
        let supervisor = children(running.pid())[0];
        tests::kill(running.pid());
        assert!(
            eventually(20 * SECOND, || !alive(supervisor)),
            "it stays: {script}"
        );
        assert_no_traces(&root);
    }
}

/// `contain OPTIONS ROOT /bin/sh -c SCRIPT` for a shell's prompt.
fn inside_sh(me: &User, root: &Root, options: &str, script: &str) -> String {
    let path: &std::path::Path = root.as_ref();
    let program = me.contain().program().to_string_lossy().into_owned();
    format!(
        "{program} {options} {} /bin/sh -c '{}'",
        path.display(),
        script.replace('\'', r"'\''")
    )
}

/// In `producer | contain DIR` the terminal may be the producer's, too.
fn output_alone_leaves_the_keys_to_the_caller(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let before = pty.settings();
    let script = "echo Ready; echo staircase; exec sleep 1000";
    let cmd = me.contain().arg(&root).args(["/bin/sh", "-c", script]);
    let running = pty.start(&cmd, [false, true, true]);
    pty.wait_for("Ready\r\nstaircase\r\n");
    assert_eq!(before, pty.settings());
    pty.keys("\x03");
    assert_eq!(running.ended(), Some(130));
    assert_eq!(before, pty.settings());
    assert_no_traces(&root);
}

/// `contain DIR | consumer`, with the caller at the keyboard.
fn input_alone_echoes_and_prints_to_the_pipe(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let before = pty.settings();
    let script = "echo Ready; while read word; do echo \"($word)\"; done; exit 3";
    let cmd = me.contain().arg(&root).args(["/bin/sh", "-c", script]);
    let running = pty.start(&cmd, [true, false, false]);
    running.wait_for("Ready");
    assert!(eventually(10 * SECOND, || pty.settings() != before));
    pty.keys("word\n").wait_for("word");
    running.wait_for("(word)");
    pty.keys("\x04");
    let out = running.finish();
    out.status_is(3);
    assert_eq!(out.bytes, b"Ready\n(word)\n", "{out}");
    assert!(!pty.screen().contains("(word)"), "{:?}", pty.screen());
    assert_eq!(before, pty.settings());
}

/// A bash with job control, and its prompt on the terminal.
fn prompt(me: &User, pty: &Pty) -> Running {
    let bash: Cmd = me.command("bash").args(["--norc", "--noprofile", "-i"]);
    let shell = pty.run(&bash.env("PS1", "prompt> ").env("HISTFILE", "/dev/null"));
    pty.wait_for("prompt> ");
    shell
}

/// Waits for the next prompt: what is typed sooner is that of a job in front.
#[track_caller]
fn at_prompt(pty: &Pty) -> &Pty {
    let ready = pty.shows(|screen| screen.ends_with(b"prompt> "));
    assert!(ready, "no prompt: {}", pty.screen());
    pty
}

fn a_background_job_leaves_it_alone(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let shell = prompt(me, &pty);
    let job = inside_sh(me, &root, "", "echo $((1+1))Ready; exec sleep 1000");
    pty.keys(&format!("{job} &\n")).wait_for("2Ready");
    pty.keys("echo $((40+2)) answers\n").wait_for("42 answers");
    // The shell's own line editor reads keys one by one, but it has ^C.
    assert!(!pty.is_raw());
    let supervisor = children(shell.pid())[0];
    assert!(!is_stopped(supervisor));
    send(supervisor, libc::SIGTERM);
    pty.keys("wait %1; echo status $((100+$?))\n")
        .wait_for("status 243");
    tests::kill(shell.pid());
    assert_no_traces(&root);
}

fn a_background_job_brought_to_the_front_gets_the_keys(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let shell = prompt(me, &pty);
    let script = "echo $((1+1))Ready; read word; echo \"($word)\"; exit 5";
    let job = inside_sh(me, &root, "", script);
    pty.keys(&format!("{job} &\n")).wait_for("2Ready");
    pty.keys("fg\n");
    std::thread::sleep(Duration::from_millis(300));
    // What is typed before the prompt is the container's.
    pty.keys("word\n")
        .wait_for("(word)\r\n\u{1b}[?2004hprompt> ");
    pty.keys("echo status $((100+$?))\n").wait_for("status 105");
    tests::kill(shell.pid());
    assert_no_traces(&root);
}

/// As `su -c` starts it: in a session of its own, where no shell gives the terminal to
/// anybody.
fn a_session_without_a_terminal_gets_the_keys(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let cmd = me.contain().arg(&root).under(["setsid", "-w"]);
    let running = pty.run(&cmd);
    pty.wait_for("/ # ");
    assert!(pty.is_raw());
    pty.keys("echo $((6*7)) answers\n")
        .wait_for("42 answers")
        .keys("exit 5\n");
    assert_eq!(running.ended(), Some(5), "{:?}", pty.screen());
    assert!(!pty.is_raw());
    assert_no_traces(&root);
}

/// The shell has given the terminal to its job.
fn assert_in_front(shell: &Running) {
    let supervisor = children(shell.pid())[0];
    let in_front = || session(supervisor)[3] == session(supervisor)[0];
    assert!(eventually(10 * SECOND, in_front));
}

/// Before anything is typed.
fn what_it_says_tells_that_it_is_in_front(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let shell = prompt(me, &pty);
    let script = "until test -e /go; do sleep 0.05; done; \
                  echo $((2+2))Go; read word; echo \"($word)\"; stty size; exit 5";
    let job = inside_sh(me, &root, "", &format!("echo $((1+1))Ready; {script}"));
    pty.keys(&format!("{job} &\n")).wait_for("2Ready");
    pty.resize(45, 121);
    pty.keys("fg\n");
    assert_in_front(&shell);
    assert!(!pty.is_raw());
    root.write("/go", "", 0o644);
    pty.wait_for("4Go");
    assert!(pty.is_raw());
    pty.keys("word\n").wait_for("(word)\r\n45 121");
    // It is shown as it is typed, once.
    let screen = pty.screen();
    let since = screen.rsplit("4Go\r\n").next().unwrap();
    assert!(since.starts_with("word\r\n(word)"), "{screen}");
    tests::kill(shell.pid());
    assert_no_traces(&root);
}

/// It is the container's, as any later one.
fn an_interrupt_tells_that_it_is_in_front(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let shell = prompt(me, &pty);
    let script = "trap 'echo $((2+2))INT' INT; trap 'echo $((3+3))QUIT; exit 5' QUIT; \
                  echo $((1+1))Ready; while :; do sleep 0.05; done";
    let job = inside_sh(me, &root, "--stop-timeout 0", script);
    pty.keys(&format!("{job} &\n")).wait_for("2Ready");
    pty.keys("fg\n");
    assert_in_front(&shell);
    pty.keys("\x03").wait_for("4INT");
    assert!(pty.is_raw());
    pty.keys("\x1c").wait_for("6QUIT");
    at_prompt(&pty).keys("echo status $((100+$?))\n");
    pty.wait_for("status 105");
    tests::kill(shell.pid());
    assert_no_traces(&root);
}

/// SIGSTOP, after which the shell has set the terminal for itself.
fn a_stop_that_it_never_sees_is_undone_in_front_alone(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let shell = prompt(me, &pty);
    let script = "echo $((1+1))Ready; while read word; do echo \"($word)\"; done; exit 5";
    let job = inside_sh(me, &root, "", script);
    pty.keys(&format!("{job}\n")).wait_for("2Ready");
    assert!(pty.is_raw());
    let supervisor = children(shell.pid())[0];
    send(supervisor, libc::SIGSTOP);
    at_prompt(&pty).keys("fg\n");
    assert!(eventually(10 * SECOND, || pty.is_raw()));
    pty.keys("once\n").wait_for("(once)");

    // In the background it leaves the keys to the shell.
    send(supervisor, libc::SIGSTOP);
    at_prompt(&pty)
        .keys("bg; echo $((40+2)) answers\n")
        .wait_for("42 answers");
    assert!(eventually(10 * SECOND, || !is_stopped(supervisor)));
    at_prompt(&pty)
        .keys("echo $((41+2)) answers\n")
        .wait_for("43 answers");
    assert!(!pty.is_raw());
    at_prompt(&pty).keys("fg\n");
    let in_front = || session(supervisor)[3] == session(supervisor)[0];
    assert!(eventually(10 * SECOND, in_front));
    pty.keys("twice\n").wait_for("(twice)");
    assert!(pty.is_raw());
    pty.keys("\x04");
    at_prompt(&pty)
        .keys("echo status $((100+$?))\n")
        .wait_for("status 105");
    tests::kill(shell.pid());
    assert_no_traces(&root);
}

/// The shell has its prompt again, and its fg lets all of them go on.
fn a_key_stops_a_start_and_its_helper(me: &User) {
    let root = root(me);
    for option in ["-i", "-o"] {
        let pty = Pty::open();
        let shell = prompt(me, &pty);
        let helper = r#""echo \$((1+1))Helper; sleep 0.5; echo \$((2+2))Helped""#;
        let job = inside_sh(me, &root, &format!("{option} {helper}"), "exit 5");
        pty.keys(&format!("{job}\n")).wait_for("2Helper");
        let supervisor = children(shell.pid())[0];
        pty.keys("\x1a").wait_for("Stopped");
        assert!(is_stopped(supervisor));
        at_prompt(&pty)
            .keys("echo $((40+2)) answers\n")
            .wait_for("42 answers");
        std::thread::sleep(SECOND);
        assert!(!pty.screen().contains("4Helped"), "{}", pty.screen());
        at_prompt(&pty).keys("fg\n").wait_for("4Helped");
        at_prompt(&pty)
            .keys("echo status $((100+$?))\n")
            .wait_for("status 105");
        tests::kill(shell.pid());
    }
    assert_no_traces(&root);
}

/// As in the window of a terminal that runs nothing else: it would be frozen.
fn a_key_stops_nothing_where_there_is_no_shell(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let script = "echo Ready; read word; echo \"($word)\"; exit 3";
    let cmd = me.contain().args(["-c", "-i", "echo Helper; sleep 0.5"]);
    let running = pty.run(&cmd.arg(&root).args(["/bin/sh", "-c", script]));
    pty.wait_for("Helper").keys("\x1a").wait_for("^Z");
    pty.wait_for("Ready").keys("\x1aword\n").wait_for("(word)");
    assert_eq!(running.ended(), Some(3));
    assert_no_traces(&root);
}
