//! pseudo --fake-owner: owners, devices and ids that a user namespace of one id has
//! not, told to programs and kept with the files.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::{
    As, Cmd, Root, SECOND, User, comm, each_user, eventually, host_is_root, root, scratch_dir,
    some_users,
};

each_user!(
    owners_are_told_and_kept,
    they_stay_with_moved_and_linked_files,
    a_static_program_is_told_the_same,
    programs_of_32_bits_are_told_the_same,
    devices_are_files_in_truth,
    a_change_of_owner_takes_set_id_bits,
    attributes_are_not_copied_for_themselves,
    an_archive_comes_back_as_it_was,
    copies_are_as_the_original,
    a_package_is_installed,
    paths_are_the_program_s_own,
    magic_links_are_the_program_s_own,
    who_has_changed_its_ids_stays_changed,
    ids_are_handed_on,
    new_files_belong_to_who_makes_them,
    a_whiteout_is_one,
    many_programs_at_once,
    threads_are_told_what_others_did,
    a_second_one_leaves_it_to_the_first,
    a_file_system_without_attributes_is_named,
    new_files_are_there_without_attributes,
    a_reader_of_errors_that_is_gone_ends_nothing,
    statuses_are_the_program_s,
    nothing_stays_behind,
    a_killed_listener_ends_the_program,
    a_container_is_told_and_keeps_owners,
    a_container_s_paths_end_at_its_root,
    a_container_keeps_what_its_profile_says,
    a_container_without_its_listener_ends,
    a_container_without_its_watcher_ends,
    nothing_outlives_a_killed_supervisor,
);

some_users!(
    many_ids_are_used_as_they_are: root delegated,
    a_container_of_many_ids_asks_nobody: root delegated,
    no_warning_is_due: plain,
    a_dropped_right_is_nobody_s: delegated,
    files_of_others_are_not_marked: delegated plain,
);

/// In a user namespace of one id, whatever is delegated.
fn fake(me: &User) -> Cmd {
    me.pseudo().args(["-f", "-u", "root", "-g", "root"])
}

/// A shell script under it in this directory.
fn sh(me: &User, dir: &Path, script: &str) -> Cmd {
    fake(me)
        .cwd(dir)
        .args(["sh", "-ec", &format!("umask 022; {script}"), "sh"])
}

/// A directory that goes with the test.
struct Dir(PathBuf);

impl Dir {
    fn of(me: &User) -> Dir {
        Dir(scratch_dir(me))
    }
}

impl std::ops::Deref for Dir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// One of each type, with an owner that is not there, and set-id bits.
const ODD: &str = "
    mkdir odd; cd odd
    echo text >file; chown 33:44 file; chmod 4751 file
    echo more >secret; chown 0:42 secret; chmod 0 secret
    mkdir dir; chown 5:6 dir; chmod 3770 dir
    echo below >dir/below; chown 4000000:70000 dir/below
    ln file dir/hard
    ln -s file link; chown -h 7:8 link
    mkfifo pipe; chown 9:10 pipe; chmod 620 pipe
    mknod null c 1 3; chown 0:5 null; chmod 666 null
    mknod disk b 259 70000; chown 0:6 disk; chmod 660 disk
    cd ..
";

const FIND: &str = "find odd -printf '%p %U:%G %m %y %l\\n' | LC_ALL=C sort; \
                    stat -c '%n %t:%T' odd/null odd/disk";

const FOUND: &str = "\
odd 0:0 755 d
odd/dir 5:6 3770 d
odd/dir/below 4000000:70000 644 f
odd/dir/hard 33:44 4751 f
odd/disk 0:6 660 b
odd/file 33:44 4751 f
odd/link 7:8 777 l file
odd/null 0:5 666 c
odd/pipe 9:10 620 p
odd/secret 0:42 0 f
odd/null 1:3
odd/disk 103:11170";

