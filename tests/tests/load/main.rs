//! Many starts, starts where there is no more of something, and starts in a root
//! that changes all the time; a line for each check. tests/load runs it.

mod exhausted;

use std::fs;
use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use tests::{
    As, Census, Running, SECOND, User, assert_no_traces, host_is_root, root, scratch_dir,
    while_exchanging,
};

/// A check, for one user: what it has found, or why it cannot be made here.
type Check = fn(&User) -> Result<String, &'static str>;

const CHECKS: [(&str, Check); 7] = [
    ("1000 starts in sequence", in_sequence),
    ("200 containers at once", at_once),
    ("no descriptors left", exhausted::descriptors),
    ("no processes left", exhausted::processes),
    ("no terminals left", exhausted::terminals),
    ("no memory left", exhausted::memory),
    ("500 starts while /dev changes", a_root_that_changes),
];

fn main() -> ExitCode {
    let kinds = if host_is_root() {
        [As::Root, As::Delegated]
    } else {
        // Of which the caller is one.
        [As::Delegated, As::Plain]
    };
    let mut failed = false;
    for user in kinds.into_iter().filter_map(|kind| User::get(kind).ok()) {
        for (name, check) in CHECKS {
            let begun = Instant::now();
            // Who panics has said why.
            let (end, found) = match catch_unwind(AssertUnwindSafe(|| check(&user))) {
                Ok(Ok(found)) => ("ok", found),
                Ok(Err(reason)) => ("skipped", reason.to_owned()),
                Err(_) => ("FAILED", "see above".to_owned()),
            };
            failed |= end == "FAILED";
            let seconds = begun.elapsed().as_secs_f32();
            println!("{end} {name}, as {}: {found} ({seconds:.1} s)", user.name);
        }
    }
    ExitCode::from(u8::from(failed))
}

fn in_sequence(me: &User) -> Result<String, &'static str> {
    let root = root(me);
    let start = me.contain().arg(&root).arg("/bin/true");
    Census::unchanged_by(|| {
        for _ in 0..1000 {
            start.run().says("");
        }
        assert_no_traces(&root);
    });
    Ok("nothing has grown".to_owned())
}

fn at_once(me: &User) -> Result<String, &'static str> {
    let root = root(me);
    let script = "trap 'exit 7' TERM; echo up; sleep 1000 & wait; exit 8";
    let start = me.contain().arg(&root).args(["/bin/sh", "-c", script]);
    Census::unchanged_by(|| {
        let all: Vec<Running> = (0..200).map(|_| start.start()).collect();
        for one in &all {
            one.wait_for("up");
        }
        for one in &all {
            one.signal(libc::SIGTERM);
        }
        for one in all {
            one.finish().status_is(7);
        }
        assert_no_traces(&root);
    });
    Ok("nothing has grown".to_owned())
}

/// Whoever writes to the root exchanges /dev with a link to the outside, over
/// and over.
fn a_root_that_changes(me: &User) -> Result<String, &'static str> {
    let (root, outside) = (root(me), scratch_dir(me));
    fs::write(outside.join("marker"), "unchanged").expect("a marker");
    root.mkdir("/dev");
    symlink(&outside, root.at("/other")).expect("a link");
    let start = me.contain().arg("-c").arg(&root).arg("/bin/true");
    let (mut ran, mut refused) = (0, 0);
    let begun = Instant::now();
    while_exchanging(&root.at("/dev"), &root.at("/other"), || {
        while ran + refused < 500 || begun.elapsed() < 20 * SECOND {
            let out = start.run();
            if out.code() == Some(0) {
                ran += 1;
            } else {
                out.refused_naming(1, &["/dev"]);
                refused += 1;
            }
        }
    });
    assert!(ran > 0 && refused > 0, "{ran} ran, {refused} were refused");
    let left = fs::read_dir(&outside).expect("a directory").flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["marker"]);
    let marker = fs::read_to_string(outside.join("marker")).expect("a marker");
    assert_eq!(marker, "unchanged");
    assert_no_traces(&root);
    fs::remove_dir_all(outside).expect("rmdir");
    Ok(format!("{ran} ran, {refused} were refused"))
}
