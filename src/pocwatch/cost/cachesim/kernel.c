/* Accesses, and the loop over the stream; see kernel.h. Functions have reference.py's names. */
#include "sim.h"

static void fill(struct pw_sim *s, unsigned pe, uint64_t line, unsigned end, unsigned first)
{
    for (unsigned level = end; level-- > first;) {
        install(s, pe, s->at[pe][level], line, false);
    }
}

static inline bool look_in(struct pw_sim *s, unsigned pe, unsigned use, uint64_t line, struct cache *c)
{
    struct pw_sim_cache_counts *counts = counts_of(s, pe, c);
    int64_t place = cache_find(c, line);
    if (place >= 0) {
        counts->hits[use]++;
        cache_touch(c, line, place);
        return true;
    }
    counts->misses[use]++;
    if (lines_has(&c->removed, line)) {
        counts->induced[use]++;
        s->induced = true;
    }
    return false;
}

static void read_memory(struct pw_sim *s, unsigned pe, unsigned use)
{
    s->counts.pes[pe].memory_reads[use]++;
    s->counts.pes[pe].induced_reads[use] += s->induced;
}

static unsigned look_up(struct pw_sim *s, unsigned pe, unsigned use, uint64_t line, unsigned first,
                        unsigned end)
{
    for (unsigned level = first; level < end; level++) {
        if (look_in(s, pe, use, line, s->at[pe][level])) {
            return level;
        }
    }
    return s->n;
}

static unsigned snoop(struct pw_sim *s, unsigned pe, uint64_t line, unsigned first, unsigned at,
                      bool removes)
{
    unsigned came = s->n;
    for (unsigned level = 0; level < (removes ? s->n : at); level++) {
        for (unsigned i = 0; i < s->n_caches[level]; i++) {
            struct cache *c = &s->levels[level][i];
            if (!c->held || (level >= first && c == s->at[pe][level]) ||
                (!removes && !together(s, at, c->pe, pe)) ||
                (level < first && !s->config.idc && together(s, first, c->pe, pe))) {
                continue;
            }
            int64_t place = cache_find(c, line);
            if (place < 0) {
                continue;
            }
            if (c->dirty[place]) {
                unsigned common = level + 1;
                while (common < s->n && !(common >= first && together(s, common, c->pe, pe))) {
                    common++;
                }
                came = came < common ? came : common;
                write_back(s, pe, c, place, common, PW_CAUSE_SNOOP);
            }
            if (removes) {
                cache_drop(c, place);
                counts_of(s, pe, c)->invalidated++;
            }
        }
    }
    for (unsigned i = 0; removes && s->config.dic && i < s->config.pes; i++) {
        struct cache *c = &s->l1i[i];
        int64_t place = c->held ? cache_find(c, line) : -1;
        if (place >= 0) {
            cache_drop(c, place);
            counts_of(s, pe, c)->invalidated++;
        }
    }
    return came;
}

static void __attribute__((noinline)) data_slow(struct pw_sim *s, unsigned pe, unsigned use,
                                                uint64_t line)
{
    bool stores = use == PW_USE_STORE || use == PW_USE_ZVA, whole = use == PW_USE_ZVA;
    s->induced = false;
    unsigned at = look_up(s, pe, use, line, 0, whole ? 1 : s->n);
    struct cache *c = s->at[pe][0];
    if (at || stores) {
        unsigned came = snoop(s, pe, line, 0, at, stores);
        at = at < came ? at : came;
    }
    if (at == s->n && !whole) {
        read_memory(s, pe, use);
    }
    fill(s, pe, line, whole && at ? 1 : at, 0);
    if (stores) {
        int64_t place = cache_find(c, line);
        lines_remove(&s->fetched_dirty, line);
        if (!c->dirty[place] && lines_remove(&s->cleaned, line)) {
            s->counts.pes[pe].redirtied++;
        }
        c->dirty[place] = 1;
    }
}

