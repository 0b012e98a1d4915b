/*
 * The access stream (`stream=FILE`): every access to watched RAM, table walk and maintenance operation
 * as a record of pocwatch.cost.cachesim.record, for a cache simulator. FILE may be a FIFO; opening one
 * waits for its reader.
 *
 * Each PE fills a buffer of its own; full ones are written whole. A PE that goes idle hands over what
 * it has, so that its last accesses do not come long after what others did meanwhile.
 */
#ifndef POCWATCH_PLUGIN_STREAM_H
#define POCWATCH_PLUGIN_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include "../cost/cachesim/stream.h"
#include "generated.h"

struct pw_stream_buffer {
    struct pw_stream_access records[PW_STREAM_BLOCK];
    unsigned n;
} __attribute__((aligned(64)));

extern struct pw_stream_buffer pw_stream_buffers[PW_MAX_PES];
extern bool pw_streaming; /* constant once the machine runs */

/* On failure returns false with a one-line reason in `error`. */
bool pw_stream_open(const char *path, unsigned pes, char *error, unsigned error_size);
void pw_stream_close(void);
/* Write what the PE's buffer has. Ends QEMU when that fails. */
void pw_stream_flush(unsigned pe);

static inline void pw_stream_put(unsigned pe, unsigned op, unsigned kind, uint64_t pa, unsigned size)
{
    struct pw_stream_buffer *b = &pw_stream_buffers[pe];
    b->records[b->n++] = (struct pw_stream_access){
        .pa = pa & ((UINT64_C(1) << 44) - 1), .size = size & 0x7f, .pe = pe & 0x3f,
        .op = op & 0x1f, .kind = kind & 3};
    if (b->n == PW_STREAM_BLOCK) {
        pw_stream_flush(pe);
    }
}

#endif
