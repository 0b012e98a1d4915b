/*
 * Judge's own state: the shadow lines, operations in flight, and what moves them.
 *
 * Everything here is called between `enter` and `leave`. Rules of the instruction side:
 * pocwatch.line.fetch; of operations that are issued and not complete: pending.h.
 */
#ifndef POCWATCH_STATE_H
#define POCWATCH_STATE_H

#include <pthread.h>
#include "history.h"
#include "pending.h"
#include "shadow.h"

/* Inlined into the callbacks it would cost the fast paths their registers. */
#define SLOW __attribute__((noinline))

struct lines {
    uint64_t *items;
    size_t n, size;
};

/* What judge keeps of a PE. */
struct pe {
    struct lines issued;   /* lines with operations of the PE in flight, duplicates allowed */
    size_t ordered;        /* of these, how many the last DMB ordered */
    struct lines uncached; /* lines with an nc/dev store since the last DMB or DSB */
    uint32_t set_way;      /* set of set/way operations since the last DSB */
    bool on;
    bool ialluis; /* an IC by all, for all PEs, is in flight */
    uint32_t synced_at;
    pw_who set_way_who;
};

/* What a write-back access leaves as it is, and whether a load is fresh. */
enum { SETTLED_LOAD = 1, SETTLED_STORE = 2, SETTLED_NEIGHBOUR = 4, SETTLED_FRESH = 8 };

extern struct judge {
    struct pw_table table;
    struct pw_runheader *header;
    uint64_t run_bytes;
    const char *ram;
    int ram_fd;            /* open until the snapshot is taken */
    char *fetched;         /* RAM as the I-side was last coherent with it, line by line */
    uint32_t *coherent_at; /* per line, `clock_now` when its I-side became coherent */
    uint32_t clock_now;    /* counts I-side completions, for `unsynced` */
    bool report_unsynced, keep_stale;
    bool shard;            /* see pw_config */
    uint8_t settled[2][256];         /* by fill switch and state: SETTLED_* */
    uint32_t epoch, last_all_done;   /* see catch_up */
    unsigned all_in_flight;          /* PEs with an IC by all, broadcast, issued, not complete */
    int fill;                        /* whether caches may fill on their own: some PE is on */
    uint64_t touched_pages;
    uint8_t *touched; /* per 4 KiB page */
    uint8_t *uncached; /* per 4 KiB page: I-caches may have filled lines by Non-cacheable fetches */
    bool all_uncached; /* it is as if set for all pages */
    bool from_reset;   /* no MMU was on since the machine's reset */
    uint8_t untouched; /* the state of all lines of the other pages; their shadow is zero */
    pthread_mutex_t lock;
    struct pe pes[PW_MAX_PES];
} judge;

/* One vCPU has one thread, and no other calls: the lock would only cost. */
static inline void enter(void)
{
    if (judge.header->n_pes != 1) {
        pthread_mutex_lock(&judge.lock);
    }
}

static inline void leave(void)
{
    if (judge.header->n_pes != 1) {
        pthread_mutex_unlock(&judge.lock);
    }
}

/* The epoch up to which a line knows; see catch_up_but. */
enum { EPOCH_BITS = 22 };
static inline uint32_t epochs_behind(const struct pw_line *l)
{
    uint32_t known = (uint32_t)l->epoch_high * EPOCHS + l->flags / LINE_EPOCH;
    return (judge.epoch - known) & ((1u << EPOCH_BITS) - 1);
}

static inline uint64_t line_of(uint64_t pa)
{
    return (pa - pw_ram_base) / PW_LINE_BYTES;
}

/* The cells of a line that `size` bytes at `pa` touch. */
static inline unsigned cells_of(uint64_t pa, unsigned size)
{
    unsigned first = pa % PW_LINE_BYTES / PW_CELL_BYTES;
    unsigned last = (pa % PW_LINE_BYTES + size - 1) / PW_CELL_BYTES;
    return (0xffu >> (7 - last)) & (0xffu << first);
}

/* Of the cells that a store of their own leaves alone, those of which the store leaves all others
 * alone, too: `moved` are the cells that a neighbour's store moves. */
static inline unsigned without_neighbours(unsigned cells, unsigned moved)
{
    if (moved & (moved - 1)) {
        return 0;
    }
    return moved ? cells & moved : cells; /* one is moved by all others, but has itself for none */
}

void push(struct lines *l, uint64_t line);
bool contains(const struct lines *l, uint64_t line);
void for_all_lines(void (*act)(uint64_t line, const struct pe *pe), const struct pe *pe);

/* A line was used: it has a shadow from now on. */
void touch(uint64_t line);
void forget_ok(struct pw_line *l);
void find_ok(uint64_t line);

/* The line's record of operations in flight, NULL if there is none; made if there is none; given up
 * if nothing is in flight any more. */
struct pw_pending *pending_of(uint64_t line);
struct pw_pending *make_pending(uint64_t line);
void collapse(uint64_t line, struct pw_pending *p);

/* Who may read a stale value of the cell: outputs of the table. */
uint8_t stale_of(uint64_t line, unsigned cell);
/* Step the cells of a line: `own` on `cells`, `others` on the rest. Returns whether any changed. */
bool step(uint64_t line, unsigned cells, unsigned own, unsigned others);
/* An access of the PE to the line: what it sees done of its own maintenance (fact C9). */
void see_done(uint64_t line, unsigned pe, unsigned kind);

/* The instruction side. */
void taint(uint64_t line, unsigned cells, unsigned kinds);
void taint_sources(uint64_t line);
/* Cells whose source may be stale, by fetch kind: [0] WB, [1] NC. */
void stale_sources(uint64_t line, uint8_t cells[2]);
void invalidated(uint64_t line, const uint8_t tainted[2]);
void catch_up_but(uint64_t line, unsigned first, unsigned n);
static inline void catch_up(uint64_t line)
{
    catch_up_but(line, 0, 0);
}
struct pw_window *open_window(uint64_t line, unsigned issuer);
/* Give the line windows of its own for every IC by all in flight; before its sources move. */
void open_windows(uint64_t line);
void written(uint64_t line, unsigned cells);
/* Before anything is fetched: judge.fetched gets what RAM holds. Once. */
void take_snapshot(void);
/* An instruction was fetched from a source that may be stale. */
void spoiled(uint64_t line, unsigned cells);

/* After a report: the line counts as coherent, so that one cause is not told a thousand times. */
void heal(uint64_t line);
void report(struct pw_cpu *cpu, const struct pw_site *site, struct pw_access *access,
            uint64_t line, unsigned cell, unsigned kind, unsigned stale);
struct pw_access access_of(const struct pw_page *page, uint64_t va, unsigned size, unsigned op);

#endif
