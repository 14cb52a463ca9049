//! `contain`: arguments -> [`Spec`] -> `nscore` -> exit status.

mod config;

use std::ffi::OsString;
use std::mem::{self, ManuallyDrop};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::{OsStringValueParser, TypedValueParser as _};
use cli::Arguments;
use nscore::{
    Assignment, CapList, Changes, Cpus, Error, Host, Hostname, Limits, MapSpec, Mount, Name, Net,
    Outcome, Plan, Scope, Seccomp, Setting, Size, Spec, StopSignal, UserSpec, quoted,
};

/// Boot a root file system as a container
///
/// Runs CMD (default /bin/sh) as PID 1 of new user, mount, PID, IPC, UTS,
/// network, cgroup and time namespaces whose root file system is DIR. Any user
/// may run it; nothing needs to be installed setuid. Programs of another
/// architecture run by QEMU, where it is installed and DIR is of that.
#[derive(Debug, Default, Parser)]
#[command(
    version,
    override_usage = "contain [OPTIONS] DIR [CMD [ARG]...]",
    max_term_width = 90
)]
pub struct Args {
    /// Show the host's SRC at DST (default: the same path)
    #[arg(short, long, value_name = "SRC[:DST][:ro]", help_heading = ROOT)]
    #[arg(value_parser = OsStringValueParser::new().try_map(Mount::bind))]
    bind: Vec<Mount>,

    /// Mount an empty memory file system at DST
    #[arg(long, value_name = "DST[:size=SIZE]", help_heading = ROOT)]
    #[arg(value_parser = OsStringValueParser::new().try_map(Mount::tmpfs))]
    tmpfs: Vec<Mount>,

    /// Show a device of the host, or a directory of them
    #[arg(long, value_name = "PATH", help_heading = ROOT)]
    device: Vec<PathBuf>,

    /// Let nobody write to the root file system
    #[arg(short, long, help_heading = ROOT)]
    read_only: bool,

    /// Send changes to memory, where they vanish at the end
    #[arg(short = 'x', long, conflicts_with = "upper", help_heading = ROOT)]
    ephemeral: bool,

    /// Send changes to DIR (its changes/ and work/) instead of the root
    #[arg(long, value_name = "DIR", help_heading = ROOT)]
    upper: Option<PathBuf>,

    /// Show the host's programs: /bin, /sbin, /lib* and /usr, read-only
    #[arg(short = 'H', long, help_heading = ROOT)]
    host_tools: bool,

    /// Map user ids: START:LOWER:COUNT[,...], auto, root or keep
    #[arg(short, long, value_name = "MAP", help_heading = IDENTITY)]
    #[arg(overrides_with = "uid_map", allow_hyphen_values = true)]
    uid_map: Option<MapSpec>,

    /// Map group ids, likewise
    #[arg(short, long, value_name = "MAP", help_heading = IDENTITY)]
    #[arg(overrides_with = "gid_map", allow_hyphen_values = true)]
    gid_map: Option<MapSpec>,

    /// Let inject find it by NAME, which is also its host name
    #[arg(short = 'N', long, value_name = "NAME", help_heading = IDENTITY)]
    name: Option<Name>,

    /// Set another host name
    #[arg(long, value_name = "NAME", help_heading = IDENTITY)]
    hostname: Option<Hostname>,

    /// Set a variable for CMD; NAME alone takes our value
    #[arg(short, long, value_name = "NAME[=VALUE]", help_heading = IDENTITY)]
    #[arg(value_parser = OsStringValueParser::new().try_map(Assignment::try_from))]
    env: Vec<Assignment>,

    /// Start CMD in DIR, an absolute path inside
    #[arg(short, long, value_name = "DIR", help_heading = IDENTITY)]
    workdir: Option<PathBuf>,

    /// Run CMD as USER, a name or id in the container's passwd file
    #[arg(long, value_name = "USER[:GROUP]", help_heading = IDENTITY)]
    user: Option<UserSpec>,

    /// Keep owners that no id is mapped for with the files, and tell of them
    #[arg(long, help_heading = IDENTITY)]
    fake_owner: bool,

    /// Use our stdin, stdout and stderr; make no pseudo-terminal
    #[arg(short = 'c', long, overrides_with = "no_console", help_heading = LIFE)]
    no_console: bool,

