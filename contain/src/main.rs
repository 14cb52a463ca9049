//! The `contain` program: see the library beside it.

fn main() -> std::process::ExitCode {
    cli::main::<contain::Args>("contain", contain::run)
}
