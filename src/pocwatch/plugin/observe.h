/*
 * The QEMU side: instruments translated code and says what happens, in judge's terms.
 *
 * One callback per translation block stands for all its fetches up to the next barrier or maintenance
 * instruction: that is straight-line code, and the architecture lets instructions be fetched early.
 * One callback per load and per store, one per instruction of interest (decode.h). The state behind
 * them is in regime.h.
 *
 * Left out: AArch32 EL1 and above, hardware updates of Access flags and dirty state (QEMU does them
 * unseen), speculative walks. QEMU may run a block translated at one VA at another VA of the same
 * physical page; PCs are then those of the translation.
 */
#include <inttypes.h>
#ifndef POCWATCH_OBSERVE_H
#define POCWATCH_OBSERVE_H

#include "places.h"
#include "qemu_api.h"
#include "regime.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

extern struct vcpu vcpus[PW_MAX_PES];
extern _Thread_local struct vcpu *self; /* the vCPU whose thread this is */
extern unsigned dc_zva_block;           /* bytes */
extern bool debug; /* compare every translation with QEMU's; print counters at exit */

static inline struct vcpu *vcpu_at(unsigned index)
{
    struct vcpu *v = &vcpus[index];
    __asm__("" : "+r"(v)); /* one address, not one per member: the callbacks are hot */
    return v;
}

/* Constants of the CPU became known. */
void set_midr(uint64_t value);
void set_dczid(uint64_t value);
/* Move the counts of the last blocks to the totals, now and then out to the run file. */
void drain(struct vcpu *v);

/* How many instructions all PEs have executed, the others as far as they told. */
uint64_t instructions_now(const struct pw_cpu *cpu);

/* Translation of a block: registers the callbacks below. */
void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);

/* Loads and stores; `userdata` is the struct pw_site. */
void on_load(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata);
void on_store(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata);
void on_load_streamed(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata);
void on_store_streamed(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata);
void on_store_recorded(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata);
void on_load_debug(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata);
void on_store_debug(unsigned index, qemu_plugin_meminfo_t info, uint64_t va, void *userdata);

/* A block begins (struct block), or its instructions behind a barrier (struct line). */
void on_block(unsigned index, void *userdata);
void on_long_block(unsigned index, void *userdata);
void on_block_streamed(unsigned index, void *userdata);
void on_later_lines(unsigned index, void *userdata);
void on_later_lines_streamed(unsigned index, void *userdata);
void on_vector_block(unsigned index, void *userdata);
void on_vector_block_streamed(unsigned index, void *userdata);
void on_other_block(unsigned index, void *userdata);

/* A system instruction; the one after a read of a constant (struct place). */
void on_system(unsigned index, void *userdata);
void on_identification(unsigned index, void *userdata);

#endif
