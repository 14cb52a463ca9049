//! The `contain` program: see the library beside it.
#![cfg_attr(target_env = "gnu", no_main)]

cli::main!("contain", program);

fn program() -> u8 {
    nscore::init_if_asked();
    cli::run("contain", contain::run)
}
