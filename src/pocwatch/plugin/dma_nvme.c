/*
 * An NVMe controller: commands in submission queues, announced by doorbells, and their completions.
 *
 * NVM Express Base Specification 2.0, "Controller Registers", "Submission Queue Entry", "Physical
 * Region Page Entry and List", "Scatter Gather List". NVM Command Set: "Read", "Write", "Dataset
 * Management". The completion queue is looked at when the driver loads from it.
 *
 * Left out: metadata, host memory and controller memory buffers, shadow doorbells, data of admin
 * commands other than Identify, Get Log Page and the timestamp feature.
 */
#include "dma.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_QUEUES = 65, MAX_ENTRIES = 65536, MAX_NAMESPACES = 16, SQ_ENTRY = 64, CQ_ENTRY = 16,
    CAP = 0x00, CC = 0x14, AQA = 0x24, ASQ = 0x28, ACQ = 0x30, DOORBELLS = 0x1000,
    DELETE_SQ = 0x00, CREATE_SQ = 0x01, GET_LOG = 0x02, DELETE_CQ = 0x04, CREATE_CQ = 0x05,
    IDENTIFY = 0x06, SET_FEATURES = 0x09, GET_FEATURES = 0x0a, TIMESTAMP = 0x0e,
    WRITE = 0x01, READ = 0x02, COMPARE = 0x05, DATASET = 0x09,
};

struct command {
    bool busy;
    uint16_t id;
    uint32_t namespace_; /* of an Identify Namespace, else 0 */
    struct dma_buffers buffers;
};

struct submissions {
    uint64_t base; /* 0: there is no such queue */
    unsigned size, tail;
    struct command *commands; /* `size` of them, in no order */
};

struct completions {
    uint64_t base;
    unsigned size, head;
    bool phase;
};

struct nvme {
    struct dma_device device;
    uint64_t asq, acq, page; /* page: bytes */
    uint32_t aqa;
    unsigned stride; /* of doorbells, bytes */
    bool on;
    uint8_t block_shift[MAX_NAMESPACES];
    struct submissions sq[MAX_QUEUES];
    struct completions cq[MAX_QUEUES];
};

struct nvme *nvme_new(const char *where, bool coherent)
{
    struct nvme *n = calloc(1, sizeof *n);
    if (!n) {
        abort();
    }
    n->device.coherent = coherent;
    n->stride = 4;
    memset(n->block_shift, 9, sizeof n->block_shift);
    snprintf(n->device.name, sizeof n->device.name, "NVMe at %s", where);
    return n;
}

static void delete_sq(struct submissions *s)
{
    for (unsigned i = 0; s->commands && i < s->size; i++) {
        free(s->commands[i].buffers.at);
    }
    free(s->commands);
    *s = (struct submissions){0};
}

static void create_sq(struct submissions *s, uint64_t base, unsigned size)
{
    delete_sq(s);
    *s = (struct submissions){.base = base, .size = size, .commands = calloc(size, sizeof *s->commands)};
    if (!s->commands) {
        abort();
    }
}

static void create_cq(struct completions *c, uint64_t base, unsigned size)
{
    *c = (struct completions){.base = base, .size = size, .phase = true};
    dma_watch(base, (uint64_t)size * CQ_ENTRY);
}

static void configure(struct nvme *n, uint32_t cc)
{
    bool on = cc & 1;
    if (on && !n->on) {
        for (unsigned i = 0; i < MAX_QUEUES; i++) {
            delete_sq(&n->sq[i]);
            n->cq[i].base = 0;
        }
        n->page = UINT64_C(4096) << (cc >> 7 & 15);
        create_sq(&n->sq[0], n->asq, (n->aqa & 0xfff) + 1);
        create_cq(&n->cq[0], n->acq, (n->aqa >> 16 & 0xfff) + 1);
    }
    n->on = on;
}

/* ----------------------------------------------------------------- data */

