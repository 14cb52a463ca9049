//! Programs run in turn, and what the turns say: the least and the median time of
//! each, and the median of the per-round ratios of the first against the others.
//! Budgets are judged by that median; the ratio of the least times stands next to
//! it, because it moves less when the machine is busy.

use std::env;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::lab::Lab;
use crate::process::Program;

const ROUNDS: usize = 40;
const WARM_UP: usize = 2;

/// The most that the subject may cost, as a multiple of a rival's cost.
#[derive(Clone, Copy)]
pub enum Budget {
    AtMost(f64),
    Below(f64),
}

impl Budget {
    pub fn met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::Below(limit) => value < limit,
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::Below(limit) => write!(f, "< {limit}"),
        }
    }
}

/// Budgets measured so far.
#[derive(Default)]
pub struct Score {
    met: usize,
    measured: usize,
    /// Comparisons that the program under test could not take part in.
    pub skipped: usize,
}

impl Score {
    /// Counts a value against its budget and says how it went.
    pub fn judge(&mut self, budget: Option<Budget>, value: f64) -> String {
        let Some(budget) = budget else {
            return String::new();
        };
        let met = budget.met_by(value);
        self.measured += 1;
        self.met += usize::from(met);
        format!("{budget} {}", if met { "met" } else { "MISSED" })
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            met,
            measured,
            skipped,
        } = self;
        write!(
            f,
            "{met} of {measured} budgets met, {skipped} comparisons skipped"
        )
    }
}

/// How a program's time is taken.
pub type Clock = fn(&Program) -> Result<Duration>;

/// The subject and its rivals.
pub struct Race {
    title: String,
    clock: Clock,
    rounds: Option<usize>,
    subject: Program,
    rivals: Vec<(Program, Option<Budget>)>,
}

impl Race {
    pub fn new(title: &str, subject: Program) -> Self {
        Self {
            title: title.into(),
            clock: Program::time,
            rounds: None,
            subject,
            rivals: vec![],
        }
    }

    /// Another clock than [`Program::time`], and as many rounds as it has time for.
    pub fn timed_by(self, clock: Clock, rounds: usize) -> Self {
        Self {
            clock,
            rounds: Some(rounds),
            ..self
        }
    }

    pub fn against(&mut self, rival: Program, budget: Option<Budget>) {
        self.rivals.push((rival, budget));
    }

    pub fn run(mut self, lab: &Lab, score: &mut Score) -> Result<()> {
        let rounds = self.rounds.map_or_else(rounds, Ok)?;
        println!("{} {}, {rounds} rounds", self.title, lab.person);
        if let Err(reason) = self.subject.rehearse(&lab.dir) {
            println!("  skipped: {}: {reason:#}\n", self.subject.label);
            score.skipped += 1;
            return Ok(());
        }
        self.rivals
            .retain(|(rival, _)| match rival.rehearse(&lab.dir) {
                Ok(()) => true,
                Err(reason) => {
                    println!("  left out: {}: {reason:#}", rival.label);
                    false
                }
            });
        match self.times(rounds) {
            Ok(times) => self.print(&times, score),
            Err(reason) => {
                println!("  skipped: {reason:#}\n");
                score.skipped += 1;
            }
        }
        Ok(())
    }

    /// The milliseconds of each program, the subject first, round by round.
    fn times(&self, rounds: usize) -> Result<Vec<Vec<f64>>> {
        let rivals = self.rivals.iter().map(|(rival, _)| rival);
        let programs: Vec<&Program> = [&self.subject].into_iter().chain(rivals).collect();
        let mut times = vec![vec![]; programs.len()];
        let mut order: Vec<usize> = (0..programs.len()).collect();
        let mut shuffle = Shuffle::new();
        for round in 0..WARM_UP + rounds {
            // The kernel clears a container away after its program has ended, at the
            // cost of whoever comes next: so nobody always comes next.
            shuffle.apply(&mut order);
            for &program in &order {
                let time = (self.clock)(programs[program])?;
                if round >= WARM_UP {
                    times[program].push(milliseconds(time));
                }
            }
        }
        Ok(times)
    }

    fn print(&self, times: &[Vec<f64>], score: &mut Score) {
        let subject = &self.subject.label;
        println!(
            "  {:<26}{:>9}{:>11}   {subject} is (by least)",
            "", "min ms", "median ms"
        );
        print_row(subject, &times[0], "");
        for ((rival, budget), theirs) in self.rivals.iter().zip(&times[1..]) {
            let ratio = median_ratio(&times[0], theirs);
            let of_least = least(&times[0]) / least(theirs);
            let verdict = score.judge(*budget, ratio);
            print_row(
                &rival.label,
                theirs,
                &format!("{ratio:.2} times ({of_least:.2})  {verdict}"),
            );
        }
        println!();
    }
}

fn print_row(label: &str, times: &[f64], verdict: &str) {
    let (least, middle) = (least(times), median(times.to_vec()));
    println!(
        "{}",
        format!("  {label:<26}{least:>9.3}{middle:>11.3}   {verdict}").trim_end()
    );
}

pub fn rounds() -> Result<usize> {
    let Ok(text) = env::var("BENCH_ROUNDS") else {
        return Ok(ROUNDS);
    };
    let rounds = text.parse().ok().filter(|&rounds| rounds > 0);
    rounds.with_context(|| format!("cannot use BENCH_ROUNDS={text}: not a positive number"))
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The median over the rounds of ours / theirs.
fn median_ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    median(
        ours.iter()
            .zip(theirs)
            .map(|(ours, theirs)| ours / theirs)
            .collect(),
    )
}

pub fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Of at least one value.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}

/// Fisher and Yates's shuffle over Marsaglia's xorshift, the same in every run.
struct Shuffle(u64);

impl Shuffle {
    fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn apply(&mut self, order: &mut [usize]) {
        for end in (1..order.len()).rev() {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            order.swap(end, (self.0 % (end as u64 + 1)) as usize);
        }
    }
}
