//! A container that is up and idle.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process::{LIMIT, Program, Running, children, status_field};

/// The supervisor's PID is the running process's own.
pub struct Container {
    supervisor: Running,
    pub init: u32,
}

impl Container {
    /// Runs `PROGRAM /bin/sleep 1000`, where the program ends in its DIR, and waits
    /// until the sleep is what init executes.
    pub fn start(program: &Program) -> Result<Self> {
        let command = program.clone().args("/bin/sleep 1000");
        let supervisor = Running::start(&mut command.command())?;
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            let init = children(supervisor.pid())
                .into_iter()
                .find(|&pid| is_idle_init(pid));
            if let Some(init) = init {
                return Ok(Self { supervisor, init });
            }
            if !Path::new(&format!("/proc/{}/fd", supervisor.pid())).exists() {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        bail!("{} starts no container", program.label)
    }

    pub fn supervisor(&self) -> u32 {
        self.supervisor.pid()
    }

    /// The supervisor's child that is in no PID namespace of its own.
    pub fn guard(&self) -> Option<u32> {
        children(self.supervisor())
            .into_iter()
            .find(|&pid| pid != self.init)
    }
}

/// A PID 1 of its own namespace that has executed sleep(1).
fn is_idle_init(pid: u32) -> bool {
    let ids = status_field(pid, "NSpid").unwrap_or_default();
    let ids: Vec<&str> = ids.split_whitespace().collect();
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    ids.len() > 1 && ids.last() == Some(&"1") && name.trim_end() == "sleep"
}
