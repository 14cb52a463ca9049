//! The container's network, as it is asked for.

pub(crate) mod bridge;
pub(crate) mod pasta;

use std::fmt;
use std::str::FromStr;

use crate::spec::net::bridge::Bridge;
use crate::spec::net::pasta::Pasta;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::net::pasta::Pasta;

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