/// Lines without the blanks at their ends.
fn lines(text: &str) -> String {
    text.lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

fn owners_are_told_and_kept(me: &User) {
    let dir = Dir::of(me);
    let out = sh(me, &dir, &format!("{ODD} {FIND}")).run().ok();
    assert_eq!(lines(&out), FOUND);
    // Another time, and by another call.
    assert_eq!(lines(&sh(me, &dir, FIND).run().ok()), FOUND);
    sh(
        me,
        &dir,
        "stat -c %u:%g odd/file; stat - <odd/dir/below -c %u:%g",
    )
    .run()
    .says("33:44\n4000000:70000");
    let meta = std::fs::metadata(dir.join("odd/file")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (me.uid, me.gid), "outside");
}

fn they_stay_with_moved_and_linked_files(me: &User) {
    let dir = Dir::of(me);
    let script = format!(
        "{ODD} mkdir new; mv odd/link odd/pipe odd/file new/; ln new/link new/pipe .
         mv new/link new/other
         find link pipe new -printf '%p %U:%G %y\\n' | LC_ALL=C sort"
    );
    sh(me, &dir, &script).run().says(
        "link 7:8 l\nnew 0:0 d\nnew/file 33:44 f\nnew/other 7:8 l\nnew/pipe 9:10 p\npipe 9:10 p",
    );
}

fn a_static_program_is_told_the_same(me: &User) {
    let dir = Dir::of(me);
    sh(me, &dir, ODD).run().ok();
    let script = "for f in file dir link pipe null disk; do
        busybox stat -c '%n %u:%g %a %F %t' odd/$f; done
        busybox chown 3:4 odd/file; busybox stat -c %u:%g odd/file";
    sh(me, &dir, script).run().says(
        "odd/file 33:44 4751 regular file 0\nodd/dir 5:6 3770 directory 0\n\
         odd/link 7:8 777 symbolic link 0\nodd/pipe 9:10 620 fifo 0\n\
         odd/null 0:5 666 character special file 1\nodd/disk 0:6 660 block special file 103\n3:4",
    );
}

/// By the old way into the kernel, which a program of 64 bits has as well.
const OLD_CALLS: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static char path[256]; static unsigned char buf[256]; static unsigned ids[3];
static int call(int n, long a, long b, long c) {
    int r;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(n), "b"(a), "c"(b), "d"(c) : "memory");
    return r;
}
#define P(x) ((long)(x))
int main(void) {
    strcpy(path, "old"); close(open(path, O_CREAT | O_RDWR, 0640));
    int r = call(212, P(path), 70000, 42); /* chown32, stat64 */
    r |= call(195, P(path), P(buf), 0);
    printf("%d %u:%u %o\n", r, *(unsigned *)(buf + 24), *(unsigned *)(buf + 28),
        *(unsigned *)(buf + 16));
    r = call(16, P(path), 33, 0xffff); /* lchown, stat: 16 bits */
    r |= call(106, P(path), P(buf), 0);
    printf("%d %u:%u %o\n", r, *(unsigned short *)(buf + 12), *(unsigned short *)(buf + 14),
        *(unsigned short *)(buf + 8));
    r = call(213, 100000, 0, 0); /* setuid32, getresuid32, getuid */
    r |= call(209, P(ids), P(ids + 1), P(ids + 2));
    printf("%d %u %u %d\n", r, ids[0], ids[2], call(24, 0, 0, 0) & 0xffff);
    printf("%d\n", call(213, 0, 0, 0));
}
"#;

/// Makes `program` in this directory.
fn compile(dir: &Path, source: &str, options: &[&str]) {
    std::fs::write(dir.join("program.c"), source).unwrap();
    let mut cc = Command::new("gcc");
    cc.args(options).arg("-o").arg(dir.join("program"));
    let status = cc.arg(dir.join("program.c")).status();
    assert!(status.expect("gcc").success());
}

fn programs_of_32_bits_are_told_the_same(me: &User) {
    if !cfg!(target_arch = "x86_64") {
        tests::skip!("the program is one of x86");
    }
    let dir = Dir::of(me);
    compile(&dir, OLD_CALLS, &["-static", "-no-pie", "-fno-pie"]);
    fake(me)
        .cwd(&*dir)
        .arg("./program")
        .run()
        .says("0 70000:42 100640\n0 33:42 100640\n0 100000 100000 65534\n-1");
}

fn devices_are_files_in_truth(me: &User) {
    let dir = Dir::of(me);
    sh(me, &dir, ODD).run().ok();
    let meta = std::fs::metadata(dir.join("odd/null")).unwrap();
    assert!(meta.is_file() && meta.len() == 0, "{meta:?}");
    // The name is taken, and what fails leaves nothing.
    let out = sh(me, &dir, "mknod odd/null c 1 5").run();
    assert_eq!(out.code(), Some(1), "{out}");
    assert!(out.stderr.contains("File exists"), "{out}");
    let script = "cd odd/dir; mknod --mode 0600 a c 1 3; stat -c '%a %F' a; ls | wc -l";
    sh(me, &dir, script)
        .run()
        .says("600 character special file\n3");
}

