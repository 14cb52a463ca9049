//! Requests to the kernel's routing socket, one at a time: rtnetlink(7),
//! netlink(7). A handful of messages whose only answer is an error number; a
//! library of all that there are would make the program a quarter larger.

use std::net::IpAddr;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use crate::sys::Sys;

/// The kernel's end answers in the network namespace that this was opened in.
pub(super) struct Netlink {
    socket: OwnedFd,
}

impl Netlink {
    pub(super) fn open() -> Sys<Netlink> {
        let socket = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkRoute,
        )?;
        Ok(Netlink { socket })
    }

    /// Sends a request and waits until it is done.
    pub(super) fn request(&self, request: Request) -> Sys<()> {
        let fd = self.socket.as_raw_fd();
        send(fd, &request.finish(), MsgFlags::empty())?;
        let mut answer = [0; 4096];
        let len = loop {
            match recv(fd, &mut answer, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        outcome(&answer[..len])
    }
}

/// What an acknowledgement says: an error number behind its header, netlink(7)
/// "struct nlmsgerr". Nothing else was asked for.
fn outcome(answer: &[u8]) -> Sys<()> {
    const KIND: u16 = libc::NLMSG_ERROR as u16;
    match (answer.get(4..6), answer.get(HEADER..HEADER + 4)) {
        (Some(kind), Some(&[a, b, c, d])) if kind == KIND.to_ne_bytes() => {
            match i32::from_ne_bytes([a, b, c, d]) {
                0 => Ok(()),
                errno => Err(Errno::from_raw(-errno)),
            }
        }
        _ => Err(Errno::EBADMSG),
    }
}

/// struct nlmsghdr.
const HEADER: usize = 16;

/// A message in the making: a header, a structure, attributes.
pub(super) struct Request {
    bytes: Vec<u8>,
}

/// Flags of a message that makes what must not be there yet.
const MAKE: libc::c_int = libc::NLM_F_CREATE | libc::NLM_F_EXCL;

/// <linux/veth.h>: the other end, as a structure and attributes of its own.
const VETH_INFO_PEER: u16 = 1;

impl Request {
    fn new(kind: u16, flags: libc::c_int, structure: &[u8]) -> Request {
        let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
        // Length, filled in at the end; kind; flags; sequence; sender.
        let mut bytes = vec![0; HEADER];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes.extend(structure);
        Request { bytes }
    }

    /// Adds an attribute: its length, its kind, its value, aligned to 4.
    fn with(self, kind: u16, value: &[u8]) -> Request {
        self.with_nested(kind, |mut request| {
            request.bytes.extend(value);
            request
        })
    }

    /// Adds an attribute whose value is what `fill` adds.
    fn with_nested(mut self, kind: u16, fill: impl FnOnce(Request) -> Request) -> Request {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend(kind.to_ne_bytes());
        let mut filled = fill(self);
        let bytes = &mut filled.bytes;
        // Names and addresses: far from what two bytes can count.
        let len = u16::try_from(bytes.len() - start).unwrap_or(u16::MAX);
        bytes[start..start + 2].copy_from_slice(&len.to_ne_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        filled
    }

    fn finish(mut self) -> Vec<u8> {
        let len = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.bytes[..4].copy_from_slice(&len.to_ne_bytes());
        self.bytes
    }
}

/// struct ifinfomsg: family, type, index, flags and which of them to change.
fn link(index: u32, up: bool) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    if up {
        let flag = libc::IFF_UP.to_ne_bytes();
        bytes[8..12].copy_from_slice(&flag);
        bytes[12..16].copy_from_slice(&flag);
    }
    bytes
}

/// A name with its NUL.
fn name(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\0"].concat()
}

/// A pair of interfaces: one with a name, a bridge and a hardware address, and
/// up; the other with a name in the network namespace behind a descriptor, and
/// down, because while it is made it has no other end yet.
pub(super) fn veth(
    (outer, bridge, address): (&str, u32, [u8; 6]),
    (inner, namespace): (&str, RawFd),
) -> Request {
    let peer = |mut request: Request| {
        request.bytes.extend(link(0, false));
        request
            .with(libc::IFLA_IFNAME, &name(inner))
            .with(libc::IFLA_NET_NS_FD, &namespace.to_ne_bytes())
    };
    Request::new(libc::RTM_NEWLINK, MAKE, &link(0, true))
        .with(libc::IFLA_IFNAME, &name(outer))
        .with(libc::IFLA_MASTER, &bridge.to_ne_bytes())
        .with(libc::IFLA_ADDRESS, &address)
        .with_nested(libc::IFLA_LINKINFO, |request| {
            request
                .with(libc::IFLA_INFO_KIND, b"veth")
                .with_nested(libc::IFLA_INFO_DATA, |request| {
                    request.with_nested(VETH_INFO_PEER, peer)
                })
        })
}

/// The interface, up.
pub(super) fn interface_up(interface: u32) -> Request {
    Request::new(libc::RTM_SETLINK, 0, &link(interface, true))
}

/// An address of the interface; whoever gave it vouches that it is free, so an
/// IPv6 one need not be probed for first.
pub(super) fn address(interface: u32, (address, length): (IpAddr, u8)) -> Request {
    // struct ifaddrmsg: family, prefix length, flags, scope, index.
    let flags = libc::IFA_F_NODAD as u8;
    let mut structure = vec![family(address), length, flags, libc::RT_SCOPE_UNIVERSE];
    structure.extend(interface.to_ne_bytes());
    let request = Request::new(libc::RTM_NEWADDR, MAKE, &structure)
        .with(libc::IFA_LOCAL, &octets(address))
        .with(libc::IFA_ADDRESS, &octets(address));
    match address {
        IpAddr::V4(address) if length < 31 => {
            let broadcast = address.to_bits() | u32::MAX >> length;
            request.with(libc::IFA_BROADCAST, &broadcast.to_be_bytes())
        }
        _ => request,
    }
}

/// The route to everywhere else.
pub(super) fn default_route(interface: u32, gateway: IpAddr) -> Request {
    // struct rtmsg: family, two prefix lengths, type of service, table, who made
    // it, scope, type, flags.
    let (table, protocol) = (libc::RT_TABLE_MAIN, libc::RTPROT_BOOT);
    let (scope, kind) = (libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST);
    let mut structure = vec![family(gateway), 0, 0, 0, table, protocol, scope, kind];
    structure.extend(0_u32.to_ne_bytes());
    Request::new(libc::RTM_NEWROUTE, MAKE, &structure)
        .with(libc::RTA_GATEWAY, &octets(gateway))
        .with(libc::RTA_OIF, &interface.to_ne_bytes())
}

fn family(address: IpAddr) -> u8 {
    let family = match address {
        IpAddr::V4(_) => libc::AF_INET,
        IpAddr::V6(_) => libc::AF_INET6,
    };
    family as u8
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_counted_and_aligned() {
        let bytes = Request::new(16, 0, &[7; 4])
            .with(3, b"abcde")
            .with_nested(18, |request| request.with(1, &[9]))
            .finish();
        let ne = |numbers: &[u16]| -> Vec<u8> {
            numbers
                .iter()
                .flat_map(|number| number.to_ne_bytes())
                .collect()
        };
        assert_eq!(bytes[..4], 44_u32.to_ne_bytes());
        assert_eq!(bytes[4..8], ne(&[16, 5]));
        assert_eq!(bytes[16..20], [7; 4]);
        // The length is without the padding, but counts nested attributes whole.
        let outer = [ne(&[9, 3]), b"abcde\0\0\0".to_vec()].concat();
        let nested = [ne(&[12, 18, 5, 1]), vec![9, 0, 0, 0]].concat();
        assert_eq!(bytes[20..], [outer, nested].concat());
    }

    #[test]
    fn reads_acknowledgements() {
        let answer = |kind: u16, number: i32| {
            let mut bytes = vec![0; 36];
            bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
            bytes[16..20].copy_from_slice(&number.to_ne_bytes());
            bytes
        };
        assert_eq!(outcome(&answer(2, 0)), Ok(()));
        assert_eq!(outcome(&answer(2, -libc::EPERM)), Err(Errno::EPERM));
        assert_eq!(outcome(&answer(16, 0)), Err(Errno::EBADMSG));
        assert_eq!(outcome(&answer(2, 0)[..18]), Err(Errno::EBADMSG));
    }
}
