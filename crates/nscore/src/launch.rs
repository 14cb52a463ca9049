//! One start: clone, maps, helpers, the go, and the child's report; then
//! supervision, and from the top again when the container reboots.

use std::ffi::CString;
use std::io::Write as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::stat::Mode;
use nix::unistd;

use crate::cgroup::Leaf;
use crate::child::{self, Room};
use crate::console::Console;
use crate::error::{Error, Result, quoted};
use crate::guard::Guard;
use crate::hint::Op;
use crate::message::{Fds, Go, Received, Report};
use crate::net::resolv::Mirror;
use crate::net::{Attached, Resolver};
use crate::outcome::{self, Outcome};
use crate::outside;
use crate::plan::Plan;
use crate::process::Process;
use crate::record::Record;
use crate::sealed;
use crate::signals::Signals;
use crate::store::{Lock, Store};
use crate::supervise::{self, Role};
use crate::sweep::{Added, Talk, sweep};
use crate::sys::clone::{self, Fork};
use crate::sys::{descriptors, socket};
use crate::tree;

/// Starts the container, supervises it to its end, and starts it again when it
/// reboots.
///
/// For a process of one thread that does little else: it acts on signals, reads
/// and writes the standard streams where they are terminals, and for good blocks
/// all signals and makes every open descriptor above standard error close at
/// exec.
///
/// # Errors
/// Whatever keeps init from running. Nothing of the container is left then.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let signals = Signals::block()?;
    descriptors::close_at_exec()
        .map_err(|errno| Error::errno("mark inherited descriptors close-on-exec", errno))?;
    // Held across reboots: what is kept there is the next boot's.
    let lock = plan.store.as_ref().map(Store::prepare).transpose()?;
    loop {
        match boot(plan, &signals, lock.as_ref())? {
            Outcome::Reboot if plan.life.reboot => {}
            outcome => return Ok(outcome),
        }
    }
}

fn boot(plan: &Plan, signals: &Signals, lock: Option<&Lock>) -> Result<Outcome> {
    let leaf = plan.leaf.as_ref().map(|plan| Leaf::make(plan, lock));
    let leaf = leaf.transpose()?;
    let boot = Boot {
        plan,
        signals,
        lock,
        leaf: leaf.as_ref(),
    };
    let ended = boot.live();
    match leaf {
        Some(leaf) if leaf.out_of_memory() => outcome::out_of_memory(ended),
        _ => ended,
    }
}

/// What there is to start a container with.
struct Boot<'a> {
    plan: &'a Plan,
    signals: &'a Signals,
    lock: Option<&'a Lock>,
    /// Its cgroup, if it has one of its own.
    leaf: Option<&'a Leaf>,
}

/// A container that has been started.
struct Running {
    init: Process,
    console: Option<Console>,
    network: Attached,
    /// None where its cgroup has one.
    guard: Option<Guard>,
    record: Option<OwnedFd>,
}

