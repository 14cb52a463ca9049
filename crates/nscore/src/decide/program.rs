//! What is executed in the end, and in which environment.

use crate::error::Result;
use crate::exec::environ::{self, Variables};
use crate::exec::program::Program;
use crate::spec::Spec;

pub(super) fn program(spec: &Spec, more: Variables) -> Result<Program> {
    let environment = environment(spec, more);
    let path = environ::path(&environment);
    let program = Program::new(&spec.init_command(), &environment, path)?;
    Ok(match spec.command.is_empty() {
        true => program.or_else("name a command, or show the host's programs with -H"),
        false => program,
    })
}

pub(super) fn environment(spec: &Spec, more: Variables) -> Variables {
    let mut base = environ::own();
    base.extend(more);
    environ::of(base, &spec.environment, spec.user.as_ref())
}
