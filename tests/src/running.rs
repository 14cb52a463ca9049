//! A command that was started: what it says, how it ends, and that it ends
//! with the test.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use crate::out::Out;
use crate::proc::{self, SECOND};
use crate::reader::Reader;
use crate::traces;

/// A command that was started; killed when dropped.
pub struct Running {
    line: String,
    child: Child,
    out: Reader,
    err: Reader,
    limit: Duration,
    ended: Option<ExitStatus>,
}

impl Running {
    /// Takes over a child whose output streams were made pipes, if at all.
    pub(crate) fn new(mut child: Child, line: String, limit: Duration) -> Self {
        let out = child.stdout.take().map_or_else(Reader::ended, Reader::new);
        let err = child.stderr.take().map_or_else(Reader::ended, Reader::new);
        Self {
            line,
            child,
            out,
            err,
            limit,
            ended: None,
        }
    }

    /// The id of the process that was started.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The host's id of the container's init, once its program runs.
    ///
    /// # Panics
    /// When there is none within the time limit.
    #[track_caller]
    pub fn init(&mut self) -> u32 {
        let deadline = Instant::now() + self.limit;
        loop {
            if let Some(init) = proc::init_of(self.pid()) {
                return init;
            }
            let running = self.try_wait().is_none() && Instant::now() < deadline;
            assert!(
                running,
                "no init of {}; stderr: {}",
                self.line,
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until the standard output holds `text`.
    ///
    /// # Panics
    /// When it does not within the time limit.
    #[track_caller]
    pub fn wait_for(&self, text: &str) -> &Self {
        let found = self.out.wait(self.limit, |bytes| contains(bytes, text));
        assert!(
            found,
            "{}: no {text:?} in {:?}; stderr: {}",
            self.line,
            self.stdout(),
            self.stderr()
        );
        self
    }

    /// Whether the standard output holds `text` within `limit`.
    #[must_use]
    pub fn heard(&self, text: &str, limit: Duration) -> bool {
        self.out.wait(limit, |bytes| contains(bytes, text))
    }

    /// The standard output up to now.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.out.bytes()).into_owned()
    }

    /// The standard error up to now.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.err.bytes()).into_owned()
    }

    /// How it ended, if it has.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("wait");
        }
        self.ended
    }

    /// Sends the process a signal, by number.
    pub fn signal(&self, signal: i32) {
        proc::send(self.pid(), signal);
    }

    /// Sets the time limit anew.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Waits for the end of a command whose streams are a terminal, and
    /// returns its exit status.
    ///
    /// # Panics
    /// As [`finish`](Self::finish).
    #[must_use]
    #[track_caller]
    pub fn ended(self) -> Option<i32> {
        self.finish().code()
    }

    /// Waits for the end of the process and of its streams.
    ///
    /// # Panics
    /// At the time limit, or when its streams are still open after its end:
    /// something that it started outlives it.
    #[track_caller]
    pub fn finish(mut self) -> Out {
        let deadline = Instant::now() + self.limit;
        let status = loop {
            if let Some(status) = self.try_wait() {
                break status;
            }
            if Instant::now() >= deadline {
                panic!(
                    "{}: still runs after {:?}; stdout {:?}, stderr {:?}",
                    self.line,
                    self.limit,
                    self.stdout(),
                    self.stderr()
                );
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        for (name, stream) in [("stdout", &self.out), ("stderr", &self.err)] {
            let ended = stream.wait_end(5 * SECOND);
            assert!(
                ended,
                "{}: ended ({status}), but its {name} is still open",
                self.line
            );
        }
        Out {
            line: self.line.clone(),
            status,
            bytes: self.out.bytes(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.try_wait().is_some() {
            return;
        }
        // The supervisor first; then what a broken one would leave behind.
        let below = proc::descendants(self.pid());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in below {
            if traces::is_ours(pid) {
                proc::send(pid, libc::SIGKILL);
            }
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    text.is_empty()
        || bytes
            .windows(text.len())
            .any(|window| window == text.as_bytes())
}
