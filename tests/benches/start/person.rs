//! On whose behalf a program runs, and the id maps that contain gives them.

use std::fmt;
use std::fs;
use std::process::Command;
use std::{env, str::FromStr};

use anyhow::{Context, Result, bail};
use nix::unistd::{getgid, getuid};

use crate::lab::find_tool;

/// Who runs the benchmark. The maps are in the kernel's form, one range a line.
pub struct Person {
    name: String,
    pub delegated: bool,
    pub uid_map: String,
    pub gid_map: String,
}

/// An ordinary user for whom root runs the benchmark again.
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

impl Person {
    pub fn caller() -> Result<Self> {
        Self::new(
            &output("id", &["-un"])?,
            getuid().as_raw(),
            getgid().as_raw(),
        )
    }

    fn new(name: &str, uid: u32, gid: u32) -> Result<Self> {
        if uid == 0 {
            return Ok(Self {
                name: name.into(),
                delegated: false,
                uid_map: root_map("/proc/self/uid_map")?,
                gid_map: root_map("/proc/self/gid_map")?,
            });
        }
        let uids = delegated_ranges("/etc/subuid", name, uid);
        let gids = delegated_ranges("/etc/subgid", name, uid);
        let delegated = !uids.is_empty() && !gids.is_empty() && find_tool("newuidmap").is_some();
        let (uids, gids) = if delegated {
            (uids, gids)
        } else {
            (vec![], vec![])
        };
        Ok(Self {
            name: name.into(),
            delegated,
            uid_map: user_map(uid, &uids),
            gid_map: user_map(gid, &gids),
        })
    }

    pub fn is_root(&self) -> bool {
        getuid().is_root()
    }

    /// The owner, on this side, of what container root owns.
    pub fn root_owner(&self) -> (u32, u32) {
        (lower_of_zero(&self.uid_map), lower_of_zero(&self.gid_map))
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.is_root(), self.delegated) {
            (true, _) => write!(f, "as root"),
            (false, true) => write!(f, "as {}, with delegated ids", self.name),
            (false, false) => write!(f, "as {}, one id", self.name),
        }
    }
}

impl User {
    /// For root: one with and one without delegated ids, as far as they exist.
    pub fn others() -> Result<Vec<Self>> {
        if !getuid().is_root() {
            return Ok(vec![]);
        }
        let delegated = Self::find("BENCH_DELEGATED", "nsdelegated", true)?;
        let plain = Self::find("BENCH_PLAIN", "nsplain", false)?;
        Ok([delegated, plain].into_iter().flatten().collect())
    }

    fn find(variable: &str, default: &str, delegated: bool) -> Result<Option<Self>> {
        let name = env::var(variable).unwrap_or_else(|_| default.into());
        // Not getpwnam: a static program cannot rely on the name service's plugins.
        let Ok(entry) = output("getent", &["passwd", &name]) else {
            println!("skipped: no user {name}; {variable} names another");
            return Ok(None);
        };
        let fields: Vec<&str> = entry.split(':').collect();
        let [_, _, uid, gid, ..] = fields[..] else {
            bail!("cannot read getent's line {entry:?}");
        };
        let (uid, gid) = (uid.parse()?, gid.parse()?);
        if Person::new(&name, uid, gid)?.delegated != delegated {
            let has = if delegated { "no" } else { "a" };
            println!("skipped: user {name} has {has} range of delegated ids");
            return Ok(None);
        }
        Ok(Some(Self { name, uid, gid }))
    }
}

/// Root's default: 0 onto the highest mapped id, the others onto themselves.
fn root_map(path: &str) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let ends = text.lines().filter_map(|line| {
        let [first, _, count] = numbers::<u64, 3>(line.split_whitespace())?;
        Some(first + count)
    });
    let highest = ends.max().context("no id is mapped")? - 1;
    Ok(format!("0 {highest} 1\n1 1 {}", highest - 1))
}

/// A user's default: 0 onto the caller, 1 and up onto the delegated ranges.
fn user_map(id: u32, ranges: &[(u32, u32)]) -> String {
    let mut map = format!("0 {id} 1");
    let mut next = 1;
    for (start, count) in ranges {
        map += &format!("\n{next} {start} {count}");
        next += count;
    }
    map
}

/// Start and count of each range, in file order; the format is in subuid(5).
fn delegated_ranges(path: &str, name: &str, uid: u32) -> Vec<(u32, u32)> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let own = text.lines().filter_map(|line| {
        let (owner, range) = line.split_once(':')?;
        (owner == name || owner == uid.to_string()).then_some(range)
    });
    own.filter_map(|range| numbers(range.split(':')))
        .map(|[start, count]| (start, count))
        .collect()
}

fn lower_of_zero(map: &str) -> u32 {
    // Every map made here starts with "0 LOWER 1".
    map.split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0)
}

fn numbers<'a, T: FromStr, const N: usize>(words: impl Iterator<Item = &'a str>) -> Option<[T; N]> {
    let parsed: Option<Vec<T>> = words.map(|word| word.trim().parse().ok()).collect();
    parsed?.try_into().ok()
}

fn output(tool: &str, arguments: &[&str]) -> Result<String> {
    let result = Command::new(tool).args(arguments).output();
    let result = result.with_context(|| format!("cannot run {tool}"))?;
    if !result.status.success() {
        bail!("{tool} failed: {}", result.status);
    }
    Ok(String::from_utf8(result.stdout)?.trim_end().into())
}
