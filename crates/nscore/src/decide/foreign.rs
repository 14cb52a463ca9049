//! Whether init is a program of another architecture, and what is due then.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::decide::files::Files;
use crate::error::text::quoted;
use crate::error::{Error, Result, c_string};
use crate::exec::{candidate, header};
use crate::host::binfmt::architecture::{self, Architecture};
use crate::host::binfmt::emulated::Emulated;
use crate::host::binfmt::emulator::{self, Emulator, Places};
use crate::host::binfmt::handler::{self, HANDLERS, Handler};
use crate::plan::handlers::{HandlerStep, HandlerWhat, Registration};
use crate::proc::kernel::kernel_version;
use crate::spec::{SHELL, Spec};

/// The first kernel whose user namespaces have handlers of their own.
const SINCE: (u32, u32) = (6, 7);

/// More interpreters than this in a row the kernel does not run.
const INTERPRETERS: usize = 5;

/// An init of another architecture.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub(crate) program: Emulated,
    /// What gives it an emulator. Empty where a handler of the host's does.
    pub(crate) steps: Vec<HandlerStep>,
}

impl Foreign {
    /// None where init is a program of this machine, or none that we can tell.
    ///
    /// # Errors
    /// That there is no emulator, or none that could be registered.
    pub(crate) fn of(
        spec: &Spec,
        path: &OsStr,
        has_user: impl Fn(u32) -> bool,
    ) -> Result<Option<Foreign>> {
        let Some(files) = Files::of(spec) else {
            return Ok(None);
        };
        let Some(init) = Init::find(spec, path, &files) else {
            return Ok(None);
        };
        init.check_loader(spec, &files)?;
        let program = init.program(spec, &files);
        let steps = match init.is_handled(&files) {
            true => Vec::new(),
            false => init.steps(spec, &files, has_user)?,
        };
        Ok(Some(Foreign { program, steps }))
    }
}

/// The file that the kernel would have to run.
struct Init {
    /// How it was found: a path of the root's.
    path: PathBuf,
    /// The command itself, not what interprets it.
    direct: bool,
    /// How the file begins.
    header: Vec<u8>,
    architecture: &'static Architecture,
}

impl Init {
    fn find(spec: &Spec, path: &OsStr, files: &Files) -> Option<Init> {
        let command = spec.init_command();
        let name = Path::new(command.first()?);
        let base = spec.workdir.as_deref().unwrap_or(Path::new("/"));
        let mut candidates: Vec<PathBuf> = match name.as_os_str().as_encoded_bytes().contains(&b'/')
        {
            true => vec![base.join(name)],
            false => std::env::split_paths(path)
                .map(|dir| dir.join(name))
                .collect(),
        };
        for depth in 0..=INTERPRETERS {
            let start = |path: &PathBuf| {
                files
                    .read(path, candidate::HEADER)
                    .map(|start| (path.clone(), start))
            };
            let (path, header) = candidates.iter().find_map(start)?;
            if let Some(architecture) = architecture::of(&header) {
                return (!architecture.is_native()).then_some(Init {
                    path,
                    direct: depth == 0,
                    header,
                    architecture,
                });
            }
            let interpreter = match header.starts_with(b"#!") {
                true => header::interpreter(&header)?.to_vec(),
                // As execvp(3), a text of no kind is the shell's.
                false if !header.is_empty() && !header.contains(&0) => SHELL.into(),
                false => return None,
            };
            candidates = vec![OsString::from_vec(interpreter).into()];
        }
        None
    }

    /// The emulator looks for the dynamic loader, and would run as init to say that there is
    /// none. Not where a mount may show it, or a helper make it.
    fn check_loader(&self, spec: &Spec, files: &Files) -> Result<()> {
        let loader =
            header::interpreter(&self.header).map(|loader| Path::new(OsStr::from_bytes(loader)));
        let sure = spec.mounts.is_empty() && spec.inside.is_none() && !spec.host_tools;
        match loader {
            Some(loader) if sure && files.name(loader).is_none() => {
                let shown = quoted(loader);
                let why = format!("its interpreter {shown} is missing");
                let hint = format!(
                    "the file itself exists: add {shown} to the root, or use a static program"
                );
                let error = Error::new(format!("run {}", quoted(&self.path)), why);
                Err(error.with_hint(hint).with_status(127))
            }
            _ => Ok(()),
        }
    }

    fn program(&self, spec: &Spec, files: &Files) -> Emulated {
        let command = spec.init_command();
        let called = command.first().map(Path::new).and_then(Path::file_name);
        Emulated {
            called: called.unwrap_or_default().to_owned(),
            name: files.name(&self.path).filter(|_| self.direct),
        }
    }

