//! A step in words.

use std::fmt;

use crate::error::text::quoted_c;
use crate::host::resolv;
use crate::plan::action::Action;
use crate::plan::place::{At, BindKind, Place};
use crate::sys::mount::flag_words;
use crate::sys::namespaces::Set;

/// Reads as "VERB OBJECT"; the alternate form adds details.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::AwaitGo => write!(f, "wait for the maps and helpers"),
            Action::EnterTime => write!(f, "create time namespace"),
            Action::EnterCgroup => write!(f, "create cgroup namespace"),
            Action::BecomeRoot { .. } => write!(f, "become root of the container"),
            Action::NewKeyring => write!(f, "create session keyring"),
            Action::SetHostname(name) => write!(f, "set host name {}", quoted_c(name)),
            Action::PrivateMounts => write!(f, "separate mounts from the host's"),
            Action::AttachRoot(path) => write!(f, "bind root file system {}", quoted_c(path)),
            Action::MakeDir(At(Place::Root, name)) => {
                write!(
                    f,
                    "make directory {} in the root file system",
                    quoted_c(name)
                )
            }
            Action::AttachTree { known, .. } => {
                write!(f, "attach root file system {}", quoted_c(known))
            }
            Action::Overlay(step) => step.fmt(f),
            Action::Mounts(step) => step.fmt(f),
            Action::CloneInit(nested) => {
                write!(f, "clone init into new namespaces")?;
                if f.alternate() {
                    write!(f, ", so that it cannot change these mounts: ")?;
                    write!(f, "{}", Set(nested.namespaces))?;
                }
                Ok(())
            }
            Action::MakeDir(at) => write!(f, "make directory {at}"),
            Action::Mount {
                fs, at, optional, ..
            } => {
                write!(f, "mount {} on {at}", quoted_c(fs.kind))?;
                if f.alternate() {
                    let data = quoted_c(fs.data);
                    let mut parts: Vec<&str> = flag_words(fs.flags);
                    parts.extend(Some(&*data).filter(|data| !data.is_empty()));
                    write!(f, " ({})", parts.join(","))?;
                    if *optional {
                        f.write_str(", if the kernel allows it")?;
                    }
                }
                Ok(())
            }
            Action::ShowCgroup { fs, at } => {
                write!(f, "mount {} on {at}", quoted_c(fs.kind))?;
                if f.alternate() {
                    f.write_str(", if others are out of reach there")?;
                }
                Ok(())
            }
            Action::Bind { source, at, kind } => {
                write!(f, "bind {} on {at}", quoted_c(source))?;
                if f.alternate() && *kind == BindKind::Tree {
                    f.write_str(", with what is mounted below it, if it is there")?;
                }
                Ok(())
            }
            Action::WriteFile { dir, name, text } => {
                write!(f, "write {dir}/{}", quoted_c(name))?;
                if f.alternate() {
                    write!(f, ": {}", quoted_c(text))?;
                }
                Ok(())
            }
            Action::Link { at, target } => write!(f, "link {at} to {}", quoted_c(target)),
            Action::ReadOnly(place) => {
                write!(f, "make {} read-only", place.path())?;
                f.write_str(if f.alternate() {
                    ", with all below it"
                } else {
                    ""
                })
            }
            Action::ReadOnlyBelow(place, below) => {
                write!(f, "make {}/{} read-only", place.path(), quoted_c(below))
            }
            Action::Mask(mask) => mask.fmt(f),
            Action::MakeConsole(_) => write!(f, "create pseudo-terminal on /dev/console"),
            Action::ShowResolver => write!(f, "show a copy of the host's {}", resolv::HOST),
            Action::Handlers(step) => step.fmt(f),
            Action::LoopbackUp => write!(f, "bring up lo"),
            Action::RunInside(program) => write!(f, "run inside helper {program}"),
            Action::Pivot { .. } => write!(f, "pivot to the new root"),
            Action::TakeConsole {
                streams,
                controlling,
            } => {
                write!(f, "open /dev/console")?;
                if f.alternate() {
                    let names = ["controlling terminal", "stdin", "stdout", "stderr"];
                    let [stdin, stdout, stderr] = *streams;
                    let taken = [*controlling, stdin, stdout, stderr];
                    let taken = names.iter().zip(taken).filter(|(_, taken)| *taken);
                    let taken: Vec<_> = taken.map(|(name, _)| *name).collect();
                    if !taken.is_empty() {
                        write!(f, " as {}", taken.join(", "))?;
                    }
                }
                Ok(())
            }
            Action::NewSession => write!(f, "leave the caller's session"),
            Action::Ready => write!(f, "wait until init may run"),
            Action::AskListener { .. } => write!(f, "ask the listener about owners"),
            Action::User(step) => step.fmt(f),
            Action::Seal(_) => write!(f, "keep this program's file from the container"),
            Action::Harden(step) => step.fmt(f),
            Action::Exec(program) | Action::ExecInit(program) => write!(f, "run {program}"),
        }
    }
}
