//! The table of advice, a row a failure and a cause.

use nix::errno::Errno;

use crate::error::hint::advice::{Advice, Op};
use crate::error::hint::facts::Facts;
use crate::error::hint::{exhausted, harden, layers, missing, rights, root};

/// What a row says of the facts, if anything.
pub(super) type Advise = fn(&Facts) -> Option<Advice>;

/// The first row of a failure that speaks wins.
const TABLE: &[(Op, Errno, Advise)] = &[
    (Op::Namespaces, Errno::ENOSPC, rights::limit),
    (Op::Namespaces, Errno::EUSERS, rights::limit),
    (Op::Namespaces, Errno::EPERM, rights::forbidden),
    (Op::Namespaces, Errno::EACCES, rights::apparmor),
    (Op::Namespaces, Errno::EINVAL, rights::disabled),
    (Op::Namespaces, Errno::EAGAIN, exhausted::processes),
    (Op::Process, Errno::EAGAIN, exhausted::processes),
    (Op::Terminal, Errno::ENOSPC, exhausted::terminals),
    (Op::Map, Errno::ENOENT, rights::no_proc),
    (Op::Proc, Errno::ENOENT, rights::no_proc),
    (Op::Map, Errno::EPERM, rights::map_forbidden),
    (Op::Map, Errno::EACCES, rights::apparmor),
    (Op::Mount, Errno::EPERM, root::masked),
    (Op::Mount, Errno::ENOTDIR, root::not_real),
    (Op::MountAsked, Errno::EPERM, root::masked),
    (Op::MakeDirectory, Errno::EROFS, root::read_only),
    (Op::MakeDirectory, Errno::EACCES, root::not_writable),
    (Op::MakePoint, Errno::EROFS, root::read_only),
    (Op::MakePoint, Errno::EACCES, root::not_writable),
    (Op::MakePoint, Errno::EEXIST, layers::dangling),
    (Op::Attach, Errno::ENOTDIR, layers::unlike),
    (Op::Attach, Errno::EACCES, layers::not_theirs),
    (Op::Attach, Errno::ENOSYS, layers::read_only_old),
    (Op::ReadOnly, Errno::ENOSYS, layers::read_only_old),
    (Op::Idmap, Errno::ENOSYS, layers::idmap_old),
    (Op::Idmap, Errno::EINVAL, layers::idmap_unfit),
    (Op::Overlay, Errno::EPERM, layers::overlay_old),
    (Op::Overlay, Errno::EINVAL, layers::overlay_unfit),
    (Op::Overlay, Errno::ENODEV, layers::overlay_missing),
    (Op::Overlay, Errno::EACCES, layers::overlay_denied),
    (Op::Layer, Errno::EACCES, layers::layer_denied),
    (Op::Lower, Errno::EACCES, layers::lower_denied),
    (Op::Handlers, Errno::ENODEV, root::no_binfmt),
    (Op::Register, Errno::EACCES, root::emulator_denied),
    (Op::Pivot, Errno::EINVAL, root::initramfs),
    (Op::Network, Errno::EPERM, rights::network_forbidden),
    (Op::Filter, Errno::EINVAL, harden::no_filters),
    (Op::Filter, Errno::ENOSYS, harden::no_filters),
    (Op::Join, Errno::EPERM, rights::join_forbidden),
];