    /// Run CMD under a small init that reaps orphans and passes signals
    #[arg(long, help_heading = LIFE)]
    init: bool,

    /// End with status 133 when the container reboots
    #[arg(long, help_heading = LIFE)]
    no_reboot: bool,

    /// Stop init by SIGNAL, not by what its own manual says
    #[arg(long, value_name = "SIGNAL", help_heading = LIFE)]
    stop_signal: Option<StopSignal>,

    /// Kill init when it takes longer than this to stop (default: 10)
    #[arg(long, value_name = "SECONDS", help_heading = LIFE)]
    #[arg(value_parser = cli::number::<u32>, allow_negative_numbers = true)]
    stop_timeout: Option<u32>,

    /// Write init's process id and a newline to FD once init runs
    #[arg(long, value_name = "FD", help_heading = LIFE)]
    #[arg(value_parser = cli::number::<i32>, allow_negative_numbers = true)]
    ready_fd: Option<i32>,

    /// Share the host's network, unprivileged: --net host
    #[arg(short = 'n', long, overrides_with = "host_net", help_heading = NETWORK)]
    host_net: bool,

    /// Use network private (default), host, pasta[,tcp:HOST:INSIDE][,udp:HOST:INSIDE]...
    /// or bridge:NAME[,ip=ADDR/LEN][,gw=ADDR]
    #[arg(long, value_name = "MODE", help_heading = NETWORK)]
    net: Option<Net>,

    /// Leave /etc/resolv.conf alone
    #[arg(long, help_heading = NETWORK)]
    no_dns: bool,

    /// Limit memory to SIZE (bytes, or with K, M, G, T), without swap
    #[arg(short, long, value_name = "SIZE", help_heading = LIMITS)]
    #[arg(allow_negative_numbers = true)]
    memory: Option<Size>,

    /// Allow this much swap, apart from memory; max for all there is
    #[arg(long, value_name = "SIZE", help_heading = LIMITS)]
    swap: Option<Size>,

    /// Limit the number of processes and threads
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    #[arg(value_parser = cli::number::<u32>, allow_negative_numbers = true)]
    pids: Option<u32>,

    /// Limit processor time to that of N processors, like 0.5 or 2
    #[arg(long, value_name = "N", help_heading = LIMITS)]
    #[arg(allow_negative_numbers = true)]
    cpus: Option<Cpus>,

    /// Set the cgroup's file KEY, like cpu.weight or io.max; repeatable
    #[arg(long, value_name = "KEY=VALUE", help_heading = LIMITS)]
    cgroup: Vec<Setting>,

    /// Less surface for a program that needs little
    #[arg(long, help_heading = HARDENING)]
    strict: bool,

    /// Drop these capabilities: names, or all
    #[arg(long, value_name = "LIST", help_heading = HARDENING)]
    cap_drop: Vec<CapList>,

    /// Keep these, which would be dropped
    #[arg(long, value_name = "LIST", help_heading = HARDENING)]
    cap_keep: Vec<CapList>,

    /// Let no program gain privileges: su and ping will not work
    #[arg(long, help_heading = HARDENING)]
    no_new_privs: bool,

    /// Filter system calls by the list of the profile, or not: default or off
    #[arg(long, value_name = "WHICH", help_heading = HARDENING)]
    seccomp: Option<Seccomp>,

    /// Run CMD by /bin/sh inside, in the new root, before init
    #[arg(short, long, value_name = "CMD", overrides_with = "inside", help_heading = HELPERS)]
    inside: Option<OsString>,

    /// Run CMD by /bin/sh on the host, as a child of a process inside
    #[arg(short, long, value_name = "CMD", overrides_with = "outside", help_heading = HELPERS)]
    outside: Option<OsString>,

    /// Read options from a TOML file, under their long names
    #[arg(short = 'f', long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print what would be done, one step a line, and start nothing
    #[arg(long)]
    explain: bool,

    /// DIR, then CMD and its arguments: option parsing stops at DIR
    #[arg(
        trailing_var_arg = true,
        value_name = "DIR [CMD [ARG]...]",
        hide = true
    )]
    operands: Vec<OsString>,
}

