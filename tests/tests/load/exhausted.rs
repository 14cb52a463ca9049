//! A start when there is no more of something: it runs, or says in one line what
//! there is no more of, and leaves nothing.

use std::fs;

use tests::{
    As, Cgroup, Cmd, Complaint, Out, User, assert_no_traces, host_is_root, root, scratch_dir,
};

/// Runs commands that have more each time: some have too little and say so by one
/// of the words of `fact`, and some have enough. All must pass `check`.
fn with_more_each_time(
    cmds: impl IntoIterator<Item = Cmd>,
    fact: &str,
    check: impl Fn(&Out),
) -> String {
    let (mut ran, mut refused) = (0, 0);
    for cmd in cmds {
        let out = cmd.run();
        if out.code() == Some(0) {
            ran += 1;
        } else {
            out.refused_naming(1, &[fact]);
            refused += 1;
        }
        check(&out);
    }
    assert!(ran > 0 && refused > 0, "{ran} ran, {refused} were refused");
    format!("{ran} ran, {refused} were refused")
}

pub fn descriptors(me: &User) -> Result<String, &'static str> {
    let root = root(me);
    let each = |cmd: Cmd, check: &dyn Fn(&Out)| {
        let limit = |limit| format!("ulimit -n {limit}; exec \"$@\"");
        let cmds = (3..24).map(|number| cmd.clone().under_bash(&limit(number)));
        with_more_each_time(cmds, "too many open files|no file descriptors", check)
    };
    let name = format!("load-{}", std::process::id());
    let running = me.up(&root, &["-N", &name]);
    let pid = running.pid().to_string();
    for container in [&pid, &name] {
        each(me.inject().args([container, "/bin/true"]), &|_| ());
    }
    each(me.inject().arg("-l"), &|out| {
        assert!(
            out.code() != Some(0) || out.stdout().contains(&name),
            "{out}"
        );
    });
    drop(running);
    let start = me.contain().arg(&root).arg("/bin/true");
    Ok(each(start, &|_| assert_no_traces(&root)))
}

pub fn processes(me: &User) -> Result<String, &'static str> {
    let root = root(me);
    let start = me.contain().arg("-c").arg(&root).arg("/bin/true");
    let cgroup = Cgroup::with("pids.max");
    // That of a user is on all that the user runs; while counting, that is more.
    let others = "$(ps -L --no-headers -u $UID | wc -l) - 8";
    let limited = |number: u32| match &cgroup {
        Some(cgroup) => start.clone().setup(&cgroup.enter_with("pids.max", number)),
        None => start
            .clone()
            .under_bash(&format!("ulimit -u $(({others} + {number})); exec \"$@\"")),
    };
    if cgroup.is_none() && me.kind == As::Root {
        return Err("no cgroup limits root's processes here");
    }
    let most = if cgroup.is_some() { 8 } else { 30 };
    let check = |_: &Out| assert_no_traces(&root);
    Ok(with_more_each_time(
        (1..most).map(limited),
        "too many processes",
        check,
    ))
}

/// The one call that gets a terminal made to fail as it does then: to use all of
/// them up would be hard on everybody else.
pub fn terminals(me: &User) -> Result<String, &'static str> {
    const ENOSPC: i32 = 28;
    if !host_is_root() {
        return Err("only root may answer for set-id programs");
    }
    let (root, dir) = (root(me), scratch_dir(me));
    let log = dir.join("log");
    let start = |which: &str| {
        let (fail, log) = (env!("CARGO_BIN_EXE_fail"), log.display());
        let front = format!("FRONT='{fail} {log} contain {which}'");
        let cmd = me.contain().arg(&root).arg("/bin/true");
        cmd.setup(&front).run()
    };
    // The first makes what is missing in the root, by other calls.
    start("-").ok();
    fs::remove_file(&log).expect("a log");
    start("-").ok();
    let calls = fs::read_to_string(&log).expect("a log");
    let mut calls = calls
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    let call = calls.find(|words| words[1] == "openat" && words[4] == "\"ptmx\"");
    let call = call.expect("a terminal");
    let out = start(&format!("{}:openat:{}:{ENOSPC}", call[0], call[2]));
    let complaint = out.refused_naming(1, &["pseudo-terminals are in use", "kernel.pty.max"]);
    assert_no_traces(&root);
    fs::remove_dir_all(dir).expect("rmdir");
    Ok(complaint.line)
}

/// Of memory the kernel may be short before there is a program to say so, or end
/// one for it: then nothing is left all the same.
pub fn memory(me: &User) -> Result<String, &'static str> {
    let root = root(me);
    let start = me.contain().arg("-c").arg(&root).arg("/bin/true");
    let limit = |limit| format!("ulimit -v {limit}; exec \"$@\"");
    let limits = (2400..8000).step_by(160);
    let mut starts: Vec<Cmd> = limits
        .map(|kib| start.clone().under_bash(&limit(kib)))
        .collect();
    let files = ["memory.limit_in_bytes", "memory.max"];
    let cgroup = files
        .into_iter()
        .find_map(|file| Some((file, Cgroup::with(file)?)));
    if let Some((file, cgroup)) = &cgroup {
        let limited = |kib: u32| start.clone().setup(&cgroup.enter_with(file, kib << 10));
        starts.extend((400..8000).step_by(400).map(limited));
    }
    let (mut ran, mut ended) = (0, 0);
    for start in starts {
        let out = start.run();
        match out.code() {
            Some(0) => ran += 1,
            Some(1) if Complaint::parse(&out.stderr, 1).is_ok() => ended += 1,
            // The C library's, before it is ours.
            Some(127) if out.stderr.contains("Fatal glibc error") => ended += 1,
            // Killed, itself or its init; without a word, or with Rust's last one.
            None | Some(134..) => ended += 1,
            _ => panic!("{out}"),
        }
        assert_no_traces(&root);
    }
    assert!(ran > 0 && ended > 0, "{ran} ran, {ended} ended");
    Ok(format!("{ran} ran, {ended} ended"))
}
