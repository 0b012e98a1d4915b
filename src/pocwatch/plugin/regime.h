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
#define VICTIM_ENTRIES 256 /* behind them: what conflicts pushed out, found without a walk */
#define FETCH_ENTRIES 1024
#define BANKS 16
#define GENERATIONS 2048 /* fit below NOT_RAM */
#define TLBI_PAGES 8
#define COVER_BITS 4096
#define NOT_RAM 2048     /* fits below the page number */

/*
 * Soft-TLB entry. The tag of a data entry is the page's VA and the generation of its half, and
 * NOT_RAM where no access is watched, or each one is looked at (dma.h). One comparison finds entry, generation and RAM.
 */
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
    struct entry data[DATA_ENTRIES + VICTIM_ENTRIES];
};

/* Reasons to leave the fast path, in vcpu.attention; setting one also spoils vcpu.fetch_id. */
enum {
    ATTENTION_FLUSH_LOW = 1,
    ATTENTION_FLUSH_HIGH = 2,
    ATTENTION_FLUSH = 3,
    ATTENTION_REGISTERS = 4,
    ATTENTION_RESET = 8,
};

/*
 * Fetches are looked up by PA, as QEMU's blocks are: one may run at several VAs. The tag of a fetch
 * entry is the page's PA << 12, then EL, bank and generation. A bank serves the fetches of one EL
 * only, so a block of another EL than the current one never hits; nor does any block while
 * `fetch_id` is NO_FETCH. So one comparison covers every reason to leave the fast path.
 */
#define FETCH_EL_SHIFT 16
#define FETCH_BANK_SHIFT 12
#define NO_FETCH 0

struct half {
    struct entry *entries;
    uint64_t generation; /* 1 .. GENERATIONS-1 */
};

struct vcpu {
    struct pw_cpu cpu;
    struct half data[2];       /* by VA bit 55 */
    _Atomic uint64_t fetch_id; /* bank and generation */
    uint64_t accesses;
    uint64_t pending;          /* instructions and lines fetched, not yet in the totals below */
    uint64_t fetches, walks, instructions;
    struct entry fetch[FETCH_ENTRIES];
    /* slow path */
    atomic_uint attention;
    struct {
        unsigned halves;      /* to flush wholly: 1 low, 2 high */
        unsigned all_halves;  /* with any TLBI */
        unsigned n;
        uint64_t pages[TLBI_PAGES]; /* VA[55:12], to flush one by one */
        bool others;          /* some are broadcast */
    } tlbi;                   /* since the last DSB */
    uint64_t covered[2][COVER_BITS / 64]; /* by half: where one page's TLBI must flush all */
    bool low_code;            /* code above EL0 runs in the low half since the last full flush */
    bool high_not_global;     /* the high half has non-global pages, since then */
    uint64_t el;
    uint32_t dirty;           /* set of enum pw_sysreg */
    int caches_on;            /* last told to judge; -1 before */
    bool present; /* initialised */
    bool placed;  /* has fetched: its registers are those that it began with */
    bool up;      /* has executed */
    uint64_t next_fetch_id;
    uint64_t clock;
    uint64_t vbar[4];
    uint64_t hfgitr;
    struct pw_regs regs;
    struct bank *banks[BANKS];
    struct { bool valid; unsigned bank[2]; } selected[4]; /* by EL, and VA bit 55 */
    uint64_t flushes, selections, misses, faults, mismatches, register_reads;
} __attribute__((aligned(1 << 16))); /* a power of two, so that indexing is a shift */

_Static_assert(sizeof(struct vcpu) == 1 << 16, "vcpu");

/* Reads one register; provided by observe. Returns 0 for registers the vCPU lacks. */
uint64_t pw_read_sysreg(unsigned reg);

void pw_vcpu_init(struct vcpu *v, unsigned index);
/* Small number of the VM whose stage-2 tables are at VTTBR_EL2.BADDR; 0 if it has none and none is to be
 * made. */
uint16_t pw_vm_number(uint64_t vttbr, bool make);
/* Have the vCPU look at `reasons` before its next block; from any thread. */
void pw_vcpu_attend(struct vcpu *v, unsigned reasons);
/* Bring the snapshot, banks and `cpu` up to date for executing at `el`. */
void pw_vcpu_sync(struct vcpu *v, unsigned el);
/* A TLBI issues; it takes effect at pw_vcpu_complete. */
void pw_vcpu_tlbi(struct vcpu *v, const struct pw_insn *insn, uint64_t xt);
/* A DSB completes the TLBIs before it. Returns the halves that other PEs are to flush. */
unsigned pw_vcpu_complete(struct vcpu *v);
/* An MSR writes `insn->sysreg`: mark it, and what it is redirected to. */
void pw_vcpu_msr(struct vcpu *v, const struct pw_insn *insn);
/* Translate and fill; NULL when the translation faults. Tells judge of the walk. */
struct entry *pw_data_miss(struct vcpu *v, const struct pw_site *site, uint64_t va);
struct entry *pw_fetch_miss(struct vcpu *v, const struct pw_site *site, uint64_t va, uint64_t pa);
/* A pw_read64 of the watched RAM; `opaque` is not used. */
int pw_read_ram(void *opaque, uint64_t pa, uint64_t *value);
/* Translate without filling and without telling judge. */
enum pw_fault pw_probe(struct vcpu *v, uint64_t va, int fetch, struct pw_translation *out);

/* Where the page's entry goes when another page takes its place in `entries`. */
static inline struct entry *victim_entry(struct entry *entries, uint64_t page)
{
    return &entries[DATA_ENTRIES + (page * UINT64_C(0x9e3779b97f4a7c15) >> 32) % VICTIM_ENTRIES];
}

/* pw_page.perm */
static inline uint8_t pw_permissions(const struct pw_translation *t, uint64_t el)
{
    return (uint8_t)(t->perm | el << 4);
}

static inline struct entry *data_entry(struct vcpu *v, uint64_t va)
{
    return &v->data[va >> 55 & 1].entries[va / PW_PAGE % DATA_ENTRIES];
}

static inline uint64_t data_tag(const struct vcpu *v, uint64_t va)
{
    return (va & PW_PAGE_MASK) | v->data[va >> 55 & 1].generation;
}

static inline uint64_t fetch_tag(uint64_t pa, unsigned el)
{
    return (pa & PW_PAGE_MASK) << 12 | (uint64_t)el << FETCH_EL_SHIFT;
}

static inline struct entry *fetch_entry(struct vcpu *v, uint64_t tag)
{
    return &v->fetch[tag >> 24 & (FETCH_ENTRIES - 1)];
}

static inline struct entry *find_data(struct vcpu *v, const struct pw_site *site, uint64_t va)
{
    struct entry *e = data_entry(v, va);
    return (e->tag & ~(uint64_t)NOT_RAM) == data_tag(v, va) ? e : pw_data_miss(v, site, va);
}

#endif
