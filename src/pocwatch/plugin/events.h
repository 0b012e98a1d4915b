/*
 * The event recording (`events=FILE`): what happens between a hypervisor and its guests, and what
 * maintenance that takes, as records of pocwatch.cost.recording.record. FILE may be a FIFO.
 *
 * Nothing here judges. Operations of one instruction on one page in a row become one record; of each
 * guest page only the first uses are told.
 */
#ifndef POCWATCH_PLUGIN_EVENTS_H
#define POCWATCH_PLUGIN_EVENTS_H

#include "../cost/recording/events.h"
#include "regime.h"

extern bool pw_recording; /* constant once the machine runs */

/* On failure returns false with a one-line reason in `error`. */
bool pw_events_open(const char *path, uint64_t ram_base, uint64_t ram_size, char *error,
                    unsigned error_size);
/* The header; before any record. */
void pw_events_start(unsigned pes, uint64_t ctr, uint64_t clidr);
void pw_events_close(struct vcpu *v);

/* The registers of an exception to EL2. */
struct pw_syndrome {
    uint64_t esr, far, hpfar;
    uint64_t xt; /* of a trapped register access, else 0 */
};

/* `vm` is the guest's number, 0 for none: then nothing is recorded. The snapshot of `v` is current. */
void pw_events_entry(struct vcpu *v, unsigned vm, uint64_t vmpidr);
void pw_events_exception(struct vcpu *v, unsigned vm, unsigned vector, const struct pw_syndrome *s);
/* An operation on a line of `page`, NULL for operations not by VA; see MAINTENANCE in record. */
void pw_events_maintenance(const struct pw_cpu *cpu, const struct pw_site *site,
                           const struct pw_page *page, unsigned op, bool changed, bool dirty);
void pw_events_dsb(const struct vcpu *v);
/* A walk in a guest, as far as it came: marks what it used. */
void pw_events_walk(struct vcpu *v, const struct pw_translation *t, uint64_t va, int fetch);
/* A TLBI, of any kind: those of stage 2 are recorded. */
void pw_events_tlbi(struct vcpu *v, uint32_t encoding, uint64_t xt);
/* A store outside a guest to watched RAM, through the half of addresses that is user space's. */
void pw_events_store(const struct vcpu *v, uint64_t pa, uint64_t va, unsigned size);
/* DC ZVA of a block; through the kernel's half it makes a page new. */
void pw_events_zero(const struct vcpu *v, uint64_t pa, uint64_t va, unsigned block);

#endif
