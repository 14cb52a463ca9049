//! A network, decided: which, and what becomes of /etc/resolv.conf.

use std::fmt;

use crate::exec::program::Program;
use crate::proc::kernel::{UNPRIVILEGED, low_ports};
use crate::spec::net::Net;

/// The address that pasta answers at for the resolver on the host's localhost:
/// one that is nobody's, RFC 3927.
pub(crate) const FORWARDER: &str = "169.254.1.1";

/// A network, decided.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) net: Net,
    /// What becomes of /etc/resolv.conf.
    pub(crate) resolver: Option<Resolver>,
    /// pasta, ready to run.
    pub(crate) pasta: Option<Program>,
}

impl Network {
    /// Whether what connects it begins only once a guard is there to end it.
    pub(crate) fn wants_guard(&self) -> bool {
        self.pasta.is_some()
    }
}

/// One step a line.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.net {
            Net::Private => Ok(()),
            Net::Host => match low_ports() {
                Some(first) => writeln!(
                    f,
                    "share the host's network, but no port below {first} ({UNPRIVILEGED})"
                ),
                None => writeln!(f, "share the host's network"),
            },
            Net::Pasta(pasta) => pasta.steps().try_for_each(|step| writeln!(f, "{step}")),
            Net::Bridge(bridge) => bridge.steps().try_for_each(|step| writeln!(f, "{step}")),
        }
    }
}

/// The copy, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resolver {
    /// The host's localhost is out of the container's reach.
    pub(crate) forwarded: bool,
}
