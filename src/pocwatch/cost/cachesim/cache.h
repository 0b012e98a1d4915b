/* One set-associative cache: where lines are, which are dirty, which way goes next. */
#ifndef POCWATCH_CACHESIM_CACHE_H
#define POCWATCH_CACHESIM_CACHE_H

#include "generated.h"
#include "lines.h"

#define NO_LINE UINT64_MAX
#define MAX_WAYS 64
#define NONE_RECENT 255 /* no way; `tags` has room for it behind the last set, so that it can be read */

struct plru { /* what a use of each way makes of the tree's bits; bit n: node n, 1 the root */
    uint64_t keep[MAX_WAYS], point[MAX_WAYS];
};

struct cache {
    uint64_t set_mask;
    unsigned ways;
    bool is_plru, complete; /* complete: it has all its memory */
    unsigned level, index; /* index into the PE's counters: 0 L1I, 1 + level */
    unsigned pe;           /* the first that uses it */
    uint64_t held;         /* number of lines */
    uint64_t *tags;        /* by set and way: line, NO_LINE while free */
    uint8_t *dirty;        /* by set and way */
    uint8_t *recent;       /* by set: the way used last; NONE_RECENT before the first use */
    uint64_t *uses;        /* LRU: by set and way, when last used; tree: by set, the bits */
    uint64_t clock;
    const struct plru *plru;
    struct lines removed; /* absent lines that maintenance took out last */
};

/* A line's place: set * ways + way; -1 if it is absent. */
static inline int64_t cache_find(const struct cache *c, uint64_t line)
{
    uint64_t base = (line & c->set_mask) * c->ways;
    const uint64_t *tags = c->tags + base;
    if (tags[c->recent[line & c->set_mask]] == line) { /* no line is in another's set */
        return (int64_t)(base + c->recent[line & c->set_mask]);
    }
    for (unsigned way = 0; way < c->ways; way++) {
        if (tags[way] == line) {
            return (int64_t)(base + way);
        }
    }
    return -1;
}

/* The line was used in the way that its set used last: nothing to be noted. */
static inline bool cache_is_recent(const struct cache *c, uint64_t line, int64_t *place)
{
    uint64_t set = line & c->set_mask;
    *place = (int64_t)(set * c->ways + c->recent[set]);
    return c->tags[*place] == line;
}

static inline void cache_touch(struct cache *c, uint64_t line, int64_t place)
{
    uint64_t set = line & c->set_mask, way = (uint64_t)place - set * c->ways;
    c->recent[set] = (uint8_t)way;
    if (c->is_plru) {
        c->uses[set] = (c->uses[set] & c->plru->keep[way]) | c->plru->point[way];
    } else {
        c->uses[place] = ++c->clock;
    }
}

/* Where a new line goes: the first free way, else the victim. */
static inline int64_t cache_place(const struct cache *c, uint64_t line)
{
    uint64_t set = line & c->set_mask, base = set * c->ways;
    unsigned oldest = 0;
    for (unsigned way = 0; way < c->ways; way++) {
        if (c->tags[base + way] == NO_LINE) {
            return (int64_t)(base + way);
        }
        if (!c->is_plru && c->uses[base + way] < c->uses[base + oldest]) {
            oldest = way;
        }
    }
    if (c->is_plru) {
        unsigned node = 1;
        while (node < c->ways) {
            node = 2 * node + (c->uses[set] >> node & 1);
        }
        oldest = node - c->ways;
    }
    return (int64_t)(base + oldest);
}

static inline void cache_drop(struct cache *c, int64_t place)
{
    c->tags[place] = NO_LINE;
    c->dirty[place] = 0;
    c->held--;
}

#endif
