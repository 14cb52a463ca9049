//! Handlers of binfmt_misc, as its files show them and as its `register` takes them:
//! <https://docs.kernel.org/admin-guide/binfmt-misc.html>.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::host::binfmt::architecture::Pattern;
use crate::proc;

/// Where the kernel shows the handlers that are in force.
pub(crate) const HANDLERS: &str = "/proc/sys/fs/binfmt_misc";

/// A program that is run in place of others, and told which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handler {
    pub(crate) name: OsString,
    pub(crate) rule: Rule,
    pub(crate) interpreter: PathBuf,
    /// Their letters.
    pub(crate) flags: String,
}

/// What a handler is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Files that begin like this.
    Begins(Pattern),
    /// Files whose names end in a dot and this.
    Ends(OsString),
}

/// Those in force here, as far as they can be seen.
pub(crate) fn registered() -> Vec<Handler> {
    let Ok(entries) = fs::read_dir(HANDLERS) else {
        return Vec::new();
    };
    let dir = Path::new(HANDLERS);
    if proc::bytes(dir.join("status")).is_ok_and(|status| !status.starts_with(b"enabled")) {
        return Vec::new();
    }
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name()));
    let handlers = names.filter(|name| name != "status" && name != "register");
    handlers
        .filter_map(|name| {
            let text = proc::bytes(dir.join(&name)).ok()?;
            Handler::read(name, &text)
        })
        .collect()
}

impl Handler {
    /// Reads its file; None when it is disabled.
    fn read(name: OsString, text: &[u8]) -> Option<Handler> {
        let mut lines = text.split(|byte| *byte == b'\n');
        if lines.next() != Some(b"enabled") {
            return None;
        }
        let field = |key: &str| {
            let line = |line: &'_ [u8]| line.strip_prefix(key.as_bytes()).map(<[u8]>::to_vec);
            text.split(|byte| *byte == b'\n').find_map(line)
        };
        let rule = match field("extension .") {
            Some(extension) => Rule::Ends(OsString::from_vec(extension)),
            None => {
                let magic = bytes(&field("magic ")?)?;
                let mask =
                    field("mask ").map_or(Some(vec![0xff; magic.len()]), |mask| bytes(&mask));
                let offset = String::from_utf8(field("offset ")?).ok()?;
                Rule::Begins(Pattern {
                    offset: offset.trim().parse().ok()?,
                    mask: mask.filter(|mask| mask.len() == magic.len())?,
                    magic,
                })
            }
        };
        Some(Handler {
            name,
            rule,
            interpreter: OsString::from_vec(field("interpreter ")?).into(),
            flags: String::from_utf8(field("flags: ")?).ok()?,
        })
    }

    /// Whether it is for a file that begins like this.
    pub(crate) fn is_for(&self, file: &[u8]) -> bool {
        matches!(&self.rule, Rule::Begins(pattern) if pattern.matches(file))
    }

    /// Whether the kernel has its program open, and so needs no path to it.
    pub(crate) fn is_open(&self) -> bool {
        self.flags.contains('F')
    }

    /// The same as `register` takes it; None when no line can say it.
    pub(crate) fn line(&self) -> Option<Vec<u8>> {
        let path = self.interpreter.as_os_str();
        let parts = |rule: &Rule| match rule {
            Rule::Begins(pattern) => [
                b"M".to_vec(),
                pattern.offset.to_string().into_bytes(),
                escaped(&pattern.magic),
                escaped(&pattern.mask),
            ],
            Rule::Ends(extension) => [
                b"E".to_vec(),
                Vec::new(),
                extension.as_bytes().to_vec(),
                Vec::new(),
            ],
        };
        let [kind, offset, magic, mask] = parts(&self.rule);
        let fields: [&[u8]; 7] = [
            self.name.as_bytes(),
            &kind,
            &offset,
            &magic,
            &mask,
            path.as_bytes(),
            self.flags.as_bytes(),
        ];
        // The first character of the line is what separates its fields.
        let separator = b":;,|%\x01".iter();
        let separator = separator.copied().find(|byte| {
            let holds = |field: &&[u8]| field.contains(byte);
            !fields.iter().any(holds)
        })?;
        let mut line = Vec::new();
        for field in fields {
            line.push(separator);
            line.extend(field);
        }
        Some(line)
    }
}

/// The bytes of a number in hexadecimal digits, two each.
fn bytes(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| {
        char::from(*byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?))
        .collect()
}

