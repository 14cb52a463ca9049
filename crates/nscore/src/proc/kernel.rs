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

/// Whether there is a way out of this network, by the tables of routes of IPv4 and of
/// IPv6: proc_pid_net(5).
pub(crate) fn has_default_route() -> bool {
    let none = "00000000";
    let text = |name: &str| proc::read(format!("/proc/self/net/{name}")).unwrap_or_default();
    let is_default = |line: &str| line.split_whitespace().nth(1) == Some(none);
    let is_default_6 = |line: &str| {
        let mut words = line.split_whitespace();
        let to_all = words
            .next()
            .is_some_and(|to| to.bytes().all(|byte| byte == b'0'));
        to_all && words.next() == Some("00") && !line.ends_with("lo")
    };
    text("route").lines().any(is_default) || text("ipv6_route").lines().any(is_default_6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_begins_with_its_version() {
        assert_eq!(version("6.1.0-44-cloud-amd64"), Some((6, 1)));
        assert_eq!(version("x"), None);
    }
}
