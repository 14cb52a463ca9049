//! The ids delegated to the caller: /etc/subuid and /etc/subgid, subuid(5), and
//! the name they are filed under. The files are read directly; where they do
//! not know the caller and the name service does, getent(1) and getsubids(1)
//! are asked, because a static program cannot load the name service's modules:
//! getpwuid(3) of a static glibc crashes where the id is not in the file, so no
//! getpw* or getgr* is called anywhere.

use std::cell::LazyCell;
use std::fs;

use crate::error::digits::digits;
use crate::sys::ask::ask;

/// Where ids are delegated, subuid(5) and subgid(5).
pub(crate) const SUBUID: &str = "/etc/subuid";

pub(crate) const SUBGID: &str = "/etc/subgid";

/// Who the delegation files speak of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    /// The login name, where the user has one.
    pub(crate) name: Option<String>,
}

impl Account {
    /// Looks the name of `uid` up in passwd(5), then in the name service.
    pub(crate) fn of(uid: u32) -> Account {
        let file = fs::read("/etc/passwd").unwrap_or_default();
        let name = passwd_name(&String::from_utf8_lossy(&file), uid)
            .or_else(|| passwd_name(&ask("getent", ["passwd", &uid.to_string()])?, uid));
        Account { uid, name }
    }

    /// Looks the user `name` up, likewise.
    pub(crate) fn named(name: &str) -> Option<Account> {
        let file = fs::read("/etc/passwd").unwrap_or_default();
        let uid = passwd_uid(&String::from_utf8_lossy(&file), name)
            .or_else(|| passwd_uid(&ask("getent", ["passwd", "--", name])?, name))?;
        Some(Account {
            uid,
            name: Some(name.to_string()),
        })
    }

    /// The name as messages give it.
    pub(crate) fn shown(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.uid.to_string())
    }
}

/// The ranges (first id, count) of user and of group ids delegated to `account`, in
/// file order.
pub(crate) fn delegated(account: &Account) -> [Vec<(u32, u32)>; 2] {
    let service = LazyCell::new(service_has_subids);
    let name = account.shown();
    let of = |path: &str, option: Option<&'static str>| {
        let file = fs::read(path).unwrap_or_default();
        // By newline alone: newuidmap takes a carriage return for a part of the
        // number and refuses the line, so it is none here either.
        let ranges = ranges(&String::from_utf8_lossy(&file), account);
        if !ranges.is_empty() || !*service {
            return ranges;
        }
        let arguments = option.into_iter().chain([name.as_str()]);
        from_getsubids(&ask("getsubids", arguments).unwrap_or_default())
    };
    [of(SUBUID, None), of(SUBGID, Some("-g"))]
}

pub(crate) fn passwd_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (digits(fields.nth(1)?) == Some(uid) && !name.is_empty()).then(|| name.to_string())
    })
}

/// The primary group of `uid`, by /etc/passwd alone.
pub(crate) fn primary_group(uid: u32) -> Option<u32> {
    let file = fs::read("/etc/passwd").ok()?;
    String::from_utf8_lossy(&file).lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        (digits(fields.next()?) == Some(uid)).then(|| digits(fields.next()?))?
    })
}

/// The first of so many ids that no line delegates yet, for one more line.
pub(crate) fn next_free(count: u32) -> Option<u32> {
    let end = |path: &str| {
        let file = fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&file);
        let ends = text.lines().filter_map(|line| {
            let mut fields = line.rsplit(':').map(digits::<u32>);
            fields.next()??.checked_add(fields.next()??)
        });
        ends.max()
    };
    // The first that useradd(8) gives away, login.defs(5).
    let first = end(SUBUID).max(end(SUBGID)).unwrap_or(0).max(100_000);
    first.checked_add(count).map(|_| first)
}

fn passwd_uid(passwd: &str, name: &str) -> Option<u32> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then(|| digits(fields.nth(1)?))?
    })
}

/// Lines `NAME:START:COUNT` or `UID:START:COUNT`; what is not of that form is
/// another program's business.
pub(crate) fn ranges(file: &str, account: &Account) -> Vec<(u32, u32)> {
    let number = account.uid.to_string();
    file.split('\n')
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            let [owner, start, count] = fields[..] else {
                return None;
            };
            if account.name.as_deref() != Some(owner) && owner != number {
                return None;
            }
            range(start, count)
        })
        .collect()
}

/// getsubids(1) prints `INDEX: NAME START COUNT` a line.
fn from_getsubids(text: &str) -> Vec<(u32, u32)> {
    text.lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, _, start, count] = fields[..] else {
                return None;
            };
            range(start, count)
        })
        .collect()
}

fn range(start: &str, count: &str) -> Option<(u32, u32)> {
    let (start, count): (u32, u32) = (digits(start)?, digits(count)?);
    (count > 0 && start.checked_add(count).is_some()).then_some((start, count))
}

/// Whether nsswitch.conf(5) gives subordinate ids to anything but the files.
fn service_has_subids() -> bool {
    let file = fs::read("/etc/nsswitch.conf").unwrap_or_default();
    String::from_utf8_lossy(&file).lines().any(|line| {
        line.trim_start()
            .strip_prefix("subid:")
            .is_some_and(|rest| rest.trim() != "files")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_exactly_the_users_lines() {
        let ann = Account {
            uid: 1001,
            name: Some("ann".into()),
        };
        let file = "# ann:1:1\nanna:5:5\nann:7:8\r\nann:100000:65536\n1001:300000:10\n\
                    ann:bad:1\nann:1:2:3\nann:+1:2\nann:1:+2\nann:7:0\nan:9:9\nann:4294967295:2\nann:500000:1";
        assert_eq!(
            ranges(file, &ann),
            [(100_000, 65_536), (300_000, 10), (500_000, 1)]
        );
        let nameless = Account {
            uid: 1001,
            name: None,
        };
        assert_eq!(ranges(file, &nameless), [(300_000, 10)]);
        assert_eq!(ranges("", &ann), []);
    }

    #[test]
    fn reads_the_name_service() {
        assert_eq!(
            from_getsubids("0: ann 100000 65536\n1: ann 7 8\n"),
            [(100_000, 65_536), (7, 8)]
        );
        assert_eq!(
            passwd_name("root:x:0:0::/root:/bin/sh\nann:x:1001:1001:::\n", 1001),
            Some("ann".into())
        );
        assert_eq!(passwd_name("root:x:0:0\n", 1), None);
    }
}
