//! The child between clone and exec: performs the plan's actions in order. It
//! allocates nothing and never panics, because it is a copy of a process whose
//! locks it does not own; whatever fails goes back as numbers.
#![allow(
    clippy::large_enum_variant,
    clippy::result_large_err,
    reason = "boxing would allocate"
)]

use std::ffi::CStr;
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::stat::{self, Mode};
use nix::unistd;

use crate::action::{Action, At, BindKind, Place};
use crate::exec::{Failure, Program};
use crate::init;
use crate::message::{Go, Report};
use crate::namespaces::NEWTIME;
use crate::sys::clone::{self, Fork};
use crate::sys::socket::MAX_FDS;
use crate::sys::tty::{self, Look};
use crate::sys::{Sys, mount, path, process};

mod overlay;

/// The name of processes of ours that are not the supervisor.
pub(crate) const NAME: &CStr = c"nscore";

/// Why the child stopped.
enum Stop {
    /// The supervisor is gone, so nobody is left to be told.
    Orphaned,
    /// This is the last word.
    Say(Report),
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Failed {
        Failed::Errno(errno)
    }
}

/// Why one action failed.
enum Failed {
    Orphaned,
    Errno(Errno),
    Helper(libc::c_int),
    Exec(Failure),
}

/// What the child holds while it works.
struct Child<'a> {
    /// The conversation with the supervisor.
    socket: BorrowedFd<'a>,
    places: [Option<OwnedFd>; Place::COUNT],
    /// Directories of the root file system that we made: /dev, /proc and /sys.
    made: [Option<&'static CStr>; 3],
    /// What the supervisor made for us, until it is used.
    trees: [Option<OwnedFd>; MAX_FDS],
    /// Master and slave of the console.
    console: Option<(OwnedFd, OwnedFd)>,
    /// setgroups(2) is allowed.
    drop_groups: bool,
    /// The caller's umask, back in force for programs.
    umask: Mode,
}

/// Runs to the exec or the end of the process. `socket` is the only descriptor
/// of the supervisor's that the child uses.
pub(crate) fn run(actions: &[Action], socket: BorrowedFd) -> ! {
    match perform(actions, socket) {
        Stop::Orphaned => {}
        // Without a supervisor there is nobody to tell.
        Stop::Say(report) => drop(report.send(socket, &[])),
    }
    process::exit(1)
}

fn perform(actions: &[Action], socket: BorrowedFd) -> Stop {
    process::rename(NAME);
    let mut child = Child {
        socket,
        places: [const { None }; Place::COUNT],
        made: [None; 3],
        trees: [const { None }; MAX_FDS],
        console: None,
        drop_groups: false,
        umask: stat::umask(Mode::empty()),
    };
    let fatal = |action, errno| Stop::Say(Report::Failed { action, errno });
    // From here on the end of the supervisor's thread ends us too; the guard
    // holds where this does not reach.
    if let Err(errno) = process::die_with_parent() {
        return fatal(0, errno);
    }
    for (i, action) in actions.iter().enumerate() {
        let Err(failed) = child.step(action) else {
            continue;
        };
        child.unmake();
        return match failed {
            Failed::Orphaned => Stop::Orphaned,
            Failed::Errno(errno) => fatal(i, errno),
            Failed::Helper(status) => Stop::Say(Report::Helper { status }),
            Failed::Exec(failure) => Stop::Say(Report::Exec { action: i, failure }),
        };
    }
    fatal(actions.len(), Errno::ENOEXEC)
}

