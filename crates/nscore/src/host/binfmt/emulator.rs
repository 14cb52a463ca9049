//! The emulators of this machine: QEMU's user mode, by the names that distributions
//! give its programs, and whether they can be used where none of their files is.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{AtFlags, open};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{AccessFlags, faccessat};

use crate::exec::{candidate, environ, header};
use crate::host::binfmt::architecture::Architecture;
use crate::host::binfmt::handler::{Handler, Rule};
use crate::sys::path::FIND_DIR;

/// QEMU for one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Emulator {
    pub(crate) architecture: &'static Architecture,
    pub(crate) path: PathBuf,
    /// What has to be there for it to start; None when it is a static program.
    pub(crate) loader: Option<PathBuf>,
}

/// How the names of programs end that are static by their names.
const STATIC: &str = "-static";

/// The directories of PATH, each once, and open.
pub(crate) struct Places(Vec<(PathBuf, OwnedFd)>);

impl Emulator {
    /// That of a handler of the host's.
    pub(crate) fn of_handler(
        architecture: &'static Architecture,
        handler: &Handler,
    ) -> Option<Emulator> {
        Emulator::at(architecture, handler.interpreter.clone())
    }

    /// That program, which can be executed.
    fn at(architecture: &'static Architecture, path: PathBuf) -> Option<Emulator> {
        // Where a distribution has both kinds the name of the static one says so.
        let named_static = path.as_os_str().as_bytes().ends_with(STATIC.as_bytes());
        let loader = match named_static {
            true => None,
            false => {
                let mut start = Vec::new();
                let most = candidate::HEADER as u64;
                File::open(&path)
                    .ok()?
                    .take(most)
                    .read_to_end(&mut start)
                    .ok()?;
                header::interpreter(&start).map(|path| OsString::from_vec(path.to_vec()).into())
            }
        };
        Some(Emulator {
            architecture,
            path,
            loader,
        })
    }

    /// The handler that has it run the programs of its architecture. The kernel opens
    /// it now (F). It runs what may be executed and not read (O), set-id programs with
    /// their rights (C), and learns what a program was called (P): QEMU asks the kernel
    /// for that since version 6, which is older than any Linux 6.7.
    pub(crate) fn handler(&self) -> Handler {
        Handler {
            name: format!("qemu-{}", self.architecture.name).into(),
            rule: Rule::Begins(self.architecture.pattern()),
            interpreter: self.path.clone(),
            flags: "OCPF".to_string(),
        }
    }

    /// Whether somebody among these users of the host could change its file.
    pub(crate) fn is_exposed(&self, has_user: impl Fn(u32) -> bool) -> bool {
        // What cannot be looked at may be anybody's.
        fs::metadata(&self.path).map_or(true, |file| {
            file.mode() & 0o022 != 0 || has_user(file.uid())
        })
    }
}

impl Places {
    /// Ours.
    pub(crate) fn of_caller() -> Places {
        let path = std::env::var_os("PATH").unwrap_or_else(|| environ::PATH.into());
        Places::read(&path)
    }

    fn read(path: &OsStr) -> Places {
        let mut seen = BTreeSet::new();
        // An empty name is the working directory, and emulators are not looked for there.
        let dirs = std::env::split_paths(path).filter(|dir| dir.is_absolute());
        let open = |dir: PathBuf| {
            let fd = open(&dir, FIND_DIR, Mode::empty()).ok()?;
            let status = fstat(&fd).ok()?;
            // /bin is /usr/bin nearly everywhere.
            let new = seen.insert((status.st_dev, status.st_ino));
            (new && may_hold_any(&dir, status.st_size)).then_some((dir, fd))
        };
        Places(dirs.filter_map(open).collect())
    }

    /// The emulator of this architecture: a static one before any other.
    pub(crate) fn find(&self, architecture: &'static Architecture) -> Option<Emulator> {
        let name = format!("qemu-{}", architecture.name);
        let names = [format!("{name}{STATIC}"), name];
        let mut dynamic = None;
        for (dir, fd) in &self.0 {
            for name in &names {
                if faccessat(fd, name.as_str(), AccessFlags::X_OK, AtFlags::empty()).is_err() {
                    continue;
                }
                match Emulator::at(architecture, dir.join(name)) {
                    Some(found) if found.loader.is_none() => return Some(found),
                    found => dynamic = dynamic.or(found),
                }
            }
        }
        dynamic
    }
}

