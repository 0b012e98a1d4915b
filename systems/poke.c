/*
 * What a shell cannot do in a test machine: start a kernel by kexec without kexec-tools, and let the
 * kernel compile BPF filters and execute them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int failed(const char *what)
{
    fprintf(stderr, "poke: %s: %s\n", what, strerror(errno));
    return 1;
}

static void *whole(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY);
    char *data = NULL;
    size_t have = 0, room = 0;
    for (ssize_t n = 1; fd >= 0 && n > 0; have += n > 0 ? (size_t)n : 0) {
        if (have == room) {
            data = realloc(data, room = room ? 2 * room : 1 << 20);
        }
        n = read(fd, data + have, room - have);
    }
    if (fd >= 0) {
        close(fd);
    }
    *size = have;
    return data;
}

/* Attach a classic filter to a socket, which the kernel compiles, and send packets through it. */
static int bpf(void)
{
    int pair[2];
    char got[8];
    for (unsigned round = 0; round < 64; round++) {
        struct sock_filter code[] = {
            BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 'a' + round % 26, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, 3 + round % 4),
            BPF_STMT(BPF_RET | BPF_K, 0),
        };
        struct sock_fprog program = {.len = 4, .filter = code};
        if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) ||
            setsockopt(pair[1], SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program)) {
            return failed("SO_ATTACH_FILTER");
        }
        memset(got, 'a' + round % 26, sizeof got);
        if (write(pair[0], got, sizeof got) != sizeof got ||
            read(pair[1], got, sizeof got) != (ssize_t)(3 + round % 4)) {
            return failed("the filter does not do what it says");
        }
        close(pair[0]);
        close(pair[1]);
    }
    puts("poke: filters ran");
    return 0;
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The value of a property of /chosen, of 4 or 8 bytes; 0 if there is none. */
static uint64_t property(const uint8_t *dtb, const char *name)
{
    const char *strings = (const char *)dtb + be32(dtb + 12);
    const uint8_t *p = dtb + be32(dtb + 8), *end = p + be32(dtb + 36);
    while (p < end) {
        uint32_t token = be32(p);
        p += 4;
        if (token == 1) { /* FDT_BEGIN_NODE */
            p += (strlen((const char *)p) + 4) & ~3u;
        } else if (token == 3) { /* FDT_PROP */
            uint32_t length = be32(p);
            if (!strcmp(strings + be32(p + 4), name)) {
                return length == 8 ? (uint64_t)be32(p + 8) << 32 | be32(p + 12) : be32(p + 8);
            }
            p += 8 + ((length + 3) & ~3u);
        }
    }
    return 0;
}

/* Load a kernel with the running one's device tree; its initrd replaces the present one. */
static int kexec(const char *kernel_path, const char *initrd_path)
{
    enum { PAGE = 4096, KERNEL = 0x50000000, DTB = 0x54000000, START = 0x54100000 };
    size_t kernel_size, initrd_size, dtb_size;
    void *kernel = whole(kernel_path, &kernel_size), *initrd = whole(initrd_path, &initrd_size);
    uint8_t *dtb = whole("/sys/firmware/fdt", &dtb_size);
    uint64_t at = dtb ? property(dtb, "linux,initrd-start") : 0;
    uint64_t end = dtb ? property(dtb, "linux,initrd-end") : 0;
    uint32_t start[] = { /* the boot protocol: x0 is the device tree, x1 to x3 are zero */
        0xd2800000 | (DTB & 0xffff) << 5, 0xf2a00000 | (uint32_t)DTB >> 16 << 5, 0xd2800001,
        0xd2800002, 0xd2800003, 0xd2800004 | (KERNEL & 0xffff) << 5,
        0xf2a00004 | (uint32_t)KERNEL >> 16 << 5, 0xd61f0080,
    };
    if (!kernel || !initrd || !at || initrd_size > end - at) {
        return failed("kernel, initrd or device tree");
    }
    uint64_t image_size;
    memcpy(&image_size, (char *)kernel + 16, sizeof image_size);
#define PAGES(n) (((n) + PAGE - 1) & ~(size_t)(PAGE - 1))
    struct kexec_segment segments[] = {
        {kernel, kernel_size, (void *)KERNEL, PAGES(image_size)},
        {dtb, dtb_size, (void *)DTB, PAGES(dtb_size)},
        {start, sizeof start, (void *)START, PAGE},
        {initrd, initrd_size, (void *)at, PAGES(end - at)}, /* the rest is zeros */
    };
    if (syscall(SYS_kexec_load, (unsigned long)START, 4ul, segments,
                (unsigned long)KEXEC_ARCH_AARCH64)) {
        return failed("kexec_load");
    }
    puts("poke: second kernel loaded");
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && !strcmp(argv[1], "bpf")) {
        return bpf();
    }
    if (argc == 4 && !strcmp(argv[1], "kexec")) {
        return kexec(argv[2], argv[3]) ||
               (reboot(LINUX_REBOOT_CMD_KEXEC) && failed("LINUX_REBOOT_CMD_KEXEC"));
    }
    fprintf(stderr, "poke: accepted are: bpf; kexec IMAGE INITRD\n");
    return 2;
}
