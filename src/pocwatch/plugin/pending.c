/* Lines with incomplete maintenance; see pending.h. */
#include "pending.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ records by line */

static struct pw_pending **buckets;
static uint64_t n_buckets, n_records;
static struct pw_pending *free_list; /* linked through `line` of free records */

static uint64_t slot_of(uint64_t line)
{
    return (line * UINT64_C(0x9e3779b97f4a7c15)) >> 20 & (n_buckets - 1);
}

static uint64_t find_slot(uint64_t line)
{
    uint64_t i = slot_of(line);
    while (buckets[i] && buckets[i]->line != line + 1) {
        i = (i + 1) & (n_buckets - 1);
    }
    return i;
}

static void grow(void)
{
    struct pw_pending **old = buckets;
    uint64_t n_old = n_buckets;
    n_buckets = n_old ? 2 * n_old : 1024;
    buckets = calloc(n_buckets, sizeof *buckets);
    if (!buckets) {
        abort();
    }
    for (uint64_t i = 0; i < n_old; i++) {
        if (old[i]) {
            buckets[find_slot(old[i]->line - 1)] = old[i];
        }
    }
    free(old);
}

struct pw_pending *pw_pending_find(uint64_t line)
{
    return n_buckets ? buckets[find_slot(line)] : NULL;
}

struct pw_pending *pw_pending_get(uint64_t line, const uint8_t states[PW_CELLS_PER_LINE])
{
    if (2 * (n_records + 1) > n_buckets) {
        grow();
    }
    uint64_t i = find_slot(line);
    if (buckets[i]) {
        return buckets[i];
    }
    struct pw_pending *p = free_list;
    if (p) {
        memcpy(&free_list, &p->line, sizeof free_list);
    } else {
        p = malloc(sizeof *p);
        if (!p) {
            abort();
        }
    }
    p->line = line + 1;
    p->n_branches = 1;
    p->n_windows = 0;
    p->branches = p->few;
    memset(&p->branches[0], 0, sizeof p->branches[0]);
    memcpy(p->branches[0].states, states, PW_CELLS_PER_LINE);
    buckets[i] = p;
    n_records++;
    return p;
}

void pw_pending_drop(struct pw_pending *p)
{
    /* Deletion from an open-addressed table: move later entries of the run into the hole. */
    uint64_t hole = find_slot(p->line - 1);
    buckets[hole] = NULL;
    for (uint64_t i = (hole + 1) & (n_buckets - 1); buckets[i]; i = (i + 1) & (n_buckets - 1)) {
        struct pw_pending *moved = buckets[i];
        buckets[i] = NULL;
        buckets[find_slot(moved->line - 1)] = moved;
    }
    n_records--;
    if (p->branches != p->few) {
        free(p->branches);
    }
    memcpy(&p->line, &free_list, sizeof free_list);
    free_list = p;
}

void pw_pending_drop_all(void)
{
    for (uint64_t i = 0; i < n_buckets; i++) {
        while (buckets[i]) { /* dropping moves later entries up */
            pw_pending_drop(buckets[i]);
        }
    }
}

/* ------------------------------------------------------------------ branches */

static bool add(struct pw_pending *p, const struct pw_branch *b)
{
    for (unsigned i = 0; i < p->n_branches; i++) {
        if (!memcmp(&p->branches[i], b, sizeof *b)) {
            return true;
        }
    }
    if (p->n_branches == PW_MAX_BRANCHES) {
        return false;
    }
    if (p->branches == p->few && p->n_branches == sizeof p->few / sizeof p->few[0]) {
        p->branches = malloc(PW_MAX_BRANCHES * sizeof *p->branches);
        if (!p->branches) {
            abort();
        }
        memcpy(p->branches, p->few, sizeof p->few);
    }
    p->branches[p->n_branches++] = *b;
    return true;
}

static void unqueue(struct pw_branch *b, unsigned at)
{
    memmove(&b->queue[at], &b->queue[at + 1], (b->n - at - 1) * sizeof b->queue[0]);
    b->n--;
    memset(&b->queue[b->n], 0, sizeof b->queue[0]);
}

/* Let the first operation of each PE act, in every branch, to the end. */
static bool settle(struct pw_pending *p, const struct pw_table *t, int fill)
{
    bool complete = true;
    for (unsigned i = 0; i < p->n_branches; i++) { /* grows while it is walked */
        for (unsigned k = 0; k < p->branches[i].n; k++) {
            struct pw_branch b = p->branches[i];
            if (k && b.queue[k - 1].pe == b.queue[k].pe) {
                continue;
            }
            const uint8_t *row = t->delta[fill][t->event[b.queue[k].op]];
            for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
                b.states[c] = row[b.states[c]];
            }
            unqueue(&b, k);
            complete &= add(p, &b);
        }
    }
    return complete;
}

