//! The `pseudo` program: see the library beside it.
#![cfg_attr(target_env = "gnu", no_main)]

cli::main!("pseudo", program);

fn program() -> u8 {
    cli::run("pseudo", pseudo::run)
}
