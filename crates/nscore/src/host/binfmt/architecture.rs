//! The architectures that QEMU's user mode emulates, by how their programs begin,
//! elf(5), and which of them this machine runs by itself.

use crate::sys::arch;
use Class::{Narrow, Wide};
use Data::{Big, Little};

/// An architecture, by its name in QEMU.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Architecture {
    pub(crate) name: &'static str,
    /// Its name in messages.
    pub(crate) words: &'static str,
    /// EI_CLASS, EI_DATA and e_machine.
    class: Class,
    data: Data,
    machine: u16,
    /// Whether EF_MIPS_ABI2 is set in e_flags, where that tells two apart.
    abi2: Option<bool>,
    /// The names of those whose programs its machines run as well, and a root of its
    /// own may hold.
    pub(crate) also: &'static [&'static str],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Narrow = 1,
    Wide = 2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Data {
    Little = 1,
    Big = 2,
}

/// How a file begins, as binfmt_misc takes it: bytes, and which of their bits count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(crate) offset: usize,
    pub(crate) magic: Vec<u8>,
    pub(crate) mask: Vec<u8>,
}

impl Pattern {
    pub(crate) fn matches(&self, file: &[u8]) -> bool {
        let bytes = file.get(self.offset..).unwrap_or_default();
        let mut pairs = self.magic.iter().zip(&self.mask).zip(bytes);
        bytes.len() >= self.magic.len()
            && pairs.all(|((magic, mask), byte)| (magic ^ byte) & mask == 0)
    }
}

const fn row(
    name: &'static str,
    words: &'static str,
    (class, data, machine): (Class, Data, u16),
) -> Architecture {
    Architecture {
        name,
        words,
        class,
        data,
        machine,
        abi2: None,
        also: &[],
    }
}

impl Architecture {
    const fn abi2(self, set: bool) -> Architecture {
        Architecture {
            abi2: Some(set),
            ..self
        }
    }

    const fn also(self, also: &'static [&'static str]) -> Architecture {
        Architecture { also, ..self }
    }
}

/// All that QEMU has emulated in user mode since its version 6. Each pair of class, byte
/// order and machine is there once, but for those that `abi2` tells apart.
pub(crate) const ALL: [Architecture; 36] = [
    row("aarch64", "64-bit ARM", (Wide, Little, 183)).also(&["arm"]),
    row("aarch64_be", "big-endian 64-bit ARM", (Wide, Big, 183)),
    row("alpha", "Alpha", (Wide, Little, 0x9026)),
    row("arm", "32-bit ARM", (Narrow, Little, 40)),
    row("armeb", "big-endian 32-bit ARM", (Narrow, Big, 40)),
    row("cris", "CRIS", (Narrow, Little, 76)),
    row("hexagon", "Hexagon", (Narrow, Little, 164)),
    row("hppa", "PA-RISC", (Narrow, Big, 15)),
    row("i386", "i386", (Narrow, Little, 3)),
    row("loongarch64", "LoongArch", (Wide, Little, 258)),
    row("m68k", "Motorola 68000", (Narrow, Big, 4)),
    row("microblaze", "MicroBlaze", (Narrow, Big, 0xbaab)),
    row(
        "microblazeel",
        "little-endian MicroBlaze",
        (Narrow, Little, 0xbaab),
    ),
    row("mips", "MIPS", (Narrow, Big, 8)).abi2(false),
    row("mipsel", "little-endian MIPS", (Narrow, Little, 8)).abi2(false),
    row("mipsn32", "MIPS n32", (Narrow, Big, 8)).abi2(true),
    row("mipsn32el", "little-endian MIPS n32", (Narrow, Little, 8)).abi2(true),
    row("mips64", "64-bit MIPS", (Wide, Big, 8)).also(&["mips", "mipsn32"]),
    row("mips64el", "little-endian 64-bit MIPS", (Wide, Little, 8)).also(&["mipsel", "mipsn32el"]),
    row("nios2", "Nios II", (Narrow, Little, 113)),
    row("or1k", "OpenRISC", (Narrow, Big, 92)),
    row("ppc", "PowerPC", (Narrow, Big, 20)),
    row("ppc64", "64-bit PowerPC", (Wide, Big, 21)).also(&["ppc"]),
    row(
        "ppc64le",
        "little-endian 64-bit PowerPC",
        (Wide, Little, 21),
    ),
    row("riscv32", "32-bit RISC-V", (Narrow, Little, 243)),
    row("riscv64", "RISC-V", (Wide, Little, 243)).also(&["riscv32"]),
    row("s390x", "IBM S/390", (Wide, Big, 22)),
    row("sh4", "SuperH", (Narrow, Little, 42)),
    row("sh4eb", "big-endian SuperH", (Narrow, Big, 42)),
    row("sparc", "SPARC", (Narrow, Big, 2)),
    row("sparc32plus", "32-bit SPARC V9", (Narrow, Big, 18)),
    row("sparc64", "64-bit SPARC", (Wide, Big, 43)).also(&["sparc", "sparc32plus"]),
    row("tilegx", "TILE-Gx", (Wide, Little, 191)),
    row("x86_64", "x86-64", (Wide, Little, 62)).also(&["i386"]),
    row("xtensa", "Xtensa", (Narrow, Little, 94)),
    row("xtensaeb", "big-endian Xtensa", (Narrow, Big, 94)),
];

