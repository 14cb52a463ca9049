//! From a map as asked for to the map itself: what root gets, what anyone else
//! gets of the ids delegated to them, and what is refused.

use crate::error::{Error, Result};
use crate::host::caller::{Caller, Identity, Missing};
use crate::plan::maps::{MapPlan, MapWriter, Maps};
use crate::spec::maps::{Extent, IDS, IdKind, IdMap, MAX_EXTENTS, MapSpec};

/// Resolves `spec` for the caller `who`.
///
/// # Errors
/// An explicit range that is not the caller's to give, or `keep` without a
/// delegated id for the container's root.
pub(crate) fn resolve(spec: &MapSpec, kind: IdKind, who: &Identity) -> Result<IdMap> {
    let extents = match spec {
        MapSpec::Explicit(map) => return verify(map, kind, who).map(|()| map.clone()),
        MapSpec::Root => vec![Extent::new(0, who.id, 1)],
        // Inside another container, or pseudo, root owns what there is.
        MapSpec::Auto if who.is_initial_root() => all_but_root(&who.mapped),
        MapSpec::Auto if who.privileged => identity(&who.mapped),
        MapSpec::Auto => onto(&available(who), &[(1, IDS)], &[Extent::new(0, who.id, 1)]),
        MapSpec::Keep if who.privileged => identity(&who.mapped),
        MapSpec::Keep => keep(kind, who)?,
    };
    IdMap::new(extents).map_err(|reason| Error::new(format!("map {} ids", kind.name()), reason))
}

/// Root's default: container root is the highest id there is, which owns
/// nothing, and every other id but that one is itself. Where only one id is
/// mapped here, there is no other to give.
fn all_but_root(mapped: &IdMap) -> Vec<Extent> {
    let ends = mapped.extents().iter().map(|e| e.inside_end());
    let last = u32::try_from(ends.max().unwrap_or(1) - 1).unwrap_or(u32::MAX);
    let mut extents = vec![Extent::new(0, last, 1)];
    for e in mapped.extents() {
        let start = u64::from(e.inside).max(1);
        let end = e.inside_end().min(last.into());
        extents.extend(span(start, start, end));
    }
    extents
}

fn identity(mapped: &IdMap) -> Vec<Extent> {
    let same = |e: &Extent| Extent::new(e.inside, e.inside, e.count);
    mapped.extents().iter().map(same).collect()
}

fn keep(kind: IdKind, who: &Identity) -> Result<Vec<Extent>> {
    let own = Extent::new(who.id, who.id, 1);
    let gaps = [(0, u64::from(who.id)), (u64::from(who.id) + 1, IDS)];
    let extents = onto(&available(who), &gaps, &[own]);
    if extents.iter().any(|e| e.inside == 0) {
        return Ok(extents);
    }
    let name = kind.name();
    let reason = format!("no {name} id is delegated to you for the container's root");
    let hint = who.missing.as_ref().map(Missing::to_string);
    Err(Error::new(format!("keep your {name} id"), reason).with_any_hint(hint))
}

/// The delegated ranges that exist in our own user namespace, first come first
/// served where lines overlap, and without the caller's own id.
fn available(who: &Identity) -> Vec<(u64, u64)> {
    let mut taken = vec![(u64::from(who.id), u64::from(who.id) + 1)];
    let mut free = Vec::new();
    for &(start, count) in &who.delegated {
        for e in who.mapped.extents() {
            let low = u64::from(start).max(e.inside.into());
            let high = (u64::from(start) + u64::from(count)).min(e.inside_end());
            for piece in subtract((low, high), &taken) {
                taken.push(piece);
                free.push(piece);
            }
        }
    }
    free
}

/// What is left of `range` outside of `taken`.
fn subtract(range: (u64, u64), taken: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut pieces = vec![range];
    for &(low, high) in taken {
        pieces = pieces
            .into_iter()
            .flat_map(|(a, b)| [(a, b.min(low)), (a.max(high), b)])
            .filter(|(a, b)| a < b)
            .collect();
    }
    pieces
}

/// Lays `ranges` of the host, in order, onto the `gaps` of the container, after
/// the extents that are fixed, for as long as the kernel takes more lines.
fn onto(ranges: &[(u64, u64)], gaps: &[(u64, u64)], fixed: &[Extent]) -> Vec<Extent> {
    let mut extents = fixed.to_vec();
    let mut gaps = gaps.iter().copied();
    let mut gap = gaps.next().unwrap_or((0, 0));
    for &(mut start, end) in ranges {
        while start < end {
            while gap.0 >= gap.1 {
                match gaps.next() {
                    Some(next) => gap = next,
                    None => return extents,
                }
            }
            let count = (end - start).min(gap.1 - gap.0);
            extents.extend(span(gap.0, start, start + count));
            gap.0 += count;
            start += count;
            if extents.len() == MAX_EXTENTS {
                return extents;
            }
        }
    }
    extents
}

/// The extent from `inside` onto `start..end`, unless that is empty.
fn span(inside: u64, start: u64, end: u64) -> Option<Extent> {
    let count = end.checked_sub(start).filter(|count| *count > 0)?;
    let narrow = |number| u32::try_from(number).ok();
    Some(Extent::new(narrow(inside)?, narrow(start)?, narrow(count)?))
}

