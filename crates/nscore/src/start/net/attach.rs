//! Giving the container the network that was decided, and waiting until it is there.

use crate::error::Result;
use crate::plan::network::Network;
use crate::proc::setgroups::setgroups_allowed;
use crate::spec::net::Net;
use crate::supervise::network::{self, Attached};
use crate::supervise::signals::Signals;
use crate::sys::child::Process;

impl Network {
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
            network::PastaProcess::prepare(program, init.pid(), may_set_groups)
        };
        Ok(Attached {
            pasta: self.pasta.as_ref().map(prepare).transpose()?,
            mirror: None,
        })
    }
}

impl Attached {
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
}