/// Those that this machine runs without an emulator, by what Rust calls it.
const NATIVE: [(&str, &[&str]); 12] = [
    ("x86_64", &["x86_64", "i386"]),
    ("x86", &["x86_64", "i386"]),
    ("aarch64", &["aarch64"]),
    ("arm", &["arm"]),
    ("riscv64", &["riscv64"]),
    ("riscv32", &["riscv32"]),
    ("powerpc64", &["ppc64", "ppc64le", "ppc"]),
    ("powerpc", &["ppc64", "ppc"]),
    ("s390x", &["s390x"]),
    ("loongarch64", &["loongarch64"]),
    (
        "mips64",
        &[
            "mips64",
            "mips64el",
            "mips",
            "mipsel",
            "mipsn32",
            "mipsn32el",
        ],
    ),
    ("sparc64", &["sparc64", "sparc32plus", "sparc"]),
];

/// That of a program file which begins like this.
pub(crate) fn of(file: &[u8]) -> Option<&'static Architecture> {
    let ident = file.get(4..6).filter(|_| file.starts_with(b"\x7fELF"))?;
    let mut alike = ALL
        .iter()
        .filter(|row| ident == [row.class as u8, row.data as u8]);
    alike.find(|row| row.pattern().matches(file))
}

/// That of this name.
pub(crate) fn named(name: &str) -> Option<&'static Architecture> {
    ALL.iter().find(|row| row.name == name)
}

impl Architecture {
    /// Whether its programs run here as they are.
    pub(crate) fn is_native(&self) -> bool {
        let own = std::env::consts::ARCH;
        let listed = NATIVE.iter().find(|(machine, _)| *machine == own);
        // Of a machine that is not listed nothing is known, its own programs included.
        listed.is_none_or(|(_, native)| native.contains(&self.name))
            || own == "aarch64" && self.name == "arm" && arch::runs_32_bit()
    }

    /// An executable or a shared object of it, in any of its operating systems' dialects:
    /// what e_type says but for its last bit, and neither EI_OSABI nor its version.
    pub(crate) fn pattern(&self) -> Pattern {
        let mut magic = b"\x7fELF".to_vec();
        magic.extend([self.class as u8, self.data as u8, 1]);
        magic.resize(16, 0);
        let mut mask = vec![0xff; 16];
        mask[7..9].fill(0);
        let (kind, kinds, machine) = match self.data {
            Little => (
                2u16.to_le_bytes(),
                0xfffeu16.to_le_bytes(),
                self.machine.to_le_bytes(),
            ),
            Big => (
                2u16.to_be_bytes(),
                0xfffeu16.to_be_bytes(),
                self.machine.to_be_bytes(),
            ),
        };
        magic.extend([kind, machine].concat());
        mask.extend([kinds, [0xff; 2]].concat());
        if let Some(set) = self.abi2 {
            // e_flags of a 32-bit file is at 36.
            let bit = |on: bool| match self.data {
                Little => (u32::from(on) << 5).to_le_bytes(),
                Big => (u32::from(on) << 5).to_be_bytes(),
            };
            magic.resize(36, 0);
            mask.resize(36, 0);
            magic.extend(bit(set));
            mask.extend(bit(true));
        }
        Pattern {
            offset: 0,
            magic,
            mask,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_of_one_architecture() {
        for row in &ALL {
            let pattern = row.pattern();
            assert_eq!(pattern.magic.len(), pattern.mask.len());
            let mut file = pattern.magic.clone();
            file.resize(64, 0);
            let matching: Vec<_> = ALL
                .iter()
                .filter(|row| row.pattern().matches(&file))
                .collect();
            assert_eq!(matching, [row]);
            assert_eq!(of(&file), Some(row));
            assert_eq!(of(&file[..19]), None, "{}", row.name);
            for also in row.also {
                assert!(
                    named(also).is_some_and(|narrow| narrow.class == Narrow),
                    "{also}"
                );
            }
        }
        assert_eq!(of(b"#!/bin/sh\n"), None);
        assert_eq!(of(b""), None);
    }

    #[test]
    fn a_machine_runs_its_own_programs() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert!(of(&own).is_none_or(Architecture::is_native));
        let foreign = ALL.iter().filter(|row| !row.is_native()).count();
        assert!(foreign > ALL.len() / 2);
        for (_, native) in NATIVE {
            assert!(native.iter().all(|name| named(name).is_some()));
        }
    }
}