fn a_change_of_owner_takes_set_id_bits(me: &User) {
    let dir = Dir::of(me);
    let script = "touch a b; mkdir c; chmod 6755 a c; chmod 2644 b
        chown 33:44 a b c; stat -c '%a %u:%g' a b c
        chmod 6755 a; chown 0:0 a; stat -c '%a %u:%g' a";
    // A bit for the group that may not execute is for locks, and stays: chown(2).
    sh(me, &dir, script)
        .run()
        .says("755 33:44\n2644 33:44\n6755 33:44\n755 0:0");
}

fn attributes_are_not_copied_for_themselves(me: &User) {
    let dir = Dir::of(me);
    let script = "echo a >a; chown 33:44 a; cp --preserve=xattr,mode a b; cp --preserve=all a c
        ln -s a l; chown -h 5:6 l; cp -d --preserve=xattr l m; mkfifo p; chown 7:8 p
        cp -R --preserve=xattr p q; stat -c %u:%g b c m q";
    sh(me, &dir, script).run().says("0:0\n33:44\n0:0\n0:0");
    // But those that a file has for what it is.
    let script = "cp /bin/true t; setcap cap_net_raw=ep t; chown 3:3 t; getcap t
        setcap cap_net_raw=ep t; cp -a t u; getcap u; stat -c %u u";
    sh(me, &dir, script)
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .run()
        .says("u cap_net_raw=ep\n3");
}

fn an_archive_comes_back_as_it_was(me: &User) {
    let dir = Dir::of(me);
    sh(
        me,
        &dir,
        &format!("{ODD} tar -cf odd.tar odd; mv odd first"),
    )
    .run()
    .ok();
    sh(me, &dir, "tar --numeric-owner -xpf odd.tar").run().ok();
    assert_eq!(lines(&sh(me, &dir, FIND).run().ok()), FOUND);
    let script = "busybox tar -cf again.tar odd; rm -r odd; tar --numeric-owner -xpf again.tar";
    sh(me, &dir, script).run().ok();
    assert_eq!(lines(&sh(me, &dir, FIND).run().ok()), FOUND);
    // This one leaves links to root, as it does for root.
    sh(me, &dir, "rm -r odd; busybox tar -xf odd.tar")
        .run()
        .ok();
    let found = lines(&sh(me, &dir, FIND).run().ok());
    assert_eq!(found, FOUND.replace("link 7:8", "link 0:0"));
    if host_is_root() {
        // Root unpacks it elsewhere, with owners in truth.
        let script = format!("mkdir there; cd there; tar --numeric-owner -xpf ../odd.tar; {FIND}");
        let out = Command::new("sh")
            .args(["-ec", &script])
            .current_dir(&*dir)
            .output();
        let out = out.expect("sh");
        assert!(out.status.success(), "{out:?}");
        assert_eq!(lines(&String::from_utf8_lossy(&out.stdout)), FOUND);
    }
}

fn copies_are_as_the_original(me: &User) {
    let dir = Dir::of(me);
    let script = format!("{ODD} cp -a odd copy; mv odd first; mv copy odd; {FIND}");
    assert_eq!(lines(&sh(me, &dir, &script).run().ok()), FOUND);
}

/// A package with every odd entry, made and installed by Debian's own tools.
fn a_package_is_installed(me: &User) {
    let dir = Dir::of(me);
    let script = format!(
        "{ODD} rm odd/pipe odd/null odd/disk
         mkdir -p pkg/DEBIAN root/var/lib/dpkg/info root/var/lib/dpkg/updates
         mv odd pkg/odd; touch root/var/lib/dpkg/status root/var/lib/dpkg/available
         printf '%s\\n' 'Package: odd' 'Version: 1' 'Architecture: all' \
            'Maintainer: nobody <a@b>' 'Description: odd' >pkg/DEBIAN/control
         dpkg-deb -b pkg odd.deb
         dpkg --root=$PWD/root --log=$PWD/log --force-not-root -i odd.deb
         dpkg --root=$PWD/root --verify odd; mv root/odd .
         find odd -printf '%p %U:%G %m %y %l\\n' | LC_ALL=C sort >found"
    );
    let out = sh(me, &dir, &script).run();
    assert_eq!(out.code(), Some(0), "{out}");
    let found = std::fs::read_to_string(dir.join("found")).unwrap();
    let kept = |line: &&str| {
        !["pipe", "null", "disk"]
            .iter()
            .any(|name| line.contains(name))
    };
    let wanted: Vec<_> = FOUND.lines().filter(kept).collect();
    assert_eq!(lines(&found), wanted.join("\n"), "{out}");
}

