//! Starts a container: `cargo run -p nscore --example start -- DIR [CMD [ARG]...]`.

use std::process::ExitCode;

use nscore::{Host, Plan, Spec};

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    let mut spec = Spec::new(words.next().unwrap_or_default());
    spec.command = words.collect();
    match start(&spec) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("start: {error}");
            ExitCode::from(error.status())
        }
    }
}

/// Asked, decided, done; the exit status is init's.
fn start(spec: &Spec) -> nscore::Result<u8> {
    let plan = Plan::new(spec, &Host::probe()?)?;
    Ok(nscore::run(&plan)?.status())
}
