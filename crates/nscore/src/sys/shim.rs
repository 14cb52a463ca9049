//! A program of a few hundred bytes that runs another, and reports why it could
//! not; and files that hold a program and cannot be changed.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::fcntl::{self, FcntlArg, OFlag, fcntl};
use nix::sys::sendfile::sendfile;
use nix::sys::stat::Mode;
use nix::unistd;

use crate::sys::{Sys, cvt, cvt_fd, descriptors, path};

/// The descriptor on which the shim reports. It closes when the program runs.
pub(crate) const SOCKET: RawFd = 3;

/// How its report begins; the error number follows, in four bytes each.
pub(crate) const REFUSED: u32 = 8;

/// The name of its file, as /proc/PID/exe shows it.
const NAME: &CStr = c"nscore";

// A static program, header and all: elf(5). Its arguments are
//
//     SHELL PATH ARGUMENT...
//
// It runs PATH with the ARGUMENTs, the first of which is the name. If that is
// no program and SHELL is not empty, it runs SHELL with PATH and the ARGUMENTs
// from the second. If it has no SOCKET it has been run by somebody else than us,
// by a link to the program of its own process, and ends; else it would run
// itself for ever.
//
// On its stack are, when it starts, the number of arguments, SHELL, PATH, the
// ARGUMENTs, zero and the environment, eight bytes each: exactly the arrays
// that execve(2) takes. After a report it waits for the other end to close.
/// A shim for the architecture of this number: the header, which differs in nothing
/// else, and the code.
macro_rules! shim {
    ($machine:literal, $($code:literal,)+) => {
        std::arch::global_asm!(
            ".pushsection .rodata.nscore_shim, \"a\"",
            ".balign 8",
            ".globl nscore_shim, nscore_shim_end",
            ".hidden nscore_shim, nscore_shim_end",
            "nscore_shim:",
            ".ascii \"\\177ELF\\2\\1\\1\"", // 64 bits, little-endian
            ".zero 9",
            concat!(".short 2, ", $machine), // an executable
            ".long 1",
            ".quad 0x400000 + 3f - nscore_shim", // where it starts
            ".quad 64, 0",                       // its one segment, no sections
            ".long 0",
            ".short 64, 56, 1, 64, 0, 0",
            ".long 1, 5", // load, to read and execute, the whole file
            ".quad 0, 0x400000, 0x400000",
            ".quad nscore_shim_end - nscore_shim, nscore_shim_end - nscore_shim",
            ".quad 0x10000",
            "3:",
            $($code,)+
            "nscore_shim_end:",
            ".popsection",
            fcntl = const libc::SYS_fcntl,
            execve = const libc::SYS_execve,
            read = const libc::SYS_read,
            write = const libc::SYS_write,
            exit = const libc::SYS_exit_group,
            setfd = const libc::F_SETFD,
            cloexec = const libc::FD_CLOEXEC,
            noexec = const libc::ENOEXEC,
            socket = const SOCKET,
            refused = const REFUSED,
        );
    };
}

#[cfg(target_arch = "x86_64")]
shim!(
    62,
    "mov eax, {fcntl}",
    "mov edi, {socket}",
    "mov esi, {setfd}",
    "mov edx, {cloexec}",
    "syscall",
    "test eax, eax",
    "js 5f",
    "mov rax, [rsp]",
    "lea r12, [rsp + rax * 8 + 16]", // the environment
    "mov eax, {execve}",
    "mov rdi, [rsp + 16]",
    "lea rsi, [rsp + 24]",
    "mov rdx, r12",
    "syscall",
    "mov r13d, eax",
    "neg r13d",
    "cmp r13d, {noexec}",
    "jne 4f",
    "mov rdi, [rsp + 8]",
    "cmp byte ptr [rdi], 0",
    "je 4f",
    "mov rax, [rsp + 16]",
    "mov [rsp + 24], rax",
    "mov [rsp + 16], rdi",
    "lea rsi, [rsp + 16]",
    "mov rdx, r12",
    "mov eax, {execve}",
    "syscall",
    "4:",
    "shl r13, 32",
    "or r13, {refused}",
    "push r13",
    "mov eax, {write}",
    "mov edi, {socket}",
    "mov rsi, rsp",
    "mov edx, 8",
    "syscall",
    "mov eax, {read}",
    "mov edi, {socket}",
    "mov rsi, rsp",
    "mov edx, 8",
    "syscall",
    "5:",
    "mov eax, {exit}",
    "mov edi, 126",
    "syscall",
);

