//! reboot(2) inside: the same plan boots again, from zero; halt and poweroff
//! end the machine well.

use std::fs;

use tests::{
    Pty, SECOND, User, assert_no_traces, each_user, eventually, init_of, root, scratch_dir,
};

each_user!(
    a_reboot_boots_the_same_again,
    uptime_starts_at_zero_each_time,
    the_console_survives_a_reboot,
    a_rebooted_machine_can_be_entered_and_stopped,
    no_reboot_ends_with_133,
    a_machine_that_only_reboots_can_be_stopped,
    an_init_of_busybox_reboots_and_powers_off,
    only_reboot_reboots,
);

/// A boot's number, kept in the root, and what it does by it.
const COUNT: &str = "n=$(cat /boots 2>/dev/null || echo 0); n=$((n+1)); echo $n >/boots; ";

fn boots(root: &tests::Root) -> String {
    fs::read_to_string(root.at("/boots")).unwrap_or_default()
}

fn a_reboot_boots_the_same_again(me: &User) {
    let root = root(me);
    let dir = scratch_dir(me);
    let script = format!(
        "{COUNT} echo boot $n $$ $(id -u) $(hostname) $(ip link show lo | grep -c ,UP); test -e /tmp/old && echo old; hostname changed; [ $n -lt 3 ] && reboot -f; exit 4"
    );
    let outside = format!("echo $$ >>{}/outside", dir.display());
    let out = me
        .contain()
        .args(["-i", "echo $$ >>inside", "-o", &outside])
        .arg(&root)
        .args(["/bin/sh", "-c", &script])
        .run();
    let text = out.status_is(4).stdout();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    for (line, number) in lines.iter().zip(1..) {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[..4], ["boot", &number.to_string(), "1", "0"], "{out}");
        assert_ne!(words[4], "changed", "{out}");
        assert_eq!(words[5], "1", "{out}");
    }
    // The helpers ran again, outside as another process each time.
    let outside = fs::read_to_string(dir.join("outside")).unwrap();
    let inside = fs::read_to_string(root.at("/inside")).unwrap();
    assert_eq!((outside.lines().count(), inside.lines().count()), (3, 3));
    assert_eq!(boots(&root), "3\n");
    assert_no_traces(&root);
    fs::remove_dir_all(dir).unwrap();
}

fn uptime_starts_at_zero_each_time(me: &User) {
    let root = root(me);
    let script = format!(
        "up() {{ cut -d' ' -f1 /proc/uptime; }}; {COUNT} up; sleep 2; up; [ $n -lt 3 ] && reboot -f; exit 4"
    );
    let out = me.sh(&root, &script).run();
    let times: Vec<f64> = out
        .status_is(4)
        .stdout()
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    assert_eq!(times.len(), 6, "{out}");
    for boot in times.chunks(2) {
        assert!(
            boot[0] < 2.0 && boot[1] >= 2.0 && boot[1] < 60.0,
            "{times:?}"
        );
    }
}

fn the_console_survives_a_reboot(me: &User) {
    let root = root(me);
    let pty = Pty::open();
    let before = pty.settings();
    pty.resize(33, 101);
    let script = format!(
        "{COUNT} echo Ready $n $(tty) $(stty size); read word; echo \"($word)\"; [ $n -lt 3 ] && reboot -f; exit 4"
    );
    let running = pty.run(&me.contain().arg(&root).args(["/bin/sh", "-c", &script]));
    for number in 1..=3 {
        pty.wait_for(&format!("Ready {number} /dev/console 33 101"));
        assert!(eventually(10 * SECOND, || pty.is_raw()));
        pty.keys(&format!("word{number}\n"))
            .wait_for(&format!("(word{number})"));
    }
    assert_eq!(running.ended(), Some(4), "{:?}", pty.screen());
    assert_eq!(before, pty.settings());
    assert_no_traces(&root);
}

fn a_rebooted_machine_can_be_entered_and_stopped(me: &User) {
    let root = root(me);
    let script = format!("{COUNT} [ $n -lt 2 ] && reboot -f; echo Ready; exec sleep 1000");
    for signal in [libc::SIGTERM, libc::SIGKILL] {
        let _ = fs::remove_file(root.at("/boots"));
        let mut running = me.sh(&root, &script).start();
        running.wait_for("Ready");
        running.init();
        let pid = running.pid().to_string();
        let out = me.inject().args([&pid, "/bin/cat", "/boots"]).run();
        out.says("2");
        running.signal(signal);
        let status = running.finish().status;
        let died = std::os::unix::process::ExitStatusExt::signal(&status);
        assert!(died == Some(9) || status.code() == Some(143), "{status}");
        assert_no_traces(&root);
    }
}

fn no_reboot_ends_with_133(me: &User) {
    let root = root(me);
    for options in [&["--no-reboot"][..], &["--no-reboot", "--init"]] {
        let script = format!("{COUNT} reboot -f; sleep 1000");
        let cmd = me.contain().args(options).arg(&root);
        let out = cmd
            .args(["/bin/sh", "-c", &script])
            .limit(20 * SECOND)
            .run();
        out.status_is(133);
        assert_no_traces(&root);
    }
    assert_eq!(boots(&root), "2\n");
    let halt = me.contain().arg("--no-reboot").arg(&root);
    halt.args(["/bin/halt", "-f"]).run().status_is(0);
}

/// However fast it comes back, and whatever it was just doing. No shell is its
/// init: one catches SIGINT and may end with 0.
fn a_machine_that_only_reboots_can_be_stopped(me: &User) {
    let root = root(me);
    for signal in [libc::SIGTERM, libc::SIGINT].repeat(4) {
        let cmd = me.contain().args(["-c", "-i", "echo Ready"]).arg(&root);
        let cmd = cmd.args(["/bin/reboot", "-f"]).limit(20 * SECOND);
        let running = cmd.start();
        running.wait_for("Ready\nReady\nReady");
        running.signal(signal);
        running.finish().status_is(128 + signal);
        assert_no_traces(&root);
    }
}

/// By way of init's own commands, and with its last words.
fn an_init_of_busybox_reboots_and_powers_off(me: &User) {
    let root = root(me);
    let script = format!("{COUNT} [ $n -lt 2 ] && reboot || poweroff");
    root.write("/etc/boot", format!("#!/bin/sh\n{script}\n"), 0o755);
    let inittab = "::sysinit:/etc/boot\n::shutdown:/bin/echo going down\n";
    root.write("/etc/inittab", inittab, 0o644);
    let out = me.contain().arg(&root).arg("/sbin/init").run();
    let text = out.status_is(0).stdout();
    assert_eq!(text.matches("going down\n").count(), 2, "{out}");
    // It says so on whichever stream it takes for the console.
    for step in ["system reboot\n", "system poweroff\n"] {
        assert!(text.contains(step) || out.stderr.contains(step), "{out}");
    }
    assert_eq!(boots(&root), "2\n");
    assert_no_traces(&root);
}

/// The signals by which the kernel reports a reboot mean none when a process
/// sends them.
fn only_reboot_reboots(me: &User) {
    let root = root(me);
    let script = format!(
        "{COUNT} (sleep 0.3; kill -HUP 1; kill -INT 1; echo Ready; sleep 1000) & exec sleep 1000"
    );
    let running = me.sh(&root, &script).start();
    running.wait_for("Ready");
    let init = init_of(running.pid()).expect("init");
    tests::send(init, libc::SIGHUP);
    tests::send(init, libc::SIGINT);
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(init_of(running.pid()), Some(init), "it is gone");
    tests::kill(init);
    running.finish().status_is(137);
    assert_eq!(boots(&root), "1\n");
}
