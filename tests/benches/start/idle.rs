//! What a container costs while nothing happens: private dirty memory and
//! wake-ups of the processes that stay outside it.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::container::Container;
use crate::lab::Lab;
use crate::process::{Program, status_field};
use crate::race::{Budget, Score};

const SUPERVISOR_KB: Budget = Budget::AtMost(130.0);
const GUARD_KB: Budget = Budget::AtMost(40.0);
const WAKE_UPS: Budget = Budget::AtMost(0.0);

/// What is left to do once init runs must be over before it counts.
const SETTLE: Duration = Duration::from_millis(300);
const WATCH: Duration = Duration::from_secs(3);

pub fn measure(lab: &Lab, score: &mut Score) -> Result<()> {
    let seconds = WATCH.as_secs();
    println!(
        "idle {}: private dirty kB, and wake-ups in {seconds} s",
        lab.person
    );
    if let Err(reason) = observe(&lab.ours("contain").arg("-n").arg(&lab.root), Some(score)) {
        println!("  skipped: {reason:#}");
        score.skipped += 1;
    }
    let reference = lab.reference("C, pty and guard", "-p");
    observe(&reference.arg(&lab.root), None)?;
    if let Some(original) = lab.original("contain") {
        observe(&original.arg("-n").arg(&lab.root), None)?;
    }
    println!();
    Ok(())
}

fn observe(program: &Program, mut score: Option<&mut Score>) -> Result<()> {
    let container = Container::start(program)?;
    thread::sleep(SETTLE);
    let mut watched = vec![("supervisor", container.supervisor(), SUPERVISOR_KB)];
    match container.guard() {
        Some(guard) => watched.push(("guard", guard, GUARD_KB)),
        None => println!("  {:<18}has no guard", program.label),
    }
    let before: Vec<u64> = watched
        .iter()
        .map(|row| wake_ups(row.1))
        .collect::<Result<_>>()?;
    thread::sleep(WATCH);
    for ((role, pid, budget), before) in watched.into_iter().zip(before) {
        let woken = wake_ups(pid)? - before;
        let memory = private_dirty(pid)?;
        let mut verdict = |budget, value| match &mut score {
            Some(score) => score.judge(Some(budget), value),
            None => String::new(),
        };
        let row = format!(
            "  {:<18}{role:<11}{memory:>5} kB  {:<16}{woken:>3} wake-ups  {}",
            program.label,
            verdict(budget, memory as f64),
            verdict(WAKE_UPS, woken as f64),
        );
        println!("{}", row.trim_end());
    }
    Ok(())
}

/// How often the process has gone to sleep: each wake-up ends in one more.
fn wake_ups(pid: u32) -> Result<u64> {
    let count = status_field(pid, "voluntary_ctxt_switches");
    Ok(count
        .with_context(|| format!("cannot read the status of process {pid}"))?
        .parse()?)
}

/// Private_Dirty of /proc/PID/smaps in kB, but of each mapping at most what is
/// anonymous: a page of the program file itself also counts as dirty while the file
/// is newly written, and for ever on a tmpfs.
fn private_dirty(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/smaps");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let values = |name: &str| -> Vec<u64> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(name));
        lines
            .filter_map(|line| line.trim_end_matches(" kB").trim().parse().ok())
            .collect()
    };
    let (dirty, anonymous) = (values("Private_Dirty:"), values("Anonymous:"));
    ensure!(
        !dirty.is_empty() && dirty.len() == anonymous.len(),
        "cannot understand {path}"
    );
    Ok(dirty
        .into_iter()
        .zip(anonymous)
        .map(|(dirty, anonymous)| dirty.min(anonymous))
        .sum())
}
