//! The operations that a row of the table is for, and what a row says.

/// The operations whose failures have causes that the error number hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Creating the namespaces of a container, clone(2) or unshare(2).
    Namespaces,
    /// Reading or writing uid_map or gid_map, user_namespaces(7).
    Map,
    /// Reading what the kernel says of processes and mounts, proc(5).
    Proc,
    /// Mounting a new file system of a container's own.
    Mount,
    /// Mounting a new file system where one was asked for.
    MountAsked,
    /// Creating a directory that the root file system lacks.
    MakeDirectory,
    /// Making a mount point that the root file system lacks.
    MakePoint,
    /// Attaching a bind.
    Attach,
    /// Making mounts read-only, mount_setattr(2).
    ReadOnly,
    /// Showing a directory with the container's ids, mount_setattr(2).
    Idmap,
    /// Cloning or attaching a layer of an overlay, the upper one among them.
    Layer,
    /// The same of lower layers alone.
    Lower,
    /// Mounting an overlay.
    Overlay,
    /// Making a binfmt_misc of a container's own.
    Handlers,
    /// Registering an emulator there.
    Register,
    /// pivot_root(2).
    Pivot,
    /// Installing a filter, seccomp(2).
    Filter,
    /// Making a process, fork(2).
    Process,
    /// Making a pseudo-terminal in a container.
    Terminal,
    /// setns(2) into another process's namespaces.
    Join,
    /// Making an interface of the host's network, rtnetlink(7).
    Network,
    /// Anything else: the error number tells enough.
    Other,
}

/// What a row has to say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Advice {
    /// Replaces a misleading error text.
    pub(crate) reason: Option<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

pub(super) fn hint(text: impl Into<String>) -> Option<Advice> {
    Some(Advice {
        reason: None,
        hint: Some(text.into()),
    })
}

pub(super) fn explained(reason: &str, text: impl Into<String>) -> Option<Advice> {
    Some(Advice {
        reason: Some(reason.to_string()),
        hint: Some(text.into()),
    })
}
