//! A terminal with a test at the keyboard.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use nix::fcntl::OFlag;
use nix::pty::{Winsize, grantpt, posix_openpt, ptsname_r, unlockpt};

use crate::proc::SECOND;
use crate::reader::Reader;
use crate::run::Cmd;
use crate::running::Running;

/// A pseudo-terminal: the test holds the master, commands get the slave.
pub struct Pty {
    master: File,
    slave: File,
    screen: Reader,
}

impl Pty {
    /// Opens a terminal of 24 rows and 80 columns.
    ///
    /// # Panics
    /// When the machine has none left.
    #[must_use]
    #[track_caller]
    pub fn open() -> Self {
        // Close-on-exec from birth: tests in parallel start commands too.
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).expect("no pseudo-terminal");
        grantpt(&master)
            .and_then(|()| unlockpt(&master))
            .expect("unlockpt");
        let name = ptsname_r(&master).expect("ptsname");
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOCTTY)
            .open(name)
            .expect("cannot open a terminal");
        let master = File::from(OwnedFd::from(master));
        let screen = Reader::new(master.try_clone().expect("dup"));
        let pty = Self {
            master,
            slave,
            screen,
        };
        pty.resize(24, 80);
        pty
    }

    /// Starts a command in a session of its own whose controlling terminal
    /// is this one. Of its standard input, output and error those that
    /// `streams` says are the terminal; the others are /dev/null and pipes.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn start(&self, cmd: &Cmd, streams: [bool; 3]) -> Running {
        let mut command = cmd.command();
        let slave = || Stdio::from(self.slave.try_clone().expect("dup"));
        command.stdin(if streams[0] { slave() } else { Stdio::null() });
        command.stdout(if streams[1] { slave() } else { Stdio::piped() });
        command.stderr(if streams[2] { slave() } else { Stdio::piped() });
        let terminal = self.slave.as_raw_fd();
        let take_terminal = move || {
            nix::unistd::setsid()?;
            // SAFETY: the descriptor is the slave, which outlives the spawn;
            // the request takes an integer and touches no memory of ours.
            #[allow(unsafe_code)]
            let result = unsafe { libc::ioctl(terminal, libc::TIOCSCTTY, 0) };
            nix::errno::Errno::result(result)?;
            Ok(())
        };
        // SAFETY: between fork and exec it makes two system calls and
        // allocates nothing.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(take_terminal);
        }
        cmd.spawn(command)
    }

    /// Starts a command with all three streams on the terminal.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn run(&self, cmd: &Cmd) -> Running {
        self.start(cmd, [true; 3])
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal is gone.
    #[track_caller]
    pub fn keys(&self, keys: &str) -> &Self {
        self.bytes(keys.as_bytes())
    }

    /// Types what no keyboard has.
    ///
    /// # Panics
    /// When the terminal is gone.
    #[track_caller]
    pub fn bytes(&self, bytes: &[u8]) -> &Self {
        (&self.master).write_all(bytes).expect("cannot type");
        self
    }

    /// Waits until the screen shows `text`.
    ///
    /// # Panics
    /// When it does not within 20 seconds.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> &Self {
        let bytes = text.as_bytes();
        let seen = |screen: &[u8]| screen.windows(bytes.len()).any(|window| window == bytes);
        let found = self.screen.wait(20 * SECOND, seen);
        assert!(found, "no {text:?} on the screen: {:?}", self.screen());
        self
    }

    /// Whether the shell that waits at its prompt has job control.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    #[track_caller]
    pub fn has_job_control(&self) -> bool {
        self.keys("echo flags:$-:$((6 * 7))\n").wait_for(":42");
        let screen = self.screen();
        let flags = screen.rsplit("flags:").next().unwrap_or_default();
        let flags = flags.split(':').next().unwrap_or_default();
        flags.contains('m')
    }

    /// Waits until `done` holds of all that was shown; whether it did.
    #[must_use]
    pub fn shows(&self, done: impl Fn(&[u8]) -> bool) -> bool {
        self.screen.wait(20 * SECOND, done)
    }

    /// All that was shown so far.
    #[must_use]
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.bytes()).into_owned()
    }

    /// [`screen`](Self::screen), byte by byte.
    #[must_use]
    pub fn shown(&self) -> Vec<u8> {
        self.screen.bytes()
    }

    /// The file system of the terminal's device: another devpts has another.
    ///
    /// # Panics
    /// When the terminal is gone.
    #[must_use]
    pub fn device(&self) -> u64 {
        let meta = self.slave.metadata().expect("stat");
        std::os::unix::fs::MetadataExt::dev(&meta)
    }

    /// Whether a program has taken the keys away from the line discipline.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        use nix::sys::termios::LocalFlags;
        let keys = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
        !self.settings().local_flags.intersects(keys)
    }

    /// Changes the window's size, which sends SIGWINCH.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: TIOCSWINSZ reads one Winsize, which lives until it returns.
        #[allow(unsafe_code)]
        let result = unsafe { libc::ioctl(self.master.as_raw_fd(), libc::TIOCSWINSZ, &size) };
        assert_eq!(result, 0, "cannot resize the terminal");
    }

    /// The terminal's settings, to compare before and after.
    ///
    /// # Panics
    /// When the terminal is gone.
    #[must_use]
    pub fn settings(&self) -> nix::sys::termios::Termios {
        nix::sys::termios::tcgetattr(&self.slave).expect("tcgetattr")
    }
}
