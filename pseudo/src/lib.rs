//! `pseudo`: arguments -> [`Pseudo`] -> exec, as root of a new user namespace.

use std::ffi::OsString;

use clap::Parser;
use nscore::{Caller, MapSpec, Pseudo};

/// Run a command as root in a user namespace mapped to the caller
///
/// CMD (default $SHELL, else /bin/sh) replaces pseudo: the same process, the
/// same terminal, the same environment. Files it makes as root belong to the
/// caller, files of other ids to the ids delegated in /etc/subuid and
/// /etc/subgid. This is not a sandbox: CMD can do all the caller can.
#[derive(Debug, Parser)]
#[command(
    version,
    override_usage = "pseudo [OPTIONS] [CMD [ARG]...]",
    max_term_width = 90
)]
pub struct Args {
    /// Map user ids: START:LOWER:COUNT[,...], auto, root or keep
    #[arg(
        short,
        long,
        value_name = "MAP",
        default_value = "auto",
        hide_default_value = true
    )]
    uid_map: MapSpec,

    /// Map group ids, likewise
    #[arg(
        short,
        long,
        value_name = "MAP",
        default_value = "auto",
        hide_default_value = true
    )]
    gid_map: MapSpec,

    /// Make a mount namespace too, so that CMD can mount
    #[arg(short, long)]
    mount: bool,

    /// CMD and its arguments: option parsing stops at CMD
    #[arg(trailing_var_arg = true, value_name = "CMD [ARG]...", hide = true)]
    command: Vec<OsString>,
}

/// Becomes CMD; returns only when that fails.
///
/// # Errors
/// Whatever keeps CMD from running.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let request = Pseudo {
        command: args.command,
        uid_map: args.uid_map,
        gid_map: args.gid_map,
        mount: args.mount,
    };
    request.exec(&Caller::probe()?, |warning| {
        cli::complain("pseudo", warning);
    })?;
    unreachable!("exec returned without an error")
}
