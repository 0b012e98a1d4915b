/* A virtqueue, split or packed: what its driver hands over and takes back. */
#ifndef POCWATCH_DMA_RING_H
#define POCWATCH_DMA_RING_H

#include "dma.h"

/* Buffers that are the device's, by the number the driver gave them. */
struct chain {
    bool handed_over;
    unsigned descriptors; /* of the ring */
    struct dma_buffers buffers;
};

struct ring {
    bool on, packed, event_index;
    unsigned size;                        /* descriptors, at most RING_MOST */
    uint64_t descriptors, driver, device; /* PAs of the three areas */
    uint64_t legacy_align;
    uint16_t available, used;             /* what was seen of them: split, counters; packed, places */
    bool available_wrap, used_wrap;
    struct chain *chains;
    unsigned n_chains;
    struct ring_descriptor { uint64_t pa; uint32_t bytes; uint16_t id, flags; } *written;
};

enum { RING_MOST = 32768 };

/* `size` and the areas are set. */
void ring_start(struct ring *r);
void ring_stop(struct ring *r);
/* The driver rang: the device reads what is new. */
void ring_handed_over(struct ring *r, struct dma_device *d, const struct dma_access *a);
/* An access of a watched page, which may be the ring's. */
void ring_ram(struct ring *r, struct dma_device *d, const struct dma_access *a);

#endif
