//! What a thousand-start day would leave behind: mounts, processes, terminals,
//! files in /tmp and cgroups of the whole machine, before and after.
//!
//! One test alone in its program, so that no other test runs beside it.

use tests::{As, Census, Cmd, Pty, SECOND, User, eventually, kill, record_skip, root};

#[test]
fn nothing_of_the_machine_grows() {
    for kind in [As::Root, As::Delegated, As::Plain] {
        match User::get(kind) {
            Ok(me) => check(&me),
            Err(reason) => record_skip(&format!("{kind:?}: {reason}")),
        }
    }
}

fn check(me: &User) {
    let root = root(me);
    Census::unchanged_by(|| {
        round(me, &root);
        tests::assert_no_traces(&root);
    });
}

/// Starts that work, that fail, and that are killed.
fn round(me: &User, root: &tests::Root) {
    for options in [&[][..], &["-c"], &["-n"]] {
        let start = || me.contain().args(options).arg(root);
        start().arg("/bin/true").run().status_is(0);
        start().arg("/bin/missing").run().status_is(127);
        start()
            .args(["/bin/sh", "-c", "kill -9 $$; exit 9"])
            .run()
            .status_is(9);
        killed(&start().args(["/bin/sh", "-c", "echo up; sleep 1000; :"]));
    }
    me.contain()
        .args(["-i", "exit 3"])
        .arg(root)
        .arg("/bin/true")
        .run()
        .status_is(3);
    me.contain()
        .args(["-o", "exit 4"])
        .arg(root)
        .arg("/bin/true")
        .run()
        .status_is(4);
    me.contain()
        .arg("/no/such/root")
        .arg("/bin/true")
        .run()
        .status_is(1);
    me.pseudo().args(["-m", "true"]).run().status_is(0);
    let pty = Pty::open();
    let mut running =
        pty.run(
            &me.contain()
                .arg(root)
                .args(["/bin/sh", "-c", "echo up; sleep 1000; :"]),
        );
    pty.wait_for("up");
    running.init();
    let second = Pty::open();
    let mut inside = second.run(
        &me.inject()
            .arg(running.pid().to_string())
            .args(["/bin/sh", "-c", "exit 6"]),
    );
    assert!(eventually(20 * SECOND, || inside.try_wait().is_some()));
    inside.finish().status_is(6);
    kill(running.pid());
    assert!(eventually(5 * SECOND, || running.try_wait().is_some()));
}

fn killed(cmd: &Cmd) {
    let running = cmd.start();
    running.wait_for("up");
    kill(running.pid());
    drop(running.finish());
}
