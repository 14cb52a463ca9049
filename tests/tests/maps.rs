//! Id maps: the grammar, the words, the defaults and the setgroups rule.

use tests::{As, User, assert_no_traces, each_user, root, scratch_dir, skip, some_users};

each_user!(
    a_bad_map_is_a_usage_error,
    bad_maps_start_nothing,
    three_hundred_and_forty_one_ranges_are_too_many,
    the_default_map,
    setgroups_follows_the_delegation,
    the_words,
    a_map_without_zero,
    pseudo_has_the_same_maps,
);

some_users!(
    semicolons_separate_too: root delegated,
);

const BAD: [&str; 22] = [
    "",
    "0",
    "0:0",
    "0:0:0",
    "-1:0:1",
    "+0:0:1",
    "0:+1:1",
    "0x0:0:1",
    "4294967296:0:1",
    "0:4294967296:1",
    "0:0:4294967296",
    "0:1000:1x",
    "0:1000:1 ",
    " 0:1000:1",
    "0:1000:1:1",
    ",",
    "0:1000:2,1:2000:2",
    "0:1000:2,5:1001:2",
    "4294967295:1000:2",
    "0:4294967295:2",
    "nonsense",
    "0:1000:1\n",
];

fn a_bad_map_is_a_usage_error(me: &User) {
    let root = root(me);
    for map in BAD {
        for option in ["-u", "-g"] {
            let out = me
                .contain()
                .args(["-c", option, map])
                .arg(&root)
                .args(["/bin/echo", "ran"])
                .run();
            out.refused(64);
            me.pseudo()
                .args([option, map, "/bin/echo", "ran"])
                .run()
                .refused(64);
        }
    }
    assert_no_traces(&root);
}

fn bad_maps_start_nothing(me: &User) {
    let root = root(me);
    let dir = scratch_dir(me);
    let touch = format!("touch {}/marker", dir.display());
    for map in ["0:0", "0:1000:2,1:2000:2", "5:4294967290:10", "1:1000:1"] {
        let out = me
            .contain()
            .args(["-c", "-u", map, "-o", &touch, "-i", &touch])
            .arg(&root);
        let out = out.args(["/bin/touch", "/started"]).run();
        assert_ne!(out.code(), Some(0), "{out}");
        assert!(
            !dir.join("marker").exists() && !root.at("/started").exists(),
            "started{out}"
        );
        assert!(!root.at("/dev").exists(), "the root was changed{out}");
    }
    assert_no_traces(&root);
    std::fs::remove_dir_all(dir).unwrap();
}

/// The kernel takes 340.
fn three_hundred_and_forty_one_ranges_are_too_many(me: &User) {
    let root = root(me);
    let own = me.outside("uid", 0).unwrap();
    let first = format!("0:{own}:1");
    // Short numbers: the kernel takes no more than a page of text either.
    let others = (1..341).map(|n| format!("{0}:{0}:1", n * 2));
    let map: Vec<String> = std::iter::once(first).chain(others).collect();
    let out = me
        .contain()
        .args(["-c", "-u", &map.join(",")])
        .arg(&root)
        .args(["/bin/echo", "ran"]);
    out.run().refused_naming(64, &["340"]);
    if me.kind == As::Root {
        let map = map[..340].join(",");
        let out = me.contain().args(["-c", "-u", &map, "-g", &map]).arg(&root);
        let out = out.args(["/bin/sh", "-c", "wc -l </proc/self/uid_map"]);
        assert_eq!(out.run().status_is(0).stdout().trim(), "340");
    }
}

fn default_map(me: &User, which: &str) -> Vec<[u32; 3]> {
    if me.kind == As::Root {
        return vec![[0, u32::MAX - 1, 1], [1, 1, u32::MAX - 2]];
    }
    let own = if which == "uid" { me.uid } else { me.gid };
    let mut map = vec![[0, own, 1]];
    let mut next = 1;
    for (first, count) in me.sub_ids(which) {
        map.push([next, first, count]);
        next += count;
    }
    map
}

