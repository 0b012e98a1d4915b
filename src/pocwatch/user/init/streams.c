/* See streams.h. A thread for each stream: a call to the host may take its time. */
#define _GNU_SOURCE
#include "streams.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "files.h"
#include "semihost.h"

static int pipes[3][2];
static pthread_t threads[3];
static atomic_bool finished;

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

void streams_open(void)
{
    for (int i = 0; i < 3; i++) {
        if (pipe2(pipes[i], O_CLOEXEC)) {
            host_exit();
        }
    }
}

void streams_take(void)
{
    dup2(pipes[0][0], 0);
    dup2(pipes[1][1], 1);
    dup2(pipes[2][1], 2);
}

/* The host spools its standard input into `stdin` and makes `stdin.end` at its end, so that a
 * machine never waits, stopped, for somebody to type. */
static void *feed(void *unused)
{
    static char buffer[1 << 14];
    long handle = open_named("stdin", HOST_READ), wait_ms = 5;
    (void)unused;
    for (;;) {
        long end = open_named("stdin.end", HOST_READ);
        size_t got = host_read(handle, buffer, sizeof buffer), done = 0;
        if (end >= 0) {
            host_close(end);
        }
        while (done < got) {
            ssize_t put = write(pipes[0][1], buffer + done, got - done);
            if (put < 0 && errno != EINTR) {
                return NULL; /* nobody reads any more */
            }
            done += put > 0 ? (size_t)put : 0;
        }
        if (!got && end >= 0) {
            break;
        }
        wait_ms = got ? 5 : wait_ms < 80 ? wait_ms * 2 : wait_ms;
        if (!got) {
            pause_ms(wait_ms);
        }
    }
    close(pipes[0][1]);
    return NULL;
}

static void *pass_on(void *which)
{
    static char buffers[3][1 << 14];
    int number = (int)(long)which;
    long handle = host_stream(number);
    int open = 1;
    struct pollfd wait = {pipes[number][0], POLLIN, 0};
    while (open && !(poll(&wait, 1, finished ? 0 : 20) == 0 && finished)) {
        if (!wait.revents) {
            continue;
        }
        ssize_t got = read(pipes[number][0], buffers[number], sizeof buffers[number]);
        /* Where nobody reads the host's end, the program is to notice that, too. */
        open = got > 0 && host_write(handle, buffers[number], (size_t)got);
        wait.revents = 0;
    }
    close(pipes[number][0]);
    return NULL;
}

void streams_start(void)
{
    close(pipes[0][0]);
    close(pipes[1][1]);
    close(pipes[2][1]);
    pthread_create(&threads[0], NULL, feed, NULL);
    for (long i = 1; i < 3; i++) {
        pthread_create(&threads[i], NULL, pass_on, (void *)i);
    }
}

void streams_finish(void)
{
    finished = 1;
    pthread_join(threads[1], NULL);
    pthread_join(threads[2], NULL);
}