impl Boot<'_> {
    /// One life of a container, from its first clone to its end.
    fn live(&self) -> Result<Outcome> {
        let plan = self.plan;
        let resolver = plan.network.resolver.and_then(Resolver::text);
        // What was made for the child is given back at the end: while the child has
        // the same memory, each page that we write to is copied.
        let (first, socket, _room) = clone_first(plan, self.leaf, resolver.as_deref())?;
        // From here on every early return kills init, and our own death ends a
        // child that is still ours: it waits for us, and for our death signal.
        plan.maps.write(first.pid())?;
        let running = match plan.mounter {
            None => self.start(first, socket, resolver)?,
            Some(_) => {
                let mounter = first;
                let talk = Talk::with(&mounter, &socket);
                let init = make_init(plan, &mounter, &socket, self.signals)?;
                talk.end();
                self.start(init, socket, resolver).inspect_err(|_| {
                    // It removes what it has made in the root file system.
                    let _ = mounter.wait();
                })?
            }
        };
        let Running {
            init,
            console,
            network,
            guard,
            record,
        } = running;
        let role = Role::Init(&plan.life);
        let outcome = supervise::until_end(init, console, network, self.signals, role)?;
        drop((guard, record));
        Ok(outcome)
    }

    /// Everything from the moment that there is a process to become init.
    fn start(&self, init: Process, socket: OwnedFd, resolver: Option<Vec<u8>>) -> Result<Running> {
        let Boot { plan, signals, .. } = *self;
        // Declared before the talk, and so dropped after it: where the start fails
        // init hears of it and takes back what it has made, before the guard kills.
        let guard;
        let talk = Talk::with(&init, &socket);
        if let Some(text) = &plan.outside {
            outside::run(text, &init, plan.namespaces, signals)?;
        }
        let mut network = plan.network.attach(&init, signals)?;
        let trees = match plan.mounter {
            None => tree::clone_all(&plan.trees, init.pid())?,
            Some(_) => Vec::new(),
        };
        say_go(&socket, trees)?;
        // While the child works. Once it is somebody else's program, the guard
        // alone holds it to our life.
        guard = match self.leaf {
            Some(leaf) => leaf.watch(&init, network.process()).map(|()| None)?,
            None => Some(Guard::of(init.pidfd(), network.process(), self.lock)?),
        };
        network.begin();
        // Whatever init does happens after its container can be found.
        let record = Record::publish(plan, init.pid())?;
        network.await_ready(&plan.network, signals)?;
        say_go(&socket, Vec::new())?;
        // From here on it may become init any moment, and is killed instead.
        talk.end();
        let (fds, made) = await_set_up(plan, &init, &socket, signals)?;
        let (console, copy) = match (plan.console, fds) {
            (Some(streams), [Some(master), Some(slave), copy]) => {
                (Some(Console::new(master, slave, streams)?), copy)
            }
            (_, [copy, ..]) => (None, copy),
        };
        await_exec(plan, &init, &socket).inspect_err(|_| sweep(&init, &made))?;
        drop(socket);
        record.as_ref().map_or(Ok(()), Record::seal)?;
        tell_ready(plan, init.pid())?;
        network.mirror = copy
            .zip(resolver)
            .and_then(|(copy, text)| Some(Mirror::new(plan.network.resolver?, copy, text)));
        Ok(Running {
            init,
            console,
            network,
            guard,
            record,
        })
    }
}

/// Lets the first child make its mounts, and waits for the init that it clones
/// then.
fn make_init(plan: &Plan, first: &Process, socket: &OwnedFd, signals: &Signals) -> Result<Process> {
    let trees = tree::clone_all(&plan.trees, first.pid())?;
    say_go(socket, trees)?;
    match await_report(first, socket, signals)? {
        Received {
            report: Report::Started { pid },
            fds: [Some(pidfd), ..],
        } => Ok(Process::new(pid, pidfd)),
        Received { report, .. } => Err(explain(plan, report)),
    }
}

/// What the child is told first, and once more when init may run.
fn say_go(socket: &OwnedFd, trees: Vec<OwnedFd>) -> Result<()> {
    let trees: Vec<_> = trees.iter().map(OwnedFd::as_fd).collect();
    match Go::send(socket.as_fd(), &trees) {
        // A child that has ended has said why, and is listened to next.
        Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
        Err(errno) => Err(Error::errno("start init", errno)),
    }
}

/// Tells whoever asked that init runs: once, not again at a reboot.
fn tell_ready(plan: &Plan, init: libc::pid_t) -> Result<()> {
    let Some(ready) = plan.life.ready.take() else {
        return Ok(());
    };
    writeln!(std::fs::File::from(ready), "{init}")
        .map_err(|error| Error::io("write to the ready descriptor", &error))
}

