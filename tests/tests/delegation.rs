//! Delegated ids: what /etc/subuid and /etc/subgid allow, in whatever form
//! they are written, and what is left without them.

use tests::{
    As, Out, Root, User, assert_no_traces, each_user, host_is_root, root, scratch_dir, skip,
    some_users,
};

each_user!(one_warning_names_what_is_missing, files_of_other_ids,);

some_users!(
    ids_outside_the_delegation_are_refused: delegated plain,
    the_edges_of_the_delegation_are_accepted: delegated,
    without_newuidmap_one_id_is_left: delegated,
    odd_subuid_files: delegated plain,
    the_name_service_is_asked: plain,
);

fn ids_outside_the_delegation_are_refused(me: &User) {
    let root = root(me);
    let ranges = me.sub_ids("uid");
    let (first, count) = ranges.first().copied().unwrap_or((300_000, 0));
    let own = me.uid;
    let bad = [
        format!("0:{own}:1,1:{}:1", first - 1),
        format!("0:{own}:1,1:{first}:{}", count + 1),
        format!("0:{own}:1,1:{}:1", first + count),
        format!("0:{}:1", own + 1),
        "0:0:1".to_owned(),
    ];
    for map in bad {
        let out = me
            .contain()
            .args(["-c", "-u", &map])
            .arg(&root)
            .args(["/bin/echo", "ran"])
            .run();
        out.refused_naming(1, &["/etc/subuid|delegated"]);
        let out = me.pseudo().args(["-u", &map, "/bin/echo", "ran"]).run();
        out.refused_naming(1, &["/etc/subuid|delegated"]);
    }
    assert_no_traces(&root);
}

fn the_edges_of_the_delegation_are_accepted(me: &User) {
    let root = root(me);
    let (first, count) = me.sub_ids("uid")[0];
    let last = first + count - 1;
    let map = format!("0:{}:1,1:{first}:1,9:{last}:1", me.uid);
    let out = me.contain().args(["-c", "-u", &map]).arg(&root);
    let out = out.args(["/bin/cat", "/proc/self/uid_map"]).run();
    assert_eq!(
        out.map(),
        [[0, me.uid, 1], [1, first, 1], [9, last, 1]],
        "{out}"
    );
    let map = format!("0:{}:1,1:{first}:{count}", me.uid);
    let out = me
        .pseudo()
        .args(["-u", &map, "cat", "/proc/self/uid_map"])
        .run();
    assert_eq!(out.map(), [[0, me.uid, 1], [1, first, count]], "{out}");
    // Not mapping the caller at all is allowed too.
    let out = me
        .pseudo()
        .args(["-u", &format!("0:{first}:2"), "id", "-u"])
        .run();
    out.says("0");
}

fn one_warning_names_what_is_missing(me: &User) {
    let root = root(me);
    let out = me.sh(&root, "echo ran").run();
    assert_eq!(out.status_is(0).stdout(), "ran\n");
    let warnings: Vec<&str> = out
        .stderr
        .lines()
        .filter(|line| !line.starts_with("hint: "))
        .collect();
    if me.kind == As::Plain {
        assert_eq!(warnings.len(), 1, "one warning{out}");
        assert!(
            warnings[0].starts_with("contain: ") && warnings[0].contains("/etc/subuid"),
            "{out}"
        );
        assert!(out.stderr.contains(&me.name), "whose line is missing?{out}");
    } else {
        assert_eq!(out.stderr, "");
    }
}

fn without_newuidmap_one_id_is_left(me: &User) {
    if !host_is_root() {
        skip!("hiding newuidmap needs root");
    }
    let root = root(me);
    let hide = "for f in /usr/bin/newuidmap /usr/bin/newgidmap; do mount --bind /dev/null $f; done";
    let out = me
        .sh(&root, "echo ran; cat /proc/self/uid_map")
        .setup(hide)
        .run();
    assert!(out.status_is(0).stdout().starts_with("ran\n"), "{out}");
    assert_eq!(out.stdout().lines().count(), 2, "{out}");
    assert!(
        out.stderr.contains("newuidmap") || out.stderr.contains("newgidmap"),
        "{out}"
    );
    assert!(
        out.stderr
            .lines()
            .filter(|line| !line.starts_with("hint:"))
            .count()
            == 1,
        "{out}"
    );
}

