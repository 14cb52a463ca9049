//! Reads a stream to its end in the background, so that a full pipe never
//! blocks a command and a test can wait for what it says.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    ended: bool,
}

/// What a stream has said so far.
#[derive(Clone, Default)]
pub struct Reader(Arc<(Mutex<State>, Condvar)>);

impl Reader {
    /// Starts to read.
    pub fn new(mut stream: impl Read + Send + 'static) -> Self {
        let reader = Self::default();
        let shared = reader.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 16384];
            loop {
                // EIO is how a terminal's master says that all slaves closed.
                let count = match stream.read(&mut buffer) {
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                    other => other.unwrap_or(0),
                };
                let mut state = shared.state();
                state.bytes.extend_from_slice(&buffer[..count]);
                state.ended = count == 0;
                shared.0.1.notify_all();
                if count == 0 {
                    return;
                }
            }
        });
        reader
    }

    /// A stream that says nothing.
    pub fn ended() -> Self {
        let reader = Self::default();
        reader.state().ended = true;
        reader
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// All that was said up to now.
    pub fn bytes(&self) -> Vec<u8> {
        self.state().bytes.clone()
    }

    /// Waits until `done` holds of what was said, or the end, or `limit`.
    pub fn wait(&self, limit: Duration, done: impl Fn(&[u8]) -> bool) -> bool {
        let deadline = Instant::now() + limit;
        let mut state = self.state();
        loop {
            if done(&state.bytes) {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return false;
            }
            let woken = self.0.1.wait_timeout(state, left);
            state = woken.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    /// Waits for the end of the stream; false when `limit` came first.
    pub fn wait_end(&self, limit: Duration) -> bool {
        self.wait(limit, |_| false);
        self.state().ended
    }
}
