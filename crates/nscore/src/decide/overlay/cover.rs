//! Covering a root with overlays: one on each directory that the kernel takes
//! as a lower layer, and plain directories in between where it does not.

use std::ffi::CString;
use std::path::{Path, PathBuf};

use nix::sys::stat::SFlag;

use crate::decide::below::{Below, join};
use crate::decide::overlay::mounts::{self, Submount};
use crate::decide::overlay::seed::Seed;
use crate::error::{Result, c_string};
use crate::plan::overlay::{
    HidePart, Layer, LayerSource, Merge, OverlayStep, PathMode, StoreSource,
};
use crate::plan::tree::Tree;
use crate::sys::path::Known;

/// Which directories get an overlay and which are made anew.
pub(super) struct Cover<'a> {
    root: &'a Below,
    /// What is mounted below it.
    mounts: Vec<Submount>,
    /// The root's owner is one that the container knows.
    owned: bool,
    /// The changes are new ones, as far as can be told now.
    fresh: bool,
    layers: Vec<(PathBuf, LayerSource)>,
    /// Directories, files and links of the changes, parents first.
    dirs: Vec<PathMode>,
    files: Vec<PathMode>,
    links: Vec<(CString, CString)>,
    /// The root itself is made anew.
    base: bool,
    /// What is there but not shown.
    missing: Vec<PathBuf>,
}

