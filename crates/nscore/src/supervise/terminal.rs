//! The caller's terminal while its settings are changed: what is told there, and
//! what is put back should we panic.

use std::path::Path;
use std::sync::{Mutex, Once};

use crate::error::text::quoted;
use crate::supervise::console::screen::Screen;
use crate::sys::descriptors;
use crate::sys::tty::{self, Termios};

/// The settings to restore if this program panics.
static SAVED: Mutex<Option<Termios>> = Mutex::new(None);

/// Tells the user something that is no error, on standard error. One that
/// takes nothing now is not waited for.
pub(crate) fn tell(news: &str) {
    let [.., stderr] = descriptors::streams();
    // Our own terminal may be in raw mode.
    let end = if tty::is_terminal(stderr) {
        "\r\n"
    } else {
        "\n"
    };
    let _ = Screen::new(stderr).write(format!("{}: {news}{end}", name()).as_bytes());
}

/// What this program was called.
fn name() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    let name = Path::new(&called).file_name().unwrap_or_default();
    quoted(name)
}

/// The same on a line of its own, below what a terminal shows.
pub(crate) fn tell_below(news: &str) {
    let [.., stderr] = descriptors::streams();
    if tty::is_terminal(stderr) {
        let _ = Screen::new(stderr).write(b"\r\n");
    }
    tell(news);
}

/// Notes the settings for the hook that restores them should we panic, which
/// in this program ends it without running destructors.
pub(crate) fn remember(settings: Option<Termios>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if let Ok(Some(settings)) = SAVED.lock().map(|saved| *saved) {
                // There is nothing left to do about a failure.
                let _ = settings.apply(descriptors::streams()[0]);
            }
            next(panic);
        }));
    });
    if let Ok(mut saved) = SAVED.lock() {
        *saved = settings;
    }
}
