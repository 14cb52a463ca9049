//! The host's programs over a root of its own: directories and links as the
//! host has them, and the few files of /etc that programs cannot do without.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::stat::SFlag;

use crate::decide::below::Below;
use crate::error::{Error, Result, c_string};
use crate::plan::mounts::MountStep;
use crate::spec::mounts::{Mount, What};
use crate::sys::path;

/// What makes the host's programs run.
#[derive(Debug, Default)]
pub(super) struct HostTools {
    pub(super) mounts: Vec<Mount>,
    pub(super) links: Vec<MountStep>,
}

/// What of /etc the dynamic loader, name service, certificates and commands
/// with alternatives need: ld.so(8), nsswitch.conf(5), update-alternatives(1).
/// Not resolv.conf, which is a matter of the network.
const ETC: [&str; 19] = [
    "alternatives",
    "ca-certificates",
    "crypto-policies",
    "group",
    "host.conf",
    "hosts",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "localtime",
    "nsswitch.conf",
    "passwd",
    "pki",
    "protocols",
    "rpc",
    "services",
    "ssl",
    "terminfo",
];

impl HostTools {
    /// Reads what the host has and what the root at `root` has in its place.
    pub(super) fn find(root: &Below) -> Result<HostTools> {
        let mut tools = HostTools::default();
        let entries =
            fs::read_dir("/").map_err(|error| Error::io("read the host's root", &error))?;
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.retain(|name| is_tools(name));
        names.sort();
        for name in names {
            tools.directory(root, &name)?;
        }
        for name in ETC {
            let path = Path::new("/etc").join(name);
            // The root's own goes before the host's.
            if path.exists() && is_vacant(root, &Path::new("etc").join(name)) {
                tools.show(path.clone(), path);
            }
        }
        tools.mounts.push(Mount::memory("/tmp", None));
        Ok(tools)
    }

    /// A directory, or on a host with merged directories a link to one.
    fn directory(&mut self, root: &Below, name: &OsStr) -> Result<()> {
        let path = Path::new("/").join(name);
        let inside = root.status(Path::new(name));
        let inside = inside.map(|status| path::kind(status.st_mode));
        match fs::read_link(&path) {
            // What it leads to is shown as well.
            Ok(_) if inside == Some(SFlag::S_IFLNK) => {}
            Ok(target) if inside.is_none() => {
                self.links.push(MountStep::MakeLink {
                    path: c_string(name)?,
                    target: c_string(target)?,
                });
            }
            _ if path.is_dir() => self.show(path.clone(), path),
            _ => {}
        }
        Ok(())
    }

    fn show(&mut self, source: PathBuf, at: PathBuf) {
        let recursive = true;
        self.mounts.push(Mount {
            read_only: true,
            ..Mount::new(at, What::Bind { source, recursive })
        });
    }
}

/// /bin, /sbin, /usr and whatever begins as /lib does.
pub(crate) fn is_tools(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    ["bin", "sbin", "usr"].contains(&name.as_ref()) || name.starts_with("lib")
}

/// Nothing, or a mount point that an earlier start has left: an empty file or
/// directory.
fn is_vacant(root: &Below, at: &Path) -> bool {
    let Some(status) = root.status(at) else {
        return true;
    };
    match path::kind(status.st_mode) {
        SFlag::S_IFREG => status.st_size == 0,
        SFlag::S_IFDIR => root
            .list(at)
            .is_some_and(|listing| listing.names.is_empty()),
        _ => false,
    }
}
