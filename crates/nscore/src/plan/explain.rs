//! A plan as `--explain` prints it: each step where `run` does it. Between a
//! clone and a go, and between the last go and the exec of init, the child and
//! the supervisor work at the same time.

use std::fmt;
use std::path::Path;

use crate::error::text::{quoted, quoted_c};
use crate::plan::Plan;
use crate::plan::action::Action;
use crate::sys::namespaces::Set;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.before_clone(f)?;
        let (mut who, namespaces) = match self.mounter {
            Some(namespaces) => ("mounter", namespaces),
            None => ("init", self.namespaces),
        };
        writeln!(f, "clone {who} into new namespaces: {}", Set(namespaces))?;
        writeln!(f, "{}", self.maps.group)?;
        writeln!(f, "{}", self.maps.user)?;
        for action in &self.actions {
            let go = matches!(action, Action::AwaitGo);
            match who {
                "init" if go => self.before_init(f)?,
                _ if go => self.send_trees(f)?,
                _ => {}
            }
            writeln!(f, "{who}: {action:#}")?;
            match action {
                Action::CloneInit(_) => who = "init",
                Action::AwaitGo if who == "init" => self.beside_init(f)?,
                _ => {}
            }
        }
        writeln!(f, "seal the record, because init runs")?;
        match self.console {
            Some(_) => writeln!(f, "copy the console and pass signals until init ends"),
            None => writeln!(f, "pass signals until init ends"),
        }
    }
}

impl Plan {
    /// Ahead of the first clone.
    fn before_clone(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scope) = self.leaf.as_ref().and_then(|leaf| leaf.scope()) {
            writeln!(f, "{scope}")?;
        }
        if let Some(store) = &self.store {
            writeln!(f, "{store}")?;
        }
        if let Some(leaf) = &self.leaf {
            let guard = "fork a guard that kills init and removes its cgroup when contain ends";
            writeln!(f, "{guard}\n{leaf}")?;
        }
        writeln!(f, "enter root file system {}", quoted_c(self.root.path()))?;
        for missing in &self.missing {
            let missing = quoted(Path::new("/").join(missing));
            writeln!(f, "leave out what is in {missing}")?;
        }
        Ok(())
    }

    /// While there is a process to become init, which waits.
    fn before_init(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(helper) = &self.outside {
            writeln!(
                f,
                "run outside helper /bin/sh -c '{}'",
                quoted(&helper.text)
            )?;
        }
        if !self.network.wants_guard() {
            write!(f, "{}", self.network)?;
        }
        match self.mounter {
            None => self.send_trees(f),
            Some(_) => Ok(()),
        }
    }

    /// What the go carries.
    fn send_trees(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.trees
            .iter()
            .try_for_each(|tree| writeln!(f, "{tree:#}"))
    }

    /// While the child works, and before it may become init.
    fn beside_init(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.leaf.is_none() {
            writeln!(f, "fork a guard that kills init when contain ends")?;
        }
        if self.told.is_some() {
            writeln!(
                f,
                "fork a process that starts the listener, and kills init when that is killed"
            )?;
        }
        if self.network.wants_guard() {
            write!(f, "{}", self.network)?;
        }
        writeln!(f, "publish the record that inject reads")
    }
}
