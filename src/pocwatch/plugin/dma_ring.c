/*
 * Virtqueues; VIRTIO Version 1.2, "Split Virtqueues", "Packed Virtqueues".
 *
 * What the driver made available stands in a split ring until it is taken back. In a packed ring the
 * device writes over it, perhaps before we look: so the descriptors are kept as the driver stored them.
 *
 * Left out: the device's reads of the fields that suppress interrupts.
 */
#include "dma_ring.h"

#include <stdlib.h>
#include <string.h>

enum { NEXT = 1, WRITE = 2, INDIRECT = 4, DESCRIPTOR = 16, AVAILABLE = 1 << 7, USED = 1 << 15 };

void ring_stop(struct ring *r)
{
    for (unsigned i = 0; i < r->n_chains; i++) {
        free(r->chains[i].buffers.at);
    }
    free(r->chains);
    free(r->written);
    r->chains = NULL;
    r->written = NULL;
    r->n_chains = 0;
    r->on = false;
}

void ring_start(struct ring *r)
{
    unsigned size = r->size;
    ring_stop(r);
    if (!size || size > RING_MOST) {
        return;
    }
    /* A packed ring's driver chooses the numbers; Linux's are below the size. */
    r->n_chains = r->packed ? 1 << 16 : size;
    r->chains = calloc(r->n_chains, sizeof *r->chains);
    r->written = r->packed ? calloc(size, sizeof *r->written) : NULL;
    if (!r->chains || (r->packed && !r->written)) {
        abort();
    }
    r->available = r->used = 0;
    r->available_wrap = r->used_wrap = true;
    r->on = true;
    if (r->packed) {
        dma_watch(r->descriptors, DESCRIPTOR * (uint64_t)size);
    } else {
        dma_watch(r->device, 6 + 8 * (uint64_t)size);
    }
}

static struct ring_descriptor descriptor_at(uint64_t pa)
{
    return (struct ring_descriptor){.pa = dma_u64(pa), .bytes = dma_u32(pa + 8), .id = dma_u16(pa + 12),
                                    .flags = dma_u16(pa + 14)};
}

/* A table elsewhere: split, a chain in it by NEXT; packed, all of it. */
static void add_indirect(struct chain *c, struct dma_device *d, const struct dma_access *a,
                         const struct ring_descriptor *table, bool packed)
{
    unsigned n = table->bytes / DESCRIPTOR, at = 0;
    for (unsigned count = 0; count < n && at < n; count++) {
        uint64_t pa = table->pa + (uint64_t)at * DESCRIPTOR;
        /* `next` of a split descriptor is its last field, `flags` the one before. */
        struct ring_descriptor e = descriptor_at(pa);
        uint16_t flags = packed ? e.flags : e.id, next = packed ? (uint16_t)(at + 1) : e.flags;
        dma_read(d, a, pa, DESCRIPTOR);
        dma_add(&c->buffers, e.pa, e.bytes, flags & WRITE);
        if (!packed && !(flags & NEXT)) {
            break;
        }
        at = next;
    }
}

static void hand_over(struct chain *c, struct dma_device *d, const struct dma_access *a)
{
    c->handed_over = true;
    dma_read_all(d, a, &c->buffers);
}

static void take_back(struct chain *c, struct dma_device *d, const struct dma_access *a, uint32_t bytes)
{
    if (c->handed_over) {
        dma_write_all(d, a, &c->buffers, bytes);
    }
    c->handed_over = false;
}

/* ---------------------------------------------------------------- split */

static void read_split_chain(struct ring *r, struct dma_device *d, const struct dma_access *a, unsigned head)
{
    struct chain *c = &r->chains[head];
    unsigned at = head;
    c->buffers.n = 0;
    for (unsigned count = 0; count < r->size && at < r->size; count++) {
        uint64_t pa = r->descriptors + (uint64_t)at * DESCRIPTOR;
        struct ring_descriptor e = descriptor_at(pa);
        uint16_t flags = e.id, next = e.flags;
        dma_read(d, a, pa, DESCRIPTOR);
        if (flags & INDIRECT) {
            add_indirect(c, d, a, &e, false);
        } else {
            dma_add(&c->buffers, e.pa, e.bytes, flags & WRITE);
        }
        if (!(flags & NEXT)) {
            break;
        }
        at = next;
    }
    hand_over(c, d, a);
}

static void split_handed_over(struct ring *r, struct dma_device *d, const struct dma_access *a)
{
    uint16_t index = dma_u16(r->driver + 2);
    if (index == r->available || (uint16_t)(index - r->available) > r->size) {
        return;
    }
    dma_read(d, a, r->driver + 2, 2);
    while (r->available != index) {
        uint64_t pa = r->driver + 4 + 2 * (uint64_t)(r->available % r->size);
        unsigned head = dma_u16(pa);
        dma_read(d, a, pa, 2);
        if (head < r->size) {
            read_split_chain(r, d, a, head);
        }
        r->available++;
    }
}

