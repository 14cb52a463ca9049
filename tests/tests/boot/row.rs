//! A row of the table: what came of one init for one user.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use tests::{As, record};

const README: &str = include_str!("../../../README.md");
const COLUMNS: [&str; 5] = ["boots", "serves", "stops", "reboots", "residue"];

/// A row, being filled in.
pub struct Row {
    init: &'static str,
    user: &'static str,
    cells: [&'static str; COLUMNS.len()],
    failure: Option<Box<dyn Any + Send>>,
}

impl Row {
    pub fn new(init: &'static str, kind: As) -> Self {
        let user = match kind {
            As::Root => "root",
            As::Delegated | As::Plain => "user",
        };
        Self {
            init,
            user,
            cells: ["-"; COLUMNS.len()],
            failure: None,
        }
    }

    /// Fills in what `step` returns, or "no" when it panics: then no step
    /// follows.
    pub fn fill(&mut self, column: &str, step: impl FnOnce() -> &'static str) {
        if self.failure.is_some() {
            return;
        }
        let at = COLUMNS.iter().position(|name| *name == column);
        let cell = &mut self.cells[at.expect("a column")];
        match catch_unwind(AssertUnwindSafe(step)) {
            Ok(text) => *cell = text,
            Err(panic) => {
                *cell = "no";
                self.failure = Some(panic);
            }
        }
    }

    /// Hands the row to tests/run, and goes on with the panic of a step.
    ///
    /// # Panics
    /// When the README has another row.
    pub fn finish(self) {
        let row = format!(
            "| {} | {} | {} |",
            self.init,
            self.user,
            self.cells.join(" | ")
        );
        record("CONTAIN_BOOTS", &row);
        if let Some(panic) = self.failure {
            resume_unwind(panic);
        }
        let there = README.lines().any(|line| line == row);
        assert!(there, "the README has no such line: {row}");
    }
}

/// The inits of the README's table.
pub fn names_in_the_readme() -> impl Iterator<Item = &'static str> {
    let head = format!("| init | who | {} |", COLUMNS.join(" | "));
    let mut lines = README.lines().skip_while(move |line| *line != head).skip(2);
    assert!(lines.clone().next().is_some(), "the README has no table");
    std::iter::from_fn(move || lines.next()?.strip_prefix("| ")?.split(" | ").next())
}
