//! How a program file begins: enough of elf(5) and of "#!" to say why the
//! kernel would not run it. The bytes are the container's, so nothing is
//! trusted.

/// The interpreter that the file names: its dynamic loader, or the program
/// behind "#!".
pub(crate) fn interpreter(file: &[u8]) -> Option<&[u8]> {
    if let Some(line) = file.strip_prefix(b"#!") {
        let line = line.split(|b| *b == b'\n').next()?;
        // A carriage return is part of the name to the kernel, and often the cause.
        return line
            .split(|b| b" \t".contains(b))
            .find(|word| !word.is_empty());
    }
    let elf = Elf::new(file)?;
    (0..elf.segments().min(64)).find_map(|i| elf.interpreter(i))
}

/// The architecture of a program that is not for this machine.
pub(crate) fn foreign_machine(file: &[u8]) -> Option<String> {
    let machine = Elf::new(file)?.half(18)?;
    match MACHINES.iter().find(|(number, ..)| *number == machine) {
        Some((_, arch, _)) if *arch == std::env::consts::ARCH => None,
        Some((.., name)) => Some((*name).to_string()),
        None => Some(format!("another machine ({machine})")),
    }
}

/// By e_machine: the architecture as Rust names it, if it builds for it, and as people do.
const MACHINES: [(u64, &str, &str); 10] = [
    (3, "x86", "i386"),
    (8, "", "MIPS"),
    (20, "", "PowerPC"),
    (21, "powerpc64", "64-bit PowerPC"),
    (22, "s390x", "IBM S/390"),
    (40, "arm", "32-bit ARM"),
    (62, "x86_64", "x86-64"),
    (183, "aarch64", "64-bit ARM"),
    (243, "riscv64", "RISC-V"),
    (258, "loongarch64", "LoongArch"),
];

struct Elf<'a> {
    file: &'a [u8],
    wide: bool,
    big_endian: bool,
}

impl<'a> Elf<'a> {
    fn new(file: &'a [u8]) -> Option<Elf<'a>> {
        let ident = file.strip_prefix(b"\x7fELF")?;
        Some(Elf {
            file,
            wide: ident.first()? == &2,
            big_endian: ident.get(1)? == &2,
        })
    }

    fn number(&self, offset: u64, size: usize) -> Option<u64> {
        let start = usize::try_from(offset).ok()?;
        let bytes = self.file.get(start..start.checked_add(size)?)?;
        let add = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if self.big_endian {
            bytes.iter().fold(0, add)
        } else {
            bytes.iter().rev().fold(0, add)
        })
    }

    fn half(&self, offset: u64) -> Option<u64> {
        self.number(offset, 2)
    }

    /// An address or offset, as wide as the file's class.
    fn word(&self, narrow: u64, wide: u64) -> Option<u64> {
        if self.wide {
            self.number(wide, 8)
        } else {
            self.number(narrow, 4)
        }
    }

    fn segments(&self) -> u64 {
        self.half(if self.wide { 56 } else { 44 }).unwrap_or(0)
    }

    /// The path that segment `i` holds, if it is PT_INTERP.
    fn interpreter(&self, i: u64) -> Option<&'a [u8]> {
        const PT_INTERP: u64 = 3;
        let size = self.half(if self.wide { 54 } else { 42 })?;
        let segment = self.word(28, 32)?.checked_add(i.checked_mul(size)?)?;
        if self.number(segment, 4)? != PT_INTERP {
            return None;
        }
        let offset = self.word(segment.checked_add(4)?, segment.checked_add(8)?)?;
        let bytes = self.file.get(usize::try_from(offset).ok()?..)?;
        let name = bytes.split(|b| *b == 0).next()?;
        (!name.is_empty()).then_some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A 64-bit little-endian header with one PT_INTERP segment.
    fn elf(machine: u8, name: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 64 + 56];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[18] = machine;
        file[32] = 64;
        file[54] = 56;
        file[56] = 1;
        file[64] = 3;
        file[72] = 120;
        file.extend(name);
        file.push(0);
        file
    }

    #[test]
    fn names_the_interpreter() {
        assert_eq!(
            interpreter(&elf(62, b"/lib64/ld.so")).unwrap(),
            b"/lib64/ld.so"
        );
        assert_eq!(interpreter(b"#! /bin/perl -w\nx").unwrap(), b"/bin/perl");
        assert_eq!(interpreter(b"#!/bin/sh\r\nx").unwrap(), b"/bin/sh\r");
        assert_eq!(interpreter(b"#!\n"), None);
        assert_eq!(interpreter(b""), None);
        assert_eq!(interpreter(b"plain text"), None);
    }

    #[test]
    fn names_the_machine() {
        assert_eq!(foreign_machine(&elf(22, b"x")).unwrap(), "IBM S/390");
        assert_eq!(
            foreign_machine(&elf(200, b"x")).unwrap(),
            "another machine (200)"
        );
        assert_eq!(foreign_machine(b"#!/bin/sh"), None);
    }

    #[test]
    fn survives_any_bytes() {
        let file = elf(62, b"/lib64/ld.so");
        for end in 0..file.len() {
            let _ = interpreter(&file[..end]);
        }
        for at in 4..120 {
            for value in [0, 1, 0x7f, 0xff] {
                let mut hostile = file.clone();
                hostile[at..(at + 8).min(120)].fill(value);
                let _ = (interpreter(&hostile), foreign_machine(&hostile));
            }
        }
    }
}
