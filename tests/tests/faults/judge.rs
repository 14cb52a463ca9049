//! Which ends of a start are right ones when a call of it has failed.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use tests::Complaint;

use crate::call::Call;
use crate::harmless::{self, COMFORTS};

/// What came of one run.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// The terminal has the settings that it had.
    pub restored: bool,
}

/// One start's: it is either as without the failure, or says what it could not do
/// and leaves nothing.
pub struct Judge {
    /// What init finds when nothing fails.
    facts: BTreeSet<String>,
    /// The errors so far.
    said: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Judge {
    /// Of the start that ends like this when nothing fails.
    pub fn of(whole: &Outcome) -> Self {
        let facts = facts(&whole.stdout);
        assert!(whole.code == Some(0) && facts.len() > 40, "{whole:?}");
        Self {
            facts,
            said: BTreeSet::new(),
            wrong: Vec::new(),
        }
    }

    /// Takes down what came of it that this call has failed, or none because the
    /// run went another way. `may_run` says that init may have run beside it, if
    /// without a word; `left` is what there is more in the root.
    pub fn take(
        &mut self,
        failed: Option<&Call>,
        outcome: &Outcome,
        may_run: bool,
        left: &[PathBuf],
    ) {
        let runs = may_run || !outcome.stdout.is_empty();
        let end = match failed {
            None if outcome.code == Some(0) => Ok(()),
            None => Err("it failed by itself".to_owned()),
            Some(call) => self.end(call, outcome, runs),
        };
        // What the guard kills cannot clear up.
        let cleared = left.is_empty() || runs || outcome.code == Some(137);
        let end = match end {
            Ok(()) if !cleared => Err(format!("left behind: {left:?}")),
            end => end,
        };
        if let Err(why) = end {
            self.wrong
                .push(format!("{why}, when this failed: {failed:?}: {outcome:?}"));
        }
    }

    fn end(&mut self, call: &Call, outcome: &Outcome, runs: bool) -> Result<(), String> {
        // To set them is what can fail.
        if !outcome.restored && !call.is("supervisor", "ioctl") {
            return Err("the terminal's settings are not as before".to_owned());
        }
        let spoken: String = outcome
            .stderr
            .split_inclusive('\n')
            .filter(|line| is_spoken(line))
            .collect();
        match outcome.code {
            Some(0) => self.as_without(call, outcome),
            // Unable to watch over init it ends it.
            Some(137) if call.is("guard", "poll") => Ok(()),
            // What nobody can read ends it as well, as SIGPIPE would.
            Some(141) if runs && call.is("supervisor", "write") => Ok(()),
            Some(_) if runs && spoken.contains(": cannot ") => Ok(()),
            Some(code) => {
                self.said.insert(Complaint::parse(&spoken, code)?.line);
                Ok(())
            }
            None => Err("killed".to_owned()),
        }
    }

    /// Init has found what it always does, or lacks a comfort, or what it has found
    /// otherwise is in the list of the harmless failures.
    fn as_without(&self, call: &Call, outcome: &Outcome) -> Result<(), String> {
        let now = facts(&outcome.stdout);
        let is = |fact: &str, starts: &[&str]| starts.iter().any(|it| fact.starts_with(it));
        let (lacked, missing): (Vec<_>, Vec<_>) = self
            .facts
            .difference(&now)
            .partition(|fact| is(fact, &COMFORTS));
        let mut odd = missing.into_iter().chain(now.difference(&self.facts));
        let Some(harmless) = harmless::find(call) else {
            let unnoticed = lacked.is_empty() || odd.next().is_some();
            return if unnoticed {
                Err("unnoticed".to_owned())
            } else {
                Ok(())
            };
        };
        // Where nothing could be read no ids could be.
        let ids = odd.clone().any(|fact| is(fact, &["map "])) && !now.is_empty();
        if ids && !outcome.stderr.contains(": warning: ") {
            return Err("other ids without a warning".to_owned());
        }
        match odd.find(|fact| !is(fact, harmless.otherwise)) {
            Some(odd) => Err(format!("not harmless ({}): {odd}", harmless.why)),
            None => Ok(()),
        }
    }

    /// Asserts that all was right, and that each of these steps has failed once
    /// and was named then.
    pub fn conclude<'a>(&self, steps: impl Iterator<Item = &'a String>) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n\n"));
        assert!(!self.said.is_empty(), "nothing has failed");
        for step in steps {
            let named = |line: &String| {
                let error = line.strip_prefix("cannot ");
                let what = error.and_then(|error| error.split_once(": "));
                what.is_some_and(|(what, _)| step.starts_with(what))
            };
            assert!(
                self.said.iter().any(named),
                "no failure of {step:?} among {:#?}",
                self.said
            );
        }
    }
}

/// Whether the line is an error of the programs or its hint: not a warning, and
/// not what a probe says whose container ends.
pub fn is_spoken(line: &str) -> bool {
    let programs = ["contain: ", "pseudo: ", "hint: "];
    programs.iter().any(|start| line.starts_with(start)) && !line.contains(": warning: ")
}

/// What init has found, but for numbers that are new each time.
fn facts(text: &str) -> BTreeSet<String> {
    // What keys there are is nothing of the container's doing.
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("path /proc/keys "));
    lines.map(fact).collect()
}

fn fact(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        ["namespace", name, id] => {
            let ours = fs::read_link(format!("/proc/self/ns/{name}")).expect("a namespace");
            let ours = ours.as_os_str() == id;
            format!("namespace {name} {}", if ours { "ours" } else { "its own" })
        }
        ["keyring", id] if id.parse::<i32>().is_ok() => "keyring".to_owned(),
        _ => line.to_owned(),
    }
}
