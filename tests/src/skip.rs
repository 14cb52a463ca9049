//! Skipped tests: each says why, in a file that tests/run compares with the
//! list of the skips that are allowed.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Appends `FILE::TEST: REASON` to the file that `CONTAIN_SKIPS` names.
pub fn record_skip(reason: &str) {
    let program = std::env::current_exe().unwrap_or_default();
    let program = program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let theme = program
        .rsplit_once('-')
        .map_or(program.as_str(), |(theme, _hash)| theme);
    let thread = std::thread::current();
    let line = format!("{theme}::{}: {reason}\n", thread.name().unwrap_or("?"));
    eprint!("skipped {line}");
    if let Some(path) = std::env::var_os("CONTAIN_SKIPS").filter(|path| !path.is_empty()) {
        // One write in append mode: lines of parallel tests do not mix.
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(line.as_bytes()))
            .expect("cannot record a skip");
    }
}