/* "Physical Region Page Entry and List": page by page, and a list where there are more than two. */
static void add_prps(struct nvme *n, const struct dma_access *a, struct dma_buffers *b, uint64_t prp1,
                     uint64_t prp2, uint64_t bytes, bool written)
{
    uint64_t first = n->page - prp1 % n->page;
    dma_add(b, prp1, bytes < first ? bytes : first, written);
    if (bytes <= first) {
        return;
    }
    bytes -= first;
    if (bytes <= n->page) {
        dma_add(b, prp2, bytes, written);
        return;
    }
    while (bytes) {
        uint64_t entry = dma_u64(prp2);
        dma_read(&n->device, a, prp2, 8);
        if (prp2 % n->page == n->page - 8 && bytes > n->page) { /* points to the rest of the list */
            prp2 = entry;
            continue;
        }
        if (!entry) {
            return;
        }
        uint64_t some = bytes < n->page ? bytes : n->page;
        dma_add(b, entry, some, written);
        bytes -= some;
        prp2 += 8;
    }
}

/* "Scatter Gather List": a segment is as many descriptors as its own descriptor says. */
static void add_sgl(struct nvme *n, const struct dma_access *a, struct dma_buffers *b, uint64_t at,
                    bool written)
{
    enum { BLOCK = 0, SEGMENT = 2, LAST_SEGMENT = 3, MOST = 4096 };
    uint64_t left = 1; /* the first lies in the command, which was read as a whole */
    for (unsigned count = 0; left && count < MOST; count++) {
        uint64_t pa = dma_u64(at);
        uint32_t bytes = dma_u32(at + 8), type = dma_u32(at + 12) >> 28;
        left--;
        at += 16;
        if (type == BLOCK) {
            dma_add(b, pa, bytes, written);
        } else if (type == SEGMENT || type == LAST_SEGMENT) {
            dma_read(&n->device, a, pa, bytes);
            at = pa;
            left = bytes / 16;
        }
    }
}

static uint64_t data_bytes(const struct nvme *n, uint64_t entry, unsigned queue)
{
    unsigned opcode = dma_u32(entry) & 0xff, namespace_ = dma_u32(entry + 4);
    uint32_t cdw10 = dma_u32(entry + 40), cdw11 = dma_u32(entry + 44), cdw12 = dma_u32(entry + 48);
    if (queue) {
        switch (opcode) {
        case READ: case WRITE: case COMPARE:
            return (uint64_t)((cdw12 & 0xffff) + 1) << n->block_shift[namespace_ % MAX_NAMESPACES];
        case DATASET: return 16 * (uint64_t)((cdw10 & 0xff) + 1);
        }
        return 0;
    }
    switch (opcode) {
    case IDENTIFY: return 4096;
    case GET_LOG: return 4 * ((uint64_t)(cdw11 & 0xffff) << 16 | cdw10 >> 16) + 4;
    case SET_FEATURES: case GET_FEATURES: return (cdw10 & 0xff) == TIMESTAMP ? 8 : 0;
    }
    return 0;
}

/* ------------------------------------------------------------- commands */

/* Commands that make and end queues take effect when the driver gives them: it waits for them. */
static void manage_queues(struct nvme *n, uint64_t entry)
{
    uint32_t cdw10 = dma_u32(entry + 40);
    unsigned queue = cdw10 & 0xffff, size = (cdw10 >> 16) + 1;
    uint64_t base = dma_u64(entry + 24);
    if (!queue || queue >= MAX_QUEUES) {
        return;
    }
    switch (dma_u32(entry) & 0xff) {
    case CREATE_SQ: create_sq(&n->sq[queue], base, size); break;
    case CREATE_CQ: create_cq(&n->cq[queue], base, size); break;
    case DELETE_SQ: delete_sq(&n->sq[queue]); break;
    case DELETE_CQ: n->cq[queue].base = 0; break;
    }
}

static void submit(struct nvme *n, const struct dma_access *a, unsigned queue, uint64_t entry)
{
    struct submissions *s = &n->sq[queue];
    struct command *c = s->commands;
    uint32_t cdw0 = dma_u32(entry);
    unsigned opcode = cdw0 & 0xff;
    dma_read(&n->device, a, entry, SQ_ENTRY);
    while (c < s->commands + s->size && c->busy) {
        c++;
    }
    if (c == s->commands + s->size) {
        return;
    }
    c->busy = true;
    c->id = (uint16_t)(cdw0 >> 16);
    c->buffers.n = 0;
    c->namespace_ = !queue && opcode == IDENTIFY && !(dma_u32(entry + 40) & 0xff) ? dma_u32(entry + 4) : 0;
    uint64_t bytes = data_bytes(n, entry, queue);
    bool written = (opcode & 3) == 2;
    if (!queue) {
        manage_queues(n, entry);
    }
    if (bytes && cdw0 >> 14 & 3) {
        add_sgl(n, a, &c->buffers, entry + 24, written);
    } else if (bytes) {
        add_prps(n, a, &c->buffers, dma_u64(entry + 24), dma_u64(entry + 32), bytes, written);
    }
    dma_read_all(&n->device, a, &c->buffers);
}