fn paths_are_the_program_s_own(me: &User) {
    let dir = Dir::of(me);
    // A root of its own, in which the same path is another file.
    let script = "mkdir -p root/bin root/at at; touch at/file root/at/file
        cp $(command -v busybox) root/bin/; chown 1:1 at/file
        chroot root /bin/busybox chown 2:2 /at/file
        ln -s /at/file root/link
        chroot root /bin/busybox sh -c 'cd /at; /bin/busybox stat -c %u /at/file file ../link
            /bin/busybox stat -L -c %u ../link ../../../link'
        stat -c %u at/file root/at/file $PWD/at/file";
    sh(me, &dir, script).run().says("2\n2\n0\n2\n2\n1\n2\n1");
    // And mounts.
    let script = "mkdir -p over; touch over/file; chown 3:3 over/file
        unshare -m sh -ec 'mount -t tmpfs none over; touch over/file; chown 4:4 over/file
            stat -c %u over/file $PWD/over/file'
        stat -c %u over/file";
    sh(me, &dir, script).run().says("4\n4\n3");
    fake(me)
        .arg("-m")
        .cwd(&*dir)
        .args([
            "sh",
            "-ec",
            "mount -t tmpfs none at; touch at/a; chown 5:5 at/a; stat -c %u at/a",
        ])
        .run()
        .says("5");
}

fn magic_links_are_the_program_s_own(me: &User) {
    let dir = Dir::of(me);
    let script = "touch a; exec 3<a; chown 3:3 /proc/self/fd/3; stat -Lc %u /dev/fd/3 a
        ln -s /proc/self/cwd/a b; chown 4:4 b; stat -c %u a /proc/self/cwd/a
        stat -c %F /proc/self/fd/3; stat -Lc %F /dev/stdin
        stat -Lc %u //proc/self/fd/3 /./proc/self/fd/3; cd /proc; stat -Lc %u self/fd/3";
    sh(me, &dir, script)
        .run()
        .says("3\n3\n4\n4\nsymbolic link\ncharacter special file\n4\n4\n4");
}

fn who_has_changed_its_ids_stays_changed(me: &User) {
    let dir = Dir::of(me);
    let script = "setpriv --reuid 1000 --regid 1001 --groups 5,6 sh -c '
        id -u; id -ru; id -g; id -G
        setpriv --reuid 0 true 2>/dev/null || echo no way back
        chown 1:1 file 2>/dev/null || echo not ours'; id -u";
    sh(me, &dir, &format!("touch file; {script}"))
        .run()
        .says("1000\n1000\n1001\n1001 5 6\nno way back\nnot ours\n0");
}

fn ids_are_handed_on(me: &User) {
    let dir = Dir::of(me);
    // Also to whose parent is gone.
    let script = "setpriv --reuid 1000 --regid 1000 --clear-groups \
            sh -c '(sleep 0.3; id -u >left) & (setsid sh -c \"sleep 0.1; id -u\" &); id -u'
        while ! [ -s left ]; do sleep 0.1; done; cat left";
    sh(me, &dir, script).run().says("1000\n1000\n1000");
}

fn new_files_belong_to_who_makes_them(me: &User) {
    let dir = Dir::of(me);
    let script = "umask 027; mkdir own shared; chown 3:4 own; chown 0:5 shared; chmod 2755 shared
        setpriv --reuid 1000 --regid 1001 --clear-groups sh -c '
            cd own; echo text >file; echo more >>file; cat file; mkdir dir; ln -s x link
            mkfifo pipe; touch old; set -C; echo no >old || echo there
            find . -mindepth 1 -printf \"%p %U:%G %m %y\\n\" | LC_ALL=C sort' 2>/dev/null
        cd shared; touch file; mkdir dir; touch dir/file; ln -s x link
        find . -mindepth 1 -printf '%p %U:%G %m %y\\n' | LC_ALL=C sort
        cd ../own; touch root; stat -c %u:%g root
        setpriv --reuid 1000 --clear-groups mkdir a b//; stat -c %u:%g a b";
    sh(me, &dir, script).run().says(
        "text\nmore\nthere\n./dir 1000:1001 750 d\n./file 1000:1001 640 f\n\
         ./link 1000:1001 777 l\n./old 1000:1001 640 f\n./pipe 1000:1001 640 p\n\
         ./dir 0:5 2750 d\n./dir/file 0:5 640 f\n./file 0:5 640 f\n./link 0:5 777 l\n0:0\n1000:0\n1000:0",
    );
}

