//! `pasta`: a network that reaches what the caller reaches, by way of pasta(1), and the
//! ports that lead into it.

use std::fmt;

use crate::error::digits::digits;
use crate::error::text::quoted;

/// What a failure is told as.
pub(crate) const WHAT: &str = "start pasta";

/// Where interfaces like that of pasta come from.
pub(crate) const TUN: &str = "/dev/net/tun";

/// A network by pasta(1), and the ports that it forwards to the container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pasta {
    pub(crate) forwards: Vec<Forward>,
}

/// A port of the host's that leads to one of the container's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) protocol: Protocol,
    pub(crate) outside: u16,
    pub(crate) inside: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
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
    pub(crate) fn steps(&self) -> impl Iterator<Item = String> {
        let step = |one: &Forward| {
            let (protocol, outside, inside) = (one.protocol, one.outside, one.inside);
            format!("forward {protocol} port {outside} to {inside} of the container")
        };
        ["run pasta, which connects the container".to_string()]
            .into_iter()
            .chain(self.forwards.iter().map(step))
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