#[cfg(target_arch = "aarch64")]
shim!(
    183,
    "mov x8, #{fcntl}",
    "mov x0, #{socket}",
    "mov x1, #{setfd}",
    "mov x2, #{cloexec}",
    "svc #0",
    "tbnz x0, #63, 5f",
    "ldr x9, [sp]",
    "add x19, sp, #16",
    "add x19, x19, x9, lsl #3", // the environment
    "mov x8, #{execve}",
    "ldr x0, [sp, #16]",
    "add x1, sp, #24",
    "mov x2, x19",
    "svc #0",
    "neg x20, x0",
    "cmp x20, #{noexec}",
    "b.ne 4f",
    "ldr x0, [sp, #8]",
    "ldrb w9, [x0]",
    "cbz w9, 4f",
    "ldr x9, [sp, #16]",
    "str x9, [sp, #24]",
    "str x0, [sp, #16]",
    "add x1, sp, #16",
    "mov x2, x19",
    "mov x8, #{execve}",
    "svc #0",
    "4:",
    "mov w9, #{refused}",
    "stp w9, w20, [sp, #-16]!",
    "mov x8, #{write}",
    "mov x0, #{socket}",
    "mov x1, sp",
    "mov x2, #8",
    "svc #0",
    "mov x8, #{read}",
    "mov x0, #{socket}",
    "mov x1, sp",
    "mov x2, #8",
    "svc #0",
    "5:",
    "mov x8, #{exit}",
    "mov x0, #126",
    "svc #0",
);

/// Whether there is a shim for this architecture.
pub(crate) const AVAILABLE: bool = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));

/// The bytes of the shim's file.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn shim() -> &'static [u8] {
    unsafe extern "C" {
        #[link_name = "nscore_shim"]
        static START: u8;
        #[link_name = "nscore_shim_end"]
        static END: u8;
    }
    let (start, end) = (&raw const START, &raw const END);
    // SAFETY: both symbols are in the one section above, the end behind the
    // start, with nothing but initialised bytes between them.
    unsafe { std::slice::from_raw_parts(start, end.addr() - start.addr()) }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn shim() -> &'static [u8] {
    &[]
}

/// A program that is to run inside although its file is of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Image {
    /// The shim.
    Shim,
    /// This very program.
    Ourselves,
}

/// A copy that nobody can change. Where memory may not be executed, the sysctl
/// vm.memfd_noexec, it is a file without a name in `dir`: that is in memory of
/// the container's own, whose copy is its own affair.
pub(crate) fn seal(image: Image, dir: impl FnOnce() -> Sys<OwnedFd>) -> Sys<OwnedFd> {
    let file = match descriptors::memfd(NAME, true) {
        Ok(file) => {
            image.write(&file)?;
            fcntl(&file, FcntlArg::F_ADD_SEALS(descriptors::SEALS))?;
            file
        }
        Err(Errno::EACCES | Errno::EPERM | Errno::ENOSYS) => image.unnamed_file(dir()?.as_fd())?,
        Err(errno) => return Err(errno),
    };
    // Out of the way of the descriptors that a program of ours expects.
    let above = fcntl(&file, FcntlArg::F_DUPFD_CLOEXEC(SOCKET + 1))?;
    // SAFETY: the call returned a new descriptor.
    unsafe { cvt_fd(above.into()) }
}

impl Image {
    fn write(self, file: &OwnedFd) -> Sys<()> {
        match self {
            Image::Shim => match unistd::write(file, shim())? {
                all if all == shim().len() => Ok(()),
                _ => Err(Errno::EIO),
            },
            Image::Ourselves => {
                let ours = path::open(c"/proc/self/exe", OFlag::O_RDONLY)?;
                while sendfile(file, &ours, None, 1 << 24)? > 0 {}
                Ok(())
            }
        }
    }

    fn unnamed_file(self, dir: BorrowedFd) -> Sys<OwnedFd> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let file = fcntl::openat(dir, NAME, flags, Mode::from_bits_retain(0o500))?;
        self.write(&file)?;
        // What is open for writing cannot be run.
        drop(file);
        let file = path::open_at(dir, NAME, OFlag::O_RDONLY)?;
        unistd::unlinkat(dir, NAME, unistd::UnlinkatFlags::NoRemoveDir)?;
        Ok(file)
    }
}

/// execveat(2) of an open file: returns only to say why not.
///
/// # Safety
/// `argv` and `envp` must point to null-terminated arrays of NUL-terminated
/// strings.
pub(crate) unsafe fn exec(
    file: BorrowedFd,
    argv: *const *const libc::c_char,
    envp: *const *const libc::c_char,
) -> Errno {
    let (file, path, flags) = (file.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH);
    // SAFETY: the caller vouches for the arrays; the path is empty.
    let result = unsafe { libc::syscall(libc::SYS_execveat, file, path, argv, envp, flags) };
    cvt(result).err().unwrap_or(Errno::EIO)
}
