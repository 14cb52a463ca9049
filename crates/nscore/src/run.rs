//! One start: clone, maps, helpers, the go, and the child's report; then
//! supervision, and from the top again when the container reboots.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd;

use crate::child::run::{self, Room};
use crate::error::hint::advice::Op;
use crate::error::text::quoted_c;
use crate::error::{Error, Result};
use crate::fake::start;
use crate::join::stopper;
use crate::plan::Plan;
use crate::plan::network::Resolver;
use crate::plan::store::Store;
use crate::proc::namespaces;
use crate::start::cgroup::cgroups::Cgroups;
use crate::start::guard::Guard;
use crate::start::store::Lock;
use crate::start::sweep::Share;
use crate::start::talk::Talk;
use crate::start::{outside, trees};
use crate::supervise;
use crate::supervise::console::Console;
use crate::supervise::network::Attached;
use crate::supervise::outcome::{self, Outcome};
use crate::supervise::ready::Ready;
use crate::supervise::record::Record;
use crate::supervise::resolv::Mirror;
use crate::supervise::signals::Signals;
use crate::supervise::state::Role;
use crate::sys::child::Process;
use crate::sys::clone::{self, Fork};
use crate::sys::path::{FIND_DIR, Known};
use crate::sys::{descriptors, path, socket};

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
    let leaf = plan.leaf.as_ref().map(|plan| Cgroups::make(plan, lock));
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
    leaf: Option<&'a Cgroups>,
}

/// What runs beside init: its console, its network, its record, and who has not been told
/// yet that it runs.
type Beside = (Option<Console>, Attached, Option<OwnedFd>, Option<Ready>);

impl Boot<'_> {
    /// One life of a container, from its first clone to its end.
    fn live(&self) -> Result<Outcome> {
        let Boot { plan, signals, .. } = *self;
        let resolver = plan.network.resolver.and_then(Resolver::text);
        let share = Share::in_root(open_root(&plan.root)?);
        let text = resolver.as_deref();
        // What was made for the child is given back at the end: while the child has
        // the same memory, each page that we write to is copied.
        let failed = |errno| Error::errno("create a socket pair", errno);
        let asking = plan.told.as_ref().map(|_| socket::pair().map_err(failed));
        let (heard, asking) = asking.transpose()?.unzip();
        let (first, socket, room) = clone_first(plan, share.as_fd(), self.leaf, text, asking)?;
        // From here on our own death ends a child that is still ours: it waits for
        // us, and for our death signal.
        let mut talk = Talk::new(plan, signals, first, socket);
        // None where the container's cgroup has one.
        let mut guard = None;
        let mut watcher = None;
        let heard = (heard, &mut watcher);
        let (console, network, record, ready) =
            match self.start(&mut talk, &mut guard, resolver, heard) {
                Ok(beside) => beside,
                Err(error) => {
                    talk.break_off(&share);
                    return Err(error);
                }
            };
        // With the end of the socket by which a child asks that had nobody to ask.
        drop(room);
        let role = Role::Init {
            life: &plan.life,
            stop: stopper::launch,
            needs: watcher.as_ref(),
        };
        let (init, kept) = talk.end();
        let outcome = supervise::until_end(init, console, network, ready, signals, role)?;
        drop((guard, watcher, record, share, kept));
        Ok(outcome)
    }

    /// Everything from the first clone until init runs.
    fn start(
        &self,
        talk: &mut Talk,
        guard: &mut Option<Guard>,
        resolver: Option<Vec<u8>>,
        (heard, watcher): (Option<OwnedFd>, &mut Option<Process>),
    ) -> Result<Beside> {
        let Boot { plan, signals, .. } = *self;
        plan.maps.write(talk.child().pid())?;
        descriptors::give_pipes(plan.maps.root, |user| plan.maps.user.map.has_outside(user));
        if plan.mounter.is_some() {
            talk.say_go(&trees::clone_all(&plan.trees, talk.child().pid())?)?;
            talk.await_init()?;
        }
        if let Some(helper) = &plan.outside {
            outside::run(helper, talk.child(), plan.namespaces, signals)?;
        }
        let mut network = plan.network.attach(talk.child(), signals)?;
        let trees = match plan.mounter {
            None => trees::clone_all(&plan.trees, talk.child().pid())?,
            Some(_) => Vec::new(),
        };
        // Its user namespace is opened while init still has the caller's ids.
        if let (Some(ids), Some(heard)) = (&plan.told, heard) {
            let users = namespaces::open(talk.child().pid(), "user")?;
            *watcher = Some(
                start::Watcher {
                    program: "contain",
                    asker: talk.child().pidfd(),
                    socket: heard.as_fd(),
                    users: Some(users.as_fd()),
                    ids,
                    bound: plan.life.terms.profile.capabilities,
                }
                .fork()?,
            );
        }
        talk.say_go(&trees)?;
        drop(trees);
        let init = talk.child();
        // While the child works. Once it is somebody else's program, the guard
        // alone holds it to our life.
        *guard = match self.leaf {
            Some(leaf) => leaf.watch(init, network.process()).map(|()| None)?,
            None => Some(Guard::of(init.pidfd(), network.process(), self.lock)?),
        };
        network.begin();
        // Whatever init does happens after its container can be found.
        let record = Record::publish(plan, init.pid())?;
        network.await_ready(&plan.network, signals)?;
        talk.let_go()?;
        let (console, copy) = match (plan.console, talk.await_set_up()?) {
            (Some(streams), [Some(master), Some(slave), copy]) => {
                (Some(Console::new(master, slave, streams)?), copy)
            }
            (None, [copy, ..]) => (None, copy),
            (Some(_), _) => return Err(Error::errno("start init", Errno::EBADMSG)),
        };
        talk.await_exec()?;
        record.as_ref().map_or(Ok(()), Record::seal)?;
        let ready = tell_ready(plan, talk.child().pid())?;
        network.mirror = copy
            .zip(resolver)
            .and_then(|(copy, text)| Some(Mirror::new(plan.network.resolver?, copy, text)));
        Ok((console, network, record, ready))
    }
}

