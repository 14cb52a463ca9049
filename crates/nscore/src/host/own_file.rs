//! Whether a container could write to the file of this very program, which it finds
//! as /proc/self/exe until its own runs.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use crate::error::{Error, Result};
use crate::sys::shim::{self, Image};

/// The image that has to be run in place of `image`'s own file, None when a
/// container that has these users of the host cannot change that.
///
/// # Errors
/// When it can, and there is no shim for this architecture; and those of the two.
pub(crate) fn due(image: Image, has_user: impl Fn(u32) -> bool) -> Result<Option<Image>> {
    let exposed = match fs::metadata("/proc/self/exe") {
        // The bits of the group may be those of any id that an access control list
        // names, acl(5).
        Ok(file) => file.mode() & 0o022 != 0 || has_user(file.uid()),
        // What cannot be looked at may be anybody's.
        Err(_) => true,
    };
    if exposed && image == Image::Shim && !shim::AVAILABLE {
        let reason = format!("not supported on {}", std::env::consts::ARCH);
        return Err(
            Error::new("keep this program's file from the container", reason)
                .with_hint("install it as a user whose id the container does not have"),
        );
    }
    Ok(exposed.then_some(image))
}