/// It is made by anybody, in truth, and is nothing that has an owner.
fn a_whiteout_is_one(me: &User) {
    let dir = Dir::of(me);
    let script = "mknod w c 0 0; stat -c '%F %t:%T' w; find . -name w -printf '%y %s\\n'";
    sh(me, &dir, script)
        .run()
        .says("character special file 0:0\nc 0");
    let meta = std::fs::symlink_metadata(dir.join("w")).unwrap();
    assert_eq!(meta.mode() & libc::S_IFMT, libc::S_IFCHR);
}

fn many_programs_at_once(me: &User) {
    let dir = Dir::of(me);
    let script = "for i in 1 2 3 4 5 6 7 8; do (
            for j in 1 2 3 4 5 6 7 8 9 10 11 12; do
                echo $j >f$i; chown $i:$j f$i; [ \"$(stat -c %u:%g f$i)\" = $i:$j ] || echo f$i
                chown 0:0 f$i; rm f$i
            done ) & done; wait";
    sh(me, &dir, script).run().says("");
}

/// Threads with descriptors in common, of which one changes who they all are.
const THREADS: &str = r#"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
static pthread_barrier_t all;
static void *work(void *argument) {
    long n = (long)argument;
    char path[16];
    struct stat status;
    sprintf(path, "t%ld", n);
    int fd = open(path, O_CREAT | O_RDWR, 0644);
    for (int i = 1; i < 100; i++) {
        if (fchown(fd, n, i) || fstat(fd, &status) || status.st_uid != n || status.st_gid != i)
            exit(1);
        if (lstat(path, &status) || status.st_uid != n || status.st_gid != i)
            exit(2);
    }
    pthread_barrier_wait(&all);
    if (n == 1 && setresuid(1000, 1000, 1000))
        exit(3);
    pthread_barrier_wait(&all);
    if (getuid() != 1000 || geteuid() != 1000 || setuid(0) == 0)
        exit(4);
    return 0;
}
int main(void) {
    pthread_t threads[8];
    pthread_barrier_init(&all, 0, 8);
    for (long n = 0; n < 8; n++)
        pthread_create(threads + n, 0, work, (void *)(n + 1));
    for (int n = 0; n < 8; n++)
        pthread_join(threads[n], 0);
    puts("done");
}
"#;

fn threads_are_told_what_others_did(me: &User) {
    let dir = Dir::of(me);
    compile(&dir, THREADS, &["-pthread"]);
    fake(me).cwd(&*dir).arg("./program").run().says("done");
}

fn a_second_one_leaves_it_to_the_first(me: &User) {
    let dir = Dir::of(me);
    let pseudo = me.pseudo();
    let script = "touch a; chown 3:3 a
        \"$1\" -f sh -c 'stat -c %u a; chown 4:4 a; stat -c %u a'; stat -c %u a";
    sh(me, &dir, script)
        .arg(pseudo.program())
        .run()
        .says("3\n4\n4");
    // Nor does a container need one of its own.
    let root = own_root(me);
    let script = "touch $2/home/a; chown 3:3 $2/home/a
        \"$1\" -c --fake-owner $2 /bin/sh -c 'cd /home; stat -c %u a; chown 4:4 a /etc/group'
        stat -c %u $2/home/a $2/etc/group";
    sh(me, &dir, script)
        .arg(me.contain().program())
        .arg(&root)
        .run()
        .says("3\n4\n4");
}

