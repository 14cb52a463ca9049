//! Compiles the lists in `seccomp` into filter programs, so that a start
//! installs what is ready.

mod calls;
mod tree;

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use calls::Abi;
use tree::Instruction;

fn main() {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-changed=seccomp");
    let arch = env::var("CARGO_CFG_TARGET_ARCH").expect("cargo names the architecture");
    let abis = Abi::of(&arch);
    let mut text = String::new();
    for (name, verdicts) in [
        ("DEFAULT", calls::default as fn(Abi) -> calls::Verdicts),
        ("STRICT", calls::strict),
    ] {
        let program = tree::program(abis.iter().map(|abi| (abi.audit(), verdicts(*abi))));
        write_program(&mut text, name, &program);
    }
    let out = env::var("OUT_DIR").expect("cargo names a directory");
    fs::write(Path::new(&out).join("programs.rs"), text).expect("cannot write the programs");
}

/// A static of the kernel's own structures, so that nothing is left to do.
fn write_program(text: &mut String, name: &str, program: &[Instruction]) {
    let mut line = |words: String| text.write_str(&words).expect("a string takes all");
    line(format!(
        "static {name}: [sock_filter; {}] = [\n",
        program.len()
    ));
    for Instruction { code, jt, jf, k } in program {
        line(format!(
            "    sock_filter {{ code: {code:#x}, jt: {jt}, jf: {jf}, k: {k:#x} }},\n"
        ));
    }
    line("];\n".to_string());
}
