//! Writing the generated files, and installing them with the programs.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::completions::Shell;
use crate::{pages, programs, workspace};

/// A generated file and the directory below the prefix where it is looked for.
struct Generated {
    name: String,
    home: &'static str,
    text: String,
}

fn generated() -> Result<Vec<Generated>> {
    let mut files = Vec::new();
    for program in programs() {
        files.push(Generated {
            name: format!("{}.1", program.name()),
            home: "share/man/man1",
            text: pages::man(&program)?,
        });
        for shell in Shell::ALL {
            files.push(Generated {
                name: shell.file_name(program.name()),
                home: shell.home(),
                text: shell.complete(&program.command)?,
            });
        }
    }
    Ok(files)
}

/// Writes them all to `dir`.
pub(crate) fn write(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    for file in generated()? {
        let path = dir.join(file.name);
        fs::write(&path, file.text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Builds the programs for release and installs all there is.
pub(crate) fn install(prefix: &Path) -> Result<()> {
    let prefix = destination(prefix, std::env::var_os("DESTDIR"))?;
    let names = programs().map(|program| program.name().to_string());
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let packages = names.iter().flat_map(|name| ["--package", name]);
    run(Command::new(cargo)
        .args(["build", "--release"])
        .args(packages)
        .current_dir(workspace()))?;

    let built = release_dir()?;
    let programs = names.map(|name| built.join(name));
    copy(&programs, &prefix.join("bin"), "755")?;
    let staging = built.join("pages");
    write(&staging)?;
    for file in generated()? {
        copy(&[staging.join(file.name)], &prefix.join(file.home), "644")?;
    }
    println!("installed in {}", prefix.display());
    Ok(())
}

/// The prefix, below $DESTDIR where there is one.
fn destination(prefix: &Path, destdir: Option<OsString>) -> Result<PathBuf> {
    let prefix = std::path::absolute(prefix).context("cannot use an empty prefix")?;
    Ok(match destdir.filter(|dir| !dir.is_empty()) {
        Some(dir) => Path::new(&dir).join(prefix.strip_prefix("/")?),
        None => prefix,
    })
}

/// Beside the directory of this very program: the same target and the same
/// target directory, however they were chosen.
fn release_dir() -> Result<PathBuf> {
    let this = std::env::current_exe().context("cannot find this program")?;
    let profiles = this
        .ancestors()
        .nth(2)
        .context("cannot find the target directory")?;
    Ok(profiles.join("release"))
}

/// install(1) replaces a program that runs, and sets the mode whatever the
/// umask and the mode before: a setuid bit does not survive.
fn copy(files: &[PathBuf], dir: &Path, mode: &str) -> Result<()> {
    run(Command::new("install")
        .args(["-D", "-m", mode, "-t"])
        .arg(dir)
        .args(files))
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot run {name}"))?;
    ensure!(status.success(), "{name} failed: {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destdir_stands_before_the_prefix() {
        let shown = |prefix: &str, destdir: Option<&str>| {
            destination(Path::new(prefix), destdir.map(Into::into))
                .map(|path| path.display().to_string())
                .ok()
        };
        assert_eq!(
            shown("/usr", Some("/tmp/pkg")).as_deref(),
            Some("/tmp/pkg/usr")
        );
        assert_eq!(shown("/usr", Some("")).as_deref(), Some("/usr"));
        assert_eq!(shown("/usr", None).as_deref(), Some("/usr"));
        assert_eq!(shown("", None), None);
    }
}
