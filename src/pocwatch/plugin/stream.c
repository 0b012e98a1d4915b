/* The access stream; see stream.h. */
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"

struct pw_stream_buffer pw_stream_buffers[PW_MAX_PES];
bool pw_streaming;

static int fd = -1;
static const char *name;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

bool pw_stream_open(const char *path, unsigned pes, char *error, unsigned error_size)
{
    struct pw_stream_header header = {.version = PW_STREAM_VERSION, .n_pes = pes,
                                      .record_size = sizeof(struct pw_stream_access)};
    memcpy(header.magic, PW_STREAM_MAGIC, sizeof header.magic);
    name = strdup(path); /* QEMU frees its arguments */
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || !pw_write_all(fd, &header, sizeof header)) {
        snprintf(error, error_size, "stream=%s: %s", path, strerror(errno));
        return false;
    }
    pw_streaming = true;
    return true;
}

void pw_stream_flush(unsigned pe)
{
    struct pw_stream_buffer *b = &pw_stream_buffers[pe];
    pthread_mutex_lock(&lock);
    bool done = pw_write_all(fd, b->records, b->n * sizeof *b->records);
    int reason = errno;
    pthread_mutex_unlock(&lock);
    b->n = 0;
    if (!done) {
        pw_give_up("stream", name, reason);
    }
}

void pw_stream_close(void)
{
    if (!pw_streaming) {
        return;
    }
    for (unsigned pe = 0; pe < PW_MAX_PES; pe++) {
        pw_stream_flush(pe);
    }
    close(fd);
    fd = -1;
    pw_streaming = false;
}
