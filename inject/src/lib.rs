//! `inject`: arguments -> [`Join`] -> `nscore` -> exit status.

use std::ffi::OsString;

use clap::Parser;
use nscore::{Error, Join, Target};

/// Run a command inside a running container
///
/// CONTAINER is the process id of a contain supervisor, or of any process
/// inside its container. CMD (default $SHELL, else /bin/sh) runs as the
/// container's root with our environment, stdin, stdout and stderr.
#[derive(Debug, Parser)]
#[command(
    version,
    override_usage = "inject CONTAINER [CMD [ARG]...]",
    max_term_width = 90
)]
pub struct Args {
    /// CONTAINER, then CMD and its arguments: option parsing stops at CONTAINER
    #[arg(
        trailing_var_arg = true,
        value_name = "CONTAINER [CMD [ARG]...]",
        hide = true
    )]
    operands: Vec<OsString>,
}

/// Enters the container, runs the command and waits for its end.
///
/// # Errors
/// Whatever keeps the command from running inside: it never runs outside.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let mut operands = args.operands.into_iter();
    let Some(container) = operands.next() else {
        let hint = "inject --help lists the options";
        let error = Error::usage("enter a container", "no CONTAINER is named");
        return Err(error.with_hint(hint).into());
    };
    let target = Target::try_from(container)?;
    let request = Join {
        target,
        command: operands.collect(),
    };
    Ok(request.run()?.status())
}
