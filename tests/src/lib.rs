//! The black-box suite's harness: who runs a command, in which root file
//! system, what came of it, and what it left behind.
//!
//! The tests themselves are in `tests/tests`, one file a theme. They know the
//! programs only by their paths, so `CONTAIN_UNDER_TEST=DIR` points them at
//! another implementation of the same contract.
//!
//! A test is a function over a [`User`]; [`each_user!`] makes it three tests:
//! as root, as a user with delegated ids, and as a user without.

mod calls;
mod census;
mod cgroup;
mod debian;
mod filter;
mod foreign;
mod machine;
mod message;
mod network;
mod out;
mod proc;
mod programs;
mod pty;
mod race;
mod reader;
mod roots;
mod run;
mod running;
mod skip;
mod store;
mod traces;
mod user;

pub use calls::{call_names, call_number};
pub use census::Census;
pub use cgroup::Cgroup;
pub use debian::{Debian, INCLUDE, debian, debian_tar, unpack};
pub use filter::Filter;
pub use foreign::{FOREIGN, Foreign, emulator, foreign_root};
pub use machine::machine;
pub use message::{Complaint, errors};
pub use network::Network;
pub use out::Out;
pub use proc::{
    SECOND, alive, children, comm, descendants, eventually, init_of, kill, namespace, ns_pid, send,
    status_field,
};
pub use pty::Pty;
pub use race::while_exchanging;
pub use roots::{Root, empty_root, hand_made, libraries, root};
pub use run::Cmd;
pub use running::Running;
pub use skip::{record, record_skip};
pub use store::{host_is_root, install, scratch_dir, store};
pub use traces::{assert_no_traces, traces};
pub use user::{As, User, with_user};

/// Makes each function over a [`User`] into three tests, one a kind of user.
#[macro_export]
macro_rules! each_user {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            #[test]
            fn root() {
                $crate::with_user($crate::As::Root, super::$name);
            }
            #[test]
            fn delegated() {
                $crate::with_user($crate::As::Delegated, super::$name);
            }
            #[test]
            fn plain() {
                $crate::with_user($crate::As::Plain, super::$name);
            }
        }
    )*};
}

/// [`each_user!`] for what concerns some kinds of users only: the function's
/// name, then theirs.
#[macro_export]
macro_rules! some_users {
    ($($name:ident: $($kind:ident)+),* $(,)?) => {$(
        mod $name {$(
            #[test]
            fn $kind() {
                $crate::with_user($crate::As::named(stringify!($kind)), super::$name);
            }
        )+}
    )*};
}

/// Records that the running test is skipped, with a reason, and returns.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        $crate::record_skip(&format!($($reason)*));
        return;
    }};
}
