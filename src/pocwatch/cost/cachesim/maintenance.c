/* Operations, each on the caches that it reaches; see reference.py. */
#include "sim.h"

static unsigned outcome(const struct cache *c, int64_t place)
{
    return place < 0 || c->tags[place] == NO_LINE ? PW_OUTCOME_MISS
           : c->dirty[place]                      ? PW_OUTCOME_DIRTY
                                                  : PW_OUTCOME_CLEAN;
}

static void tally(struct pw_sim *s, unsigned op, int level, unsigned found)
{
    s->counts.ops[op].found[1 + level][found]++;
}

static void tally_anywhere(struct pw_sim *s, unsigned op, unsigned found)
{
    s->counts.ops[op].found[PW_SIM_MAX_CACHES][found]++;
}

static void act(struct pw_sim *s, unsigned pe, unsigned op, struct cache *c, int64_t place,
                unsigned stop)
{
    struct pw_sim_cache_counts *counts = counts_of(s, pe, c);
    uint64_t line = c->tags[place];
    if (c->dirty[place] && s->config.actions[op] & PW_CLEAN) {
        lines_add(&s->cleaned, line);
        write_back(s, pe, c, place, stop, PW_CAUSE_MAINTENANCE);
    }
    if (s->config.actions[op] & PW_INVALIDATE) {
        counts->removed++;
        counts->discarded += c->dirty[place];
        lines_add(&c->removed, line);
        cache_drop(c, place);
    }
}

static void by_va(struct pw_sim *s, unsigned pe, unsigned op, uint64_t line)
{
    unsigned reach = s->config.reach[op], worst = PW_OUTCOME_MISS;
    for (unsigned level = 0; level < s->n; level++) {
        unsigned found = PW_OUTCOME_MISS;
        for (unsigned i = 0; reach >> level & 1 && i < s->n_caches[level]; i++) {
            struct cache *c = &s->levels[level][i];
            unsigned here = outcome(c, cache_find(c, line));
            found = found > here ? found : here;
        }
        worst = worst > found ? worst : found;
        if (reach >> level & 1) {
            tally(s, op, (int)level, found);
        }
    }
    tally_anywhere(s, op, worst);
    for (unsigned level = 0; level < s->n && worst; level++) {
        unsigned stop = level + 1;
        while (stop < s->n && reach >> stop & 1) {
            stop++;
        }
        for (unsigned i = 0; reach >> level & 1 && i < s->n_caches[level]; i++) {
            struct cache *c = &s->levels[level][i];
            int64_t place = cache_find(c, line);
            if (place >= 0) {
                act(s, pe, op, c, place, stop);
            }
        }
    }
}

static void by_set_way(struct pw_sim *s, unsigned pe, unsigned op, uint64_t operand)
{
    unsigned level = operand >> 1 & 7, way_bits = 0;
    if (level >= s->n || !(s->config.reach[op] >> level & 1)) {
        return;
    }
    struct cache *c = s->at[pe][level];
    while (1u << way_bits < c->ways) {
        way_bits++;
    }
    uint64_t way = (operand & UINT32_MAX) >> (32 - way_bits);
    uint64_t set = (operand & ((UINT64_C(1) << (32 - way_bits)) - 1)) >> s->config.line_shift;
    int64_t place = way < c->ways && set <= c->set_mask ? (int64_t)(set * c->ways + way) : -1;
    unsigned found = outcome(c, place);
    tally(s, op, (int)level, found);
    tally_anywhere(s, op, found);
    if (found) {
        act(s, pe, op, c, place, level + 1);
    }
}

static bool invalidate_place(struct pw_sim *s, unsigned pe, struct cache *c, int64_t place)
{
    if (place < 0 || c->tags[place] == NO_LINE) {
        return false;
    }
    lines_add(&c->removed, c->tags[place]);
    cache_drop(c, place);
    s->counts.pes[pe].caches[0].removed++;
    return true;
}

static void invalidate_instructions(struct pw_sim *s, unsigned pe, unsigned op, uint64_t line)
{
    bool any = false;
    for (unsigned i = 0; i < s->config.pes; i++) {
        struct cache *c = &s->l1i[i];
        if (!c->held || (op == PW_SIM_OP_IC_IALLU && i != pe)) {
            continue;
        }
        if (op == PW_SIM_OP_IC_IVAU) {
            any |= invalidate_place(s, pe, c, cache_find(c, line));
            continue;
        }
        for (uint64_t place = 0; place < (c->set_mask + 1) * c->ways; place++) {
            any |= invalidate_place(s, pe, c, (int64_t)place);
        }
    }
    unsigned found = any ? PW_OUTCOME_CLEAN : PW_OUTCOME_MISS;
    tally(s, op, L1I, found);
    tally_anywhere(s, op, found);
}

void __attribute__((noinline)) operation(struct pw_sim *s, struct pw_stream_access a)
{
    s->counts.ops[a.op].issued++;
    if (!s->config.actions[a.op]) {
        return;
    }
    switch (a.op) {
    case PW_SIM_OP_DC_CSW:
    case PW_SIM_OP_DC_CISW:
    case PW_SIM_OP_DC_ISW:
        by_set_way(s, a.pe, a.op, a.pa);
        break;
    case PW_SIM_OP_IC_IVAU:
    case PW_SIM_OP_IC_IALLU:
    case PW_SIM_OP_IC_IALLUIS:
        invalidate_instructions(s, a.pe, a.op, a.pa >> s->config.line_shift);
        break;
    default:
        by_va(s, a.pe, a.op, a.pa >> s->config.line_shift);
    }
}
