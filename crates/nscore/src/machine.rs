//! Whole machines: whether a command is the init of one, by the file that it is
//! in the root.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use crate::exec::{self, c_string};
use crate::spec::Spec;
use crate::stop;
use crate::sys::path;

/// The file that a command is, at the end of all links.
pub(crate) struct Program {
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
    let Some(called) = called.filter(|name| stop::method(name, name).is_some()) else {
        return false;
    };
    let is_one =
        |program: Program| !program.script && stop::method(&program.name, called).is_some();
    program(spec, command).is_some_and(is_one)
}

/// The program that init is to be, if there is any and it is init itself.
pub(crate) fn program(spec: &Spec, command: &[OsString]) -> Option<Program> {
    let program = command.first().filter(|_| !spec.init)?;
    let candidates: Vec<PathBuf> = if program.as_encoded_bytes().contains(&b'/') {
        vec![program.into()]
    } else {
        let dirs = exec::PATH.split(':');
        dirs.map(|dir| Path::new(dir).join(program)).collect()
    };
    candidates
        .iter()
        .find_map(|path| find(&spec.root, path.as_os_str()))
}

fn find(root: &Path, path: &OsStr) -> Option<Program> {
    let find = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let root = open(root, find | OFlag::O_DIRECTORY, Mode::empty()).ok()?;
    let file = path::open_in_root(root.as_fd(), &c_string(path).ok()?, find).ok()?;
    let known = format!("/proc/self/fd/{}", file.as_raw_fd());
    let name = fs::read_link(&known).ok()?.file_name()?.to_os_string();
    // To open anything else but a file could wait, or have an effect.
    let mut start = [0; 2];
    let script = fs::metadata(&known).is_ok_and(|file| file.is_file())
        && File::open(&known).is_ok_and(|mut file| file.read_exact(&mut start).is_ok())
        && start == *b"#!";
    Some(Program { name, script })
}

#[cfg(test)]
mod tests {
    use super::*;

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
        fs::remove_dir_all(root).unwrap();
    }
}
