//! Whole machines: whether a command is the init of one, by the file that it is
//! in the root.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::{SFlag, fstat};

use crate::error::c_string;
use crate::exec::environ;
use crate::host::inits;
use crate::spec::{Changes, Spec};
use crate::sys::path::{self, FIND_DIR};

/// The file that a command is, at the end of all links.
pub(crate) struct InitFile {
    pub(crate) name: OsString,
    /// It begins with "#!", so the kernel runs another.
    script: bool,
}

/// Whether the command is an init that has consoles to give away. As long as
/// process 1 has a terminal nobody else's session can have it, so the shell of
/// a login there would be without job control: no kernel gives its init one.
pub(crate) fn is_init(spec: &Spec, command: &[OsString]) -> bool {
    let called = command.first().map(Path::new).and_then(Path::file_name);
    // What is called like none of them costs no look.
    let Some(called) = called.filter(|name| inits::method(name, name).is_some()) else {
        return false;
    };
    let is_one =
        |program: InitFile| !program.script && inits::method(&program.name, called).is_some();
    program(spec, command).is_some_and(is_one)
}

/// The program that init is to be, if there is any and it is init itself.
pub(crate) fn program(spec: &Spec, command: &[OsString]) -> Option<InitFile> {
    let program = command.first().filter(|_| !spec.init)?;
    let candidates: Vec<PathBuf> = if program.as_encoded_bytes().contains(&b'/') {
        vec![program.into()]
    } else {
        let dirs = environ::PATH.split(':');
        dirs.map(|dir| Path::new(dir).join(program)).collect()
    };
    let layers = layers(spec)?;
    candidates.iter().find_map(|path| layers.find(path))
}

/// The directories that a root is made of, the uppermost first.
pub(crate) struct Layers(Vec<OwnedFd>);

/// Those of this container's.
pub(crate) fn layers(spec: &Spec) -> Option<Layers> {
    let open = |dir: &Path| path::open(dir, FIND_DIR).ok();
    let changes = match &spec.changes {
        Changes::Directory(dir) => open(&dir.join("changes")),
        Changes::InPlace | Changes::Memory => None,
    };
    let layers = changes.into_iter().chain([open(&spec.root)?]);
    Some(Layers(layers.collect()))
}

impl Layers {
    /// This directory alone.
    pub(crate) fn of(dir: &Path) -> Option<Layers> {
        let dir = path::open(dir, FIND_DIR).ok()?;
        Some(Layers(vec![dir]))
    }

    /// The program at this path of the root's.
    pub(crate) fn find(&self, path: &Path) -> Option<InitFile> {
        let (file, at) = self.follow(path)?;
        let mut start = [0; 2];
        let script = contents(&file).is_some_and(|mut file| file.read_exact(&mut start).is_ok())
            && start == *b"#!";
        Some(InitFile {
            name: at.file_name()?.to_os_string(),
            script,
        })
    }

    /// How the file at this path of the root's begins: as many bytes at most.
    pub(crate) fn read(&self, path: &Path, most: usize) -> Option<Vec<u8>> {
        let file = match &self.0[..] {
            // The kernel finds it at once.
            [root] => {
                let below = c_string(path.as_os_str()).ok()?;
                path::open_in_root(root.as_fd(), &below, OFlag::O_PATH).ok()?
            }
            _ => self.follow(path)?.0,
        };
        let mut start = vec![0; most];
        let len = contents(&file)?.read(&mut start).ok()?;
        start.truncate(len);
        Some(start)
    }

    /// Follows the path through all layers at once, as the overlay of them would. The
    /// path returned has no link in it.
    fn follow(&self, path: &Path) -> Option<(OwnedFd, PathBuf)> {
        // As many links as the kernel follows, path_resolution(7).
        let mut links = 40;
        let mut ahead: Vec<OsString> = names(path);
        let mut at = PathBuf::new();
        let mut file = None;
        while let Some(name) = ahead.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            at.push(&name);
            let found = uppermost(&self.0, &at)?;
            if path::kind(fstat(&found).ok()?.st_mode) == SFlag::S_IFLNK {
                links -= 1;
                let target = PathBuf::from(readlinkat(&found, c"").ok().filter(|_| links > 0)?);
                if target.is_absolute() {
                    at.clear();
                } else {
                    at.pop();
                }
                ahead.append(&mut names(&target));
            } else {
                file = Some(found);
            }
        }
        Some((file?, at))
    }
}

/// To open anything else but a file could wait, or have an effect.
fn contents(file: &OwnedFd) -> Option<File> {
    let known = format!("/proc/self/fd/{}", file.as_raw_fd());
    let is_file = path::kind(fstat(file).ok()?.st_mode) == SFlag::S_IFREG;
    // Somebody's lease on it could keep us waiting, open(2).
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
    let open = || path::open(known.as_str(), flags).ok();
    is_file.then(open)?.map(File::from)
}