/// Each byte as the kernel's `\xNN`: some would end a field or a line.
fn escaped(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| DIGITS[usize::from(half)];
    let escaped = bytes
        .iter()
        .flat_map(|byte| [b'\\', b'x', digit(byte >> 4), digit(byte & 15)]);
    escaped.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::binfmt::architecture;
    use crate::host::binfmt::architecture::Pattern;

    #[test]
    fn reads_what_the_kernel_shows() {
        let text = b"enabled\ninterpreter /usr/libexec/qemu-binfmt/arm-binfmt-P\nflags: POF\n\
            offset 0\nmagic 7f454c46\nmask ffffff00\n";
        let handler = Handler::read("qemu-arm".into(), text).unwrap();
        assert!(handler.is_open() && handler.is_for(b"\x7fELxyz") && !handler.is_for(b"\x7fEL"));
        assert_eq!(
            handler.line().unwrap(),
            br":qemu-arm:M:0:\x7f\x45\x4c\x46:\xff\xff\xff\x00:/usr/libexec/qemu-binfmt/arm-binfmt-P:POF"
        );
        let text = b"enabled\ninterpreter /usr/bin/jexec:\nflags: \nextension .jar\n";
        let handler = Handler::read("jar".into(), text).unwrap();
        assert!(!handler.is_open() && !handler.is_for(b"PK"));
        assert_eq!(handler.line().unwrap(), b";jar;E;;jar;;/usr/bin/jexec:;");
        let whole = b"enabled\ninterpreter /x\nflags: \noffset 2\nmagic 00ff\n";
        assert!(
            Handler::read("x".into(), whole)
                .unwrap()
                .is_for(b"ab\x00\xff")
        );
        for text in [
            &b"disabled\ninterpreter /x\nflags: \noffset 0\nmagic 7f\n"[..],
            b"enabled\nflags: \noffset 0\nmagic 7f\n",
            b"enabled\ninterpreter /x\nflags: \noffset 0\nmagic 7\n",
            b"enabled\ninterpreter /x\nflags: \noffset 0\nmagic 7f\nmask ffff\n",
            b"",
        ] {
            assert_eq!(Handler::read("x".into(), text), None);
        }
    }

    /// What the packages of QEMU would register is what our table says, where they are
    /// installed: for each of their lines, a file that it is for is one of ours too.
    #[test]
    fn our_table_is_the_emulators_own() {
        let dirs = ["/usr/lib/binfmt.d", "/usr/share/qemu/binfmt.d"];
        let files = dirs.iter().flat_map(fs::read_dir).flatten();
        for file in files.flatten() {
            let name = file.file_name().into_string().unwrap();
            let Some(name) = name.strip_prefix("qemu-") else {
                continue;
            };
            let name = name.trim_end_matches(".conf").trim_end_matches("-static");
            let row = architecture::named(name).unwrap_or_else(|| panic!("{name} is not known"));
            let line = fs::read_to_string(file.path()).unwrap();
            let fields: Vec<&str> = line.trim().split(':').collect();
            let (magic, mask) = (unescaped(fields[4]), unescaped(fields[5]));
            let theirs = Pattern {
                offset: 0,
                magic,
                mask,
            };
            // An executable and a shared object, for System V and for Linux.
            let ours = row.pattern();
            for (kind, system) in [(2, 0), (2, 3), (3, 0), (3, 3)] {
                let mut file = ours.magic.clone();
                file.resize(64, 0);
                file[7] = system;
                // The last bytes of e_type and e_version.
                let [kind_at, version_at] = if file[5] == 2 { [17, 23] } else { [16, 20] };
                file[kind_at] = kind;
                file[version_at] = 1;
                assert!(theirs.matches(&file), "{name}: theirs, {kind} {system}");
                assert!(ours.matches(&file), "{name}: ours, {kind} {system}");
            }
            let mut file = theirs.magic.clone();
            file.resize(64, 0);
            assert_eq!(architecture::of(&file), Some(row));
        }
        // And none of their programs is missing. Debian has some by its own names too.
        for program in fs::read_dir("/usr/bin").into_iter().flatten().flatten() {
            let name = program.file_name().into_string().unwrap_or_default();
            let name = name
                .strip_prefix("qemu-")
                .and_then(|name| name.strip_suffix("-static"));
            let own = name.filter(|_| !program.path().is_symlink());
            assert!(
                own.is_none_or(|name| architecture::named(name).is_some()),
                "{own:?}"
            );
        }
    }

    fn unescaped(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let [first, more @ ..] = rest {
            if let [b'x', high, low, more @ ..] = more
                && *first == b'\\'
            {
                bytes.extend(crate::host::binfmt::handler::bytes(&[*high, *low]).unwrap());
                rest = more;
            } else {
                bytes.push(*first);
                rest = more;
            }
        }
        bytes
    }
}