fn files_of_others_are_not_marked(me: &User) {
    let dir = Dir::of(me);
    let shared = dir.join("shared");
    if host_is_root() {
        std::fs::write(&shared, "").unwrap();
        std::fs::set_permissions(&shared, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .unwrap();
        let out = sh(me, &dir, "chown 3:3 shared").run();
        assert_eq!(out.code(), Some(1), "{out}");
    }
    let out = sh(me, &dir, "chown 3:3 /etc/passwd").run();
    assert_eq!(out.code(), Some(1), "{out}");
    sh(me, &dir, "stat -c %u /etc/passwd").run().says("65534");
}

fn a_file_system_without_attributes_is_named(me: &User) {
    let dir = Dir::of(me);
    let script = "mount -t ramfs none .; cd .; cd \"$PWD\"; touch a; chown 3:3 a; exit 7";
    let out = fake(me)
        .arg("-m")
        .cwd(&*dir)
        .args(["sh", "-c", script])
        .run();
    assert_eq!(out.code(), Some(7), "{out}");
    let first = out.stderr.lines().next().unwrap_or_default();
    assert!(
        first.starts_with("pseudo: cannot remember owners on ramfs: "),
        "{out}"
    );
    assert!(out.stderr.contains("chown: changing ownership"), "{out}");
}

/// Nor is what can have no owner there any less for it.
fn new_files_are_there_without_attributes(me: &User) {
    let dir = Dir::of(me);
    let script = "mount -t ramfs none .; cd \"$PWD\"; chmod 777 .
        setpriv --reuid 1000 --clear-groups sh -ec 'touch a; mkdir b; mkfifo c; ln -s a d; ls'";
    let cmd = fake(me).arg("-m").cwd(&*dir);
    cmd.args(["sh", "-ec", script]).run().says("a\nb\nc\nd");
}

/// What it has to say of an owner kills nobody.
fn a_reader_of_errors_that_is_gone_ends_nothing(me: &User) {
    let dir = Dir::of(me);
    let script =
        "mount -t ramfs none .; cd \"$PWD\"; touch a; mkfifo p; true <p & exec 2>p; wait $!
        chown 3:3 a || id -u; stat -c %u a";
    let cmd = fake(me).arg("-m").cwd(&*dir);
    cmd.args(["sh", "-c", script]).run().says("0\n0");
}

fn statuses_are_the_program_s(me: &User) {
    for code in [0, 1, 64, 255] {
        fake(me)
            .args(["sh", "-c", &format!("exit {code}")])
            .run()
            .status_is(code);
    }
    fake(me)
        .arg("/no/such/command")
        .run()
        .refused_naming(127, &["/no/such/command"]);
    let out = fake(me).args(["sh", "-c", "kill -TERM $$"]).run();
    let signal = std::os::unix::process::ExitStatusExt::signal(&out.status);
    assert_eq!(signal, Some(15), "{out}");
    let cmd = fake(me).args(["sh", "-c", "echo $$; sleep 1000; :"]);
    let running = cmd.start();
    let pid = running.pid();
    running.wait_for(&format!("{pid}\n"));
    assert!(
        eventually(5 * SECOND, || tests::children(pid).len() == 1),
        "the listener is a child"
    );
}

/// Processes of ours that serve the command with this word on its line.
fn servers(word: &str) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let ours = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let named = line.windows(word.len()).any(|at| at == word.as_bytes());
        named && comm(*pid) == "nscore"
    };
    pids.filter(ours).collect()
}

fn nothing_stays_behind(me: &User) {
    let word = format!("mark-{}-{}", me.name, std::process::id());
    let mut running = fake(me)
        .args(["sh", "-c", "echo up; read x || :", &word])
        .input("")
        .start();
    running.wait_for("up");
    assert!(eventually(10 * SECOND, || running.try_wait().is_some()));
    assert!(
        eventually(5 * SECOND, || servers(&word).is_empty()),
        "{:?}",
        servers(&word)
    );
}

fn a_killed_listener_ends_the_program(me: &User) {
    let word = format!("kill-{}-{}", me.name, std::process::id());
    let cmd = fake(me).args([
        "sh",
        "-c",
        "id -u; echo up; while :; do sleep 0.01; done",
        &word,
    ]);
    let mut running = cmd.start();
    running.wait_for("up");
    let pids = servers(&word);
    // The listener is the child of its watcher.
    let listener = pids.iter().find(|pid| {
        let parent = tests::status_field(**pid, "PPid").and_then(|pid| pid.parse().ok());
        parent.is_some_and(|parent: u32| pids.contains(&parent))
    });
    tests::kill(*listener.unwrap_or_else(|| panic!("{pids:?}")));
    assert!(eventually(10 * SECOND, || running.try_wait().is_some()));
    let out = running.finish();
    let signal = std::os::unix::process::ExitStatusExt::signal(&out.status);
    assert_eq!(signal, Some(9), "{out}");
    // What it had started may have its own to say of calls that are not there.
    let said = "pseudo: cannot go on: the process that answers for owners was killed\n";
    assert!(out.stderr.starts_with(said), "{out}");
    assert!(eventually(5 * SECOND, || servers(&word).is_empty()));
}

