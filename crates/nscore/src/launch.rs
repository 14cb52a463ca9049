//! One start: clone, maps, helpers, the go, and the child's report; then
//! supervision, and from the top again when the container reboots.

use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;
use nix::unistd;

use crate::child;
use crate::console::Console;
use crate::error::{Error, Result, quoted};
use crate::guard::Guard;
use crate::hint::Op;
use crate::message::{Fds, Go, Received, Report};
use crate::outside;
use crate::plan::Plan;
use crate::process::Process;
use crate::record::Record;
use crate::signals::Signals;
use crate::store::{Lock, Store};
use crate::supervise::{self, Outcome, Role};
use crate::sys::clone::{self, Fork};
use crate::sys::process;
use crate::tree;

/// Starts the container, supervises it to its end, and starts it again when it
/// reboots.
///
/// For a process of one thread that does little else: it blocks all signals
/// meanwhile and acts on those that arrive, reads and writes the standard
/// streams where they are terminals, and makes every open descriptor above
/// standard error close at exec, for good.
///
/// # Errors
/// Whatever keeps init from running. Nothing of the container is left then.
pub fn run(plan: &Plan) -> Result<Outcome> {
    let signals = Signals::block()?;
    process::close_at_exec()
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
    let (init, socket) = clone_init(plan)?;
    // From here on every early return kills init, and our own death ends a
    // child that is still ours: it waits for us, and for our death signal.
    plan.maps.write(init.pid())?;
    if let Some(text) = &plan.outside {
        outside::run(text, &init, plan.namespaces, signals)?;
    }
    let trees = tree::clone_all(&plan.trees, init.pid())?;
    let fds: Vec<_> = trees.iter().map(OwnedFd::as_fd).collect();
    let go = Go {
        drop_groups: setgroups_allowed(init.pid())?,
    };
    let say_go = |trees: &[BorrowedFd]| match go.send(socket.as_fd(), trees) {
        // A child that has ended has said why, and is listened to below.
        Ok(()) | Err(Errno::EPIPE) => Ok(()),
        Err(errno) => Err(Error::errno("start init", errno)),
    };
    say_go(&fds)?;
    drop(trees);
    // While the child works. Once it is somebody else's program, the guard
    // alone holds it to our life.
    let guard = Guard::new(init.pidfd(), lock)?;
    // Whatever init does happens after its container can be found.
    let record = Record::publish(plan, init.pid())?;
    say_go(&[])?;
    let console = match await_set_up(plan, &init, &socket, signals)? {
        [Some(master), Some(slave)] => Some(Console::new(
            master,
            slave,
            plan.console.unwrap_or_default(),
        )?),
        _ => None,
    };
    await_exec(plan, &socket)?;
    drop(socket);
    record.as_ref().map_or(Ok(()), Record::seal)?;
    tell_ready(plan, init.pid())?;
    let outcome = supervise::until_end(init, console, signals, Role::Init(&plan.life))?;
    drop(guard);
    drop(record);
    Ok(outcome)
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
fn clone_init(plan: &Plan) -> Result<(Process, OwnedFd)> {
    let failed = |what: &str, errno| Error::errno(what, errno);
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .map_err(|errno| failed("create a socket pair", errno))?;
    let back = open(".", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    enter(&plan.root)?;
    // SAFETY: the child allocates nothing: it runs child::run alone.
    let fork = unsafe { clone::fork(plan.namespaces, libc::SIGCHLD) };
    match fork {
        Ok(Fork::Child) => {
            drop(ours);
            child::run(&plan.actions, theirs.as_fd())
        }
        Ok(Fork::Parent { pid, pidfd }) => {
            let init = Process::new(pid, pidfd);
            // Where the caller's directory cannot be opened any directory will do.
            let back = back.and_then(unistd::fchdir);
            back.or_else(|_| unistd::chdir("/"))
                .map_err(|errno| failed("return to the working directory", errno))?;
            Ok((init, ours))
        }
        Err(errno) => Err(Error::system(Op::Namespaces, "create namespaces", errno)),
    }
}

fn enter(root: &Path) -> Result<()> {
    unistd::chdir(root)
        .map_err(|errno| Error::errno(format!("enter root file system {}", quoted(root)), errno))
}

/// Whether the maps left setgroups(2) to the container, user_namespaces(7).
pub(crate) fn setgroups_allowed(pid: libc::pid_t) -> Result<bool> {
    let path = format!("/proc/{pid}/setgroups");
    match std::fs::read_to_string(&path) {
        Ok(word) => Ok(word.trim() == "allow"),
        Err(error) => Err(Error::io(format!("read {path}"), &error)),
    }
}

/// Waits until the child is ready to become init; what it says then carries the
/// console.
fn await_set_up(plan: &Plan, init: &Process, socket: &OwnedFd, signals: &Signals) -> Result<Fds> {
    signals.wait_for(socket.as_fd(), "start the container")?;
    match receive(socket)? {
        Some(Received {
            report: Report::Running,
            fds,
        }) => Ok(fds),
        Some(Received { report, .. }) => Err(explain(plan, report)),
        None => {
            let status = init
                .wait()
                .map_err(|errno| Error::errno("wait for init", errno))?;
            Err(supervise::ended_early(status))
        }
    }
}

/// Waits for the exec of init. Signals wait as well: init is to have them.
fn await_exec(plan: &Plan, socket: &OwnedFd) -> Result<()> {
    receive(socket)?.map_or(Ok(()), |received| Err(explain(plan, received.report)))
}

fn receive(socket: &OwnedFd) -> Result<Option<Received>> {
    Report::receive(socket).map_err(|errno| Error::errno("start init", errno))
}

/// What the child met, as an error.
fn explain(plan: &Plan, report: Report) -> Error {
    match report {
        Report::Failed { action, errno } => match plan.actions.get(action) {
            Some(action) => Error::system(action.op(), action.to_string(), errno),
            None => Error::errno("start init", errno),
        },
        Report::Helper { status } => supervise::helper_failed("inside", status),
        Report::Exec { action, failure } => {
            let step = plan.actions.get(action).and_then(|action| action.program());
            match step.or(plan.life.under_init.as_ref()) {
                Some(program) => program.explain(&failure),
                None => Error::errno("start init", failure.errno),
            }
        }
        Report::Running | Report::Started { .. } => Error::errno("start init", Errno::EBADMSG),
    }
}
