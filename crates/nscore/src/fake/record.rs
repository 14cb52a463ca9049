//! What is remembered of a file: owner, mode and type, as the value of an extended
//! attribute in the spelling of containers/storage, `uid:gid:mode:type`, which other
//! programs read too.

use std::fmt;

use crate::error::digits::digits;

/// The attribute of files and directories.
pub(crate) const KEY: &std::ffi::CStr = c"user.containers.override_stat";

/// More than the longest record.
pub(crate) const LONGEST: usize = 80;

/// What is told of a file in place of the truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// Permissions with set-id and sticky bits, at most 0o7777.
    pub(crate) mode: u32,
    pub(crate) kind: Kind,
}

/// The type of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The record does not say: it is what it is.
    Unsaid,
    File,
    Directory,
    Link,
    Pipe,
    Socket,
    /// A device, major and minor, that is an empty file in truth.
    Character(u32, u32),
    Block(u32, u32),
}

impl Kind {
    /// Whether an empty file stands for it.
    pub(crate) fn is_device(self) -> bool {
        matches!(self, Kind::Character(..) | Kind::Block(..))
    }

    /// That of a mode as the kernel gives it.
    pub(crate) fn of(mode: u32) -> Kind {
        match mode & libc::S_IFMT {
            libc::S_IFREG => Kind::File,
            libc::S_IFDIR => Kind::Directory,
            libc::S_IFLNK => Kind::Link,
            libc::S_IFIFO => Kind::Pipe,
            libc::S_IFSOCK => Kind::Socket,
            _ => Kind::Unsaid,
        }
    }

    fn parse(text: &str) -> Option<Kind> {
        let device = |numbers: &str| {
            let (major, minor) = numbers.split_once('-')?;
            Some((digits(major)?, digits(minor)?))
        };
        Some(match text {
            "file" => Kind::File,
            "dir" => Kind::Directory,
            "symlink" => Kind::Link,
            "pipe" => Kind::Pipe,
            "socket" => Kind::Socket,
            _ => match text.split_once('-')? {
                ("char", numbers) => device(numbers).map(|(a, b)| Kind::Character(a, b))?,
                ("block", numbers) => device(numbers).map(|(a, b)| Kind::Block(a, b))?,
                _ => return None,
            },
        })
    }
}

impl Record {
    /// None for what is no record: anyone who may write the file may write there.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Record> {
        let mut fields = std::str::from_utf8(bytes).ok()?.split(':');
        let mut id = || digits(fields.next()?).filter(|id| *id != u32::MAX);
        let (user, group) = (id()?, id()?);
        let mode = fields.next()?;
        let octal = !mode.is_empty() && mode.bytes().all(|digit| (b'0'..b'8').contains(&digit));
        let mode = octal.then(|| u32::from_str_radix(mode, 8).ok())??;
        let kind = fields.next().map_or(Some(Kind::Unsaid), Kind::parse)?;
        let record = Record {
            user,
            group,
            mode,
            kind,
        };
        (mode <= 0o7777 && fields.next().is_none()).then_some(record)
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record {
            user, group, mode, ..
        } = self;
        write!(f, "{user}:{group}:{mode:o}")?;
        match self.kind {
            Kind::Unsaid => Ok(()),
            Kind::File => f.write_str(":file"),
            Kind::Directory => f.write_str(":dir"),
            Kind::Link => f.write_str(":symlink"),
            Kind::Pipe => f.write_str(":pipe"),
            Kind::Socket => f.write_str(":socket"),
            Kind::Character(major, minor) => write!(f, ":char-{major}-{minor}"),
            Kind::Block(major, minor) => write!(f, ":block-{major}-{minor}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that differ from run to run of the loop and not from run to run of
    /// the test: xorshift.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 16) as u32
        }
    }

    fn record(numbers: &mut Numbers) -> Record {
        // Small ones and those at the end are what is worth trying.
        let mut id = || match numbers.next() % 4 {
            0 => numbers.next() % 3,
            1 => u32::MAX - 1 - numbers.next() % 3,
            _ => numbers.next() >> (numbers.next() % 32),
        };
        let (user, group, major, minor) = (id(), id(), id(), id());
        let kinds = [
            Kind::Unsaid,
            Kind::File,
            Kind::Directory,
            Kind::Link,
            Kind::Pipe,
            Kind::Socket,
            Kind::Character(major, minor),
            Kind::Block(major, minor),
        ];
        Record {
            user: user.min(u32::MAX - 1),
            group: group.min(u32::MAX - 1),
            mode: numbers.next() & 0o7777,
            kind: kinds[numbers.next() as usize % kinds.len()],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut numbers = Numbers(0x5eed);
        for _ in 0..100_000 {
            let record = record(&mut numbers);
            let text = record.to_string();
            assert_eq!(Record::parse(text.as_bytes()), Some(record), "{text}");
            assert!(text.len() < LONGEST, "{text}");
        }
    }

    /// What a changed byte makes of a record is another record, in its own words, or
    /// none: two spellings of one would be two truths.
    #[test]
    fn there_is_one_spelling() {
        let mut numbers = Numbers(0xbad);
        let alphabet = b"0123456789:-+ charblockfiledrsymnpt\0\xff\n";
        let mut read = 0;
        for _ in 0..100_000 {
            let mut text = record(&mut numbers).to_string().into_bytes();
            let at = numbers.next() as usize % text.len();
            let byte = alphabet[numbers.next() as usize % alphabet.len()];
            match numbers.next() % 3 {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => drop(text.remove(at)),
            }
            if let Some(record) = Record::parse(&text) {
                read += 1;
                let plain = |text: &[u8]| {
                    let text = String::from_utf8_lossy(text).into_owned();
                    let fields = text.split([':', '-']).map(|field| {
                        let bare = field.trim_start_matches('0');
                        if bare.is_empty() { "0" } else { bare }.to_owned()
                    });
                    fields.collect::<Vec<_>>()
                };
                assert_eq!(plain(&text), plain(record.to_string().as_bytes()));
            }
        }
        assert!(read > 1000, "{read}");
    }

    #[test]
    fn reads_what_others_write() {
        for (text, shown) in [
            ("0:0:755", "0:0:755"),
            ("33:0:0755:dir", "33:0:755:dir"),
            ("0:6:0660:block-8-0", "0:6:660:block-8-0"),
            ("0:5:620:char-4-64", "0:5:620:char-4-64"),
        ] {
            let record = Record::parse(text.as_bytes()).expect(text);
            assert_eq!(record.to_string(), shown);
        }
    }

    #[test]
    fn refuses_all_else() {
        for text in [
            "",
            "0",
            "0:0",
            "0:0:",
            ":0:755",
            "0:0:8",
            "0:0:10000",
            "0:0:755:",
            "0:0:755:file:",
            "0:0:755:fifo",
            "0:0:755:char",
            "0:0:755:char-1",
            "0:0:755:char-1-",
            "0:0:755:char-1-3-5",
            "-1:0:755",
            "+1:0:755",
            "0:4294967295:755",
            "4294967296:0:755",
            " 0:0:755",
            "0:0:755\n",
            "0:0:0x1ed",
        ] {
            assert_eq!(Record::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Record::parse(b"0:0:755\xff"), None);
    }
}
