//! A network of its own with an interface on a bridge of the host's: a veth
//! pair with one end on the bridge and the other, eth0, made right in the
//! container's network namespace. It goes when that namespace goes, however
//! that comes about. veth(4), rtnetlink(7).

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::IpAddr;
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};

use super::netlink::{self, Netlink};
use crate::digits::digits;
use crate::errand;
use crate::error::{Error, Result, quoted};
use crate::hint::Op;
use crate::namespaces;
use crate::process::Process;
use crate::signals::Signals;
use crate::sys::Sys;

/// The interface's name inside.
const INSIDE: &str = "eth0";

/// Its other end's name: the kernel puts the lowest number that is free.
const OUTSIDE: &str = "contain%d";

/// A bridge, and what the container's interface on it is configured with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    name: String,
    /// Address and prefix length; without, the container asks by DHCP.
    address: Option<(IpAddr, u8)>,
    /// Within the network of the address.
    gateway: Option<IpAddr>,
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
    pub(super) fn steps(&self) -> impl Iterator<Item = String> {
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

    fn what(&self) -> String {
        format!("attach an interface to bridge {}", self.name)
    }

    /// Makes the pair, both ends up, and configures the inner one.
    ///
    /// # Errors
    /// No such bridge, no right to, or an address that the kernel refuses.
    pub(super) fn attach(&self, init: &Process, signals: &Signals) -> Result<()> {
        let bridge = if_nametoindex(self.name.as_str()).map_err(|errno| match errno {
            Errno::ENODEV => Error::new(self.what(), "there is no such interface"),
            errno => Error::errno(self.what(), errno),
        })?;
        let namespace = namespaces::open(init.pid(), "net")?;
        let pair = netlink::veth(
            (OUTSIDE, bridge, hardware_address()),
            (INSIDE, namespace.as_raw_fd()),
        );
        Netlink::open()
            .and_then(|netlink| netlink.request(pair))
            .map_err(|errno| match errno {
                // What has no ports answers so.
                Errno::EOPNOTSUPP => Error::new(self.what(), "it is not a bridge"),
                errno => Error::system(Op::Network, self.what(), errno),
            })?;
        self.configure(init, signals)
    }

    /// Another process enters the namespace, because a socket belongs to the one
    /// that it was made in.
    fn configure(&self, init: &Process, signals: &Signals) -> Result<()> {
        let what = format!("configure {INSIDE}");
        let configure = || {
            setns(init.pidfd(), CloneFlags::CLONE_NEWNET)?;
            self.configure_here().map(|()| 0)
        };
        let done = errand::run(&what, signals, configure)?;
        done.map(drop).map_err(|errno| Error::errno(what, errno))
    }

    fn configure_here(&self) -> Sys<()> {
        let netlink = Netlink::open()?;
        let interface = if_nametoindex(INSIDE)?;
        netlink.request(netlink::interface_up(interface))?;
        if let Some(address) = self.address {
            netlink.request(netlink::address(interface, address))?;
        }
        match self.gateway {
            Some(gateway) => netlink.request(netlink::default_route(interface, gateway)),
            None => Ok(()),
        }
    }
}

/// A random address for the end on the bridge. It begins with fe, because a
/// bridge takes the lowest address among its ports for its own, and would
/// change it with the containers.
fn hardware_address() -> [u8; 6] {
    // Keyed anew by the kernel's random numbers for each process.
    let random = RandomState::new().build_hasher().finish().to_ne_bytes();
    [0xfe, random[0], random[1], random[2], random[3], random[4]]
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
