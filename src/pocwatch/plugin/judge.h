/*
 * The seam inside the plugin: observe (QEMU side) says what happened, judge steps the line automaton.
 *
 * Observe resolves every event to a place (PA and attributes, from its own page-table walk) and a
 * site (the instruction); judge owns the shadow state, histories and findings and knows nothing of
 * QEMU. Callable from several vCPU threads at once; `struct pw_cpu` belongs to its own thread.
 */
#ifndef POCWATCH_JUDGE_H
#define POCWATCH_JUDGE_H

#include <stdbool.h>
#include <stdint.h>
#include "generated.h" /* enums PW_OP_*, PW_KIND_*, PW_FLAG_*, PW_WHY_*; run-file records */

#ifndef PW_API /* what tests call through ctypes */
#define PW_API __attribute__((visibility("default")))
#endif

/* An instruction, made once at translation and never freed. */
struct pw_site {
    uint64_t pc;    /* VA */
    uint64_t pc_pa; /* PA, PW_NO_ADDRESS if not in RAM */
    uint32_t insn;  /* the A64 encoding */
    uint32_t el : 8;
    uint32_t number : 24; /* stands for the site in the shadow; 0: it has none */
};

/* What a translation of one 4 KiB page says about accesses of one type (a soft-TLB entry's payload). */
struct pw_page {
    uint64_t pa;     /* of the page */
    uint64_t ipa;    /* of the page; PW_NO_ADDRESS when stage 2 is off */
    uint16_t why;    /* PW_WHY_* */
    uint8_t kind;    /* PW_KIND_* after combining stages and controls */
    uint8_t s1_mair; /* MAIR byte, 0 when stage 1 is off */
    uint8_t s2_attr; /* MemAttr[3:0], 0xff when stage 2 is off */
    uint8_t mmu_on;  /* stage 1 enabled for this access */
    uint8_t in_ram;  /* the whole page lies in the watched RAM; judge ignores other accesses */
    uint8_t perm;    /* observe's: PW_PERM_*, and << 4 the EL they are for */
};

/* A vCPU as judge sees it; observe keeps it current. */
struct pw_cpu {
    uint8_t pe;
    uint8_t vm;      /* EL1/0 under HCR_EL2.VM or DC (and not TGE): a guest is running */
    uint16_t vm_id;  /* small number per VTTBR_EL2.BADDR, 0 outside a VM */
    uint32_t who;    /* pw_who_of without the access: kept by observe when `vm` changes */
    uint64_t fetch_ipa; /* IPA of the 4 KiB page being executed, PW_NO_ADDRESS outside a VM */
};

struct pw_config {
    const char *run_path;   /* run file, created by the launcher at its final size, mapped shared */
    const char *ram_path;   /* guest RAM, mapped shared and read-only; NULL: see replay.h */
    uint64_t ram_base;      /* PA of its first byte */
    uint64_t ram_size;
    const char *table_path; /* line automaton as emitted by pocwatch.line */
    const char *rules_path; /* --drop and --weaken, may be NULL */
    bool report_unsynced;
    bool track_redundant;
    bool keep_stale;   /* for tests: report every stale read, exempt and heal nothing */
    unsigned start_on; /* for tests: PEs that start with their MMU on; a machine starts with none */
    bool shard; /* one of several that a trace is replayed in, not the first: what is of no line is
                   counted there */
};

/* Map files and tables. On failure returns false with a one-line reason in `error`. */
PW_API bool pw_judge_open(const struct pw_config *config, char *error, unsigned error_size);
void pw_judge_close(void);

/* The mapped run file's header, for counters that observe keeps. */
PW_API struct pw_runheader *pw_run_header(void);
/* Read guest RAM: a pointer to `size` bytes at `pa`, NULL if not wholly inside. */
const void *pw_ram(uint64_t pa, unsigned size);

/* The fast paths' view of the shadow; see shadow.h. */
extern struct pw_line *pw_lines;
extern uint32_t *pw_writers; /* per 8-byte cell, history.h's pw_who */
extern uint64_t pw_ram_base, pw_ram_size;
extern uint8_t pw_epoch_bits; /* what a line's epoch must be for `store_ok` to hold */

/* LD or ST of `size` bytes at `va`, which lie in `page` (observe splits accesses that cross pages). */
void pw_data_slow(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                  uint64_t va, unsigned size, unsigned op);
/* A table walk read the 8-byte descriptor at `pa`; `va` is what was being translated. */
PW_API void pw_walk(struct pw_cpu *cpu, const struct pw_site *site, uint64_t pa, unsigned kind,
             unsigned why, uint64_t va);
/* DC ZVA of the whole block containing `va`; `block` bytes. */
PW_API void pw_zva(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
            uint64_t va, unsigned block);
/* `n` instructions starting at `va` are about to execute; all in one 64-byte line. */
void pw_fetch_slow(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
                   uint64_t va, unsigned n);
/* A data cache maintenance instruction that really executes (not trapped, no fault).
 * By VA: page and va. By set/way: page NULL. `flags`: PW_FLAG_UPGRADED when HCR_EL2 made it so
 * (then `op` is what it became). */
PW_API void pw_dc(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
           uint64_t va, unsigned op, unsigned flags);
/* An instruction cache maintenance instruction; `all_pes` for IALLUIS, IVAU and IALLU under FB. */
PW_API void pw_ic(struct pw_cpu *cpu, const struct pw_site *site, const struct pw_page *page,
           uint64_t va, unsigned op, bool all_pes);
/* PW_OP_DMB, PW_OP_DSB, or PW_OP_ISB for any context synchronisation event (ISB, exception entry
 * and return). Barriers that order neither loads with stores nor stores are not passed on. */
PW_API void pw_barrier(struct pw_cpu *cpu, const struct pw_site *site, unsigned op);
/* The PE's "MMU and caches on" in the sense of the fill switch changed. */
PW_API void pw_mmu(struct pw_cpu *cpu, bool on);
/* On whose behalf a device acts: the access that handed the buffer over or took it back, and the
 * device's number in the run file's table plus 1. Set around `pw_dma` by who knows; else zero. */
struct pw_transfer {
    struct pw_cpu *cpu;
    const struct pw_site *site;
    unsigned device;
};
extern _Thread_local struct pw_transfer pw_transfer;

/* Every fetch will come: what was never fetched is known. Not so in a trace's shard. After opening. */
PW_API void pw_sees_every_fetch(void);
/* The machine's first instruction is outside RAM. */
PW_API void pw_began_outside(void);
/* A device's access within one line, and an operation of an outer-cache controller. */
PW_API void pw_dma(uint64_t pa, unsigned size, bool write, bool coherent);
PW_API void pw_outer(uint64_t pa, unsigned op);

#endif
