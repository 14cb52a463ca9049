//! Paths of the root: whatever the root file system holds, nothing outside of
//! it is made, followed or changed.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use tests::{
    User, assert_no_traces, each_user, host_is_root, root, scratch_dir, skip, while_exchanging,
};

each_user!(
    roots_by_other_names,
    kernel_directories_must_be_directories,
    a_linked_kernel_directory_is_not_followed_outside,
    a_read_only_root,
    the_host_as_root,
    a_root_that_changes_underneath,
    a_mount_point_that_changes_underneath,
);

fn roots_by_other_names(me: &User) {
    let root = root(me);
    let path: &Path = root.as_ref();
    let run = |dir: &str| {
        me.contain()
            .cwd(path)
            .args(["-c", dir, "/bin/echo", "ran"])
            .run()
    };
    run(".").says("ran");
    run("bin/..").says("ran");
    run(&format!("{}/", path.display())).says("ran");
    run(&format!("{}//.", path.display())).says("ran");
    let link = path.with_extension("link");
    symlink(path, &link).unwrap();
    run(link.to_str().unwrap()).says("ran");
    run(&format!(
        "../{}",
        link.file_name().unwrap().to_str().unwrap()
    ))
    .says("ran");
    fs::remove_file(link).unwrap();
}

/// /dev, /proc and /sys of the root are mount points made by whoever made the
/// root: nothing but a real directory will do.
fn kernel_directories_must_be_directories(me: &User) {
    for name in ["dev", "proc", "sys"] {
        let outside = scratch_dir(me);
        fs::write(outside.join("marker"), "unchanged").unwrap();
        let make: [&dyn Fn(&Path); 5] = [
            &|at| symlink(&outside, at).unwrap(),
            &|at| {
                symlink(
                    format!("../{}", outside.file_name().unwrap().to_str().unwrap()),
                    at,
                )
                .unwrap()
            },
            &|at| symlink("/no/such/directory", at).unwrap(),
            &|at| fs::write(at, "").unwrap(),
            &|at| nix::unistd::mkfifo(at, nix::sys::stat::Mode::from_bits_truncate(0o666)).unwrap(),
        ];
        for make in make {
            let root = root(me);
            make(&root.at(name));
            let out = me
                .contain()
                .arg("-c")
                .arg(&root)
                .args(["/bin/echo", "ran"])
                .run();
            out.refused_naming(1, &[&format!("/{name}")]);
            assert_no_traces(&root);
            let left: Vec<_> = fs::read_dir(&outside).unwrap().collect();
            assert_eq!(left.len(), 1, "made outside: {left:?}{out}");
        }
        fs::remove_dir_all(outside).unwrap();
    }
}

/// A link inside a root means what it means inside.
fn a_linked_kernel_directory_is_not_followed_outside(me: &User) {
    let root = root(me);
    root.mkdir("/real-dev").link("/real-dev", "/dev");
    let out = me
        .contain()
        .arg("-c")
        .arg(&root)
        .args(["/bin/echo", "ran"])
        .run();
    out.refused_naming(1, &["/dev"]);
    assert!(fs::read_dir(root.at("/real-dev")).unwrap().next().is_none());
}

fn a_read_only_root(me: &User) {
    if !host_is_root() {
        skip!("mounting a root read-only needs root");
    }
    let root = root(me);
    let path: &Path = root.as_ref();
    let path = path.to_str().unwrap();
    let setup = format!("mount --bind {path} {path}; mount -o remount,bind,ro {path}");
    for name in ["dev", "proc", "sys"] {
        let out = me.sh(&root, "echo ran").setup(&setup).run();
        let complaint = out.refused_naming(1, &[name, "read-only"]);
        assert!(complaint.hint.is_some(), "what to do about it?{out}");
        root.mkdir(name);
    }
    me.sh(&root, "echo ran; ! touch /x 2>/dev/null")
        .setup(&setup)
        .run()
        .says("ran");
}

fn the_host_as_root(me: &User) {
    let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap();
    let before = mounts();
    let out = me
        .contain()
        .args(["-c", "/", "/bin/sh", "-c", "echo $$; id -u; echo /dev/*"])
        .run();
    let out = out.ok();
    assert!(out.starts_with("1\n0\n") && !out.contains("kmsg"), "{out}");
    assert_eq!(before, mounts());
}

/// Whoever writes to the root exchanges /dev with a link to the outside, over
/// and over, while containers start.
fn a_root_that_changes_underneath(me: &User) {
    exchange_during_starts(me, "dev", &[]);
}

fn a_mount_point_that_changes_underneath(me: &User) {
    let source = scratch_dir(me);
    let bind = format!("{}:/mnt/a/b", source.display());
    exchange_during_starts(me, "mnt", &["-b", &bind]);
    let bind = format!("{}:/mnt/a/b:ro", source.display());
    exchange_during_starts(me, "mnt", &["-r", "-b", &bind]);
    fs::remove_dir_all(source).unwrap();
}

/// Starts containers while a directory of the root and a link that leads outside
/// change places.
fn exchange_during_starts(me: &User, name: &str, options: &[&str]) {
    let root = root(me);
    let outside = scratch_dir(me);
    fs::write(outside.join("marker"), "unchanged").unwrap();
    if !root.at(name).exists() {
        root.mkdir(name);
    }
    symlink(&outside, root.at("other")).unwrap();
    let before = listing(&outside);
    let (one, two) = (root.at(name), root.at("other"));
    let (started, refused) = while_exchanging(&one, &two, || {
        let start = || {
            me.contain()
                .arg("-c")
                .args(options)
                .arg(&root)
                .arg("/bin/true")
        };
        let counts = (0..170).map(|_| start().run());
        counts.fold((0, 0), |(started, refused), out| match out.code() {
            Some(0) => (started + 1, refused),
            _ => (
                started,
                refused + usize::from(out.refused(1).names(&format!("/{name}"))),
            ),
        })
    });
    assert_eq!(started + refused, 170);
    assert!(
        started > 0 && refused > 0,
        "no race: {started} started, {refused} refused"
    );
    assert_eq!(before, listing(&outside), "something was made outside");
    assert_eq!(
        fs::read_to_string(outside.join("marker")).unwrap(),
        "unchanged"
    );
    assert_no_traces(&root);
    fs::remove_dir_all(outside).unwrap();
}

fn listing(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    entries
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}
