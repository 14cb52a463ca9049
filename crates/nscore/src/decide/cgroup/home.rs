//! Where a container's cgroup goes: below the caller's own or the nearest above
//! it that may be divided, by the two rules of the kernel. A cgroup with
//! processes hands no controllers on to those below it, unless it is the root;
//! and a process is moved only by who may write to the cgroup above both places.

use std::fs;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use crate::decide::cgroup::refusal::Refusal;
use crate::error::Result;
use crate::host::systemd;
use crate::plan::cgroup::{Home, Purpose, Scope, Way, Write};
use crate::proc::cgroup::{Hierarchy, words};

/// Finds the place for a cgroup to which this is written.
pub(super) fn find(purpose: Purpose, writes: &[Write]) -> Result<Way> {
    let mut needed: Vec<String> = writes
        .iter()
        .filter_map(|write| write.controller().map(str::to_string))
        .collect();
    needed.sort_unstable();
    needed.dedup();
    search(&needed).map_err(|refusal| refusal.explain(purpose.what()))
}

fn search(needed: &[String]) -> std::result::Result<Way, Refusal> {
    let tree = Hierarchy::find().ok_or_else(Refusal::no_hierarchy)?;
    let own = tree.own().ok_or(Refusal::Unseen)?;
    // A controller that nobody has handed on may be had of systemd, one that
    // is nowhere in the hierarchy of nobody.
    let all = words(&tree.top, "cgroup.controllers");
    if let Some(name) = needed.iter().find(|name| !all.contains(name)) {
        return Err(Refusal::no_controller(name, &tree.top));
    }
    if !systemd::systemd_runs() {
        return nearest(&own, &tree.top, needed).map(Way::Here);
    }
    // What systemd has not handed over to us is its own to divide.
    let unit = systemd::delegated_unit(&own, &tree.top);
    match unit.map(|unit| nearest(&own, &unit, needed)) {
        Some(Ok(home)) => Ok(Way::Here(home)),
        Some(Err(refusal)) if systemd::is_ours(&own) => Err(refusal),
        _ => Scope::new().map(Way::Scope),
    }
}

/// The nearest cgroup from `own` up to `top` that will do; else why `own` will
/// not, or which of those that are ours lacks a controller in the first place.
fn nearest(own: &Path, top: &Path, needed: &[String]) -> std::result::Result<Home, Refusal> {
    let mut refusal = None;
    for dir in own.ancestors().take_while(|dir| dir.starts_with(top)) {
        match Home::at(dir, dir == own, needed) {
            Ok(home) => return Ok(home),
            Err(why) => {
                let higher = matches!(
                    (&refusal, &why),
                    (Some(Refusal::NotHandedOn(..)), Refusal::NotHandedOn(..))
                );
                refusal = if higher {
                    Some(why)
                } else {
                    refusal.or(Some(why))
                };
            }
        }
    }
    Err(refusal.unwrap_or(Refusal::Unseen))
}

impl Home {
    fn at(dir: &Path, own: bool, needed: &[String]) -> std::result::Result<Home, Refusal> {
        let may_write = |file: &str| access(&dir.join(file), AccessFlags::W_OK).is_ok();
        if !may_write("") || !may_write("cgroup.procs") {
            return Err(Refusal::NotOurs(dir.into()));
        }
        let has = words(dir, "cgroup.controllers");
        if let Some(name) = needed.iter().find(|name| !has.contains(name)) {
            return Err(Refusal::NotHandedOn(name.clone(), dir.into()));
        }
        let given = words(dir, "cgroup.subtree_control");
        let not_given = |names: &[String]| -> Vec<String> {
            let missing = names.iter().filter(|name| !given.contains(name));
            missing.cloned().collect()
        };
        // The true root has no type, and may have both.
        let is_root = !dir.join("cgroup.type").exists();
        let processes = fs::read_to_string(dir.join("cgroup.procs"));
        let alone = own
            && !is_root
            && processes
                .as_ref()
                .is_ok_and(|pids| pids.trim() == std::process::id().to_string());
        let enable = not_given(if alone { &has } else { needed });
        let empty = processes.is_ok_and(|pids| pids.is_empty());
        if !enable.is_empty() && !may_write("cgroup.subtree_control") {
            return Err(Refusal::NotOurs(dir.into()));
        }
        if enable.is_empty() || alone || empty || is_root {
            return Ok(Home {
                dir: dir.into(),
                alone: alone && !enable.is_empty(),
                enable,
            });
        }
        Err(Refusal::Busy(dir.into()))
    }
}