/// Clones the child in the root's directory, which it will find there as its
/// working directory: a descriptor opened here would be of our mount namespace
/// and of no use in the child's.
#[allow(unsafe_code)]
fn clone_first<'a>(
    plan: &'a Plan,
    leaf: Option<&Leaf>,
    resolver: Option<&[u8]>,
) -> Result<(Process, OwnedFd, Room<'a>)> {
    let failed = |what: &str, errno| Error::errno(what, errno);
    let (ours, theirs) = socket::pair().map_err(|errno| failed("create a socket pair", errno))?;
    let back = open(".", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    enter(&plan.root)?;
    let room =
        Room::for_actions(&plan.actions).map_err(|errno| failed("read the clocks", errno))?;
    let namespaces = plan.mounter.unwrap_or(plan.namespaces);
    // SAFETY: this process has one thread, see clone::fork.
    let fork = unsafe { clone::fork_into(leaf.map(Leaf::fd), namespaces, libc::SIGCHLD) };
    match fork {
        Ok(Fork::Child) => {
            drop(ours);
            child::run(&plan.actions, room, resolver, theirs.as_fd())
        }
        Ok(Fork::Parent { pid, pidfd }) => {
            let init = Process::new(pid, pidfd);
            // Where the caller's directory cannot be opened any directory will do.
            let back = back.and_then(unistd::fchdir);
            back.or_else(|_| unistd::chdir("/"))
                .map_err(|errno| failed("return to the working directory", errno))?;
            Ok((init, ours, room))
        }
        Err(errno) => Err(Error::system(Op::Namespaces, "create namespaces", errno)),
    }
}

fn enter(root: &Path) -> Result<()> {
    unistd::chdir(root)
        .map_err(|errno| Error::errno(format!("enter root file system {}", quoted(root)), errno))
}

/// Waits until the child is ready to become init; what it says then carries the
/// console, and before that it names what it has added to the root.
fn await_set_up(
    plan: &Plan,
    init: &Process,
    socket: &OwnedFd,
    signals: &Signals,
) -> Result<(Fds, Added)> {
    let mut made = Added::default();
    loop {
        let Received { report, fds } = await_report(init, socket, signals)?;
        match report {
            Report::Running => return Ok((fds, made)),
            Report::Made(path) => {
                let [root, ..] = fds;
                made.root = made.root.or(root);
                made.paths.extend(CString::new(path));
            }
            report => return Err(explain(plan, report)),
        }
    }
}

/// Waits for what `child` has to say.
fn await_report(child: &Process, socket: &OwnedFd, signals: &Signals) -> Result<Received> {
    signals.wait_for(socket.as_fd(), "start the container")?;
    if let Some(received) = receive(socket)? {
        return Ok(received);
    }
    let status = child
        .wait()
        .map_err(|errno| Error::errno("wait for init", errno))?;
    Err(outcome::ended_early(status))
}

/// Waits for the exec of init. Signals wait as well: init is to have them.
fn await_exec(plan: &Plan, init: &Process, socket: &OwnedFd) -> Result<()> {
    let mut tried = None;
    loop {
        let mut fds = [socket.as_fd(), init.pidfd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        poll(&mut fds, sealed::patience(tried.as_ref()))
            .map_err(|errno| Error::errno("start init", errno))?;
        if !socket::is_readable(socket.as_fd()) {
            return Ok(());
        }
        let Some(received) = receive(socket)? else {
            return Ok(());
        };
        let report = match received.report {
            Report::Trying(candidate) => {
                tried = Some(candidate);
                continue;
            }
            Report::Refused { errno } => Report::Exec {
                // The exec is the last of all.
                action: plan.actions.len() - 1,
                failure: sealed::refusal(tried, errno),
            },
            report => report,
        };
        return Err(explain(plan, report));
    }
}

fn receive(socket: &OwnedFd) -> Result<Option<Received>> {
    Report::receive(socket).map_err(|errno| Error::errno("start init", errno))
}

/// What the child met, as an error.
fn explain(plan: &Plan, report: Report) -> Error {
    match report {
        Report::Failed { action, errno } => match plan.actions.get(action) {
            Some(action) => match action.reason(errno) {
                Some(reason) => Error::new(action.to_string(), reason),
                None => Error::system(action.op(), action.to_string(), errno),
            },
            None => Error::errno("start init", errno),
        },
        Report::Helper { status } => outcome::helper_failed("inside", status),
        Report::Exec { action, failure } => {
            let step = plan.actions.get(action).and_then(|action| action.program());
            match step.or(plan.life.under_init.as_ref()) {
                Some(program) => program.explain(&failure),
                None => Error::errno("start init", failure.errno),
            }
        }
        Report::Running
        | Report::Started { .. }
        | Report::Made(_)
        | Report::Trying(_)
        | Report::Refused { .. } => Error::errno("start init", Errno::EBADMSG),
    }
}
