//! Who runs a command: root, a user with delegated ids, or one without.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::Cmd;
use crate::running::Running;
use crate::skip::{record_skip, record_time};
use crate::store::host_is_root;

/// The three kinds of callers that every promise is checked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// The host's root.
    Root,
    /// An ordinary user with lines in /etc/subuid and /etc/subgid.
    Delegated,
    /// An ordinary user without.
    Plain,
}

impl As {
    /// The kind of this name.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "root" => Self::Root,
            "delegated" => Self::Delegated,
            "plain" => Self::Plain,
            _ => panic!("no kind of user is called {name}"),
        }
    }
}

/// One account of this machine, with what the tests need to know about it.
#[derive(Clone, Debug)]
pub struct User {
    /// Which kind of caller this is.
    pub kind: As,
    /// The account's name.
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// Its primary group id.
    pub gid: u32,
    /// Its home directory.
    pub home: PathBuf,
}

/// The id that root's default map gives the container's root, unless nested.
const HIGHEST: u32 = u32::MAX - 1;

impl User {
    /// The account for `kind`, or why there is none here.
    ///
    /// # Errors
    /// The reason, as a skip records it.
    pub fn get(kind: As) -> Result<Self, String> {
        let me = nix::unistd::Uid::current().as_raw();
        if me != 0 {
            let name = passwd(|fields| fields[2] == me.to_string())
                .ok_or("the caller has no passwd line")?;
            let user = Self::from_passwd(&name, kind)?;
            let own = if user.sub_ids("uid").is_empty() {
                As::Plain
            } else {
                As::Delegated
            };
            return if kind == own {
                Ok(user)
            } else {
                Err(format!(
                    "not root, so only the caller's own kind is tested, {own:?}"
                ))
            };
        }
        let name = match kind {
            As::Root => "root",
            As::Delegated => "nsdelegated",
            As::Plain => "nsplain",
        };
        let user = Self::from_passwd(
            &passwd(|fields| fields[0] == name)
                .ok_or_else(|| format!("no user {name}: tests/run creates it"))?,
            kind,
        )?;
        match (
            kind,
            user.sub_ids("uid").is_empty(),
            user.sub_ids("gid").is_empty(),
        ) {
            (As::Delegated, false, false) | (As::Plain, true, true) | (As::Root, ..) => Ok(user),
            _ => Err(format!(
                "{name} has the wrong lines in /etc/subuid or /etc/subgid"
            )),
        }
    }

    fn from_passwd(line: &str, kind: As) -> Result<Self, String> {
        let fields: Vec<&str> = line.split(':').collect();
        let number = |index: usize| {
            fields[index]
                .parse()
                .map_err(|_| format!("bad line {line}"))
        };
        Ok(Self {
            kind,
            name: fields[0].to_owned(),
            uid: number(2)?,
            gid: number(3)?,
            home: PathBuf::from(fields[5]),
        })
    }

    /// The ranges delegated to this user by name: (first, count), `which`
    /// being `uid` or `gid`.
    #[must_use]
    pub fn sub_ids(&self, which: &str) -> Vec<(u32, u32)> {
        let text = fs::read_to_string(format!("/etc/sub{which}")).unwrap_or_default();
        text.lines()
            .filter_map(|line| {
                let mut fields = line.split(':');
                (fields.next()? == self.name).then_some(())?;
                Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
            })
            .collect()
    }

    /// The id outside of the container's `id`, under the default map; `which`
    /// being `uid` or `gid`.
    #[must_use]
    pub fn outside(&self, which: &str, id: u32) -> Option<u32> {
        match (self.kind, id) {
            (As::Root, 0) => Some(HIGHEST),
            (As::Root, _) => Some(id),
            (_, 0) => Some(if which == "uid" { self.uid } else { self.gid }),
            _ => {
                let mut left = id - 1;
                for (first, count) in self.sub_ids(which) {
                    if left < count {
                        return Some(first + left);
                    }
                    left -= count;
                }
                None
            }
        }
    }

    /// Whether ids other than 0 are mapped by default.
    #[must_use]
    pub fn many_ids(&self) -> bool {
        self.kind != As::Plain
    }

    /// A command run as this user.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Cmd {
        Cmd::new(self, program.as_ref())
    }

    /// The program under test, as this user.
    pub fn contain(&self) -> Cmd {
        self.command(crate::programs::path("contain"))
    }

    /// The program under test, as this user.
    pub fn pseudo(&self) -> Cmd {
        self.command(crate::programs::path("pseudo"))
    }

    /// The program under test, as this user.
    pub fn inject(&self) -> Cmd {
        self.command(crate::programs::path("inject"))
    }

    /// A container that stays, once it runs: `contain -c OPTIONS ROOT`.
    pub fn up(&self, root: impl AsRef<std::ffi::OsStr>, options: &[&str]) -> Running {
        let stay = ["/bin/sh", "-c", "echo up; sleep 1000; :"];
        let cmd = self.contain().arg("-c").args(options).arg(root);
        let mut running = cmd.args(stay).start();
        running.wait_for("up");
        running.init();
        running
    }

    /// `contain -c ROOT /bin/sh -c SCRIPT`, as this user.
    pub fn sh(&self, root: impl AsRef<Path>, script: &str) -> Cmd {
        self.contain()
            .arg("-c")
            .arg(root.as_ref())
            .args(["/bin/sh", "-c", script])
    }
}

/// The first line of /etc/passwd whose fields satisfy `wanted`.
fn passwd(wanted: impl Fn(&[&str]) -> bool) -> Option<String> {
    let text = fs::read_to_string("/etc/passwd").ok()?;
    text.lines()
        .find(|line| {
            let fields: Vec<&str> = line.split(':').collect();
            fields.len() >= 7 && wanted(&fields)
        })
        .map(str::to_owned)
}

/// Runs `test` as the user of this kind, or records why it cannot.
pub fn with_user(kind: As, test: impl FnOnce(&User)) {
    debug_assert!(kind != As::Root || host_is_root() || User::get(kind).is_err());
    match User::get(kind) {
        Ok(user) => {
            let begun = std::time::Instant::now();
            test(&user);
            record_time(begun.elapsed());
        }
        Err(reason) => record_skip(&reason),
    }
}
