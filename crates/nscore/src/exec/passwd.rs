//! The words of passwd(5) and group(5) of a container: opened by descriptor and
//! below its root, regular, of bounded size. Nothing here allocates.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{SFlag, fstat};
use nix::unistd;

use crate::error::digits::digits;
use crate::sys::{Sys, path};

pub(crate) const NOT_A_FILE: Errno = Errno::EMEDIUMTYPE;

/// A file larger than this is none that logins are kept in.
const MAX_FILE: usize = 16 << 20;

pub(super) const MAX_PATH: usize = libc::PATH_MAX as usize;

/// A word of a file may be this long; one that is longer is cut, and is too
/// long for any use as well.
pub(super) type Word = Text<{ MAX_PATH + 16 }>;

/// Bytes in a room of fixed size, with a NUL behind them.
pub(super) struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    pub(super) const EMPTY: Text<N> = Text {
        bytes: [0; N],
        len: 0,
    };

    /// With the NUL, where a C string is wanted.
    pub(super) fn as_c_str(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    pub(super) fn set(&mut self, parts: [&[u8]; 3]) -> Sys<()> {
        self.clear();
        for part in parts {
            let end = self.len + part.len();
            // The last byte stays NUL.
            if end >= N {
                return Err(Errno::ENAMETOOLONG);
            }
            self.bytes[self.len..end].copy_from_slice(part);
            self.len = end;
        }
        Ok(())
    }

    /// Adds a byte while there is room.
    pub(super) fn push(&mut self, byte: u8) {
        if self.len + 1 < N {
            self.bytes[self.len] = byte;
            self.len += 1;
        }
    }

    pub(super) fn clear(&mut self) {
        self.bytes[..self.len].fill(0);
        self.len = 0;
    }
}

/// The words of a file of lines with fields between colons.
pub(super) struct Words {
    file: OwnedFd,
    /// The field that is a list with commas.
    list: Option<usize>,
    chunk: [u8; 4096],
    chunk_len: usize,
    at: usize,
    read: usize,
    field: usize,
    /// The word last read.
    pub(super) word: Word,
}

/// Where in its line a word was.
pub(super) struct At {
    pub(super) field: usize,
    pub(super) ends_line: bool,
}

pub(super) fn words(file: &CStr, list: Option<usize>) -> Sys<Words> {
    // O_NONBLOCK: the container may have put a pipe or device there.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = path::open_inside(file, flags)?;
    if path::kind(fstat(&file)?.st_mode) != SFlag::S_IFREG {
        return Err(NOT_A_FILE);
    }
    Ok(Words::of(file, list))
}

impl Words {
    fn of(file: OwnedFd, list: Option<usize>) -> Words {
        Words {
            file,
            list,
            chunk: [0; 4096],
            chunk_len: 0,
            at: 0,
            read: 0,
            field: 0,
            word: Word::EMPTY,
        }
    }

    /// Reads the next word; None at the end of the file.
    pub(super) fn next(&mut self) -> Sys<Option<At>> {
        self.word.clear();
        loop {
            let field = self.field;
            let (next, ends_line) = match self.byte()? {
                Some(b':') => (field + 1, false),
                Some(b',') if self.list == Some(field) => (field, false),
                Some(b'\n') => (0, true),
                Some(byte) => {
                    self.word.push(byte);
                    continue;
                }
                // The last line may lack its end.
                None if field > 0 || self.word.len > 0 => (0, true),
                None => return Ok(None),
            };
            self.field = next;
            return Ok(Some(At { field, ends_line }));
        }
    }

    fn byte(&mut self) -> Sys<Option<u8>> {
        if self.at == self.chunk_len {
            (self.chunk_len, self.at) = (unistd::read(&self.file, &mut self.chunk)?, 0);
            self.read += self.chunk_len;
            if self.read > MAX_FILE {
                return Err(Errno::EFBIG);
            }
        }
        let byte = self.chunk[..self.chunk_len].get(self.at).copied();
        self.at += 1;
        Ok(byte)
    }
}

/// An id; the last one means "none" to the kernel.
pub(super) fn number(word: &[u8]) -> Option<u32> {
    digits(word).filter(|id| *id < u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::FileExt as _;

    use nix::sys::memfd::{MFdFlags, memfd_create};
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Some of them longer than what is read at once.
    fn files() -> impl Strategy<Value = Vec<u8>> {
        let byte = || prop::sample::select(b"\0\n\n::::,,ab9\xff".to_vec());
        prop_oneof![vec(byte(), 0..60), vec(byte(), 4000..8300)]
    }

    proptest! {
        #[test]
        fn words_are_what_stands_between(bytes in files(), list in prop::option::of(1..4_usize)) {
            let file = File::from(memfd_create(c"passwd", MFdFlags::empty()).unwrap());
            file.write_all_at(&bytes, 0).unwrap();
            let mut words = Words::of(file.into(), list);
            let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
            // What ends with a line has none behind it.
            lines.pop_if(|line| line.is_empty());
            for line in lines {
                let fields = line.split(|byte| *byte == b':').enumerate();
                let expected: Vec<_> = fields
                    .flat_map(|(field, text)| {
                        let comma = move |byte: &u8| *byte == b',' && list == Some(field);
                        text.split(comma).map(move |word| (field, word))
                    })
                    .collect();
                for (index, (field, word)) in expected.iter().enumerate() {
                    let at = words.next().unwrap().expect("a word");
                    prop_assert_eq!(at.field, *field);
                    prop_assert_eq!(words.word.as_bytes(), *word);
                    prop_assert_eq!(at.ends_line, index + 1 == expected.len());
                }
            }
            prop_assert!(words.next().unwrap().is_none());
        }
    }
}
