//! Chores of the project: what is generated from the argument definitions, and
//! putting the whole where users find it.

mod completions;
mod files;
mod house;
mod pages;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Command, CommandFactory as _, Parser};
use house::House;

/// Chores of the project
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Write man pages and completions
    Pages {
        /// Where to; the default is target/pages
        dir: Option<PathBuf>,
    },
    /// Build the programs and install them with their pages and completions
    ///
    /// No privilege beyond that of writing there is needed, and no program is
    /// made setuid. All goes below $DESTDIR where that is set.
    Install {
        /// The directory above bin and share
        #[arg(long, default_value = "/usr/local")]
        prefix: PathBuf,
    },
    /// Print the figures of nscore's structure, and what breaks its laws
    House {
        /// The sources to read; the default is nscore's
        src: Option<PathBuf>,
    },
}

/// A program, as its own crate defines it, and the prose of its man page.
struct Program {
    command: Command,
    prose: &'static str,
}

fn programs() -> [Program; 3] {
    [
        Program {
            command: contain::Args::command(),
            prose: include_str!("../pages/contain.roff"),
        },
        Program {
            command: pseudo::Args::command(),
            prose: include_str!("../pages/pseudo.roff"),
        },
        Program {
            command: inject::Args::command(),
            prose: include_str!("../pages/inject.roff"),
        },
    ]
}

impl Program {
    fn name(&self) -> &str {
        self.command.get_name()
    }
}

fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn main() -> Result<()> {
    match Task::parse() {
        Task::Pages { dir } => {
            let dir = dir.unwrap_or_else(|| workspace().join("target/pages"));
            files::write(&dir)
        }
        Task::Install { prefix } => files::install(&prefix),
        Task::House { src } => {
            let src = src.unwrap_or_else(|| workspace().join("crates/nscore/src"));
            print!("{}", House::read(&src)?);
            Ok(())
        }
    }
}
