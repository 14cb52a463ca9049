//! Names that resolve: the container's own copy of the host's
//! /etc/resolv.conf, resolv.conf(5), which follows the host's.
//!
//! The child makes the copy in memory, mounts it over what the root has under
//! that name, be it a file or a link, and sends its descriptor; by that alone we
//! write to it later.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::host::resolv::{self, HOST};
use crate::plan::network::{FORWARDER, Resolver};

/// The text without the name servers on the localhost, which is another one inside.
/// Where there are no others, the forwarder is in their place.
pub(crate) fn forwarded(text: &[u8]) -> Vec<u8> {
    let mut told = resolv::has_others(text);
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match resolv::name_server(line) {
            Some(address) if address.is_loopback() => {
                if !std::mem::replace(&mut told, true) {
                    out.extend(format!("nameserver {FORWARDER}\n").bytes());
                }
            }
            _ => out.extend(line),
        }
    }
    out
}

/// The copy of a running container.
pub(crate) struct Mirror {
    resolver: Resolver,
    file: File,
    /// What we wrote last.
    text: Vec<u8>,
    /// When to begin to follow.
    begin: Option<Instant>,
    changes: Option<Inotify>,
}

/// A container that ends sooner need not follow: to end a watch takes the kernel
/// longer than such a container lives.
const SETTLED: Duration = Duration::from_secs(1);

impl Mirror {
    /// A copy that holds `text`, soon to follow the host's file.
    pub(crate) fn new(resolver: Resolver, copy: OwnedFd, text: Vec<u8>) -> Mirror {
        Mirror {
            resolver,
            file: copy.into(),
            text,
            begin: Some(Instant::now() + SETTLED),
            changes: None,
        }
    }

    /// When [`begin`](Self::begin) is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.begin
    }

    /// Begins to follow, if that is due. Where the kernel grants no watch, of
    /// which a user can have 128, the copy stays as it is.
    pub(super) fn begin(&mut self) {
        if self
            .begin
            .take_if(|begin| *begin <= Instant::now())
            .is_none()
        {
            return;
        }
        let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
        self.changes = Inotify::init(flags).ok();
        // It may have changed since it was read.
        self.follow();
    }

    /// Readable once something has changed.
    pub(super) fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.changes.as_ref().map(Inotify::as_fd)
    }

    /// Writes what the host's file holds now, unless somebody inside has made
    /// the copy their own.
    pub(super) fn follow(&mut self) {
        let Some(changes) = &self.changes else {
            return;
        };
        // Which of the names it was matters less than what it holds.
        while changes.read_events().is_ok() {}
        watch(changes);
        let Some(text) = self.resolver.text().filter(|text| *text != self.text) else {
            return;
        };
        // One byte more than it should hold, to see whether it does.
        let mut held = vec![0; self.text.len() + 1];
        let len = self.file.read_at(&mut held, 0).unwrap_or(0);
        if held[..len] != self.text {
            return;
        }
        // A container that has filled its memory keeps what it has.
        let written = self.file.write_all_at(&text, 0);
        if written.is_ok() && self.file.set_len(text.len() as u64).is_ok() {
            self.text = text;
        }
    }
}

/// Watches the file, wherever links lead, and the directories in which
/// another may take its place. Watching again is no second watch.
fn watch(changes: &Inotify) {
    let file = AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_DELETE_SELF;
    let directory = AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_ONLYDIR;
    let watch = |path: &Path, what| {
        // What cannot be watched is not followed.
        let _ = changes.add_watch(path, what);
    };
    let real = fs::canonicalize(HOST).ok();
    let names = [Some(Path::new(HOST)), real.as_deref()];
    for dir in names.into_iter().flatten().filter_map(Path::parent) {
        watch(dir, directory);
    }
    if let Some(real) = &real {
        watch(real, file);
    }
}

impl Resolver {
    /// What the copy is to hold now; None where the host has no such file, or
    /// an empty one, as one is that somebody is just writing.
    pub(crate) fn text(self) -> Option<Vec<u8>> {
        let mut text = resolv::text()?;
        if self.forwarded {
            text = forwarded(&text);
        }
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_on_the_localhost_are_left_to_others() {
        let text = "# 127.0.0.1\nnameserver 127.0.0.53\nnameserver  ::1\n\tnameserver 10.0.0.1\n\
                    search nameserver 127.0.0.1\noptions edns0 trust-ad\nnameserver 127.0.1.1";
        let wanted = "# 127.0.0.1\n\tnameserver 10.0.0.1\n\
                      search nameserver 127.0.0.1\noptions edns0 trust-ad\n";
        let result = forwarded(text.as_bytes());
        assert_eq!(String::from_utf8(result).unwrap(), wanted);
        let same = b"nameserver fd00::1\r\nnameserver\n\xff\n";
        assert_eq!(forwarded(same), same);
    }

    #[test]
    fn a_forwarder_stands_for_the_localhost() {
        let text = b"search test\nnameserver 127.0.0.53\nnameserver ::1\noptions edns0\n";
        let wanted = b"search test\nnameserver 169.254.1.1\noptions edns0\n";
        assert_eq!(forwarded(text), wanted);
    }
}
