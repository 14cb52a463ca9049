//! Whole machines: each init that Debian has boots from a root of its packages,
//! serves, is entered, reboots, and stops, for root and for an ordinary user.
//!
//! What came of it is a row of a table, printed by tests/run and kept in the
//! README, which the tests compare with what they see.

mod allowed;
mod inits;
mod machine;
mod row;

use tests::{User, assert_no_traces, machine, skip, some_users};

use inits::Init;
use machine::Machine;
use row::Row;

some_users!(
    runit: root delegated,
    sysvinit: root delegated,
    openrc: root delegated,
    openrc_init: root delegated,
    finit: root delegated,
    busybox: root delegated,
    s6: root delegated,
);

fn runit(me: &User) {
    boot(me, &inits::RUNIT);
}

fn sysvinit(me: &User) {
    boot(me, &inits::SYSVINIT);
}

fn openrc(me: &User) {
    boot(me, &inits::OPENRC);
}

fn openrc_init(me: &User) {
    boot(me, &inits::OPENRC_INIT);
}

fn finit(me: &User) {
    boot(me, &inits::FINIT);
}

fn busybox(me: &User) {
    boot(me, &inits::BUSYBOX);
}

fn s6(me: &User) {
    boot(me, &inits::S6);
}

fn boot(me: &User, init: &Init) {
    let setup = format!("{}{}", inits::SETUP, init.setup);
    let root = match machine(me, init.packages, &setup) {
        Ok(root) => root,
        Err(reason) => skip!("{reason}"),
    };
    let mut row = Row::new(init.name, me.kind);
    let mut machine = Machine::start(me, init, &root);
    row.fill("boots", || {
        machine.reaches_its_normal_state();
        machine.gives_a_login();
        "login"
    });
    row.fill("serves", || {
        machine.serves(1);
        "ssh, cron"
    });
    row.fill("reboots", || {
        machine.reboots();
        machine.reaches_its_normal_state();
        machine.gives_a_login();
        machine.serves(2);
        "yes"
    });
    row.fill("stops", || {
        machine.powers_off();
        let mut again = Machine::start(me, init, &root);
        again.reaches_its_normal_state();
        again.stops();
        init.stop
    });
    row.fill("residue", || {
        assert_no_traces(&root);
        "none"
    });
    row.finish();
}

/// A row that no test proves any more.
#[test]
fn the_readme_names_no_other_init() {
    let known = inits::ALL.map(|init| init.name);
    for name in row::names_in_the_readme() {
        // tests/kernels boots that one.
        assert!(known.contains(&name) || name == "systemd", "{name}");
    }
}

#[test]
fn a_console_is_read_as_it_comes() {
    let console = "mount: /: permis\r\nsion denied.\r\n\u{1b}[31mfai\u{1b}[0mled\u{0}\r\n";
    assert_eq!(allowed::complaints(console, &[]).len(), 3);
    let harmless = allowed::complaints(console, &[allowed::INITSCRIPTS]);
    assert_eq!(harmless, [".failed"]);
}
