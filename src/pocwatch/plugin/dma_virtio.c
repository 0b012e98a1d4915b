/*
 * The registers of a virtio device, on MMIO (version 1 and 2) and in a PCI function's capabilities.
 *
 * Virtual I/O Device (VIRTIO) Version 1.2, "Virtio Over MMIO", "Virtio Over PCI Bus". A device whose
 * driver did not accept VIRTIO_F_ACCESS_PLATFORM is part of the machine that runs the CPUs, not of the
 * platform: it sees RAM as the CPUs do, whatever the device tree says, and Linux does no maintenance
 * for it (vring_use_dma_api).
 */
#include "dma_ring.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_QUEUES = 64, ACCESS_PLATFORM = 33, RING_PACKED = 34, EVENT_INDEX = 29 };

struct virtio {
    struct dma_device device;
    bool snoops; /* by the device tree */
    char where[24];
    uint64_t features; /* the driver's */
    unsigned features_select, select, type;
    uint64_t legacy_page; /* bytes */
    struct ring rings[MAX_QUEUES];
};

struct virtio *virtio_new(const char *where, bool coherent)
{
    struct virtio *v = calloc(1, sizeof *v);
    if (!v) {
        abort();
    }
    v->snoops = coherent;
    snprintf(v->where, sizeof v->where, "%s", where);
    virtio_set_type(v, 0);
    return v;
}

/* "Device Types": those that are met. */
void virtio_set_type(struct virtio *v, unsigned type)
{
    static const char *const names[] = {
        [1] = "net", [2] = "blk", [3] = "console", [4] = "rng", [5] = "balloon", [8] = "scsi",
        [9] = "9p", [16] = "gpu", [18] = "input", [19] = "vsock", [20] = "crypto", [26] = "fs",
    };
    const char *name = type < sizeof names / sizeof *names ? names[type] : NULL;
    v->type = type;
    snprintf(v->device.name, sizeof v->device.name, "virtio%s%s at %s", name ? "-" : "", name ? name : "",
             v->where);
}

static void start(struct virtio *v, struct ring *r)
{
    v->device.coherent = v->snoops || !(v->features >> ACCESS_PLATFORM & 1);
    r->packed = v->features >> RING_PACKED & 1;
    r->event_index = v->features >> EVENT_INDEX & 1;
    ring_start(r);
}

static void reset(struct virtio *v)
{
    for (unsigned i = 0; i < MAX_QUEUES; i++) {
        ring_stop(&v->rings[i]);
    }
    v->features = 0;
}

static void set_features(struct virtio *v, const struct dma_access *a)
{
    if (v->features_select < 2) {
        dma_set_part(&v->features, 4 * v->features_select, a);
    }
}

/* "Legacy interface: Virtqueues": one block of pages, the used ring aligned. */
static void start_legacy(struct virtio *v, struct ring *r, uint64_t page)
{
    uint64_t align = r->legacy_align ? r->legacy_align : 4096;
    r->descriptors = page * (v->legacy_page ? v->legacy_page : 4096);
    r->driver = r->descriptors + 16 * (uint64_t)r->size;
    r->device = (r->driver + 6 + 2 * (uint64_t)r->size + align - 1) & -align;
    start(v, r);
}

void virtio_notify(struct virtio *v, unsigned queue, const struct dma_access *a)
{
    if (queue < MAX_QUEUES) {
        ring_handed_over(&v->rings[queue], &v->device, a);
    }
}

/* "MMIO Device Register Layout". */
void virtio_mmio_register(struct virtio *v, unsigned offset, const struct dma_access *a)
{
    struct ring *r = v->select < MAX_QUEUES ? &v->rings[v->select] : NULL;
    if (!a->store) {
        if (offset == 0x008) {
            virtio_set_type(v, (unsigned)a->value);
        }
        return;
    }
    switch (offset) {
    case 0x020: set_features(v, a); return;
    case 0x024: v->features_select = (unsigned)a->value; return;
    case 0x028: v->legacy_page = (uint32_t)a->value; return;
    case 0x030: v->select = (unsigned)a->value; return;
    case 0x050: virtio_notify(v, a->value & 0xffff, a); return;
    case 0x070:
        if (!a->value) {
            reset(v);
        }
        return;
    }
    if (!r) {
        return;
    }
    switch (offset) {
    case 0x038: r->size = (uint32_t)a->value; break;
    case 0x03c: r->legacy_align = (uint32_t)a->value; break;
    case 0x040:
        if (a->value) {
            start_legacy(v, r, (uint32_t)a->value);
        } else {
            ring_stop(r);
        }
        break;
    case 0x044:
        if (a->value & 1) {
            start(v, r);
        } else {
            ring_stop(r);
        }
        break;
    case 0x080: case 0x084: dma_set_part(&r->descriptors, offset - 0x080, a); break;
    case 0x090: case 0x094: dma_set_part(&r->driver, offset - 0x090, a); break;
    case 0x0a0: case 0x0a4: dma_set_part(&r->device, offset - 0x0a0, a); break;
    }
}

/* "Common configuration structure layout". */
void virtio_common_register(struct virtio *v, unsigned offset, const struct dma_access *a)
{
    struct ring *r = v->select < MAX_QUEUES ? &v->rings[v->select] : NULL;
    if (offset == 24 && r && !a->store) {
        r->size = (uint16_t)a->value; /* the driver may leave it as it is */
    }
    if (!a->store) {
        return;
    }
    switch (offset) {
    case 8: v->features_select = (unsigned)a->value; return;
    case 12: set_features(v, a); return;
    case 20:
        if (!(a->value & 0xff)) {
            reset(v);
        }
        return;
    case 22: v->select = a->value & 0xffff; return;
    }
    if (!r) {
        return;
    }
    switch (offset) {
    case 24: r->size = (uint16_t)a->value; break;
    case 28:
        if (a->value & 1) {
            start(v, r);
        }
        break;
    case 32: case 36: dma_set_part(&r->descriptors, offset - 32, a); break;
    case 40: case 44: dma_set_part(&r->driver, offset - 40, a); break;
    case 48: case 52: dma_set_part(&r->device, offset - 48, a); break;
    }
}

void virtio_ram(struct virtio *v, const struct dma_access *a)
{
    for (unsigned i = 0; i < MAX_QUEUES; i++) {
        if (v->rings[i].on) {
            ring_ram(&v->rings[i], &v->device, a);
        }
    }
}