fn many_ids_are_used_as_they_are(me: &User) {
    let dir = Dir::of(me);
    if host_is_root() {
        let owner = me.outside("uid", 0);
        std::os::unix::fs::chown(&*dir, owner, me.outside("gid", 0)).unwrap();
    }
    me.pseudo()
        .arg("-f")
        .cwd(&*dir)
        .args(["sh", "-c", "touch a; chown 3:4 a; stat -c %u:%g a"])
        .run()
        .says("3:4");
    let meta = std::fs::metadata(dir.join("a")).unwrap();
    assert_eq!(Some(meta.uid()), me.outside("uid", 3));
    assert_eq!(Some(meta.gid()), me.outside("gid", 4));
}

fn no_warning_is_due(me: &User) {
    let out = me.pseudo().args(["-f", "true"]).run();
    assert!(out.code() == Some(0) && out.stderr.is_empty(), "{out}");
}

/// A root file system of busybox for a container of one id.
fn own_root(me: &User) -> Root {
    let root = root(me);
    if me.kind == As::Root {
        let mut chown = Command::new("chown");
        let status = chown.args(["-hR", "0:0"]).arg(&root).status();
        assert!(status.expect("chown").success());
    }
    root
}

/// A shell script in such a container.
fn inside(me: &User, options: &[&str], root: &Root, script: &str) -> Cmd {
    me.contain()
        .args(["-c", "--fake-owner", "-u", "root", "-g", "root"])
        .args(options)
        .arg(root)
        .args(["/bin/sh", "-ec", &format!("umask 022; {script}")])
}

const SHOWN: &str = "stat -c '%n %u:%g %a %F' file link dir null";

const SEEN: &str = "file 33:44 4755 regular empty file\nlink 7:8 777 symbolic link\n\
                    dir 5:6 2770 directory\nnull 0:5 666 character special file";

fn a_container_is_told_and_keeps_owners(me: &User) {
    let root = own_root(me);
    let script = "cd /home; touch file; chown 33:44 file; chmod 4755 file; ln -s file link
        chown -h 7:8 link; mkdir dir; chown 5:6 dir; chmod 2770 dir; mknod -m 666 null c 1 3
        chown 0:5 null";
    inside(me, &[], &root, &format!("{script}; {SHOWN}"))
        .run()
        .says(SEEN);
    // Another time, by another program, and under --init.
    inside(me, &["--init"], &root, &format!("cd /home; {SHOWN}"))
        .run()
        .says(SEEN);
    let out = fake(me).cwd(root.at("home")).args(["sh", "-c", SHOWN]);
    out.run().says(SEEN);
    let meta = std::fs::metadata(root.at("home/file")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (me.uid, me.gid), "outside");
    inside(me, &["--user", "1000:1001"], &root, "id -u; id -g")
        .run()
        .says("1000\n1001");
}

fn a_container_s_paths_end_at_its_root(me: &User) {
    let root = own_root(me);
    let script = "cd /home; ln -s /etc/passwd a; ln -s ../../../../../etc/group b
        chown 3:3 a ../../../../../etc/group; chown 4:4 b; chown 3:3 /home/../../etc
        stat -c %u /etc/passwd /etc/group /etc; stat -L -c %u a b
        exec 3</etc/passwd; chown 5:5 /proc/self/fd/3 2>/dev/null; stat -c %u /etc/passwd
        chown 6:6 /proc/self/root/etc/passwd; stat -c %u /proc/1/root/etc/passwd";
    inside(me, &[], &root, script)
        .run()
        .says("3\n4\n3\n3\n4\n5\n6");
    // The host's are as they were.
    let real = if me.uid == 0 { "0" } else { "65534" };
    fake(me)
        .args(["stat", "-c", "%u", "/etc/passwd", "/etc/group", "/etc"])
        .run()
        .says(&format!("{real}\n{real}\n{real}"));
}

