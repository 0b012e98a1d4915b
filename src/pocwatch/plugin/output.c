/* Writing files whole, or not going on; see output.h. */
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "judge.h"

bool pw_write_all(int fd, const void *data, size_t size)
{
    for (const char *at = data; size;) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return false;
        }
        at += n;
        size -= (size_t)n;
    }
    return true;
}

_Noreturn void pw_give_up(const char *what, const char *name, int reason)
{
    struct pw_runheader *h = pw_run_header();
    if (h) {
        snprintf(h->error, sizeof h->error, "%s=%s: %s", what, name ? name : "", strerror(reason));
    }
    _exit(1); /* atexit would write again */
}