/// What the table says of this failure on this machine. Where it says nothing
/// of a system call that is not there, which call that is.
pub(crate) fn advise(op: Op, errno: Errno, facts: &Facts) -> Advice {
    TABLE
        .iter()
        .filter(|(known, number, _)| (*known, *number) == (op, errno))
        .find_map(|(_, _, advise)| advise(facts))
        .or_else(|| (errno == Errno::ENOSYS).then(|| missing::advise(op, facts))?)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::hint::advice::{Advice, Op};
    use crate::error::hint::facts::Facts;
    use crate::error::hint::table::advise;

    /// A machine on which every fact that a row asks for holds.
    fn worst() -> Facts {
        Facts {
            root: false,
            no_namespaces: vec!["user.max_user_namespaces".into()],
            unprivileged_userns_clone: Some(0),
            apparmor_restrict: Some(1),
            user_namespace_enable: Some(false),
            chrooted: false,
            on_overlay: true,
            fuse: true,
            initramfs: true,
            no_proc: true,
            no_filters: true,
            masked: Some("/proc/kcore".into()),
            terminals: Some((4096, 1024)),
            missing: Vec::new(),
            filtered: false,
            kernel: Some((5, 10)),
        }
    }

    #[test]
    fn every_row_speaks_where_its_fact_holds() {
        for (op, errno, _) in TABLE {
            let advice = advise(*op, *errno, &worst());
            let hint = advice.hint.unwrap_or_else(|| panic!("{op:?} {errno}"));
            assert!(!hint.contains('\n') && !hint.ends_with('.'), "{hint}");
        }
    }

    #[test]
    fn a_machine_without_the_fact_gets_no_hint() {
        let facts = Facts {
            root: true,
            ..Facts::default()
        };
        for (op, errno) in [
            (Op::Namespaces, Errno::EPERM),
            (Op::Namespaces, Errno::EINVAL),
            (Op::Mount, Errno::EPERM),
            (Op::MountAsked, Errno::ENOTDIR),
            (Op::Pivot, Errno::EINVAL),
            (Op::Other, Errno::ENOSPC),
        ] {
            assert_eq!(
                advise(op, errno, &facts),
                Advice::default(),
                "{op:?} {errno}"
            );
        }
    }

    #[test]
    fn names_the_kernel_that_is_needed() {
        let said = |op, errno, kernel| {
            let facts = Facts {
                root: true,
                kernel: Some(kernel),
                ..Facts::default()
            };
            advise(op, errno, &facts).reason.unwrap()
        };
        for (op, errno, kernel, reason) in [
            (
                Op::Idmap,
                Errno::ENOSYS,
                (5, 10),
                "idmapped mounts need Linux 5.12",
            ),
            (
                Op::Overlay,
                Errno::EPERM,
                (5, 10),
                "overlays in a user namespace need Linux 5.11",
            ),
            (
                Op::Overlay,
                Errno::EINVAL,
                (5, 15),
                "overlays of idmapped mounts need Linux 5.19",
            ),
            (
                Op::Overlay,
                Errno::EINVAL,
                (6, 1),
                "a file system cannot be a layer of it",
            ),
        ] {
            assert_eq!(said(op, errno, kernel), reason);
        }
    }

    #[test]
    fn names_the_setting_that_forbids() {
        let named = |change: fn(&mut Facts), errno| {
            let mut facts = Facts::default();
            change(&mut facts);
            advise(Op::Namespaces, errno, &facts).hint.unwrap()
        };
        let max = named(
            |f| f.no_namespaces = vec!["user.max_net_namespaces".into()],
            Errno::ENOSPC,
        );
        assert!(max.starts_with("user.max_net_namespaces is 0"), "{max}");
        let clone = named(|f| f.unprivileged_userns_clone = Some(0), Errno::EPERM);
        assert!(
            clone.starts_with("kernel.unprivileged_userns_clone is 0"),
            "{clone}"
        );
        let armor = named(|f| f.apparmor_restrict = Some(2), Errno::EPERM);
        assert!(
            armor.contains("apparmor_restrict_unprivileged_userns is 2"),
            "{armor}"
        );
        let boot = named(|f| f.user_namespace_enable = Some(false), Errno::EINVAL);
        assert_eq!(boot, "boot with user_namespace.enable=1");
        let chroot = named(|f| f.chrooted = true, Errno::EPERM);
        assert!(chroot.starts_with("in a chroot"), "{chroot}");
    }
}
