//! Limits as they are asked for: sizes, processors, and settings of cgroup v2
//! by their names. Plain data, no system call.

use std::str::FromStr;

use crate::error::digits::digits;
use crate::error::text::quoted;
use crate::error::{Error, Result};

/// What a container may use. Nothing means no limit of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most memory, and no swap unless `swap` says how much.
    pub memory: Option<Size>,
    /// The most swap, apart from memory.
    pub swap: Option<Size>,
    /// The most processes, threads counted.
    pub pids: Option<u32>,
    /// The most processor time.
    pub cpus: Option<Cpus>,
    /// Other settings of its cgroup, written in this order and last.
    pub settings: Vec<Setting>,
}

/// A number of bytes, or none: as many as there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub(crate) Option<u64>);

/// A number of processors, in hundred thousandths: the microseconds in each
/// tenth of a second that all processes may run together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cpus(pub(crate) u64);

/// A setting of cgroup v2, by the name of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The file's name.
    pub(crate) key: String,
    /// What is written to it.
    pub(crate) value: String,
}

impl Size {
    /// So many bytes.
    #[must_use]
    pub fn bytes(bytes: u64) -> Size {
        Size(Some(bytes))
    }

    pub(crate) fn kernel_text(self) -> String {
        self.0
            .map_or_else(|| "max".to_string(), |bytes| bytes.to_string())
    }
}

/// Bytes, or with K, M, G or T so many times 1024 to the power of 1 to 4; or the
/// kernel's own word max.
impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Size, String> {
        if text == "max" {
            return Ok(Size(None));
        }
        let (number, power) = match text.char_indices().next_back() {
            Some((at, 'k' | 'K')) => (&text[..at], 1),
            Some((at, 'm' | 'M')) => (&text[..at], 2),
            Some((at, 'g' | 'G')) => (&text[..at], 3),
            Some((at, 't' | 'T')) => (&text[..at], 4),
            _ => (text, 0),
        };
        digits(number)
            .and_then(|number: u64| number.checked_mul(1 << (10 * power)))
            .filter(|bytes| *bytes <= i64::MAX.unsigned_abs())
            .map(Size::bytes)
            .ok_or_else(|| "it is no size: a number, and perhaps K, M, G or T".to_string())
    }
}

impl Cpus {
    /// The length of a period in microseconds, the kernel's own default.
    pub(crate) const PERIOD: u64 = 100_000;
    /// The kernel gives out no less than a millisecond.
    const LEAST: u64 = 1_000;
    /// More than any machine has; the kernel's own limit is higher.
    const MOST: u64 = 100_000 * Cpus::PERIOD;
}

/// A decimal number from 0.01 on, with at most five digits behind the point.
impl FromStr for Cpus {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Cpus, String> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let parsed = || {
            let places = u32::try_from(fraction.len()).ok()?;
            let scale = 10_u64.pow(5_u32.checked_sub(places)?);
            let whole = digits::<u64>(whole)?.checked_mul(Cpus::PERIOD)?;
            whole.checked_add(digits::<u64>(fraction)? * scale)
        };
        parsed()
            .filter(|quota| (Cpus::LEAST..=Cpus::MOST).contains(quota))
            .map(Cpus)
            .ok_or_else(|| "it is no number of processors, like 0.5 or 2".to_string())
    }
}

/// KEY=VALUE, where KEY is a file of a controller.
impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Setting, String> {
        let (key, value) = text
            .split_once('=')
            .ok_or("it is not KEY=VALUE, like cpu.weight=50")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let parts = key.split('.');
        if parts.clone().count() < 2 || parts.clone().any(str::is_empty) || !key.bytes().all(plain)
        {
            let key = quoted(key);
            return Err(format!("{key} is no setting of a cgroup, like cpu.weight"));
        }
        // The others move, stop or kill processes, or are ours to write.
        if key.starts_with("cgroup.") && !key.starts_with("cgroup.max.") {
            return Err(format!("{key} limits nothing"));
        }
        if value.is_empty() || value.contains(['\n', '\0']) {
            return Err(format!("{key} needs one line as its value"));
        }
        Ok(Setting {
            key: key.to_string(),
            value: value.to_string(),
        })
    }
}

impl Limits {
    /// Whether anything is asked for.
    pub(crate) fn any(&self) -> bool {
        *self != Limits::default()
    }

    /// Checks what can be checked without looking at the machine.
    pub(crate) fn check(&self) -> Result<()> {
        if self.memory == Some(Size::bytes(0)) {
            return Err(Error::usage(
                "limit memory to 0",
                "no program runs without memory",
            ));
        }
        if self.pids == Some(0) {
            return Err(Error::usage(
                "limit processes to 0",
                "init itself is one process",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::cgroup::Write;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1k", 1 << 10),
            ("64M", 64 << 20),
            ("2g", 2 << 30),
            ("1T", 1 << 40),
            ("8388607T", 8_388_607 << 40),
        ] {
            assert_eq!(text.parse(), Ok(Size::bytes(bytes)), "{text}");
        }
        assert_eq!("max".parse(), Ok(Size(None)));
        for text in [
            "",
            "M",
            "-1",
            "+1",
            "1.5G",
            "1MB",
            "1 M",
            " 1",
            "0x10",
            "8388608T",
            "1e3",
            "MAX",
            "1é",
            "99999999999999999999",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn processors() {
        for (text, quota) in [
            ("1", 100_000),
            ("0.1", 10_000),
            ("0.01", 1_000),
            ("2.5", 250_000),
            ("1.00001", 100_001),
            ("100000", 10_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Cpus(quota)), "{text}");
        }
        for text in [
            "", "0", "0.009", "-1", "+1", ".", "1.000001", "1e3", "1,5", "100001", "inf", "1.2.3",
        ] {
            assert!(text.parse::<Cpus>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn settings() {
        for text in [
            "cpu.weight=50",
            "io.max=8:0 rbps=1048576",
            "memory.high=64M",
            "hugetlb.2MB.max=0",
            "cgroup.max.depth=3",
        ] {
            assert!(text.parse::<Setting>().is_ok(), "{text:?}");
        }
        for text in [
            "",
            "cpu.weight",
            "=1",
            "cpu=1",
            "cpu.weight=",
            "../x.y=1",
            "a/b.c=1",
            ".cpu=1",
            "cpu.=1",
            "cpu..max=1",
            "cgroup.procs=1",
            "cgroup.kill=1",
            "cgroup.freeze=1",
            "memory.max=1\n2",
        ] {
            assert!(text.parse::<Setting>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn writes_in_order() {
        let limits = Limits {
            memory: Some("64M".parse().unwrap()),
            pids: Some(20),
            cpus: Some("0.5".parse().unwrap()),
            settings: vec!["memory.max=1G".parse().unwrap()],
            ..Limits::default()
        };
        let writes: Vec<String> = limits
            .writes()
            .iter()
            .map(|write| format!("{}={}", write.key, write.value))
            .collect();
        assert_eq!(
            writes,
            [
                "memory.max=67108864",
                "memory.swap.max=0",
                "pids.max=20",
                "cpu.max=50000 100000",
                "memory.max=1G"
            ]
        );
        let with_swap = Limits {
            swap: Some("max".parse().unwrap()),
            ..limits
        };
        let swap = |write: &&Write| write.key == "memory.swap.max";
        let writes = with_swap.writes();
        let swap: Vec<&Write> = writes.iter().filter(swap).collect();
        assert_eq!(swap.len(), 1);
        assert_eq!((swap[0].value.as_str(), swap[0].implied), ("max", false));
    }
}
