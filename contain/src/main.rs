//! The `contain` program: see the library beside it.

fn main() -> std::process::ExitCode {
    nscore::init_if_asked();
    cli::main::<contain::Args>("contain", contain::run)
}
