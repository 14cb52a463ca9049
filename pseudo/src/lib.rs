//! `pseudo`: arguments -> [`Pseudo`] -> exec, as root of a new user namespace.

use std::ffi::OsString;
use std::mem;

use clap::Parser;
use cli::Arguments;
use nscore::{Caller, MapSpec, Pseudo};

/// Run a command as root in a user namespace mapped to the caller
///
/// CMD (default $SHELL, else /bin/sh) replaces pseudo: the same process, the
/// same terminal, the same environment. Files it makes as root belong to the
/// caller, files of other ids to the ids delegated in /etc/subuid and
/// /etc/subgid. This is not a sandbox: CMD can do all the caller can. Under -m
/// programs of other architectures run by QEMU, where it is installed.
#[derive(Debug, Default, Parser)]
#[command(
    version,
    override_usage = "pseudo [OPTIONS] [CMD [ARG]...]",
    max_term_width = 90
)]
pub struct Args {
    /// Map user ids: START:LOWER:COUNT[,...], auto, root or keep
    #[arg(short, long, value_name = "MAP")]
    #[arg(overrides_with = "uid_map", allow_hyphen_values = true)]
    uid_map: Option<MapSpec>,

    /// Map group ids, likewise
    #[arg(short, long, value_name = "MAP")]
    #[arg(overrides_with = "gid_map", allow_hyphen_values = true)]
    gid_map: Option<MapSpec>,

    /// Make a mount namespace too, so that CMD can mount
    #[arg(short, long)]
    mount: bool,

    /// Keep owners that CMD gives to files, and devices it makes, beside the
    /// files, and tell CMD of them
    #[arg(short, long)]
    fake_owner: bool,

    /// CMD and its arguments: option parsing stops at CMD
    #[arg(trailing_var_arg = true, value_name = "CMD [ARG]...", hide = true)]
    command: Vec<OsString>,
}

impl Arguments for Args {
    fn set_flag(&mut self, letter: u8) -> bool {
        let flag = match letter {
            b'f' => &mut self.fake_owner,
            b'm' => &mut self.mount,
            _ => return false,
        };
        !mem::replace(flag, true)
    }

    fn set_operands(&mut self, operands: Vec<OsString>) {
        self.command = operands;
    }
}

/// Becomes CMD; returns only when that fails.
///
/// # Errors
/// Whatever keeps CMD from running.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let request = Pseudo {
        command: args.command,
        uid_map: args.uid_map.unwrap_or_default(),
        gid_map: args.gid_map.unwrap_or_default(),
        mount: args.mount,
        fake_owner: args.fake_owner,
    };
    request.exec(&Caller::probe()?, |warning| {
        cli::complain("pseudo", warning);
    })?;
    unreachable!("exec returned without an error")
}
