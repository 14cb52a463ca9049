//! How the small init of `--init` is started: by the name and the words that tell
//! this program that it is to be one.

use std::ffi::OsString;

/// The name by which this program knows that it is to be init.
pub(crate) const NAME: &str = "nscore-init";

/// The arguments that start the init of `command`, which gets the terminal if
/// there is a console.
pub(crate) fn arguments(command: &[OsString], console: bool) -> Vec<OsString> {
    let console = if console { "console" } else { "no-console" };
    [NAME, console]
        .iter()
        .map(OsString::from)
        .chain(command.iter().cloned())
        .collect()
}
