//! What a start costs, as ratios against programs that do the same or less.
//!
//!     cargo build --release && cargo bench -p tests --bench start [-- WORD...]
//!
//! Every comparison runs its programs in turn, in a new order each round, so that
//! a slow moment of the machine falls on all of them; what counts is the median of
//! the per-round ratios. WORDs (start, binds, ephemeral, crowd, pseudo, owners, inject,
//! idle, console) choose comparisons. The environment may say:
//!
//! - `CONTAIN_UNDER_TEST=DIR`: where contain, pseudo and inject are, else next to
//!   this program's own target directory;
//! - `ORIGINAL=DIR`: another implementation, measured in the same rounds;
//! - `BENCH_ROUNDS=N`: rounds per comparison, 40 by default;
//! - `BENCH_MANY=N`: idle containers that crowd starts beside, 200 by default;
//! - `BENCH_DELEGATED=USER`, `BENCH_PLAIN=USER`: as root, the ordinary users with
//!   and without delegated ids, else nsdelegated and nsplain.

#[path = "../../../crates/nscore/build/calls.rs"]
#[allow(dead_code, reason = "the reference program has the default filter")]
mod calls;
mod comparisons;
mod console;
mod container;
mod crowd;
mod idle;
mod lab;
mod owners;
mod person;
mod process;
mod race;
mod sys;
#[path = "../../../crates/nscore/build/tree.rs"]
mod tree;

use std::env;
use std::fs;

use anyhow::Result;

use lab::Lab;
use person::User;
use race::Score;

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    // `cargo test --all-targets` runs this program too, without --bench.
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("start: a benchmark, run by cargo bench");
        return Ok(());
    }
    run(&arguments)
}

fn run(arguments: &[String]) -> Result<()> {
    let words: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted = |word| words.is_empty() || words.contains(&word);
    let lab = Lab::build()?;
    // A busy machine moves even ratios.
    println!("load average {}", fs::read_to_string("/proc/loadavg")?);
    let mut score = Score::default();
    if wanted("start") {
        comparisons::start(&lab, &mut score)?;
    }
    if wanted("binds") {
        comparisons::binds(&lab, &mut score)?;
    }
    if wanted("ephemeral") {
        comparisons::ephemeral(&lab, &mut score)?;
        comparisons::whole_machine(&lab, &mut score)?;
    }
    if wanted("crowd") {
        crowd::measure(&lab, &mut score)?;
    }
    if wanted("pseudo") {
        comparisons::pseudo(&lab, &mut score)?;
    }
    if wanted("owners") {
        owners::measure(&lab, &mut score)?;
    }
    if wanted("inject") {
        comparisons::inject(&lab, &mut score)?;
    }
    if wanted("idle") {
        idle::measure(&lab, &mut score)?;
    }
    if wanted("console") {
        console::measure(&lab, &mut score)?;
    }
    println!("{}: {score}\n", lab.person);
    for user in User::others()? {
        lab.run_as(&user, arguments)?;
    }
    Ok(())
}
