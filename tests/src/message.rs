//! The form of an error: `PROGRAM: cannot VERB OBJECT: REASON`, then at most
//! one `hint:` line.

/// An error as the programs print it.
#[derive(Clone, Debug)]
pub struct Complaint {
    /// The error line, without the program's name.
    pub line: String,
    /// The hint, without the word.
    pub hint: Option<String>,
}

const PROGRAMS: [&str; 3] = ["contain: ", "pseudo: ", "inject: "];

/// What is left of a standard error without the warning (and its hint) that
/// a caller without delegated ids gets on every start.
#[must_use]
pub fn errors(stderr: &str) -> Vec<&str> {
    let mut warned = false;
    let mut after_warning = false;
    let mut rest = Vec::new();
    for line in stderr.lines() {
        if !warned && is_warning(line) {
            (warned, after_warning) = (true, true);
        } else if after_warning && line.starts_with("hint: ") {
            after_warning = false;
        } else {
            after_warning = false;
            rest.push(line);
        }
    }
    rest
}

/// The one warning of a start with a single id names what is missing.
fn is_warning(line: &str) -> bool {
    PROGRAMS.iter().any(|program| line.starts_with(program))
        && ["/etc/subuid", "/etc/subgid", "newuidmap", "newgidmap"]
            .iter()
            .any(|w| line.contains(w))
        && !line.contains(": cannot ")
}

impl Complaint {
    /// Reads a standard error that should hold one error and nothing else.
    /// A usage error (64) may speak of arguments in its own words.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(stderr: &str, code: i32) -> Result<Self, &'static str> {
        let lines = errors(stderr);
        let (first, hint) = match lines[..] {
            [] => return Err("no error line"),
            [first] => (first, None),
            [first, hint] => (
                first,
                Some(hint.strip_prefix("hint: ").ok_or("a second line")?),
            ),
            _ => return Err("more than an error and a hint"),
        };
        let line = PROGRAMS
            .iter()
            .find_map(|program| first.strip_prefix(program));
        let line = line.ok_or("the error line does not start with the program's name")?;
        if code != 64 {
            let object = line.strip_prefix("cannot ").ok_or("no `cannot`")?;
            let (verb, rest) = object.split_once(' ').ok_or("no object")?;
            if verb.is_empty() || !rest.contains(": ") {
                return Err("not `cannot VERB OBJECT: REASON`");
            }
        }
        if line.ends_with('.') {
            return Err("a full stop");
        }
        if line.starts_with(|c: char| c.is_uppercase()) {
            return Err("not lower case");
        }
        let debug = ["os error", "Os {", "Error {", "Some(", "Errno", "panicked"];
        if debug.iter().any(|word| stderr.contains(word)) {
            return Err("a debug print");
        }
        Ok(Self {
            line: line.to_owned(),
            hint: hint.map(str::to_owned),
        })
    }

    /// Whether the line or the hint holds one of the alternatives in `fact`,
    /// in whatever case.
    #[must_use]
    pub fn names(&self, fact: &str) -> bool {
        let hint = self.hint.as_deref().unwrap_or_default();
        let said = format!("{}\n{hint}", self.line).to_lowercase();
        fact.split('|')
            .any(|word| said.contains(&word.to_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_one_form() {
        let good = "contain: cannot enter /x: No such file or directory\nhint: make it\n";
        let complaint = Complaint::parse(good, 1).expect("the form");
        assert!(complaint.names("/x") && complaint.names("EIO|make it") && !complaint.names("/y"));
        for bad in [
            "",
            "contain: it failed\n",
            "cannot enter /x: No such file or directory\n",
            "contain: cannot enter /x: No such file or directory.\n",
            "contain: cannot enter /x: No such file or directory (os error 2)\n",
            "contain: cannot enter /x: gone\nand more\n",
        ] {
            assert!(Complaint::parse(bad, 1).is_err(), "{bad:?}");
        }
        assert!(Complaint::parse("contain: unexpected argument '-z' found\n", 64).is_ok());
    }

    #[test]
    fn the_warning_is_set_aside_once() {
        let warning = "contain: no line for bob in /etc/subuid\n";
        assert!(errors(warning).is_empty());
        assert_eq!(errors(&warning.repeat(2)).len(), 1);
        assert_eq!(errors("contain: cannot run newuidmap: no\n").len(), 1);
    }
}