impl<'a> Cover<'a> {
    /// Nothing is covered yet.
    pub(super) fn new(root: &'a Below, owned: bool, fresh: bool) -> Result<Cover<'a>> {
        Ok(Cover {
            root,
            mounts: mounts::below(root.path())?,
            owned,
            fresh,
            layers: Vec::new(),
            dirs: Vec::new(),
            files: Vec::new(),
            links: Vec::new(),
            base: false,
            missing: Vec::new(),
        })
    }

    /// One overlay on the root's tree, the last one, and one on that of each mount
    /// below, which are added.
    pub(super) fn with_trees(&mut self, name: &Known, trees: &mut Vec<Tree>) -> Result<()> {
        self.layers
            .push((PathBuf::new(), LayerSource::Tree(trees.len() - 1)));
        // A mount's own mounts after it.
        self.mounts.sort_by(|a, b| a.at.cmp(&b.at));
        for mount in std::mem::take(&mut self.mounts) {
            if mounts::is_own(&mount.at) || mount.is_kernel() {
                continue;
            }
            let directory = self.root.directory_mode(&mount.at).is_some();
            if !directory || !mount.is_fit() || mount.is_overlay() {
                self.missing.push(mount.at);
                continue;
            }
            for parent in parents(&mount.at) {
                self.directory(&parent)?;
            }
            trees.push(Tree::Part(name.clone(), c_string(&mount.at)?));
            self.layers
                .push((mount.at, LayerSource::Tree(trees.len() - 1)));
        }
        Ok(())
    }

    /// Covers the directory `at`, which the child will find in its own root.
    pub(super) fn add(&mut self, at: &Path) -> Result<()> {
        let mounted = self.mounts.iter().find(|mount| mount.at == at);
        let unfit = mounted.is_some_and(|mount| !mount.is_fit());
        let kernel = mounted.is_some_and(Submount::is_kernel);
        let listing = self.root.list(at);
        let inner = |mount: &Submount| mount.at != at && mount.at.starts_with(at);
        if listing.is_some() && !unfit && !self.mounts.iter().any(inner) {
            self.layers.push((at.to_path_buf(), LayerSource::Same));
            return Ok(());
        }
        if at.as_os_str().is_empty() {
            self.base = true;
        } else {
            self.directory(at)?;
        }
        let Some(listing) = listing.filter(|_| !unfit) else {
            if !kernel {
                self.missing.push(at.to_path_buf());
            }
            return Ok(());
        };
        for (name, kind) in &listing.names {
            let at = join(at, name);
            match *kind {
                _ if mounts::is_own(&at) => {}
                SFlag::S_IFDIR => self.add(&at)?,
                SFlag::S_IFLNK => {
                    if let Some(target) = listing.link(name) {
                        let link = (c_string(at.as_os_str())?, c_string(&target)?);
                        self.links.push(link);
                    }
                }
                SFlag::S_IFREG => match listing.small_file(name) {
                    Some(mode) => self.files.push(entry(&at, mode)?),
                    None => self.missing.push(at),
                },
                // Sockets, pipes and devices are nothing without their owner.
                _ => {}
            }
        }
        Ok(())
    }

    fn directory(&mut self, at: &Path) -> Result<()> {
        let mode = self.root.directory_mode(at).unwrap_or(0o755);
        self.dirs.push(entry(at, mode)?);
        Ok(())
    }

    /// What the container will miss, below the root.
    pub(super) fn missing(&self, seed: &Seed) -> Vec<PathBuf> {
        let hidden = seed.hidden.iter().filter(|dir| !self.missing.contains(dir));
        let mut names: Vec<_> = self.missing.iter().chain(hidden).cloned().collect();
        names.sort();
        names
    }

    /// The child's steps: first every layer, then what the changes begin with,
    /// and the overlays last, because a layer that is changed beneath its
    /// overlay is no defined thing. For the same reason, of two upper layers one
    /// in the other the inner one's overlay is made first, and attached last.
    pub(super) fn steps(&self, source: StoreSource, seed: Seed) -> Result<Vec<OverlayStep>> {
        let mut steps = vec![OverlayStep::Scratch, OverlayStep::Store(source)];
        // Every start needs the mount points; the rest is there once it was.
        steps.extend(some(OverlayStep::MakeDirs, self.dirs.clone()));
        let (mut merges, mut attach) = (Vec::new(), Vec::new());
        let in_memory = source == StoreSource::Memory;
        let masks = self.masks(&seed.hidden)?;
        for (number, (at, source)) in self.layers.iter().enumerate() {
            let depth = at.components().count();
            let scratch = "../".repeat(depth + 2);
            let masked = masks.iter().any(|(layer, _)| *layer == number);
            let lower = if masked {
                format!("{scratch}mask/{number}:{scratch}lower/{number}")
            } else {
                format!("{scratch}lower/{number}")
            };
            let work = format!("{}work/{number}", "../".repeat(depth + 1));
            let at = c_string(at)?;
            steps.push(OverlayStep::Layer(Layer {
                at: at.clone(),
                lower: c_string(format!("lower/{number}"))?,
                number: c_string(number.to_string())?,
                source: *source,
                owned: self.owned,
                in_memory,
            }));
            let keep = match source {
                LayerSource::Same => None,
                LayerSource::Tree(index) => {
                    attach.push(OverlayStep::Attach(at.clone(), *index));
                    Some(*index)
                }
            };
            merges.push(OverlayStep::Merge(Merge {
                at,
                lower: c_string(lower)?,
                work: c_string(work)?,
                keep,
            }));
        }
        if self.fresh {
            let files = [self.files.clone(), entries(&seed.files)?].concat();
            let once = [
                some(OverlayStep::Link, self.links.clone()),
                some(OverlayStep::MakeDirs, entries(&seed.dirs)?),
                some(OverlayStep::Copy, files),
            ];
            let begun = (!in_memory).then_some(OverlayStep::Begun);
            let once = once.into_iter().flatten().chain(begun);
            steps.extend(once.map(|step| OverlayStep::Once(Box::new(step))));
        }
        let masks = masks.into_iter().map(|(_, mask)| mask).collect();
        steps.extend(some(OverlayStep::Hide, masks));
        if self.base {
            steps.push(OverlayStep::Base);
        }
        merges.reverse();
        steps.extend(merges.into_iter().chain(attach));
        Ok(steps)
    }

    /// A whiteout over each hidden directory, in a layer between: the overlay
    /// looks no further down, and what the upper layer has is all there is.
    fn masks(&self, hidden: &[PathBuf]) -> Result<Vec<(usize, HidePart)>> {
        let mut masks: Vec<(usize, HidePart)> = Vec::new();
        for dir in hidden {
            let layers = self.layers.iter().enumerate();
            let around = layers
                .filter(|(_, (at, _))| dir != at && dir.starts_with(at))
                .max_by_key(|(_, (at, _))| at.components().count());
            let Some((number, inside)) =
                around.and_then(|(n, (at, _))| Some((n, dir.strip_prefix(at).ok()?)))
            else {
                continue;
            };
            let top = PathBuf::from(format!("mask/{number}"));
            let mut add = |mask| {
                let mask = (number, mask);
                if !masks.contains(&mask) {
                    masks.push(mask);
                }
            };
            add(HidePart::Directory(c_string(&top)?));
            for parent in parents(inside) {
                add(HidePart::Directory(c_string(top.join(parent))?));
            }
            add(HidePart::Whiteout(c_string(top.join(inside))?));
        }
        Ok(masks)
    }
}

/// A step, unless there is nothing to do in it.
fn some<T>(step: fn(Vec<T>) -> OverlayStep, list: Vec<T>) -> Option<OverlayStep> {
    (!list.is_empty()).then(|| step(list))
}

/// Every directory on the way to `path`, without the root.
fn parents(path: &Path) -> Vec<PathBuf> {
    let mut parents: Vec<_> = path
        .ancestors()
        .skip(1)
        .filter(|p| !p.as_os_str().is_empty())
        .map(Path::to_path_buf)
        .collect();
    parents.reverse();
    parents
}

fn entries(list: &[(PathBuf, u32)]) -> Result<Vec<PathMode>> {
    list.iter().map(|(path, mode)| entry(path, *mode)).collect()
}

fn entry(path: &Path, mode: u32) -> Result<PathMode> {
    Ok(PathMode {
        path: c_string(path)?,
        mode,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::fs;

    use crate::decide::below::find;
    use crate::decide::overlay::mounts::Submount;
    use crate::decide::overlay::seed::Seed;
    use crate::plan::overlay::StoreSource;

    /// The steps on a directory made for this test, one a line.
    fn steps(name: &str, mounts: &[(&str, &str)]) -> (String, Vec<PathBuf>) {
        let dir = std::env::temp_dir().join(format!("nscore-{name}-{}", std::process::id()));
        for part in ["etc", "usr/local", "var/lib/data", "proc", "home"] {
            fs::create_dir_all(dir.join(part)).unwrap();
        }
        std::os::unix::fs::symlink("usr/bin", dir.join("bin")).unwrap();
        let (known, opened) = find(&dir).unwrap();
        let root = Below::new(known, opened);
        let mut cover = Cover::new(&root, true, true).unwrap();
        let mount = |(at, kind): &(&str, &str)| Submount {
            at: at.into(),
            kind: (*kind).to_string(),
        };
        cover.mounts = mounts.iter().map(mount).collect();
        cover.add(Path::new("")).unwrap();
        cover.layers.sort_by(|a, b| a.0.cmp(&b.0));
        let seed = Seed {
            hidden: vec!["var/lib/data".into()],
            ..Seed::default()
        };
        let missing = cover.missing(&seed);
        let steps = cover.steps(StoreSource::Memory, seed).unwrap();
        let _ = fs::remove_dir_all(dir);
        let lines: Vec<_> = steps.iter().map(|step| format!("{step:#}\n")).collect();
        (lines.concat(), missing)
    }

    #[test]
    fn one_overlay_does_for_a_root_without_mounts() {
        let (steps, missing) = steps("one", &[]);
        assert_eq!(
            steps,
            "mount memory for the layers of overlays\n\
             keep changes in memory\n\
             prepare the layers of /\n\
             hide 1 directories that cannot be read\n\
             mount overlay on / (lowerdir=../../mask/0:../../lower/0,upperdir=.,\
             workdir=../work/0,userxattr)\n"
        );
        assert_eq!(missing, [Path::new("var/lib/data")]);
    }

    #[test]
    fn a_directory_with_mounts_below_is_made_anew() {
        let mounts = [
            ("proc", "proc"),
            ("var/lib", "ext4"),
            ("home", "vfat"),
            ("usr/local", "debugfs"),
        ];
        let (steps, missing) = steps("anew", &mounts);
        for line in [
            "make 4 directories in the changes: ",
            "make 1 links in the changes: /bin\n",
            "make a root of the changes\n",
            "mount overlay on /etc (lowerdir=../../../lower/0,upperdir=.,",
            "mount overlay on /var/lib (lowerdir=../../../../mask/1:../../../../lower/1,",
        ] {
            assert!(steps.contains(line), "{line}{steps}");
        }
        for absent in ["overlay on / ", "on /proc", "on /home", "on /usr/local"] {
            assert!(!steps.contains(absent), "{absent}{steps}");
        }
        assert_eq!(missing, ["home", "var/lib/data"].map(Path::new));
    }
}
