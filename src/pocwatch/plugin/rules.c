/* --drop and --weaken; see rules.h. */
#include "rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MAX_LINES = 4096 };

static struct rule {
    int index, op;
    unsigned becomes;
    enum space { ANY, PC, PC_PA, IPA, PA } space;
    uint64_t low, high;
} rules[MAX_LINES];
static unsigned n_rules;

bool pw_rules_read(const char *path, char *error, unsigned size)
{
    static const char *const spaces[] = {"any", "pc", "pc_pa", "ipa", "pa"};
    char text[256];
    FILE *f = path ? fopen(path, "r") : NULL;
    unsigned number = 0;
    n_rules = 0;
    if (!path) {
        return true;
    }
    if (!f) {
        snprintf(error, size, "rules %s: cannot be opened", path);
        return false;
    }
    while (fgets(text, sizeof text, f)) {
        struct rule r = {.space = ANY};
        char action[8], space[8];
        int becomes;
        number++;
        if (sscanf(text, "%d %7s %d %d %7s %" SCNx64 " %" SCNx64, &r.index, action, &r.op, &becomes,
                   space, &r.low, &r.high) != 7 ||
            n_rules == MAX_LINES || r.index < 0 || r.index >= PW_MAX_RULES) {
            snprintf(error, size, "rules %s: line %u is malformed", path, number);
            fclose(f);
            return false;
        }
        while (r.space < PA && strcmp(space, spaces[r.space])) {
            r.space++;
        }
        r.becomes = strcmp(action, "weaken") ? PW_RULE_DROPPED : (unsigned)becomes;
        rules[n_rules++] = r;
    }
    fclose(f);
    return true;
}

unsigned pw_rules_apply(unsigned op, const struct pw_site *site, uint64_t ipa, uint64_t pa,
                        int *rule)
{
    *rule = -1;
    for (unsigned i = 0; i < n_rules; i++) {
        const struct rule *r = &rules[i];
        uint64_t at = r->space == PC      ? site->pc
                      : r->space == PC_PA ? site->pc_pa
                      : r->space == IPA   ? ipa
                                          : pa;
        if ((r->op < 0 || (unsigned)r->op == op) &&
            (r->space == ANY || (at >= r->low && at < r->high))) {
            *rule = r->index;
            return r->becomes;
        }
    }
    return op;
}

bool pw_rules_replayable(char *error, unsigned size)
{
    for (unsigned i = 0; i < n_rules; i++) {
        int op = rules[i].op, becomes = (int)rules[i].becomes;
        bool dropped = rules[i].becomes == PW_RULE_DROPPED || becomes == op;
        bool of_data = op < PW_OP_IC_IVAU, data = becomes < PW_OP_IC_IVAU;
        bool clean = becomes >= PW_OP_DC_CVAC && becomes <= PW_OP_DC_CIVAC;
        bool set_way = op >= PW_OP_DC_CSW && op <= PW_OP_DC_ISW;
        bool clean_set_way = becomes == PW_OP_DC_CSW || becomes == PW_OP_DC_CISW;
        bool fewer = op == PW_OP_IC_IALLUIS && becomes == PW_OP_IC_IALLU;
        if (!dropped && of_data == data && !(of_data && clean) && !(set_way && clean_set_way) && !fewer) {
            snprintf(error, size, "rules: a recording does not hold what operation %d as %d would do; "
                                  "accepted: dropping it, a clean, or one of its own kind that cleans",
                     op, becomes);
            return false;
        }
    }
    return true;
}
