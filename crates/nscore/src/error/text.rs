//! How a message spells what is not ours: the kernel's words, paths and words of the
//! user's.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;

/// The kernel's word for an error number, as the middle of a sentence.
pub(crate) fn word(errno: Errno) -> String {
    if errno == Errno::UnknownErrno {
        return "unknown error".to_string();
    }
    let text = errno.desc();
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_string(),
    }
}

/// A path or word of the user's as it stands in a message: what no terminal shows as
/// it is, control and format characters and bytes outside UTF-8, is escaped, so that a
/// message stays one line, in one direction. Nothing at all is `''`.
pub fn quoted(text: impl AsRef<OsStr>) -> String {
    match text.as_ref().as_bytes() {
        [] => "''".to_string(),
        bytes => escaped(bytes),
    }
}

/// The same of a path of the plan's, which is nothing where it is that of the
/// directory itself.
pub(crate) fn quoted_c(path: &CStr) -> String {
    escaped(path.to_bytes())
}

/// Whether a terminal shows the character as it is, and nothing but it: no control,
/// no format character that turns or hides what follows (U+202E, U+2066, U+200B), no
/// separator of lines. Marks that combine with a letter are shown.
pub(crate) fn is_shown(c: char) -> bool {
    // The standard library knows which are; of a mark alone it would doubt.
    let after_a_letter = ['x', c].into_iter().collect::<String>();
    matches!(c, ' '..='~') || after_a_letter.escape_debug().count() == 2
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if is_shown(c) {
                out.push(c);
            } else {
                out.extend(c.escape_default());
            }
        }
        out.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    out
}
