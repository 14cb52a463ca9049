//! The child from its first action to the exec of the program.

use std::ffi::OsStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sched::CloneFlags;
use nix::sys::stat::{self, Mode};
use nix::unistd;

use crate::child::console::take_console;
use crate::child::failed::Failed;
use crate::child::message::Go;
use crate::child::own::enter_time;
use crate::child::state::{Child, Made, directory_mode};
use crate::child::{NAME, sealed, user};
use crate::exec::candidate::HEADER;
use crate::exec::login::Login;
use crate::fake::start;
use crate::plan::action::Action;
use crate::plan::mounts;
use crate::plan::place::Place;
use crate::proc::namespaces::clock_offsets;
use crate::sys::{Sys, descriptors, ids, make, mount, path, process, shim, signal};

/// What is made for the child, because it cannot, or at a price.
pub(crate) struct Room<'a> {
    made: Made<'a>,
    login: Option<Box<Login>>,
    header: Vec<u8>,
    /// The offsets of clocks that start at zero now, time_namespaces(7).
    clocks: String,
    new_changes: bool,
    trees: Vec<Option<OwnedFd>>,
    opened: Vec<Option<OwnedFd>>,
    /// Where the listener hears of us, if there is one.
    asking: Option<OwnedFd>,
}

impl<'a> Room<'a> {
    /// Enough for these actions and trees, on changes that are new or have been used.
    pub(crate) fn for_actions(
        actions: &'a [Action],
        trees: usize,
        new_changes: bool,
    ) -> Sys<Room<'a>> {
        let opens =
            |action: &&Action| matches!(action, Action::Mounts(mounts::MountStep::Open { .. }));
        let none = |count| std::iter::repeat_with(|| None).take(count).collect();
        let names = |action: &Action| match action {
            Action::MakeDir(_) => 1,
            Action::ShowResolver => 1,
            Action::Mounts(step) => step.names(),
            _ => 0,
        };
        let become_user = |action: &'a Action| match action {
            Action::User(step) => Some(step),
            _ => None,
        };
        let [monotonic, boottime] = clocks_from_zero()?;
        Ok(Room {
            made: Vec::with_capacity(actions.iter().map(names).max().unwrap_or(0)),
            login: user::room(actions.iter().filter_map(become_user)),
            header: vec![0; HEADER],
            clocks: format!("monotonic {monotonic} 0\nboottime {boottime} 0\n"),
            new_changes,
            trees: none(trees),
            opened: none(actions.iter().filter(opens).count()),
            asking: None,
        })
    }

    /// With a listener that hears of us there.
    pub(crate) fn asking(self, asking: Option<OwnedFd>) -> Room<'a> {
        Room { asking, ..self }
    }
}

/// The offsets that make the clocks start at zero now. They are to the machine's own
/// clocks, not to ours, time_namespaces(7).
fn clocks_from_zero() -> Sys<[i64; 2]> {
    let (monotonic, boottime) = process::clocks()?;
    let [own_monotonic, own_boottime] = clock_offsets()?;
    Ok([own_monotonic - monotonic, own_boottime - boottime])
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
        told: false,
        trees: room.trees,
        opened: room.opened,
        console: None,
        login: room.login,
        clocks: room.clocks,
        new_changes: room.new_changes,
        resolver,
        copy: None,
        sealed: None,
        handlers: None,
        may_set_groups: false,
        asking: room.asking,
        umask: stat::umask(Mode::empty()),
    };
    let mut header = room.header;
    // From here on the end of the supervisor's thread ends us too; the guard
    // holds where this does not reach. Whether that end came before, getppid(2)
    // cannot tell: it is 0 in a PID namespace of our own. The end of file in
    // place of a go does.
    let mut done = 0;
    let failed = match process::die_with_parent() {
        Ok(()) => loop {
            let Some(action) = actions.get(done) else {
                break Failed::Errno(Errno::ENOEXEC);
            };
            let stepped = child.step(action, &mut header);
            match stepped.and_then(|()| child.tell_made()) {
                Ok(()) => done += 1,
                Err(failed) => break failed,
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
    fn step<'r>(&mut self, action: &'a Action, room: &'r mut [u8]) -> Result<(), Failed<'r>> {
        match action {
            Action::AwaitGo => {
                // A mounter has had the trees, and leaves some to init.
                Go::receive(self.socket, &mut self.trees).map_err(Failed::talk)?;
            }
            Action::EnterTime => enter_time(&self.clocks)?,
            Action::EnterCgroup => nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP)?,
            Action::BecomeRoot { drop_groups } => {
                self.may_set_groups = *drop_groups && ids::drop_groups_if_allowed()?;
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
                let made = make::make_dir(self.place(at.0)?, at.1, directory_mode(*at))?;
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
                make::make_dir(place, dir.1, Mode::from_bits_retain(0o755))?;
                let find = OFlag::O_PATH | OFlag::O_DIRECTORY;
                let written = path::open_on_mount(place, dir.1, find)
                    .and_then(|dir| make::write_file(dir.as_fd(), name, text.to_bytes()));
                match written {
                    // What the caller has bound there says what is to be said.
                    Err(Errno::EXDEV | Errno::EEXIST | Errno::ENOTDIR | Errno::ELOOP) => {}
                    other => other?,
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
            Action::Handlers(step) => self.handlers(step)?,
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
            Action::AskListener { readable } => {
                if *readable {
                    process::allow_tracing()?;
                }
                match start::ask(self.asking.as_ref().ok_or(Errno::EBADF)?.as_fd()) {
                    // Somebody listens to us already, and goes on doing so.
                    Ok(()) | Err(Errno::EBUSY) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            Action::User(step) => {
                let terminal = self.console.as_ref().map(|(_, slave)| slave.as_fd());
                step.perform(self.login.as_deref_mut(), self.may_set_groups, terminal)?;
            }
            Action::Harden(step) => step.perform()?,
            Action::Seal(image) => {
                let dev = || path::open_dir(self.place(Place::Dev)?, c".");
                self.sealed = Some(shim::seal(*image, dev)?);
            }
            Action::ExecInit(program) => {
                self.prepare_exec()?;
                descriptors::make_stream(self.socket, shim::SOCKET)?;
                let login = self.login.as_deref();
                return Err(Failed::Exec(match &self.sealed {
                    Some(image) => program.exec_image(image.as_fd(), login).into(),
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

    fn prepare_exec(&self) -> Sys<()> {
        stat::umask(self.umask);
        signal::unblock_all()
    }
}
