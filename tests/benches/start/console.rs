//! How fast output flows through the console, against script(1): both between a
//! terminal that is drained here and a pseudo-terminal of their own.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::pty::openpty;

use crate::lab::{Lab, find_tool};
use crate::process::{LIMIT, Program, Running, readable};
use crate::race::{Budget, Race, Score};
use crate::sys::in_own_session;

const ROUNDS: usize = 8;
const LINE: &str = "A line as a build prints it, sixty-four bytes with its new line\n";
const LINES: usize = 1 << 20;

/// Of script's time, so at least its throughput.
const BUDGET: Budget = Budget::AtMost(1.0);

pub fn measure(lab: &Lab, score: &mut Score) -> Result<()> {
    let root = &lab.root;
    fs::write(root.join("text"), LINE.repeat(LINES)).context("cannot write the text")?;
    let in_root = |program: Program| program.arg("-n").arg(root).args("/bin/cat /text");
    let ours = in_root(lab.ours("contain"));
    let title = format!("{} MiB through the console", (LINE.len() * LINES) >> 20);
    let mut race = Race::new(&title, ours).timed_by(drain, ROUNDS);
    let busybox = root.join("bin/busybox");
    match find_tool("script") {
        Some(script) => {
            let cat = format!("{} cat {}", busybox.display(), root.join("text").display());
            let script = Program::new("script", script)
                .arg("-qc")
                .arg(cat)
                .arg("/dev/null");
            race.against(script, Some(BUDGET));
        }
        None => println!("left out: script is not installed"),
    }
    if let Some(original) = lab.original("contain") {
        race.against(in_root(original), None);
    }
    let direct = Program::new("cat, nothing between", busybox)
        .arg("cat")
        .arg(root.join("text"));
    race.against(direct, None);
    race.run(lab, score)
}

/// Runs the program on a terminal of its own and reads all that it prints.
fn drain(program: &Program) -> Result<Duration> {
    let terminal = openpty(None, None).context("cannot open a pseudo-terminal")?;
    let mut command = program.command();
    command.stdin(terminal.slave.try_clone()?);
    command
        .stdout(terminal.slave.try_clone()?)
        .stderr(terminal.slave);
    let start = Instant::now();
    let running = Running::start(in_own_session(&mut command))?;
    // Ours would keep the master from ending with theirs.
    drop(command);
    let length = read_to_hangup(File::from(terminal.master))?;
    let status = running.finish()?;
    let elapsed = start.elapsed();
    ensure!(
        status.success(),
        "{} failed in the middle: {status}",
        program.label
    );
    // One line discipline on the way adds a carriage return to each line; a warning
    // may come on top.
    let expected = (LINE.len() + 1) * LINES;
    ensure!(
        length >= expected,
        "{}: {length} bytes of {expected}",
        program.label
    );
    Ok(elapsed)
}

fn read_to_hangup(mut master: File) -> Result<usize> {
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        ensure!(
            readable(&master, LIMIT)?,
            "no output for {} s",
            LIMIT.as_secs()
        );
        match master.read(&mut buffer) {
            Ok(length) => total += length,
            // EIO: the last slave is closed and all has been read.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => return Ok(total),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("cannot read from the terminal"),
        }
    }
}
