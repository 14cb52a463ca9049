//! Who the caller is: ids, and the ranges of others delegated to them.

use std::path::PathBuf;

use crate::error::hint::advice::Op;
use crate::error::text::quoted;
use crate::error::{Error, Result};
use crate::host::accounts::{self, Account};
use crate::host::programs;
use crate::proc::{self, namespaces};
use crate::spec::maps::{IdMap, MapSpec};

/// The caller as user, or as group.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// The caller's own id.
    pub(crate) id: u32,
    /// May map any id of this user namespace: its root.
    pub(crate) privileged: bool,
    /// The ids of this user namespace, uid_map or gid_map, as far as they may be
    /// the caller's to map.
    pub(crate) mapped: IdMap,
    /// Ranges (first, count) that a helper would map for the caller.
    pub(crate) delegated: Vec<(u32, u32)>,
    /// The helper: newuidmap(1) or newgidmap(1).
    pub(crate) helper: Option<PathBuf>,
    /// Why there are no delegated ranges.
    pub(crate) missing: Option<Missing>,
}

impl Identity {
    /// Nothing but the caller's own id.
    fn alone(id: u32, privileged: bool) -> Identity {
        Identity {
            id,
            privileged,
            mapped: IdMap::only(id),
            delegated: Vec::new(),
            helper: None,
            missing: None,
        }
    }

    /// Root of the initial user namespace, who alone may idmap the mounts of
    /// file systems that belong to it.
    pub(crate) fn is_initial_root(&self) -> bool {
        self.privileged && self.mapped.count() == u64::from(u32::MAX)
    }
}

/// Why a caller has no delegated ids.
#[derive(Debug, Clone)]
pub(crate) enum Missing {
    /// The file has no line for the owner.
    Line { file: &'static str, owner: String },
    /// The program that maps them is not installed.
    Helper(&'static str),
}

impl Missing {
    /// The command that gives an owner both kinds of ids, usermod(8).
    fn remedy(&self) -> Option<String> {
        const COUNT: u32 = 65536;
        let Missing::Line { owner, .. } = self else {
            return None;
        };
        let first = accounts::next_free(COUNT)?;
        let range = format!("{first}-{}", first + (COUNT - 1));
        Some(format!(
            "usermod --add-subuids {range} --add-subgids {range} {}",
            quoted(owner)
        ))
    }
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Missing::Line { file, owner } => write!(f, "{file} has no line for {owner}"),
            Missing::Helper(name) => write!(f, "{name} is not installed (Debian package uidmap)"),
        }
    }
}

/// The caller, by the ids that a user namespace of theirs can have.
#[derive(Debug, Clone)]
pub struct Caller {
    pub(crate) user: Identity,
    pub(crate) group: Identity,
}

impl Caller {
    /// Reads the ids of this process, and for anyone but root what is delegated
    /// to them.
    ///
    /// # Errors
    /// When the program runs setuid or setgid, or /proc is missing.
    pub fn probe() -> Result<Caller> {
        refuse_setuid()?;
        let (uid, gid) = (nix::unistd::getuid(), nix::unistd::getgid());
        let privileged = uid.is_root();
        let mut user = Identity::alone(uid.as_raw(), privileged);
        let mut group = Identity::alone(gid.as_raw(), privileged);
        if !privileged {
            let account = Account::of(user.id);
            let [users, groups] = accounts::delegated(&account);
            delegate(&mut user, users, &account, "newuidmap", accounts::SUBUID);
            delegate(&mut group, groups, &account, "newgidmap", accounts::SUBGID);
        }
        // Which ids there are matters to who may map others than their own.
        let maps_others = |who: &Identity| privileged || !who.delegated.is_empty();
        let all = (maps_others(&user) || maps_others(&group)) && namespaces::is_user_initial();
        for (who, path) in [
            (&mut user, "/proc/self/uid_map"),
            (&mut group, "/proc/self/gid_map"),
        ] {
            if maps_others(who) {
                who.mapped = if all { IdMap::all() } else { own_map(path)? };
            }
        }
        Ok(Caller { user, group })
    }

    /// The one warning that a start is worth which should map many user ids, or
    /// group ids, and can map one.
    pub(crate) fn single_id_warning(&self, users: &MapSpec, groups: &MapSpec) -> Option<String> {
        let user = self.user.missing.as_ref();
        let user = user.filter(|_| *users == MapSpec::Auto);
        let group = self.group.missing.as_ref();
        let group = group.filter(|_| *groups == MapSpec::Auto);
        let (ids, reasons) = match (user, group) {
            (Some(Missing::Line { owner, .. }), Some(Missing::Line { .. })) => (
                "user and group id",
                format!("/etc/subuid and /etc/subgid have no line for {owner}"),
            ),
            (Some(user), Some(group)) => ("user and group id", format!("{user}; {group}")),
            (Some(user), None) => ("user id", user.to_string()),
            (None, Some(group)) => ("group id", group.to_string()),
            (None, None) => return None,
        };
        let remedy = [user, group]
            .into_iter()
            .flatten()
            .find_map(Missing::remedy);
        let remedy = remedy.map(|command| format!("; as root: {command}"));
        let remedy = remedy.unwrap_or_default();
        Some(format!(
            "warning: only your own {ids} can be mapped: {reasons}{remedy}"
        ))
    }
}

/// These programs need no privilege, and guard none.
pub(crate) fn refuse_setuid() -> Result<()> {
    use nix::unistd::{getegid, geteuid, getgid, getuid};
    let bit = match (getuid() == geteuid(), getgid() == getegid()) {
        (true, true) => return Ok(()),
        (false, _) => "setuid",
        (true, false) => "setgid",
    };
    Err(
        Error::new("start this program", format!("it is installed {bit}"))
            .with_hint(format!("it needs no privilege: remove the {bit} bit")),
    )
}

fn own_map(path: &str) -> Result<IdMap> {
    let text = proc::read(path).map_err(|error| {
        let errno = proc::errno(error);
        Error::system(Op::Map, format!("read {path}"), errno)
    })?;
    IdMap::from_kernel_text(&text)
        .ok_or_else(|| Error::new(format!("read {path}"), "this user namespace maps no id"))
}

/// Fills in what is delegated to `who`, and finds the helper that maps it.
fn delegate(
    who: &mut Identity,
    ranges: Vec<(u32, u32)>,
    account: &Account,
    helper: &'static str,
    file: &'static str,
) {
    if ranges.is_empty() {
        let owner = account.shown();
        who.missing = Some(Missing::Line { file, owner });
        return;
    }
    who.helper = programs::find_helper(helper);
    match who.helper {
        Some(_) => who.delegated = ranges,
        None => who.missing = Some(Missing::Helper(helper)),
    }
}