/// An explicit map may name only ids that exist here, and for anyone but root
/// only their own and those delegated to them.
fn verify(map: &IdMap, kind: IdKind, who: &Identity) -> Result<()> {
    let mut allowed: Vec<(u64, u64)> = Vec::new();
    if who.privileged {
        let mapped = who.mapped.extents().iter();
        allowed.extend(mapped.map(|e| (e.inside.into(), e.inside_end())));
    } else {
        allowed.push((who.id.into(), u64::from(who.id) + 1));
        allowed.extend(available(who));
    }
    for e in map.extents() {
        if let Some((low, _)) = subtract((e.outside.into(), e.outside_end()), &allowed).first() {
            let name = kind.name();
            let whose = if who.privileged {
                "mapped in this user namespace"
            } else {
                "delegated to you"
            };
            let reason = format!("{name} id {low} is not {whose}");
            let missing = who.missing.as_ref().filter(|_| !who.privileged);
            let hint = missing.map(Missing::to_string);
            return Err(Error::new(format!("map {name} ids {e}"), reason).with_any_hint(hint));
        }
    }
    Ok(())
}

impl Maps {
    /// Decides both maps and who writes them.
    pub(crate) fn new(uid: &MapSpec, gid: &MapSpec, caller: &Caller) -> Result<Maps> {
        let user = resolve(uid, IdKind::User, &caller.user)?;
        let group = resolve(gid, IdKind::Group, &caller.group)?;
        let root = |map: &IdMap, kind: IdKind| {
            let what = || format!("map {} ids {map}", kind.name());
            let zero = map.outside(0);
            zero.ok_or_else(|| Error::usage(what(), "id 0 is not mapped"))
        };
        let root = (root(&user, IdKind::User)?, root(&group, IdKind::Group)?);
        // The kernel lets anyone map their own id, and takes setgroups for it.
        let own = |map: &IdMap, id| map.count() == 1 && map.has_outside(id);
        let writer = |map: &IdMap, who: &Identity, alone| match &who.helper {
            _ if who.privileged => MapWriter::Direct,
            _ if own(map, who.id) => alone,
            Some(path) => MapWriter::Helper(path.clone()),
            None => MapWriter::Direct,
        };
        let user_writer = writer(&user, &caller.user, MapWriter::Direct);
        let group_writer = writer(&group, &caller.group, MapWriter::DirectWithoutGroups);
        Ok(Maps {
            user: MapPlan::new(IdKind::User, user, user_writer),
            group: MapPlan::new(IdKind::Group, group, group_writer),
            root,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::caller::Identity;
    use crate::spec::maps::IdKind;

    fn user(delegated: &[(u32, u32)]) -> Identity {
        Identity {
            id: 1000,
            privileged: false,
            mapped: "0:0:4294967295".parse().unwrap(),
            delegated: delegated.to_vec(),
            helper: None,
            missing: None,
        }
    }

    fn root(mapped: &str) -> Identity {
        Identity {
            id: 0,
            privileged: true,
            mapped: mapped.parse().unwrap(),
            ..user(&[])
        }
    }

    fn shown(spec: &str, who: &Identity) -> String {
        match resolve(&spec.parse().unwrap(), IdKind::User, who) {
            Ok(map) => map.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn roots_default_avoids_the_hosts_root() {
        assert_eq!(
            shown("auto", &root("0:0:4294967295")),
            "0:4294967294:1,1:1:4294967293"
        );
    }

    /// Inside another container its root owns the files there.
    #[test]
    fn root_of_a_user_namespace_stays_root() {
        for (mapped, wanted) in [
            ("0:1000:1,1:100000:65536", "0:0:1,1:1:65536"),
            ("0:5:1,10:10:5", "0:0:1,10:10:5"),
            ("0:1000:1", "0:0:1"),
        ] {
            assert_eq!(shown("auto", &root(mapped)), wanted);
        }
    }

    #[test]
    fn anyone_elses_default_follows_the_file() {
        assert_eq!(shown("auto", &user(&[])), "0:1000:1");
        let two = user(&[(100_000, 65_536), (300_000, 10)]);
        assert_eq!(
            shown("auto", &two),
            "0:1000:1,1:100000:65536,65537:300000:10"
        );
        let twice = user(&[(100_000, 10), (100_005, 10), (995, 10)]);
        assert_eq!(
            shown("auto", &twice),
            "0:1000:1,1:100000:10,11:100010:5,16:995:5,21:1001:4"
        );
    }

    #[test]
    fn words() {
        assert_eq!(shown("root", &user(&[(100_000, 5)])), "0:1000:1");
        assert_eq!(
            shown("keep", &user(&[(100_000, 65_536)])),
            "1000:1000:1,0:100000:1000,1001:101000:64536"
        );
        assert_eq!(shown("keep", &root("0:0:4294967295")), "0:0:4294967295");
        assert!(shown("keep", &user(&[])).starts_with("cannot keep your user id: no user id"));
    }

    #[test]
    fn explicit_maps_stay_within_the_delegation() {
        let who = user(&[(100_000, 65_536)]);
        for map in ["0:1000:1", "0:1000:1,1:100000:65536", "0:165535:1"] {
            assert_eq!(shown(map, &who), map);
        }
        for (map, id) in [
            ("0:99999:1", 99_999),
            ("0:100000:65537", 165_536),
            ("0:0:1", 0),
        ] {
            assert!(shown(map, &who).ends_with(&format!("user id {id} is not delegated to you")));
        }
        assert!(
            shown("0:70000:1", &root("0:1000:1,1:100000:65536")).contains("not mapped in this")
        );
    }
}
