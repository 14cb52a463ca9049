//! The host's programs over a directory that holds nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::{Cmd, Pty, User, assert_no_traces, each_user, empty_root, root};

each_user!(
    programs_of_the_host,
    a_compiler,
    a_prompt,
    nothing_of_the_host_changes,
    what_the_root_has_goes_first,
    again_and_with_others,
);

fn sh(me: &User, options: &[&str], root: impl AsRef<Path>, script: &str) -> Cmd {
    let quiet = format!("exec 2>/dev/null; {script}");
    let options = me.contain().args(["-c", "-H"]).args(options);
    options.arg(root.as_ref()).args(["/bin/bash", "-c", &quiet])
}

fn programs_of_the_host(me: &User) {
    let root = empty_root(me);
    let script = "id -un; perl -e 'print 6*7, qq(\\n)'; ls / | xargs; getent passwd daemon | cut -d: -f1; \
        test -L /bin && readlink /bin; ls /home /root /var 2>/dev/null | wc -l";
    let seen = sh(me, &[], &root, script).run().ok();
    let mut lines = seen.lines();
    assert_eq!(lines.next(), Some("root"));
    assert_eq!(lines.next(), Some("42"));
    let names: Vec<_> = lines.next().unwrap().split(' ').collect();
    let known = ["bin", "dev", "etc", "proc", "sbin", "sys", "tmp", "usr"];
    let other = |name: &&&str| !known.contains(*name) && !name.starts_with("lib");
    assert_eq!(names.iter().find(other), None, "{names:?}");
    assert_eq!(lines.next(), Some("daemon"));
    if let Ok(target) = fs::read_link("/bin") {
        assert_eq!(lines.next(), target.to_str());
    }
    assert_eq!(lines.next(), Some("0"));
}

fn a_compiler(me: &User) {
    let root = empty_root(me);
    let script = "cd /tmp && echo 'int puts(const char *); int main(void) { puts(\"compiled\"); }' >a.c \
        && gcc a.c -o a && ./a";
    sh(me, &[], &root, script).run().says("compiled");
    let left = fs::read_dir(root.at("tmp")).unwrap().count();
    assert_eq!(left, 0, "/tmp is memory");
}

fn a_prompt(me: &User) {
    let root = empty_root(me);
    let pty = Pty::open();
    let run = pty.run(&me.contain().arg("-H").arg(&root));
    pty.wait_for("# ")
        .keys("tty; exit 3\n")
        .wait_for("/dev/console");
    assert_eq!(run.ended(), Some(3));
}

fn nothing_of_the_host_changes(me: &User) {
    let root = empty_root(me);
    let script = "for dir in /usr /usr/bin /bin /lib /etc/ssl; do
            touch $dir/new && echo wrote; mount -o remount,rw,bind $dir && echo remounted; umount $dir && echo unmounted
        done; echo x >>/etc/passwd && echo wrote; umount /etc/passwd && echo unmounted; echo held";
    sh(me, &[], &root, script).run().says("held");
    assert_no_traces(&root);
}

fn what_the_root_has_goes_first(me: &User) {
    let root = root(me);
    fs::remove_dir_all(root.at("bin")).unwrap();
    root.mkdir("bin").install("/bin/busybox", "bin/mine");
    let script =
        "tail -n 1 /etc/passwd; test -e /bin/mine || echo covered; /bin/ls -d /usr/bin/env";
    let own = fs::read_to_string(root.at("etc/passwd")).unwrap();
    let wanted = format!("{}\ncovered\n/usr/bin/env", own.lines().last().unwrap());
    sh(me, &[], &root, script).run().says(&wanted);
}

fn again_and_with_others(me: &User) {
    let root = empty_root(me);
    for options in [
        &[][..],
        &["-r"],
        &["-x"],
        &["--tmpfs", "/tmp:size=1m"],
        &["-b", "/etc/hosts:/etc/passwd"],
    ] {
        sh(me, options, &root, "gcc --version | head -c 3")
            .run()
            .says("gcc");
    }
    let mut find = Command::new("find");
    let find = find
        .arg(root.as_ref() as &Path)
        .args(["-type", "f", "-size", "+0"]);
    assert!(
        find.output().unwrap().stdout.is_empty(),
        "files are left in the root"
    );
}
