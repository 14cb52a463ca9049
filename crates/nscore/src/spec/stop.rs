//! The signal that stops a container, as a user names one: signal(7).

use std::str::FromStr;

use nix::sys::signal::Signal;

use crate::error::digits::digits;

/// A signal by name or number: TERM, SIGTERM, 15, RTMIN+3. See signal(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopSignal(i32);

impl StopSignal {
    /// Its number on this machine.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }
}

impl FromStr for StopSignal {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<StopSignal, String> {
        let name = text.to_ascii_uppercase();
        let name = name.strip_prefix("SIG").unwrap_or(&name);
        let offset = |rest: &str| digits::<u8>(rest).map(i32::from);
        let number = if let Ok(signal) = Signal::from_str(&format!("SIG{name}")) {
            Some(signal as i32)
        } else if let Some(rest) = name.strip_prefix("RTMIN+") {
            offset(rest).map(|above| libc::SIGRTMIN() + above)
        } else if let Some(rest) = name.strip_prefix("RTMAX-") {
            offset(rest).map(|below| libc::SIGRTMAX() - below)
        } else {
            match name {
                "RTMIN" => Some(libc::SIGRTMIN()),
                "RTMAX" => Some(libc::SIGRTMAX()),
                number => offset(number),
            }
        };
        match number {
            Some(number) if (1..=libc::SIGRTMAX()).contains(&number) => Ok(StopSignal(number)),
            _ => Err("it is no signal, see signal(7)".to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        let number = |text: &str| text.parse::<StopSignal>().map(StopSignal::number);
        for (text, signal) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigterm", 15),
            ("15", 15),
            ("RTMIN+3", libc::SIGRTMIN() + 3),
            ("SIGRTMAX-1", libc::SIGRTMAX() - 1),
            ("RTMIN", libc::SIGRTMIN()),
        ] {
            assert_eq!(number(text), Ok(signal), "{text}");
        }
        for text in [
            "", "0", "65", "-1", "NOPE", "RTMIN+99", "SIG", "TERM ", "+15", "RTMIN++3", "RTMAX-+1",
        ] {
            assert!(number(text).is_err(), "{text}");
        }
    }
}
