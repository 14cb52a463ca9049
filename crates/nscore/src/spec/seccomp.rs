//! Whether system calls are filtered, seccomp(2).

use std::str::FromStr;

/// Whether system calls are filtered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// By the list of the profile.
    #[default]
    Default,
    /// Not at all.
    Off,
}

impl FromStr for Seccomp {
    type Err = String;

    fn from_str(word: &str) -> Result<Seccomp, String> {
        match word {
            "default" => Ok(Seccomp::Default),
            "off" => Ok(Seccomp::Off),
            _ => Err("it is neither default nor off".to_string()),
        }
    }
}
