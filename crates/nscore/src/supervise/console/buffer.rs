//! Bytes on their way from one descriptor to another.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use crate::sys::{Sys, descriptors};

/// A pseudo-terminal hands out at most 4095 bytes a read; several of them are
/// written at once.
const SIZE: usize = 16 * 1024;

/// Below this much room no read is worth its call.
const ROOM: usize = 4096;

/// A queue of bytes of fixed size, which takes up no memory before its first.
pub(super) struct Buffer {
    /// The queue, behind bytes that have left it.
    bytes: Vec<u8>,
    start: usize,
}

impl Buffer {
    pub(super) fn new() -> Buffer {
        Buffer {
            bytes: Vec::new(),
            start: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    pub(super) fn has_room(&self) -> bool {
        SIZE - (self.bytes.len() - self.start) >= ROOM
    }

    /// The last `count` bytes that came in.
    pub(super) fn last(&self, count: usize) -> &[u8] {
        let end = self.bytes.len();
        &self.bytes[end.saturating_sub(count).max(self.start)..]
    }

    /// Reads once. 0 is end of file; EAGAIN says that nothing is there, or
    /// that there is no room.
    pub(super) fn fill(&mut self, from: BorrowedFd) -> Sys<usize> {
        if !self.has_room() {
            return Err(Errno::EAGAIN);
        }
        if SIZE - self.bytes.len() < ROOM {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.reserve_exact(SIZE - self.bytes.len());
        descriptors::read_more(from, &mut self.bytes)
    }

    /// Writes until nothing is left or nothing more is taken.
    pub(super) fn drain(&mut self, write: impl Fn(&[u8]) -> Sys<usize>) -> Sys<()> {
        while !self.is_empty() {
            match write(&self.bytes[self.start..]) {
                Ok(count) => self.start += count,
                Err(Errno::EAGAIN) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        self.bytes.clear();
        self.start = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::cell::RefCell;
    use std::os::fd::AsFd as _;

    #[test]
    fn keeps_order_through_short_reads_and_writes() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let sent: Vec<u8> = (0..50_000u32).map(|i| (i % 251) as u8).collect();
        let got = RefCell::new(Vec::<u8>::new());
        // Takes at most 1000 bytes a call, and one where the total is a multiple of 3.
        let take = |bytes: &[u8]| {
            let mut got = got.borrow_mut();
            let most = if got.len().is_multiple_of(3) { 1 } else { 1000 };
            let count = bytes.len().min(most);
            got.extend(&bytes[..count]);
            Ok(count)
        };
        let mut buffer = Buffer::new();
        for chunk in sent.chunks(3000) {
            nix::unistd::write(&writer, chunk).unwrap();
            assert_eq!(buffer.fill(reader.as_fd()), Ok(chunk.len()));
            assert_eq!(buffer.last(chunk.len()), chunk);
            buffer.drain(take).unwrap();
        }
        drop(writer);
        assert_eq!(buffer.fill(reader.as_fd()), Ok(0));
        assert_eq!(*got.borrow(), sent);
    }

    #[test]
    fn a_full_buffer_takes_no_more() {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        nix::unistd::write(&writer, &[7; SIZE]).unwrap();
        let mut buffer = Buffer::new();
        while buffer.has_room() {
            buffer.fill(reader.as_fd()).unwrap();
        }
        assert_eq!(buffer.fill(reader.as_fd()), Err(Errno::EAGAIN));
        buffer.drain(|_| Err(Errno::EAGAIN)).unwrap();
        assert!(!buffer.is_empty());
    }
}
