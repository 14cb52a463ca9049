//! Start, supervise and enter Linux containers made of namespaces, as any
//! user: no daemon, no setuid program, no state on disk.
//!
//! One start flows through the crate in one direction, data first:
//!
//! 1. a [`Spec`] says what is asked: plain data, no system call;
//! 2. [`Host::probe`] reads what this machine and caller are;
//! 3. [`Plan::new`] decides everything and prepares every string; printing a
//!    plan and running it are the same list of actions;
//! 4. [`run`] clones one child, which performs the actions without allocating
//!    and becomes init, and supervises it to its [`Outcome`].
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

// What is asked for.
mod caps;
mod limits;
mod name;
mod seccomp;
mod spec;

// What is known of the machine and the caller.
mod ask;
mod caller;
mod host;
mod idmap;
mod machine;
mod mountinfo;
mod namespaces;
mod procfs;
mod systemd;

// What is decided.
mod action;
mod environ;
mod harden;
mod mask;
mod mounts;
mod overlay;
mod plan;
mod rootfs;
mod store;
mod tree;
mod user;

// What is started: the child, and what works beside it.
mod cgroup;
mod child;
mod errand;
mod guard;
mod init;
mod launch;
mod message;
mod net;
mod outside;
mod sealed;
mod sweep;
mod talk;

// What is supervised until its end.
mod console;
mod outcome;
mod process;
mod signals;
mod stop;
mod supervise;

// What is found and entered; and root in place.
mod containers;
mod join;
pub mod list;
mod pseudo;
mod record;
mod target;

// Under all of them.
mod digits;
mod entry;
mod error;
mod exec;
mod hint;
mod sys;

pub use caller::Caller;
pub use caps::CapList;
pub use cgroup::Scope;
pub use containers::Container;
pub use entry::{begin, end};
pub use environ::Assignment;
pub use error::{Error, Result, quoted};
pub use host::Host;
pub use idmap::{Extent, IdMap, MapSpec};
pub use init::init_if_asked;
pub use join::Join;
pub use launch::run;
pub use limits::{Cpus, Limits, Setting, Size};
pub use mounts::{Mount, What};
pub use name::{Hostname, Name};
pub use net::{Bridge, Net, Pasta};
pub use outcome::Outcome;
pub use plan::Plan;
pub use pseudo::Pseudo;
pub use seccomp::Seccomp;
pub use spec::{Changes, Spec};
pub use stop::StopSignal;
pub use target::Target;
pub use user::UserSpec;
