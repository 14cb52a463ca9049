//! The structure of nscore, measured from its own imports: which wing may know
//! which is a law, and this file holds it. `cargo xtask house` prints the figures.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fmt, fs};

use anyhow::{Context as _, Result};

/// The wings of nscore from the top down. An import goes down this list; wings of one
/// line are apart, and none of them knows another.
const WINGS: [&[&str]; 12] = [
    &["lib", "run"],
    &["pseudo", "join"],
    &["init", "start"],
    &["child", "decide", "supervise"],
    &["plan"],
    &["fake"],
    &["host"],
    &["exec"],
    &["spec"],
    &["error"],
    &["proc"],
    &["sys"],
];

/// An import of one file of the crate from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    from: String,
    line: usize,
    to: String,
}

/// The files of the crate and their imports of each other. A file goes by its path
/// below src without `.rs`, the one of a folder by the folder's.
#[derive(Debug, Default)]
pub struct House {
    files: BTreeMap<String, usize>,
    imports: Vec<Import>,
}

impl House {
    /// Reads all of `src`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read(src: &Path) -> Result<House> {
        let mut texts = BTreeMap::new();
        read_below(src, "", &mut texts)?;
        let mut house = House::default();
        for (file, text) in &texts {
            let code = code(text);
            let lines = code.lines().filter(|line| !line.trim().is_empty()).count();
            house.files.insert(file.clone(), lines);
            for (line, path) in paths(&code) {
                let to = resolve(file, &path, &texts);
                // The crate's root takes nothing that a file of its own would not.
                if let Some(to) = to.filter(|to| to != file && to != "lib") {
                    let from = file.clone();
                    house.imports.push(Import { from, line, to });
                }
            }
        }
        house.imports.sort();
        house.imports.dedup();
        Ok(house)
    }

    /// The imports that break the law, a line each.
    pub fn breaches(&self) -> Vec<String> {
        let breaks = |import: &&Import| {
            let (from, to) = (wing(&import.from), wing(&import.to));
            from != to && height(to) <= height(from)
        };
        let shown = |import: &Import| {
            let Import { from, line, to } = import;
            format!("{from}.rs:{line}: {} may not know {to}", wing(from))
        };
        self.imports.iter().filter(breaks).map(shown).collect()
    }

    /// The files that know each other in a circle, all that hang together in one.
    pub fn circles(&self) -> Vec<Vec<&str>> {
        let reach: BTreeMap<&str, BTreeSet<&str>> = self
            .files
            .keys()
            .map(|file| (file.as_str(), self.reached(file)))
            .collect();
        let mut circles = BTreeSet::new();
        for (file, reached) in &reach {
            let circle: Vec<&str> = reached
                .iter()
                .copied()
                .filter(|other| reach.get(other).is_some_and(|back| back.contains(file)))
                .collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// All files that this one knows, itself or by way of others.
    fn reached(&self, file: &str) -> BTreeSet<&str> {
        let mut reached = BTreeSet::new();
        let mut open = vec![file];
        while let Some(file) = open.pop() {
            for import in self.imports.iter().filter(|import| import.from == file) {
                if reached.insert(import.to.as_str()) {
                    open.push(&import.to);
                }
            }
        }
        reached
    }
}

/// The figures, and what breaks the laws, a line each.
impl fmt::Display for House {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rooms: BTreeSet<&str> = self.files.keys().map(|file| room(file)).collect();
        let between = |import: &Import| {
            let rooms = (room(&import.from).to_string(), room(&import.to).to_string());
            (rooms.0 != rooms.1).then_some(rooms)
        };
        let between: BTreeSet<_> = self.imports.iter().filter_map(between).collect();
        let (breaches, circles) = (self.breaches(), self.circles());
        let (longest, most) = self.files.iter().max_by_key(|(_, lines)| **lines).unzip();
        for (what, number) in [
            ("rooms", rooms.len()),
            ("imports between rooms", between.len()),
            ("imports against the law", breaches.len()),
            ("circles of files", circles.len()),
            ("files", self.files.len()),
            ("lines of code", self.files.values().sum()),
            ("lines of the longest file", most.copied().unwrap_or(0)),
        ] {
            writeln!(f, "{number:6}  {what}")?;
        }
        for breach in breaches {
            writeln!(f, "{breach}")?;
        }
        for circle in circles {
            writeln!(f, "a circle: {}", circle.join(", "))?;
        }
        writeln!(f, "longest: {}", longest.map_or("none", String::as_str))
    }
}

