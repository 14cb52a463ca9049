//! A machine that runs, with somebody at its console.

use std::thread::sleep;
use std::time::{Duration, Instant};

use tests::{Out, Pty, Root, Running, User, assert_no_traces, init_of};

use crate::allowed::{complaints, printed};
use crate::inits::Init;

/// How long a step may take: far beyond what it does on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

pub struct Machine<'a> {
    me: &'a User,
    init: &'a Init,
    root: &'a Root,
    console: Pty,
    running: Running,
    /// How much of the console has been looked at.
    seen: usize,
}

impl<'a> Machine<'a> {
    pub fn start(me: &'a User, init: &'a Init, root: &'a Root) -> Self {
        let console = Pty::open();
        let patience = PATIENCE.as_secs().to_string();
        let cmd = me.contain().args(["--stop-timeout", &patience]);
        let cmd = cmd.args(init.options).arg(root).args(init.command);
        Self {
            me,
            init,
            root,
            running: console.run(&cmd.limit(PATIENCE)),
            console,
            seen: 0,
        }
    }

    pub fn reaches_its_normal_state(&mut self) {
        let normal = self.init.normal;
        self.wait("its normal state", |machine| {
            machine.inside(normal).code() == Some(0)
        });
    }

    /// Of a shell that owns its terminal, so that keys interrupt and stop.
    pub fn gives_a_login(&mut self) {
        self.wait_for("login: ").types("root\n");
        self.wait_for(":~# ")
            .types("echo flags:$-:$(tty):$((6 * 7))\n");
        self.wait_for(":/dev/console:42");
        let shown = self.news();
        let flags = shown.rsplit("flags:").next().unwrap_or_default();
        let flags = flags.split(':').next().unwrap_or_default();
        assert!(flags.contains('m'), "no job control: {shown:?}");
        self.types("exit\n").wait_for("login: ");
        self.looks_healthy();
    }

    /// An ssh daemon on the loopback, and cron at this boot and those before.
    pub fn serves(&mut self, boots: usize) {
        let banner = "exec 3<>/dev/tcp/127.0.0.1/22 && read -r line <&3 && echo \"$line\"";
        let inject = self.me.inject().arg(self.running.pid().to_string());
        let out = inject.args(["/bin/bash", "-c", banner]).run();
        assert!(out.ok().starts_with("SSH-2.0-OpenSSH"), "{out}");
        let wanted = boots.to_string();
        self.wait("a job of cron's", |machine| {
            machine.inside("wc -l </var/log/boots").stdout().trim() == wanted
        });
    }

    pub fn reboots(&mut self) {
        let before = self.running.init();
        self.seen = self.console.shown().len();
        self.inside(self.init.reboot);
        self.wait("another init", |machine| {
            init_of(machine.running.pid()).is_some_and(|now| now != before)
        });
    }

    /// By its own command.
    pub fn powers_off(mut self) {
        self.running.init();
        self.inside(self.init.poweroff);
        self.ends();
    }

    /// Because contain is told to.
    pub fn stops(self) {
        self.running.signal(libc::SIGTERM);
        self.ends();
    }

    fn ends(mut self) {
        self.wait_for(self.init.last_words).looks_healthy();
        let status = self.running.ended();
        let shown = String::from_utf8_lossy(&self.console.shown()).into_owned();
        assert_eq!(status, Some(0), "{shown}");
        assert_no_traces(self.root);
    }

    fn looks_healthy(&self) {
        let found = complaints(&self.console.screen(), self.init.allowed);
        assert!(found.is_empty(), "on the console: {found:#?}");
    }

    /// Runs a shell command inside.
    fn inside(&self, script: &str) -> Out {
        let inject = self.me.inject().arg(self.running.pid().to_string());
        inject.args(["/bin/sh", "-c", script]).run()
    }

    fn types(&mut self, keys: &str) -> &mut Self {
        self.seen = self.console.shown().len();
        self.console.keys(keys);
        self
    }

    /// What the console has shown since something was typed.
    fn news(&self) -> String {
        printed(&String::from_utf8_lossy(&self.console.shown()[self.seen..]))
    }

    fn wait_for(&mut self, text: &str) -> &mut Self {
        self.wait(text, |machine| machine.news().contains(text));
        self
    }

    fn wait(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            let shown = || printed(&self.console.screen());
            assert!(Instant::now() < deadline, "no {what}: {}", shown());
            sleep(Duration::from_millis(50));
        }
    }
}
