/* Inside the compiled simulator: its state, and the moves that accesses and maintenance share. */
#ifndef POCWATCH_CACHESIM_SIM_H
#define POCWATCH_CACHESIM_SIM_H

#include "cache.h"
#include "kernel.h"

#define L1I (-1)

struct pw_sim {
    struct pw_sim_config config;
    struct pw_sim_counts counts;
    struct cache *levels[PW_SIM_MAX_LEVELS]; /* instances; of level i, n_caches[i] */
    unsigned n_caches[PW_SIM_MAX_LEVELS];
    struct cache *l1i;
    struct cache *at[PW_SIM_MAX_PES][PW_SIM_MAX_LEVELS]; /* the one that a PE uses */
    struct plru plru[1 + PW_SIM_MAX_LEVELS];
    struct lines cleaned; /* lines that maintenance wrote back and no store touched since */
    /* With DIC: lines that went to an L1I and stayed dirty in a cache of level 0. No other line that is
     * dirty there has a copy that a store would remove. */
    struct lines fetched_dirty;
    bool induced; /* the current access missed on a line that maintenance removed */
    unsigned n;   /* levels; also the number of memory, as a level */
};

static inline struct pw_sim_cache_counts *counts_of(struct pw_sim *s, unsigned pe, const struct cache *c)
{
    return &s->counts.pes[pe].caches[c->index];
}

static inline bool together(const struct pw_sim *s, unsigned level, unsigned one, unsigned other)
{
    return level == s->n || s->at[one][level] == s->at[other][level];
}

/* Put a line where it is not. */
void install(struct pw_sim *s, unsigned pe, struct cache *c, uint64_t line, bool dirty);
/* Clean a dirty copy: its data go to the next level that has the line, or that is `stop`. */
void write_back(struct pw_sim *s, unsigned pe, struct cache *c, int64_t place, unsigned stop,
                unsigned cause);
/* Any record that is no access. */
void operation(struct pw_sim *s, struct pw_stream_access a);

#endif
