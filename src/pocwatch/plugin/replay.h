/*
 * A trace, judged: what a machine did, from records instead of a running QEMU. RAM is judge's own, empty
 * at first and filled by CONTENT records; sites and stack frames have the numbers they have in the trace.
 */
#ifndef POCWATCH_REPLAY_H
#define POCWATCH_REPLAY_H

#include "judge.h"

/* As pw_judge_open; `config->ram_path` is NULL. Refuses rules that a recording cannot answer for. May be
 * called again for the next trace. */
PW_API bool pw_replay_open(const struct pw_config *config, char *error, unsigned error_size);
/* The next records; those of a line, and those of none, in the order of the trace. */
PW_API void pw_replay(const struct pw_traced *records, uint64_t n);

#endif
