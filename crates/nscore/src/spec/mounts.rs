//! What a container shows besides its root file system: the grammar of binds
//! and memory file systems, and where each of them goes.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};

use crate::error::digits::digits;
use crate::error::text::quoted;
use crate::error::{Error, Result};
use crate::spec::limits::Size;

/// A mount in the container, at a path of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where it is: an absolute path inside. Links on the way are resolved
    /// inside. What is missing is made, in DIR too.
    pub at: PathBuf,
    /// What is there.
    pub what: What,
    /// Nothing can be written through it, also not by container root, and not
    /// to what is mounted below it. Refused of a bind in /dev, /proc and /sys; a new
    /// file system there, or of the container's namespaces, container root can make
    /// writable again. The same goes for the restrictions below.
    pub read_only: bool,
    /// Set-id bits and file capabilities have no effect.
    pub no_suid: bool,
    /// Device nodes cannot be opened.
    pub no_devices: bool,
    /// No program can be executed.
    pub no_execute: bool,
}

/// What a [`Mount`] shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// This file or directory of the host, opened with the caller's rights.
    Bind {
        /// Its path on the host, absolute.
        source: PathBuf,
        /// With what is mounted below it.
        recursive: bool,
    },
    /// A new file system.
    FileSystem {
        /// Its name in /proc/filesystems: tmpfs, proc, ...
        kind: String,
        /// What /proc/mounts shows as its device; none means `kind`.
        source: Option<String>,
        /// The most that a tmpfs may hold, as tmpfs(5) has it: a number of
        /// bytes with a suffix k, m or g, or of hundredths of memory with %.
        size: Option<String>,
    },
}

impl Mount {
    /// `what` at `at`, with no restriction.
    #[must_use]
    pub fn new(at: impl Into<PathBuf>, what: What) -> Mount {
        Mount {
            at: at.into(),
            what,
            read_only: false,
            no_suid: false,
            no_devices: false,
            no_execute: false,
        }
    }

    /// A tmpfs without devices and set-id programs.
    pub(crate) fn memory(at: impl Into<PathBuf>, size: Option<String>) -> Mount {
        let (kind, source) = ("tmpfs".to_string(), None);
        Mount {
            no_suid: true,
            no_devices: true,
            ..Mount::new(at, What::FileSystem { kind, source, size })
        }
    }

    /// Reads `SRC[:DST][:ro]`. A backslash takes the meaning from a colon or
    /// backslash behind it.
    ///
    /// # Errors
    /// A usage error that says what is wrong with the text.
    pub fn bind(text: impl AsRef<OsStr>) -> Result<Mount> {
        let text = text.as_ref();
        let bad = |why: String| Error::usage(format!("bind {}", quoted(text)), why);
        let mut fields = fields(text);
        let read_only = fields.len() > 1 && fields.last().is_some_and(|last| last == "ro");
        if read_only {
            fields.pop();
        }
        let (source, at) = match &fields[..] {
            [source] => (source, None),
            [source, at] => (source, Some(at)),
            _ => return Err(bad("it is not SRC[:DST][:ro]".into())),
        };
        if source.is_empty() {
            return Err(bad("the source's name is empty".into()));
        }
        let source = std::path::absolute(source)
            .map_err(|error| Error::io(format!("find {}", quoted(source)), &error))?;
        let at = match at {
            Some(at) => PathBuf::from(at),
            None => clean(&source),
        };
        let recursive = true;
        let mount = Mount::new(at, What::Bind { source, recursive });
        mount.check().map_err(|why| bad(why.into()))?;
        Ok(Mount { read_only, ..mount })
    }

    /// Reads `DST[:size=SIZE]`, a memory file system.
    ///
    /// # Errors
    /// A usage error that says what is wrong with the text.
    pub fn tmpfs(text: impl AsRef<OsStr>) -> Result<Mount> {
        let text = text.as_ref();
        let bad = |why: &str| Error::usage(format!("mount tmpfs {}", quoted(text)), why);
        let fields = fields(text);
        let (at, size) = match &fields[..] {
            [at] => (at, None),
            [at, size] => {
                let size = size.to_str().and_then(|size| size.strip_prefix("size="));
                let size = size.filter(|size| is_size(size));
                let why = "a size is a number, perhaps with K, M, G, T or % behind it";
                (at, Some(size.ok_or_else(|| bad(why))?.to_string()))
            }
            _ => return Err(bad("it is not DST[:size=SIZE]")),
        };
        let mount = Mount::memory(at, size);
        mount.check().map_err(bad)?;
        Ok(mount)
    }

