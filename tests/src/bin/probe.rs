//! What a process can see and do, a fact a line; run as init, of a container.
//!
//!     probe [ABI:CALL]...
//!
//! Facts are namespaces, identity and capabilities, descriptors, environment,
//! mounts, and hidden files; then for each CALL, named as in the kernel's
//! tables, how it fails when made with arguments that make no sense. ABI is
//! native, i386 or x32.
#![allow(unsafe_code)]

use std::fs;
use std::io;

/// What --strict hides or makes read-only, or not.
const PATHS: [&str; 12] = [
    "/proc/kcore",
    "/proc/keys",
    "/proc/timer_list",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sysrq-trigger",
    "/proc/sys",
];

fn main() {
    namespaces();
    status();
    maps();
    descriptors();
    for (name, value) in std::env::vars() {
        println!("environment {name}={value}");
    }
    mounts();
    for path in PATHS {
        println!("path {path} {}", state(path));
    }
    println!("keyring {}", session_keyring());
    println!("call native:TIOCSTI {}", type_on_a_terminal(0x5412));
    println!(
        "call native:TIOCSTI+high {}",
        type_on_a_terminal(0xdead_beef_0000_5412)
    );
    println!("call native:TIOCLINUX {}", type_on_a_terminal(0x541c));
    println!("call native:TIOCEXCL {}", type_on_a_terminal(0x540c));
    for argument in std::env::args().skip(1) {
        let (abi, name) = argument.split_once(':').expect("ABI:CALL");
        if let Some(number) = tests::call_number(abi, name) {
            println!("call {argument} {}", errno(call(abi, number)));
        }
    }
}

fn namespaces() {
    for entry in fs::read_dir("/proc/self/ns").expect("/proc/self/ns") {
        let entry = entry.expect("an entry");
        let target = fs::read_link(entry.path()).expect("a link");
        let name = entry.file_name();
        if !name.to_string_lossy().ends_with("_for_children") {
            println!("namespace {} {}", name.display(), target.display());
        }
    }
}

fn status() {
    let wanted = [
        "Uid",
        "Gid",
        "Groups",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "SigBlk",
        "SigIgn",
        "SigCgt",
    ];
    for line in fs::read_to_string("/proc/self/status")
        .expect("status")
        .lines()
    {
        if let Some((name, value)) = line.split_once(':')
            && wanted.contains(&name)
        {
            let words: Vec<_> = value.split_whitespace().collect();
            println!("status {name} {}", words.join(" "));
        }
    }
}

fn maps() {
    for name in ["uid_map", "gid_map", "setgroups"] {
        let text = fs::read_to_string(format!("/proc/self/{name}")).expect("a map");
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            println!("map {name} {}", words.join(" "));
        }
    }
}

fn descriptors() {
    for fd in 0..1024 {
        // SAFETY: integers only.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0 {
            println!("descriptor {fd}");
        }
    }
}

fn mounts() {
    for line in fs::read_to_string("/proc/self/mountinfo")
        .expect("mountinfo")
        .lines()
    {
        let fields: Vec<_> = line.split(' ').collect();
        println!("mount {} {}", fields[4], fields[5]);
    }
}

/// absent, empty, unreadable, or what: with read-only where it is so.
fn state(path: &str) -> String {
    use std::io::Read as _;
    let Ok(meta) = fs::metadata(path) else {
        return "absent".to_owned();
    };
    let shown = if meta.is_dir() {
        match fs::read_dir(path).map(Iterator::count) {
            Ok(0) => "empty",
            Ok(_) => "full",
            Err(_) => "unreadable",
        }
    } else {
        let mut byte = [0];
        match fs::File::open(path).and_then(|mut file| file.read(&mut byte)) {
            Ok(0) => "empty",
            Ok(_) => "full",
            Err(_) => "unreadable",
        }
    };
    // SAFETY: zeros are a statvfs.
    let mut about: libc::statvfs = unsafe { std::mem::zeroed() };
    let name = std::ffi::CString::new(path).expect("no NUL");
    // SAFETY: both pointers are to live values for the time of the call.
    let known = unsafe { libc::statvfs(name.as_ptr(), &raw mut about) } == 0;
    if known && about.f_flag & libc::ST_RDONLY != 0 {
        return format!("{shown},read-only");
    }
    shown.to_owned()
}

/// The serial number of the session keyring, or why there is none to be told.
fn session_keyring() -> String {
    const GET_KEYRING_ID: libc::c_long = 0;
    const SESSION: libc::c_long = -3;
    // SAFETY: integers only.
    let serial = unsafe { libc::syscall(libc::SYS_keyctl, GET_KEYRING_ID, SESSION, 0) };
    if serial < 0 {
        errno(-i64::from(last_errno()))
    } else {
        serial.to_string()
    }
}

/// A request of a terminal's at something that is none.
fn type_on_a_terminal(request: u64) -> String {
    let null = fs::File::open("/dev/null").expect("/dev/null");
    let fd = std::os::fd::AsRawFd::as_raw_fd(&null);
    // SAFETY: the argument is to a byte, and the file has no such request.
    let result = unsafe { libc::syscall(libc::SYS_ioctl, fd, request, c"x".as_ptr()) };
    errno(if result < 0 {
        -i64::from(last_errno())
    } else {
        0
    })
}

fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// EPERM for -1, and so on for what these tests ask about.
fn errno(result: i64) -> String {
    match result {
        0.. => "none".to_owned(),
        -1 => "EPERM".to_owned(),
        -38 => "ENOSYS".to_owned(),
        -25 => "ENOTTY".to_owned(),
        other => format!("{}", -other),
    }
}

#[cfg(target_arch = "x86_64")]
fn call(abi: &str, number: u32) -> i64 {
    const X32: i64 = 0x4000_0000;
    match abi {
        "i386" => i386(number),
        "x32" => native(i64::from(number) | X32),
        _ => native(i64::from(number)),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn call(_: &str, number: u32) -> i64 {
    native(i64::from(number))
}

fn native(number: i64) -> i64 {
    // SAFETY: no call takes -1 for a pointer or does something with it for a
    // number, of those that are asked about.
    let result = unsafe { libc::syscall(number, -1_i64, -1_i64, -1_i64, -1_i64, -1_i64, -1_i64) };
    if result < 0 {
        -i64::from(last_errno())
    } else {
        result
    }
}

/// By the gate of 32-bit programs.
#[cfg(target_arch = "x86_64")]
fn i386(number: u32) -> i64 {
    let result: u32;
    // SAFETY: as above. rbx is LLVM's own and given back.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {first}",
            "int 0x80",
            "xchg rbx, {first}",
            first = inout(reg) u64::from(u32::MAX) => _,
            inlateout("eax") number => result,
            in("ecx") u32::MAX,
            in("edx") u32::MAX,
            in("esi") u32::MAX,
            in("edi") u32::MAX,
            lateout("r8") _,
            lateout("r9") _,
            lateout("r10") _,
            lateout("r11") _,
        );
    }
    i64::from(result.cast_signed())
}
