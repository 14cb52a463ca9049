//! Which network a container has, how pasta is called for it, and whose resolv.conf
//! it reads.

use std::ffi::OsString;
use std::path::Path;

use crate::error::{Error, Result, c_string};
use crate::exec::program::Program;
use crate::host::programs;
use crate::host::resolv::{self, HOST};
use crate::plan::network::{FORWARDER, Network, Resolver};
use crate::spec::Spec;
use crate::spec::mounts::clean;
use crate::spec::net::Net;
use crate::spec::net::pasta::{Pasta, Protocol, WHAT};

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
}

impl Pasta {
    /// The program, ready to run.
    ///
    /// # Errors
    /// When it is not installed.
    pub(super) fn program(&self) -> Result<Program> {
        let Some(path) = programs::find_helper("pasta") else {
            return Err(Error::new(
                WHAT,
                "it is not installed (Debian package passt)",
            ));
        };
        // It gives the answers of the first name server an address of its own, where it
        // has to: asked directly, that one would seem to be another. See
        // findings/pasta-answers-for-the-first-server.sh.
        let forward = !resolv::text().is_some_and(|text| resolv::has_others(&text));
        Program::at(&c_string(path)?, &self.arguments(forward), &[])
    }

    /// The program's arguments. Nothing reaches a port on either side that was
    /// not asked for, and nothing inside the localhost of the host. Each port has
    /// an option of its own: of several in one, only one need be had.
    pub(crate) fn arguments(&self, forward: bool) -> Vec<OsString> {
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
        if forward {
            arguments.extend(["--dns-forward", FORWARDER].map(OsString::from));
        }
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
}

impl Resolver {
    /// None where the container's own file is left alone.
    pub(crate) fn new(spec: &Spec) -> Option<Resolver> {
        let forwarded = match spec.net {
            Net::Host => false,
            Net::Pasta(_) => true,
            Net::Private | Net::Bridge(_) => return None,
        };
        // What the caller shows there is what is wanted there.
        let of_caller = ["/etc", HOST].map(Path::new);
        let mut places = spec.mounts.iter().map(|mount| clean(&mount.at));
        let theirs = places.any(|at| of_caller.contains(&at.as_path()));
        (spec.dns && !theirs).then_some(Resolver { forwarded })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(list: &str) -> Pasta {
        match format!("pasta,{list}").parse().unwrap() {
            Net::Pasta(pasta) => pasta,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn forwards_what_was_asked_for_and_no_more() {
        let arguments = |pasta: &Pasta| -> Vec<String> {
            let arguments = pasta.arguments(true);
            arguments
                .into_iter()
                .map(|a| a.into_string().unwrap())
                .collect()
        };
        let behind = |arguments: &[String], option: &str| -> Vec<String> {
            let pairs = arguments.windows(2).filter(|pair| pair[0] == option);
            pairs.map(|pair| pair[1].clone()).collect()
        };
        let some = arguments(&ports("tcp:8080:80,udp:53:5353,tcp:2222:22"));
        assert_eq!(behind(&some, "--tcp-ports"), ["8080:80", "2222:22"]);
        assert_eq!(behind(&some, "--udp-ports"), ["53:5353"]);
        let none = arguments(&Pasta::default());
        for option in ["--tcp-ports", "--udp-ports", "--tcp-ns", "--udp-ns"] {
            assert_eq!(behind(&none, option), ["none"]);
        }
    }
}
