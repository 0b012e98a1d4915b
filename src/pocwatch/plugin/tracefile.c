/* The raw trace's file; see tracefile.h. */
#include "tracefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "places.h"
#include "stacks.h"

enum { BUFFERED = 8192, SITES = 1 << 24 };

static struct pw_traced buffer[BUFFERED];
static size_t used;
static int fd = -1;
static const char *name;
static uint8_t told_sites[SITES / 8];
static uint32_t told_frames; /* up to this number */

static void put_all(const void *data, size_t size)
{
    if (!pw_write_all(fd, data, size)) {
        pw_give_up("trace", name, errno);
    }
}

static void flush(void)
{
    put_all(buffer, used * sizeof *buffer);
    used = 0;
}

bool pw_tracefile_open(const char *path, char *error, unsigned error_size)
{
    name = strdup(path); /* QEMU frees its arguments */
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        snprintf(error, error_size, "trace=%s: %s", path, strerror(errno));
        return false;
    }
    memset(told_sites, 0, sizeof told_sites);
    told_frames = 0;
    used = 0;
    return true;
}

void pw_tracefile_start(const struct pw_trace_header *header)
{
    put_all(header, sizeof *header);
}

void pw_tracefile_close(void)
{
    flush();
    if (close(fd)) {
        pw_give_up("trace", name, errno);
    }
    fd = -1;
}

struct pw_traced *pw_trace_next(void)
{
    if (used == BUFFERED) {
        flush();
    }
    struct pw_traced *r = &buffer[used++];
    memset(r, 0, sizeof *r);
    r->pa = r->va = r->ipa = r->fetch_ipa = PW_NO_ADDRESS;
    return r;
}

void pw_trace_site(uint32_t number)
{
    const struct pw_site *site = site_by_number(number);
    if (!site || told_sites[number / 8] >> number % 8 & 1) {
        return;
    }
    told_sites[number / 8] |= (uint8_t)(1u << number % 8);
    struct pw_traced *r = pw_trace_next();
    r->op = PW_MARK_SITE;
    r->site = number;
    r->va = site->pc;
    r->pa = site->pc_pa;
    r->ipa = site->insn;
    r->el = (uint8_t)site->el;
}

void pw_trace_stack(uint32_t number)
{
    while (told_frames < number) {
        const struct pw_frame *f = pw_stack_frame(++told_frames);
        struct pw_traced *r = pw_trace_next();
        r->op = PW_MARK_STACK;
        r->stack = told_frames;
        r->writer = f->caller;
        r->va = f->pc;
        r->pa = f->pc_pa;
        r->ipa = f->pc_ipa;
        r->vm_id = f->vm_id;
        r->el = f->el;
        r->flags = f->link;
    }
}
