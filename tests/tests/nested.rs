//! A container in a container, or below pseudo: root owns what is there, clocks start
//! anew, and the devices are seen.

use tests::{Cmd, Root, User, each_user, root};

each_user!(
    root_owns_what_is_there,
    root_below_pseudo_owns_what_is_there,
    clocks_start_at_zero,
    below_the_hosts_network_there_is_a_sys,
);

/// A root with another one in it, and the programs.
fn two(me: &User) -> Root {
    let outer = root(me);
    for name in ["contain", "inject"] {
        let program = if name == "contain" {
            me.contain()
        } else {
            me.inject()
        };
        outer.install(program.program().to_str().unwrap(), &format!("/{name}"));
    }
    for dir in ["dev", "proc", "sys", "tmp", "etc"] {
        outer.mkdir(&format!("/inner/{dir}"));
    }
    outer.install("/bin/busybox", "/inner/bin/sh");
    outer.install("/bin/busybox", "/inner/bin/busybox");
    outer
}

/// `contain OUTER /contain INNER`, which runs the script.
fn nested(me: &User, root: &Root, outer: &[&str], inner: &[&str], script: &str) -> Cmd {
    let cmd = me
        .contain()
        .arg("-c")
        .args(outer)
        .arg(root)
        .args(["/contain", "-c"]);
    cmd.args(inner).args(["/inner", "/bin/sh", "-c", script])
}

fn root_owns_what_is_there(me: &User) {
    let root = two(me);
    // What container root makes inside is its own in both.
    let script =
        "cp -r /inner /mine && exec /contain -c /mine /bin/sh -c 'echo made >/new; cat /new'";
    let cmd = me
        .contain()
        .arg("-c")
        .arg(&root)
        .args(["/bin/sh", "-c", script]);
    cmd.run().says("made");
}

fn root_below_pseudo_owns_what_is_there(me: &User) {
    let root = two(me);
    root.chmod("/inner", 0o755);
    let contain = me.contain().program().to_owned();
    let script = r#"cp -r "$R/inner" "$R/mine" && exec "$C" -c "$R/mine" /bin/sh -c 'echo made >/new; cat /new'"#;
    let top = root.at("/");
    let cmd = me.pseudo().args(["sh", "-c", script]);
    cmd.env("R", &top).env("C", &contain).run().says("made");
}

fn clocks_start_at_zero(me: &User) {
    let root = two(me);
    let script = "read up rest </proc/uptime; echo ${up%.*}";
    let out = nested(me, &root, &[], &[], script).run();
    let up: u64 = out.ok().trim().parse().unwrap();
    assert!(up < 10, "{out}");
}

/// The kernel allows no new sysfs where none is seen whole.
fn below_the_hosts_network_there_is_a_sys(me: &User) {
    let root = two(me);
    let script = "ls /sys/class >/dev/null && mkdir /sys/class/x 2>/dev/null || echo there";
    nested(me, &root, &["-n"], &[], script).run().says("there");
    nested(me, &root, &["-n"], &["-n"], script)
        .run()
        .says("there");
}
