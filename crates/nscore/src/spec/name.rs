//! Names that people give to a container: the one inject finds it by, and the
//! one it calls itself.

use std::fmt;
use std::str::FromStr;

use crate::error::digits::are_digits;

/// What the kernel keeps of a host name, gethostname(2).
const MAX: usize = 64;

/// The name of a container: letters, digits, `.`, `_` and `-`, at most 64 and
/// the first a letter or digit. Digits alone would be a process id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(String);

/// A host name of the same letters; digits alone are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hostname(String);

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Hostname {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A container calls itself as it is called.
impl From<&Name> for Hostname {
    fn from(name: &Name) -> Hostname {
        Hostname(name.0.clone())
    }
}

impl FromStr for Name {
    type Err = String;

    fn from_str(text: &str) -> Result<Name, String> {
        check(text)?;
        if are_digits(text) {
            return Err("digits alone are a process id".to_string());
        }
        Ok(Name(text.to_string()))
    }
}

impl FromStr for Hostname {
    type Err = String;

    fn from_str(text: &str) -> Result<Hostname, String> {
        check(text)?;
        Ok(Hostname(text.to_string()))
    }
}

fn check(text: &str) -> Result<(), String> {
    let good = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
    match text.chars().next() {
        None => Err("it is empty".to_string()),
        Some(first) if !first.is_ascii_alphanumeric() => {
            Err("it must begin with a letter or digit".to_string())
        }
        Some(_) if !text.chars().all(good) => {
            Err("it may hold letters, digits, '.', '_' and '-' only".to_string())
        }
        Some(_) if text.len() > MAX => Err(format!("it is longer than {MAX} characters")),
        Some(_) => Ok(()),
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Hostname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_process_id_and_no_path() {
        for text in ["web", "web-1.example_x", "1a", &"a".repeat(64)] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
        let long = "a".repeat(65);
        for text in [
            "", "12", "a/b", "-a", ".a", "..", "a b", "a\n", "é", "a:b", &long,
        ] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
        assert!("12".parse::<Hostname>().is_ok());
        assert!("a/b".parse::<Hostname>().is_err());
    }
}