static inline void data(struct pw_sim *s, unsigned pe, unsigned use, uint64_t line)
{
    struct cache *c = s->at[pe][0];
    int64_t place;
    bool stores = use == PW_USE_STORE || use == PW_USE_ZVA, recent = cache_is_recent(c, line, &place);
    if (!recent) {
        place = cache_find(c, line);
    }
    if (place >= 0 && (!stores || (c->dirty[place] && !lines_has(&s->fetched_dirty, line)))) {
        counts_of(s, pe, c)->hits[use]++;
        if (!recent) {
            cache_touch(c, line, place);
        }
        return;
    }
    data_slow(s, pe, use, line);
}

static void __attribute__((noinline)) fetch_slow(struct pw_sim *s, unsigned pe, unsigned kind,
                                                 uint64_t line)
{
    struct cache *c = &s->l1i[pe];
    unsigned at = s->n, first = s->config.first_unified;
    s->induced = false;
    look_in(s, pe, PW_USE_FETCH, line, c);
    if (kind == PW_SIM_KIND_WB) {
        at = look_up(s, pe, PW_USE_FETCH, line, first, s->n);
        unsigned came = snoop(s, pe, line, first, at, false);
        at = at < came ? at : came;
        fill(s, pe, line, at, first);
    }
    if (at == s->n) {
        read_memory(s, pe, PW_USE_FETCH);
    }
    install(s, pe, c, line, false);
    for (unsigned i = 0; s->config.dic && i < s->n_caches[0]; i++) {
        int64_t place = cache_find(&s->levels[0][i], line);
        if (place >= 0 && s->levels[0][i].dirty[place]) {
            lines_add(&s->fetched_dirty, line);
        }
    }
}

static inline void fetch(struct pw_sim *s, unsigned pe, unsigned kind, uint64_t line)
{
    struct cache *c = &s->l1i[pe];
    int64_t place;
    if (cache_is_recent(c, line, &place)) {
        counts_of(s, pe, c)->hits[PW_USE_FETCH]++;
        return;
    }
    place = cache_find(c, line);
    if (place >= 0) {
        counts_of(s, pe, c)->hits[PW_USE_FETCH]++;
        cache_touch(c, line, place);
        return;
    }
    fetch_slow(s, pe, kind, line);
}

static const int8_t uses[PW_SIM_MAX_OPS] = { /* 1 + PW_USE_* */
    [PW_SIM_OP_LD] = 1 + PW_USE_LOAD,    [PW_SIM_OP_ST] = 1 + PW_USE_STORE,
    [PW_SIM_OP_TW] = 1 + PW_USE_WALK,    [PW_SIM_OP_IF] = 1 + PW_USE_FETCH,
    [PW_SIM_OP_DC_ZVA] = 1 + PW_USE_ZVA,
};

size_t pw_sim_run(struct pw_sim *sim, const struct pw_stream_access *records, size_t n)
{
    struct pw_sim *s = sim;
    unsigned shift = s->config.line_shift;
    for (size_t i = 0; i < n; i++) {
        struct pw_stream_access a = records[i];
        if (a.pe >= s->config.pes) {
            s->counts.accesses += i;
            return i;
        }
        if (!uses[a.op]) {
            operation(s, a);
            continue;
        }
        unsigned use = (unsigned)uses[a.op] - 1;
        bool fetches = use == PW_USE_FETCH;
        if (a.kind > (fetches ? PW_SIM_KIND_WT : PW_SIM_KIND_WB)) {
            s->counts.pes[a.pe].uncached[use]++;
            continue;
        }
        uint64_t line = a.pa >> shift, last = (a.pa + (a.size ? a.size - 1 : 0)) >> shift;
        do {
            if (fetches) {
                fetch(s, a.pe, a.kind, line);
            } else {
                data(s, a.pe, use, line);
            }
        } while (++line <= last);
    }
    s->counts.accesses += n;
    return n;
}
