/*
 * Lines with maintenance that was issued and is not complete: the states each may be in.
 *
 * An operation may have acted already or not, so a line is in one of several branches; every event
 * steps them all. The same construction, and the same normal form of queues, as
 * pocwatch.line.pending, from which the table's relations between operations come. Callers
 * serialise.
 */
#ifndef POCWATCH_PENDING_H
#define POCWATCH_PENDING_H

#include <stdbool.h>
#include <stdint.h>
#include "generated.h"

#define PW_MAX_BRANCHES 250
#define PW_MAX_QUEUED 10
#define PW_MAX_WINDOWS 4

struct pw_queued {
    uint8_t pe, op, ordered;
};

struct pw_branch {
    uint8_t states[PW_CELLS_PER_LINE];
    uint8_t n;
    struct pw_queued queue[PW_MAX_QUEUED]; /* by PE, then in program order; zero behind n */
};

/* An I-cache invalidation between issue and its issuer's DSB; see pocwatch.line.fetch. */
struct pw_window {
    uint8_t issuer, all_pes;
    uint8_t tainted[2]; /* cells, by write-back and Non-cacheable fetch */
};

struct pw_pending {
    uint64_t line; /* index, + 1 */
    uint8_t n_branches, n_windows;
    struct pw_window windows[PW_MAX_WINDOWS];
    struct pw_branch *branches; /* `few` until that is too small */
    struct pw_branch few[2];
};

struct pw_pending *pw_pending_find(uint64_t line);
/* The record of a line, made with one branch of `states` if there is none. */
struct pw_pending *pw_pending_get(uint64_t line, const uint8_t states[PW_CELLS_PER_LINE]);
void pw_pending_drop(struct pw_pending *p);
void pw_pending_drop_all(void);

/* Events; `t` is the table, `fill` whether caches may fill on their own. Returns whether anything changed,
 * or is in flight and may have. */
bool pw_pending_step(struct pw_pending *p, const struct pw_table *t, int fill, unsigned cells,
                     unsigned own, unsigned others); /* events, PW_NO_EVENT for none */
/* The PE's own access: `all` sees everything done, otherwise what a DMB came after. */
void pw_pending_force(struct pw_pending *p, unsigned pe, bool all);
/* Returns false when the record is full and the operation was not queued. */
bool pw_pending_issue(struct pw_pending *p, const struct pw_table *t, int fill, unsigned pe,
                      unsigned op, bool maybe_before);
void pw_pending_dmb(struct pw_pending *p, const struct pw_table *t, unsigned pe);
/* Union of the outputs of all branches for a cell. */
uint8_t pw_pending_stale(const struct pw_pending *p, const struct pw_table *t, int fill,
                         unsigned cell);

#endif
