//! Owners that are told: for programs that run as root of a user namespace of one id,
//! and give files to users that are not there, or make devices.
//!
//! A filter of system calls asks a process of ours, the listener, about whatever
//! concerns owners. What a program does to an owner it keeps in an attribute of the
//! file, and tells whoever looks at the file later: in this run, or in another. See
//! seccomp_unotify(2).
//!
//! The listener is root of the same user namespace and no more than that: it can do
//! to files what the programs could. It finds a file by the words of the call, as the
//! program would have found it, and acts on the descriptor.

pub(crate) mod answer;
pub(crate) mod asker;
pub(crate) mod attributes;
pub(crate) mod call;
pub(crate) mod create;
pub(crate) mod file;
pub(crate) mod find;
pub(crate) mod ids;
pub(crate) mod listener;
pub(crate) mod mark;
pub(crate) mod owner;
pub(crate) mod question;
pub(crate) mod record;
pub(crate) mod refusal;
pub(crate) mod start;
pub(crate) mod stat;
pub(crate) mod turn;
pub(crate) mod who;
