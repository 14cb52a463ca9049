/*
 * The child of the reference program: late namespaces, identity, mounts, exec.
 */

#include "reference.h"
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

/* The kernel's struct mount_attr: its header and libc's <sys/mount.h> cannot be
   included together everywhere. */
struct mount_attributes {
    uint64_t set, clear, propagation, userns;
};

#define ATTRIBUTE_READ_ONLY 1

/* Before the change of ids, after which this process's files in /proc would
   belong to an id that the new namespace does not map. */
static void enter_late_namespaces(void) {
    struct timespec monotonic, boottime;
    char offsets[80];
    int fd;

    check(unshare(CLONE_NEWCGROUP | CLONE_NEWTIME), "unshare");
    check(clock_gettime(CLOCK_MONOTONIC, &monotonic), "clock_gettime");
    check(clock_gettime(CLOCK_BOOTTIME, &boottime), "clock_gettime");
    snprintf(offsets, sizeof offsets, "monotonic -%lld 0\nboottime -%lld 0\n",
             (long long) monotonic.tv_sec, (long long) boottime.tv_sec);
    write_file("/proc/self/timens_offsets", offsets);
    fd = open("/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
    check(fd, "time_for_children");
    check(setns(fd, CLONE_NEWTIME), "setns");
    check(close(fd), "close");
}

static void become_root(int may_drop_groups) {
    check(setresgid(0, 0, 0), "setresgid");
    if (may_drop_groups)
        check(setgroups(0, NULL), "setgroups");
    check(setresuid(0, 0, 0), "setresuid");
}

void bind_node(const char *source, const char *target) {
    check(mknod(target, S_IFREG | 0600, 0), target);
    check(mount(source, target, NULL, MS_BIND, NULL), target);
}

static void mount_dev(void) {
    static const char *const nodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
    static const char *const links[][2] = {
        {"pts/ptmx", "dev/ptmx"},         {"/proc/self/fd", "dev/fd"},
        {"/proc/self/fd/0", "dev/stdin"}, {"/proc/self/fd/1", "dev/stdout"},
        {"/proc/self/fd/2", "dev/stderr"},
    };
    char source[16], target[16];

    check(mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=0755"), "dev");
    for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++) {
        snprintf(source, sizeof source, "/dev/%s", nodes[i]);
        snprintf(target, sizeof target, "dev/%s", nodes[i]);
        bind_node(source, target);
    }
    check(mkdir("dev/pts", 0755), "dev/pts");
    check(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                "newinstance,ptmxmode=0666,mode=0620"), "dev/pts");
    check(mkdir("dev/shm", 0755), "dev/shm");
    check(mount("tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"), "dev/shm");
    check(mkdir("dev/mqueue", 0755), "dev/mqueue");
    check(mount("mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL),
          "dev/mqueue");
    for (size_t i = 0; i < sizeof links / sizeof *links; i++)
        check(symlink(links[i][0], links[i][1]), links[i][1]);
}

static void mount_sys(void) {
    static const char *const shown[] = {
        "block", "bus", "class", "dev", "devices", "firmware", "module", "power",
    };
    struct mount_attributes read_only = {.set = ATTRIBUTE_READ_ONLY};
    char source[20], target[20];

    check(mount("tmpfs", "sys", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755"), "sys");
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        snprintf(source, sizeof source, "/sys/%s", shown[i]);
        snprintf(target, sizeof target, "sys/%s", shown[i]);
        check(mkdir(target, 0755), target);
        if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0) {
            if (errno == ENOENT)
                continue;
            err(EXIT_FAILURE, "%s", target);
        }
        check(syscall(SYS_mount_setattr, AT_FDCWD, target, AT_RECURSIVE, &read_only,
                      sizeof read_only), target);
    }
    check(mkdir("sys/fs", 0755), "sys/fs");
    check(mkdir("sys/fs/cgroup", 0755), "sys/fs/cgroup");
    /* Only where the host's own is fully visible; contain goes without, too. */
    if (mount("cgroup2", "sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0
        && errno != EPERM && errno != EBUSY)
        err(EXIT_FAILURE, "sys/fs/cgroup");
}

/* contain's own default, compiled from the same lists. */
static void install_filter(void) {
    static struct sock_filter instructions[] = {
#include "filter.h"
    };
    struct sock_fprog program = {.len = sizeof instructions / sizeof *instructions,
                                 .filter = instructions};

    check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

void run_child(int with_console, int may_drop_groups, const char *dir, char **argv) {
    static char *environment[] = {"container=contain", NULL};
    char byte;

    check(close(life[1]), "close");
    if (read(go[1], &byte, 1) != 1)
        _exit(EXIT_FAILURE); /* the parent has said why */
    enter_late_namespaces();
    become_root(may_drop_groups);
    umask(0);
    check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "/");
    check(mount(dir, dir, NULL, MS_BIND | MS_REC, NULL), dir);
    check(chdir(dir), dir);
    mount_dev();
    if (with_console)
        make_console();
    check(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
    mount_sys();
    check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    check(umount2(".", MNT_DETACH), "umount2"); /* the old root, on top of the new */
    umask(022);
    if (with_console)
        take_console();
    if (with_console)
        install_filter();
    execve(argv[0], argv, environment);
    err(127, "%s", argv[0]);
}
