//! The host's /etc/resolv.conf, resolv.conf(5): which name servers it names.

use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;

pub(crate) const HOST: &str = "/etc/resolv.conf";

/// What it says; None where there is none that can be read.
pub(crate) fn text() -> Option<Vec<u8>> {
    /// More than any resolver reads.
    const MAX_SIZE: u64 = 64 * 1024;
    let mut text = Vec::new();
    File::open(HOST)
        .and_then(|file| file.take(MAX_SIZE).read_to_end(&mut text))
        .ok()?;
    Some(text)
}

/// The address of a line that names a name server.
pub(crate) fn name_server(line: &[u8]) -> Option<IpAddr> {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_whitespace();
    words.next().filter(|word| *word == "nameserver")?;
    words.next()?.parse().ok()
}

/// Whether it names one that is not on the localhost.
pub(crate) fn has_others(text: &[u8]) -> bool {
    let mut named = text.split(|byte| *byte == b'\n').filter_map(name_server);
    named.any(|address| !address.is_loopback())
}
