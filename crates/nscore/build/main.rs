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
    let program = |of: fn(Abi) -> calls::Verdicts| {
        tree::program(abis.iter().map(|abi| (abi.audit(), of(*abi))))
    };
    let mut text = String::new();
    write_program(&mut text, "DEFAULT", &program(calls::default));
    write_program(&mut text, "STRICT", &program(calls::strict));
    write_file("programs.rs", &text);
    text.clear();
    write_program(&mut text, "FAKE", &program(calls::fake));
    write_asked(&mut text, abis);
    write_file("fake.rs", &text);
}

fn write_file(name: &str, text: &str) {
    let out = env::var("OUT_DIR").expect("cargo names a directory");
    fs::write(Path::new(&out).join(name), text).expect("cannot write the programs");
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

/// What the listener of --fake-owner needs to read a call: (ABI, number, name).
fn write_asked(text: &mut String, abis: &'static [Abi]) {
    text.push_str("static ASKED: &[(u32, u32, &str)] = &[\n");
    for abi in abis {
        for (name, number) in calls::asked(*abi) {
            let row = format!("    ({:#x}, {number}, {name:?}),\n", abi.audit());
            text.push_str(&row);
        }
    }
    text.push_str("];\n");
}
