//! The child between clone and exec: performs the plan's actions in order. It
//! allocates nothing and never panics, because it is a copy of a process whose
//! locks it does not own; whatever fails goes back as numbers.
use std::borrow::Cow;
use std::ffi::{CStr, OsStr};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sched::CloneFlags;
use nix::sys::stat::{self, Mode};
use nix::unistd::{self, AccessFlags};

use crate::action::{Action, At, BindKind, Place};
use crate::exec::{Failure, HEADER, Program};
use crate::init;
use crate::message::{Go, Report};
use crate::namespaces::NEWTIME;
use crate::sealed;
use crate::sys::clone::{self, Fork};
use crate::sys::mount::FileSystem;
use crate::sys::socket::MAX_FDS;
use crate::sys::tty::{self, Look};
use crate::sys::{Sys, descriptors, ids, mount, path, process, shim, signal};
use crate::user::Login;

mod mounts;
mod nested;
mod overlay;
mod resolv;

/// The name of processes of ours that are not the supervisor.
pub(crate) const NAME: &CStr = c"nscore";

impl From<Errno> for Failed<'_> {
    fn from(errno: Errno) -> Self {
        Failed::Errno(errno)
    }
}

/// Why one action failed.
enum Failed<'a> {
    /// The supervisor is gone, so nobody is left to be told.
    Orphaned,
    Errno(Errno),
    Helper(libc::c_int),
    Exec(Failure<'a>),
}

impl Failed<'_> {
    /// Of a conversation: without a supervisor there is nobody to tell.
    fn talk(errno: Errno) -> Failed<'static> {
        match errno {
            Errno::EPIPE | Errno::ECONNRESET => Failed::Orphaned,
            errno => Failed::Errno(errno),
        }
    }
}

/// Paths of which the child has made something, and up to where.
pub(crate) type Made<'a> = Vec<(&'a CStr, usize)>;

/// What is made for the child, because it cannot, or at a price.
pub(crate) struct Room<'a> {
    made: Made<'a>,
    login: Option<Box<Login>>,
    header: Vec<u8>,
    /// The offsets of clocks that start at zero now, time_namespaces(7).
    clocks: String,
}

impl<'a> Room<'a> {
    /// Enough for these actions.
    pub(crate) fn for_actions(actions: &'a [Action]) -> Sys<Room<'a>> {
        let names = |action: &Action| match action {
            Action::MakeDir(_) => 1,
            Action::ShowResolver => 1,
            Action::Mounts(step) => step.names(),
            _ => 0,
        };
        let user = |action: &'a Action| match action {
            Action::User(step) => Some(step),
            _ => None,
        };
        let (monotonic, boottime) = process::clocks()?;
        Ok(Room {
            made: Vec::with_capacity(actions.iter().map(names).sum()),
            login: Login::room(actions.iter().filter_map(user)),
            header: vec![0; HEADER],
            clocks: format!("monotonic -{monotonic} 0\nboottime -{boottime} 0\n"),
        })
    }
}

/// What the child holds while it works.
struct Child<'a> {
    /// The conversation with the supervisor.
    socket: BorrowedFd<'a>,
    places: [Option<OwnedFd>; Place::COUNT],
    /// What we added to the root file system, each thing the end of a path of
    /// this length. Never more than there is room for.
    made: Made<'a>,
    /// The root as it was when the first of them was made: what is mounted later
    /// does not hide it.
    bare: Option<OwnedFd>,
    /// What the supervisor made for us, until it is used.
    trees: [Option<OwnedFd>; MAX_FDS],
    /// What we have opened ourselves, until it is used.
    opened: [Option<OwnedFd>; MAX_FDS],
    /// Master and slave of the console.
    console: Option<(OwnedFd, OwnedFd)>,
    /// The user that the program runs as, if not container root.
    login: Option<Box<Login>>,
    /// The text for timens_offsets.
    clocks: String,
    /// What our copy of the host's resolv.conf is to hold, and the copy.
    resolver: Option<&'a [u8]>,
    copy: Option<OwnedFd>,
    /// What the exec goes by way of, or is of.
    sealed: Option<OwnedFd>,
    /// setgroups(2) is allowed.
    drop_groups: bool,
    /// The caller's umask, back in force for programs.
    umask: Mode,
    /// The supervisor knows what was made.
    ready: bool,
}

