//! The steps of the child that build overlays, as data.
//!
//! All layers meet in one memory file system, under names that never need
//! escaping in the kernel's option strings, whatever the directories are called:
//!
//! ```text
//! scratch/lower/N         what lies below, a clone of its own
//! scratch/mask/N          whiteouts over what the container could not read
//! scratch/store/changes   upper layers, in the shape of the root
//! scratch/store/work/N    the kernel's own
//! scratch/root            the new root
//! ```
//!
//! Strings in options are relative to the upper layer.

use std::ffi::{CStr, CString};
use std::fmt;

use crate::error::hint::advice::Op;
use crate::error::text::quoted_c;
use crate::sys::path::Known;

/// A directory or file, and its mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathMode {
    /// Below the root, without a slash in front.
    pub(crate) path: CString,
    pub(crate) mode: u32,
}

/// Where the upper layers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreSource {
    /// In memory, gone with the container.
    Memory,
    /// In the directory that the child has opened.
    Opened,
    /// In this tree of the supervisor's.
    Tree(usize),
}

/// Where a lower layer comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LayerSource {
    /// The directory of the same path in DIR, cloned by the child.
    Same,
    /// This tree of the supervisor's.
    Tree(usize),
}

/// One overlay's layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Where the overlay goes: below the root, empty for the root itself.
    pub(crate) at: CString,
    /// scratch/lower/N.
    pub(crate) lower: CString,
    /// N, its name in work.
    pub(crate) number: CString,
    pub(crate) source: LayerSource,
    /// The lower directory's owner is in the maps, and becomes the upper's.
    pub(crate) owned: bool,
    /// It is in memory, which refuses nothing.
    pub(crate) in_memory: bool,
}

/// One overlay, of layers that are prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merge {
    pub(crate) at: CString,
    /// From the upper layer: lower layers with colons between, and work.
    pub(crate) lower: CString,
    pub(crate) work: CString,
    /// To be attached by a later step: until then it takes the place of its
    /// lower layer among the trees.
    pub(crate) keep: Option<usize>,
}

/// A part of a mask, below scratch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HidePart {
    Directory(CString),
    Whiteout(CString),
}

/// Files that are copied to the changes are smaller: what is larger is data.
pub(crate) const MAX_COPY: libc::off_t = 1 << 20;

/// What says in work/ that the changes are no longer new. The names of the kernel's
/// own are numbers.
pub(crate) const BEGUN: &CStr = c"begun";

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OverlayStep {
    /// Open the upper directory with the caller's own rights, so before the
    /// change of ids.
    OpenStore(Known),
    /// Memory over the working directory, which stays open as the lower root.
    Scratch,
    /// Changes and work.
    Store(StoreSource),
    /// The changes themselves as the root: overlays cover parts of it.
    Base,
    MakeDirs(Vec<PathMode>),
    /// Copy files from below, those that can be read.
    Copy(Vec<PathMode>),
    /// Symbolic links: path and target.
    Link(Vec<(CString, CString)>),
    /// Directories shown empty, because they cannot be read.
    Hide(Vec<HidePart>),
    Layer(Layer),
    Merge(Merge),
    /// Show an overlay that was kept.
    Attach(CString, usize),
    /// All is there that new changes are given.
    Begun,
    /// What later boots find done, or changed since: only in changes that are new.
    Once(Box<OverlayStep>),
}

impl OverlayStep {
    /// What the hint table knows a failure of this step as.
    pub(crate) fn op(&self) -> Op {
        match self {
            OverlayStep::Merge(_) => Op::Overlay,
            OverlayStep::Layer(layer) if layer.in_memory => Op::Lower,
            OverlayStep::Layer(_)
            | OverlayStep::Attach(..)
            | OverlayStep::Base
            | OverlayStep::Store(_) => Op::Layer,
            OverlayStep::Once(step) => step.op(),
            OverlayStep::OpenStore(_)
            | OverlayStep::Scratch
            | OverlayStep::MakeDirs(_)
            | OverlayStep::Copy(_)
            | OverlayStep::Link(_)
            | OverlayStep::Hide(_)
            | OverlayStep::Begun => Op::Other,
        }
    }
}

/// Reads as "VERB OBJECT"; the alternate form adds details.
impl fmt::Display for OverlayStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OverlayStep::OpenStore(known) => {
                write!(f, "open upper directory {}", quoted_c(known.path()))
            }
            OverlayStep::Scratch => write!(f, "mount memory for the layers of overlays"),
            OverlayStep::Store(StoreSource::Memory) => write!(f, "keep changes in memory"),
            OverlayStep::Store(_) => write!(f, "keep changes in the upper directory"),
            OverlayStep::Base => write!(f, "make a root of the changes"),
            OverlayStep::MakeDirs(dirs) => {
                list(f, "make", dirs.len(), "directories in the changes")
                    .and_then(|()| paths(f, dirs.iter().map(|e| e.path.as_c_str())))
            }
            OverlayStep::Copy(files) => list(f, "copy", files.len(), "files to the changes")
                .and_then(|()| paths(f, files.iter().map(|e| e.path.as_c_str()))),
            OverlayStep::Link(links) => list(f, "make", links.len(), "links in the changes")
                .and_then(|()| paths(f, links.iter().map(|(path, _)| path.as_c_str()))),
            OverlayStep::Hide(masks) => {
                let hidden = |mask: &HidePart| matches!(mask, HidePart::Whiteout(_));
                let count = masks.iter().filter(|mask| hidden(mask)).count();
                list(f, "hide", count, "directories that cannot be read")
            }
            OverlayStep::Layer(layer) => {
                write!(f, "prepare the layers of /{}", quoted_c(&layer.at))
            }
            OverlayStep::Merge(merge) => {
                let verb = match merge.keep {
                    Some(_) => "make overlay for",
                    None => "mount overlay on",
                };
                write!(f, "{verb} /{}", quoted_c(&merge.at))?;
                if f.alternate() {
                    let (lower, work) = (quoted_c(&merge.lower), quoted_c(&merge.work));
                    write!(f, " (lowerdir={lower},upperdir=.,workdir={work},userxattr)")?;
                }
                Ok(())
            }
            OverlayStep::Attach(at, _) => write!(f, "attach overlay to /{}", quoted_c(at)),
            OverlayStep::Begun => write!(f, "note that the changes are begun"),
            OverlayStep::Once(step) => step.fmt(f),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, verb: &str, count: usize, what: &str) -> fmt::Result {
    write!(f, "{verb} {count} {what}")
}

/// The alternate form names the first few.
fn paths<'a>(f: &mut fmt::Formatter<'_>, paths: impl Iterator<Item = &'a CStr>) -> fmt::Result {
    const FEW: usize = 6;
    if !f.alternate() {
        return Ok(());
    }
    for (i, path) in paths.take(FEW + 1).enumerate() {
        match i {
            0 => write!(f, ": /{}", quoted_c(path))?,
            FEW => write!(f, ", ...")?,
            _ => write!(f, ", /{}", quoted_c(path))?,
        }
    }
    Ok(())
}
