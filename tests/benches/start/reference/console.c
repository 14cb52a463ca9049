/*
 * The console of the reference program: made and opened by the child, drained by
 * the parent.
 */

#include "reference.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* Room for one descriptor in a control message. */
union one_descriptor {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

/* Makes /dev/console from a fresh pseudo-terminal and sends its master out. */
void make_console(void) {
    int master = open("dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), unlock = 0;
    struct iovec byte = {.iov_base = "", .iov_len = 1};
    union one_descriptor control;
    struct msghdr message = {.msg_iov = &byte, .msg_iovlen = 1,
                             .msg_control = &control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    check(master, "dev/pts/ptmx");
    check(ioctl(master, TIOCSPTLCK, &unlock), "TIOCSPTLCK");
    bind_node("dev/pts/0", "dev/console");
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof master);
    memcpy(CMSG_DATA(header), &master, sizeof master);
    check(sendmsg(go[1], &message, 0), "sendmsg");
    check(close(master), "close");
}

/* Opened by path in the new root, so that tty(1) inside says /dev/console. */
void take_console(void) {
    int console;

    check(setsid(), "setsid");
    console = open("/dev/console", O_RDWR | O_CLOEXEC);
    check(console, "/dev/console");
    check(ioctl(console, TIOCSCTTY, 0), "TIOCSCTTY");
    for (int fd = 0; fd <= 2; fd++)
        if (isatty(fd))
            check(dup2(console, fd), "dup2");
}

/* -1 when the child ended before it had made one. */
int receive_console(void) {
    char byte;
    struct iovec data = {.iov_base = &byte, .iov_len = 1};
    union one_descriptor control;
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1,
                             .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(go[0], &message, MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int master;

    check(length, "recvmsg");
    if (length == 0 || !header || header->cmsg_type != SCM_RIGHTS)
        return -1;
    memcpy(&master, CMSG_DATA(header), sizeof master);
    return master;
}

/* 0 at the end of the console. */
static int copy_once(int master) {
    static char buffer[4096];
    ssize_t length = read(master, buffer, sizeof buffer);

    for (ssize_t done = 0; done < length;) {
        ssize_t written = write(STDOUT_FILENO, buffer + done, length - done);

        check(written, "stdout");
        done += written;
    }
    return length > 0;
}

void drain_console(int master, int pidfd) {
    struct pollfd events[] = {{.fd = master, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
    /* While a slave is open here, the master neither hangs up nor spins. */
    int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

    check(slave, "TIOCGPTPEER");
    while (!(events[1].revents & POLLIN)) {
        check(poll(events, 2, -1), "poll");
        if (events[0].revents & POLLIN)
            copy_once(master);
    }
    check(close(slave), "close");
    while (copy_once(master))
        ;
}
