//! A network of its own that reaches what the caller reaches, by way of
//! pasta(1): a process that turns the packets of an interface inside into
//! sockets of ours outside.

mod running;

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;

pub(super) use running::Running;

use super::{UNPRIVILEGED, low_ports, resolv};
use crate::digits::digits;
use crate::error::{Error, Result, quoted};
use crate::exec::{Program, c_string};
use crate::idmap;

/// What a failure is told as.
const WHAT: &str = "start pasta";

/// Where interfaces like that of pasta come from.
const TUN: &str = "/dev/net/tun";

/// A network by pasta(1), and the ports that it forwards to the container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pasta {
    forwards: Vec<Forward>,
}

/// A port of the host's that leads to one of the container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Forward {
    protocol: Protocol,
    outside: u16,
    inside: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
}

impl Pasta {
    /// The options are `tcp:HOST:INSIDE` and `udp:HOST:INSIDE`.
    pub(super) fn new<'a>(
        options: impl Iterator<Item = &'a str>,
    ) -> std::result::Result<Pasta, String> {
        let mut forwards: Vec<Forward> = Vec::new();
        for option in options {
            let forward = Forward::read(option).ok_or_else(|| {
                let option = quoted(option);
                format!("{option} is neither tcp:HOST:INSIDE nor udp:HOST:INSIDE")
            })?;
            let same = |other: &Forward| {
                (other.protocol, other.outside) == (forward.protocol, forward.outside)
            };
            if forwards.iter().any(same) {
                return Err(format!(
                    "{} port {} is forwarded twice",
                    forward.protocol, forward.outside
                ));
            }
            forwards.push(forward);
        }
        Ok(Pasta { forwards })
    }

    /// The steps, for --explain.
    pub(super) fn steps(&self) -> impl Iterator<Item = String> {
        let step = |one: &Forward| {
            let Forward {
                protocol,
                outside,
                inside,
            } = one;
            format!("forward {protocol} port {outside} to {inside} of the container")
        };
        ["run pasta, which connects the container".to_string()]
            .into_iter()
            .chain(self.forwards.iter().map(step))
    }

    /// The program, ready to run.
    ///
    /// # Errors
    /// When it is not installed.
    pub(super) fn program(&self) -> Result<Program> {
        let Some(path) = idmap::find_helper("pasta") else {
            return Err(Error::new(
                WHAT,
                "it is not installed (Debian package passt)",
            ));
        };
        Program::at(&c_string(path.as_os_str())?, &self.arguments(), &[])
    }

    /// The program's arguments. Nothing reaches a port on either side that was
    /// not asked for, and nothing inside the localhost of the host. Each port has
    /// an option of its own: of several in one, only one need be had.
    fn arguments(&self) -> Vec<OsString> {
        #[rustfmt::skip]
        const ALWAYS: [&str; 19] = [
            "pasta", "--foreground", "--quiet",
            // Also where it would take the container's root for the host's.
            "--runas", "0:0",
            // The user namespace is entered already.
            "--netns", "/proc/self/fd/0", "--netns-only", "--no-netns-quit",
            "--config-net", "--ns-ifname", "eth0",
            "--tcp-ns", "none", "--udp-ns", "none", "--no-map-gw",
            "--pid", "/proc/self/fd/1",
        ];
        let mut arguments: Vec<OsString> = ALWAYS.map(OsString::from).to_vec();
        arguments.extend(["--dns-forward", resolv::FORWARDER].map(OsString::from));
        for (protocol, option) in [
            (Protocol::Tcp, "--tcp-ports"),
            (Protocol::Udp, "--udp-ports"),
        ] {
            let ports = self.forwards.iter().filter(|one| one.protocol == protocol);
            let ports: Vec<_> = ports
                .map(|one| format!("{}:{}", one.outside, one.inside))
                .collect();
            if ports.is_empty() {
                arguments.extend([option, "none"].map(OsString::from));
            }
            for port in ports {
                arguments.extend([option, &port].map(OsString::from));
            }
        }
        arguments
    }

    /// What of this machine explains that pasta ended with these words.
    fn hint(&self, words: &str) -> Option<String> {
        if !words.contains("tun") {
            let first = low_ports()?;
            let lowest = self.forwards.iter().map(|one| one.outside).min()?;
            return (lowest < first).then(|| {
                format!("{UNPRIVILEGED} is {first}: sysctl -w {UNPRIVILEGED}={lowest} as root")
            });
        }
        match fs::metadata(TUN) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Some(format!("{TUN} is missing: modprobe tun as root"))
            }
            Ok(status) if status.mode() & 0o006 != 0o006 => {
                Some(format!("{TUN} is not open to all: chmod 666 {TUN} as root"))
            }
            _ => None,
        }
    }
}

impl Forward {
    fn read(option: &str) -> Option<Forward> {
        let mut parts = option.split(':');
        let protocol = match parts.next()? {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return None,
        };
        let mut port = || digits(parts.next()?).filter(|port| *port != 0);
        let (outside, inside) = (port()?, port()?);
        parts.next().is_none().then_some(Forward {
            protocol,
            outside,
            inside,
        })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<Pasta, String> {
        Pasta::new(text.split(','))
    }

    #[test]
    fn forwards_what_was_asked_for_and_no_more() {
        let arguments = |pasta: &Pasta| -> Vec<String> {
            let arguments = pasta.arguments();
            arguments
                .into_iter()
                .map(|a| a.into_string().unwrap())
                .collect()
        };
        let behind = |arguments: &[String], option: &str| -> Vec<String> {
            let pairs = arguments.windows(2).filter(|pair| pair[0] == option);
            pairs.map(|pair| pair[1].clone()).collect()
        };
        let some = arguments(&read("tcp:8080:80,udp:53:5353,tcp:2222:22").unwrap());
        assert_eq!(behind(&some, "--tcp-ports"), ["8080:80", "2222:22"]);
        assert_eq!(behind(&some, "--udp-ports"), ["53:5353"]);
        let none = arguments(&Pasta::default());
        for option in ["--tcp-ports", "--udp-ports", "--tcp-ns", "--udp-ns"] {
            assert_eq!(behind(&none, option), ["none"]);
        }
    }

    #[test]
    fn refuses_what_is_no_port() {
        assert!(read("tcp:1:65535,udp:1:1").is_ok());
        for text in [
            "",
            "tcp",
            "tcp:80",
            "tcp:80:",
            "tcp::80",
            "tcp:0:80",
            "tcp:80:0",
            "tcp:80:65536",
            "tcp:80:+1",
            "tcp:80:80:80",
            "tcp:80-90:80",
            "sctp:80:80",
            "tcp:80:80,tcp:80:81",
            "tcp:80:80,",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
