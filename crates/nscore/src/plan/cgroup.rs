//! A cgroup of the container's own, decided: what for, where it is made, what is
//! written to it, and the scope of systemd's that has to be entered for it. Two of them:
//!
//! HOME/contain-PID-...            holds the limits, out of the container's reach
//! HOME/contain-PID-.../container  is the container's, whose root may divide it
//!
//! The supervisor, its guard and what runs for `-o` stay outside of both.

use std::fmt;
use std::path::PathBuf;

use crate::error::text::quoted;
use crate::host::systemd::UNIT;

/// One thing to write to a cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Write {
    pub(crate) key: String,
    pub(crate) value: String,
    /// Nobody asked for it in so many words: a machine without swap may lack
    /// the file.
    pub(crate) implied: bool,
}

impl Write {
    /// The controller whose file it is, None for the core's own.
    pub(crate) fn controller(&self) -> Option<&str> {
        let (controller, _) = self.key.split_once('.')?;
        (controller != "cgroup").then_some(controller)
    }
}

/// A cgroup of the container's own, decided.
#[derive(Debug)]
pub(crate) struct CgroupPlan {
    pub(crate) purpose: Purpose,
    pub(crate) way: Way,
    pub(crate) writes: Vec<Write>,
    /// User and group outside that are the container's root.
    pub(crate) owner: (u32, u32),
}

/// What a cgroup is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Limits,
    /// An init that refuses to run without one.
    Systemd,
}

impl Purpose {
    /// As the object of an error.
    pub(crate) fn what(self) -> &'static str {
        match self {
            Purpose::Limits => "limit the container",
            Purpose::Systemd => "give systemd a cgroup of its own",
        }
    }
}

impl CgroupPlan {
    /// The scope that has to be entered for it.
    pub(crate) fn scope(&self) -> Option<&Scope> {
        match &self.way {
            Way::Scope(scope) => Some(scope),
            Way::Here(_) => None,
        }
    }
}

impl fmt::Display for CgroupPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.way {
            Way::Here(home) => write!(f, "{home}")?,
            Way::Scope(_) => f.write_str("make a cgroup in that scope")?,
        }
        for write in &self.writes {
            write!(f, "\nset {} to {}", write.key, quoted(&write.value))?;
        }
        Ok(())
    }
}

/// How a container gets a cgroup.
#[derive(Debug)]
pub(crate) enum Way {
    /// In a cgroup of ours.
    Here(Home),
    /// In a scope that systemd makes for us, after another start of this
    /// program in it.
    Scope(Scope),
}

/// A cgroup that may be divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) dir: PathBuf,
    /// Controllers that it is made to hand on.
    pub(crate) enable: Vec<String>,
    /// We are in it, and its only process: we make room by going to one below
    /// it.
    pub(crate) alone: bool,
}

impl fmt::Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = quoted(&self.dir);
        if self.alone {
            writeln!(f, "move contain to the cgroup {dir}/supervisor")?;
        }
        if !self.enable.is_empty() {
            let names = self.enable.join(", ");
            writeln!(f, "hand on the controllers of {dir}: {names}")?;
        }
        write!(f, "make a cgroup in {dir}")
    }
}

/// A scope that systemd is to make for this program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    pub(crate) systemd_run: PathBuf,
    /// The runtime directory of an ordinary user, whose service manager is
    /// asked.
    pub(crate) runtime: Option<PathBuf>,
}

impl Scope {
    pub(crate) fn options(&self, unit: &str) -> Vec<String> {
        let user = self.runtime.as_ref().map(|_| "--user");
        let rest = ["--scope", "--collect", "-p", "Delegate=yes"];
        user.into_iter()
            .chain(rest)
            .map(str::to_string)
            .chain([format!("--unit={unit}")])
            .collect()
    }

    /// What a caller who does not start again can do.
    #[must_use]
    pub fn hint(&self) -> String {
        let user = if self.runtime.is_some() {
            "--user "
        } else {
            ""
        };
        format!("systemd-run {user}--scope -p Delegate=yes starts it in a cgroup of its own")
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = self.options(&format!("{UNIT}PID-TIME.scope"));
        let program = quoted(&self.systemd_run);
        write!(
            f,
            "start again in a scope of systemd: {program} {}",
            options.join(" ")
        )
    }
}
