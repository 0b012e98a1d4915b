/*
 * One vCPU's translation state: a snapshot of its registers, and a soft TLB over `pw_translate`.
 *
 * The snapshot is refreshed lazily: an MSR marks its register, the next translation block reads it.
 * A soft TLB never outlives a TLBI: entries carry a generation. What changes without a TLBI (TTBR on
 * a context switch, everything on a KVM world switch) selects another bank of entries instead, keyed
 * by the values themselves, so going back and forth finds the entries again.
 */
#ifndef POCWATCH_REGIME_H
#define POCWATCH_REGIME_H

#include <stdatomic.h>
#include "decode.h"
#include "judge.h"
#include "walk.h"

#define PW_PAGE UINT64_C(4096)
#define PW_PAGE_MASK (~(PW_PAGE - 1))
#define DATA_ENTRIES 1024
#define FETCH_ENTRIES 1024
#define BANKS 16
#define GENERATIONS 4096 /* fit below the page number */

/* Soft-TLB entry: the tag is the page's address with the generation in its low 12 bits. */
struct entry {
    uint64_t tag;
    struct pw_page page;
};

/* All that one half of the address space depends on besides the tables themselves. */
struct bank_key {
    uint64_t regime, half, asid, sctlr, tcr, ttbr, mair, hcr, vtcr, vttbr;
};

struct bank {
    struct bank_key key;
    uint64_t used; /* for replacing the least recently used */
    struct entry data[DATA_ENTRIES];
};

/* Reasons to leave the fast path, in vcpu.attention. */
enum { ATTENTION_REGISTERS = 1, ATTENTION_FLUSH = 2, ATTENTION_RESET = 4 };

struct vcpu {
    struct pw_cpu cpu;
    uint64_t el;
    atomic_uint attention;
    uint64_t generation;      /* 1 .. GENERATIONS-1 */
    uint64_t fetch_id;        /* generation and bank, for fetch tags */
    struct entry *data[2];    /* by VA bit 55 */
    struct entry *fetch;
    uint64_t accesses, fetches, walks, instructions, blocks;
    /* slow path */
    uint32_t dirty;           /* set of enum pw_sysreg */
    int caches_on;            /* last told to judge; -1 before */
    bool up;
    uint64_t clock;
    uint64_t vbar[4];
    uint64_t hfgitr;
    struct pw_regs regs;
    struct bank *banks[BANKS];
    struct { bool valid; unsigned low, high; } selected[4]; /* banks by EL */
    uint64_t flushes, selections, misses, faults, mismatches, register_reads;
    unsigned long thread;
};

/* Reads one register; provided by observe. Returns 0 for registers the vCPU lacks. */
uint64_t pw_read_sysreg(unsigned reg);

bool pw_vcpu_init(struct vcpu *v, unsigned index);
/* Bring the snapshot, banks and `cpu` up to date for executing at `el`. */
void pw_vcpu_sync(struct vcpu *v, unsigned el);
void pw_vcpu_flush(struct vcpu *v);
/* An MSR writes `insn->sysreg`: mark it, and what it is redirected to. */
void pw_vcpu_msr(struct vcpu *v, const struct pw_insn *insn);
/* Translate and fill; NULL when the translation faults. Tells judge of the walk. */
struct entry *pw_data_miss(struct vcpu *v, const struct pw_site *site, uint64_t va);
struct entry *pw_fetch_miss(struct vcpu *v, const struct pw_site *site, uint64_t va, uint64_t pa);
/* Translate without filling and without telling judge. */
enum pw_fault pw_probe(struct vcpu *v, uint64_t va, int fetch, struct pw_translation *out);

static inline struct entry *data_entry(struct vcpu *v, uint64_t va)
{
    return &v->data[va >> 55 & 1][va / PW_PAGE % DATA_ENTRIES];
}

static inline uint64_t data_tag(const struct vcpu *v, uint64_t va)
{
    return (va & PW_PAGE_MASK) | v->generation;
}

/* Fetches are looked up by PA: QEMU's blocks are, and one may run at several VAs. */
static inline struct entry *fetch_entry(struct vcpu *v, uint64_t pa)
{
    return &v->fetch[pa / PW_PAGE % FETCH_ENTRIES];
}

static inline uint64_t fetch_tag(const struct vcpu *v, uint64_t pa)
{
    return (pa & PW_PAGE_MASK) << 12 | v->fetch_id;
}

static inline struct entry *find_data(struct vcpu *v, const struct pw_site *site, uint64_t va)
{
    struct entry *e = data_entry(v, va);
    return __builtin_expect(e->tag == data_tag(v, va), 1) ? e : pw_data_miss(v, site, va);
}

#endif
