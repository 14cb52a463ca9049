//! The tables [[mount]] of a file.

use std::path::{Path, PathBuf};

use nscore::{Error, Mount, What, quoted};

use super::{Reader, Table};

const KEYS: [&str; 5] = ["option", "source", "target", "filesystem_type", "flags"];
const FLAGS: [&str; 4] = ["read_only", "no_suid", "no_devices", "no_execute"];

/// All of them, for a container whose root is `root` on the host.
pub(super) fn read(reader: &Reader, table: &Table, root: &Path) -> Result<Vec<Mount>, Error> {
    let Some(value) = table.get("mount") else {
        return Ok(Vec::new());
    };
    let tables = reader.tables(value)?;
    tables
        .into_iter()
        .map(|table| mount(reader, table, root))
        .collect()
}

fn mount(reader: &Reader, table: &Table, root: &Path) -> Result<Mount, Error> {
    reader.check_keys(table, &KEYS)?;
    let text = |key: &str| table.get(key).map(|value| reader.string(value)).transpose();
    // A table has a place in the file by what is in it.
    let place = || {
        let starts = table.keys().map(toml::Spanned::span);
        starts.min_by_key(|span| span.start).unwrap_or_default()
    };
    let needed = |key: &str| {
        text(key)?.ok_or_else(|| reader.error(place(), format!("a mount has no {key}")))
    };
    let option = needed("option")?;
    let kind = text("filesystem_type")?.filter(|kind| !kind.is_empty());
    let what = match option.as_str() {
        "bind" | "recursive_bind" => What::Bind {
            source: match table.get("source") {
                Some(source) => reader.path(source)?,
                None => needed("source")?.into(),
            },
            recursive: option == "recursive_bind",
        },
        "mount" => What::FileSystem {
            kind: kind.map_or_else(|| needed("filesystem_type"), Ok)?,
            source: text("source")?,
            size: None,
        },
        other => {
            let why = format!("{} is not mount, bind or recursive_bind", quoted(other));
            return Err(reader.error(place(), why));
        }
    };
    let mut mount = Mount::new(inside(&needed("target")?, root), what);
    if let Some(flags) = table.get("flags") {
        for flag in reader.strings(flags)? {
            match flag.as_str() {
                "read_only" => mount.read_only = true,
                "no_suid" => mount.no_suid = true,
                "no_devices" => mount.no_devices = true,
                "no_execute" => mount.no_execute = true,
                other => return Err(reader.unknown(flags.span(), other, FLAGS.into_iter())),
            }
        }
    }
    Ok(mount)
}

/// The path inside; one that begins with the root's own path on the host is
/// meant from there.
fn inside(target: &str, root: &Path) -> PathBuf {
    let target = Path::new(target);
    let real = root.canonicalize();
    let roots = [Some(root), real.as_deref().ok()];
    let below = |root: &Path| target.strip_prefix(root).ok();
    match roots.into_iter().flatten().find_map(below) {
        Some(below) => Path::new("/").join(below),
        None => target.to_path_buf(),
    }
}
