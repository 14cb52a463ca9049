//! What a process does that means ill to whoever looks at it.
//!
//! ```text
//! hostile arguments      an argument area of two gigabytes, as init of a container
//! hostile records HOW    records that are none: leased, large, many, small enough to be
//!                        read but too many, or descriptors without number; with a first process of a PID namespace
//!                        below, as a supervisor has one
//! hostile lease FILE     a lease on the file
//! ```
//!
//! Says "up" once it is done, and waits to be killed.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{dup, pause};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    // They stay open until this process is killed.
    let _held = match words[..] {
        ["arguments"] => long_arguments(),
        ["records", how] => records(how),
        ["lease", file] => vec![leased(File::open(file).expect("a file of ours").into())],
        _ => panic!("hostile arguments | records HOW | lease FILE"),
    };
    println!("up");
    loop {
        pause();
    }
}

/// The layout of this process's memory as the kernel is told of it, but for arguments
/// that are as long as can be: prctl(2), PR_SET_MM_MAP.
fn long_arguments() -> Vec<OwnedFd> {
    const SIZE: usize = 2 << 30;
    // SAFETY: a new mapping, which nothing else uses.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            SIZE,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    assert_ne!(start, libc::MAP_FAILED);
    let start = start as u64;
    let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc/self/stat");
    let rest = stat.rsplit_once(") ").expect("a name").1;
    let fields: Vec<u64> = rest
        .split(' ')
        .map(|word| word.trim().parse().unwrap_or(0))
        .collect();
    // proc_pid_stat(5) counts from 1, and the third is the first of these.
    let field = |number: usize| fields[number - 3];
    // SAFETY: it only tells where the break is.
    let brk = unsafe { libc::sbrk(0) } as u64;
    let map: [u64; 14] = [
        field(26),
        field(27),
        field(45),
        field(46),
        field(47),
        brk,
        field(28),
        start,
        start + SIZE as u64,
        start,
        start + SIZE as u64,
        // No auxiliary vector, and exe_fd -1 behind its size.
        0,
        u64::from(u32::MAX) << 32,
        0,
    ];
    // SAFETY: the kernel reads one structure of 104 bytes, which `map` holds.
    let set = unsafe { libc::prctl(libc::PR_SET_MM, 14, map.as_ptr(), 104, 0) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    Vec::new()
}

fn records(how: &str) -> Vec<OwnedFd> {
    let held = match how {
        "leased" => vec![leased(record(b"version=contain 1\0", false))],
        "large" => (0..60).map(|_| record(&large(), true)).collect(),
        "many" => (0..100)
            .map(|_| record(&vec![b'x'; 8 << 20], true))
            .collect(),
        "small" => (0..600)
            .map(|_| record(&vec![b'x'; 32 << 10], true))
            .collect(),
        "descriptors" => {
            let one = record(b"", true);
            let more = std::iter::repeat_with(|| dup(&one));
            more.take(900).map(|fd| fd.expect("a descriptor")).collect()
        }
        _ => panic!("no such records: {how}"),
    };
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::SIGCHLD;
    // SAFETY: without a stack it is fork(2), and this process has one thread.
    match unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) } {
        -1 => panic!("clone: {}", std::io::Error::last_os_error()),
        0 => loop {
            // SAFETY: no arguments. It ends with who has made it.
            unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
            pause();
        },
        _ => held,
    }
}

/// One that reads as a record, of the size of a long command line.
fn large() -> Vec<u8> {
    let mut bytes = b"version=contain 1\0profile=1,off\0init=1\0argument=".to_vec();
    bytes.resize((8 << 20) - 1, b'x');
    bytes.push(0);
    bytes
}

fn record(bytes: &[u8], seal: bool) -> OwnedFd {
    let flags = MFdFlags::MFD_ALLOW_SEALING | MFdFlags::MFD_CLOEXEC;
    let mut file = File::from(memfd_create(c"contain", flags).expect("a memfd"));
    file.write_all(bytes).expect("memory");
    if seal {
        fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::all())).expect("seals");
    }
    // For reading alone: a lease asks for that.
    let again = format!("/proc/self/fd/{}", file.as_raw_fd());
    File::open(again).expect("the memfd once more").into()
}

/// Who opens it waits until we give it back, which we do not.
fn leased(file: OwnedFd) -> OwnedFd {
    // SAFETY: integers only. The signal that tells of a break would end us.
    unsafe {
        libc::signal(libc::SIGIO, libc::SIG_IGN);
        let taken = libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK);
        assert_eq!(taken, 0, "{}", std::io::Error::last_os_error());
    }
    file
}
