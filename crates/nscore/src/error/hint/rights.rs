//! Advice about what the caller may not do here, and which setting says so.

use crate::error::hint::advice::{Advice, explained, hint};
use crate::error::hint::facts::Facts;

pub(super) fn limit(facts: &Facts) -> Option<Advice> {
    match facts.no_namespaces.first() {
        Some(name) => explained(
            "a limit forbids it",
            format!("{name} is 0: sysctl -w {name}=10000 as root"),
        ),
        None => explained(
            "a limit on the number of namespaces is reached",
            "the sysctls user.max_*_namespaces set it, and no more than 32 may be nested",
        ),
    }
}

pub(super) fn forbidden(facts: &Facts) -> Option<Advice> {
    if facts.chrooted {
        return hint("in a chroot the kernel allows no user namespace: pivot_root there instead");
    }
    if facts.unprivileged_userns_clone == Some(0) && !facts.root {
        return hint(
            "kernel.unprivileged_userns_clone is 0: sysctl -w kernel.unprivileged_userns_clone=1 as root",
        );
    }
    apparmor(facts)
}

pub(super) fn apparmor(facts: &Facts) -> Option<Advice> {
    let value = facts
        .apparmor_restrict
        .filter(|value| *value != 0 && !facts.root)?;
    hint(format!(
        "kernel.apparmor_restrict_unprivileged_userns is {value}: set it to 0, \
         or load an AppArmor profile that allows this program userns"
    ))
}

pub(super) fn disabled(facts: &Facts) -> Option<Advice> {
    match facts.user_namespace_enable {
        Some(false) => hint("boot with user_namespace.enable=1"),
        _ => None,
    }
}

pub(super) fn map_forbidden(facts: &Facts) -> Option<Advice> {
    if facts.root {
        return hint("it needs CAP_SETUID and CAP_SETGID here, and ids that are mapped here");
    }
    apparmor(facts)
}

pub(super) fn join_forbidden(facts: &Facts) -> Option<Advice> {
    if facts.root {
        return None;
    }
    hint("only root and the user who started a container can enter it")
}

pub(super) fn network_forbidden(facts: &Facts) -> Option<Advice> {
    hint(if facts.root {
        "it needs CAP_NET_ADMIN here"
    } else {
        "only root can; --net pasta needs no privilege"
    })
}

pub(super) fn no_proc(facts: &Facts) -> Option<Advice> {
    if !facts.no_proc {
        return None;
    }
    hint("/proc must be mounted")
}