/// The names of a path, the last one first.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_os_string()),
        _ => None,
    });
    names.rev().collect()
}

/// What the first layer that has something there has, unless it hides what lies below.
fn uppermost(layers: &[OwnedFd], at: &Path) -> Option<OwnedFd> {
    let at = c_string(at).ok()?;
    let has = |layer: &OwnedFd| path::open_below(layer.as_fd(), &at, OFlag::O_PATH).ok();
    let found = layers.iter().find_map(has)?;
    let status = fstat(&found).ok()?;
    let hidden = path::kind(status.st_mode) == SFlag::S_IFCHR && status.st_rdev == 0;
    (!hidden).then_some(found)
}

/// Whether the command is systemd, as the root has it: often by way of a link,
/// from /sbin/init.
pub(crate) fn is_systemd(spec: &Spec, command: &[OsString]) -> bool {
    let name = command
        .first()
        .and_then(|program| Path::new(program).file_name());
    [Some(OsStr::new("init")), Some(OsStr::new("systemd"))].contains(&name)
        && program(spec, command).is_some_and(|program| program.name == "systemd")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    use crate::spec::{Changes, Spec};

    #[test]
    fn an_init_by_its_file() {
        let root = std::env::temp_dir().join(format!("nscore-machine-{}", std::process::id()));
        fs::create_dir_all(root.join("sbin")).unwrap();
        fs::write(root.join("sbin/runit-init"), "\x7fELF").unwrap();
        fs::write(root.join("sbin/busybox"), "\x7fELF").unwrap();
        fs::write(root.join("sbin/true"), "\x7fELF").unwrap();
        let is = |word: &str| is_init(&Spec::new(&root), &[word.into()]);
        let init = root.join("sbin/init");
        for (target, wanted) in [("runit-init", true), ("busybox", true), ("true", false)] {
            std::os::unix::fs::symlink(target, &init).unwrap();
            assert_eq!(is("/sbin/init"), wanted, "{target}");
            assert_eq!(is("init"), wanted, "{target}");
            fs::remove_file(&init).unwrap();
        }
        assert!(!is("/sbin/init") && !is("/sbin/busybox") && !is("/sbin/true") && !is("/"));
        fs::write(&init, "\x7fELF").unwrap();
        assert!(is("/sbin/init"));
        fs::write(&init, "#!/bin/sh\n").unwrap();
        assert!(!is("/sbin/init"), "a script");
        let mut under_init = Spec::new(&root);
        under_init.init = true;
        assert!(!is_init(&under_init, &["/sbin/runit-init".into()]));
        // Installed in the upper directory, by a link that leads through both.
        let upper = root.join("upper");
        fs::create_dir_all(upper.join("changes/sbin")).unwrap();
        let init = upper.join("changes/sbin/init");
        std::os::unix::fs::symlink("/bin/../sbin/runit-init", init).unwrap();
        fs::create_dir_all(root.join("bin")).unwrap();
        let mut changed = Spec::new(&root);
        changed.changes = Changes::Directory(upper);
        assert!(is_init(&changed, &["/sbin/init".into()]));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn follows_links_inside_the_root() {
        let root = std::env::temp_dir().join(format!("nscore-systemd-{}", std::process::id()));
        let make = |dir: &str| fs::create_dir_all(root.join(dir)).unwrap();
        make("usr/lib/systemd");
        make("usr/sbin");
        make("usr/bin");
        fs::write(root.join("usr/lib/systemd/systemd"), "").unwrap();
        fs::write(root.join("usr/bin/systemd"), "").unwrap();
        let link = |to: &str, from: &str| std::os::unix::fs::symlink(to, root.join(from)).unwrap();
        link("usr/sbin", "sbin");
        link("/lib/systemd/systemd", "usr/sbin/init");
        link("usr/lib", "lib");
        link("/usr/bin/true", "usr/bin/init");
        let is = |words: &[&str]| {
            let command: Vec<OsString> = words.iter().map(OsString::from).collect();
            is_systemd(&Spec::new(&root), &command)
        };
        assert!(is(&["/sbin/init"]) && is(&["/sbin/init", "3"]) && is(&["init"]));
        assert!(is(&["/lib/systemd/systemd"]) && is(&["../sbin/init"]));
        for other in ["/bin/sh", "/usr/bin/init", "/no/init", "", "/usr"] {
            assert!(!is(&[other]), "{other}");
        }
        assert!(!is(&[]));
        let mut under_init = Spec::new(&root);
        under_init.init = true;
        assert!(!is_systemd(&under_init, &["/sbin/init".into()]));
        fs::remove_dir_all(root).unwrap();
    }
}