/// Tells whoever asked that init runs: once, not again at a reboot. Who does not read
/// now is left for later.
fn tell_ready(plan: &Plan, init: libc::pid_t) -> Result<Option<Ready>> {
    let ready = plan.life.ready.take();
    let Some(mut ready) = ready.map(|to| Ready::new(to, init)) else {
        return Ok(None);
    };
    match ready.tell() {
        Ok(told) => Ok((!told).then_some(ready)),
        Err(errno) => Err(Error::errno("write to the ready descriptor", errno)),
    }
}

/// Clones the child in the root's directory, which it will find there as its
/// working directory: a descriptor opened here would be of our mount namespace
/// and of no use in the child's.
#[allow(unsafe_code)]
fn clone_first<'a>(
    plan: &'a Plan,
    root: BorrowedFd,
    leaf: Option<&Cgroups>,
    resolver: Option<&[u8]>,
    asking: Option<OwnedFd>,
) -> Result<(Process, OwnedFd, Room<'a>)> {
    let failed = |what: &str, errno| Error::errno(what, errno);
    let (ours, theirs) = socket::pair().map_err(|errno| failed("create a socket pair", errno))?;
    // Another boot may have changed them since the plan was made.
    let new_changes = plan.store.as_ref().map_or(Ok(true), Store::is_new);
    let new_changes = new_changes.map_err(|errno| failed("look at the upper directory", errno))?;
    let back = path::open(".", OFlag::O_PATH);
    unistd::fchdir(root).map_err(|errno| root_failed(&plan.root, errno))?;
    let room = Room::for_actions(&plan.actions, plan.trees.len(), new_changes)
        .map_err(|errno| failed("read the clocks", errno))?
        .asking(asking);
    let namespaces = plan.mounter.unwrap_or(plan.namespaces);
    // SAFETY: this process has one thread, see clone::fork.
    let fork = unsafe { clone::fork_into(leaf.map(Cgroups::fd), namespaces, libc::SIGCHLD) };
    match fork {
        Ok(Fork::Child) => {
            drop(ours);
            run::run(&plan.actions, room, resolver, theirs.as_fd())
        }
        Ok(Fork::Parent { pid, pidfd }) => {
            let first = Process::new(pid, pidfd);
            // Where the caller's directory cannot be opened any directory will do.
            let back = back.and_then(unistd::fchdir);
            back.or_else(|_| unistd::chdir("/"))
                .map_err(|errno| failed("return to the working directory", errno))?;
            Ok((first, ours, room))
        }
        Err(errno) => Err(Error::system(Op::Namespaces, "create namespaces", errno)),
    }
}

/// What was decided is of this directory.
fn open_root(root: &Known) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    match root.open(flags) {
        // It need not be readable to be entered.
        Err(Errno::EACCES) => root.open(FIND_DIR),
        other => other,
    }
    .map_err(|errno| root_failed(root, errno))
}

fn root_failed(root: &Known, errno: Errno) -> Error {
    let what = format!("enter root file system {}", quoted_c(root.path()));
    match errno {
        Errno::ELOOP | Errno::ESTALE => Error::new(what, "something else is there by now"),
        errno => Error::errno(what, errno),
    }
}
