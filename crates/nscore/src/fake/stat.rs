//! The status of a file with what is told of it, in the layouts that programs expect.

use nix::errno::Errno;

use crate::fake::call::Layout;
use crate::fake::ids::shorten;
use crate::fake::record::{Kind, Record};
use crate::sys::{Sys, inode};

/// The mode and the device number that are told.
fn mode_and_device(record: &Record, real: u32) -> (u32, Option<(u32, u32)>) {
    let (kind, device) = match record.kind {
        Kind::Character(major, minor) => (libc::S_IFCHR, Some((major, minor))),
        Kind::Block(major, minor) => (libc::S_IFBLK, Some((major, minor))),
        _ => (real & libc::S_IFMT, None),
    };
    (kind | record.mode, device)
}

/// stat(2).
pub(super) fn encode(status: &libc::stat, record: &Record, layout: Layout) -> Sys<Vec<u8>> {
    let mut status = *status;
    let (mode, device) = mode_and_device(record, status.st_mode);
    status.st_mode = mode;
    (status.st_uid, status.st_gid) = (record.user, record.group);
    if let Some((major, minor)) = device {
        status.st_rdev = libc::makedev(major, minor);
    }
    match layout {
        Layout::Own => {
            let bytes = inode::status_bytes(&status).ok_or(Errno::ENOSYS)?;
            Ok(bytes.to_vec())
        }
        Layout::Stat32 => stat32(&status),
        Layout::Stat64 => Ok(stat64(&status)),
    }
}

/// statx(2).
pub(super) fn encode_extended(status: &libc::statx, record: &Record) -> Vec<u8> {
    let mut status = *status;
    let (mode, device) = mode_and_device(record, status.stx_mode.into());
    status.stx_mode = mode as u16;
    (status.stx_uid, status.stx_gid) = (record.user, record.group);
    if let Some((major, minor)) = device {
        (status.stx_rdev_major, status.stx_rdev_minor) = (major, minor);
    }
    inode::extended_bytes(&status).to_vec()
}

/// Numbers side by side, in the order of the machine's bytes.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn u16(&mut self, values: &[u16]) {
        self.0
            .extend(values.iter().flat_map(|value| value.to_ne_bytes()));
    }

    fn u32(&mut self, values: &[u32]) {
        self.0
            .extend(values.iter().flat_map(|value| value.to_ne_bytes()));
    }

    fn u64(&mut self, values: &[u64]) {
        self.0
            .extend(values.iter().flat_map(|value| value.to_ne_bytes()));
    }
}

/// Seconds and nanoseconds three times, each of 32 bits.
fn times(status: &libc::stat) -> [u32; 6] {
    [
        status.st_atime as u32,
        status.st_atime_nsec as u32,
        status.st_mtime as u32,
        status.st_mtime_nsec as u32,
        status.st_ctime as u32,
        status.st_ctime_nsec as u32,
    ]
}

/// `struct compat_stat` of arch/x86/include/asm/compat.h, whose ids have 16 bits and
/// whose sizes and inodes have 32.
fn stat32(status: &libc::stat) -> Sys<Vec<u8>> {
    let fits = |number: u64| u32::try_from(number).map_err(|_| Errno::EOVERFLOW);
    let size = i32::try_from(status.st_size).map_err(|_| Errno::EOVERFLOW)?;
    let links = u16::try_from(status.st_nlink).map_err(|_| Errno::EOVERFLOW)?;
    let mut fields = Fields::default();
    fields.u32(&[fits(status.st_dev)?, fits(status.st_ino)?]);
    fields.u16(&[
        status.st_mode as u16,
        links,
        shorten(status.st_uid),
        shorten(status.st_gid),
    ]);
    fields.u32(&[
        fits(status.st_rdev)?,
        size.cast_unsigned(),
        status.st_blksize as u32,
        status.st_blocks as u32,
    ]);
    fields.u32(&times(status));
    fields.u32(&[0, 0]);
    Ok(fields.0)
}

/// `struct stat64` of arch/x86/include/asm/sys_ia32.h, packed.
fn stat64(status: &libc::stat) -> Vec<u8> {
    let mut fields = Fields::default();
    fields.u64(&[status.st_dev]);
    fields.u32(&[0, status.st_ino as u32]);
    fields.u32(&[status.st_mode, status.st_nlink as u32]);
    fields.u32(&[status.st_uid, status.st_gid]);
    fields.u64(&[status.st_rdev]);
    fields.u32(&[0]);
    fields.u64(&[status.st_size as u64]);
    fields.u32(&[status.st_blksize as u32]);
    fields.u64(&[status.st_blocks as u64]);
    fields.u32(&times(status));
    fields.u64(&[status.st_ino]);
    fields.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    use crate::sys::inode;

    #[test]
    fn layouts_have_the_kernel_s_sizes() {
        let fd = std::fs::File::open("/proc/self/exe").unwrap();
        let status = inode::status(fd.as_fd()).unwrap();
        assert_eq!(stat64(&status).len(), 96);
        if let Ok(bytes) = stat32(&status) {
            assert_eq!(bytes.len(), 64);
        }
    }
}
