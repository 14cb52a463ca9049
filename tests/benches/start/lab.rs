//! The temporary directory of one benchmark run: the programs under test, the
//! reference program, and a busybox root.

use std::env;
use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::calls::{self, Abi};
use crate::person::{Person, User};
use crate::process::Program;
use crate::tree;

const TOOLS: [&str; 3] = ["contain", "pseudo", "inject"];
const REFERENCE: [(&str, &str); 4] = [
    ("reference.h", include_str!("reference/reference.h")),
    ("reference.c", include_str!("reference/reference.c")),
    ("inside.c", include_str!("reference/inside.c")),
    ("console.c", include_str!("reference/console.c")),
];

/// The instructions of contain's default filter, as C initializers.
fn filter() -> String {
    let abis = Abi::of(env::consts::ARCH).iter();
    let program = tree::program(abis.map(|abi| (abi.audit(), calls::default(*abi))));
    let lines = program
        .iter()
        .map(|i| format!("{{{:#x}, {}, {}, {:#x}}},\n", i.code, i.jt, i.jf, i.k));
    lines.collect()
}

pub struct Lab {
    pub dir: PathBuf,
    pub person: Person,
    pub root: PathBuf,
    reference: PathBuf,
    ours: PathBuf,
    original: Option<PathBuf>,
}

impl Lab {
    pub fn build() -> Result<Self> {
        let person = Person::caller()?;
        let dir = env::temp_dir().join(format!("contain-bench-{}", std::process::id()));
        make_dir(&dir)?;
        let original = env::var_os("ORIGINAL").map(PathBuf::from);
        let lab = Self {
            person,
            root: dir.join("root"),
            reference: dir.join("reference"),
            ours: dir.join("ours"),
            original: original.is_some().then(|| dir.join("original")),
            dir,
        };
        copy_tools(&under_test()?, &lab.ours)?;
        if let (Some(from), Some(to)) = (&original, &lab.original) {
            copy_tools(from, to)?;
        }
        lab.compile_reference()?;
        lab.make_root()?;
        Ok(lab)
    }

    /// Our program of that name.
    pub fn ours(&self, name: &str) -> Program {
        Program::new(name, self.ours.join(name))
    }

    /// The other implementation's, if there is one.
    pub fn original(&self, name: &str) -> Option<Program> {
        let dir = self.original.as_ref()?;
        Some(Program::new(&format!("original {name}"), dir.join(name)))
    }

    /// The reference program with the person's maps, up to its DIR.
    pub fn reference(&self, label: &str, options: &str) -> Program {
        let Person {
            uid_map, gid_map, ..
        } = &self.person;
        Program::new(label, &self.reference)
            .args(options)
            .arg(uid_map)
            .arg(gid_map)
    }

    /// The same benchmark for an ordinary user, started by root: with a directory of
    /// the user's own, and with copies that the user may execute.
    pub fn run_as(&self, user: &User, arguments: &[String]) -> Result<()> {
        let dir = self.dir.join(&user.name);
        make_dir(&dir)?;
        lchown(&dir, Some(user.uid), Some(user.gid))?;
        let program = self.dir.join("benchmark");
        fs::copy(env::current_exe()?, &program)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&dir)
            .env("TMPDIR", &dir);
        command.env("CONTAIN_UNDER_TEST", &self.ours);
        if let Some(original) = &self.original {
            command.env("ORIGINAL", original);
        }
        let status = command.uid(user.uid).gid(user.gid).status()?;
        ensure!(
            status.success(),
            "the benchmark as {} failed: {status}",
            user.name
        );
        Ok(())
    }

    fn compile_reference(&self) -> Result<()> {
        let source = self.dir.join("source");
        make_dir(&source)?;
        let linked = source.join("reference");
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-static", "-Wall", "-Wextra", "-o"])
            .arg(&linked);
        fs::write(source.join("filter.h"), filter())?;
        for (name, text) in REFERENCE {
            let path = source.join(name);
            fs::write(&path, text)?;
            if name.ends_with(".c") {
                cc.arg(path);
            }
        }
        let status = cc.status().context("cannot run cc")?;
        ensure!(
            status.success(),
            "cannot compile the reference program: cc: {status}"
        );
        install(&linked, &self.reference)
    }

    /// A busybox root that container root owns.
    fn make_root(&self) -> Result<()> {
        let root = &self.root;
        for name in ["", "bin", "dev", "proc", "sys", "tmp"] {
            make_dir(&root.join(name))?;
        }
        let busybox = find_tool("busybox").context("busybox is not installed")?;
        install(busybox.as_ref(), &root.join("bin/busybox"))?;
        for name in ["cat", "sh", "sleep", "true"] {
            symlink("busybox", root.join("bin").join(name))?;
        }
        if self.person.is_root() {
            give_away(root, self.person.root_owner())?;
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("cannot remove {}: {error}", self.dir.display());
        }
    }
}

/// A tool of the host, by a shell's rules.
pub fn find_tool(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

fn under_test() -> Result<PathBuf> {
    if let Some(dir) = env::var_os("CONTAIN_UNDER_TEST") {
        return Ok(dir.into());
    }
    // We are target/TRIPLE/release/deps/start-HASH.
    let own = env::current_exe()?;
    Ok(own
        .ancestors()
        .nth(2)
        .context("no directory above this program")?
        .into())
}

/// Copied to where ordinary users may execute them, too.
fn copy_tools(from: &Path, to: &Path) -> Result<()> {
    make_dir(to)?;
    for name in TOOLS {
        let source = from.join(name);
        let target = to.join(name);
        install(&source, &target).context("is it built? (cargo build --release)")?;
    }
    Ok(())
}

/// Copies a program by a single write: the page cache then holds it in large
/// pieces. Those that a linker leaves there depend on the linker, and to map small
/// ones is a tenth of a start.
fn install(program: &Path, to: &Path) -> Result<()> {
    let text = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))?;
    Ok(fs::set_permissions(to, Permissions::from_mode(0o755))?)
}

fn make_dir(path: &Path) -> Result<()> {
    let made = DirBuilder::new().mode(0o755).create(path);
    made.with_context(|| format!("cannot create {}", path.display()))?;
    // The caller's umask may have been stricter.
    Ok(fs::set_permissions(path, Permissions::from_mode(0o755))?)
}

fn give_away(path: &Path, (uid, gid): (u32, u32)) -> Result<()> {
    lchown(path, Some(uid), Some(gid))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            give_away(&entry?.path(), (uid, gid))?;
        }
    }
    Ok(())
}
