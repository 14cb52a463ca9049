//! Which program an emulator runs, where /proc shows the emulator.

use std::ffi::OsString;

use crate::proc::process::comm;

/// What runs where /proc shows an emulator.
#[derive(Debug)]
pub(crate) struct Emulated {
    /// What init was executed by.
    pub(crate) called: OsString,
    /// Its file's name at the end of all links; None of a script, which some other
    /// program reads.
    pub(crate) name: Option<OsString>,
}

impl Emulated {
    /// The name of the program that the emulator with this process id runs by now, and
    /// what that was called: by what the kernel says that it was executed by. No path
    /// and no memory of the container's is looked at.
    pub(crate) fn by(&self, emulator: libc::pid_t) -> Option<(OsString, OsString)> {
        self.at(OsString::from(comm(emulator)?))
    }

    fn at(&self, called: OsString) -> Option<(OsString, OsString)> {
        // The kernel keeps so much of a name.
        const KEPT: usize = 15;
        let bytes = self.called.as_encoded_bytes();
        if bytes.get(..KEPT).unwrap_or(bytes) == called.as_encoded_bytes() {
            return Some((self.name.clone()?, called));
        }
        // What it has become since has its own name.
        Some((called.clone(), called))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_through_an_emulator() {
        let emulated = |name: Option<&str>| Emulated {
            called: "init".into(),
            name: name.map(OsString::from),
        };
        let at = |called: &str| emulated(Some("runit-init")).at(called.into());
        assert_eq!(at("init"), Some(("runit-init".into(), "init".into())));
        assert_eq!(at("runit"), Some(("runit".into(), "runit".into())));
        assert_eq!(emulated(None).at("init".into()), None, "a script");
        assert_eq!(emulated(None).at("sh".into()).unwrap().0, "sh");
    }
}