fn a_container_keeps_what_its_profile_says(me: &User) {
    let root = own_root(me);
    let script = "cd /home; touch f; chown 3:3 f; stat -c %u f; grep Seccomp: /proc/self/status
        mount -t tmpfs none /mnt 2>/dev/null || echo strict; chown 4:4 /etc/passwd && echo written";
    let out = inside(
        me,
        &["--strict"],
        &root,
        &script.replace("chown 3", "chown 8:8 f; chown 3"),
    );
    out.run().says("3\nSeccomp:\t2\nstrict\nwritten");
    let out = inside(
        me,
        &["-r", "--tmpfs", "/tmp"],
        &root,
        "chown 3:3 /etc/group",
    )
    .run();
    assert_eq!(out.code(), Some(1), "{out}");
    assert!(out.stderr.contains("Read-only file system"), "{out}");
    inside(
        me,
        &["-x"],
        &root,
        "chown 9:9 /etc/group; stat -c %u /etc/group",
    )
    .run()
    .says("9");
    inside(me, &[], &root, "stat -c %u /etc/group")
        .run()
        .says("0");
}

fn a_container_without_its_listener_ends(me: &User) {
    let root = own_root(me);
    let script = "echo up; while :; do sleep 0.01; done";
    let mut running = inside(me, &[], &root, script).start();
    running.wait_for("up");
    let watchers = tests::children(running.pid()).into_iter();
    let listener = watchers
        .flat_map(tests::children)
        .find(|pid| comm(*pid) == "nscore");
    tests::kill(listener.expect("no listener"));
    assert!(eventually(10 * SECOND, || running.try_wait().is_some()));
    let out = running.finish();
    assert_eq!(out.code(), Some(137), "{out}");
    let said = "contain: cannot go on: the process that answers for owners was killed";
    assert!(out.stderr.lines().any(|line| line == said), "{out}");
}

/// Whose death ends the listener.
fn a_container_without_its_watcher_ends(me: &User) {
    let root = own_root(me);
    let mut running = inside(me, &[], &root, "echo up; while :; do sleep 0.01; done").start();
    running.wait_for("up");
    let watcher = tests::children(running.pid()).into_iter().find(|pid| {
        let below = tests::children(*pid);
        comm(*pid) == "nscore" && below.iter().any(|pid| comm(*pid) == "nscore")
    });
    tests::kill(watcher.expect("no watcher"));
    assert!(eventually(10 * SECOND, || running.try_wait().is_some()));
    let out = running.finish();
    assert_eq!(out.code(), Some(137), "{out}");
    assert!(out.stderr.contains("contain: cannot go on: "), "{out}");
}

/// Of several ids a right that programs have not is not to be had by way of it.
fn a_dropped_right_is_nobody_s(me: &User) {
    let root = root(me);
    std::os::unix::fs::lchown(root.at("/home"), Some(me.uid), Some(me.gid)).unwrap();
    let map = |own: u32, which| format!("0:{own}:1,1:{}:10", me.sub_ids(which)[0].0);
    let chown = |options: &[&str]| {
        let script = "cd /home; rm -f f; touch f; chown 5:5 f; stat -c %u:%g f";
        let cmd = me.contain().args(["-c", "--fake-owner"]).args(options);
        let cmd = cmd.args(["-u", &map(me.uid, "uid"), "-g", &map(me.gid, "gid")]);
        cmd.arg(&root).args(["/bin/sh", "-c", script]).run()
    };
    chown(&[]).says("5:5");
    let out = chown(&["--cap-drop", "chown"]);
    assert!(out.stdout().ends_with("0:0\n"), "{out}");
    assert!(out.stderr.contains("Operation not permitted"), "{out}");
}

fn nothing_outlives_a_killed_supervisor(me: &User) {
    let root = own_root(me);
    let running = inside(me, &[], &root, "echo up; while :; do sleep 0.01; done").start();
    running.wait_for("up");
    let all = tests::descendants(running.pid());
    assert!(all.len() >= 4, "{all:?}");
    running.signal(libc::SIGKILL);
    let left = || all.iter().any(|pid| tests::alive(*pid));
    assert!(eventually(5 * SECOND, || !left()), "{all:?}");
    let _ = running.ended();
}

fn a_container_of_many_ids_asks_nobody(me: &User) {
    let root = root(me);
    me.contain()
        .args(["-c", "--fake-owner"])
        .arg(&root)
        .args([
            "/bin/sh",
            "-c",
            "cd /home; touch a; chown 3:4 a; stat -c %u:%g a",
        ])
        .run()
        .says("3:4");
    let meta = std::fs::metadata(root.at("home/a")).unwrap();
    assert_eq!(Some(meta.uid()), me.outside("uid", 3));
    let plan = me.contain().args(["--explain", "--fake-owner"]).arg(&root);
    let plan = plan.run().ok();
    assert!(!plan.contains("listener"), "{plan}");
}