impl Child<'_> {
    fn step(&mut self, action: &Action) -> Result<(), Failed> {
        match action {
            Action::AwaitGo => match Go::receive(self.socket) {
                Ok((go, trees)) => {
                    self.drop_groups = go.drop_groups;
                    self.trees = trees;
                }
                Err(_) => return Err(Failed::Orphaned),
            },
            Action::EnterTime => enter_time()?,
            Action::EnterCgroup => nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP)?,
            Action::BecomeRoot => {
                process::become_root(self.drop_groups)?;
                // The change of ids has cleared it.
                process::die_with_parent()?;
            }
            Action::NewKeyring => process::new_session_keyring()?,
            Action::PrivateMounts => mount::make_private()?,
            Action::AttachRoot(known) => {
                self.keep(Place::Root, mount::mount_working_directory(known)?)
            }
            Action::AttachTree(known) => self.attach_tree(known)?,
            Action::Overlay(step) => self.overlay(step)?,
            Action::MakeDir(at) => {
                if path::make_dir(self.place(at.0)?, at.1, directory_mode(*at))? {
                    self.made(*at);
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
            Action::Bind { source, at, kind } => {
                let dir = self.place(at.0)?;
                if *kind == BindKind::Node {
                    path::make_file(dir, at.1)?;
                }
                mount::bind(source, dir, at.1, *kind == BindKind::ReadOnlyTree)?;
                if *kind == BindKind::ReadOnlyTree {
                    mount::set_read_only(dir, at.1)?;
                }
            }
            Action::Link { at, target } => unistd::symlinkat(*target, self.place(at.0)?, at.1)?,
            Action::ReadOnly(place) => mount::set_read_only(self.place(*place)?, c"")?,
            Action::MakeConsole(look) => self.make_console(look)?,
            Action::LoopbackUp => process::loopback_up()?,
            Action::RunInside(program) => self.run_inside(program)?,
            Action::Pivot { covered } => {
                unistd::fchdir(self.place(Place::Root)?)?;
                mount::pivot_here(*covered)?;
            }
            Action::TakeConsole(streams) => take_console(*streams)?,
            Action::ExecInit(program) => {
                process::make_stream(self.socket, init::SOCKET)?;
                return Err(self.exec(program));
            }
            Action::Exec(program) => return Err(self.exec(program)),
        }
        Ok(())
    }

    fn place(&self, place: Place) -> Sys<BorrowedFd<'_>> {
        self.places[place as usize]
            .as_ref()
            .map(OwnedFd::as_fd)
            .ok_or(Errno::EBADF)
    }

    /// Remembers a directory that was not in the root file system before.
    fn made(&mut self, at: At) {
        if let (Place::Root, Some(slot)) = (at.0, self.made.iter_mut().find(|slot| slot.is_none()))
        {
            *slot = Some(at.1);
        }
    }

    /// A failed start leaves the root file system as it was.
    fn unmake(&self) {
        for name in self.made.iter().flatten() {
            // What fails here comes after a failure that is worth telling.
            let _ = self
                .place(Place::Root)
                .and_then(|root| path::unmake_dir(root, name));
        }
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
    fn run_inside(&self, program: &Program) -> Result<(), Failed> {
        unistd::fchdir(self.place(Place::Root)?)?;
        // SAFETY: this process has one thread, and its child allocates nothing.
        match unsafe { clone::fork(CloneFlags::empty(), libc::SIGCHLD) }? {
            Fork::Child => {
                process::rename(NAME);
                stat::umask(self.umask);
                let failure = match process::reset_signals() {
                    Ok(()) => program.exec(),
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

    /// Tells the supervisor, hands it the console, waits until it is ready, and
    /// becomes init.
    fn exec(&mut self, program: &Program) -> Failed {
        stat::umask(self.umask);
        let sent = match &self.console {
            Some((master, slave)) => {
                Report::Running.send(self.socket, &[master.as_fd(), slave.as_fd()])
            }
            None => Report::Running.send(self.socket, &[]),
        };
        if sent.is_err() || Go::receive(self.socket).is_err() {
            return Failed::Orphaned;
        }
        if let Err(errno) = process::reset_signals() {
            return Failed::Errno(errno);
        }
        Failed::Exec(program.exec())
    }
}

/// Anyone may write to /dev/shm and /dev/mqueue; the rest is root's.
fn directory_mode(at: At) -> Mode {
    let shared = at.0 == Place::Dev && (at.1 == c"shm" || at.1 == c"mqueue");
    Mode::from_bits_retain(if shared { 0o1777 } else { 0o755 })
}

/// A time namespace whose clocks start at zero now. Entering it by its own
/// file takes effect at once, where unshare(2) alone waits for an exec,
/// time_namespaces(7).
fn enter_time() -> Sys<()> {
    nix::sched::unshare(NEWTIME)?;
    let (monotonic, boottime) = process::clocks()?;
    let mut text = [0; 96];
    let mut rest = &mut text[..];
    write!(rest, "monotonic -{monotonic} 0\nboottime -{boottime} 0\n")
        .map_err(|_| Errno::EOVERFLOW)?;
    let unused = rest.len();
    let len = text.len() - unused;
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let offsets = nix::fcntl::open(c"/proc/self/timens_offsets", flags, Mode::empty())?;
    unistd::write(&offsets, &text[..len])?;
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let namespace = nix::fcntl::open(c"/proc/self/ns/time_for_children", flags, Mode::empty())?;
    nix::sched::setns(&namespace, NEWTIME)
}

/// A session whose controlling terminal is the container's console. By path,
/// so that ttyname(3) finds the name /dev/console.
fn take_console(streams: [bool; 3]) -> Sys<()> {
    unistd::setsid()?;
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC;
    let console = nix::fcntl::open(c"/dev/console", flags, Mode::empty())?;
    tty::set_controlling(&console)?;
    for (stream, taken) in (0..).zip(streams) {
        if taken {
            process::make_stream(console.as_fd(), stream)?;
        }
    }
    Ok(())
}
