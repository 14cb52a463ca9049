//! systemd, which owns the cgroups of the machines that it runs: what it has
//! handed over to us, and how to be given a scope, by starting this program once
//! again through systemd-run(1). That replaces itself by the program, so the
//! process stays the same. See "Delegation" in systemd.resource-control(5) and
//! <https://systemd.io/CGROUP_DELEGATION/>.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Error;
use crate::error::text::quoted;
use crate::host::systemd::UNIT;
use crate::plan::cgroup::Scope;
use crate::sys::ask::ask;

/// Whether a systemd-run that says this of its version knows how not to replace
/// `$NAME`: since 254, and scopes are no exception any more since 258. One that
/// cannot be understood had better refuse the option than change an argument.
fn expands(version: &str) -> bool {
    let word = version.split_whitespace().nth(1).unwrap_or_default();
    let number = word.split(|c: char| !c.is_ascii_digit()).next();
    number
        .and_then(|number| number.parse::<u32>().ok())
        .is_none_or(|number| number >= 254)
}

/// What the scope is called in listings: the command, in the UTF-8 that D-Bus
/// insists on.
fn description(words: &[OsString]) -> String {
    let words: Vec<String> = words.iter().map(quoted).collect();
    words.join(" ")
}

/// A name that no other scope has.
fn unit_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_nanos());
    format!("{UNIT}{}-{now:x}.scope", std::process::id())
}

impl Scope {
    /// Starts this program once again in the scope, with the arguments it was
    /// started with; nothing that they name has been used yet. The process id,
    /// the standard streams and all else stay as they are. Returns only to say
    /// why not.
    #[must_use]
    pub fn enter(&self) -> Error {
        let what = "start again in a scope of systemd";
        let program = match std::env::current_exe() {
            Ok(program) => program,
            Err(error) => return Error::io(what, &error),
        };
        let arguments = std::env::args_os().skip(1);
        let words: Vec<OsString> = [program.into()].into_iter().chain(arguments).collect();
        let mut command = Command::new(&self.systemd_run);
        command
            .args(self.options(&unit_name()))
            .arg("--quiet")
            .arg(format!("--description={}", description(&words)));
        if words
            .iter()
            .any(|word| word.as_encoded_bytes().contains(&b'$'))
        {
            command.args(self.no_expansion());
        }
        if let Some(runtime) = &self.runtime {
            command.env("XDG_RUNTIME_DIR", runtime);
        }
        let error = command.arg("--").args(words).exec();
        Error::io(what, &error)
    }

    /// systemd-run is to leave `$NAME` in arguments as it is, if its version has
    /// to be told.
    fn no_expansion(&self) -> Option<&'static str> {
        let version = ask(&self.systemd_run, ["--version"]);
        expands(&version.unwrap_or_default()).then_some("--expand-environment=no")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn knows_which_versions_expand() {
        for (version, expected) in [
            ("systemd 247 (247.3-7+deb11u7)\n+PAM +AUDIT\n", false),
            ("systemd 252 (252.39-1~deb12u2)\n", false),
            ("systemd 253.1\n", false),
            ("systemd 254 (254.5-2.fc39)\n", true),
            ("systemd 257 (257.13-1~deb13u1)\n", true),
            ("systemd 258~rc1 (258~rc1-1)\n", true),
            ("systemd v259-rc2\n", true),
            ("systemd\n", true),
            ("", true),
        ] {
            assert_eq!(expands(version), expected, "{version}");
        }
    }

    #[test]
    fn describes_any_command() {
        let words = ["/bin/contain", "-m", "1M", "a b\n"].map(OsString::from);
        assert_eq!(description(&words), "/bin/contain -m 1M a b\\n");
        let latin = <OsString as std::os::unix::ffi::OsStringExt>::from_vec(vec![b'x', 0xff]);
        assert_eq!(description(&[latin]), "x\\xff");
    }
}
