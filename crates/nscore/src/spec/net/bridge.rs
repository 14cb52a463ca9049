//! `bridge:NAME`: an interface on a bridge of the host's, with an address or without.

use std::net::IpAddr;

use crate::error::digits::digits;
use crate::error::text::quoted;

/// The interface's name inside.
pub(crate) const INSIDE: &str = "eth0";

/// Its other end's name: the kernel puts the lowest number that is free.
pub(crate) const OUTSIDE: &str = "contain%d";

/// A bridge, and what the container's interface on it is configured with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    pub(crate) name: String,
    /// Address and prefix length; without, the container asks by DHCP.
    pub(crate) address: Option<(IpAddr, u8)>,
    /// Within the network of the address.
    pub(crate) gateway: Option<IpAddr>,
}

impl Bridge {
    /// The bridge `name` with options `ip=ADDR/LEN` and `gw=ADDR`.
    pub(super) fn new<'a>(
        name: &str,
        options: impl Iterator<Item = &'a str>,
    ) -> std::result::Result<Bridge, String> {
        if !is_interface_name(name) {
            return Err(format!("{} is no name of an interface", quoted(name)));
        }
        let (mut address, mut gateway) = (None, None);
        for option in options {
            let twice = match option.split_once('=') {
                Some(("ip", value)) => address.replace(parse_network(value)?).is_some(),
                Some(("gw", value)) => gateway.replace(parse_address(value)?).is_some(),
                _ => return Err(format!("{} is neither ip= nor gw=", quoted(option))),
            };
            if twice {
                return Err(format!("{} is the second of its kind", quoted(option)));
            }
        }
        match (address, gateway) {
            (None, Some(_)) => return Err("gw= needs ip=".to_string()),
            (Some(network), Some(gateway)) if !is_neighbour(network, gateway) => {
                return Err(format!("no gateway {gateway} is in the network of ip="));
            }
            _ => {}
        }
        Ok(Bridge {
            name: name.to_string(),
            address,
            gateway,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The steps, for --explain.
    pub(crate) fn steps(&self) -> impl Iterator<Item = String> {
        let pair = format!("{}, and its other end, {INSIDE}, inside", self.what());
        let address = |(address, length)| format!("give {INSIDE} the address {address}/{length}");
        let route = |gateway| format!("route to everywhere by {gateway}");
        [
            Some(pair),
            self.address.map(address),
            self.gateway.map(route),
        ]
        .into_iter()
        .flatten()
    }

    pub(crate) fn what(&self) -> String {
        format!("attach an interface to bridge {}", self.name)
    }
}

/// What the kernel takes for a name, dev_valid_name() in net/core/dev.c, and a
/// terminal for nothing else.
fn is_interface_name(name: &str) -> bool {
    let good = |byte: u8| !byte.is_ascii_whitespace() && !matches!(byte, b'/' | b':' | 0 | 0x0b);
    (1..libc::IFNAMSIZ).contains(&name.len())
        && name != "."
        && name != ".."
        && name.bytes().all(good)
        && !name.contains(char::is_control)
}

fn parse_address(text: &str) -> std::result::Result<IpAddr, String> {
    let none = || format!("{} is no address of a host", quoted(text));
    let address: IpAddr = text.parse().map_err(|_| none())?;
    if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
        return Err(none());
    }
    Ok(address)
}

fn parse_network(text: &str) -> std::result::Result<(IpAddr, u8), String> {
    let none = || format!("{} is not of the form ADDR/LEN", quoted(text));
    let (address, length) = text.split_once('/').ok_or_else(none)?;
    let address = parse_address(address)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = digits(length).filter(|length| (1..=most).contains(length));
    Ok((address, length.ok_or_else(none)?))
}

/// Whether the gateway is another host of the same network.
fn is_neighbour((address, length): (IpAddr, u8), gateway: IpAddr) -> bool {
    let (bits, differing) = match (address, gateway) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (32, u128::from(a.to_bits() ^ b.to_bits())),
        (IpAddr::V6(a), IpAddr::V6(b)) => (128, a.to_bits() ^ b.to_bits()),
        _ => return false,
    };
    let host_bits = bits - u32::from(length);
    differing != 0 && differing.checked_shr(host_bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::start::net::bridge::hardware_address;

    fn read(text: &str) -> std::result::Result<Bridge, String> {
        let mut parts = text.split(',');
        Bridge::new(parts.next().unwrap(), parts)
    }

    #[test]
    fn reads_addresses() {
        let bridge = read("br0,ip=10.1.2.3/24,gw=10.1.2.1").unwrap();
        assert_eq!(bridge.address, Some(("10.1.2.3".parse().unwrap(), 24)));
        assert_eq!(bridge.gateway, Some("10.1.2.1".parse().unwrap()));
        for text in [
            "br0",
            "a.b-c_15bytes..",
            "br0,ip=10.0.0.1/32",
            "br0,gw=fd00::1,ip=fd00::2/64",
            "br0,ip=128.0.0.1/1,gw=255.0.0.1",
        ] {
            assert!(read(text).is_ok(), "{text:?}: {:?}", read(text));
        }
    }

    #[test]
    fn refuses_what_the_kernel_would() {
        for text in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "a:b",
            "sixteen-bytes-xx",
            "br0,",
            "br0,ip",
            "br0,ip=",
            "br0,ip=10.0.0.1",
            "br0,ip=10.0.0.1/",
            "br0,ip=10.0.0.1/0",
            "br0,ip=10.0.0.1/33",
            "br0,ip=10.0.0.1/+8",
            "br0,ip=10.0.0/8",
            "br0,ip=0.0.0.0/8",
            "br0,ip=127.0.0.1/8",
            "br0,ip=224.0.0.1/8",
            "br0,ip=fd00::1/129",
            "br0,ip=fe80::1%eth0/64",
            "br0,gw=10.0.0.1",
            "br0,ip=10.0.0.2/24,gw=10.0.1.1",
            "br0,ip=10.0.0.2/24,gw=10.0.0.2",
            "br0,ip=10.0.0.2/32,gw=10.0.0.1",
            "br0,ip=10.0.0.2/24,gw=fd00::1",
            "br0,ip=10.0.0.2/24,ip=10.0.0.3/24",
            "br0,mtu=9000",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
        // And what a terminal would obey.
        assert!(read("br\u{1b}[2J").is_err());
    }

    #[test]
    fn the_bridge_keeps_its_own_address() {
        let [first, ..] = hardware_address();
        // Locally administered, and of one host.
        assert_eq!(first & 0b11, 0b10);
        assert_ne!(hardware_address(), hardware_address());
    }
}
