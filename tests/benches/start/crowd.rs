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
    // What the kernel costs anyone: pivot_root(2) looks at every process there is.
    let reference = lab.reference("C, pty, guard, filter", "-p").arg(&lab.root);
    let starts = [in_root(), reference].map(|program| program.arg("/bin/true"));
    for start in &starts {
        if let Err(reason) = start.rehearse(&lab.dir) {
            println!("  skipped: {reason:#}\n");
            score.skipped += 1;
            return Ok(());
        }
    }
    let series = || -> Result<[Vec<f64>; 2]> {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..rounds {
            for (start, times) in starts.iter().zip(&mut times) {
                times.push(milliseconds(start.time()?));
            }
        }
        Ok(times)
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
    for (alone, after) in alone.iter_mut().zip(series()?) {
        alone.extend(after);
    }
    println!("  {:<26}{:>9}{:>11}", "", "alone ms", "beside ms");
    for (i, (alone, crowded)) in alone.into_iter().zip(crowded).enumerate() {
        let (least_alone, least_crowded) = (least(&alone), least(&crowded));
        let (alone, crowded) = (median(alone), median(crowded));
        let ratio = crowded / alone;
        let verdict = score.judge((i == 0).then_some(BUDGET), ratio);
        println!(
            "  {:<26}{alone:>9.3}{crowded:>11.3}   {ratio:.2} times ({:.2})  {verdict}",
            starts[i].label,
            least_crowded / least_alone
        );
    }
    println!();
    Ok(())
}

fn many() -> Result<usize> {
    let Ok(text) = env::var("BENCH_MANY") else {
        return Ok(MANY);
    };
    text.parse()
        .with_context(|| format!("cannot use BENCH_MANY={text}: not a number"))
}
