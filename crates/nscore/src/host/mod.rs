//! What this machine is to the caller: read, and without side effect.

pub(crate) mod accounts;
pub(crate) mod binfmt;
pub(crate) mod caller;
pub(crate) mod inits;
pub(crate) mod machine;
pub(crate) mod own_file;
pub(crate) mod programs;
pub(crate) mod resolv;
pub(crate) mod systemd;

use crate::error::Result;
use crate::host::caller::Caller;
use crate::sys::descriptors;
use crate::sys::tty::{self, Look, Termios};

/// What this machine is to the caller.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) caller: Caller,
    pub(crate) terminals: Terminals,
}

/// The caller's standard streams as terminals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminals {
    /// Which of standard input, output and error is one.
    pub(crate) streams: [bool; 3],
    /// How a terminal in their place is to look.
    pub(crate) look: Look,
}

impl Host {
    /// Reads what there is to know.
    ///
    /// # Errors
    /// Those of [`Caller::probe`].
    pub fn probe() -> Result<Host> {
        Ok(Host {
            caller: Caller::probe()?,
            terminals: Terminals::probe(),
        })
    }
}

impl Terminals {
    pub(crate) fn probe() -> Terminals {
        let streams = descriptors::streams().map(tty::is_terminal);
        Terminals {
            streams,
            look: look(streams),
        }
    }

    /// Whether any stream is a terminal.
    pub(crate) fn any(self) -> bool {
        self.streams.contains(&true)
    }
}

/// The caller's terminal passes keys through and leaves the rest to the one
/// inside, where it is for the container alone. Where others write to it as
/// well (a pipe's reader, say), it goes on processing what is written.
fn look(terminals: [bool; 3]) -> Look {
    let streams = descriptors::streams();
    let keyboard = streams[0];
    // In the background its settings are somebody else's at this moment.
    let ours = terminals[0] && tty::in_foreground(keyboard);
    Look {
        settings: ours.then(|| Termios::of(keyboard).ok()).flatten(),
        size: streams
            .into_iter()
            .zip(terminals)
            .filter(|(_, terminal)| *terminal)
            .find_map(|(stream, _)| tty::window_size(stream).ok()),
        echo: terminals[0],
        process_output: terminals[0] && terminals[1],
    }
}
