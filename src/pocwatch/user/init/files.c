/* See files.h. */
#define _GNU_SOURCE
#include "files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "semihost.h"

char host_folder[1024];

long open_named(const char *name, int mode)
{
    char path[sizeof host_folder + 64];
    snprintf(path, sizeof path, "%s/%s", host_folder, name);
    return host_open(path, mode);
}

char *fetch(const char *name, size_t *size)
{
    long handle = open_named(name, HOST_READ);
    size_t room = 1 << 20, used = 0, got;
    char *data = malloc(room + 1);
    if (handle < 0 || !data) {
        free(data);
        return NULL;
    }
    memset(data, 0, room + 1); /* present: QEMU does not fault pages in */
    while ((got = host_read(handle, data + used, room - used)) > 0) {
        used += got;
        if (used == room) {
            data = realloc(data, room * 2 + 1);
            if (!data) {
                return NULL;
            }
            memset(data + room, 0, room + 1);
            room *= 2;
        }
    }
    host_close(handle);
    data[used] = 0;
    *size = used;
    return data;
}

static unsigned long field(const char *header, unsigned number)
{
    char text[9] = "";
    memcpy(text, header + 6 + 8 * number, 8);
    return strtoul(text, NULL, 16);
}

static int make(const char *path, unsigned long mode, const char *data, size_t size)
{
    if (S_ISDIR(mode)) {
        return mkdir(path, mode & 07777) == 0 || access(path, F_OK) == 0;
    }
    unlink(path);
    if (S_ISLNK(mode)) {
        char target[4096] = "";
        memcpy(target, data, size < sizeof target ? size : sizeof target - 1);
        return symlink(target, path) == 0;
    }
    int file = open(path, O_CREAT | O_WRONLY | O_TRUNC, mode & 07777);
    int good = file >= 0 && write(file, data, size) == (ssize_t)size;
    if (file >= 0) {
        close(file);
    }
    return good;
}

const char *unpack(const char *archive, size_t size)
{
    enum { HEADER = 110, MODE = 1, SIZE = 6, NAME = 11, YEAR_2000 = 946684800 };
    size_t at = 0;
    while (at + HEADER <= size) {
        const char *header = archive + at, *name = header + HEADER;
        size_t bytes = field(header, SIZE);
        size_t data = (at + HEADER + field(header, NAME) + 3) & ~(size_t)3;
        if (!strcmp(name, "TRAILER!!!") || data + bytes > size) {
            break;
        }
        char path[4096 + 1];
        snprintf(path, sizeof path, "/%s", name);
        if (!make(path, field(header, MODE), archive + data, bytes)) {
            return name;
        }
        /* PHP's opcache, for one, neither takes a file that was changed just now nor one without a time. */
        struct timespec time = {YEAR_2000, 0}, times[] = {time, time};
        utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
        at = (data + bytes + 3) & ~(size_t)3;
    }
    return NULL;
}

void send_file(const char *path, long handle)
{
    static char buffer[1 << 16];
    int file = open(path, O_RDONLY);
    ssize_t got;
    while (file >= 0 && (got = read(file, buffer, sizeof buffer)) > 0) {
        host_write(handle, buffer, (size_t)got);
    }
    if (file >= 0) {
        close(file);
    }
}