    /// What is wrong with its paths.
    pub(crate) fn check(&self) -> std::result::Result<(), &'static str> {
        if !self.at.is_absolute() {
            return Err("the path inside is not absolute");
        }
        // The child would find another in its working directory, DIR.
        if matches!(&self.what, What::Bind { source, .. } if !source.is_absolute()) {
            return Err("the path of its source is not absolute");
        }
        if self
            .at
            .components()
            .any(|part| part == Component::ParentDir)
        {
            return Err("the path inside has a .. in it");
        }
        if clean(&self.at) == Path::new("/") {
            return Err("the root is what DIR shows");
        }
        Ok(())
    }
}

/// The fields between colons.
fn fields(text: &OsStr) -> Vec<OsString> {
    let mut fields = Vec::new();
    let mut field = Vec::new();
    let mut bytes = text.as_bytes().iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            (b'\\', Some(b':' | b'\\')) => field.extend(bytes.next()),
            (b':', _) => fields.push(OsString::from_vec(std::mem::take(&mut field))),
            (byte, _) => field.push(byte),
        }
    }
    fields.push(OsString::from_vec(field));
    fields
}

/// A part of memory, or as much as [`Size`] takes. None is as much as there is.
fn is_size(text: &str) -> bool {
    match text.strip_suffix('%') {
        Some(part) => digits::<u32>(part).is_some_and(|part| part > 0),
        None => matches!(text.parse(), Ok(Size(Some(1..)))),
    }
}

/// The path without what means nothing in its text: `.`, a component before
/// `..`, doubled slashes.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(text: &str) -> (String, String, bool) {
        let mount = Mount::bind(text).unwrap();
        let What::Bind { source, .. } = mount.what else {
            panic!("{text}")
        };
        let text = |path: PathBuf| path.to_str().unwrap().to_string();
        (text(source), text(mount.at), mount.read_only)
    }

    #[test]
    fn reads_binds() {
        let here = std::env::current_dir().unwrap();
        let here = here.to_str().unwrap();
        for (text, source, at, read_only) in [
            ("/a", "/a", "/a", false),
            ("/a:ro", "/a", "/a", true),
            ("/a:/b", "/a", "/b", false),
            ("/a:/b:ro", "/a", "/b", true),
            (r"/a\:b:/c\\d", "/a:b", r"/c\d", false),
            (r"/a\b", r"/a\b", r"/a\b", false),
            (".", here, here, false),
            ("/a/../b/c", "/a/../b/c", "/b/c", false),
            ("/a:/b//c/", "/a", "/b//c/", false),
        ] {
            let expected = (source.to_string(), at.to_string(), read_only);
            assert_eq!(bound(text), expected, "{text}");
        }
        for text in [
            "",
            ":/b",
            "/a:",
            "/a:b",
            "/a:/b:rw",
            "/a:/b:/c:ro",
            "/a:/",
            "/a:/b/../c",
        ] {
            assert_eq!(Mount::bind(text).unwrap_err().status(), 64, "{text}");
        }
    }

    #[test]
    fn reads_memory_file_systems() {
        let size = |text: &str| match Mount::tmpfs(text).unwrap().what {
            What::FileSystem { size, .. } => size,
            What::Bind { .. } => panic!("{text}"),
        };
        assert_eq!(size("/tmp"), None);
        assert_eq!(size("/tmp:size=64m").as_deref(), Some("64m"));
        assert_eq!(size("/tmp:size=4096").as_deref(), Some("4096"));
        assert_eq!(size("/tmp:size=10%").as_deref(), Some("10%"));
        for text in [
            "",
            "tmp",
            "/tmp:",
            "/tmp:64m",
            "/tmp:size=",
            "/tmp:size=1km",
            "/tmp:size=-1",
            "/tmp:size=0",
            "/tmp:size=1,mode=777",
            "/tmp:size=1:x",
            "/",
        ] {
            assert_eq!(Mount::tmpfs(text).unwrap_err().status(), 64, "{text}");
        }
    }
}
