//! What a container will show at its paths, seen before there is one.

use std::path::{Component, Path, PathBuf};

use crate::decide::mounts::host_tools::is_tools;
use crate::host::machine::{self, Layers};
use crate::spec::Spec;
use crate::spec::mounts::{What, clean};

/// The root file system, and the binds over it.
pub(super) struct Files<'a> {
    root: Layers,
    binds: Vec<(PathBuf, &'a Path)>,
    /// The host's programs are shown.
    host_tools: bool,
}

impl Files<'_> {
    /// None where the root cannot be opened.
    pub(super) fn of(spec: &Spec) -> Option<Files<'_>> {
        let binds = spec.mounts.iter().filter_map(|mount| match &mount.what {
            What::Bind { source, .. } => Some((clean(&mount.at), source.as_path())),
            What::FileSystem { .. } => None,
        });
        Some(Files {
            root: machine::layers(spec)?,
            binds: binds.collect(),
            host_tools: spec.host_tools,
        })
    }

    /// How the file at this path begins: as many bytes at most.
    pub(super) fn read(&self, path: &Path, most: usize) -> Option<Vec<u8>> {
        self.look(path, |layers, path| layers.read(path, most))
    }

    /// The name of the file at this path, at the end of all links.
    pub(super) fn name(&self, path: &Path) -> Option<std::ffi::OsString> {
        self.look(path, |layers, path| Some(layers.find(path)?.name))
    }

    /// Looks in the uppermost of what is mounted there. A link that leads from one mount
    /// to another is not followed: what is behind it remains unknown.
    fn look<T>(&self, path: &Path, look: impl Fn(&Layers, &Path) -> Option<T>) -> Option<T> {
        let known = clean(path);
        let binds = self.binds.iter().filter(|(at, _)| known.starts_with(at));
        let Some((at, source)) = binds.max_by_key(|(at, _)| at.components().count()) else {
            return match self.host_tools && is_of_host(&known) {
                true => look(&Layers::of(Path::new("/"))?, &known),
                false => look(&self.root, path),
            };
        };
        let source = source.canonicalize().ok()?;
        let rest = known.strip_prefix(at).ok()?;
        match rest.as_os_str().is_empty() {
            true => look(
                &Layers::of(source.parent()?)?,
                Path::new(source.file_name()?),
            ),
            false => look(&Layers::of(&source)?, rest),
        }
    }
}

/// Whether the path begins with a directory of the host's programs.
fn is_of_host(path: &Path) -> bool {
    let mut names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    names.next().is_some_and(is_tools)
}
