//! Roots made by hand: one static program, or a program with its libraries;
//! and what is said when an interpreter or a library is missing.

use std::fs;

use tests::{User, assert_no_traces, each_user, empty_root, hand_made, libraries};

each_user!(
    one_static_program,
    a_program_with_its_libraries,
    a_missing_loader_is_named,
    a_missing_script_interpreter_is_named,
    a_missing_interpreter_hides_nothing_further_on,
    a_missing_library_is_the_loaders_to_name,
    another_architecture_is_named,
);

const HELLO: &str = "Hello, world!";

fn one_static_program(me: &User) {
    let root = empty_root(me);
    root.install("/bin/busybox", "/bin/echo");
    me.contain()
        .arg(&root)
        .args(["/bin/echo", HELLO])
        .run()
        .says(HELLO);
    me.contain()
        .arg("-c")
        .arg(&root)
        .args(["/bin/echo", HELLO])
        .run()
        .says(HELLO);
    assert_no_traces(&root);
}

fn a_program_with_its_libraries(me: &User) {
    let root = hand_made(me, &["/bin/echo"]);
    me.contain()
        .arg(&root)
        .args(["/bin/echo", HELLO])
        .run()
        .says(HELLO);
}

fn a_missing_loader_is_named(me: &User) {
    let root = empty_root(me);
    root.install("/bin/echo", "/bin/echo");
    let libraries = libraries("/bin/echo");
    let loader = libraries
        .iter()
        .find(|path| path.contains("/ld-"))
        .expect("a loader");
    let out = me.contain().arg(&root).args(["/bin/echo", HELLO]).run();
    out.refused_naming(127, &["/bin/echo", loader]);
    assert_no_traces(&root);
}

fn a_missing_script_interpreter_is_named(me: &User) {
    let root = empty_root(me);
    root.write("/script", "#!/opt/perl/bin/perl -w\nprint 1;\n", 0o755);
    let out = me.contain().arg(&root).arg("/script").run();
    out.refused_naming(127, &["/script", "/opt/perl/bin/perl"]);
}

/// As the shell looks a command up.
fn a_missing_interpreter_hides_nothing_further_on(me: &User) {
    let root = empty_root(me);
    root.write("/usr/local/bin/hello", "#!/no/such\n", 0o755);
    let cmd = me.contain().arg(&root).arg("hello");
    cmd.run()
        .refused_naming(127, &["/usr/local/bin/hello", "/no/such"]);
    root.install("/bin/busybox", "/bin/sh");
    root.write("/bin/hello", format!("#!/bin/sh\necho '{HELLO}'\n"), 0o755);
    cmd.run().says(HELLO);
}

/// Once the loader runs, the error is the program's own.
fn a_missing_library_is_the_loaders_to_name(me: &User) {
    let root = empty_root(me);
    root.install("/bin/ls", "/bin/ls");
    for library in libraries("/bin/ls")
        .iter()
        .filter(|path| path.contains("/ld-"))
    {
        root.install(library, library);
    }
    let out = me.contain().arg("-c").arg(&root).arg("/bin/ls").run();
    assert!(out.status_is(127).stderr.contains("libselinux"), "{out}");
}

fn another_architecture_is_named(me: &User) {
    let root = empty_root(me);
    let mut program = fs::read("/bin/busybox").expect("busybox");
    // e_machine of the ELF header: S/390.
    program[18..20].copy_from_slice(&22u16.to_le_bytes());
    root.write("/alien", program, 0o755);
    let out = me.contain().arg(&root).arg("/alien").run();
    out.refused_naming(126, &["/alien", "s390|S/390"]);
    assert_no_traces(&root);
}
