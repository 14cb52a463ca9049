//! The examples of the README, one after the other, as a reader would type them: each
//! relies on what earlier ones have made, and on nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tests::{User, debian_tar, host_is_root, scratch_dir, skip, some_users};

some_users!(
    the_examples_run_in_sequence: root delegated,
);

/// The shell scripts of the page, in their order.
fn scripts(page: &str) -> Vec<String> {
    let mut scripts = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once("\n```sh\n") {
        let (script, behind) = after.split_once("\n```").expect("a fence");
        scripts.push(script.to_string());
        rest = behind;
    }
    scripts
}

/// What stands for commands that this suite does elsewhere, or that a machine without
/// the sources has not: cargo builds what is under test, and mmdebstrap's root is there.
const STAND_INS: &str = r#"
set -eEo pipefail
trap 'echo "failed: $BASH_COMMAND" >&2' ERR
cargo() {
    case $1 in
        run) while [ "$1" != -- ]; do shift; done; shift; contain "$@" </dev/null ;;
    esac
}
"#;

fn the_examples_run_in_sequence(me: &User) {
    let tar = match debian_tar() {
        Ok(tar) => tar,
        Err(reason) => skip!("{reason}"),
    };
    if !host_is_root() {
        skip!("the users of the examples are made by root");
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let scripts = scripts(&fs::read_to_string(page).expect("the README"));
    assert!(scripts.len() > 10, "{}", scripts.len());
    let dir = scratch_dir(me);
    let bin = dir.join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["contain", "pseudo", "inject"] {
        let program = match name {
            "contain" => me.contain(),
            "pseudo" => me.pseudo(),
            _ => me.inject(),
        };
        std::os::unix::fs::symlink(program.program(), bin.join(name)).unwrap();
    }
    let mmdebstrap = bin.join("mmdebstrap");
    let unpack = format!(
        "#!/bin/sh\nfor dir; do :; done\nmkdir \"$dir\" && tar -x -f {} -C \"$dir\" --exclude='./dev/*'\n",
        tar.display()
    );
    tests::install(unpack.as_bytes(), &mmdebstrap, 0o755);
    let work = dir.join("work");
    fs::create_dir(&work).unwrap();
    std::os::unix::fs::chown(&work, Some(me.uid), Some(me.gid)).unwrap();
    fs::set_permissions(&work, fs::Permissions::from_mode(0o1777)).unwrap();
    let all = scripts
        .into_iter()
        .filter(|script| !script.contains("xtask"));
    // The last ones are about this project's own tests.
    let all: Vec<_> = all.collect();
    let script = format!("{STAND_INS}{}\necho 'all examples ran'", all.join("\n"));
    let path = format!(
        "{}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        bin.display()
    );
    let cmd = me.command("bash").args(["-c", &script]).env("PATH", path);
    let out = cmd.cwd(&work).limit(tests::SECOND * 240).run();
    // Files of container users are theirs to remove, or root's.
    if me.uid != 0 {
        me.pseudo().args(["rm", "-rf", "work"]).cwd(&dir).run();
    }
    fs::remove_dir_all(&dir).expect("nothing in the way");
    assert!(out.stdout().contains("all examples ran"), "{out}");
    for said in [
        "Hello, world!",
        "uid=0(root) gid=0(root)",
        "runsvdir",
        "www-data",
    ] {
        assert!(out.stdout().contains(said), "{said}: {out}");
    }
}