/// Runs to the exec or the end of the process. `socket` is the only descriptor
/// of the supervisor's that the child uses.
pub(crate) fn run<'a>(
    actions: &'a [Action],
    room: Room<'a>,
    resolver: Option<&'a [u8]>,
    socket: BorrowedFd<'a>,
) -> ! {
    process::rename(NAME);
    // What the caller ignores is not for init. Done here, because each call costs
    // more once there is a filter.
    signal::default_all();
    let mut child = Child {
        socket,
        places: [const { None }; Place::COUNT],
        made: room.made,
        bare: None,
        trees: [const { None }; MAX_FDS],
        opened: [const { None }; MAX_FDS],
        console: None,
        login: room.login,
        clocks: room.clocks,
        resolver,
        copy: None,
        sealed: None,
        drop_groups: false,
        umask: stat::umask(Mode::empty()),
        ready: false,
    };
    let mut header = room.header;
    // From here on the end of the supervisor's thread ends us too; the guard
    // holds where this does not reach.
    let mut done = 0;
    let failed = match process::die_with_parent() {
        Ok(()) => loop {
            let Some(action) = actions.get(done) else {
                break Failed::Errno(Errno::ENOEXEC);
            };
            match child.step(action, &mut header) {
                Ok(()) => done += 1,
                Err(failed) => break failed,
            }
            if let Err(errno) = child.keep_bare() {
                break Failed::Errno(errno);
            }
        },
        Err(errno) => {
            // It is no step of the plan's.
            done = actions.len();
            Failed::Errno(errno)
        }
    };
    child.give_up(done, failed)
}

impl<'a> Child<'a> {
    /// Takes back what was made and says why this step cannot be had.
    #[cold]
    #[inline(never)]
    fn give_up(mut self, action: usize, failed: Failed) -> ! {
        // Later than that the supervisor does it.
        if !self.ready {
            self.unmake();
        }
        let report = match failed {
            Failed::Orphaned => process::exit(1),
            Failed::Errno(errno) => Report::Failed { action, errno },
            Failed::Helper(status) => Report::Helper { status },
            Failed::Exec(failure) => Report::Exec { action, failure },
        };
        // Without a supervisor there is nobody to tell.
        let _ = report.send(self.socket, &[]);
        sealed::await_end(self.socket);
        process::exit(1)
    }

