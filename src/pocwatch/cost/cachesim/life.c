/* The hierarchy is made and freed. */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static bool make_cache(struct cache *c, const struct pw_sim_cache_config *config, int level,
                       unsigned pe, struct plru *plru)
{
    size_t places = (size_t)config->sets * config->ways;
    *c = (struct cache){.set_mask = config->sets - 1, .ways = config->ways,
                        .is_plru = config->plru, .level = (unsigned)level,
                        .index = (unsigned)(1 + level), .pe = pe, .plru = plru};
    size_t readable = places + NONE_RECENT + 1;
    c->tags = malloc(readable * sizeof *c->tags);
    c->recent = malloc(config->sets);
    c->dirty = calloc(places, 1);
    c->uses = calloc(places, sizeof *c->uses);
    if (!c->tags || !c->recent || !c->dirty || !c->uses) {
        return false;
    }
    memset(c->tags, 0xff, readable * sizeof *c->tags);
    memset(c->recent, NONE_RECENT, config->sets);
    c->complete = true;
    for (unsigned way = 0; config->plru && way < config->ways; way++) {
        plru->keep[way] = ~UINT64_C(0);
        plru->point[way] = 0;
        for (unsigned node = 1, half = config->ways / 2; half; half /= 2) {
            unsigned side = way / half % 2;
            plru->keep[way] &= ~(UINT64_C(1) << node);
            plru->point[way] |= (uint64_t)!side << node;
            node = 2 * node + side;
        }
    }
    return true;
}

static struct cache *make_level(const struct pw_sim *s, const struct pw_sim_cache_config *config,
                                int level, struct plru *plru, unsigned *n)
{
    *n = (s->config.pes + config->sharers - 1) / config->sharers;
    struct cache *made = calloc(*n, sizeof *made);
    for (unsigned i = 0; made && i < *n; i++) {
        if (!make_cache(&made[i], config, level, i * config->sharers, plru)) {
            return made; /* pw_sim_new sees the missing arrays */
        }
    }
    return made;
}

static bool complete(const struct cache *caches, unsigned n)
{
    return caches && caches[n - 1].complete;
}

struct pw_sim *pw_sim_new(const struct pw_sim_config *config)
{
    struct pw_sim *sim = calloc(1, sizeof *sim);
    if (!sim) {
        return NULL;
    }
    struct pw_sim *s = sim;
    unsigned pes = config->pes;
    s->config = *config;
    s->n = config->n_levels;
    s->l1i = make_level(s, &config->l1i, L1I, &s->plru[0], &pes);
    bool good = complete(s->l1i, pes);
    for (unsigned level = 0; good && level < s->n; level++) {
        unsigned sharers = config->levels[level].sharers;
        s->levels[level] = make_level(s, &config->levels[level], (int)level, &s->plru[1 + level],
                                      &s->n_caches[level]);
        good = complete(s->levels[level], s->n_caches[level]);
        for (unsigned pe = 0; good && pe < config->pes; pe++) {
            s->at[pe][level] = &s->levels[level][pe / sharers];
        }
    }
    if (!good) {
        pw_sim_free(sim);
        return NULL;
    }
    return sim;
}

static void free_level(struct cache *caches, unsigned n)
{
    for (unsigned i = 0; caches && i < n; i++) {
        free(caches[i].tags);
        free(caches[i].dirty);
        free(caches[i].recent);
        free(caches[i].uses);
        free(caches[i].removed.slots);
    }
    free(caches);
}

void pw_sim_free(struct pw_sim *sim)
{
    struct pw_sim *s = sim;
    free_level(s->l1i, s->config.pes);
    for (unsigned level = 0; level < s->n; level++) {
        free_level(s->levels[level], s->n_caches[level]);
    }
    free(s->cleaned.slots);
    free(s->fetched_dirty.slots);
    free(sim);
}

const struct pw_sim_counts *pw_sim_counts(const struct pw_sim *sim)
{
    return &sim->counts;
}
