//! Runs a command as one of the users: a clean environment, standard input
//! from nowhere, and a time limit after which it is killed, by its own id.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::out::Out;
use crate::running::Running;
use crate::store::host_is_root;
use crate::traces;
use crate::user::User;

/// How long anything may take unless a test says otherwise: far beyond what
/// it does take, so that only a hang meets it.
const LIMIT: Duration = Duration::from_secs(60);

/// A command to run as a user.
#[derive(Clone, Debug)]
#[must_use]
pub struct Cmd {
    user: User,
    argv: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: PathBuf,
    input: Option<Vec<u8>>,
    limit: Duration,
    /// Root's part of the set-up, in a mount namespace of its own.
    setup: Option<String>,
}

impl Cmd {
    pub(crate) fn new(user: &User, program: &OsStr) -> Self {
        Self {
            user: user.clone(),
            argv: vec![program.to_owned()],
            env: Vec::new(),
            cwd: PathBuf::from("/"),
            input: None,
            limit: LIMIT,
            setup: None,
        }
    }

    /// The program, as it was named.
    #[must_use]
    pub fn program(&self) -> &OsStr {
        &self.argv[0]
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.argv.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.argv
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable of the caller.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Sets the caller's directory, / otherwise.
    pub fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.cwd = dir.as_ref().to_owned();
        self
    }

    /// Gives bytes on standard input, which is /dev/null otherwise.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    /// Sets the time limit.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Puts a command in front: `under(["env", "--ignore-signal=PIPE"])`.
    pub fn under<A: AsRef<OsStr>>(mut self, wrapper: impl IntoIterator<Item = A>) -> Self {
        let wrapper = wrapper.into_iter().map(|arg| arg.as_ref().to_owned());
        self.argv.splice(0..0, wrapper.collect::<Vec<_>>());
        self
    }

    /// Puts a script in front that ends in `exec "$@"`, for redirections.
    pub fn under_bash(self, script: &str) -> Self {
        self.under(["bash", "-c", script, "bash"])
    }

    /// Runs the command in a mount namespace of its own, after root has done
    /// `script` there; a `FRONT` that it sets is put in front of the command,
    /// still as root. Only for a suite that runs as root.
    pub fn setup(mut self, script: &str) -> Self {
        assert!(host_is_root(), "a set-up needs root: the test must skip");
        self.setup = Some(script.to_owned());
        self
    }

    /// The command, ready to spawn but for its streams.
    pub(crate) fn command(&self) -> Command {
        let mut argv = self.argv.clone();
        let as_user = host_is_root() && self.user.uid != 0;
        if let Some(script) = &self.setup {
            let become_user = if as_user {
                format!(
                    "setpriv --reuid {} --regid {} --clear-groups --",
                    self.user.uid, self.user.gid
                )
            } else {
                String::new()
            };
            let script = format!("set -e; {script}\nexec $FRONT {become_user} \"$@\"");
            let front = [
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
                &script,
            ];
            let front = front.into_iter().chain(["sh"]).map(OsString::from);
            argv.splice(0..0, front.collect::<Vec<_>>());
        }
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).current_dir(&self.cwd).env_clear();
        command.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command
            .env("HOME", &self.user.home)
            .env("SHELL", "/bin/sh")
            .env("LANG", "C");
        command
            .env("USER", &self.user.name)
            .env("LOGNAME", &self.user.name)
            .env("TERM", "xterm");
        command.env(traces::MARK, traces::mark());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if as_user && self.setup.is_none() {
            // With a uid given and no groups, std drops all of root's groups.
            command.uid(self.user.uid).gid(self.user.gid);
        }
        command
    }

    /// The command line, for messages.
    fn line(&self) -> String {
        let words: Vec<_> = self.argv.iter().map(|arg| arg.to_string_lossy()).collect();
        format!(
            "[{}, in {}] {}",
            self.user.name,
            self.cwd.display(),
            words.join(" ")
        )
    }

    /// Starts the command with pipes on its standard streams.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start(&self) -> Running {
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if self.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        self.spawn(command)
    }

    /// Starts the command with another standard output than a pipe that is
    /// read.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start_on(&self, stdout: Stdio) -> Running {
        let mut command = self.command();
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        command.stdout(stdout);
        self.spawn(command)
    }

    #[track_caller]
    pub(crate) fn spawn(&self, mut command: Command) -> Running {
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.line()));
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), self.input.clone()) {
            // The command may end before it has read all: not our concern.
            std::thread::spawn(move || drop(stdin.write_all(&input)));
        }
        Running::new(child, self.line(), self.limit)
    }

    /// Runs the command to its end.
    ///
    /// # Panics
    /// When it cannot be started, or meets the time limit.
    #[track_caller]
    pub fn run(&self) -> Out {
        self.start().finish()
    }
}
