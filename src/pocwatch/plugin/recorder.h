/*
 * The recorder: keeps what may have an effect in judge on any platform, with maintenance dropped or
 * weakened at will, so that `replay.c` can judge later. Takes judge's place in the slow paths.
 *
 * Each function stands for the one of judge.h without `trace_`. An event may be left out only if judge
 * would do nothing at it, in every world (a platform, and what was made of each operation): no finding,
 * no state or history that changes. What is known of the worlds is a superset:
 *   - of each cell, a state of the filter (pocwatch.line.filter): the states it may have;
 *   - of each line, which PEs may have operations in flight on it: then everything is kept;
 *   - of the instruction side, which cells may be stale in I-caches (written once is enough: all
 *     invalidations may have been dropped), which surely are, and which words were fetched since.
 * The `ok` bits of shadow.h mean what they mean to judge, in every world at once.
 *
 * Left out: context synchronisation (unsynced fetches cannot be replayed).
 */
#ifndef POCWATCH_RECORDER_H
#define POCWATCH_RECORDER_H

#include "judge.h"

extern bool pw_tracing; /* constant once the machine runs */

/* How many instructions all PEs have executed, as the PE that asks knows it. */
typedef uint64_t pw_trace_clock(const struct pw_cpu *cpu);

/* After pw_judge_open. `clock` NULL: what the run file's header says. On failure returns false with a
 * one-line reason in `error`. */
PW_API bool pw_trace_open(const char *path, const char *filter_path, pw_trace_clock *clock, char *error,
                          unsigned error_size);
/* The CPU's identification is in the run file's header. */
PW_API void pw_trace_start(void);
PW_API void pw_trace_close(void);

void pw_trace_data(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                   uint64_t va, unsigned size, unsigned op);
void pw_trace_walk(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                   uint64_t pa, uint64_t va);
void pw_trace_zva(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                  uint64_t va, unsigned block);
void pw_trace_fetch(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                    uint64_t va, unsigned n);
void pw_trace_dc(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                 uint64_t va, unsigned op, unsigned flags);
void pw_trace_ic(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                 uint64_t va, unsigned op, bool all_pes);
void pw_trace_barrier(struct pw_cpu *cpu, const struct pw_site *site, unsigned op);
void pw_trace_mmu(struct pw_cpu *cpu, bool on);
void pw_trace_dma(uint64_t pa, unsigned size, bool write, bool coherent);
void pw_trace_outer(uint64_t pa, unsigned op);

#endif
