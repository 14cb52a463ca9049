//! The version of the kernel, and settings of it that decisions rest on.

use crate::proc;

/// The setting that says which ports are anybody's to use, ip(7).
pub(crate) const UNPRIVILEGED: &str = "net.ipv4.ip_unprivileged_port_start";

/// The version of the kernel that runs.
pub(crate) fn kernel_version() -> Option<(u32, u32)> {
    let release = proc::read("/proc/sys/kernel/osrelease").ok()?;
    version(&release)
}

/// The first two numbers of a release like 6.1.0-44-cloud-amd64.
pub(crate) fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The first port that is, where there are others.
pub(crate) fn low_ports() -> Option<u16> {
    let path = format!("/proc/sys/{}", UNPRIVILEGED.replace('.', "/"));
    let text = std::fs::read_to_string(path).ok()?;
    text.trim().parse().ok().filter(|first| *first > 0)
}
