//! One start, run over and over: each time another of its system calls fails.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tests::{
    Cgroup, Cmd, Pty, Root, SECOND, User, assert_no_traces, host_is_root, record_skip, scratch_dir,
};

use crate::call::Call;
use crate::harmless::is_left_alone;
use crate::judge::{Judge, Outcome, is_spoken};

/// One start.
pub struct Start<'a> {
    me: &'a User,
    root: &'a Root,
    program: PathBuf,
    arguments: Vec<String>,
    terminal: bool,
    /// Its own, so that nobody else's are below.
    cgroup: Option<Cgroup>,
}

impl<'a> Start<'a> {
    /// `contain OPTIONS ROOT /probe`.
    pub fn new(me: &'a User, root: &'a Root, options: &[&str]) -> Self {
        let words = options.iter().map(|word| (*word).to_owned());
        let path: &Path = root.as_ref();
        let start = [path.display().to_string(), "/probe".to_owned()];
        Self {
            me,
            root,
            program: me.contain().program().into(),
            arguments: words.chain(start).collect(),
            terminal: false,
            cgroup: Cgroup::with("cgroup.max.depth"),
        }
    }

    /// With this program instead.
    pub fn of(self, program: &Path) -> Self {
        let program = program.to_owned();
        Self { program, ..self }
    }

    /// `pseudo -m PROBE` instead.
    pub fn of_pseudo(self) -> Self {
        let probe = self.root.at("/probe").display().to_string();
        Self {
            arguments: vec!["-m".to_owned(), probe],
            ..self
        }
        .of(self.me.pseudo().program().as_ref())
    }

    /// The same on a terminal.
    pub fn on_a_terminal(self) -> Self {
        let terminal = true;
        Self { terminal, ..self }
    }

    /// Each call of it in turn, but for those that `other` makes as well: that has
    /// a test of its own.
    pub fn check_beyond(&self, other: &Start) {
        self.check_all_but(Some(other));
    }

    /// Each call of it in turn.
    pub fn check(&self) {
        self.check_all_but(None);
    }

    fn check_all_but(&self, other: Option<&Start>) {
        if !host_is_root() {
            return record_skip("only root may answer for set-id programs");
        }
        let before = names(self.root.as_ref());
        let known = other.map_or_else(Vec::new, |other| other.run("-").1);
        let mut known: Vec<_> = known.iter().map(Call::shape).collect();
        self.reset(&before);
        let (whole, calls) = self.run("-");
        self.reset(&before);
        let mut judge = Judge::of(&whole);
        // From its last go on the supervisor may fail beside an init that runs.
        let go = |call: &Call| call.is("supervisor", "sendmsg");
        let go = calls.iter().rposition(go).unwrap_or(usize::MAX);
        for (at, call) in calls.iter().enumerate() {
            let shape = call.shape();
            let known_at = known.iter().position(|known| *known == shape);
            let is_known = known_at.map(|at| known.swap_remove(at)).is_some();
            if is_known || is_left_alone(call) {
                continue;
            }
            let (outcome, failed) = self.run(&call.fault());
            let left = self.reset(&before);
            let may_run = call.role == "supervisor" && at > go;
            judge.take(failed.first(), &outcome, may_run, &left);
        }
        let known = other.map_or_else(BTreeSet::new, Start::steps);
        judge.conclude(self.steps().difference(&known));
        assert_no_traces(self.root);
        let in_cgroup = self.cgroup.as_ref().is_some_and(|it| !it.remove());
        assert!(!in_cgroup, "left in its cgroup");
    }

    /// With this call failing, or none for `-`. What came of it, and the call that
    /// has failed, or all.
    fn run(&self, which: &str) -> (Outcome, Vec<Call>) {
        let dir = scratch_dir(self.me);
        let log = dir.join("log");
        let name = self.program.file_name().expect("a name").display();
        let fail = env!("CARGO_BIN_EXE_fail");
        let enter = self.cgroup.as_ref().map_or_else(String::new, Cgroup::enter);
        let front = format!("FRONT='{fail} {} {name} {which}'", log.display());
        let cmd = self.command(&[]).setup(&(enter + &front));
        let cmd = cmd.limit(20 * SECOND);
        let outcome = if self.terminal {
            on_a_terminal(self.me, &cmd)
        } else {
            let out = cmd.run();
            Outcome {
                code: out.code(),
                stdout: out.stdout(),
                stderr: out.stderr,
                restored: true,
            }
        };
        let log = fs::read_to_string(&log);
        let log = log.unwrap_or_else(|error| panic!("{which}: {error}: {outcome:?}"));
        fs::remove_dir_all(dir).expect("rmdir");
        (outcome, log.lines().map(Call::of_line).collect())
    }

    fn command(&self, options: &[&str]) -> Cmd {
        let cmd = self.me.command(&self.program).args(options);
        cmd.args(&self.arguments)
    }

    /// Takes from the root what a start has made there, and tells its names.
    fn reset(&self, before: &BTreeSet<PathBuf>) -> Vec<PathBuf> {
        let now = names(self.root.as_ref());
        let made: Vec<_> = now.difference(before).cloned().collect();
        // What is in a directory before it.
        for path in made.iter().rev() {
            if fs::remove_file(path).is_err() {
                fs::remove_dir(path).expect("rmdir");
            }
        }
        made
    }

    /// The steps of the child that the plan prints, but those that may fail.
    fn steps(&self) -> BTreeSet<String> {
        if self.program.ends_with("pseudo") {
            return BTreeSet::new();
        }
        let explained = self.command(&["--explain"]).run().ok();
        let steps = explained.lines().filter_map(|line| line.split_once(": "));
        let steps = steps.filter(|(who, step)| {
            ["init", "mounter"].contains(who) && !step.ends_with("if the kernel allows it")
        });
        steps.map(|(_, step)| step.to_owned()).collect()
    }
}

/// What is said there: errors and hints apart from the rest.
fn on_a_terminal(me: &User, cmd: &Cmd) -> Outcome {
    let pty = Pty::open();
    let before = pty.settings();
    let code = pty.run(cmd).ended();
    let restored = before == pty.settings();
    // Behind all that was written before.
    let end = me.command("echo").arg("@end");
    assert_eq!(pty.run(&end).ended(), Some(0));
    let screen = pty.wait_for("@end").screen();
    let lines = screen.lines().map(|line| format!("{}\n", line.trim_end()));
    let lines = lines.filter(|line| !line.contains("@end"));
    let (stderr, stdout): (Vec<_>, Vec<_>) = lines.partition(|line| is_spoken(line));
    Outcome {
        code,
        stdout: stdout.concat(),
        stderr: stderr.concat(),
        restored,
    }
}

/// What is below a directory, each directory before what is in it.
fn names(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(names(&entry.path()));
        }
        found.insert(entry.path());
    }
    found
}
