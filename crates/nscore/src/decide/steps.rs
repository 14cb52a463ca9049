//! The steps of the child, in their order: it is the order that matters here, and
//! each part says why it stands where it does.

use std::ffi::CString;

use crate::decide::mounts::devices;
use crate::decide::mounts::recipe::MountSteps;
use crate::decide::overlay::root;
use crate::decide::{helper, rootfs, systemd};
use crate::error::{Result, c_string};
use crate::exec::environ::Variables;
use crate::exec::program::Program;
use crate::host::{Host, machine, own_file};
use crate::plan::action::Action;
use crate::plan::maps::Maps;
use crate::plan::network::Resolver;
use crate::plan::place::Nested;
use crate::plan::profile::Profile;
use crate::plan::{handlers, init, mask, user};
use crate::proc::mountinfo::shows_whole_sysfs;
use crate::spec::Spec;
use crate::spec::name::Hostname;
use crate::spec::net::Net;
use crate::sys::shim::Image;

/// What the steps are made from.
pub(super) struct Steps<'a> {
    pub(super) spec: &'a Spec,
    pub(super) host: &'a Host,
    pub(super) maps: &'a Maps,
    pub(super) root: &'a mut root::Root,
    pub(super) mounts: &'a mut MountSteps,
    /// What gives a foreign init an emulator.
    pub(super) handlers: Vec<handlers::HandlerStep>,
    pub(super) around: Surroundings,
}

/// What surrounds init.
#[derive(Clone, Copy)]
pub(super) struct Surroundings {
    /// What init may do.
    pub(super) profile: Profile,
    pub(super) systemd: bool,
    /// A /run of our own making.
    pub(super) run: bool,
    /// A cgroup of its own.
    pub(super) leaf: bool,
    /// Its programs ask about owners.
    pub(super) asks: bool,
    /// The streams that are a console's.
    pub(super) console: Option<[bool; 3]>,
}