fn read_below(dir: &Path, prefix: &str, texts: &mut BTreeMap<String, String>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            read_below(&path, &format!("{prefix}{name}/"), texts)?;
        } else if path.extension().is_some_and(|end| end == "rs") && name != "tests" {
            let file = match &*name {
                "mod" => prefix.trim_end_matches('/').to_string(),
                name => format!("{prefix}{name}"),
            };
            texts.insert(file, fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

/// The text without comments, strings' contents and unit tests, in its own lines.
fn code(text: &str) -> String {
    let text = text
        .split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text);
    let line = |line: &str| match line.find("//") {
        Some(at) if line[..at].matches('"').count().is_multiple_of(2) => line[..at].to_string(),
        _ => line.to_string(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The paths of the crate's own that a text names, with their lines: in `use`
/// declarations, each of a group by itself, and where they stand in the code.
fn paths(code: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let named_before = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if named_before || code[..at].ends_with("::") {
                continue;
            }
            let line = code[..at].matches('\n').count() + 1;
            let mut prefix = Vec::new();
            spread(&code[at..], &mut prefix, &mut |path| {
                found.push((line, path))
            });
        }
    }
    found
}

/// Follows one path, and each branch of a group at its end; returns what is behind.
fn spread<'a>(
    text: &'a str,
    prefix: &mut Vec<String>,
    tell: &mut impl FnMut(Vec<String>),
) -> &'a str {
    let depth = prefix.len();
    let mut rest = text;
    loop {
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        prefix.push(rest[..end].to_string());
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(more) if more.starts_with('{') => {
                rest = more[1..].trim_start();
                while !rest.is_empty() && !rest.starts_with('}') {
                    rest = spread(rest, prefix, tell);
                    // A name of the file's own may follow.
                    rest = rest.trim_start_matches(|c| c != ',' && c != '}');
                    rest = rest.trim_start_matches(',').trim_start();
                }
                rest = rest.get(1..).unwrap_or_default();
                break;
            }
            Some(more) => rest = more,
            None => {
                tell(prefix.clone());
                break;
            }
        }
    }
    prefix.truncate(depth);
    rest
}

/// The file that a path leads to: the longest part of it that is one.
fn resolve(file: &str, path: &[String], texts: &BTreeMap<String, String>) -> Option<String> {
    let mut at: Vec<&str> = file.split('/').collect();
    if file == "lib" {
        at.clear();
    }
    let mut path = path.iter().map(String::as_str).peekable();
    if path.next_if_eq(&"crate").is_some() {
        at.clear();
    }
    while path.next_if_eq(&"super").is_some() {
        at.pop();
    }
    at.extend(path.filter(|part| *part != "self"));
    while !at.is_empty() {
        let name = at.join("/");
        if texts.contains_key(&name) {
            return Some(name);
        }
        at.pop();
    }
    Some("lib".to_string())
}

fn wing(file: &str) -> &str {
    file.split('/').next().unwrap_or(file)
}

/// How far down a wing is; one that no law knows is under all others.
fn height(wing: &str) -> usize {
    let level = WINGS.iter().position(|level| level.contains(&wing));
    level.unwrap_or(WINGS.len())
}

/// The folder of a file, or a file that has none.
fn room(file: &str) -> &str {
    file.rsplit_once('/').map_or(file, |(dir, _)| dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nscore() -> House {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        House::read(&manifest.join("../nscore/src")).unwrap()
    }

    #[test]
    fn imports_of_nscore_go_down() {
        let house = nscore();
        assert!(house.imports.len() > 300, "{}", house.imports.len());
        assert_eq!(house.breaches(), Vec::<String>::new());
        let unknown = |file: &&String| height(wing(file)) == WINGS.len();
        assert_eq!(
            house.files.keys().find(unknown),
            None,
            "a wing without a law"
        );
    }

    #[test]
    fn no_file_of_nscore_is_in_a_circle() {
        assert_eq!(nscore().circles(), Vec::<Vec<&str>>::new());
    }

    #[test]
    fn reads_imports_as_the_compiler_does() {
        let code =
            "use crate::a::{self, b::{C, d}, E as F};\nfn f() { super::x::y() }\nuse std::crates;";
        let found: Vec<_> = paths(code)
            .into_iter()
            .map(|(line, path)| format!("{line} {}", path.join("::")))
            .collect();
        let expected = [
            "1 crate::a::self",
            "1 crate::a::b::C",
            "1 crate::a::b::d",
            "1 crate::a::E",
            "2 super::x::y",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn tells_what_breaks_the_law() {
        let file = |name: &str| (name.to_string(), 1);
        let import = |from: &str, to: &str| Import {
            from: from.into(),
            line: 7,
            to: to.into(),
        };
        let house = House {
            files: ["child/run", "plan", "sys/a", "sys/b"].map(file).into(),
            imports: vec![
                import("child/run", "plan"),
                import("child/run", "decide/plan"),
                import("plan", "child/run"),
                import("sys/a", "sys/b"),
                import("sys/b", "sys/a"),
            ],
        };
        let breaches = [
            "child/run.rs:7: child may not know decide/plan",
            "plan.rs:7: plan may not know child/run",
        ];
        assert_eq!(house.breaches(), breaches);
        let circles = [vec!["child/run", "plan"], vec!["sys/a", "sys/b"]];
        assert_eq!(house.circles(), circles);
    }
}