const ROOT: &str = "Root file system";
const IDENTITY: &str = "Identity and environment";
const LIFE: &str = "Console and life";
const NETWORK: &str = "Network";
const LIMITS: &str = "Limits";
const HARDENING: &str = "Hardening";
const HELPERS: &str = "Helpers";

impl Arguments for Args {
    fn set_flag(&mut self, letter: u8) -> bool {
        let flag = match letter {
            b'c' => &mut self.no_console,
            b'n' => &mut self.host_net,
            _ => return false,
        };
        !mem::replace(flag, true)
    }

    fn set_operands(&mut self, operands: Vec<OsString>) {
        self.operands = operands;
    }
}

impl Args {
    fn into_spec(self) -> Result<Spec, Error> {
        let mut operands = self.operands.into_iter();
        let Some(root) = operands.next() else {
            let hint = "contain --help lists the options";
            return Err(Error::usage("start a container", "no DIR is named").with_hint(hint));
        };
        let net = match (self.host_net, self.net) {
            (true, None | Some(Net::Host)) => Net::Host,
            (false, net) => net.unwrap_or_default(),
            (true, Some(net)) => {
                let what = format!("use network {net}");
                return Err(Error::usage(what, "-n asks for the host's"));
            }
        };
        let defaults = Spec::new(root);
        let stop_timeout = self.stop_timeout.map(|s| Duration::from_secs(s.into()));
        Ok(Spec {
            changes: match self.upper {
                Some(dir) => Changes::Directory(dir),
                None if self.ephemeral => Changes::Memory,
                None => Changes::InPlace,
            },
            mounts: self.bind.into_iter().chain(self.tmpfs).collect(),
            devices: self.device,
            read_only: self.read_only,
            host_tools: self.host_tools,
            name: self.name,
            hostname: self.hostname,
            environment: self.env,
            workdir: self.workdir,
            user: self.user,
            command: operands.collect(),
            console: !self.no_console,
            net,
            dns: !self.no_dns,
            uid_map: self.uid_map.unwrap_or_default(),
            gid_map: self.gid_map.unwrap_or_default(),
            strict: self.strict,
            cap_drop: self.cap_drop.into_iter().collect(),
            cap_keep: self.cap_keep.into_iter().collect(),
            no_new_privs: self.no_new_privs,
            seccomp: self.seccomp.unwrap_or_default(),
            fake_owner: self.fake_owner,
            init: self.init,
            reboot: !self.no_reboot,
            stop_signal: self.stop_signal,
            stop_timeout: stop_timeout.unwrap_or(defaults.stop_timeout),
            ready_fd: self.ready_fd,
            limits: Limits {
                memory: self.memory,
                swap: self.swap,
                pids: self.pids,
                cpus: self.cpus,
                settings: self.cgroup,
            },
            inside: self.inside,
            outside: self.outside,
            ..defaults
        })
    }
}

/// Starts the container and waits for its end, or explains it.
///
/// # Errors
/// Whatever keeps the container from starting: nothing of it is left then.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let config = args.config.clone();
    let (args, mounts) = match &config {
        Some(file) => config::merge(file, &std::env::args_os().collect::<Vec<_>>())?,
        None => (args, Vec::new()),
    };
    let explain = args.explain;
    let mut spec = args.into_spec()?;
    spec.mounts.extend(mounts);
    let host = Host::probe()?;
    if explain {
        cli::print(&Plan::new(&spec, &host)?)?;
        return Ok(0);
    }
    if let Some(scope) = Scope::due(&spec)? {
        // It is read once more there: a pipe has nothing left by then.
        if let Some(file) = config.filter(|file| !file.is_file()) {
            let what = format!("read {} again in a scope of systemd", quoted(&file));
            return Err(Error::new(what, "it is not a regular file")
                .with_hint(scope.hint())
                .into());
        }
        return Err(scope.enter().into());
    }
    // Nobody has use for its memory after it, so it is not given back.
    let plan = ManuallyDrop::new(Plan::new(&spec, &host)?);
    for warning in &plan.warnings {
        cli::complain("contain", warning);
    }
    let outcome = nscore::run(&plan)?;
    if matches!(outcome, Outcome::OutOfMemory(_)) {
        cli::complain("contain", "the container met its memory limit");
    }
    Ok(outcome.status())
}
