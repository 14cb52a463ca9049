//! Root file systems of other architectures: Debian's static busyboxes, fetched once a
//! machine by an apt that knows nothing of this machine's packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::roots::{Root, empty_root};
use crate::store::{built, host_is_root};
use crate::user::User;

/// An architecture as Debian calls it, and as its uname(1) and QEMU do.
pub struct Foreign {
    /// Debian's name.
    pub debian: &'static str,
    /// What `uname -m` says there.
    pub machine: &'static str,
    /// The emulator's name behind `qemu-`.
    pub qemu: &'static str,
}

const fn row(debian: &'static str, machine: &'static str, qemu: &'static str) -> Foreign {
    Foreign {
        debian,
        machine,
        qemu,
    }
}

/// Wide and narrow, little-endian and big-endian.
pub const FOREIGN: [Foreign; 5] = [
    row("arm64", "aarch64", "aarch64"),
    row("armhf", "armv7l", "arm"),
    row("ppc64el", "ppc64le", "ppc64le"),
    row("riscv64", "riscv64", "riscv64"),
    row("s390x", "s390x", "s390x"),
];

/// The release that has all of them.
const SUITE: &str = "trixie";
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const MIRROR: &str = "http://deb.debian.org/debian";

const APPLETS: &str = "sh cat chmod chroot cp echo env false grep id init kill ls ln mkdir mount poweroff ps \
    readlink reboot rm sleep stat su touch true umount uname wc";

/// Writes the busybox of the architecture "$1" to the file "$2".
const FETCH: &str = r#"
    set -e
    dir=$2.apt; mkdir -p $dir/lists/partial $dir/cache/archives/partial; : >$dir/status
    cat >$dir/apt.conf <<END
        Dir::State "$dir"; Dir::State::status "$dir/status"; Dir::Cache "$dir/cache";
        Dir::Etc::SourceList "$dir/sources.list"; Dir::Etc::SourceParts "/dev/null";
        APT::Architecture "$1"; APT::Architectures { "$1"; }; APT::Sandbox::User "root";
        APT::Update::Error-Mode "any"; Acquire::Languages "none"; Acquire::Retries "2";
END
    echo "deb [signed-by=$4] $5 $3 main" >$dir/sources.list
    export APT_CONFIG=$dir/apt.conf
    timeout 180 apt-get -qq update
    cd $dir
    timeout 180 apt-get -qq download busybox-static
    dpkg-deb -x busybox-static_*.deb all
    install -m 755 $(find all -type f -path '*bin/busybox') $2
    cd /
    rm -rf $dir
"#;

/// The emulator of an architecture on this machine.
///
/// # Errors
/// That there is none, as a skip records it.
pub fn emulator(qemu: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(format!("/usr/bin/qemu-{qemu}-static"));
    match path.exists() {
        true => Ok(path),
        false => Err("no qemu-user-static: tests/run installs it".to_owned()),
    }
}

/// A fresh root of that architecture's busybox; no /dev, /proc or /sys.
///
/// # Errors
/// Why there is none, as a skip records it.
///
/// # Panics
/// When it cannot be made.
pub fn foreign_root(user: &User, foreign: &Foreign) -> Result<Root, String> {
    emulator(foreign.qemu)?;
    let busybox = fs::read(busybox(foreign.debian)?).expect("a busybox");
    let root = empty_root(user);
    root.mkdir("etc")
        .mkdir("root")
        .mkdir("tmp")
        .mkdir("run")
        .mkdir("usr");
    root.write("bin/busybox", busybox, 0o755);
    for applet in APPLETS.split_whitespace() {
        root.link("busybox", &format!("bin/{applet}"));
    }
    root.link("bin", "sbin");
    root.write(
        "etc/passwd",
        "root::0:0:root:/root:/bin/sh\nuser:x:1:1::/:/bin/sh\n",
        0o644,
    );
    root.write("etc/group", "root:x:0:\nuser:x:1:\n", 0o644);
    Ok(root)
}

/// The file, fetched by root the first time.
fn busybox(debian: &str) -> Result<PathBuf, String> {
    let name = format!("busybox-{debian}");
    if !host_is_root() {
        let made = fs::read_dir("/var/tmp/contain-tests-0")
            .into_iter()
            .flatten();
        let mut made = made.flatten().map(|entry| entry.path());
        let ours = |path: &PathBuf| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.starts_with(&format!("{name}-"))
        };
        return made
            .find(ours)
            .ok_or_else(|| format!("only root fetches {name}"));
    }
    if !Path::new(KEYS).exists() {
        return Err(format!("no {KEYS}"));
    }
    Ok(built(&name, &(SUITE, FETCH), |path| {
        let mut fetch = Command::new("sh");
        fetch
            .args(["-c", FETCH, "sh", debian])
            .arg(path)
            .args([SUITE, KEYS, MIRROR]);
        let status = fetch.stdin(Stdio::null()).status().expect("sh");
        assert!(status.success(), "cannot fetch {name}: {status}");
    }))
}