impl Steps<'_> {
    /// All of them; `nested` where mounts are to be locked.
    pub(super) fn all(mut self, nested: Option<Nested>) -> Result<Vec<Action>> {
        let mut actions = self.as_caller();
        actions.extend(
            nested
                .into_iter()
                .flat_map(|nested| self.as_mounter(nested)),
        );
        actions.extend(self.as_root()?);
        actions.extend(self.file_systems()?);
        actions.extend(self.leave_host()?);
        actions.extend(self.become_init()?);
        Ok(actions)
    }

    /// What needs no mapped id is done while the maps are written, and what needs
    /// the caller's rights before the change of ids.
    fn as_caller(&mut self) -> Vec<Action> {
        let mut actions = vec![Action::PrivateMounts];
        actions.append(&mut self.mounts.open);
        actions.append(&mut self.root.before);
        actions
    }

    /// Mounts that container root may not change are made before there is an
    /// init.
    fn as_mounter(&mut self, nested: Nested) -> Vec<Action> {
        let mut actions = vec![Action::AwaitGo, self.become_root()];
        actions.extend(self.put_together());
        let known = nested.root.clone();
        actions.extend([Action::CloneInit(nested), Action::AttachRoot(known)]);
        actions
    }

    /// Time comes before the change of ids, because the offsets are written with
    /// the caller's; file systems come after it, because they belong to container
    /// root.
    fn as_root(&mut self) -> Result<Vec<Action>> {
        let mut actions = vec![
            Action::EnterTime,
            Action::AwaitGo,
            Action::EnterCgroup,
            self.become_root(),
            Action::NewKeyring,
        ];
        actions.extend(self.host_name()?.map(Action::SetHostname));
        // Nothing is left of it where a mounter has done it.
        actions.extend(self.put_together());
        Ok(actions)
    }

    /// As asked for, else the container's name, else the host's.
    fn host_name(&self) -> Result<Option<CString>> {
        let name = self.spec.name.as_ref().map(Hostname::from);
        let name = self.spec.hostname.clone().or(name);
        name.map(|name| c_string(name.as_str())).transpose()
    }

    fn become_root(&self) -> Action {
        let need_groups = || devices::need_groups(&self.spec.devices, self.maps);
        Action::BecomeRoot {
            drop_groups: self.maps.leave_setgroups() && !need_groups(),
        }
    }

    /// The root file system, with what is shown in it.
    fn put_together(&mut self) -> Vec<Action> {
        let mut actions = std::mem::take(&mut self.root.actions);
        actions.append(&mut self.mounts.root);
        actions.extend(std::mem::take(&mut self.around.run).then(systemd::manager));
        actions
    }

    /// The inside helper sees the root and /dev but not yet /proc and /sys.
    fn file_systems(&mut self) -> Result<Vec<Action>> {
        let Steps { spec, around, .. } = self;
        let mut actions = Vec::new();
        if !self.mounts.replaces("/dev") {
            actions.extend(rootfs::dev(self.maps.group.map.has_inside(5)));
        }
        actions.append(&mut self.mounts.dev);
        if around.console.is_some() {
            actions.push(Action::MakeConsole(self.host.terminals.look));
        }
        actions.extend(Resolver::new(spec).map(|_| Action::ShowResolver));
        // The kernel opens emulators by their paths on the host. What the helper runs may
        // be of the root's.
        let foreign = !self.handlers.is_empty();
        let handlers = std::mem::take(&mut self.handlers);
        actions.extend(handlers.into_iter().map(Action::Handlers));
        if let Some(text) = &spec.inside {
            actions.push(Action::RunInside(Program::shell(
                text,
                &[],
                helper::inherited()?,
            )?));
        }
        if !self.mounts.replaces("/proc") {
            actions.extend(rootfs::proc(spec.strict || foreign));
            // They are in force whether they are shown or not.
            let shown = foreign && !spec.strict;
            actions.extend(shown.then_some(Action::Handlers(handlers::HandlerStep::Show)));
        }
        match spec.net {
            _ if self.mounts.replaces("/sys") => {}
            Net::Host => actions.extend(rootfs::sys_of_host(around.leaf)?),
            // In a container of that kind, or under Docker, the kernel allows no other.
            _ if !shows_whole_sysfs()? => actions.extend(rootfs::sys_of_host(around.leaf)?),
            _ => actions.extend(rootfs::sys(around.leaf, around.systemd)),
        }
        if spec.net.is_own() {
            actions.push(Action::LoopbackUp);
        }
        actions.append(&mut self.mounts.kernel);
        if spec.strict {
            // What the caller shows instead of ours is shown.
            let ours = mask::all().filter(|mask| !self.mounts.replaces(mask.at.0.path()));
            actions.extend(ours.map(Action::Mask));
        }
        Ok(actions)
    }

    /// The pivot takes the host's files away, so what needs them comes before it;
    /// the console is opened by the path that it has after it.
    fn leave_host(&self) -> Result<Vec<Action>> {
        let Steps { spec, maps, .. } = self;
        let image = if spec.init {
            Image::Ourselves
        } else {
            Image::Shim
        };
        let sealed = own_file::due(image, |id| maps.user.map.has_outside(id))?;
        let mut actions: Vec<Action> = sealed.map(Action::Seal).into_iter().collect();
        let covered = self.root.over_host.is_some();
        actions.push(Action::Pivot { covered });
        match self.around.console {
            Some(streams) => actions.push(Action::TakeConsole {
                streams,
                // Our init leaves it to the command.
                controlling: !spec.init && !machine::is_init(spec, &spec.init_command()),
            }),
            // There is none of ours in a /dev of the caller's.
            None if spec.console => actions.push(Action::NewSession),
            None => {}
        }
        actions.push(Action::Ready);
        Ok(actions)
    }

    /// Then what all of that takes is given up.
    fn become_init(&self) -> Result<Vec<Action>> {
        let Steps { spec, around, .. } = self;
        // A filter of the profile may forbid another.
        let readable = spec.user.is_some();
        let ask = around.asks.then_some(Action::AskListener { readable });
        let mut actions: Vec<Action> = ask.into_iter().collect();
        actions.extend(around.profile.first_steps().map(Action::Harden));
        // What needs container root's rights comes before this.
        let steps = user::steps(spec.user.as_ref(), spec.workdir.as_deref())?;
        actions.extend(steps.into_iter().map(Action::User));
        actions.push(Action::Harden(around.profile.last_step()));
        let more = around.systemd.then(systemd::environment);
        let more: Variables = more.into_iter().flatten().collect();
        actions.push(if spec.init {
            // This very program, as the container's /proc shows it.
            let arguments = init::arguments(&spec.init_command(), around.console.is_some());
            let environment = crate::decide::program::environment(spec, more);
            Action::ExecInit(Program::at(c"/proc/self/exe", &arguments, &environment)?)
        } else {
            Action::Exec(crate::decide::program::program(spec, more)?)
        });
        Ok(actions)
    }
}
