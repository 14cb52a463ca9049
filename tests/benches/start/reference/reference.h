/*
 * What the three parts of the reference program share.
 */

#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern int go[2];   /* go[0] is the parent's end, go[1] the child's */
extern int life[2]; /* its write end is open in the parent alone */

/* inside.c: the child, from the go signal to exec */
void run_child(int with_console, int may_drop_groups, const char *dir, char **argv);
void bind_node(const char *source, const char *target);

/* console.c: the child's end, then the parent's */
void make_console(void);
void take_console(void);
int receive_console(void);
void drain_console(int master, int pidfd);

static inline void check(int result, const char *what) {
    if (result < 0)
        err(EXIT_FAILURE, "%s", what);
}

static inline void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    check(fd, path);
    check(write(fd, text, strlen(text)), path);
    check(close(fd), path);
}
