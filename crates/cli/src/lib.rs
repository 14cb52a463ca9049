//! What the three programs share between their arguments and their exit
//! status: parsing, and how an error reads on the terminal.

mod plain;

use std::io::Write as _;
use std::str::FromStr;

use clap::error::{ContextKind, ErrorKind};
use nscore::{Error, quoted};

pub use plain::{Arguments, plain};

/// The `main` of the program of this name: runs this function, which returns the
/// exit status.
///
/// Where the C library hands the arguments over by itself, glibc's does, it starts
/// the program directly, because Rust's runtime costs a twentieth of a container:
/// such a program says `#![cfg_attr(target_env = "gnu", no_main)]`.
#[macro_export]
macro_rules! main {
    ($name:literal, $program:path) => {
        // SAFETY: it is the program's only main, and C's. A panic aborts, so
        // none leaves it.
        #[cfg(target_env = "gnu")]
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        extern "C" fn main() -> std::ffi::c_int {
            $crate::start($name, $program)
        }

        #[cfg(not(target_env = "gnu"))]
        fn main() {
            $crate::start($name, $program)
        }
    };
}

/// The whole life of a program, from [`nscore::begin`] to [`nscore::end`].
pub fn start(name: &str, program: fn() -> u8) -> ! {
    let status = match nscore::begin() {
        Ok(()) => program(),
        Err(error) => fail(name, &error.into()),
    };
    nscore::end(status)
}

/// Exit status of a usage error, `EX_USAGE` of sysexits(3).
pub const USAGE: u8 = 64;

/// Parses the arguments, runs the program, and turns what came of it into an
/// exit status: 64 for a usage error, the error's own status for one from
/// `nscore`, 1 for any other.
pub fn run<A: Arguments>(program: &str, run: fn(A) -> anyhow::Result<u8>) -> u8 {
    let ended = match plain(std::env::args_os()).map_or_else(A::try_parse, Ok) {
        Ok(args) => run(args),
        Err(asked)
            if [ErrorKind::DisplayHelp, ErrorKind::DisplayVersion].contains(&asked.kind()) =>
        {
            print(asked.render()).map(|()| 0).map_err(Into::into)
        }
        Err(error) => return usage(program, &error),
    };
    match ended {
        Ok(status) => status,
        Err(error) => fail(program, &error),
    }
}

/// Says what has failed, and returns the exit status that does.
fn fail(program: &str, error: &anyhow::Error) -> u8 {
    complain(program, format_args!("{error:#}"));
    let known = error.downcast_ref::<Error>();
    if let Some(list) = known.and_then(Error::list) {
        say(list);
    }
    if let Some(hint) = known.and_then(Error::hint) {
        complain("hint", hint);
    }
    known.map_or(1, Error::status)
}

/// One line and the usage as its hint, where clap would print a paragraph.
fn usage(program: &str, error: &clap::Error) -> u8 {
    let text = one_dialect(error);
    complain(program, first_line(error));
    let mut tips = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("tip: "));
    // Nobody who mistypes an option wants it for a DIR or CMD.
    match tips.find(|tip| !tip.starts_with("to pass ")) {
        Some(tip) => complain("hint", tip),
        None => complain("hint", format_args!("{program} --help lists the options")),
    }
    USAGE
}

/// Says on standard error who has to say what, in one line.
pub fn complain(who: &str, what: impl std::fmt::Display) {
    say(&format!("{who}: {what}\n"));
}

/// All at once, so that lines of others do not mix with it. Where standard error
/// cannot be written to, the exit status has to do.
fn say(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Reads a number, of digits alone.
///
/// # Errors
/// Anything else, and what `T` has no room for.
pub fn number<T: FromStr>(text: &str) -> Result<T, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits);
    number.ok_or_else(|| "it is no number, or too large a one".to_string())
}

/// What is wrong, in one line where clap would print a paragraph.
#[must_use]
pub fn first_line(error: &clap::Error) -> String {
    let text = one_dialect(error);
    let line = text.lines().next().unwrap_or_default();
    line.trim_start_matches("error: ").to_string()
}

/// What clap says, but with what was typed as all our messages have it.
fn one_dialect(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let typed = [ContextKind::InvalidArg, ContextKind::InvalidValue];
    let typed = typed.map(|kind| error.get(kind).map(ToString::to_string));
    let raw = |word: &String| !word.is_empty() && quoted(word) != *word;
    let raw = typed.into_iter().flatten().filter(raw);
    raw.fold(text, |text, word| {
        text.replace(&format!("'{word}'"), &format!("'{}'", quoted(&word)))
    })
}

/// Writes to standard output, whose reader may have read enough.
///
/// # Errors
/// A standard output that cannot be written to.
pub fn print(text: impl std::fmt::Display) -> Result<(), Error> {
    let mut stdout = std::io::stdout();
    let written = stdout.write_all(text.to_string().as_bytes());
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Error::io("write to standard output", &error)),
    }
}
