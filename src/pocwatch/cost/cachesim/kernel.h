/*
 * The compiled cache simulator: reference.py, fast. What it models and leaves out is said there; both
 * give the same counts for every stream.
 */
#ifndef POCWATCH_CACHESIM_KERNEL_H
#define POCWATCH_CACHESIM_KERNEL_H

#include <stddef.h>
#include "generated.h"

#define PW_API __attribute__((visibility("default")))

struct pw_sim;

/* NULL when there is no memory. */
PW_API struct pw_sim *pw_sim_new(const struct pw_sim_config *config);
PW_API void pw_sim_free(struct pw_sim *sim);
/* Take `n` records, in order. Returns how many were taken: fewer than `n` when the next one is of a PE
 * that the hierarchy does not have. */
PW_API size_t pw_sim_run(struct pw_sim *sim, const struct pw_stream_access *records, size_t n);
PW_API const struct pw_sim_counts *pw_sim_counts(const struct pw_sim *sim);

#endif
