//! Lists of capabilities as a user writes them: capabilities(7).

use std::str::FromStr;

use crate::error::text::quoted;
use crate::sys::caps::{NAMES, Set};

/// Capabilities as a user lists them: names in any case, with or without
/// `cap_`, separated by commas; `all` stands for every one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapList {
    pub(crate) all: bool,
    pub(crate) named: Set,
}

impl FromStr for CapList {
    type Err = String;

    fn from_str(text: &str) -> Result<CapList, String> {
        let mut list = CapList::default();
        for word in text.split(',') {
            let lower = word.trim().to_ascii_lowercase();
            let name = lower.strip_prefix("cap_").unwrap_or(&lower);
            match NAMES.iter().position(|known| *known == name) {
                Some(number) => list.named.0 |= 1 << number,
                None if name == "all" => list.all = true,
                None if name.is_empty() => return Err("a name is empty".to_string()),
                None => {
                    let word = quoted(word);
                    return Err(format!("{word} is no capability, see capabilities(7)"));
                }
            }
        }
        Ok(list)
    }
}

impl FromIterator<CapList> for CapList {
    fn from_iter<T: IntoIterator<Item = CapList>>(lists: T) -> CapList {
        let mut sum = CapList::default();
        for list in lists {
            sum.all |= list.all;
            sum.named.0 |= list.named.0;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::profile::choose;
    use crate::sys::caps::Set;

    fn list(text: &str) -> CapList {
        text.parse().unwrap()
    }

    #[test]
    fn names_in_any_form() {
        let chown = list("chown");
        for text in ["CHOWN", "cap_chown", "CAP_CHOWN", " Cap_Chown "] {
            assert_eq!(list(text), chown, "{text}");
        }
        assert_eq!(list("chown,kill").named, Set(0x21));
        assert!(list("ALL").all);
        for text in ["", "chown,", "nope", "cap_", "cap_cap_chown", "chown kill"] {
            assert!(text.parse::<CapList>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_win_over_all() {
        let none = CapList::default();
        let choose = |base, drop, keep| choose(base, drop, keep).map(|set| set.0);
        assert_eq!(choose(Set::ALL, list("chown"), none), Ok(!1));
        assert_eq!(choose(Set::ALL, list("all"), list("chown")), Ok(1));
        assert_eq!(choose(Set::NONE, list("chown"), list("all")), Ok(!1));
        assert_eq!(choose(Set::NONE, none, list("kill")), Ok(0x20));
        assert!(choose(Set::ALL, list("kill"), list("chown,kill")).is_err());
        assert!(choose(Set::ALL, list("all"), list("all")).is_err());
    }

    #[test]
    fn sets_read_shortly() {
        assert_eq!(Set::NONE.to_string(), "none");
        assert_eq!(Set::ALL.to_string(), "all");
        assert_eq!(Set(0x21).to_string(), "chown, kill");
        assert_eq!(Set(!0x21).to_string(), "all but chown, kill");
        assert!(Set::MACHINE.to_string().starts_with("all but sys_module,"));
    }
}