static void ring_doorbell(struct nvme *n, const struct dma_access *a, unsigned queue)
{
    struct submissions *s = &n->sq[queue];
    if (!s->base || a->value >= s->size) {
        return;
    }
    while (s->tail != a->value) {
        submit(n, a, queue, s->base + (uint64_t)s->tail * SQ_ENTRY);
        s->tail = (s->tail + 1) % s->size;
    }
}

/* The size of blocks, which the length of reads and writes is in: "Identify Namespace data structure". */
static void learn_block_size(struct nvme *n, const struct command *c)
{
    uint64_t data = c->buffers.n ? c->buffers.at[0].pa : 0;
    unsigned format = dma_u32(data + 24) >> 16 & 15, shift = dma_u32(data + 128 + 4 * format) >> 16 & 0xff;
    if (c->namespace_ < MAX_NAMESPACES && shift >= 9 && shift <= 16) {
        n->block_shift[c->namespace_] = (uint8_t)shift;
    }
}

static void complete(struct nvme *n, const struct dma_access *a, unsigned queue, uint16_t id, bool well)
{
    struct submissions *s = queue < MAX_QUEUES ? &n->sq[queue] : NULL;
    for (unsigned i = 0; s && s->base && i < s->size; i++) {
        struct command *c = &s->commands[i];
        if (c->busy && c->id == id) {
            c->busy = false;
            if (well) {
                dma_write_all(&n->device, a, &c->buffers, UINT64_MAX);
                if (c->namespace_) {
                    learn_block_size(n, c);
                }
            }
            return;
        }
    }
}

static void look_at(struct nvme *n, struct completions *c, const struct dma_access *a)
{
    for (unsigned seen = 0; seen < c->size; seen++) {
        uint64_t entry = c->base + (uint64_t)c->head * CQ_ENTRY;
        uint32_t dw3 = dma_u32(entry + 12);
        if ((dw3 >> 16 & 1) != c->phase) {
            return;
        }
        complete(n, a, dma_u32(entry + 8) >> 16, (uint16_t)dw3, !(dw3 >> 17));
        dma_write(&n->device, a, entry, CQ_ENTRY);
        if (++c->head == c->size) {
            c->head = 0;
            c->phase = !c->phase;
        }
    }
}

void nvme_ram(struct nvme *n, const struct dma_access *a)
{
    for (unsigned i = 0; n->on && !a->store && i < MAX_QUEUES; i++) {
        struct completions *c = &n->cq[i];
        if (c->base && dma_touches(a, c->base, (uint64_t)c->size * CQ_ENTRY)) {
            look_at(n, c, a);
        }
    }
}

void nvme_register(struct nvme *n, unsigned offset, const struct dma_access *a)
{
    if (!a->store) {
        if (offset == CAP && a->size == 8) {
            n->stride = 4u << (a->value >> 32 & 15);
        } else if (offset == CAP + 4) {
            n->stride = 4u << (a->value & 15);
        }
        return;
    }
    switch (offset) {
    case CC: configure(n, (uint32_t)a->value); return;
    case AQA: n->aqa = (uint32_t)a->value; return;
    case ASQ: case ASQ + 4: dma_set_part(&n->asq, offset - ASQ, a); return;
    case ACQ: case ACQ + 4: dma_set_part(&n->acq, offset - ACQ, a); return;
    }
    unsigned number = (offset - DOORBELLS) / n->stride;
    if (n->on && offset >= DOORBELLS && number % 2 == 0 && number / 2 < MAX_QUEUES) {
        ring_doorbell(n, a, number / 2);
    }
}