/// Whether to look for emulators in a directory of this size. A short list of names is read
/// sooner than it is asked for each of some seventy.
fn may_hold_any(dir: &Path, size: libc::off_t) -> bool {
    const SHORT: libc::off_t = 4096;
    let Some(names) = (size <= SHORT).then(|| fs::read_dir(dir).ok()).flatten() else {
        return true;
    };
    let mut names = names.flatten().map(|entry| entry.file_name());
    names.any(|name| name.as_bytes().starts_with(b"qemu-"))
}

/// The package that a static emulator comes with, on the distribution whose
/// os-release(5) this is.
pub(crate) fn package(os_release: &str, architecture: &Architecture) -> Option<String> {
    let value = |key: &str| {
        let line = os_release.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_matches(['"', '\'']))
    };
    let id = value("ID=")?;
    let like = value("ID_LIKE=").unwrap_or_default();
    std::iter::once(id).chain(like.split(' ')).find_map(|id| {
        Some(match id {
            // Static since version 13, where the other name stands for it.
            "debian" => {
                match value("VERSION_ID=").and_then(|version| version.parse::<u32>().ok()) {
                    Some(..13) => "qemu-user-static".to_string(),
                    _ => "qemu-user".to_string(),
                }
            }
            "ubuntu" | "fedora" | "arch" | "void" => "qemu-user-static".to_string(),
            "alpine" => format!("qemu-{}", architecture.name),
            "suse" | "opensuse" => "qemu-linux-user".to_string(),
            _ => return None,
        })
    })
}

/// What to install for it here.
pub(crate) fn to_install(architecture: &Architecture) -> String {
    let read = |path: &str| fs::read_to_string(Path::new(path)).ok();
    let text = read("/etc/os-release").or_else(|| read("/usr/lib/os-release"));
    match text.and_then(|text| package(&text, architecture)) {
        Some(package) => format!("install {package}"),
        None => format!("install a static qemu-{}", architecture.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::os::unix::fs::PermissionsExt as _;

    use crate::host::binfmt::architecture::named;

    #[test]
    fn packages_by_distribution() {
        let arm = named("aarch64").unwrap();
        let of = |text: &str| package(text, arm);
        assert_eq!(
            of("ID=debian\nVERSION_ID=\"12\"\n").unwrap(),
            "qemu-user-static"
        );
        assert_eq!(of("ID=debian\nVERSION_ID=\"13\"\n").unwrap(), "qemu-user");
        assert_eq!(of("NAME=x\nID=debian\n").unwrap(), "qemu-user");
        assert_eq!(
            of("ID=mint\nID_LIKE=\"ubuntu debian\"\n").unwrap(),
            "qemu-user-static"
        );
        assert_eq!(of("ID=\"alpine\"\n").unwrap(), "qemu-aarch64");
        assert_eq!(of("ID=\"void\"\n").unwrap(), "qemu-user-static");
        assert_eq!((of("ID=own\n"), of("")), (None, None));
    }

    #[test]
    fn a_static_emulator_goes_before_another() {
        let dir = std::env::temp_dir().join(format!("nscore-emulator-{}", std::process::id()));
        let make = |name: &str, text: &[u8], mode| {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        make("a/qemu-arm", b"#!/lib/loader\n", 0o755);
        make("b/qemu-arm-static", b"\x7fELF", 0o755);
        make("a/qemu-sh4", b"#!/lib/loader\n", 0o755);
        make("b/qemu-m68k-static", b"\x7fELF", 0o644);
        make("b/qemu-hppa", b"\x7fELF", 0o755);
        let path = format!("{0}/a:{0}/b:{0}/a:", dir.display());
        let path = Places::read(OsStr::new(&path));
        assert_eq!(path.0.len(), 2);
        let found = |name: &str| {
            let found = path.find(named(name).unwrap())?;
            let name = found.path.strip_prefix(&dir).unwrap().to_owned();
            Some((name.to_str()?.to_string(), found.loader.is_some()))
        };
        assert_eq!(found("arm"), Some(("b/qemu-arm-static".into(), false)));
        assert_eq!(found("sh4"), Some(("a/qemu-sh4".into(), true)));
        assert_eq!(found("hppa"), Some(("b/qemu-hppa".into(), false)));
        assert_eq!((found("m68k"), found("alpha")), (None, None));
        fs::remove_dir_all(dir).unwrap();
    }
}
