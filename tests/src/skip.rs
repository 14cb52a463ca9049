//! What tests tell besides passing or failing, in files that tests/run reads:
//! that they are skipped, and rows of a table.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Appends `FILE::TEST: REASON` to the file that `CONTAIN_SKIPS` names, which
/// tests/run compares with the list of the skips that are allowed.
pub fn record_skip(reason: &str) {
    let line = format!("{}: {reason}", name());
    eprintln!("skipped {line}");
    record("CONTAIN_SKIPS", &line);
}

/// Appends `SECONDS FILE::TEST` to the file that `CONTAIN_TIMES` names, of which tests/run
/// shows the slowest.
pub fn record_time(time: std::time::Duration) {
    record(
        "CONTAIN_TIMES",
        &format!("{:.1} {}", time.as_secs_f32(), name()),
    );
}

/// The running test, as `FILE::TEST`.
fn name() -> String {
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
    format!("{theme}::{}", thread.name().unwrap_or("?"))
}

/// Appends a line to the file that an environment variable names, if it does.
///
/// # Panics
/// When it cannot.
pub fn record(variable: &str, line: &str) {
    if let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) {
        // One write in append mode: lines of parallel tests do not mix.
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()))
            .unwrap_or_else(|error| panic!("{variable}: {error}"));
    }
}
