/* --drop and --weaken: which maintenance the machine forgets, or does less of. */
#ifndef POCWATCH_RULES_H
#define POCWATCH_RULES_H

#include "judge.h"

#define PW_RULE_DROPPED 0xff

/* One rule per line: INDEX drop|weaken OP NEWOP any|pc|pc_pa|ipa|pa LO HI; numbers as in
 * arch.ops.Op, -1 for any and none; LO and HI hexadecimal, half-open. A NULL path: no rules. */
bool pw_rules_read(const char *path, char *error, unsigned size);
/* What `op` becomes, PW_RULE_DROPPED if it is forgotten; `rule` is the index of the rule, or -1. */
unsigned pw_rules_apply(unsigned op, const struct pw_site *site, uint64_t ipa, uint64_t pa,
                        int *rule);

/* Whether a recording holds what the rules ask for: they only take away or weaken. Otherwise false, with a
 * one-line reason in `error`. */
bool pw_rules_replayable(char *error, unsigned size);

#endif