fn the_default_map(me: &User) {
    let root = root(me);
    let plain = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    if plain.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"] {
        skip!("the suite itself runs in a user namespace");
    }
    for which in ["uid", "gid"] {
        let read = format!("cat /proc/self/{which}_map");
        let out = me.sh(&root, &read).run();
        assert_eq!(out.map(), default_map(me, which), "{out}");
        let out = me.pseudo().args(["sh", "-c", &read]).run();
        assert_eq!(out.map(), default_map(me, which), "{out}");
        let out = me
            .contain()
            .args(["-c", &format!("-{}", &which[..1]), "auto"])
            .arg(&root);
        let out = out.args(["/bin/sh", "-c", &read]).run();
        assert_eq!(out.map(), default_map(me, which), "{out}");
    }
}

fn setgroups_follows_the_delegation(me: &User) {
    let root = root(me);
    let wanted = if me.many_ids() { "allow" } else { "deny" };
    me.sh(&root, "cat /proc/self/setgroups").run().says(wanted);
    me.pseudo()
        .args(["cat", "/proc/self/setgroups"])
        .run()
        .says(wanted);
}

fn semicolons_separate_too(me: &User) {
    let root = root(me);
    let (zero, one) = (me.outside("uid", 0).unwrap(), me.outside("uid", 1).unwrap());
    for separator in [";", ","] {
        let map = format!("0:{zero}:1{separator}7:{one}:3");
        let out = me.contain().args(["-c", "-u", &map]).arg(&root);
        let out = out.args(["/bin/cat", "/proc/self/uid_map"]).run();
        assert_eq!(out.map(), [[0, zero, 1], [7, one, 3]], "{out}");
    }
}

fn the_words(me: &User) {
    let root = root(me);
    let read = "cat /proc/self/uid_map";
    let out = me
        .pseudo()
        .args(["-u", "root", "-g", "root", "sh", "-c", read])
        .run();
    assert_eq!(out.map(), [[0, me.uid, 1]], "{out}");
    let out = me
        .pseudo()
        .args(["-u", "keep", "-g", "keep", "sh", "-c", read])
        .run();
    if me.kind == As::Root {
        return;
    }
    if me.many_ids() {
        let map = out.map();
        assert!(
            map.contains(&[me.uid, me.uid, 1]),
            "the caller's id is not kept{out}"
        );
        assert!(
            map.iter().any(|range| range[0] == 0 && range[1] != me.uid),
            "no 0{out}"
        );
    } else {
        // Nothing is left that 0 could be.
        assert!(
            out.code() != Some(0) || out.map() == [[0, me.uid, 1]],
            "{out}"
        );
    }
    let out = me
        .contain()
        .args(["-c", "-u", "root", "-g", "root"])
        .arg(&root);
    assert_eq!(
        out.args(["/bin/sh", "-c", read]).run().map(),
        [[0, me.uid, 1]]
    );
}

fn a_map_without_zero(me: &User) {
    let root = root(me);
    let own = me.outside("uid", 0).unwrap();
    for program in [me.contain().arg("-c"), me.pseudo()] {
        let is_pseudo = program.program().to_string_lossy().ends_with("pseudo");
        for option in ["-u", "-g"] {
            let cmd = program.clone().args([option, &format!("5:{own}:1")]);
            let cmd = if is_pseudo { cmd } else { cmd.arg(&root) };
            let out = cmd.args(["/bin/echo", "ran"]).run();
            out.refused_naming(64, &["0"]);
        }
    }
    assert_no_traces(&root);
}

fn pseudo_has_the_same_maps(me: &User) {
    let root = root(me);
    for which in ["uid_map", "gid_map"] {
        let path = format!("/proc/self/{which}");
        let inside = me
            .contain()
            .arg("-c")
            .arg(&root)
            .args(["/bin/cat", &path])
            .run();
        let pseudo = me.pseudo().args(["cat", &path]).run();
        assert_eq!(inside.map(), pseudo.map());
    }
}
