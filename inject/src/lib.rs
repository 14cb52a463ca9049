//! `inject`: arguments -> [`Join`] -> `nscore` -> exit status.

use std::ffi::OsString;
use std::mem;
use std::path::PathBuf;

use clap::Parser;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use cli::Arguments;
use nscore::{Assignment, Container, Error, Join, Target, UserSpec, list};

/// Run a command inside a running container
///
/// CONTAINER is its name, the directory it runs from (with a slash), or the
/// process id of its contain supervisor or of any process inside. CMD (default
/// $SHELL, else /bin/sh) runs as the container's root with our environment,
/// stdin, stdout and stderr.
#[derive(Debug, Default, Parser)]
#[command(
    version,
    override_usage = "inject [OPTIONS] CONTAINER [CMD [ARG]...]\n       inject -l [--json]",
    max_term_width = 90
)]
pub struct Args {
    /// List the containers that you can enter
    #[arg(short, long)]
    list: bool,

    /// List them as JSON
    #[arg(long)]
    json: bool,

    /// Run CMD as USER, a name or id in the container's passwd file
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<UserSpec>,

    /// Set a variable for CMD; NAME alone takes our value
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    #[arg(value_parser = OsStringValueParser::new().try_map(Assignment::try_from))]
    env: Vec<Assignment>,

    /// Start CMD in DIR, an absolute path inside
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<PathBuf>,

    /// Keep our terminal instead of a fresh one inside
    #[arg(long)]
    no_console: bool,

    /// Give CMD init's kind of environment instead of ours
    #[arg(long)]
    clear_env: bool,

    /// CONTAINER, then CMD and its arguments: option parsing stops at CONTAINER
    #[arg(
        trailing_var_arg = true,
        value_name = "CONTAINER [CMD [ARG]...]",
        hide = true
    )]
    operands: Vec<OsString>,
}

impl Arguments for Args {
    fn set_flag(&mut self, letter: u8) -> bool {
        letter == b'l' && !mem::replace(&mut self.list, true)
    }

    fn set_operands(&mut self, operands: Vec<OsString>) {
        self.operands = operands;
    }
}

/// Enters the container, runs the command and waits for its end; or lists the
/// containers.
///
/// # Errors
/// Whatever keeps the command from running inside: it never runs outside.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let mut operands = args.operands.into_iter();
    let container = operands.next();
    if args.list {
        if container.is_some() {
            return Err(Error::usage("list containers", "a CONTAINER is named").into());
        }
        let containers = Container::all()?;
        for warning in containers.warnings() {
            cli::complain("inject", warning);
        }
        return print(&containers.running, args.json);
    }
    if args.json {
        let error = Error::usage("print JSON", "that is for a list");
        return Err(error.with_hint("inject -l --json").into());
    }
    let Some(container) = container else {
        let hint = "inject -l lists those that run, inject --help the options";
        let error = Error::usage("enter a container", "no CONTAINER is named");
        return Err(error.with_hint(hint).into());
    };
    let request = Join {
        command: operands.collect(),
        console: !args.no_console,
        clear_environment: args.clear_env,
        environment: args.env,
        workdir: args.workdir,
        user: args.user,
        ..Join::new(Target::try_from(container)?)
    };
    Ok(request.run()?.status())
}

fn print(containers: &[Container], json: bool) -> anyhow::Result<u8> {
    let text = if json {
        list::json(containers)
    } else {
        list::on_stdout(containers)
    };
    cli::print(text)?;
    Ok(0)
}
