/*
 * The least that a start can cost: a static program that makes the namespaces
 * and mounts of `contain -n` and nothing else, in the fewest system calls its
 * author found.  The benchmark divides by its time.
 *
 *     reference [-p] UIDMAP GIDMAP DIR CMD [ARG]...
 *
 * With -p also a pseudo-terminal from the container's own devpts, which a poll
 * loop drains to stdout, a guard that ends init when this process is killed, and
 * the filter of system calls.
 * A map is in the kernel's own form, one range a line.  Root writes its maps; an
 * ordinary user writes one id, and leaves more than one range to newuidmap and
 * newgidmap.
 */

#include "reference.h"
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x1000
#endif

/* The kernel's struct clone_args, as far as this program goes: its header and
   libc's <sched.h> cannot be included together everywhere. */
struct clone3_args {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
};

#define MAX_WORDS 256 /* of a helper's command line: 84 ranges */

int go[2], life[2];

static void write_map(pid_t child, const char *file, const char *map) {
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/%s", child, file);
    write_file(path, map);
}

static pid_t spawn_map_helper(char *helper, pid_t child, char *map) {
    extern char **environ;
    char *argv[MAX_WORDS + 1], pid[16];
    int argc = 0, error;
    pid_t spawned;

    snprintf(pid, sizeof pid, "%d", child);
    argv[argc++] = helper;
    argv[argc++] = pid;
    for (char *word = strtok(map, " \n"); word; word = strtok(NULL, " \n")) {
        if (argc == MAX_WORDS)
            errx(EXIT_FAILURE, "too many ranges for %s", helper);
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    if ((error = posix_spawnp(&spawned, helper, NULL, NULL, argv, environ)))
        errx(EXIT_FAILURE, "%s: %s", helper, strerror(error));
    return spawned;
}

static void expect_success(pid_t pid, const char *what) {
    int status;

    check(waitpid(pid, &status, 0), what);
    if (status)
        errx(EXIT_FAILURE, "%s failed", what);
}

static void map_identities(pid_t child, char *uid_map, char *gid_map) {
    pid_t uids, gids;

    if (geteuid() != 0 && strchr(uid_map, '\n')) {
        uids = spawn_map_helper("newuidmap", child, uid_map);
        gids = spawn_map_helper("newgidmap", child, gid_map);
        expect_success(uids, "newuidmap");
        expect_success(gids, "newgidmap");
        return;
    }
    if (geteuid() != 0)
        write_map(child, "setgroups", "deny");
    write_map(child, "uid_map", uid_map);
    write_map(child, "gid_map", gid_map);
}

/* Waits for the end of whoever holds the life pipe, then ends init. */
static pid_t start_guard(int pidfd) {
    struct pollfd init = {.fd = pidfd, .events = POLLIN};
    pid_t guard = fork();
    char byte;

    check(guard, "fork");
    if (guard > 0)
        return guard;
    check(setsid(), "setsid");
    check(close(life[1]), "close");
    check(close(go[0]), "close");
    check(close(go[1]), "close");
    check(read(life[0], &byte, 1), "read");
    if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0) == 0)
        check(poll(&init, 1, -1), "poll"); /* else init was gone before us */
    _exit(EXIT_SUCCESS);
}

int main(int argc, char **argv) {
    int with_console = argc > 1 && strcmp(argv[1], "-p") == 0, pidfd = -1;
    int master, status, guard_status, may_drop_groups;
    struct clone3_args args = {
        .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS
                 | CLONE_PIDFD,
        .pidfd = (uintptr_t) &pidfd,
        .exit_signal = SIGCHLD,
    };
    pid_t child, guard = 0;

    argv += with_console;
    if (argc - with_console < 5)
        errx(64, "usage: reference [-p] UIDMAP GIDMAP DIR CMD [ARG]...");
    may_drop_groups = geteuid() == 0 || strchr(argv[1], '\n');
    check(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, go), "socketpair");
    check(pipe2(life, O_CLOEXEC), "pipe2");
    child = syscall(SYS_clone3, &args, sizeof args);
    check(child, "clone3");
    if (child == 0)
        run_child(with_console, may_drop_groups, argv[3], argv + 4);
    if (with_console)
        guard = start_guard(pidfd);
    check(close(go[1]), "close");
    map_identities(child, argv[1], argv[2]);
    check(write(go[0], "", 1), "go");
    if (with_console && (master = receive_console()) >= 0)
        drain_console(master, pidfd);
    check(waitpid(child, &status, 0), "waitpid");
    check(close(life[1]), "close");
    if (guard)
        check(waitpid(guard, &guard_status, 0), "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
