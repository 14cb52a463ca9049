//! Advice about system calls that are not there: an old kernel lacks them, or a
//! filter keeps them from us, as that of another container may.

use nix::errno::Errno;

use crate::error::hint::advice::{Advice, Op};
use crate::error::hint::facts::Facts;
use crate::error::text::word;

/// What a failure for want of a call comes of.
pub(super) fn advise(op: Op, facts: &Facts) -> Option<Advice> {
    let missing = facts.missing.iter().filter(|call| call.is_for(op));
    let since = missing.clone().map(|call| call.since).max()?;
    let names: Vec<_> = missing.map(|call| call.name).collect();
    let names = names.join(", ");
    let hint = facts.kernel.and_then(|(major, minor)| {
        let (new_major, new_minor) = since;
        let new = format!("Linux {new_major}.{new_minor} has all of that");
        let filter = "has all of that: a filter (seccomp) keeps it from this process";
        match (major, minor) < since {
            true => Some(format!("{new}; this is Linux {major}.{minor}")),
            false => (facts.filtered).then(|| format!("Linux {major}.{minor} {filter}")),
        }
    });
    let reason = Some(format!("{}: {names}", word(Errno::ENOSYS)));
    Some(Advice { reason, hint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::hint::advice::Op;
    use crate::error::hint::calls::CALLS;
    use crate::error::hint::facts::Facts;

    #[test]
    fn blames_only_what_the_operation_needs() {
        let of = |names: &[&str], op| {
            let missing = CALLS.into_iter().filter(|call| names.contains(&call.name));
            let facts = Facts {
                missing: missing.collect(),
                ..Facts::default()
            };
            advise(op, &facts).and_then(|advice| advice.reason)
        };
        let (set, open) = ("mount_setattr", "open_tree");
        assert_eq!(of(&[set], Op::Other), None);
        assert_eq!(of(&[set], Op::Filter), None);
        assert!(
            of(&[set], Op::ReadOnly)
                .unwrap()
                .ends_with(": mount_setattr")
        );
        assert!(
            of(&[set, open], Op::Attach)
                .unwrap()
                .ends_with(": open_tree, mount_setattr")
        );
        assert!(
            of(&[set, open], Op::Other)
                .unwrap()
                .ends_with(": open_tree")
        );
    }
}
