/* The buses of the machine, and what all devices share: RAM, the pages that are watched; see dma.h. */
#include "dma.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shadow.h"

enum { MAX_BUSES = 40, PAGE = 4096 };

static struct bus {
    uint64_t base, bytes;
    struct virtio *virtio; /* or: */
    struct pci *pci;
} buses[MAX_BUSES];
static unsigned n_buses;
static uint8_t *watched; /* per page of RAM */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* taken before judge's */

bool pw_dma_on;

static bool add_bus(const char *line)
{
    char kind[16], how[16], where[24];
    uint64_t base, bytes;
    if (n_buses == MAX_BUSES ||
        sscanf(line, "%15s %" SCNi64 " %" SCNi64 " %15s", kind, &base, &bytes, how) != 4) {
        return false;
    }
    struct bus *b = &buses[n_buses];
    bool coherent = !strcmp(how, "coherent");
    *b = (struct bus){.base = base, .bytes = bytes};
    snprintf(where, sizeof where, "%#" PRIx64, base);
    if (!strcmp(kind, "virtio-mmio")) {
        b->virtio = virtio_new(where, coherent);
    } else if (!strcmp(kind, "pcie")) {
        b->pci = pci_new(base, bytes, coherent);
    } else {
        return false;
    }
    n_buses++;
    return coherent || !strcmp(how, "noncoherent");
}

bool pw_dma_open(const char *path, char *error, unsigned size)
{
    char line[128];
    FILE *f = fopen(path, "r");
    unsigned number = 0;
    if (!f) {
        snprintf(error, size, "buses %s: cannot be opened", path);
        return false;
    }
    n_buses = 0;
    while (fgets(line, sizeof line, f)) {
        number++;
        if (!add_bus(line)) {
            snprintf(error, size, "buses %s: line %u is malformed", path, number);
            fclose(f);
            return false;
        }
    }
    fclose(f);
    free(watched);
    watched = calloc(pw_ram_size / PAGE + 1, 1);
    pw_dma_on = watched && n_buses;
    return true;
}

bool pw_dma_watches(uint64_t page_pa)
{
    uint64_t offset = page_pa - pw_ram_base;
    return pw_dma_on && offset < pw_ram_size && watched[offset / PAGE];
}

void dma_watch(uint64_t pa, uint64_t bytes)
{
    bool more = false;
    for (uint64_t at = pa & -(uint64_t)PAGE; at < pa + bytes; at += PAGE) {
        if (pw_ram(at, PAGE) && !watched[(at - pw_ram_base) / PAGE]) {
            watched[(at - pw_ram_base) / PAGE] = 1;
            more = true;
        }
    }
    if (more) {
        pw_dma_more_pages();
    }
}

void pw_dma_access(struct pw_cpu *cpu, const struct pw_site *site, uint64_t pa, unsigned size, bool store,
                   uint64_t value)
{
    struct dma_access a = {.cpu = cpu, .site = site, .pa = pa, .value = value, .size = size,
                           .store = store};
    bool ram = pw_ram(pa, 1) != NULL;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < n_buses; i++) {
        struct bus *b = &buses[i];
        if (ram && b->virtio) {
            virtio_ram(b->virtio, &a);
        } else if (ram) {
            pci_ram(b->pci, &a);
        } else if (b->pci ? pci_access(b->pci, &a) : dma_within(pa, b->base, b->bytes)) {
            if (b->virtio) {
                virtio_mmio_register(b->virtio, (unsigned)(pa - b->base), &a);
            }
            break;
        }
    }
    pthread_mutex_unlock(&lock);
}

/* Devices get their numbers in the order in which they first use RAM. */
static void name_device(struct dma_device *d)
{
    struct pw_runheader *h = pw_run_header();
    if (!d->number && h->n_devices < PW_MAX_DEVICES) {
        memcpy(h->devices[h->n_devices].name, d->name, sizeof d->name);
        d->number = ++h->n_devices;
    }
}

static void transfer(struct dma_device *d, const struct dma_access *a, uint64_t pa, uint64_t bytes,
                     bool write)
{
    uint64_t lines = 0;
    name_device(d);
    pw_transfer = (struct pw_transfer){.cpu = a->cpu, .site = a->site, .device = d->number};
    while (bytes) {
        uint64_t n = PW_LINE_BYTES - pa % PW_LINE_BYTES;
        n = bytes < n ? bytes : n;
        if (pw_ram(pa, (unsigned)n)) {
            pw_dma(pa, (unsigned)n, write, d->coherent);
            lines++;
        }
        pa += n;
        bytes -= n;
    }
    pw_transfer = (struct pw_transfer){0};
    if (d->number) {
        struct pw_device *counts = &pw_run_header()->devices[d->number - 1];
        counts->coherent = d->coherent;
        counts->lines_read += write ? 0 : lines;
        counts->lines_written += write ? lines : 0;
    }
}

void dma_read(struct dma_device *d, const struct dma_access *a, uint64_t pa, uint64_t bytes)
{
    transfer(d, a, pa, bytes, false);
}

void dma_write(struct dma_device *d, const struct dma_access *a, uint64_t pa, uint64_t bytes)
{
    transfer(d, a, pa, bytes, true);
}

void dma_read_all(struct dma_device *d, const struct dma_access *a, const struct dma_buffers *b)
{
    for (unsigned i = 0; i < b->n; i++) {
        if (!b->at[i].written) {
            dma_read(d, a, b->at[i].pa, b->at[i].bytes);
        }
    }
}

void dma_write_all(struct dma_device *d, const struct dma_access *a, const struct dma_buffers *b,
                   uint64_t most)
{
    for (unsigned i = 0; i < b->n && most; i++) {
        if (b->at[i].written) {
            uint64_t n = b->at[i].bytes < most ? b->at[i].bytes : most;
            dma_write(d, a, b->at[i].pa, n);
            most -= n;
        }
    }
}

void dma_add(struct dma_buffers *b, uint64_t pa, uint64_t bytes, bool written)
{
    enum { MOST = 1 << 16 }; /* a driver's mistake, or ours, is not to take all memory */
    if (!bytes || b->n == MOST) {
        return;
    }
    if (b->n == b->size) {
        b->size = b->size ? 2 * b->size : 8;
        b->at = realloc(b->at, b->size * sizeof *b->at);
        if (!b->at) {
            abort();
        }
    }
    b->at[b->n++] = (struct dma_buffer){.pa = pa, .bytes = bytes, .written = written};
}

static uint64_t little_endian(uint64_t pa, unsigned bytes)
{
    uint64_t value = 0;
    const void *p = pw_ram(pa, bytes);
    if (p) {
        memcpy(&value, p, bytes);
    }
    return value;
}

uint64_t dma_u64(uint64_t pa)
{
    return little_endian(pa, 8);
}

uint32_t dma_u32(uint64_t pa)
{
    return (uint32_t)little_endian(pa, 4);
}

uint16_t dma_u16(uint64_t pa)
{
    return (uint16_t)little_endian(pa, 2);
}

void dma_set_part(uint64_t *reg, unsigned offset, const struct dma_access *a)
{
    if (a->size == 8) {
        *reg = a->value;
    } else if (offset) {
        *reg = (*reg & UINT32_MAX) | a->value << 32;
    } else {
        *reg = (*reg & ~(uint64_t)UINT32_MAX) | (uint32_t)a->value;
    }
}
