//! What a start costs while many containers run, against what it costs alone.

use std::env;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::container::Container;
use crate::lab::Lab;
use crate::race::{Budget, Score, least, median, milliseconds, rounds};

const MANY: usize = 200;

/// The kernel clears what has ended away for some time after.
const SETTLE: Duration = Duration::from_secs(3);

/// Of the first one's start.
const BUDGET: Budget = Budget::AtMost(1.1);

pub fn measure(lab: &Lab, score: &mut Score) -> Result<()> {
    let (many, rounds) = (many()?, rounds()?);
    println!(
        "a start beside {many} idle containers {}, {rounds} rounds",
        lab.person
    );
    let in_root = || lab.ours("contain").arg("-n").arg(&lab.root);
    let start = in_root().arg("/bin/true");
    if let Err(reason) = start.rehearse(&lab.dir) {
        println!("  skipped: {reason:#}\n");
        score.skipped += 1;
        return Ok(());
    }
    let series = || -> Result<Vec<f64>> {
        (0..rounds)
            .map(|_| Ok(milliseconds(start.time()?)))
            .collect()
    };
    // Alone before and after, so that a machine that drifts shows.
    let mut alone = series()?;
    let idle = (0..many).map(|_| Container::start(&in_root()));
    let idle: Vec<Container> = match idle.collect() {
        Ok(idle) => idle,
        Err(reason) => {
            println!("  skipped: {reason:#}\n");
            score.skipped += 1;
            return Ok(());
        }
    };
    thread::sleep(SETTLE);
    let crowded = series()?;
    drop(idle);
    thread::sleep(SETTLE);
    alone.extend(series()?);
    let ratio = median(crowded.clone()) / median(alone.clone());
    let verdict = score.judge(Some(BUDGET), ratio);
    println!("  {:<26}{:>9}{:>11}", "", "min ms", "median ms");
    for (label, times) in [("alone", &alone), ("beside them", &crowded)] {
        println!(
            "  {label:<26}{:>9.3}{:>11.3}",
            least(times),
            median(times.clone())
        );
    }
    println!(
        "  {ratio:.2} times ({:.2})  {verdict}\n",
        least(&crowded) / least(&alone)
    );
    Ok(())
}

fn many() -> Result<usize> {
    let Ok(text) = env::var("BENCH_MANY") else {
        return Ok(MANY);
    };
    text.parse()
        .with_context(|| format!("cannot use BENCH_MANY={text}: not a number"))
}
