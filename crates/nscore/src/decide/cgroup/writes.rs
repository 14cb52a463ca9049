//! The files of cgroup v2 that hold the limits, and what is written to them.

use crate::plan::cgroup::Write;
use crate::spec::limits::{Cpus, Limits};

impl Limits {
    /// What is to be written, in its order.
    pub(crate) fn writes(&self) -> Vec<Write> {
        let asked = |key: &str, value| Write {
            key: key.to_string(),
            value,
            implied: false,
        };
        // Without this the excess would go to swap, and be met only when that
        // is full as well.
        let no_swap = Write {
            implied: true,
            ..asked("memory.swap.max", "0".to_string())
        };
        let implied = (self.swap.is_none() && self.memory.is_some_and(|size| size.0.is_some()))
            .then_some(no_swap);
        let memory = self
            .memory
            .map(|size| asked("memory.max", size.kernel_text()));
        let swap = self
            .swap
            .map(|size| asked("memory.swap.max", size.kernel_text()));
        let pids = self.pids.map(|count| asked("pids.max", count.to_string()));
        let cpus = self
            .cpus
            .map(|Cpus(quota)| asked("cpu.max", format!("{quota} {}", Cpus::PERIOD)));
        [memory, implied, swap, pids, cpus]
            .into_iter()
            .flatten()
            .chain(
                self.settings
                    .iter()
                    .map(|setting| asked(&setting.key, setting.value.clone())),
            )
            .collect()
    }
}
