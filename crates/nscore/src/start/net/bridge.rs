//! An interface on a bridge of the host's: a veth pair with one end on the bridge and
//! the other, eth0, made right in the container's network namespace. It goes when that
//! namespace goes, however that comes about. veth(4), rtnetlink(7).

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::sched::{CloneFlags, setns};

use crate::error::hint::advice::Op;
use crate::error::{Error, Result};
use crate::proc::namespaces;
use crate::spec::net::bridge::{Bridge, INSIDE, OUTSIDE};
use crate::start::errand;
use crate::start::net::netlink::{self, Netlink};
use crate::supervise::signals::Signals;
use crate::sys::Sys;
use crate::sys::child::Process;

/// A random address for the end on the bridge. It begins with fe:ff, because a
/// bridge takes the lowest address among its ports for its own, and would
/// change it with the containers: above the address of a card, and of nearly
/// every other one that is random.
pub(crate) fn hardware_address() -> [u8; 6] {
    // Keyed anew by the kernel's random numbers for each process.
    let random = RandomState::new().build_hasher().finish().to_ne_bytes();
    [0xfe, 0xff, random[0], random[1], random[2], random[3]]
}

impl Bridge {
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
