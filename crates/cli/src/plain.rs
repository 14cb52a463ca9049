//! Command lines that need no clap. Most starts name a directory and a command
//! and at most a flag or two, while to build, fill in and take down forty options
//! is a twentieth of the time of a container.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use clap::Parser;

/// The arguments of a program. Without options they are those by default.
pub trait Arguments: Parser + Default {
    /// Sets the flag of this letter. False if there is none, or it was set.
    fn set_flag(&mut self, letter: u8) -> bool;

    /// Sets what follows the options.
    fn set_operands(&mut self, operands: Vec<OsString>);
}

/// The arguments of a command line, its program's name first, whose options are
/// flags of one letter: the same that clap would make of it. Any other is clap's.
pub fn plain<A: Arguments>(line: impl IntoIterator<Item = OsString>) -> Option<A> {
    let mut args = A::default();
    let mut words = line.into_iter().skip(1).peekable();
    while let Some(word) = words.next_if(|word| word.as_bytes().starts_with(b"-")) {
        let letters = &word.as_bytes()[1..];
        if letters.is_empty() || !letters.iter().all(|letter| args.set_flag(*letter)) {
            return None;
        }
    }
    args.set_operands(words.collect());
    Some(args)
}
