//! Owner and group of links, pipes and sockets, which have no attributes that a user
//! could name. One they do have: the capabilities of a file, capabilities(7), which
//! root of a user namespace may set on whatever is its own, and which mean something
//! on a regular file alone. It moves with the file, lasts as long, and costs nothing
//! beside it.

/// The attribute.
pub(crate) const KEY: &std::ffi::CStr = c"security.capability";

/// Revision 2 of linux/capability.h, in which the kernel shows to root of a user
/// namespace what belongs to that; on disk it adds whose that is.
const REVISION: u32 = 0x0200_0000;

/// Where the upper halves of permitted and inheritable capabilities would be, of
/// which the kernel knows nine: "nsow" and "ners".
const SIGN: [u32; 2] = [0x6e73_6f77, 0x6e65_7273];

/// struct vfs_cap_data: revision, then permitted and inheritable, lower halves first.
pub(crate) const SIZE: usize = 20;

/// The value that says so.
pub(crate) fn write(user: u32, group: u32) -> [u8; SIZE] {
    let words = [REVISION, user, group, SIGN[0], SIGN[1]];
    let mut bytes = [0; SIZE];
    for (to, word) in bytes.chunks_exact_mut(4).zip(words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Owner and group, unless the value means something else.
pub(crate) fn read(bytes: &[u8]) -> Option<(u32, u32)> {
    let bytes: &[u8; SIZE] = bytes.try_into().ok()?;
    let mut words = [0; 5];
    for (to, from) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *to = u32::from_le_bytes(from.try_into().ok()?);
    }
    let [REVISION, user, group, first, second] = words else {
        return None;
    };
    let is_id = user != u32::MAX && group != u32::MAX;
    ([first, second] == SIGN && is_id).then_some((user, group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for id in (0..32).map(|bit| 1 << bit).chain([0, u32::MAX - 1]) {
            assert_eq!(read(&write(id, 7)), Some((id, 7)));
            assert_eq!(read(&write(7, id)), Some((7, id)));
        }
    }

    #[test]
    fn capabilities_are_none() {
        let mut value = write(0, 0);
        value[12] ^= 1;
        assert_eq!(read(&value), None);
        assert_eq!(read(&write(1, 2)[..19]), None);
        assert_eq!(read(&[]), None);
        assert_eq!(read(&write(u32::MAX, 0)), None);
    }
}
