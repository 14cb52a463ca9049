//! Runs a program to which the kernel lacks some system calls: it answers them
//! with ENOSYS, as an older one does, and some sandboxes on any kernel.
//!
//!     without CALL[,CALL]... PROGRAM [ARG]...

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use tests::{Filter, call_number};

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let calls = arguments.next().expect("names of system calls");
    let program = arguments.next().expect("a program");
    let names = calls.to_str().expect("names of system calls").split(',');
    // One that this architecture has never had is missing already.
    let numbers = names.filter_map(|name| call_number("native", name));
    Filter::without(numbers).install(false).expect("a filter");
    let error = Command::new(&program).args(arguments).exec();
    panic!("{}: {error}", program.display());
}