/* Rebuild the set from changed branches: equal ones become one. */
static void deduplicate(struct pw_pending *p)
{
    unsigned n = p->n_branches;
    p->n_branches = 0;
    for (unsigned i = 0; i < n; i++) {
        struct pw_branch b = p->branches[i];
        add(p, &b);
    }
}

bool pw_pending_step(struct pw_pending *p, const struct pw_table *t, int fill, unsigned cells,
                     unsigned own, unsigned others)
{
    bool changed = p->n_windows;
    for (unsigned i = 0; i < p->n_branches; i++) {
        uint8_t *states = p->branches[i].states, before[PW_CELLS_PER_LINE];
        memcpy(before, states, sizeof before);
        for (unsigned c = 0; c < PW_CELLS_PER_LINE; c++) {
            unsigned event = cells >> c & 1 ? own : others;
            if (event != PW_NO_EVENT) {
                states[c] = t->delta[fill][event][states[c]];
            }
        }
        changed |= p->branches[i].n || memcmp(before, states, sizeof before);
    }
    deduplicate(p);
    settle(p, t, fill);
    return changed;
}

static bool waits(const struct pw_branch *b, unsigned pe, bool all)
{
    for (unsigned k = 0; k < b->n; k++) {
        if (b->queue[k].pe == pe && (all || b->queue[k].ordered)) {
            return true;
        }
    }
    return false;
}

void pw_pending_force(struct pw_pending *p, unsigned pe, bool all)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < p->n_branches; i++) {
        if (!waits(&p->branches[i], pe, all)) {
            p->branches[kept++] = p->branches[i];
        }
    }
    p->n_branches = (uint8_t)kept;
}

/* Issue `op` behind the PE's operations, leaving out what adds nothing: pending.queued. */
static bool enqueue(struct pw_branch *b, const struct pw_table *t, unsigned pe, unsigned op)
{
    unsigned first = 0, end;
    while (first < b->n && (b->queue[first].pe < pe ||
                            (b->queue[first].pe == pe && b->queue[first].ordered))) {
        first++;
    }
    for (end = first; end < b->n && b->queue[end].pe == pe; end++) {
    }
    if (t->discards[op]) {
        for (unsigned k = first; k < end; k++) {
            if (t->covers[b->queue[k].op][op]) {
                while (end > k + 1) {
                    unqueue(b, --end);
                }
                return true;
            }
        }
    } else {
        for (unsigned k = end; k > first && !t->discards[b->queue[k - 1].op]; k--) {
            if (t->supersedes[op][b->queue[k - 1].op]) {
                unqueue(b, k - 1);
                end--;
            }
        }
    }
    if (b->n == PW_MAX_QUEUED) {
        return false;
    }
    memmove(&b->queue[end + 1], &b->queue[end], (b->n - end) * sizeof b->queue[0]);
    b->queue[end] = (struct pw_queued){.pe = (uint8_t)pe, .op = (uint8_t)op};
    b->n++;
    return true;
}

bool pw_pending_issue(struct pw_pending *p, const struct pw_table *t, int fill, unsigned pe,
                      unsigned op, bool maybe_before)
{
    struct pw_branch before[PW_MAX_BRANCHES];
    unsigned n = p->n_branches;
    bool fits = true;
    memcpy(before, p->branches, n * sizeof before[0]);
    for (unsigned i = 0; i < n; i++) {
        fits &= enqueue(&p->branches[i], t, pe, op);
    }
    deduplicate(p);
    for (unsigned i = 0; maybe_before && i < n; i++) {
        fits &= add(p, &before[i]);
    }
    return settle(p, t, fill) && fits;
}

void pw_pending_dmb(struct pw_pending *p, const struct pw_table *t, unsigned pe)
{
    for (unsigned i = 0; i < p->n_branches; i++) {
        struct pw_branch *b = &p->branches[i], merged = *b;
        while (waits(&merged, pe, true)) {
            unsigned k = 0;
            while (merged.queue[k].pe != pe) {
                k++;
            }
            unqueue(&merged, k);
        }
        for (unsigned k = 0; k < b->n; k++) { /* as if all had been issued since the last DMB */
            if (b->queue[k].pe == pe) {
                enqueue(&merged, t, pe, b->queue[k].op);
            }
        }
        for (unsigned k = 0; k < merged.n; k++) {
            merged.queue[k].ordered |= merged.queue[k].pe == pe;
        }
        *b = merged;
    }
    deduplicate(p);
}

uint8_t pw_pending_stale(const struct pw_pending *p, const struct pw_table *t, int fill,
                         unsigned cell)
{
    uint8_t stale = 0;
    for (unsigned i = 0; i < p->n_branches; i++) {
        stale |= t->stale[fill][p->branches[i].states[cell]];
    }
    return stale;
}
