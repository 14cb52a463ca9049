//! The `inject` program: see the library beside it.
#![cfg_attr(target_env = "gnu", no_main)]

cli::main!("inject", program);

fn program() -> u8 {
    cli::run("inject", inject::run)
}