    fn step<'r>(&mut self, action: &'a Action, room: &'r mut [u8]) -> Result<(), Failed<'r>> {
        match action {
            Action::AwaitGo => {
                let trees = Go::receive(self.socket).map_err(Failed::talk)?;
                // A mounter has had them, and leaves some to init.
                for (slot, tree) in self.trees.iter_mut().zip(trees) {
                    *slot = tree.or(slot.take());
                }
            }
            Action::EnterTime => enter_time(&self.clocks)?,
            Action::EnterCgroup => nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP)?,
            Action::BecomeRoot { drop_groups } => {
                self.drop_groups = *drop_groups && ids::drop_groups_if_allowed()?;
                ids::become_root(false)?;
                // The change of ids has cleared it.
                process::die_with_parent()?;
            }
            Action::NewKeyring => process::new_session_keyring()?,
            Action::SetHostname(name) => unistd::sethostname(OsStr::from_bytes(name.to_bytes()))?,
            Action::PrivateMounts => mount::make_private()?,
            Action::AttachRoot(known) => {
                self.keep(Place::Root, mount::mount_working_directory(known)?)
            }
            Action::AttachTree { tree, known } => self.attach_tree(*tree, known)?,
            Action::Overlay(step) => self.overlay(step)?,
            Action::Mounts(step) => self.mounts(step)?,
            Action::CloneInit(nested) => self.clone_init(nested)?,
            Action::MakeDir(at) => {
                let made = path::make_dir(self.place(at.0)?, at.1, directory_mode(*at))?;
                if made && at.0 == Place::Root {
                    self.made.push((at.1, at.1.to_bytes().len()));
                }
            }
            Action::Mount {
                fs,
                at,
                keep,
                optional,
            } => {
                let open = || path::open_dir(self.place(at.0)?, at.1);
                match keep {
                    Some(place) => {
                        let root = mount::mount_new(fs, open()?.as_fd(), open)?;
                        self.keep(*place, root);
                    }
                    None => match open().and_then(|target| mount::mount(fs, target.as_fd())) {
                        Err(errno) if !optional => return Err(errno.into()),
                        _ => {}
                    },
                }
            }
            Action::ShowCgroup { fs, at } => self.show_cgroup(fs, *at)?,
            Action::Bind { source, at, kind } => self.bind(source, *at, *kind)?,
            Action::WriteFile { dir, name, text } => {
                let place = self.place(dir.0)?;
                // It is memory of ours, so there is nothing to take back.
                path::make_dir(place, dir.1, Mode::from_bits_retain(0o755))?;
                let find = OFlag::O_PATH | OFlag::O_DIRECTORY;
                // What the caller has bound there says what is to be said.
                if let Ok(dir) = path::open_on_mount(place, dir.1, find) {
                    path::write_file(dir.as_fd(), name, text.to_bytes())?;
                }
            }
            Action::Link { at, target } => unistd::symlinkat(*target, self.place(at.0)?, at.1)?,
            Action::ReadOnly(place) => mount::set_read_only(self.place(*place)?, c"")?,
            Action::ReadOnlyBelow(place, below) => {
                mount::set_read_only(self.place(*place)?, below)?
            }
            Action::Mask(mask) => mask.perform(self.place(mask.at.0)?)?,
            Action::MakeConsole(look) => self.make_console(look)?,
            Action::ShowResolver => self.show_resolver()?,
            Action::LoopbackUp => process::loopback_up()?,
            Action::RunInside(program) => self.run_inside(program, room)?,
            Action::Pivot { covered } => {
                unistd::fchdir(self.place(Place::Root)?)?;
                if *covered {
                    mount::pivot_covered()?;
                } else {
                    mount::pivot_here()?;
                }
            }
            Action::TakeConsole {
                streams,
                controlling,
            } => take_console(*streams, *controlling)?,
            Action::NewSession => drop(unistd::setsid()?),
            Action::Ready => self.be_ready()?,
            Action::User(step) => {
                let terminal = self.console.as_ref().map(|(_, slave)| slave.as_fd());
                step.perform(self.login.as_deref_mut(), self.drop_groups, terminal)?;
            }
            Action::Harden(step) => step.perform()?,
            Action::Seal(image) => {
                let dev = || path::open_dir(self.place(Place::Dev)?, c".");
                self.sealed = Some(shim::seal(*image, dev)?);
            }
            Action::ExecInit(program) => {
                self.prepare_exec()?;
                descriptors::make_stream(self.socket, init::SOCKET)?;
                let login = self.login.as_deref();
                return Err(Failed::Exec(match &self.sealed {
                    Some(image) => program.exec_image(image.as_fd(), login),
                    None => program.exec_as_user(login, room),
                }));
            }
            Action::Exec(program) => {
                self.prepare_exec()?;
                let login = self.login.as_deref();
                return Err(Failed::Exec(match &self.sealed {
                    Some(shim) => sealed::exec(program, login, shim.as_fd(), self.socket, room),
                    None => program.exec_as_user(login, room),
                }));
            }
        }
        Ok(())
    }

    fn place(&self, place: Place) -> Sys<BorrowedFd<'_>> {
        self.places[place as usize]
            .as_ref()
            .map(OwnedFd::as_fd)
            .ok_or(Errno::EBADF)
    }

    fn show_cgroup(&self, fs: &FileSystem, at: At) -> Sys<()> {
        let open = || path::open_dir(self.place(at.0)?, at.1);
        let mounted = open().and_then(|dir| mount::mount_new(fs, dir.as_fd(), open));
        let Ok(cgroup) = mounted else {
            return Ok(());
        };
        // One name in the cgroup above, one in itself, and one in each below.
        let lone = stat::fstat(&cgroup)?.st_nlink == 2;
        let asked = unistd::faccessat(&cgroup, c".", AccessFlags::W_OK, AtFlags::empty());
        // Any other answer is no refusal.
        if lone && asked == Err(Errno::EACCES) {
            return Ok(());
        }
        mount::unmount(cgroup.as_fd())
    }

    fn bind(&self, source: &CStr, at: At, kind: BindKind) -> Sys<()> {
        let (dir, name) = (self.place(at.0)?, at.1);
        match kind {
            BindKind::Node => {
                path::make_file(dir, name)?;
                mount::bind(source, dir, name, false)
            }
            BindKind::Tree => {
                path::make_dir(dir, name, directory_mode(at))?;
                match mount::bind(source, dir, name, true) {
                    Err(Errno::ENOENT) => path::remove_dir(dir, name),
                    other => other,
                }
            }
        }
    }

    /// Sees to it that what was made can be found again.
    fn keep_bare(&mut self) -> Sys<()> {
        if self.bare.is_none() && !self.made.is_empty() {
            self.bare = Some(mount::open_tree(self.place(Place::Root)?, c"", true)?);
        }
        Ok(())
    }

    /// A failed start leaves the root file system as it was.
    fn unmake(&mut self) {
        // What fails here comes after a failure that is worth telling.
        let _ = self.keep_bare();
        let (Ok(root), Some(bare)) = (self.place(Place::Root), &self.bare) else {
            return;
        };
        let mut buffer = [0; libc::PATH_MAX as usize];
        let mut each = |remove: &dyn Fn(&CStr) -> Sys<()>| {
            for (path, end) in self.made.iter().rev() {
                let _ = path::prefix(path.to_bytes(), *end, &mut buffer).and_then(remove);
            }
        };
        // Nothing is removed on which something is mounted. Then what hides other
        // mounts, all at once: where it is locked it hides none of ours.
        each(&|path| path::uncover(root, path));
        let _ = mount::unmount(root);
        each(&|path| path::unmake(bare.as_fd(), path));
    }

    fn keep(&mut self, place: Place, fd: OwnedFd) {
        self.places[place as usize] = Some(fd);
    }

    /// The first pseudo-terminal of the container's own devpts. A pseudo-
    /// terminal of the host's could neither be shown here nor be owned.
    fn make_console(&mut self, look: &Look) -> Sys<()> {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let pts = self.place(Place::Pts)?;
        let master = nix::fcntl::openat(pts, c"ptmx", flags, Mode::empty())?;
        let slave = tty::open_slave(&master)?;
        look.apply(&slave)?;
        let dev = self.place(Place::Dev)?;
        path::make_file(dev, c"console")?;
        mount::bind(c"pts/0", dev, c"console", false)?;
        self.console = Some((master, slave));
        Ok(())
    }

    /// Forks the helper into our namespaces, with the new root as its working
    /// directory, and waits.
    #[allow(unsafe_code)]
    fn run_inside(&self, program: &Program, room: &mut [u8]) -> Result<(), Failed<'static>> {
        unistd::fchdir(self.place(Place::Root)?)?;
        // SAFETY: this process has one thread, and its child allocates nothing.
        match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) }? {
            Fork::Child => {
                process::rename(NAME);
                stat::umask(self.umask);
                let failure = match signal::reset_all() {
                    Ok(()) => program.exec(room),
                    Err(errno) => Failure::new(errno, 0),
                };
                // 127 is what a shell says of itself when it is missing.
                process::exit(if failure.errno == Errno::ENOENT {
                    127
                } else {
                    126
                })
            }
            Fork::Parent { pid, .. } => match process::wait(pid)? {
                0 => Ok(()),
                status => Err(Failed::Helper(status)),
            },
        }
    }

    /// Tells the supervisor what was made, hands it console and copy, and waits
    /// until it is ready.
    fn be_ready(&mut self) -> Result<(), Failed<'static>> {
        // The first brings along where they are.
        let mut bare = self.bare.take();
        for (path, end) in &self.made {
            let fd = bare.take();
            let fd = fd.as_ref().map(OwnedFd::as_fd);
            Report::Made(Cow::Borrowed(&path.to_bytes()[..*end]))
                .send(self.socket, fd.as_slice())
                .map_err(Failed::talk)?;
        }
        let console = self.console.as_ref().map(|(master, slave)| [master, slave]);
        let mut fds = [self.socket; 3];
        let mut count = 0;
        for fd in console.into_iter().flatten().chain(&self.copy) {
            fds[count] = fd.as_fd();
            count += 1;
        }
        Report::Running
            .send(self.socket, &fds[..count])
            .and_then(|()| Go::receive(self.socket))
            .map_err(Failed::talk)?;
        self.ready = true;
        Ok(())
    }

    fn prepare_exec(&self) -> Sys<()> {
        stat::umask(self.umask);
        signal::unblock_all()
    }
}

