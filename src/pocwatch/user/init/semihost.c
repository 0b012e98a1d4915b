/* See semihost.h. QEMU reads and writes buffers by VA: they must be present, hence init's mlockall. */
#include "semihost.h"

#include <string.h>

enum {
    SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_GET_CMDLINE = 0x15,
    SYS_EXIT_EXTENDED = 0x20,
};
enum { MODE_W = 4, MODE_A = 8 };
enum { ADP_STOPPED_APPLICATION_EXIT = 0x20026 };

static long call(long operation, const void *parameters)
{
    register long w0 __asm__("x0") = operation;
    register const void *x1 __asm__("x1") = parameters;
    __asm__ volatile("hlt #0xf000" : "+r"(w0) : "r"(x1) : "memory");
    return w0;
}

void host_argument(char *buffer, size_t size)
{
    uint64_t block[] = {(uintptr_t)buffer, size - 1};
    memset(buffer, 0, size);
    if (call(SYS_GET_CMDLINE, block)) {
        buffer[0] = 0;
    }
}

static long open_mode(const char *path, uint64_t mode)
{
    uint64_t block[] = {(uintptr_t)path, mode, strlen(path)};
    return call(SYS_OPEN, block);
}

long host_open(const char *path, enum host_mode mode)
{
    return open_mode(path, mode);
}

long host_stream(int number)
{
    return open_mode(":tt", number == 1 ? MODE_W : MODE_A);
}

void host_close(long handle)
{
    uint64_t block[] = {(uint64_t)handle};
    call(SYS_CLOSE, block);
}

size_t host_read(long handle, void *buffer, size_t size)
{
    uint64_t block[] = {(uint64_t)handle, (uintptr_t)buffer, size};
    long missing = call(SYS_READ, block);
    return missing < 0 || (size_t)missing > size ? 0 : size - (size_t)missing;
}

int host_write(long handle, const void *buffer, size_t size)
{
    const char *at = buffer;
    while (size) {
        uint64_t block[] = {(uint64_t)handle, (uintptr_t)at, size};
        long missing = call(SYS_WRITE, block);
        if (missing < 0 || (size_t)missing >= size) {
            return 0;
        }
        at += size - (size_t)missing;
        size = (size_t)missing;
    }
    return 1;
}

void host_exit(void)
{
    uint64_t block[] = {ADP_STOPPED_APPLICATION_EXIT, 0};
    for (;;) {
        call(SYS_EXIT_EXTENDED, block);
    }
}
