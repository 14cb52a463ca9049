//! What came of a command, and the assertions every test makes about it.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use crate::message::{self, Complaint};

/// A command that has ended.
#[derive(Clone, Debug)]
pub struct Out {
    /// The command line, for messages.
    pub line: String,
    /// How it ended.
    pub status: ExitStatus,
    /// All it wrote to its standard output.
    pub bytes: Vec<u8>,
    /// All it wrote to its standard error.
    pub stderr: String,
}

impl fmt::Display for Out {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stdout = self.stdout();
        let stdout: String = stdout.chars().take(4000).collect();
        write!(
            f,
            "\ncommand: {}\nended:   {}\nstdout:  {stdout:?}\nstderr:  {:?}\n",
            self.line, self.status, self.stderr
        )
    }
}

impl Out {
    /// The standard output as text.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The exit status; None for a death by signal.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Asserts the exit status.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn status_is(&self, code: i32) -> &Self {
        assert_eq!(
            self.code(),
            Some(code),
            "exit status, signal {:?}{self}",
            self.status.signal()
        );
        self
    }

    /// Asserts exit status 0 and a standard error that is empty but for the
    /// warning an ordinary user without delegated ids gets; returns the
    /// standard output without the white space around it.
    ///
    /// # Panics
    /// When it failed or complained.
    #[track_caller]
    pub fn ok(&self) -> String {
        self.status_is(0);
        let rest = message::errors(&self.stderr);
        assert!(
            rest.is_empty(),
            "unexpected words on stderr: {rest:?}{self}"
        );
        self.stdout().trim().to_owned()
    }

    /// Asserts exit status 0 and this very output.
    ///
    /// # Panics
    /// When it is another.
    #[track_caller]
    pub fn says(&self, wanted: &str) -> &Self {
        assert_eq!(self.ok(), wanted, "standard output{self}");
        self
    }

    /// The standard output of a command that succeeded, read as an id map in
    /// the kernel's form: one range a line.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    #[track_caller]
    pub fn map(&self) -> Vec<[u32; 3]> {
        let text = self.ok();
        let range = |line: &str| -> Option<[u32; 3]> {
            let numbers: Result<Vec<u32>, _> = line.split_whitespace().map(str::parse).collect();
            numbers.ok()?.try_into().ok()
        };
        let ranges: Option<Vec<_>> = text.lines().map(range).collect();
        ranges.unwrap_or_else(|| panic!("no id map{self}"))
    }

    /// Asserts that the command refused with this status, said so in one line
    /// (and at most one hint) in the suite's form, and wrote nothing to its
    /// standard output. Returns the complaint.
    ///
    /// # Panics
    /// When any of this does not hold.
    #[track_caller]
    pub fn refused(&self, code: i32) -> Complaint {
        self.status_is(code);
        assert!(
            self.bytes.is_empty(),
            "standard output of a failed start{self}"
        );
        match Complaint::parse(&self.stderr, code) {
            Ok(complaint) => complaint,
            Err(why) => panic!("{why}{self}"),
        }
    }

    /// [`Out::refused`], and the line names each of `facts`; a fact may give
    /// alternatives between bars: `ENOENT|No such file`.
    ///
    /// # Panics
    /// When any of this does not hold.
    #[track_caller]
    pub fn refused_naming(&self, code: i32, facts: &[&str]) -> Complaint {
        let complaint = self.refused(code);
        for fact in facts {
            assert!(
                complaint.names(fact),
                "the error does not name {fact:?}{self}"
            );
        }
        complaint
    }
}