    /// Whether a handler of the host's takes it into this root.
    fn is_handled(&self, files: &Files) -> bool {
        let registered = handler::registered();
        let mut for_it = registered
            .iter()
            .filter(|handler| handler.is_for(&self.header));
        for_it.any(|handler| match handler.is_open() {
            true => Emulator::of_handler(self.architecture, handler)
                .is_none_or(|emulator| starts_in(files, &emulator)),
            false => files.name(&handler.interpreter).is_some(),
        })
    }

    fn steps(
        &self,
        spec: &Spec,
        files: &Files,
        has_user: impl Fn(u32) -> bool,
    ) -> Result<Vec<HandlerStep>> {
        let architecture = self.architecture;
        let what = || format!("run {}", quoted(&self.path));
        let failed = |why: String| Error::new(what(), why).with_status(126);
        let kind = format!("it is a program for {}", architecture.words);
        if spec.host_tools {
            return Err(failed(format!(
                "{kind}, and what -H shows is of this machine"
            )));
        }
        let places = Places::of_caller();
        let Some(emulator) = places.find(architecture) else {
            let hint = format!(
                "{}: there is no qemu-{name}-static or qemu-{name} in PATH to emulate it",
                emulator::to_install(architecture),
                name = architecture.name
            );
            return Err(failed(kind).with_hint(hint));
        };
        let shown = quoted(&emulator.path);
        if !starts_in(files, &emulator) {
            let why = format!("{kind}, and its emulator {shown} is not static");
            let hint = format!(
                "{}: the root lacks the libraries of this one",
                emulator::to_install(architecture)
            );
            return Err(failed(why).with_hint(hint));
        }
        if let Some((major, minor)) = kernel_version().filter(|kernel| *kernel < SINCE) {
            let hint = format!(
                "a container can have handlers of its own from Linux 6.7 on, and this is \
                 Linux {major}.{minor}: here root has to register {shown} in {HANDLERS}, with flag F"
            );
            return Err(failed(kind).with_hint(hint));
        }
        // What its machines run as well, where that is no more than a registration.
        let narrow = architecture
            .also
            .iter()
            .filter_map(|name| architecture::named(name));
        let narrow = narrow.filter(|also| !also.is_native());
        let narrow = narrow
            .filter_map(|also| places.find(also))
            .filter(|narrow| starts_in(files, narrow) && !narrow.is_exposed(&has_user));
        let mut steps = vec![HandlerStep::Instance];
        let ours: Vec<Emulator> = std::iter::once(emulator).chain(narrow).collect();
        for handler in hosts(&ours, handler::registered()) {
            steps.extend(Registration::of_host(&handler)?.map(HandlerStep::Register));
        }
        // The last one registered is the first that the kernel tries.
        for emulator in ours.iter().rev() {
            let mut registration =
                Registration::of_emulator(emulator, emulator.is_exposed(&has_user))?;
            registration.optional = emulator.architecture != architecture;
            steps.push(HandlerStep::Register(registration));
        }
        Ok(steps)
    }
}

/// Those of the host's that keep their meaning beside these of ours.
pub(crate) fn hosts(ours: &[Emulator], registered: Vec<Handler>) -> Vec<Handler> {
    let replaced = |handler: &Handler| {
        let same_name = |ours: &Emulator| ours.handler().name == handler.name;
        ours.iter().any(same_name)
    };
    registered
        .into_iter()
        .filter(|handler| !replaced(handler))
        .collect()
}

/// Whether the emulator, opened before, finds there what it needs.
fn starts_in(files: &Files, emulator: &Emulator) -> bool {
    emulator
        .loader
        .as_deref()
        .is_none_or(|loader| files.name(loader).is_some())
}

impl Registration {
    /// That of a handler of the host's; None where it cannot be said.
    pub(crate) fn of_host(handler: &Handler) -> Result<Option<Registration>> {
        let Some(line) = handler.line() else {
            return Ok(None);
        };
        Ok(Some(Registration {
            line,
            optional: true,
            copy: None,
            what: HandlerWhat::Hosts(c_string(&handler.name)?),
        }))
    }

    /// That of an emulator, or of a copy of it.
    pub(crate) fn of_emulator(emulator: &Emulator, copied: bool) -> Result<Registration> {
        let path = c_string(emulator.path.as_os_str())?;
        let mut handler = emulator.handler();
        let name = emulator.path.file_name().unwrap_or_default().to_os_string();
        let copy = copied
            .then(|| Ok::<_, Error>((path.clone(), c_string(&name)?)))
            .transpose()?;
        if copied {
            handler.interpreter = name.into();
        }
        let line = handler.line().ok_or_else(|| {
            let what = format!("register emulator {}", quoted(&emulator.path));
            Error::new(what, "its path has every character that could separate it")
        })?;
        Ok(Registration {
            line,
            optional: false,
            copy,
            what: HandlerWhat::Emulator(path, emulator.architecture.words),
        })
    }
}