/// Anyone may write to /dev/shm and /dev/mqueue; the rest is root's.
fn directory_mode(at: At) -> Mode {
    let shared = at.0 == Place::Dev && (at.1 == c"shm" || at.1 == c"mqueue");
    Mode::from_bits_retain(if shared { 0o1777 } else { 0o755 })
}

/// A time namespace with these offsets. Entering it by its own file takes effect
/// at once, where unshare(2) alone waits for an exec, time_namespaces(7).
fn enter_time(clocks: &str) -> Sys<()> {
    nix::sched::unshare(NEWTIME)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let offsets = nix::fcntl::open(c"/proc/self/timens_offsets", flags, Mode::empty())?;
    unistd::write(&offsets, clocks.as_bytes())?;
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let namespace = nix::fcntl::open(c"/proc/self/ns/time_for_children", flags, Mode::empty())?;
    nix::sched::setns(&namespace, NEWTIME)
}

/// Opens the console, by path so that ttyname(3) finds the name /dev/console. It
/// becomes the controlling terminal of a session of our own, or that of whoever
/// asks for it first. A session leader asks by opening it, and an init that
/// starts as none, as a kernel starts it, does not expect that: so it leads but
/// a process group, and leaves the terminal of our caller's session.
fn take_console(streams: [bool; 3], controlling: bool) -> Sys<()> {
    if controlling {
        unistd::setsid()?;
    } else {
        unistd::setpgid(unistd::Pid::from_raw(0), unistd::Pid::from_raw(0))?;
        tty::leave_controlling()?;
    }
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let console = nix::fcntl::open(c"/dev/console", flags, Mode::empty())?;
    if controlling {
        tty::set_controlling(&console)?;
    }
    for (stream, taken) in (0..).zip(streams) {
        if taken {
            descriptors::make_stream(console.as_fd(), stream)?;
        }
    }
    Ok(())
}
