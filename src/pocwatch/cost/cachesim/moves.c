/* Lines come into caches and dirty ones leave them; see reference.py. */
#include "sim.h"

void install(struct pw_sim *s, unsigned pe, struct cache *c, uint64_t line, bool dirty)
{
    struct pw_sim_cache_counts *counts = counts_of(s, pe, c);
    int64_t place = cache_place(c, line);
    if (c->tags[place] != NO_LINE) {
        counts->evictions++;
        if (c->dirty[place]) {
            write_back(s, pe, c, place, c->level + 1, PW_CAUSE_EVICTION);
        }
    } else {
        c->held++;
    }
    counts->fills++;
    if (c->removed.n) {
        lines_remove(&c->removed, line);
    }
    c->tags[place] = line;
    c->dirty[place] = dirty;
    cache_touch(c, line, place);
}

void write_back(struct pw_sim *s, unsigned pe, struct cache *c, int64_t place, unsigned stop,
                unsigned cause)
{
    uint64_t line = c->tags[place];
    c->dirty[place] = 0;
    counts_of(s, pe, c)->write_backs[cause]++;
    for (unsigned level = c->level + 1; level < s->n; level++) {
        struct cache *target = s->at[c->pe][level];
        int64_t found = cache_find(target, line);
        if (found >= 0) {
            target->dirty[found] = 1;
            cache_touch(target, line, found);
            return;
        }
        if (level >= stop) {
            install(s, pe, target, line, true);
            return;
        }
    }
    s->counts.pes[pe].memory_writes[cause]++;
}
