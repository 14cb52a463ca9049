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

/// A path or word of the user's as it stands in a message: control characters
/// and bytes outside UTF-8 are escaped, so that a message stays one line and a
/// terminal shows it as it is. Nothing at all is `''`.
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

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                out.extend(c.escape_default());
            } else {
                out.push(c);
            }
        }
        out.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    out
}
