//! Start, supervise and enter Linux containers made of namespaces, as any
//! user: no daemon, no setuid program, no state on disk.
//!
//! [`Join`] runs a command in a running container, [`Pseudo`] becomes root of a
//! user namespace in place.
//!
//! ```no_run
//! use nscore::{Host, Plan, Spec};
//!
//! let mut spec = Spec::new("/tmp/root");
//! spec.command = vec!["/bin/echo".into(), "Hello, world!".into()];
//! let plan = Plan::new(&spec, &Host::probe()?)?;
//! print!("{plan}");
//! let outcome = nscore::run(&plan)?;
//! # Ok::<(), nscore::Error>(())
//! ```
//!
//! Linux 5.10 and newer. See user_namespaces(7) for the ideas underneath.
//!
#![doc = include_str!("../ARCHITECTURE.md")]

mod child;
mod decide;
mod error;
mod exec;
mod fake;
mod host;
mod init;
mod join;
mod plan;
mod proc;
mod pseudo;
mod run;
mod spec;
mod start;
mod supervise;
mod sys;
#[cfg(test)]
mod tests;

use crate::host::caller;
use crate::sys::{descriptors, process, signal};
pub use error::text::quoted;
pub use error::{Error, Result};
pub use host::Host;
pub use host::caller::Caller;
pub use init::init_if_asked;
pub use join::containers::{Container, Containers};
pub use join::{Join, list};
pub use plan::Plan;
pub use plan::cgroup::Scope;
pub use pseudo::Pseudo;
pub use run::run;
pub use spec::caps::CapList;
pub use spec::environ::Assignment;
pub use spec::limits::{Cpus, Limits, Setting, Size};
pub use spec::maps::{Extent, IdMap, MapSpec};
pub use spec::mounts::{Mount, What};
pub use spec::name::{Hostname, Name};
pub use spec::net::Net;
pub use spec::net::bridge::Bridge;
pub use spec::net::pasta::Pasta;
pub use spec::seccomp::Seccomp;
pub use spec::stop::StopSignal;
pub use spec::target::Target;
pub use spec::user::UserSpec;
pub use spec::{Changes, Spec};
pub use supervise::outcome::Outcome;

/// Ends the program at once, which has written what it had to write: no handler
/// of the C library's or of Rust's follows.
pub fn end(status: u8) -> ! {
    process::exit(status.into())
}

/// Does for a program what Rust's runtime would, as far as this crate needs it:
/// standard streams that are closed become /dev/null, so that no file of ours is
/// taken for one. And SIGPIPE ends the program, as it does any other. For the
/// first line of a program that the C library starts directly; harmless in others.
/// A program that runs setuid or setgid goes no further: nothing is read or shown
/// with rights that its caller has not.
///
/// The rest of the runtime, a stack for a handler of SIGSEGV, costs as much as
/// ten of the mounts of a container, and that handler outlives the first SIGSEGV
/// that somebody sends.
///
/// # Errors
/// A /dev/null that cannot be opened, or a setuid or setgid bit.
pub fn begin() -> Result<()> {
    descriptors::complete_streams().map_err(|errno| Error::errno("open /dev/null", errno))?;
    signal::default_pipe();
    caller::refuse_setuid()?;
    // Of a program whose file may not be read the kernel makes a process whose files in
    // /proc are not its own: the maps of a container among them. Ours holds no secret.
    process::allow_tracing().map_err(|errno| Error::errno("start this program", errno))
}
