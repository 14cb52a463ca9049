//! The container's network: what can be asked for, and the supervisor's part
//! in making it.

mod bridge;
mod netlink;
mod pasta;
pub(crate) mod resolv;

use std::fmt;
use std::os::fd::BorrowedFd;
use std::str::FromStr;
use std::time::Instant;

use nix::poll::PollFlags;

pub use bridge::Bridge;
pub use pasta::Pasta;
pub(crate) use resolv::Resolver;

use crate::error::Result;
use crate::exec::Program;
use crate::idmap::setgroups_allowed;
use crate::process::Process;
use crate::signals::Signals;
use crate::spec::Spec;

/// The container's network, as `--net` names it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Net {
    /// A network namespace of its own with nothing but lo, which is up.
    #[default]
    Private,
    /// The caller's network, over which container root has no power. That
    /// includes services on the host's localhost and its abstract sockets.
    Host,
    /// One of its own that reaches what the caller reaches, by pasta(1).
    Pasta(Pasta),
    /// One of its own with an interface on a bridge of the host's.
    Bridge(Bridge),
}

impl Net {
    /// Whether the container has a network namespace of its own.
    pub(crate) fn is_own(&self) -> bool {
        *self != Net::Host
    }
}

/// `private`, `host`, `pasta[,tcp:HOST:INSIDE][,udp:HOST:INSIDE]...` or
/// `bridge:NAME[,ip=ADDR/LEN][,gw=ADDR]`.
impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Net, String> {
        let (mode, options) = match text.split_once(',') {
            Some((mode, options)) => (mode, Some(options)),
            None => (text, None),
        };
        let options = options.into_iter().flat_map(|options| options.split(','));
        match (mode.split_once(':'), mode) {
            (Some(("bridge", name)), _) => Bridge::new(name, options).map(Net::Bridge),
            (None, "pasta") => Pasta::new(options).map(Net::Pasta),
            (None, "private" | "host") if text != mode => Err(format!("{mode} has no options")),
            (None, "private") => Ok(Net::Private),
            (None, "host") => Ok(Net::Host),
            (None, "bridge") => Err("it lacks the bridge's name: bridge:NAME".to_string()),
            _ => Err("it is none of private, host, pasta and bridge:NAME".to_string()),
        }
    }
}

/// In few words, for the record: forwarded ports and addresses are left out.
impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Net::Private => f.write_str("private"),
            Net::Host => f.write_str("host"),
            Net::Pasta(_) => f.write_str("pasta"),
            Net::Bridge(bridge) => write!(f, "bridge:{}", bridge.name()),
        }
    }
}

/// A network, decided.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) net: Net,
    /// What becomes of /etc/resolv.conf.
    pub(crate) resolver: Option<Resolver>,
    /// pasta, ready to run.
    pasta: Option<Program>,
}

impl Network {
    /// # Errors
    /// When a program that it takes is missing.
    pub(crate) fn new(spec: &Spec) -> Result<Network> {
        let pasta = match &spec.net {
            Net::Pasta(pasta) => Some(pasta.program()?),
            _ => None,
        };
        Ok(Network {
            net: spec.net.clone(),
            resolver: Resolver::new(spec),
            pasta,
        })
    }

    /// Whether what connects it begins only once a guard is there to end it.
    pub(crate) fn wants_guard(&self) -> bool {
        self.pasta.is_some()
    }

    /// Connects the new network namespace of `init`, which still waits for the
    /// go and so has the caller's ids.
    ///
    /// # Errors
    /// Whatever keeps the network from being what was asked for.
    pub(crate) fn attach(&self, init: &Process, signals: &Signals) -> Result<Attached> {
        if let Net::Bridge(bridge) = &self.net {
            bridge.attach(init, signals)?;
        }
        let prepare = |program| {
            let may_set_groups = setgroups_allowed(init.pid())?;
            pasta::Running::prepare(program, init.pid(), may_set_groups)
        };
        Ok(Attached {
            pasta: self.pasta.as_ref().map(prepare).transpose()?,
            mirror: None,
        })
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

/// The setting that says which ports are anybody's to use, ip(7).
const UNPRIVILEGED: &str = "net.ipv4.ip_unprivileged_port_start";

/// The first port that is, where there are others.
fn low_ports() -> Option<u16> {
    let path = format!("/proc/sys/{}", UNPRIVILEGED.replace('.', "/"));
    let text = std::fs::read_to_string(path).ok()?;
    text.trim().parse().ok().filter(|first| *first > 0)
}

/// What the supervisor keeps at work for the container's network.
#[derive(Default)]
pub(crate) struct Attached {
    pasta: Option<pasta::Running>,
    /// The container's copy of resolv.conf.
    pub(crate) mirror: Option<resolv::Mirror>,
}

impl Attached {
    /// The process that the guard ends together with init.
    pub(crate) fn process(&self) -> Option<BorrowedFd<'_>> {
        self.pasta.as_ref().map(pasta::Running::pidfd)
    }

    /// Lets pasta begin: the guard is there.
    pub(crate) fn begin(&mut self) {
        if let Some(pasta) = &mut self.pasta {
            pasta.begin();
        }
    }

    /// Waits until the network works.
    ///
    /// # Errors
    /// What pasta said of its failure; a signal that asks us to end.
    pub(crate) fn await_ready(&self, network: &Network, signals: &Signals) -> Result<()> {
        match (&self.pasta, &network.net) {
            (Some(running), Net::Pasta(pasta)) => running.await_ready(pasta, signals),
            _ => Ok(()),
        }
    }

    /// What to wait for: the end of pasta, a change of the host's resolv.conf.
    pub(crate) fn poll_fds(&self) -> [Option<BorrowedFd<'_>>; 2] {
        [
            self.process(),
            self.mirror.as_ref().and_then(resolv::Mirror::changes),
        ]
    }

    /// When something is due whatever poll finds.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.mirror.as_ref().and_then(resolv::Mirror::deadline)
    }

    /// Does what is due, given what poll found; returns what the user should
    /// know of it.
    pub(crate) fn handle(&mut self, [pasta, changed]: [PollFlags; 2]) -> Option<String> {
        if let Some(mirror) = &mut self.mirror {
            mirror.begin();
            if !changed.is_empty() {
                mirror.follow();
            }
        }
        let ended = self.pasta.take_if(|_| !pasta.is_empty())?;
        Some(format!(
            "the container has lost its network: pasta ended: {}",
            ended.reason()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Net>()
            .map_or_else(|why| format!("! {why}"), |net| net.to_string())
    }

    #[test]
    fn reads_the_modes() {
        for (text, net) in [
            ("private", Net::Private),
            ("host", Net::Host),
            ("pasta", Net::Pasta(Pasta::default())),
        ] {
            assert_eq!(text.parse(), Ok(net));
            assert_eq!(shown(text), text);
        }
        assert_eq!(shown("bridge:br0,ip=10.0.0.2/24"), "bridge:br0");
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "none",
            "Host",
            "host,",
            "host,x",
            "private,",
            "pasta:",
            "pasta:1",
            "bridge",
            "bridge,ip=10.0.0.1/8",
            "host:",
            "tap:x",
        ] {
            assert!(text.parse::<Net>().is_err(), "{text:?}");
        }
    }
}