static void split_taken_back(struct ring *r, struct dma_device *d, const struct dma_access *a)
{
    uint16_t index = dma_u16(r->device + 2);
    if (index == r->used || (uint16_t)(index - r->used) > r->size) {
        return;
    }
    split_handed_over(r, d, a); /* it may have been looked at without a notification */
    while (r->used != index) {
        uint64_t pa = r->device + 4 + 8 * (uint64_t)(r->used % r->size);
        uint32_t id = dma_u32(pa);
        if (id < r->size) {
            take_back(&r->chains[id], d, a, dma_u32(pa + 4));
        }
        dma_write(d, a, pa, 8);
        r->used++;
    }
    dma_write(d, a, r->device + 2, 2);
    if (r->event_index) {
        dma_write(d, a, r->device + 4 + 8 * (uint64_t)r->size, 2);
    }
}

/* --------------------------------------------------------------- packed */

/* The driver stored to the ring: RAM has what it stored, except where the device was faster, and then
 * all was stored before. */
static void keep_written(struct ring *r, const struct dma_access *a)
{
    uint64_t from = a->pa < r->descriptors ? 0 : a->pa - r->descriptors;
    uint64_t to = a->pa + a->size - r->descriptors; /* exclusive */
    for (uint64_t i = from / DESCRIPTOR; i < r->size && i * DESCRIPTOR < to; i++) {
        struct ring_descriptor *w = &r->written[i];
        uint64_t pa = r->descriptors + i * DESCRIPTOR;
        uint8_t bytes[DESCRIPTOR];
        memcpy(bytes, w, sizeof bytes);
        for (unsigned b = 0; b < a->size; b++) {
            uint64_t at = a->pa + b;
            if (dma_within(at, pa, DESCRIPTOR)) {
                const uint8_t *now = pw_ram(at, 1);
                bytes[at - pa] = b < 8 ? (uint8_t)(a->value >> 8 * b) : now ? *now : 0;
            }
        }
        memcpy(w, bytes, sizeof bytes);
    }
}

_Static_assert(sizeof(struct ring_descriptor) == DESCRIPTOR, "as in RAM");

static bool is_available(const struct ring *r)
{
    uint16_t flags = r->written[r->available].flags;
    return !!(flags & AVAILABLE) == r->available_wrap && !!(flags & USED) != r->available_wrap;
}

static void packed_handed_over(struct ring *r, struct dma_device *d, const struct dma_access *a)
{
    for (unsigned seen = 0; seen < r->size && is_available(r);) {
        struct dma_buffers buffers = {0};
        struct chain c = {.buffers = buffers};
        const struct ring_descriptor *e;
        do {
            e = &r->written[r->available];
            dma_read(d, a, r->descriptors + (uint64_t)r->available * DESCRIPTOR, DESCRIPTOR);
            if (e->flags & INDIRECT) {
                add_indirect(&c, d, a, e, true);
            } else {
                dma_add(&c.buffers, e->pa, e->bytes, e->flags & WRITE);
            }
            c.descriptors++;
            seen++;
            if (++r->available == r->size) {
                r->available = 0;
                r->available_wrap = !r->available_wrap;
            }
        } while (e->flags & NEXT && seen < r->size);
        free(r->chains[e->id].buffers.at);
        r->chains[e->id] = c;
        hand_over(&r->chains[e->id], d, a);
    }
}

static void packed_taken_back(struct ring *r, struct dma_device *d, const struct dma_access *a)
{
    packed_handed_over(r, d, a);
    for (unsigned seen = 0; seen < r->size;) {
        uint64_t pa = r->descriptors + (uint64_t)r->used * DESCRIPTOR;
        struct ring_descriptor e = descriptor_at(pa);
        struct chain *c = &r->chains[e.id];
        if (!!(e.flags & AVAILABLE) != r->used_wrap || !!(e.flags & USED) != r->used_wrap ||
            !c->handed_over) {
            break;
        }
        take_back(c, d, a, e.bytes); /* QEMU does not set VIRTQ_DESC_F_WRITE here */
        dma_write(d, a, pa, DESCRIPTOR);
        seen += c->descriptors;
        r->used = (uint16_t)(r->used + c->descriptors);
        if (r->used >= r->size) {
            r->used = (uint16_t)(r->used - r->size);
            r->used_wrap = !r->used_wrap;
        }
    }
}

/* ----------------------------------------------------------------- both */

void ring_handed_over(struct ring *r, struct dma_device *d, const struct dma_access *a)
{
    if (r->on && r->packed) {
        packed_handed_over(r, d, a);
    } else if (r->on) {
        split_handed_over(r, d, a);
    }
}

void ring_ram(struct ring *r, struct dma_device *d, const struct dma_access *a)
{
    if (!r->packed) {
        if (!a->store && dma_touches(a, r->device + 2, 2)) {
            split_taken_back(r, d, a);
        }
    } else if (dma_touches(a, r->descriptors, DESCRIPTOR * (uint64_t)r->size)) {
        if (a->store) {
            keep_written(r, a);
        } else {
            packed_taken_back(r, d, a);
        }
    }
}
