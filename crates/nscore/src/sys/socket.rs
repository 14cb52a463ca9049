//! Messages with descriptors over a SOCK_SEQPACKET pair, unix(7). No
//! allocation: the child uses them between clone and exec.

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::sys::{Sys, cvt};

/// Descriptors that one message can carry: the kernel's SCM_MAX_FD, unix(7).
pub(crate) const MAX_FDS: usize = 253;

/// The two ends of a conversation.
pub(crate) fn pair() -> Sys<(OwnedFd, OwnedFd)> {
    socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
}

/// A control message buffer of the alignment that cmsghdr wants.
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// Room for one header with MAX_FDS descriptors, cmsg(3).
const CONTROL: usize = 16 + MAX_FDS * size_of::<RawFd>();

/// What a message brought.
pub(crate) struct Received {
    /// Bytes of the message; 0 at the end of the conversation.
    pub(crate) len: usize,
    /// Its descriptors, close-on-exec.
    pub(crate) fds: [Option<OwnedFd>; MAX_FDS],
}

/// Sends one message. Never raises SIGPIPE: EPIPE says that the peer is gone.
/// The bytes come in two parts, of which the second may be empty.
pub(crate) fn send(socket: BorrowedFd, bytes: [&[u8]; 2], fds: &[BorrowedFd]) -> Sys<()> {
    let mut control = Control([0; CONTROL]);
    let mut parts = bytes.map(|part| libc::iovec {
        iov_base: part.as_ptr().cast_mut().cast(),
        iov_len: part.len(),
    });
    // SAFETY: an all-zero msghdr is an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = parts.as_mut_ptr();
    message.msg_iovlen = parts.len();
    let fds = &fds[..fds.len().min(MAX_FDS)];
    if !fds.is_empty() {
        let size = u32::try_from(size_of_val(fds)).unwrap_or(0);
        message.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: CMSG_SPACE only computes; MAX_FDS descriptors fit in Control.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(size) } as usize;
        // SAFETY: msg_control points to a zeroed, aligned buffer in which one
        // header with MAX_FDS descriptors fits, so the header is there and the
        // data behind it is ours to write.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size) as usize;
            let data = libc::CMSG_DATA(header).cast::<RawFd>();
            for (i, fd) in fds.iter().enumerate() {
                data.add(i).write_unaligned(fd.as_raw_fd());
            }
        }
    }
    // SAFETY: message and all it points to live through the call.
    cvt(
        unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) }
            as libc::c_long,
    )
    .map(drop)
}

/// Whether there is something to receive, or the other end is closed.
pub(crate) fn is_readable(socket: BorrowedFd) -> bool {
    let mut fds = [PollFd::new(socket, PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO) != Ok(0)
}

/// Receives one message, waiting for it.
pub(crate) fn receive(socket: BorrowedFd, bytes: &mut [u8]) -> Sys<Received> {
    let mut control = Control([0; CONTROL]);
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: an all-zero msghdr is an empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    let len = loop {
        // SAFETY: message and all it points to live through the call.
        match cvt(unsafe {
            libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC)
        } as libc::c_long)
        {
            Err(Errno::EINTR) => {}
            other => break usize::try_from(other?).map_err(|_| Errno::EIO)?,
        }
    };
    let mut fds = [const { None }; MAX_FDS];
    // SAFETY: the kernel has written headers into the buffer up to the new
    // msg_controllen, and CMSG_FIRSTHDR returns null when there are none.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        if !header.is_null()
            && (*header).cmsg_level == libc::SOL_SOCKET
            && (*header).cmsg_type == libc::SCM_RIGHTS
        {
            let data = libc::CMSG_DATA(header).cast::<RawFd>();
            let count = ((*header).cmsg_len - libc::CMSG_LEN(0) as usize) / size_of::<RawFd>();
            for (i, slot) in fds.iter_mut().enumerate().take(count) {
                // These descriptors are new and nobody else knows them.
                *slot = Some(OwnedFd::from_raw_fd(data.add(i).read_unaligned()));
            }
        }
    }
    // The kernel drops what there is no descriptor left for.
    if message.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(Errno::EMFILE);
    }
    Ok(Received { len, fds })
}