fn odd_subuid_files(me: &User) {
    if !host_is_root() {
        skip!("replacing /etc/subuid needs root");
    }
    let root = root(me);
    let (name, uid) = (&me.name, me.uid);
    let comment = "# a comment: 1:2\n\n";
    let cases = [
        (format!("{name}:400000:1000"), Some(400_000)),
        (
            format!("{name}x:300000:1000\n{name}:400000:1000\n"),
            Some(400_000),
        ),
        (format!("x{name}:300000:1000\n"), None),
        (format!("{uid}:400000:1000\n"), Some(400_000)),
        (format!("{comment}{name}:400000:1000\n"), Some(400_000)),
        (
            format!("{name}:400000\n{name}:abc:10\n{name}:-5:10\n"),
            None,
        ),
        (String::new(), None),
    ];
    for (text, first) in cases {
        let out = with_subids(me, &root, &text);
        let map: Vec<u32> = out
            .stdout()
            .split_whitespace()
            .filter_map(|n| n.parse().ok())
            .collect();
        match first {
            Some(first) => assert_eq!(map, [0, me.uid, 1, 1, first, 1000], "{text:?}{out}"),
            None => assert_eq!(map, [0, me.uid, 1], "{text:?}{out}"),
        }
        out.status_is(0);
    }
    // newuidmap takes no carriage return: what it would refuse is left out.
    let out = with_subids(me, &root, &format!("{name}:400000:1000\r\n"));
    assert!(
        out.status_is(0).stdout().trim_start().starts_with("0 "),
        "{out}"
    );
    assert_no_traces(&root);
}

/// Where nsswitch.conf names one, and also for a caller who ignores SIGCHLD, which
/// takes away what waiting relies on.
fn the_name_service_is_asked(me: &User) {
    if !host_is_root() {
        skip!("replacing /etc/nsswitch.conf needs root");
    }
    let root = root(me);
    let dir = scratch_dir(me);
    let answer = format!("#!/bin/sh\necho '0: {} 400000 1000'\n", me.name);
    tests::install(answer.as_bytes(), &dir.join("getsubids"), 0o755);
    let service = dir.join("nsswitch.conf");
    std::fs::write(&service, b"# caf\xe9\nsubid: tests\n").unwrap();
    let setup = format!("mount --bind {} /etc/nsswitch.conf", service.display());
    let cmd = me.contain().arg("--explain").arg(&root);
    let cmd = cmd.env("PATH", format!("{}:/usr/bin:/bin", dir.display()));
    for front in [&["env"][..], &["env", "--ignore-signal=CHLD"]] {
        let out = cmd.clone().under(front).setup(&setup).run();
        assert_eq!(out.ok().matches("400000").count(), 2, "{out}");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

fn with_subids(me: &User, root: &Root, text: &str) -> Out {
    let dir = scratch_dir(me);
    let file = dir.join("subids");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let file = file.display();
    let setup = format!("mount --bind {file} /etc/subuid; mount --bind {file} /etc/subgid");
    let out = me.sh(root, "cat /proc/self/uid_map").setup(&setup).run();
    std::fs::remove_dir_all(dir).unwrap();
    out
}

fn files_of_other_ids(me: &User) {
    let root = root(me);
    let script = "touch /tmp/a && chown 12:34 /tmp/a && stat -c %u:%g /tmp/a";
    let out = me.sh(&root, script).run();
    if !me.many_ids() {
        assert_ne!(
            out.code(),
            Some(0),
            "an id that is not mapped was given a file{out}"
        );
        return;
    }
    out.says("12:34");
    let meta = std::fs::metadata(root.at("/tmp/a")).unwrap();
    let ids = (
        std::os::unix::fs::MetadataExt::uid(&meta),
        std::os::unix::fs::MetadataExt::gid(&meta),
    );
    assert_eq!(
        ids,
        (
            me.outside("uid", 12).unwrap(),
            me.outside("gid", 34).unwrap()
        )
    );
}
